//! An attempt as the events it stands for: one for each thing that is known of it, with a time that may still get better.
//!
//! `message.sent`, `message.failed` and `message.unknown` belong to one try and carry its number; everything else happens
//! once to a recipient, whichever try it was. That a message was sent, delivered or read may be known only because a later
//! stage proves it; then the event says so (`inferred`) and has the time of the proof, as long as nothing better is known.

use serde_json::{Map, Value};

use super::Published;
use crate::activity::id_of;
use crate::attempt::{Attempt, AttemptKey, Moment, Skip, Stage};
use crate::id::EventId;
use crate::meta::error::ErrorClass;
use crate::time::UnixMillis;

/// The events that an attempt stands for.
///
/// Ids follow from the recipient, the type and, for what belongs to one try, its number: never from a time, for times get
/// earlier. So the time that a ULID carries is the campaign's.
#[must_use]
pub fn of_attempt(key: &AttemptKey, attempt: &Attempt) -> Vec<Published> {
    let row = Row { key, attempt };
    let mut events = Vec::new();
    events.extend(row.sent());
    events.extend(row.arrived(Stage::Delivered, "message.delivered"));
    events.extend(row.arrived(Stage::Read, "message.read"));
    for (kind, moment) in [
        ("message.clicked", attempt.clicked),
        ("message.replied", attempt.replied),
        ("message.opted_out", attempt.opted_out),
    ] {
        events.extend(moment.map(|moment| row.once(kind, moment, Map::new())));
    }
    events.extend(row.closed());
    events.extend(row.failed());
    events.extend(attempt.unknown.map(|moment| row.of_try("message.unknown", moment, Map::new())));
    events.extend(attempt.skipped.as_ref().map(|skip| row.skipped(skip)));
    events
}

struct Row<'a> {
    key: &'a AttemptKey,
    attempt: &'a Attempt,
}

impl Row<'_> {
    fn sent(&self) -> Option<Published> {
        let Attempt { accepted, sent, .. } = self.attempt;
        // The answer to the send counts, though a status may have been faster; nearly always it is the first word, and
        // nothing changes when the status comes.
        let (moment, mark) = match (accepted, sent) {
            (Some(accepted), _) => (*accepted, None),
            (None, Some(sent)) => (*sent, Some("unanswered")),
            (None, None) => (self.proof_of(Stage::Delivered)?, Some("inferred")),
        };
        let data = mark.map(|mark| (mark.to_owned(), Value::Bool(true))).into_iter().collect();
        Some(self.of_try("message.sent", moment, data))
    }

    /// Delivered or read.
    fn arrived(&self, stage: Stage, kind: &str) -> Option<Published> {
        let moment = self.proof_of(stage)?;
        let mut data = Map::new();
        if self.attempt.inferred(stage) {
            data.insert("inferred".to_owned(), Value::Bool(true));
        }
        // Meta charges for what is delivered.
        let pricing = self.attempt.pricing.as_ref().filter(|_| stage == Stage::Delivered);
        if let Some(Ok(pricing)) = pricing.map(serde_json::to_value) {
            data.insert("pricing".to_owned(), pricing);
        }
        Some(self.once(kind, moment, data))
    }

    /// When that stage was reported, else the earliest that proves it.
    fn proof_of(&self, stage: Stage) -> Option<Moment> {
        let Attempt { delivered, read, clicked, replied, .. } = *self.attempt;
        let reported = if stage == Stage::Read { read } else { delivered };
        let read = if stage == Stage::Read { None } else { read };
        reported.or_else(|| [read, clicked, replied].into_iter().flatten().min_by_key(|moment| moment.at))
    }

    fn closed(&self) -> Option<Published> {
        let moment = self.attempt.closed?;
        let value = self.attempt.closed_value.as_ref();
        let data = value.map(|value| {
            [
                ("amount".to_owned(), Value::Number(value.amount.clone())),
                ("currency".to_owned(), Value::from(value.currency.as_str())),
            ]
        });
        Some(self.once("message.closed", moment, data.into_iter().flatten().collect()))
    }

    fn failed(&self) -> Option<Published> {
        let failure = self.attempt.failed.as_ref()?;
        let mut data = Map::from_iter([("code".to_owned(), Value::from(failure.code))]);
        if let Some(title) = &failure.title {
            data.insert("title".to_owned(), Value::from(title.as_str()));
        }
        // As it counts when nothing but the code is known, which is all that is kept.
        if let Ok(class) = serde_json::to_value(ErrorClass::of(failure.code, 400, false)) {
            data.insert("class".to_owned(), class);
        }
        Some(self.of_try("message.failed", Moment { at: failure.at, seen: failure.seen }, data))
    }

    /// Not sent; `after` says what became of the try that is not followed by another.
    fn skipped(&self, skip: &Skip) -> Published {
        let mut data = Map::from_iter([("code".to_owned(), Value::from(skip.code.as_str()))]);
        let Attempt { failed, unknown, .. } = self.attempt;
        if let Some(after) = failed.as_ref().map(|_| "failure").or(unknown.map(|_| "unknown")) {
            data.insert("after".to_owned(), Value::from(after));
        }
        self.once("message.skipped", Moment { at: skip.at, seen: skip.at }, data)
    }

    fn of_try(&self, kind: &str, moment: Moment, mut data: Map<String, Value>) -> Published {
        data.insert("try".to_owned(), Value::from(self.attempt.number));
        self.event(kind, &self.attempt.number.to_string(), moment, data)
    }

    fn once(&self, kind: &str, moment: Moment, data: Map<String, Value>) -> Published {
        self.event(kind, "", moment, data)
    }

    fn event(&self, kind: &str, tried: &str, moment: Moment, data: Map<String, Value>) -> Published {
        Published {
            id: self.id(kind, tried),
            kind: kind.to_owned(),
            at: moment.at,
            seen: moment.seen,
            workspace: self.key.workspace,
            account: Some(self.attempt.account),
            contact: self.attempt.contact,
            campaign: Some(self.key.campaign),
            recipient: Some(self.key.seq),
            variant: Some(self.attempt.variant),
            data,
        }
    }

    fn id(&self, kind: &str, tried: &str) -> EventId {
        let AttemptKey { workspace, campaign, seq, .. } = self.key;
        let at = UnixMillis(i64::try_from(campaign.ulid().timestamp_ms()).unwrap_or(0));
        id_of(at, &["attempt", &workspace.to_string(), &campaign.to_string(), &seq.0.to_string(), kind, tried])
    }
}

#[cfg(test)]
mod tests;
