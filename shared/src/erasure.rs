//! Erasing a person: every row and every object that names them is removed, or rewritten so that it names nobody. Counters
//! stay as they were.
//!
//! Everything is looked through, table and bucket, in passes: a pass changes what it finds, and the erasure is complete
//! when a whole pass finds nothing. So it does not rest on any list of places where a person might be, and what was
//! written behind the first pass (a send that was under way, a webhook on the queue) is found by the next.

pub mod found;
pub mod object;
pub mod person;
pub mod record;
pub mod search;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use ulid::Ulid;

pub use self::person::{Names, Person, TooManyNames};
use crate::id::{ContactId, ErasureId, WorkspaceId};
use crate::time::UnixMillis;

/// What stands where a person was named.
pub const ERASED: &str = "erased";

/// Where an erasure stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Asked for; no pass has begun.
    Pending,
    /// Passes are made.
    Running,
    /// A whole pass has found nothing.
    Complete,
}

/// What one pass has looked at and found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pass {
    /// When it began.
    pub began_at: UnixMillis,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<UnixMillis>,
    /// A runner has died in it, and what that one had changed may not be counted: it cannot be the last.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub interrupted: bool,
    /// Rows and objects looked at, by kind.
    pub looked_at: BTreeMap<String, u64>,
    /// Rows and objects that named a person and do not any more, by kind.
    pub erased: BTreeMap<String, u64>,
    /// Rows that named a person and could not be read or written, and objects that could not be read, by kind: trying again
    /// is of no use, so they keep no erasure from being complete, and somebody has to look at them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unreadable: BTreeMap<String, u64>,
}

impl Pass {
    /// Counts one that was looked at.
    pub fn looked(&mut self, kind: &str) {
        *self.looked_at.entry(kind.to_owned()).or_default() += 1;
    }

    /// Counts one that was changed.
    pub fn changed(&mut self, kind: &str) {
        *self.erased.entry(kind.to_owned()).or_default() += 1;
    }

    /// Counts one of which nobody knows what it says.
    pub fn could_not_read(&mut self, kind: &str) {
        *self.unreadable.entry(kind.to_owned()).or_default() += 1;
    }

    /// Whether nothing was found.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.erased.is_empty() && !self.interrupted
    }
}

/// An erasure, as stored. What names the person is in it until it is complete, and not after.
#[derive(Clone, Serialize, Deserialize)]
pub struct Erasure {
    /// Version of the stored shape.
    pub v: u8,
    /// Its id.
    pub id: ErasureId,
    /// Whose it is.
    pub workspace: WorkspaceId,
    /// The contacts that are erased: the one asked for and those merged with it.
    pub contacts: BTreeSet<ContactId>,
    /// By what the person is known; gone when the erasure is complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<Person>,
    /// Where it stands.
    pub status: Status,
    /// When it was asked for.
    pub asked_at: UnixMillis,
    /// When a whole pass had found nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<UnixMillis>,
    /// The passes that were made for it; the last of a complete one is clean.
    #[serde(default)]
    pub passes: Vec<Pass>,
}

impl std::fmt::Debug for Erasure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Erasure({} {:?})", self.id, self.status)
    }
}

/// A pass that is under way, as stored: a runner that is cut off leaves it where the next goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PassUnderWay {
    /// Version of the stored shape.
    pub v: u8,
    /// The erasures it is made for; one that is asked for later waits for the next pass.
    pub erasures: BTreeSet<ErasureId>,
    /// Who is at it; none between two runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runner: Option<Ulid>,
    /// Where it is.
    pub place: Place,
    /// What it has found so far.
    pub pass: Pass,
}

/// How far a pass is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "in", rename_all = "snake_case")]
pub enum Place {
    /// In the table, behind this row, or at its beginning.
    Table {
        /// Partition and sort key.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        behind: Option<(String, String)>,
    },
    /// In the bucket, behind this object, or at its beginning.
    Bucket {
        /// Its key.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        behind: Option<String>,
    },
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_cannot_be_read_is_counted_and_keeps_no_pass_from_being_the_last() {
        let stored = json!({"began_at": 1, "looked_at": {"uploads": 1}, "erased": {}});
        let mut pass: Pass = serde_json::from_value(stored.clone()).unwrap();
        assert_eq!(serde_json::to_value(&pass).unwrap(), stored, "as it was stored before anything was unreadable");
        pass.could_not_read("uploads");
        assert!(pass.is_clean());
        assert_eq!(serde_json::to_value(&pass).unwrap()["unreadable"], json!({"uploads": 1}));
        pass.changed("uploads");
        assert!(!pass.is_clean());
    }
}
