//! A record of the stream as what it adds to the counters.

use aws_lambda_events::event::dynamodb::EventRecord;
use serde_dynamo::{AttributeValue, Item};
use shared::rollup::{Contribution, SequenceNumber, difference, row};

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
        if image.is_empty() { Some(Contribution::new()) } else { row::of_row(&pk, &sk, image) }
    };
    let (old, new) = (of(change.old_image)?, of(change.new_image)?);
    let delta = difference(&old, &new);
    (!delta.is_empty()).then_some((sequence, delta))
}

fn text(item: &Item, name: &str) -> Option<String> {
    match item.get(name)? {
        AttributeValue::S(text) => Some(text.clone()),
        _ => None,
    }
}
