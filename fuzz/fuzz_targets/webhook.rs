//! The reader of Meta's notifications, fed with anything: it must not panic, must lose nothing, and whatever stands in one
//! entry must leave its neighbours as they are.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;
use shared::meta::webhook::{Event, Item, NotANotification, Notification, parse};

/// An entry with two statuses, as a neighbour of what is tried.
const NEIGHBOUR: &str = r#"{"id":"neighbour","changes":[{"field":"messages","value":{"metadata":{"phone_number_id":"7"},"statuses":[{"id":"a","status":"sent","timestamp":"1790000000"},{"id":"b","status":"read","timestamp":"1790000001"}]}}]}"#;

/// 9999-12-31T23:59:59Z: what is later would overflow where times are added up.
const LATEST_S: i64 = 253_402_300_799;

fuzz_target!(|data: &[u8]| {
    let parsed = parse(data);
    let json = std::str::from_utf8(data).ok().filter(|text| serde_json::from_str::<&RawValue>(text).is_ok());
    match &parsed {
        Err(NotANotification::NotJson) => assert!(json.is_none(), "JSON was refused as none"),
        Err(NotANotification::NotAnObject) => assert!(!json.unwrap().trim_start().starts_with('{')),
        Ok(notification) => {
            assert!(json.is_some());
            // Each item stands in at least one byte of the body, but for the one that says that the body has no entries.
            assert!(notification.items.len() <= data.len());
            notification.items.iter().for_each(check);
            let again = serde_json::to_string(notification).unwrap();
            assert_eq!(&serde_json::from_str::<Notification>(&again).unwrap(), notification, "kept and read back");
        }
    }
    if let Some(json) = json {
        assert_eq!(parse(format!(" {json}\n").as_bytes()), parsed, "white space around it changed it");
        leaves_its_neighbours_as_they_are(json);
    }
});

fn check(item: &Item) {
    assert!(item.entry_time.is_none_or(|time| (0..=LATEST_S).contains(&time)));
    match &item.event {
        Event::Status(status) => {
            assert!((0..=LATEST_S).contains(&status.timestamp_s));
            assert!(!status.wamid.is_empty());
        }
        Event::Message(message) => {
            assert!((0..=LATEST_S).contains(&message.timestamp_s));
            assert!(!message.wamid.is_empty());
        }
        Event::Malformed(malformed) => assert!(!malformed.place.is_empty() && !malformed.reason.is_empty()),
        _ => {}
    }
}

/// The same JSON as one entry of three.
fn leaves_its_neighbours_as_they_are(json: &str) {
    let items = |entries: &str| parse(format!(r#"{{"entry":[{entries}]}}"#).as_bytes()).unwrap().items;
    let neighbour = items(NEIGHBOUR);
    let alone = items(json);
    let together = items(&format!("{NEIGHBOUR},{json},{NEIGHBOUR}"));
    assert_eq!(together.len(), alone.len() + 2 * neighbour.len());
    assert_eq!(together[..neighbour.len()], neighbour);
    assert_eq!(together[neighbour.len()..together.len() - neighbour.len()], alone);
    assert_eq!(together[together.len() - neighbour.len()..], neighbour);
}
