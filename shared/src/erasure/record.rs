//! Taking a person out of a JSON document: of a list of records those that name them, of anything else the texts.

use std::ops::BitOr;

use serde_json::Value;

use super::{ERASED, Names};
use crate::phone::{PhoneNumber, Region};

/// What a line of an audience or an import keeps of somebody who is erased: its place, so that the others keep theirs.
const KEPT_OF_A_LINE: [&str; 4] = ["seq", "line", "variant", "reason"];

/// Lists in a notification of Meta's that hold other lists and no records of people.
const ENVELOPES: [&str; 2] = ["entry", "changes"];

/// Takes the people out of a notification of Meta's: every record (message, status, contact…) that names one is removed,
/// and texts outside of records are blanked. Whether anything was.
pub fn erase_from_notification(names: &Names, document: &mut Value) -> bool {
    match document {
        Value::Object(fields) => {
            let mut changed = false;
            for (name, value) in fields.iter_mut() {
                match value {
                    Value::Array(records) if !ENVELOPES.contains(&name.as_str()) => {
                        let before = records.len();
                        records.retain(|record| !names_in(names, record));
                        changed |= records.len() != before;
                    }
                    other => changed |= erase_from_notification(names, other),
                }
            }
            changed
        }
        Value::Array(values) => {
            values.iter_mut().map(|value| erase_from_notification(names, value)).fold(false, BitOr::bitor)
        }
        text => blank(names, text),
    }
}

/// Takes the people out of any other document by blanking the texts that name one. Whether anything was.
pub fn blank(names: &Names, document: &mut Value) -> bool {
    match document {
        Value::String(text) if names.are_in(text) => {
            *text = ERASED.to_owned();
            true
        }
        Value::Number(number) if names.are_in(&number.to_string()) => {
            *document = Value::Null;
            true
        }
        Value::Array(values) => values.iter_mut().map(|value| blank(names, value)).fold(false, BitOr::bitor),
        Value::Object(fields) => {
            let before = fields.len();
            fields.retain(|name, _| !names.are_in(name));
            let fewer = fields.len() != before;
            fields.iter_mut().fold(fewer, |changed, (_, value)| blank(names, value) || changed)
        }
        _ => false,
    }
}

/// A line of an audience, of its skipped or held-out lines, or of an import, as `{…}` or `[line, {…}]`: whoever is named
/// in it, it stays in its place and names nobody. A number that was typed without its country code is read as one of
/// `region`. Whether it did.
pub fn erase_line(names: &Names, line: &mut Value, region: Option<Region>) -> bool {
    let typed = line.get("phone").or_else(|| line.get(1)?.get("phone")).and_then(Value::as_str);
    let number = typed.and_then(|typed| PhoneNumber::in_region(typed, region).ok());
    if !number.is_some_and(|number| names.are_in(number.digits())) && !names_in(names, line) {
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
    fields.retain(|name, value| KEPT_OF_A_LINE.contains(&name.as_str()) && !names_in(names, value));
    fields.insert("phone".to_owned(), Value::from(PhoneNumber::ERASED));
}

/// Whether a document names one of them anywhere.
#[must_use]
pub fn names_in(names: &Names, document: &Value) -> bool {
    match document {
        Value::String(text) => names.are_in(text),
        Value::Number(number) => names.are_in(&number.to_string()),
        Value::Array(values) => values.iter().any(|value| names_in(names, value)),
        Value::Object(fields) => fields.iter().any(|(name, value)| names.are_in(name) || names_in(names, value)),
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
