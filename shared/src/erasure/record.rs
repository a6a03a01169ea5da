//! A person in a JSON document: taking them out (of a list of records those that name them, of anything else the texts),
//! and what of it is theirs to see.

use std::ops::BitOr;

use serde_json::{Map, Value};

use super::{ERASED, Names};
use crate::phone::{PhoneNumber, Region};

/// What a line of an audience or an import keeps of somebody who is erased: its place, so that the others keep theirs.
const KEPT_OF_A_LINE: [&str; 4] = ["seq", "line", "variant", "reason"];

/// Lists in a notification of Meta's that hold other lists and no records of people.
const ENVELOPES: [&str; 2] = ["entry", "changes"];

/// Takes the people out of a notification of Meta's: every record (message, status, contact…) that names one is removed,
/// and texts outside of records are blanked. Whether anything was.
pub fn erase_from_notification(names: &Names, document: &mut Value) -> bool {
    erase_records(names, "", document)
}

fn erase_records(names: &Names, field: &str, document: &mut Value) -> bool {
    match document {
        Value::Object(fields) => {
            let mut changed = false;
            for (name, value) in fields.iter_mut() {
                match value {
                    Value::Array(records) if !ENVELOPES.contains(&name.as_str()) => {
                        let before = records.len();
                        records.retain(|record| !named(names, name, record));
                        changed |= records.len() != before;
                    }
                    other => changed |= erase_records(names, name, other),
                }
            }
            changed
        }
        Value::Array(values) => {
            values.iter_mut().map(|value| erase_records(names, field, value)).fold(false, BitOr::bitor)
        }
        text => blank_in(names, field, text),
    }
}

/// Takes the people out of any other document by blanking the texts that name one. Whether anything was.
pub fn blank(names: &Names, document: &mut Value) -> bool {
    blank_in(names, "", document)
}

fn blank_in(names: &Names, field: &str, document: &mut Value) -> bool {
    match document {
        Value::String(text) if names.are_in_value(field, text) => {
            *text = ERASED.to_owned();
            true
        }
        Value::Number(number) if names.are_in(&number.to_string()) => {
            *document = Value::Null;
            true
        }
        Value::Array(values) => values.iter_mut().map(|value| blank_in(names, field, value)).fold(false, BitOr::bitor),
        Value::Object(fields) => {
            let before = fields.len();
            fields.retain(|name, _| !names.are_in(name));
            let fewer = fields.len() != before;
            fields.iter_mut().fold(fewer, |changed, (name, value)| blank_in(names, name, value) || changed)
        }
        _ => false,
    }
}

/// Whose a record is that an erasure would take away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// It names none of them.
    Nobodys,
    /// Theirs, or it does not say whose.
    Theirs,
    /// Somebody else's, who mentions them.
    Anothers,
}

/// Fields by which a record says whose it is: Meta's of messages, statuses and contacts, and those of web events.
const OWNERS: [&str; 11] = [
    "from",
    "from_user_id",
    "to",
    "to_user_id",
    "recipient_id",
    "recipient_user_id",
    "wa_id",
    "user_id",
    "contact",
    "phone",
    "email",
];

/// The same, and weaker: several people may share a browser.
const DEVICES: [&str; 1] = ["anonymous_id"];

/// Whose a record is.
#[must_use]
pub fn whose(names: &Names, record: &Value) -> Whose {
    if !names_in(names, record) {
        return Whose::Nobodys;
    }
    for fields in [OWNERS.as_slice(), DEVICES.as_slice()] {
        let owners = fields.iter().filter_map(|name| Some((name, record.get(name)?)));
        let mut owners = owners.filter(|(_, owner)| !owner.is_null()).peekable();
        if owners.peek().is_some() {
            return if owners.any(|(name, owner)| named(names, name, owner)) { Whose::Theirs } else { Whose::Anothers };
        }
    }
    Whose::Theirs
}

/// What stands in an export for a record of somebody else that mentions the person.
pub const WITHHELD: &str = "a record of somebody else that mentions this person";

/// Fields of a notification that say where its records belong and not whose they are.
const FRAME: [&str; 7] = ["object", "id", "time", "field", "messaging_product", "kind", "received_at"];

/// The object of a notification that names the business number it is for.
const METADATA: &str = "metadata";

/// What a message tells of the people and nothing else: its lists with their records only. There is something just when
/// [`names_in`] finds somebody, so that whatever an erasure takes away is shown.
#[must_use]
pub fn narrowed(names: &Names, document: &Value) -> Option<Value> {
    narrowed_in(names, "", document)
}

fn narrowed_in(names: &Names, field: &str, document: &Value) -> Option<Value> {
    match document {
        Value::Object(fields) => {
            let (mut kept, mut found) = (Map::new(), false);
            for (name, value) in fields {
                let part = match value {
                    _ if names.are_in(name) => Some(value.clone()),
                    Value::Array(records) if !ENVELOPES.contains(&name.as_str()) => records_of(names, name, records),
                    other => narrowed_in(names, name, other),
                };
                found |= part.is_some();
                let is_frame = name == METADATA || (FRAME.contains(&name.as_str()) && !value.is_object());
                if let Some(part) = part.filter(|_| name != METADATA).or_else(|| is_frame.then(|| value.clone())) {
                    kept.insert(name.clone(), part);
                }
            }
            found.then_some(Value::Object(kept))
        }
        Value::Array(values) => {
            let parts: Vec<Value> = values.iter().filter_map(|value| narrowed_in(names, field, value)).collect();
            (!parts.is_empty()).then_some(Value::Array(parts))
        }
        one => named(names, field, one).then(|| one.clone()),
    }
}

fn records_of(names: &Names, field: &str, records: &[Value]) -> Option<Value> {
    let theirs: Vec<Value> = records
        .iter()
        .filter_map(|record| match whose(names, record) {
            Whose::Nobodys if named(names, field, record) => Some(record.clone()),
            Whose::Nobodys => None,
            Whose::Theirs => Some(record.clone()),
            Whose::Anothers => Some(Value::from(WITHHELD)),
        })
        .collect();
    (!theirs.is_empty()).then_some(Value::Array(theirs))
}

/// The texts of a document that name one of them, each with its JSON pointer: what [`blank`] would blank.
#[must_use]
pub fn named_texts(names: &Names, document: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    gather(names, "", document, &mut String::new(), &mut found);
    found
}

fn gather(names: &Names, field: &str, document: &Value, pointer: &mut String, found: &mut Vec<(String, Value)>) {
    let length = pointer.len();
    match document {
        Value::Object(fields) => {
            for (name, value) in fields {
                pointer.push('/');
                pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
                if names.are_in(name) {
                    found.push((pointer.clone(), value.clone()));
                } else {
                    gather(names, name, value, pointer, found);
                }
                pointer.truncate(length);
            }
        }
        Value::Array(values) => {
            for (place, value) in values.iter().enumerate() {
                pointer.push('/');
                pointer.push_str(&place.to_string());
                gather(names, field, value, pointer, found);
                pointer.truncate(length);
            }
        }
        one if named(names, field, one) => found.push((pointer.clone(), one.clone())),
        _ => {}
    }
}

/// Whose a line of an audience or an import is; see [`erase_line`] for its forms and `region`.
#[must_use]
pub fn whose_line(names: &Names, line: &Value, region: Option<Region>) -> Whose {
    let typed = line.get("phone").or_else(|| line.get(1)?.get("phone")).and_then(Value::as_str);
    let number = typed.and_then(|typed| PhoneNumber::in_region(typed, region).ok());
    let is_theirs = number.as_ref().is_some_and(|number| names.are_in(number.digits()));
    match (is_theirs, names_in(names, line)) {
        (true, _) => Whose::Theirs,
        (false, false) => Whose::Nobodys,
        (false, true) if number.is_some() => Whose::Anothers,
        (false, true) => Whose::Theirs,
    }
}

/// A line of an audience, of its skipped or held-out lines, or of an import, as `{…}` or `[line, {…}]`: whoever is named
/// in it, it stays in its place and names nobody. A number that was typed without its country code is read as one of
/// `region`. Whether it did.
pub fn erase_line(names: &Names, line: &mut Value, region: Option<Region>) -> bool {
    if whose_line(names, line, region) == Whose::Nobodys {
        return false;
    }
    match line {
        Value::Array(pair) => pair.iter_mut().filter(|part| part.is_object()).for_each(|part| keep_place(names, part)),
        whole => keep_place(names, whole),
    }
    true
}

fn keep_place(names: &Names, line: &mut Value) {
    let Value::Object(fields) = line else {
        *line = Value::Null;
        return;
    };
    fields.retain(|name, value| KEPT_OF_A_LINE.contains(&name.as_str()) && !named(names, name, value));
    fields.insert("phone".to_owned(), Value::from(PhoneNumber::ERASED));
}

/// Whether a document names one of them anywhere.
#[must_use]
pub fn names_in(names: &Names, document: &Value) -> bool {
    named(names, "", document)
}

/// The same of the value of this field; what is in a list is in its field.
fn named(names: &Names, field: &str, value: &Value) -> bool {
    match value {
        Value::String(text) => names.are_in_value(field, text),
        Value::Number(number) => names.are_in(&number.to_string()),
        Value::Array(values) => values.iter().any(|value| named(names, field, value)),
        Value::Object(fields) => fields.iter().any(|(name, value)| names.are_in(name) || named(names, name, value)),
        Value::Bool(_) | Value::Null => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Person;
    use super::*;
    use crate::campaign::audience::{HeldOut, Line, Recipient, Skipped};

    fn names() -> Names {
        Names::of([&Person { digits: ["60123456789".to_owned()].into(), ..Person::default() }]).unwrap()
    }

    #[test]
    fn of_a_notification_only_the_records_of_the_person_go() {
        let message = |from: &str| json!({"from": from, "id": "wamid.X", "type": "text", "text": {"body": "hi"}});
        let contact = |wa_id: &str| json!({"wa_id": wa_id, "profile": {"name": "A"}});
        let mut body = json!({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [
            {"field": "messages", "value": {
                "metadata": {"display_phone_number": "15550783881"},
                "contacts": [contact("60123456789"), contact("60123456780")],
                "messages": [message("60123456789"), message("60123456780")],
                "statuses": [{"recipient_id": "60123456789", "status": "read"}],
            }},
            {"field": "odd", "value": {"about": "60123456789", "n": 60_123_456_789_i64}},
        ]}]});
        assert!(erase_from_notification(&names(), &mut body));
        let value = &body["entry"][0]["changes"][0]["value"];
        assert_eq!(value["messages"], json!([message("60123456780")]));
        assert_eq!(value["contacts"], json!([contact("60123456780")]));
        assert_eq!(value["statuses"], json!([]));
        assert_eq!(value["metadata"]["display_phone_number"], "15550783881");
        assert_eq!(body["entry"][0]["changes"][1]["value"], json!({"about": "erased", "n": null}));
        assert!(!erase_from_notification(&names(), &mut body), "a second time there is nothing left");
    }

    #[test]
    fn of_a_notification_an_export_shows_the_records_of_the_person_and_nothing_of_others() {
        let message = |from: &str, body: &str| json!({"from": from, "id": "wamid.X", "text": {"body": body}});
        let value = json!({
            "metadata": {"display_phone_number": "15550783881"},
            "contacts": [{"wa_id": "60123456789"}, {"wa_id": "60123456780"}],
            "messages": [message("60123456789", "hi"), message("60123456780", "call 60123456789"), message("60123456780", "x")],
            "statuses": [{"recipient_id": "60123456780"}],
            "about": "60123456780",
        });
        let change = |value: &Value| json!({"field": "messages", "value": value});
        let other = json!({"messages": [message("60123456780", "x")]});
        let body = json!({"object": "o", "entry": [{"id": "1", "changes": [change(&value), change(&other)]}]});
        let expected = change(&json!({
            "metadata": {"display_phone_number": "15550783881"},
            "contacts": [{"wa_id": "60123456789"}],
            "messages": [message("60123456789", "hi"), WITHHELD],
        }));
        assert_eq!(
            narrowed(&names(), &body),
            Some(json!({"object": "o", "entry": [{"id": "1", "changes": [expected]}]}))
        );
    }

    #[test]
    fn an_export_shows_something_of_whatever_an_erasure_changes() {
        let documents = [
            json!({"entry": [{"changes": [{"value": {"metadata": {"n": "60123456789"}}}]}]}),
            json!({"60123456789": {"a": 1}}),
            json!({"a": {"b": [{"c": 60_123_456_789_i64}]}}),
            json!([["60123456789"]]),
            json!({"id": "60123456780", "entry": [], "a": [["b"]]}),
            json!("60123456780"),
        ];
        for document in documents {
            let mut left = document.clone();
            let from_notification = erase_from_notification(&names(), &mut left);
            let changed = blank(&names(), &mut left) || from_notification;
            assert_eq!(narrowed(&names(), &document).is_some(), changed, "{document}");
            assert_eq!(named_texts(&names(), &document).is_empty(), !changed, "{document}");
        }
        let document = json!({"errors": [{"reason": "x"}, {"a/b": "of 60123456789"}]});
        assert_eq!(named_texts(&names(), &document), [("/errors/1/a~1b".to_owned(), json!("of 60123456789"))]);
    }

    #[test]
    fn a_line_is_its_numbers_whatever_else_it_mentions() {
        let line = |phone: &str, name: &str| json!({"phone": phone, "name": name});
        for (line, expected) in [
            (line("+60123456789", "A"), Whose::Theirs),
            (line("012-345 6789", "A"), Whose::Theirs),
            (json!([4, line("012-345 6789", "A")]), Whose::Theirs),
            (line("+60123456780", "mother of 60123456789"), Whose::Anothers),
            (line("no number", "60123456789"), Whose::Theirs),
            (line("+60123456780", "B"), Whose::Nobodys),
        ] {
            assert_eq!(whose_line(&names(), &line, "MY".parse().ok()), expected, "{line}");
        }
    }

    #[test]
    fn a_line_keeps_its_place_and_can_still_be_read() {
        let recipient = json!({"seq": 7, "phone": "+60123456789", "name": "A", "variant": 1, "variables": {"x": "y"}});
        let mut page = json!([recipient, {"seq": 8, "phone": "+60123456780", "variant": 0}]);
        for one in page.as_array_mut().unwrap() {
            erase_line(&names(), one, None);
        }
        let page: Vec<Recipient> = serde_json::from_value(page).unwrap();
        assert!(page[0].phone.is_erased() && page[0].name.is_none() && page[0].variables.is_empty());
        assert_eq!((page[0].seq.0, page[0].variant.0, page[1].phone.as_str()), (7, 1, "+60123456780"));

        let mut skipped = json!({"line": 3, "phone": "60123456789", "reason": "the number is in the audience already"});
        assert!(erase_line(&names(), &mut skipped, None));
        assert_eq!(serde_json::from_value::<Skipped>(skipped).unwrap().line, 3);
        let mut held_out = json!({"line": 3, "phone": "+60123456789", "name": "A"});
        assert!(erase_line(&names(), &mut held_out, None));
        assert!(serde_json::from_value::<HeldOut>(held_out).unwrap().phone.is_erased());
        for (typed, region) in [("60123456789", None), ("+60 12-345 6789", None), ("012-345 6789", "MY".parse().ok())] {
            let mut imported = json!([4, {"phone": typed, "name": "A"}]);
            assert!(erase_line(&names(), &mut imported, region), "{typed}");
            assert!(serde_json::from_value::<(u64, Line)>(imported).unwrap().1.name.is_none());
        }
        let mut somebody_else = json!([4, {"phone": "012-345 6789", "name": "A"}]);
        assert!(!erase_line(&names(), &mut somebody_else, "SG".parse().ok()));
    }
}
