//! The reader of what web pages report, fed with anything: it must not panic, must say something of each event, and an event
//! that cannot be taken must leave its siblings as they are.

#![no_main]

use std::collections::BTreeMap;

use collect::{MAX_EVENTS, Refusal, Report, parse};
use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;
use shared::collected::WebEvent;
use shared::time::UnixMillis;

const NOW: UnixMillis = UnixMillis(1_790_000_000_000);

/// Pages keep for so long what they could not send.
const OLDEST_MS: i64 = 30 * 86_400_000;

/// Siblings of what is tried.
const SIBLING: &str = r#"{"id":"sibling","name":"purchase","value":{"amount":49.9,"currency":"MYR"}}"#;

fuzz_target!(|data: &[u8]| {
    if let Ok(report) = parse(data) {
        // Numbers that no type holds are valid JSON.
        let given: BTreeMap<String, Box<RawValue>> = serde_json::from_slice(data).unwrap();
        let events: Vec<Box<RawValue>> = serde_json::from_str(given["events"].get()).unwrap();
        check(report, events.len());
    }
    let json = std::str::from_utf8(data).ok().filter(|text| serde_json::from_str::<&RawValue>(text).is_ok());
    if let Some(json) = json {
        leaves_its_siblings_as_they_are(json);
    }
});

fn check(report: Report, given: usize) {
    let Report { events, rejected, warnings, .. } = report;
    assert!(given <= MAX_EVENTS);
    assert_eq!(events.len() + rejected.len(), given, "each event is taken or told back");
    assert!(rejected.iter().all(|one| one.index < given && !one.reason.is_empty()));
    assert!(warnings.iter().all(|one| one.index < given && rejected.iter().all(|other| other.index != one.index)));
    for event in events {
        let event = event.taken_at(NOW);
        assert!((NOW.0 - OLDEST_MS..=NOW.0).contains(&event.at.0));
        let kept = serde_json::to_string(&event).unwrap();
        assert!(serde_json::from_str::<WebEvent>(&kept).unwrap() == event, "kept and read back");
    }
}

/// The same JSON as one event of three.
fn leaves_its_siblings_as_they_are(json: &str) {
    let report = |events: &str| parse(format!(r#"{{"write_key":"wk_x","events":[{events}]}}"#).as_bytes());
    let sibling = report(SIBLING).unwrap().events.remove(0);
    match report(&format!("{SIBLING},{json},{SIBLING}")) {
        Ok(together) => {
            assert!(together.events.first() == Some(&sibling) && together.events.last() == Some(&sibling));
            assert!(together.rejected.iter().all(|one| one.index == 1));
            check(together, 3);
        }
        // Only for its size: JSON among JSON is JSON.
        Err(refusal) => assert!(matches!(refusal, Refusal::TooLarge), "{refusal}"),
    }
}
