//! What people did with links. Each click of a person on a link counts, but for one that follows a counted one on the same
//! link within 30 seconds: a reload, a double tap, a browser that asks twice. Which ones count is told by the whole set and
//! not by the order in which they came in, so late and repeated clicks lead to the same counts.

use std::collections::BTreeMap;
use std::net::IpAddr;

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::code::{LinkId, LinkKey};
use crate::attempt::AttemptKey;
use crate::id::{CampaignId, EventId, WorkspaceId};
use crate::rollup::Counts;
use crate::time::UnixMillis;

/// A click so soon after a counted one on the same link is the same act.
pub const REPEATS_WITHIN_MS: i64 = 30_000;

/// Clicks that are kept one by one; of older ones only the counts are. A link that its recipient has made public has any
/// number of clicks, and a row 400 KB at most (DynamoDB, "Quotas").
const MOST_KEPT: usize = 64;

/// Names of one breakdown that a row of counts keeps apart; what more there are count as `other`.
const MOST_NAMES: usize = 200;

/// Whose clicks a row holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whose {
    /// A recipient's: the code was their own.
    Recipient(AttemptKey),
    /// Somebody's who followed a shared code.
    Visitor(Visitor),
}

/// Whoever followed a shared code of a link on one day, as far as that can be told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Visitor {
    /// Whose link it is.
    pub workspace: WorkspaceId,
    /// The link's campaign; a free link has none.
    pub campaign: Option<CampaignId>,
    /// The link.
    pub link: LinkId,
    /// Who it was.
    pub mark: VisitorMark,
}

/// Tells the visitors of one day apart and nobody from anybody on another day: 64 bits of a keyed hash of the day, the network
/// (/24 or /48) and the user agent, none of which can be told from it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VisitorMark(String);

impl VisitorMark {
    /// Whoever came from this address with this agent on this day.
    #[must_use]
    pub fn of(key: &LinkKey, at: UnixMillis, address: IpAddr, user_agent: &str) -> Self {
        let network = match address.to_canonical() {
            IpAddr::V4(address) => address.octets()[..3].to_vec(),
            IpAddr::V6(address) => address.octets()[..6].to_vec(),
        };
        let secret = key.derive(*b"visitors of days");
        // A key of any length is one for HMAC.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&secret) else { return Self(String::new()) };
        for part in [at.date().as_bytes(), &network, user_agent.as_bytes()] {
            mac.update(&u64::try_from(part.len()).unwrap_or(0).to_be_bytes());
            mac.update(part);
        }
        Self(hex::encode(&mac.finalize().into_bytes()[..8]))
    }

    /// Nobody that another click could be of.
    #[must_use]
    pub fn alone(event: EventId) -> Self {
        Self(event.to_string())
    }

    /// As read from a key.
    #[must_use]
    pub fn from_key(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text in a key.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Which of eight partitions of a link's visitors they are in.
    #[must_use]
    pub fn shard(&self) -> u8 {
        self.0.bytes().fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte)) % 8
    }
}

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

/// All clicks of one person, as far as it is one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Visits {
    /// Version of this shape.
    pub v: u8,
    /// By time.
    kept: Vec<Visit>,
    /// What those counted for that are not kept any more, by link.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    folded: BTreeMap<LinkId, Folded>,
}

/// Clicks of one link that are not kept one by one any more.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Folded {
    /// What they counted for.
    counts: Counts,
    /// The last of those that counted.
    counted_at: UnixMillis,
    /// The last of them.
    until: UnixMillis,
}

impl Visits {
    /// Takes in a click; `false` when it was here before. One that is older than those that are kept is taken for one that
    /// is not kept any more.
    pub fn take(&mut self, visit: Visit) -> bool {
        if self.folded.get(&visit.link).is_some_and(|folded| visit.at <= folded.until) {
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
        let mut counts: BTreeMap<LinkId, Counts> =
            self.folded.iter().map(|(link, folded)| (*link, folded.counts.clone())).collect();
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
        let mut last: BTreeMap<LinkId, UnixMillis> =
            self.folded.iter().map(|(link, folded)| (*link, folded.counted_at)).collect();
        self.kept.iter().filter(move |visit| {
            let counts = last.get(&visit.link).is_none_or(|last| visit.at.0 - last.0 > REPEATS_WITHIN_MS);
            if counts {
                last.insert(visit.link, visit.at);
            }
            counts
        })
    }

    /// Forgets the older half, and keeps what it counted for.
    fn fold(&mut self) {
        let later = self.kept.split_off(MOST_KEPT / 2);
        let counted: BTreeMap<LinkId, UnixMillis> = self.counted().map(|visit| (visit.link, visit.at)).collect();
        for (link, counts) in self.counts() {
            let folded = self.folded.entry(link).or_default();
            folded.counts = bounded(counts);
            folded.counted_at = counted.get(&link).copied().unwrap_or(folded.counted_at);
        }
        for visit in std::mem::replace(&mut self.kept, later) {
            if let Some(folded) = self.folded.get_mut(&visit.link) {
                folded.until = visit.at;
            }
        }
    }
}

/// The counts with no more names than a row may have.
fn bounded(counts: Counts) -> Counts {
    if counts.len() <= MOST_NAMES { counts } else { crate::rollup::click::without_rare_names(counts, |_| false) }
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
        assert_eq!(count(&[(0, 1), (25, 1), (50, 1), (75, 1)]), 2, "somebody who goes on reloading comes again");
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
        assert!(serde_json::to_string(&all).unwrap().len() < 20_000);
        // What follows the last of those that are not kept is still told.
        let clicks = || (0..MOST_KEPT as u32 + 1).map(|n| visit(i64::from(n) * 10, 1, n as usize));
        let mut folded = of(clicks());
        assert_eq!(
            folded.count(),
            clicks().filter(|visit| (visit.at.0 / 1_000 - 1_790_000_000) % 40 == 0).count() as i64
        );
        assert!(folded.take(visit(10_000, 1, 9_999)) && !folded.take(visit(0, 1, 0)));
    }

    #[test]
    fn a_mark_is_of_one_day_one_network_and_one_agent() {
        let key = |byte: u8| LinkKey::new(crate::link::code::KeyId(1), &[byte; 16]);
        let day = UnixMillis(1_790_000_000_000);
        let of = |key: &LinkKey, at: UnixMillis, address: &str, agent: &str| {
            VisitorMark::of(key, at, address.parse().unwrap(), agent)
        };
        let mark = of(&key(1), day, "192.0.2.7", "x");
        assert_eq!(mark, of(&key(1), UnixMillis(day.0 + 60_000), "::ffff:192.0.2.9", "x"), "the same network");
        for other in [
            of(&key(1), UnixMillis(day.0 + 86_400_000), "192.0.2.7", "x"),
            of(&key(1), day, "192.0.3.7", "x"),
            of(&key(1), day, "192.0.2.7", "y"),
            of(&key(2), day, "192.0.2.7", "x"),
        ] {
            assert_ne!(mark, other);
        }
        assert_eq!(mark.as_str().len(), 16);
    }

    proptest! {
        #[test]
        fn the_order_and_repeats_do_not_matter(
            clicks in prop::collection::vec((0..300_i64, 0..3_u32), 0..MOST_KEPT),
            order in prop::collection::vec(any::<prop::sample::Index>(), 0..120),
        ) {
            let visits: Vec<Visit> = clicks.iter().enumerate().map(|(n, (at, link))| visit(*at, *link, n)).collect();
            let shuffled = order.iter().filter(|_| !visits.is_empty()).map(|index| index.get(&visits).clone());
            let any_order = of(shuffled.chain(visits.iter().rev().cloned()));
            prop_assert_eq!(any_order, of(visits));
        }
    }
}
