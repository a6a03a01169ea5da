//! Erasing a person: every row and every object that names them is removed, or rewritten so that it names nobody. Counters
//! stay as they were, and so does what an operator sends to everybody: it is counted, for the operator to look at.
//!
//! Everything is looked through, table and bucket, in passes: a pass changes what it finds, and the erasure is complete
//! when a whole pass finds nothing. So it does not rest on any list of places where a person might be, and what was
//! written behind the first pass (a send that was under way, a webhook on the queue) is found by the next.

pub mod found;
pub mod object;
mod owner;
pub mod person;
pub mod record;
pub mod search;
mod upload;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

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
    /// Definitions that name a person and stay as they are, by what they define: they go to everybody, and only the operator
    /// can say whether a name in them is a person's at all. They keep no erasure from being complete.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub left: BTreeMap<String, u64>,
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

    /// Counts a definition that stays as it is.
    pub fn leaves(&mut self, what: &str) {
        *self.left.entry(what.to_owned()).or_default() += 1;
    }

    /// Whether nothing was found that is to be erased.
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
    /// The first and the last passes that were made for it; the last of a complete one is clean.
    #[serde(default)]
    pub passes: Vec<Pass>,
    /// The passes between them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub between: Option<Between>,
}

/// Passes that are kept of the first ones, and as many of the last ones: a row has room for no more than 400 KB.
const KEPT_PASSES: usize = 20;

/// The longest wait between two passes.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);

/// The shortest wait between two passes, as a part of the time in which an erasure settles: a minute of two hours.
const SHORTEST_WAIT_OF_SETTLING: u32 = 120;

/// The sum of passes that are not kept one by one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Between {
    /// How many there were.
    pub passes: u64,
    /// Rows and objects that named a person and do not any more, by kind.
    pub erased: BTreeMap<String, u64>,
}

impl Erasure {
    /// Notes a pass that was made for it; a repeat changes nothing.
    pub fn note(&mut self, pass: &Pass) {
        if self.passes.iter().any(|made| made.began_at == pass.began_at) {
            return;
        }
        self.passes.push(pass.clone());
        if self.passes.len() > 2 * KEPT_PASSES {
            let pass = self.passes.remove(KEPT_PASSES);
            let between = self.between.get_or_insert_default();
            between.passes += 1;
            for (kind, n) in pass.erased {
                *between.erased.entry(kind).or_default() += n;
            }
        }
    }

    /// When the next pass is due: the first one at once, the second when what was under way has settled, and each further
    /// one after a longer wait, up to an hour. `settles_after` is how long what was under way may take.
    #[must_use]
    pub fn next_pass_at(&self, settles_after: Duration) -> UnixMillis {
        let Some(ended_at) = self.passes.last().map(|pass| pass.ended_at.unwrap_or(pass.began_at)) else {
            return self.asked_at;
        };
        let made = self.passes.len() as u64 + self.between.as_ref().map_or(0, |between| between.passes);
        let doubled = 1_u32.checked_shl(u32::try_from(made - 1).unwrap_or(u32::MAX)).unwrap_or(u32::MAX);
        let longest = LONGEST_WAIT.min(settles_after / 2);
        let wait = shortest_wait(settles_after).saturating_mul(doubled).min(longest);
        ended_at.plus(wait).max(self.asked_at.plus(settles_after))
    }
}

const fn shortest_wait(settles_after: Duration) -> Duration {
    // Not zero: no check is needed.
    match settles_after.checked_div(SHORTEST_WAIT_OF_SETTLING) {
        Some(wait) => wait,
        None => settles_after,
    }
}

/// When the next pass is due that all these erasures share: as soon as it is for one of them, but not right behind another
/// pass, however often somebody asks. `None` without any.
#[must_use]
pub fn next_pass_at(erasures: &[Erasure], settles_after: Duration) -> Option<UnixMillis> {
    let due = erasures.iter().map(|erasure| erasure.next_pass_at(settles_after)).min()?;
    let ends = erasures.iter().filter_map(|erasure| erasure.passes.last()?.ended_at);
    Some(ends.max().map_or(due, |ended_at| due.max(ended_at.plus(shortest_wait(settles_after)))))
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

    const SETTLES_AFTER: Duration = Duration::from_secs(7_200);

    fn erasure() -> Erasure {
        let workspace = WorkspaceId::FIRST;
        let stored = json!({"v": 1, "id": ErasureId::new(UnixMillis(1)), "workspace": workspace, "contacts": [],
            "status": "running", "asked_at": 0, "passes": []});
        serde_json::from_value(stored).unwrap()
    }

    /// A pass of a minute that ended at this minute.
    fn pass(minute: i64) -> Pass {
        let mut pass = Pass { began_at: UnixMillis((minute - 1) * 60_000), ..Pass::default() };
        pass.ended_at = Some(UnixMillis(minute * 60_000));
        pass.changed("contacts");
        pass
    }

    fn due_in_minutes(erasures: &[Erasure]) -> i64 {
        next_pass_at(erasures, SETTLES_AFTER).unwrap().0 / 60_000
    }

    #[test]
    fn from_pass_to_pass_the_wait_is_longer_up_to_an_hour() {
        let mut one = erasure();
        assert_eq!(due_in_minutes(&[one.clone()]), 0, "the first at once");
        one.note(&pass(3));
        assert_eq!(due_in_minutes(&[one.clone()]), 120, "the second when everything has settled");
        let asked_just_then = Erasure { asked_at: UnixMillis(3 * 60_000), ..erasure() };
        assert_eq!(due_in_minutes(&[one.clone(), asked_just_then]), 4, "not right behind another pass");
        let mut waits = Vec::new();
        for minute in [200, 300, 400, 500, 600, 700, 800] {
            one.note(&pass(minute));
            waits.push(due_in_minutes(&[one.clone()]) - minute);
        }
        assert_eq!(waits, [2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(next_pass_at(&[], SETTLES_AFTER), None);
    }

    #[test]
    fn of_many_passes_the_first_and_the_last_are_kept_and_the_sum_of_all() {
        let mut one = erasure();
        for minute in 1..=100 {
            one.note(&pass(minute));
            one.note(&pass(minute));
        }
        let began: Vec<i64> = one.passes.iter().map(|pass| pass.began_at.0 / 60_000).collect();
        assert_eq!(began, (0..20).chain(80..100).collect::<Vec<_>>());
        assert_eq!(one.between, Some(Between { passes: 60, erased: [("contacts".to_owned(), 60)].into() }));
    }

    #[test]
    fn what_cannot_be_read_or_is_left_is_counted_and_keeps_no_pass_from_being_the_last() {
        let stored = json!({"began_at": 1, "looked_at": {"uploads": 1}, "erased": {}});
        let mut pass: Pass = serde_json::from_value(stored.clone()).unwrap();
        assert_eq!(serde_json::to_value(&pass).unwrap(), stored, "as it was stored before anything was unreadable");
        pass.could_not_read("uploads");
        assert!(pass.is_clean());
        assert_eq!(serde_json::to_value(&pass).unwrap()["unreadable"], json!({"uploads": 1}));
        pass.leaves("campaigns");
        assert!(pass.is_clean());
        assert_eq!(serde_json::to_value(&pass).unwrap()["left"], json!({"campaigns": 1}));
        pass.changed("uploads");
        assert!(!pass.is_clean());
    }
}
