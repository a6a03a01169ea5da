//! Exact counters from a stream that repeats itself: what each row counts for, what a change of a row adds, and how a
//! batch is applied so that a redelivered, longer or cut one never counts twice.
//!
//! A counter item is fed by exactly one source partition and holds the sequence number of the last stream record it
//! has taken in; everything up to it is dropped the next time. This module is arithmetic only; the function `rollup`
//! reads the stream and writes the table.

pub mod account_day;
pub mod click;
pub mod contribution;
pub mod histogram;
pub mod row;
pub mod series;
pub mod tally;
pub mod unsent;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A stream's sequence number, left-padded so that it compares as text: it can exceed the 38 digits that a DynamoDB
/// number holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SequenceNumber(String);

/// Digits of a padded sequence number.
const SEQUENCE_DIGITS: usize = 40;

impl SequenceNumber {
    /// Pads the number as the stream gives it.
    #[must_use]
    pub fn new(number: &str) -> Self {
        Self(format!("{number:0>SEQUENCE_DIGITS$}"))
    }

    /// The padded text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where a counter item lies.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CounterKey {
    /// Partition key in the table ROLLUP.
    pub pk: String,
    /// Sort key: the view and the source it is fed by.
    pub sk: String,
}

impl fmt::Debug for CounterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.pk, self.sk)
    }
}

/// Named counts; a name without an entry is zero.
pub type Counts = BTreeMap<String, i64>;

/// What a row counts for, or what a change adds, by counter item.
pub type Contribution = BTreeMap<CounterKey, Counts>;

/// Adds `more` to `counts`.
pub fn add(counts: &mut Counts, more: &Counts) {
    for (name, n) in more {
        *counts.entry(name.clone()).or_default() += n;
    }
}

/// What a change from `old` to `new` adds: the difference of what they count for, without zeros.
#[must_use]
pub fn difference(old: &Contribution, new: &Contribution) -> Contribution {
    let mut delta = new.clone();
    for (key, counts) in old {
        let item = delta.entry(key.clone()).or_default();
        for (name, n) in counts {
            *item.entry(name.clone()).or_default() -= n;
        }
    }
    delta.retain(|_, counts| {
        counts.retain(|_, n| *n != 0);
        !counts.is_empty()
    });
    delta
}

/// What a batch adds to one counter item: the changes in stream order, each with its sequence number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CounterUpdate {
    /// The item.
    pub key: CounterKey,
    parts: Vec<(SequenceNumber, Counts)>,
}

impl CounterUpdate {
    /// The first change in it: the write holds only if nothing from here on was applied.
    #[must_use]
    pub fn first(&self) -> &SequenceNumber {
        &self.parts[0].0
    }

    /// The last change in it: what the item will hold as applied.
    #[must_use]
    pub fn last(&self) -> &SequenceNumber {
        &self.parts[self.parts.len() - 1].0
    }

    /// The sum of its changes.
    #[must_use]
    pub fn sum(&self) -> Counts {
        let mut sum = Counts::new();
        for (_, counts) in &self.parts {
            add(&mut sum, counts);
        }
        sum
    }

    /// The longest beginning that names at most `most` counters, at least one change, and what is behind it. Applied one
    /// after the other they are the same as the whole, for the item holds how far it is.
    #[must_use]
    pub fn split_at_names(mut self, most: usize) -> (Self, Option<Self>) {
        let mut names = std::collections::BTreeSet::new();
        let fits = self.parts.iter().take_while(|(_, counts)| {
            names.extend(counts.keys());
            names.len() <= most
        });
        let end = fits.count().max(1);
        let behind = self.parts.split_off(end.min(self.parts.len()));
        let behind = (!behind.is_empty()).then(|| Self { key: self.key.clone(), parts: behind });
        (self, behind)
    }

    /// What is left when everything up to `applied` was applied before; `None` when nothing is.
    #[must_use]
    pub fn after(self, applied: &SequenceNumber) -> Option<Self> {
        let parts: Vec<_> = self.parts.into_iter().filter(|(sequence, _)| sequence > applied).collect();
        (!parts.is_empty()).then_some(Self { key: self.key, parts })
    }
}

/// The updates of a batch, one per counter item. `changes` are in stream order.
#[must_use]
pub fn updates(changes: impl IntoIterator<Item = (SequenceNumber, Contribution)>) -> Vec<CounterUpdate> {
    let mut by_item: BTreeMap<CounterKey, Vec<(SequenceNumber, Counts)>> = BTreeMap::new();
    for (sequence, delta) in changes {
        for (key, counts) in delta {
            by_item.entry(key).or_default().push((sequence.clone(), counts));
        }
    }
    by_item.into_iter().map(|(key, parts)| CounterUpdate { key, parts }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(pairs: &[(&str, i64)]) -> Counts {
        pairs.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect()
    }

    fn key(sk: &str) -> CounterKey {
        CounterKey { pk: "P".to_owned(), sk: sk.to_owned() }
    }

    #[test]
    fn sequence_numbers_compare_by_value() {
        assert!(SequenceNumber::new("9") < SequenceNumber::new("10"));
        assert!(
            SequenceNumber::new("99999999999999999999999999999999999999")
                < SequenceNumber::new("100000000000000000000000000000000000000")
        );
    }

    #[test]
    fn a_change_that_changes_nothing_adds_nothing() {
        let row = Contribution::from([(key("T"), counts(&[("sent", 1)]))]);
        assert!(difference(&row, &row).is_empty());
    }

    #[test]
    fn a_change_moves_a_count() {
        let old = Contribution::from([(key("T"), counts(&[("sent", 1), ("stuck.sent", 1)]))]);
        let new = Contribution::from([(key("T"), counts(&[("sent", 1), ("stuck.read", 1)]))]);
        let delta = difference(&old, &new);
        assert_eq!(delta[&key("T")], counts(&[("stuck.read", 1), ("stuck.sent", -1)]));
    }

    #[test]
    fn an_update_with_many_names_is_cut_into_parts_that_add_up() {
        let change = |n: i64| {
            let counts = counts(&[(&format!("bucket.{}", n / 2), 1)]);
            (SequenceNumber::new(&n.to_string()), Contribution::from([(key("D"), counts)]))
        };
        let whole = updates((1..=500).map(change)).remove(0);
        let (expected, mut sum, mut rest, mut parts) = (whole.sum(), Counts::new(), Some(whole), 0);
        while let Some(update) = rest {
            let (part, behind) = update.split_at_names(100);
            assert!(part.sum().len() <= 100);
            add(&mut sum, &part.sum());
            (rest, parts) = (behind, parts + 1);
        }
        assert_eq!((sum, parts), (expected, 3));
    }

    #[test]
    fn what_was_applied_before_is_dropped_from_a_longer_batch() {
        let change =
            |n: i64| (SequenceNumber::new(&n.to_string()), Contribution::from([(key("T"), counts(&[("x", n)]))]));
        let update = updates([change(1), change(3), change(7)]).remove(0);
        assert_eq!(update.last(), &SequenceNumber::new("7"));
        let rest = update.after(&SequenceNumber::new("3")).unwrap();
        assert_eq!(rest.first(), &SequenceNumber::new("7"));
        assert_eq!(rest.sum(), counts(&[("x", 7)]));
        assert_eq!(rest.after(&SequenceNumber::new("7")), None);
    }
}
