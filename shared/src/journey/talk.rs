//! What a person and one business number say to each other: where it stands, and how long each side waited. A clock starts
//! with the first thing the person writes and only a human's answer stops it; campaigns, bots and confirmations do not.
//! [`crate::conversation`] is the row with the last times only; this is all of it, from the events.

use std::time::Duration;

use serde::Serialize;

use super::trace::{Part, Trace, in_order};
use crate::time::{UnixMillis, rfc3339};

/// An exchange in which nothing was said for so long is over: what is said then begins another one. So the past of an
/// exchange is known to whoever looks back this far, see [`responses`](super::responses).
pub const OVER_AFTER: Duration = Duration::from_secs(7 * 24 * 3_600);

/// Who owes whom a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// The person wrote last.
    WaitingForUs,
    /// The business wrote last.
    WaitingForThem,
    /// It was declared to be over, and the person has not written since.
    Resolved,
}

impl Standing {
    /// Where a conversation stands by the last times that something happened; `None` when nothing has. Of equal times the
    /// answer and the end come after the question.
    #[must_use]
    pub fn of(wrote: Option<UnixMillis>, answered: Option<UnixMillis>, resolved: Option<UnixMillis>) -> Option<Self> {
        if resolved.is_some() && resolved >= wrote {
            return Some(Self::Resolved);
        }
        match (wrote, answered) {
            (None, None) => None,
            (wrote, answered) if wrote > answered => Some(Self::WaitingForUs),
            _ => Some(Self::WaitingForThem),
        }
    }

    /// The state's name in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::WaitingForUs => "waiting_for_us",
            Self::WaitingForThem => "waiting_for_them",
            Self::Resolved => "resolved",
        }
    }
}

/// Who began an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Opener {
    /// The person.
    Person,
    /// The business: nobody was waited for, so there is no first response.
    Business,
    /// It was resolved, and what was said before is longer ago than [`OVER_AFTER`].
    Unknown,
}

/// A time during which a person waited for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Wait {
    /// When they wrote the first of what they wrote in a row.
    #[serde(with = "rfc3339")]
    pub from: UnixMillis,
    /// When they were answered; absent when the conversation was resolved or went to sleep without an answer, or when they
    /// are waiting still.
    #[serde(with = "rfc3339::option")]
    pub until: Option<UnixMillis>,
}

impl Wait {
    /// How long it took; `None` without an answer.
    #[must_use]
    pub fn took(&self) -> Option<Duration> {
        self.until.map(|until| until.since(self.from))
    }
}

/// To whom a conversation was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Assigned {
    /// In the operator's words.
    pub to: String,
    /// When.
    #[serde(with = "rfc3339")]
    pub at: UnixMillis,
}

/// An exchange: from its first word until nothing more was said for [`OVER_AFTER`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Exchange {
    /// When its first word was said.
    #[serde(with = "rfc3339")]
    pub opened_at: UnixMillis,
    /// By whom.
    pub opened_by: Opener,
    /// Every time that the person waited.
    pub waits: Vec<Wait>,
    /// When it was resolved the last time, unless the person has written since.
    #[serde(with = "rfc3339::option")]
    pub resolved_at: Option<UnixMillis>,
    /// How often the person wrote again after it was resolved.
    pub reopened: u32,
    /// To whom it was given last.
    pub assigned: Option<Assigned>,
    /// What the person wrote.
    pub received: u32,
    /// What people of the business wrote.
    pub answered: u32,
    /// When the last thing was said or it was resolved.
    #[serde(with = "rfc3339")]
    pub last_at: UnixMillis,
    #[serde(skip)]
    waiting: bool,
}

impl Exchange {
    const fn new(at: UnixMillis, opened_by: Opener) -> Self {
        Self {
            opened_at: at,
            opened_by,
            waits: Vec::new(),
            resolved_at: None,
            reopened: 0,
            assigned: None,
            received: 0,
            answered: 0,
            last_at: at,
            waiting: false,
        }
    }

    /// When the person was answered for the first time, if they began it.
    #[must_use]
    pub fn first_response_at(&self) -> Option<UnixMillis> {
        self.waits.iter().find_map(|wait| wait.until).filter(|_| self.opened_by == Opener::Person)
    }

    /// How long the person waited for that.
    #[must_use]
    pub fn first_response(&self) -> Option<Duration> {
        Some(self.first_response_at()?.since(self.opened_at))
    }

    /// How long it took from its first word until it was resolved for good, if the person began it.
    #[must_use]
    pub fn resolution(&self) -> Option<Duration> {
        let resolved = self.resolved_at.filter(|_| self.opened_by == Opener::Person)?;
        Some(resolved.since(self.opened_at))
    }
}

/// All that a person and one number of the business have said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Talk {
    /// First to last.
    pub exchanges: Vec<Exchange>,
    /// Where it stands; `None` when nothing was ever said.
    pub standing: Option<Standing>,
    /// To whom it was given last.
    pub assigned: Option<Assigned>,
    /// When the person wrote last.
    pub wrote_at: Option<UnixMillis>,
}

impl Talk {
    /// Of one person and one number. The order of the traces, and how often each comes, changes nothing.
    #[must_use]
    pub fn of(traces: impl IntoIterator<Item = Trace>) -> Self {
        let (mut talk, mut answered_at, mut resolved_at) = (Self::default(), None, None);
        for Trace { at, part, .. } in in_order(traces) {
            match part {
                Part::Wrote => {
                    talk.wrote_at = Some(at);
                    let exchange = talk.present_or_new(at, Opener::Person);
                    exchange.reopened += u32::from(exchange.resolved_at.take().is_some());
                    exchange.received += 1;
                    if !exchange.waiting {
                        exchange.waiting = true;
                        exchange.waits.push(Wait { from: at, until: None });
                    }
                }
                Part::Answered => {
                    answered_at = Some(at);
                    let exchange = talk.present_or_new(at, Opener::Business);
                    exchange.answered += 1;
                    if std::mem::take(&mut exchange.waiting)
                        && let Some(wait) = exchange.waits.last_mut()
                    {
                        wait.until = Some(at);
                    }
                }
                Part::Resolved => {
                    resolved_at = Some(at);
                    let exchange = talk.present_or_new(at, Opener::Unknown);
                    exchange.waiting = false;
                    exchange.resolved_at.get_or_insert(at);
                }
                Part::Assigned { to } => {
                    let assigned = Assigned { to, at };
                    if let Some(exchange) = talk.present(at) {
                        exchange.assigned = Some(assigned.clone());
                    }
                    talk.assigned = Some(assigned);
                }
                Part::Acted | Part::Aside => {}
            }
        }
        talk.standing = Standing::of(talk.wrote_at, answered_at, resolved_at);
        talk
    }

    /// The exchange that goes on at this time.
    fn present(&mut self, at: UnixMillis) -> Option<&mut Exchange> {
        self.exchanges.last_mut().filter(|exchange| at.since(exchange.last_at) <= OVER_AFTER)
    }

    /// The same, or else a new one, in which something is said now.
    fn present_or_new(&mut self, at: UnixMillis, opener: Opener) -> &mut Exchange {
        if self.present(at).is_none() {
            self.exchanges.push(Exchange::new(at, opener));
        }
        let last = self.exchanges.len() - 1;
        let exchange = &mut self.exchanges[last];
        exchange.last_at = at;
        exchange
    }
}

#[cfg(test)]
mod tests;
