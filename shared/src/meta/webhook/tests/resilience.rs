//! Nothing Meta may send breaks the reading, and nothing broken takes its siblings along.

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;

fn statuses(list: &[Value]) -> Vec<Item> {
    items(&notification("messages", &json!({"metadata": {"phone_number_id": "7"}, "statuses": list})))
}

#[test]
fn three_broken_of_a_thousand_leave_997() {
    let whole: Vec<Value> = (0..1_000).map(status_value).collect();
    let mut broken = whole.clone();
    broken[0] = json!("not an object");
    broken[500].as_object_mut().unwrap().remove("id");
    broken[999]["timestamp"] = json!("yesterday");
    let (whole, broken) = (statuses(&whole), statuses(&broken));
    assert_eq!((whole.len(), broken.len()), (1_000, 1_000));
    let reasons: Vec<_> = whole
        .iter()
        .zip(&broken)
        .enumerate()
        .filter(|(_, (whole, broken))| whole != broken)
        .map(|(place, (_, broken))| match &broken.event {
            Event::Malformed(event) => (place, event.place.as_str(), event.reason.as_str()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        reasons,
        [
            (0, "statuses", "not an object"),
            (500, "statuses", "`id` is missing"),
            (999, "statuses", "`timestamp` cannot be read"),
        ]
    );
    assert_eq!(broken[0].phone_number_id.as_deref(), Some("7"));
}

#[test]
fn kept_json_is_the_exact_text() {
    let item = r#"{ "status" :"sent",  "timestamp": 1.50e1, "note":"a\u0040b\/c" }"#;
    let body = format!(r#"{{"entry":[{{"changes":[{{"field":"messages","value":{{"statuses":[ {item} ]}}}}]}}]}}"#);
    let Event::Malformed(event) = items(&body).remove(0).event else { panic!() };
    assert_eq!(event.raw.as_str(), item);
    let Event::Malformed(event) = items(" {\"entry\": 1 } ").remove(0).event else { panic!() };
    assert_eq!((event.place.as_str(), event.raw.as_str()), ("body", "{\"entry\": 1 }"));
}

#[test]
fn every_level_may_be_broken_by_itself() {
    let good = json!({"field": "messages", "value": {"statuses": [status_value(1)]}});
    let entry = |changes: Value| json!({"id": "1", "changes": changes});
    for (body, kinds) in [
        (json!({}), vec!["malformed"]),
        (json!({"entry": 5}), vec!["malformed"]),
        (json!({"entry": []}), vec![]),
        (
            json!({"entry": [null, entry(json!([good])), 3, {"id": "2"}]}),
            vec!["malformed", "status", "malformed", "malformed"],
        ),
        (
            json!({"entry": [entry(json!("x")), entry(json!([7, good, {"field": "messages"}, {"value": {}}]))]}),
            vec!["malformed", "malformed", "status", "malformed", "malformed"],
        ),
        (json!({"entry": [entry(json!([{"field": "messages", "value": []}, good]))]}), vec!["malformed", "status"]),
        (json!({"entry": [entry(json!([{"field": "brand_new", "value": []}, good]))]}), vec!["unknown", "status"]),
        (
            json!({"entry": [entry(json!([{"field": "messages", "value": {"statuses": 1, "messages": [{}]}}]))]}),
            vec!["malformed", "malformed"],
        ),
        (
            json!({"entry": [entry(json!([{"field": "account_update", "value": {"event": {}}}, good]))]}),
            vec!["malformed", "status"],
        ),
    ] {
        let found: Vec<_> = items(&body.to_string()).iter().map(|item| item.event.kind()).collect();
        assert_eq!(found, kinds, "{body}");
    }
}

#[test]
fn what_is_new_is_kept_as_unknown() {
    let reason = |field: &str, value: Value| match items(&notification(field, &value)).remove(0).event {
        Event::Unknown(event) => event.reason,
        other => panic!("{other:?}"),
    };
    let key = |key: &str| UnknownReason::Key(key.to_owned());
    let kind = |kind: &str| UnknownReason::ItemType(kind.to_owned());
    assert_eq!(reason("flows", json!({"event": "x"})), UnknownReason::Field);
    assert_eq!(reason("messages", json!({"metadata": {}})), UnknownReason::NoItems);
    assert_eq!(reason("messages", json!({"statuses": []})), UnknownReason::NoItems);
    assert_eq!(reason("messages", json!({"somethings": [1]})), key("somethings"));
    assert_eq!(reason("messages", json!({"user_actions": [{"action_type": "wave"}]})), kind("wave"));
    assert_eq!(reason("group_status_update", json!({"groups": [{"type": "group_merge"}]})), kind("group_merge"));
    assert_eq!(reason("template_category_update", json!({"message_template_id": 1})), kind(""));
    assert_eq!(reason("standby", json!({"standby": {"standby": {}}})), key("standby"));
}

#[test]
fn a_new_scalar_beside_the_lists_is_no_event() {
    let items = items(&notification("messages", &json!({"api_version": "v31", "statuses": [status_value(1)]})));
    assert_eq!(items.len(), 1);
}

#[test]
fn only_what_is_no_json_object_is_refused() {
    for body in ["", " ", "{", "{\"entry\":[}", "not json", "{} {}", "\u{feff}{}"] {
        assert_eq!(parse(body.as_bytes()), Err(NotANotification::NotJson), "{body:?}");
    }
    assert_eq!(parse(b"{\"a\":\"\xff\"}"), Err(NotANotification::NotJson));
    for body in ["null", "1", "[]", "\"x\"", "true"] {
        assert_eq!(parse(body.as_bytes()), Err(NotANotification::NotAnObject), "{body:?}");
    }
}

#[test]
fn depth_does_not_exhaust_the_stack() {
    let deep = "[".repeat(500_000) + &"]".repeat(500_000);
    let edit = r#"{"type":"edit","id":"w","timestamp":"1","edit":{"original_message_id":"w","message":"#;
    let edits = edit.repeat(20_000) + "1" + &"}}".repeat(20_000);
    let standby = r#"{"standby":"#.repeat(50_000) + "1" + &"}".repeat(50_000);
    for value in [deep.clone(), format!(r#"{{"messages":[{edits}]}}"#), format!(r#"{{"messages":{deep}}}"#), standby] {
        for field in ["messages", "standby", "history", "new"] {
            let body = format!(r#"{{"entry":[{{"changes":[{{"field":"{field}","value":{value}}}]}}]}}"#);
            assert_eq!(items(&body).len(), 1);
        }
    }
}

#[test]
fn of_a_repeated_key_the_last_counts() {
    let body = r#"{"entry":[{"changes":[{"field":"messages","value":{"statuses":[{"id":"a","id":"b","status":"sent","timestamp":"1"}]}}]}]}"#;
    let Event::Status(status) = items(body).remove(0).event else { panic!() };
    assert_eq!(status.wamid, redacted("b"));
}

#[test]
fn times_that_are_no_seconds_are_refused() {
    for (written, readable) in [
        (json!("1790000000"), true),
        (json!(1_790_000_000.0), true),
        (json!("253402300799"), true),
        (json!(1_790_000_000_000_i64), false),
        (json!(-1), false),
        (json!(1.5), false),
        (json!("1e400"), false),
        (json!("99999999999999999999"), false),
        (json!(""), false),
        (json!(null), false),
        (json!(true), false),
    ] {
        let mut status = status_value(1);
        status["timestamp"] = written.clone();
        assert_eq!(statuses(&[status])[0].event.kind() == "status", readable, "{written}");
    }
}

/// Replaces one of the values inside `value`, chosen among all of them.
fn replace_node(value: &mut Value, choice: Index, replacement: &Value) {
    let count = count_nodes(value);
    replace_nth(value, &mut choice.index(count), replacement);
}

fn children(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(list) => list.iter().collect(),
        Value::Object(members) => members.values().collect(),
        _ => Vec::new(),
    }
}

fn count_nodes(value: &Value) -> usize {
    1 + children(value).into_iter().map(count_nodes).sum::<usize>()
}

/// Walks in order and replaces the value at which `left` has run down; true once done.
fn replace_nth(value: &mut Value, left: &mut usize, replacement: &Value) -> bool {
    if *left == 0 {
        *value = replacement.clone();
        return true;
    }
    *left -= 1;
    match value {
        Value::Array(list) => list.iter_mut().any(|inner| replace_nth(inner, left, replacement)),
        Value::Object(members) => members.values_mut().any(|inner| replace_nth(inner, left, replacement)),
        _ => false,
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let deep = json!([[[[{"id": {"id": []}}]]]]);
    select(vec![
        json!(null),
        json!(true),
        json!(-7),
        json!(1e300),
        json!(""),
        json!("x"),
        json!("é👍\u{0}"),
        json!([]),
        json!({}),
        json!([null]),
        json!({"id": "w"}),
        deep,
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_change_gone_wrong_leaves_its_siblings(index: Index, node: Index, replacement in any_json()) {
        let samples = samples();
        let (_, body) = index.get(&samples);
        let mut broken: Value = serde_json::from_str(body).unwrap();
        replace_node(&mut broken, node, &replacement);
        let good = json!({"id": "9", "changes": [{"field": "messages", "value": {"statuses": [status_value(1), status_value(2)]}}]});
        let mut entries = vec![good.clone()];
        entries.extend(broken["entry"].as_array().cloned().unwrap_or_default());
        entries.push(good);
        let items = items(&json!({"entry": entries}).to_string());
        let siblings = |items: &[Item]| items.iter().filter(|item| item.waba_id.as_deref() == Some("9")).count();
        prop_assert_eq!(siblings(&items), 4);
        prop_assert_eq!(siblings(&items[..2]), 2);
        prop_assert_eq!(siblings(&items[items.len() - 2..]), 2);
    }

    #[test]
    fn an_item_gone_wrong_leaves_its_siblings(place in 0_usize..20, node: Index, replacement in any_json()) {
        let whole: Vec<Value> = (0..20).map(status_value).collect();
        let mut broken = whole.clone();
        replace_node(&mut broken[place], node, &replacement);
        let (whole, broken) = (statuses(&whole), statuses(&broken));
        prop_assert_eq!(broken.len(), 20);
        for (index, (before, after)) in whole.iter().zip(&broken).enumerate() {
            prop_assert!(index == place || before == after);
        }
    }

    #[test]
    fn bytes_gone_wrong_never_panic(index: Index, edits in prop::collection::vec((any::<Index>(), any::<u8>()), 1..8), cut: Index) {
        let samples = samples();
        let (_, body) = index.get(&samples);
        let mut bytes = body.as_bytes().to_vec();
        for (place, byte) in edits {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        let _ = parse(&bytes);
        bytes.truncate(cut.index(bytes.len()));
        let _ = parse(&bytes);
    }

    #[test]
    fn any_bytes_are_handled(bytes: Vec<u8>) {
        let _ = parse(&bytes);
    }
}
