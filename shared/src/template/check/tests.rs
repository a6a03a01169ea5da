//! Messages that fit their template and messages that do not.

use serde_json::json;

use super::*;

fn template(components: Value) -> Template {
    serde_json::from_value(json!({"name": "offer", "language": "en_US", "components": components})).unwrap()
}

fn offer() -> Definition {
    Definition::read(
        &[
            json!({"type": "HEADER", "format": "IMAGE"}),
            json!({"type": "BODY", "text": "Hi {{1}}, see {{2}} or https://shop.example/all"}),
            json!({"type": "BUTTONS", "buttons": [
                {"type": "URL", "url": "https://go.example/{{1}}"},
                {"type": "QUICK_REPLY", "text": "Stop"},
                {"type": "COPY_CODE"},
                {"type": "URL", "url": "https://shop.example"}]}),
        ],
        Some("POSITIONAL"),
    )
}

fn header() -> Value {
    json!({"type": "header", "parameters": [{"type": "image", "image": {"media_id": "med_01J00000000000000000000000"}}]})
}

fn body(parameters: Value) -> Value {
    json!({"type": "body", "parameters": parameters})
}

fn button(index: Value, sub_type: &str, parameter: Value) -> Value {
    json!({"type": "button", "sub_type": sub_type, "index": index, "parameters": [parameter]})
}

fn fitting() -> Vec<Value> {
    vec![
        header(),
        body(json!([{"type": "text", "text": "{{first_name}}"}, {"type": "link", "url": "https://shop.example/a"}])),
        button(json!("0"), "url", json!({"type": "link", "url": "https://shop.example/b"})),
        button(json!(2), "COPY_CODE", json!({"type": "coupon_code", "coupon_code": "SPRING25"})),
    ]
}

fn problems(definition: &Definition, components: Vec<Value>) -> Vec<(String, String)> {
    let found = check_parameters(definition, &template(Value::Array(components)));
    found.into_iter().map(|problem| (problem.pointer, problem.reason)).collect()
}

#[test]
fn a_message_that_fits_has_no_problem() {
    assert_eq!(problems(&offer(), fitting()), []);
}

#[test]
fn every_place_that_does_not_fit_is_pointed_at() {
    let text = |text: &str| json!({"type": "text", "text": text});
    for (change, at, pointer, reason) in [
        (body(json!([text("a")])), 1, "/components/1/parameters", "the template's body has 2 parameters, not 1"),
        (body(json!([text("a"), text("b\nc")])), 1, "/components/1/parameters/1/text", "line breaks"),
        (body(json!([text("a"), {"type": "image"}])), 1, "/components/1/parameters/1/type", "must be text, link"),
        (
            body(json!([text("a"), {"type": "text", "text": "b", "parameter_name": "b"}])),
            1,
            "/components/1/parameters/1/parameter_name",
            "go by position",
        ),
        (
            json!({"type": "header", "parameters": [{"type": "video", "video": {"id": "1"}}]}),
            0,
            "/components/0/parameters/0/type",
            "must be image",
        ),
        (
            json!({"type": "header", "parameters": [{"type": "image", "image": {}}]}),
            0,
            "/components/0/parameters/0/image",
            "exactly one of media_id, id and link",
        ),
        (button(json!("9"), "url", text("x")), 3, "/components/3/index", "has 4 buttons"),
        (button(json!(3), "url", text("x")), 3, "/components/3", "takes no parameter"),
        (button(json!(1), "url", text("x")), 3, "/components/3/sub_type", "must be quick_reply"),
        (button(json!(1), "quick_reply", text("x")), 3, "/components/3/parameters/0", "payload"),
        (
            button(json!(2), "copy_code", json!({"type": "coupon_code", "coupon_code": "SIXTEENLETTERSXX"})),
            3,
            "/components/3/parameters/0/coupon_code",
            "1 to 15",
        ),
        (json!({"type": "footer"}), 3, "/components/3/type", "must be header, body or button"),
    ] {
        let mut components = fitting();
        components[at] = change;
        let found = problems(&offer(), components);
        let fits = |(at, why): &(String, String)| at == pointer && why.contains(reason);
        assert!(found.iter().any(fits), "{pointer} {reason}: {found:?}");
    }
}

#[test]
fn everything_that_is_missing_is_named_at_once() {
    let found = problems(&offer(), Vec::new());
    let reasons: Vec<&str> = found.iter().map(|(_, reason)| reason.as_str()).collect();
    assert_eq!(
        reasons,
        [
            "the header needs a parameter of type image",
            "the body needs 2 parameters",
            "button 0 (url) needs a parameter",
            "button 2 (copy_code) needs a parameter",
        ]
    );
    assert!(found.iter().all(|(pointer, _)| pointer == "/components"));
}

#[test]
fn named_variables_are_given_by_name_in_any_order() {
    let definition = Definition::read(&[json!({"type": "BODY", "text": "{{name}}: {{thing}}!"})], Some("NAMED"));
    let given = |names: [&str; 2]| {
        vec![body(json!(names.map(|name| json!({"type": "text", "text": "x", "parameter_name": name}))))]
    };
    assert_eq!(problems(&definition, given(["thing", "name"])), []);
    let found = problems(&definition, given(["thing", "thing"]));
    assert_eq!(found[0].0, "/components/0/parameters/1/parameter_name");
    let found = problems(&definition, given(["thing", "nmae"]));
    assert!(found[0].1.contains("but name, thing"), "{found:?}");
    let found =
        problems(&definition, vec![body(json!([{"type": "text", "text": "x"}, {"type": "text", "text": "y"}]))]);
    assert!(found[0].1.contains("add parameter_name"), "{found:?}");
}

#[test]
fn a_carousel_has_exactly_its_cards_each_complete() {
    let card = json!({"components": [
        {"type": "HEADER", "format": "IMAGE"},
        {"type": "BUTTONS", "buttons": [{"type": "URL", "url": "https://go.example/{{1}}"}]}]});
    let definition = Definition::read(&[json!({"type": "CAROUSEL", "cards": [card, card]})], None);
    let given = |index: u32| json!({"card_index": index, "components": [header(), button(json!(0), "url", json!({"type": "text", "text": "x"}))]});
    let carousel = |cards: Vec<Value>| vec![json!({"type": "carousel", "cards": cards})];
    assert_eq!(problems(&definition, carousel(vec![given(0), given(1)])), []);
    assert_eq!(problems(&definition, carousel(vec![given(0)]))[0].0, "/components/0/cards");
    let mut broken = given(1);
    broken["components"] = json!([header()]);
    assert_eq!(problems(&definition, carousel(vec![given(0), broken]))[0].0, "/components/0/cards/1/components");
    assert_eq!(problems(&definition, Vec::new())[0].1, "the template's carousel needs 2 cards");
}

#[test]
fn only_variables_can_carry_a_tracked_link() {
    let links = trackable_links(&offer(), &template(Value::Array(fitting())), "https://go.example/");
    let shown: Vec<(&str, &str, bool)> =
        links.iter().map(|link| (link.place.as_str(), link.url.as_str(), link.tracking == Tracking::Tracked)).collect();
    assert_eq!(
        shown,
        [
            ("body", "https://shop.example/all", false),
            ("body", "https://shop.example/a", true),
            ("button 0", "https://shop.example/b", true),
            ("button 3", "https://shop.example", false),
        ]
    );
}

#[test]
fn a_button_that_leads_elsewhere_is_said_to_break_its_link() {
    let links = trackable_links(&offer(), &template(Value::Array(fitting())), "https://links.example");
    let button = links.iter().find(|link| link.place == "button 0").unwrap();
    let Tracking::NotTracked(reason) = &button.tracking else { panic!("tracked") };
    assert!(reason.contains("begins with https://go.example/") && reason.contains("broken"), "{reason}");
}

#[test]
fn links_behind_an_approved_address_are_found_with_their_places() {
    let link = || json!({"type": "link", "url": "https://shop.example/b"});
    let found = |pointer: &str| ButtonLink { pointer: pointer.to_owned(), before: "https://go.example/".to_owned() };
    let of_main = button_links(&offer(), &template(Value::Array(fitting())));
    assert_eq!(of_main, [found("/components/2/parameters/0")], "the one in the text is on no approved address");
    let card =
        json!({"components": [{"type": "BUTTONS", "buttons": [{"type": "URL", "url": "https://go.example/{{1}}"}]}]});
    let definition = Definition::read(&[json!({"type": "CAROUSEL", "cards": [card, card]})], None);
    let text = json!({"components": [button(json!(0), "url", json!({"type": "text", "text": "x"}))]});
    let given = json!({"type": "carousel", "cards": [text, {"components": [button(json!(0), "url", link())]}]});
    let of_card = button_links(&definition, &template(json!([given])));
    assert_eq!(of_card, [found("/components/0/cards/1/components/0/parameters/0")]);
}
