//! A record of the stream as what it publishes.

use aws_lambda_events::event::dynamodb::EventRecord;
use serde_dynamo::{AttributeValue, Item};
use shared::activity;
use shared::attempt::Attempt;
use shared::published::{Change, Published, changes, of_attempt, of_event};
use shared::rollup::SequenceNumber;
use shared::store::keys;

/// What the record publishes, with its place in the stream.
///
/// A row that was deleted, by its TTL or by an erasure, publishes nothing; nor does a row of the feed that is changed, for
/// what it says has been published and only an erasure changes it.
#[must_use]
pub fn read(record: EventRecord) -> Vec<(SequenceNumber, Change)> {
    published(record).unwrap_or_default()
}

fn published(record: EventRecord) -> Option<Vec<(SequenceNumber, Change)>> {
    if record.event_name == "REMOVE" {
        return None;
    }
    let change = record.change;
    let sequence = SequenceNumber::new(change.sequence_number.as_deref()?);
    let (pk, sk) = (text(&change.keys, "pk")?, text(&change.keys, "sk")?);
    let changes = if let Some(key) = keys::read_attempt(&pk, &sk) {
        let of = |image: Item| -> Option<Vec<Published>> {
            if image.is_empty() {
                return Some(Vec::new());
            }
            Some(of_attempt(&key, &parse::<Attempt>(image, "attempt")?))
        };
        // Of a row that was unreadable before, all of it is news.
        changes(&of(change.old_image).unwrap_or_default(), of(change.new_image)?)
    } else {
        let partition = keys::read_event_partition(&pk)?;
        if !change.old_image.is_empty() {
            return None;
        }
        let event: activity::Event = parse(change.new_image, "event")?;
        vec![Change { event: of_event(partition.workspace, partition.account, &event), was: None }]
    };
    Some(changes.into_iter().map(|change| (sequence.clone(), change)).collect())
}

/// A row that this version cannot read is left out and counted in the log: to stop the stream for it would stop all
/// that is behind it.
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
