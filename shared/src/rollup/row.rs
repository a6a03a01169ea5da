//! Which rows count for something: the one place that both the stream and a recount ask.

use serde::de::DeserializeOwned;

use super::Contribution;
use super::click::of_visits;
use super::contribution::{of_attempt, of_event};
use crate::activity;
use crate::attempt::Attempt;
use crate::link::visits::Visits;
use crate::store::keys;

/// What a row counts for; `None` when it is none that counts, or one that this version cannot read. Such a row is left out
/// and named in the log: to stop for it would stop all counters.
#[must_use]
pub fn of_row(pk: &str, sk: &str, image: impl Into<serde_dynamo::Item>) -> Option<Contribution> {
    if let Some(key) = keys::read_attempt(pk, sk) {
        let attempt: Attempt = parse(image, "attempt")?;
        return Some(of_attempt(&key, &attempt));
    }
    if let Some(key) = keys::read_visits(pk, sk) {
        let visits: Visits = parse(image, "visits")?;
        return Some(of_visits(&key, &visits));
    }
    let partition = keys::read_event_partition(pk)?;
    let event: activity::Event = parse(image, "event")?;
    Some(of_event(&partition, &event))
}

fn parse<T: DeserializeOwned>(image: impl Into<serde_dynamo::Item>, what: &'static str) -> Option<T> {
    serde_dynamo::from_item(image.into())
        .inspect_err(|error| tracing::error!(what, %error, "a row cannot be counted"))
        .ok()
}
