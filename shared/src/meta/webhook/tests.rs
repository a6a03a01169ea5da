//! What the parser must hold: each sample as the event it is, and no broken element that harms its siblings.

#![allow(clippy::unwrap_used, clippy::panic)]

mod fields;
mod resilience;
mod samples;

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::*;

fn samples_dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/webhooks")
}

/// Every sample body by its name without `.json`.
fn samples() -> Vec<(String, String)> {
    let mut samples = Vec::new();
    for entry in fs::read_dir(samples_dir()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path.extension().is_some_and(|extension| extension == "json") && name != "signature-vectors" {
            samples.push((name, fs::read_to_string(path).unwrap()));
        }
    }
    samples.sort();
    samples
}

fn sample(name: &str) -> String {
    fs::read_to_string(samples_dir().join(format!("{name}.json"))).unwrap()
}

fn items(body: &str) -> Vec<Item> {
    parse(body.as_bytes()).unwrap().items
}

/// The only item of a sample.
fn only(name: &str) -> Item {
    let [item] = <[Item; 1]>::try_from(items(&sample(name))).unwrap();
    item
}

fn only_message(name: &str) -> InboundMessage {
    match only(name).event {
        Event::Message(message) => *message,
        other => panic!("{name}: {other:?}"),
    }
}

fn only_status(name: &str) -> MessageStatus {
    match only(name).event {
        Event::Status(status) => *status,
        other => panic!("{name}: {other:?}"),
    }
}

/// The notification with one change of this field and value.
fn notification(field: &str, value: &Value) -> String {
    json!({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [{"field": field, "value": value}]}]}).to_string()
}

fn status_value(n: usize) -> Value {
    json!({
        "id": format!("wamid.{n}"),
        "status": "delivered",
        "timestamp": "1790000004",
        "recipient_id": format!("1650555{n:04}"),
        "biz_opaque_callback_data": format!("cmp-42:rcp-{n:06}"),
        "pricing": {"billable": true, "pricing_model": "PMP", "category": "marketing", "type": "regular"},
    })
}

fn redacted(text: &str) -> Redacted<String> {
    text.to_owned().into()
}
