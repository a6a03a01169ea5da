//! How long each kind of data is kept. A row is given its end when it is written (DynamoDB's TTL deletes it within days of
//! it: AWS, "Time to live"). A rule that changes holds for what is written from then on. Counters stay: what expires is not
//! counted back.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::time::UnixMillis;

/// A kind of data with a rule of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// What people wrote to us, and other events that hold an item of Meta's as it came.
    Messages,
    /// Clicks, web events and all other events of the feed.
    Events,
    /// Attempts, and the touches by which replies find them.
    Attempts,
    /// The audit log.
    Audit,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Messages, Self::Events, Self::Attempts, Self::Audit];

    /// Its name in a setting.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Messages => "messages",
            Self::Events => "events",
            Self::Attempts => "attempts",
            Self::Audit => "audit",
        }
    }
}

/// The rules. Without one a kind is kept for good.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention(BTreeMap<Kind, u16>);

/// A text that holds no rules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected days by kind such as messages=400,audit=90; kinds are messages, events, attempts, audit; {0}")]
pub struct MalformedRetention(String);

/// The shortest time for what was sent: campaigns run and pause for weeks, and who was sent to must be known meanwhile.
const FEWEST_DAYS_OF_ATTEMPTS: u16 = 90;

/// The shortest time for all else: duplicates of a notification come for up to 7 days (Meta, webhooks), and what they repeat must still
/// be known then.
const FEWEST_DAYS: u16 = 8;

impl Retention {
    /// How long a kind is kept; `None`: for good.
    #[must_use]
    pub fn of(&self, kind: Kind) -> Option<Duration> {
        self.0.get(&kind).map(|days| Duration::from_secs(u64::from(*days) * 86_400))
    }

    /// The end of a row that was written at `at`, in seconds since the epoch as the TTL attribute wants it.
    #[must_use]
    pub fn expiry(&self, kind: Kind, at: UnixMillis) -> Option<i64> {
        self.of(kind).map(|kept| at.plus(kept).seconds())
    }
}

impl FromStr for Retention {
    type Err = MalformedRetention;

    fn from_str(text: &str) -> Result<Self, MalformedRetention> {
        let mut rules = BTreeMap::new();
        for rule in text.split(',').map(str::trim).filter(|rule| !rule.is_empty()) {
            let (name, days) = rule.split_once('=').ok_or_else(|| MalformedRetention("a rule has no =".to_owned()))?;
            let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name.trim());
            let kind = kind.ok_or_else(|| MalformedRetention(format!("{} is none", name.trim())))?;
            let fewest = if kind == Kind::Attempts { FEWEST_DAYS_OF_ATTEMPTS } else { FEWEST_DAYS };
            let days = days.trim().parse().ok().filter(|days| *days >= fewest);
            let days =
                days.ok_or_else(|| MalformedRetention(format!("{} needs {fewest} to 65535 days", kind.name())))?;
            if rules.insert(kind, days).is_some() {
                return Err(MalformedRetention(format!("{} is there twice", kind.name())));
            }
        }
        Ok(Self(rules))
    }
}

impl fmt::Display for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules: Vec<String> = self.0.iter().map(|(kind, days)| format!("{}={days}", kind.name())).collect();
        f.write_str(&rules.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_days_by_kind() {
        let retention: Retention = "messages=400, audit=90".parse().unwrap();
        assert_eq!(retention.expiry(Kind::Audit, UnixMillis(1_000)), Some(1 + 90 * 86_400));
        assert_eq!(retention.expiry(Kind::Events, UnixMillis(1_000)), None, "kept for good");
        assert_eq!(retention.to_string().parse(), Ok(retention));
        assert_eq!("".parse(), Ok(Retention::default()));
    }

    #[test]
    fn a_mistake_is_named() {
        for (text, word) in [
            ("audit", "="),
            ("mail=9", "mail"),
            ("audit=x", "audit"),
            ("audit=7", "8 to"),
            ("attempts=89", "90 to"),
            ("audit=9,audit=10", "twice"),
        ] {
            let error = text.parse::<Retention>().unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
