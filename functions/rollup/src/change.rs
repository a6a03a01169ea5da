//! A record of the stream as what it adds to the counters.

use aws_lambda_events::event::dynamodb::EventRecord;
use serde_dynamo::{AttributeValue, Item};
use shared::activity;
use shared::attempt::Attempt;
use shared::rollup::contribution::{of_attempt, of_event};
use shared::rollup::{Contribution, SequenceNumber, difference};
use shared::store::keys;

/// What the record adds, with its place in the stream; `None` when it concerns no counter.
///
/// A row that was deleted, by its TTL or by an erasure, is not counted back.
#[must_use]
pub fn read(record: EventRecord) -> Option<(SequenceNumber, Contribution)> {
    if record.event_name == "REMOVE" {
        return None;
    }
    let change = record.change;
    let sequence = SequenceNumber::new(change.sequence_number.as_deref()?);
    let (pk, sk) = (text(&change.keys, "pk")?, text(&change.keys, "sk")?);
    let of = |image: Item| -> Option<Contribution> {
        if image.is_empty() {
            return Some(Contribution::new());
        }
        if let Some(key) = keys::read_attempt(&pk, &sk) {
            let attempt: Attempt = parse(image, "attempt")?;
            return Some(of_attempt(&key, &attempt));
        }
        let partition = keys::read_event_partition(&pk)?;
        let event: activity::Event = parse(image, "event")?;
        Some(of_event(&partition, &event))
    };
    let (old, new) = (of(change.old_image)?, of(change.new_image)?);
    let delta = difference(&old, &new);
    (!delta.is_empty()).then_some((sequence, delta))
}

/// A row that this version cannot read is left out and counted in the log: to stop the stream for it would stop all
/// counters.
fn parse<T: serde::de::DeserializeOwned>(image: Item, what: &'static str) -> Option<T> {
    serde_dynamo::from_item(image)
        .inspect_err(|error| tracing::error!(what, %error, "a row of the stream cannot be read"))
        .ok()
}

fn text(item: &Item, name: &str) -> Option<String> {
    match item.get(name)? {
        AttributeValue::S(text) => Some(text.clone()),
        _ => None,
    }
}
