//! What the people behind a recipient's codes did. Each click of a person on a link counts, but for one that follows another
//! on the same link within 30 seconds: a reload, a double tap, a browser that asks twice. Which ones count is told by the
//! whole set and not by the order in which they came in, so late and repeated clicks lead to the same counts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::code::LinkId;
use crate::id::EventId;
use crate::rollup::Counts;
use crate::time::UnixMillis;

/// A click so soon after another one on the same link is the same act.
pub const REPEATS_WITHIN_MS: i64 = 30_000;

/// Clicks of one recipient that are kept one by one; of older ones only the counts are. A link that its recipient has made
/// public has any number of clicks, and a row 400 KB at most (DynamoDB, "Quotas").
const MOST_KEPT: usize = 500;

/// One click of a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visit {
    /// When.
    pub at: UnixMillis,
    /// The click's event: it tells the click from others of that time.
    pub event: EventId,
    /// The link.
    pub link: LinkId,
    /// What it counts for if it counts, such as `device.mobile`.
    pub counts_for: Vec<String>,
}

impl Visit {
    fn order(&self) -> (UnixMillis, EventId) {
        (self.at, self.event)
    }
}

/// All clicks of people with the codes of one recipient.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visits {
    /// Version of this shape.
    pub v: u8,
    /// By time.
    kept: Vec<Visit>,
    /// What those counted for that are not kept any more.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    folded: BTreeMap<LinkId, Counts>,
    /// The last of those on each link.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    folded_until: BTreeMap<LinkId, UnixMillis>,
}

impl Visits {
    /// Takes in a click; `false` when it was here before. One that is older than those that are kept is taken for one that
    /// is not kept any more.
    pub fn take(&mut self, visit: Visit) -> bool {
        if self.folded_until.get(&visit.link).is_some_and(|until| visit.at <= *until) {
            return false;
        }
        let Err(place) = self.kept.binary_search_by_key(&visit.order(), Visit::order) else { return false };
        self.v = 1;
        self.kept.insert(place, visit);
        if self.kept.len() > MOST_KEPT {
            self.fold();
        }
        true
    }

    /// What those of each link count for: `human`, and what each names itself.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<LinkId, Counts> {
        let mut counts = self.folded.clone();
        for visit in self.counted() {
            let of_link = counts.entry(visit.link).or_default();
            for name in std::iter::once(HUMAN).chain(visit.counts_for.iter().map(String::as_str)) {
                *of_link.entry(name.to_owned()).or_default() += 1;
            }
        }
        counts
    }

    /// Clicks that count.
    #[must_use]
    pub fn count(&self) -> i64 {
        self.counts().values().filter_map(|counts| counts.get(HUMAN)).sum()
    }

    fn counted(&self) -> impl Iterator<Item = &Visit> {
        let mut last = self.folded_until.clone();
        self.kept.iter().filter(move |visit| {
            let before = last.insert(visit.link, visit.at);
            before.is_none_or(|before| visit.at.0 - before.0 > REPEATS_WITHIN_MS)
        })
    }

    /// Forgets the older half, and keeps what it counted for.
    fn fold(&mut self) {
        self.folded = {
            let whole = std::mem::take(&mut self.kept);
            let later = whole.split_at(MOST_KEPT / 2).1.to_vec();
            self.kept = whole;
            self.kept.truncate(MOST_KEPT / 2);
            let folded = self.counts();
            for visit in std::mem::replace(&mut self.kept, later) {
                self.folded_until.insert(visit.link, visit.at);
            }
            folded
        };
    }
}

/// The counter of all clicks of people.
const HUMAN: &str = "human";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::activity::id_of;

    fn visit(second: i64, link: u32, n: usize) -> Visit {
        let at = UnixMillis(1_790_000_000_000 + second * 1_000);
        let event = id_of(at, &[&n.to_string()]);
        Visit { at, event, link: LinkId::new(link).unwrap(), counts_for: vec!["device.mobile".to_owned()] }
    }

    fn of(visits: impl IntoIterator<Item = Visit>) -> Visits {
        let mut all = Visits::default();
        for visit in visits {
            all.take(visit);
        }
        all
    }

    #[test]
    fn a_click_within_thirty_seconds_of_another_on_the_same_link_does_not_count() {
        let count =
            |visits: &[(i64, u32)]| of(visits.iter().enumerate().map(|(n, (at, link))| visit(*at, *link, n))).count();
        assert_eq!(count(&[(0, 1), (1, 1), (30, 1)]), 1);
        assert_eq!(count(&[(0, 1), (31, 1)]), 2);
        assert_eq!(count(&[(0, 1), (1, 2)]), 2, "another link");
        assert_eq!(count(&[(0, 1), (25, 1), (50, 1), (75, 1)]), 1, "somebody who goes on reloading");
    }

    #[test]
    fn a_click_that_comes_again_changes_nothing() {
        let mut visits = of([visit(0, 1, 0), visit(60, 1, 1)]);
        let before = visits.clone();
        assert!(!visits.take(visit(0, 1, 0)));
        assert_eq!(visits, before);
    }

    #[test]
    fn each_counted_click_counts_for_its_link_and_for_what_it_is() {
        let counts = of([visit(0, 7, 0), visit(1, 7, 1), visit(90, 7, 2)]).counts();
        let expected = [("device.mobile", 2), ("human", 2)].map(|(name, n)| (name.to_owned(), n));
        assert_eq!(counts, [(LinkId::new(7).unwrap(), expected.into())].into());
    }

    #[test]
    fn a_link_that_went_public_keeps_a_bounded_row_and_all_counts() {
        let all = of((0..5_000).map(|n| visit(i64::from(n) * 40, n % 3, n as usize)));
        assert!(all.kept.len() <= MOST_KEPT);
        assert_eq!(all.count(), 5_000);
        // What follows the last of those that are not kept is still told.
        let mut first = of((0..MOST_KEPT as u32 + 1).map(|n| visit(i64::from(n) * 10, 1, n as usize)));
        assert_eq!(first.count(), 1);
        assert!(first.take(visit(10_000, 1, 9_999)));
        assert_eq!(first.count(), 2);
    }

    proptest! {
        #[test]
        fn the_order_and_repeats_do_not_matter(
            clicks in prop::collection::vec((0..300_i64, 0..3_u32), 0..60),
            order in prop::collection::vec(any::<prop::sample::Index>(), 0..120),
        ) {
            let visits: Vec<Visit> = clicks.iter().enumerate().map(|(n, (at, link))| visit(*at, *link, n)).collect();
            let shuffled = order.iter().filter(|_| !visits.is_empty()).map(|index| index.get(&visits).clone());
            let any_order = of(shuffled.chain(visits.iter().rev().cloned()));
            prop_assert_eq!(any_order, of(visits));
        }
    }
}
