//! What is to be replayed, and how far that is: the function's event and its answer.

use serde::{Deserialize, Serialize};
use shared::archive::ObjectName;
use shared::store::keys::Key;
use shared::time::{UnixMillis, rfc3339};

use crate::compare::Comparison;

/// A replay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// What the names of the fresh tables begin with: `{into}-core` and `{into}-rollup`.
    pub into: String,
    /// Messages that were taken in before this time are left out, and what came of them is copied. The first step moves it to
    /// where the archive begins, if that is later: what came of objects that were swept is copied too, for nothing makes it again.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "rfc3339::option")]
    pub from: Option<UnixMillis>,
    /// The same of messages that were taken in at this time or later.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "rfc3339::option")]
    pub to: Option<UnixMillis>,
    /// How far it is; a new one begins at the beginning.
    #[serde(default)]
    pub phase: Phase,
    /// What was done so far.
    #[serde(default)]
    pub done: Done,
    /// How the fresh tables compare with the live ones, as far as they were compared.
    #[serde(default)]
    pub comparison: Comparison,
}

/// What a replay is doing, and what it has come to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum Phase {
    /// Makes the tables.
    #[default]
    Tables,
    /// Copies rows, after this one.
    Copy {
        /// The last row that was looked at.
        after: Option<Key>,
    },
    /// Takes messages in, after this object.
    Feed {
        /// The last object that was taken in.
        after: Option<String>,
    },
    /// Counts rows, after this one.
    Count {
        /// The last row of a partition that was counted.
        after: Option<Key>,
    },
    /// Compares the live rows, after this one.
    Rows {
        /// The last row that was compared.
        after: Option<Key>,
    },
    /// Looks for rows that only the fresh table has.
    MoreRows {
        /// The last row that was looked at.
        after: Option<Key>,
    },
    /// Compares the live counters, after this one.
    Counters {
        /// The last counter item that was compared.
        after: Option<Key>,
    },
    /// Looks for counters that only the fresh table has.
    MoreCounters {
        /// The last counter item that was looked at.
        after: Option<Key>,
    },
    /// Everything is done.
    Ended,
}

/// What was done, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Done {
    /// Rows that were copied, whole or in part.
    pub copied: u64,
    /// Objects of the archive that were read.
    pub objects: u64,
    /// Messages that were taken in.
    pub messages: u64,
    /// Counter items that were written.
    pub counters: u64,
    /// Rows and counter items that were compared.
    pub compared: u64,
}

impl Job {
    /// A replay of everything into tables whose names begin so.
    #[must_use]
    pub fn new(into: impl Into<String>) -> Self {
        Self {
            into: into.into(),
            from: None,
            to: None,
            phase: Phase::Tables,
            done: Done::default(),
            comparison: Comparison::default(),
        }
    }

    /// The fresh CORE.
    #[must_use]
    pub fn core_table(&self) -> String {
        format!("{}-core", self.into)
    }

    /// The fresh ROLLUP.
    #[must_use]
    pub fn rollup_table(&self) -> String {
        format!("{}-rollup", self.into)
    }

    /// Takes note of the archive's oldest object: nothing older can be made again. Without any object nothing can, so that what
    /// was taken in before `now` is copied.
    pub fn begin_with(&mut self, oldest: Option<&ObjectName>, now: UnixMillis) {
        let begins = oldest.map_or(Some(now), ObjectName::hour_began);
        self.from = self.from.max(begins);
    }

    /// Whether what was taken in at this time is replayed.
    #[must_use]
    pub fn covers(&self, seen: UnixMillis) -> bool {
        self.from.is_none_or(|from| seen >= from) && self.to.is_none_or(|to| seen < to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_needs_a_name_only_and_an_answer_is_the_next_event() {
        let job: Job = serde_json::from_str(r#"{"into":"replay"}"#).unwrap();
        assert_eq!(job, Job::new("replay"));
        let mut job = Job { from: Some(UnixMillis(0)), ..job };
        job.phase = Phase::Feed { after: Some("archive/raw/x".to_owned()) };
        job.done.messages = 7;
        let json = serde_json::to_string(&job).unwrap();
        assert!(json.contains(r#""from":"1970-01-01T00:00:00.000Z""#), "{json}");
        assert_eq!(serde_json::from_str::<Job>(&json).unwrap(), job);
        assert!(serde_json::from_str::<Job>(r#"{"into":"replay","form":1}"#).is_err());
    }

    #[test]
    fn a_part_of_the_time_is_from_its_beginning_to_before_its_end() {
        let job = Job { from: Some(UnixMillis(5)), to: Some(UnixMillis(9)), ..Job::new("x") };
        assert_eq!([4, 5, 8, 9].map(|at| job.covers(UnixMillis(at))), [false, true, true, false]);
    }

    #[test]
    fn a_replay_begins_where_the_archive_does_or_later() {
        let oldest: ObjectName = "2026-09-21T14/1790000000001-00".parse().unwrap();
        let (began, now) = (UnixMillis(1_789_999_200_000), UnixMillis(1_790_000_000_000));
        let from = |from: Option<i64>, oldest: Option<&ObjectName>| {
            let mut job = Job { from: from.map(UnixMillis), ..Job::new("x") };
            job.begin_with(oldest, now);
            job.from
        };
        assert_eq!(from(None, Some(&oldest)), Some(began));
        assert_eq!(from(Some(5), Some(&oldest)), Some(began));
        assert_eq!(from(Some(began.0 + 7), Some(&oldest)), Some(UnixMillis(began.0 + 7)));
        assert_eq!(from(None, None), Some(now), "an empty archive makes nothing again");
    }
}
