//! Reading many partitions of events as one feed, newest first, in pages that neither lose nor repeat an event.
//!
//! Every event has a place that never changes, its [`Position`]; all events are in one order by it, whatever partition they
//! lie in. A page of the feed is everything between two positions, and the next page begins below the first one's end.
//! What comes in meanwhile is newer, and so above; what comes late with a time below is found by the pages still to come.

use std::fmt;

use crate::id::EventId;
use crate::time::UnixMillis;

/// A place in the order of all events: an event's, or the one just before everything of a millisecond.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(String);

impl Position {
    /// Where an event lies: its sort key.
    #[must_use]
    pub fn of(at: UnixMillis, id: EventId) -> Self {
        Self(format!("{:015}#{id}", at.0))
    }

    /// Below all events of this millisecond and above all earlier ones.
    #[must_use]
    pub fn below(at: UnixMillis) -> Self {
        Self(format!("{:015}", at.0.max(0)))
    }

    /// From an event's sort key.
    #[must_use]
    pub fn read(sort_key: &str) -> Self {
        Self(sort_key.to_owned())
    }

    fn parse(text: &str) -> Option<Self> {
        let (at, id) = text.split_once('#').map_or((text, None), |(at, id)| (at, Some(id)));
        let is_time = at.len() == 15 && at.bytes().all(|byte| byte.is_ascii_digit());
        let is_event = id.is_none_or(|id| id.parse::<EventId>().is_ok());
        (is_time && is_event).then(|| Self(text.to_owned()))
    }

    /// As somebody gets it who asks for a feed in pages; it needs no escaping in an address.
    #[must_use]
    pub fn cursor(&self) -> String {
        self.0.replace('#', ".")
    }

    /// Reads [`Position::cursor`] back; `None` when it is not one.
    #[must_use]
    pub fn read_cursor(text: &str) -> Option<Self> {
        if text.contains('#') { None } else { Self::parse(&text.replace('.', "#")) }
    }

    /// The millisecond that it lies in.
    #[must_use]
    pub fn at(&self) -> UnixMillis {
        let at = self.0.split('#').next().unwrap_or_default();
        UnixMillis(at.parse().unwrap_or(0))
    }

    /// As sort keys are compared.
    #[must_use]
    pub const fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What was read of one partition: its newest items, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part<T> {
    /// The items.
    pub items: Vec<(Position, T)>,
    /// Down to here, inclusive, they are all there are; `None` is down to the end of what was asked for.
    pub known_from: Option<Position>,
}

/// The parts as one, newest first, as far down as all of them are known; and that point, `None` when it is the end of what
/// was asked for. What lies lower is left out: something unread of another part may belong between.
#[must_use]
pub fn merge<T>(parts: Vec<Part<T>>) -> (Vec<(Position, T)>, Option<Position>) {
    let known_from = parts.iter().filter_map(|part| part.known_from.clone()).max();
    let mut items: Vec<(Position, T)> = parts.into_iter().flat_map(|part| part.items).collect();
    if let Some(known_from) = &known_from {
        items.retain(|(position, _)| position >= known_from);
    }
    items.sort_by(|(one, _), (other, _)| other.cmp(one));
    (items, known_from)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    fn event(at: i64, n: u128) -> Position {
        Position::of(UnixMillis(at), EventId::from_ulid(ulid::Ulid::from_parts(at.unsigned_abs(), n)))
    }

    #[test]
    fn positions_are_in_the_order_of_time_and_survive_their_text() {
        let below = Position::below(UnixMillis(1_790_000_000_000));
        let event = event(1_790_000_000_000, 3);
        assert!(Position::below(UnixMillis(1_789_999_999_999)) < below && below < event);
        assert!(event < Position::below(UnixMillis(1_790_000_000_001)));
        for position in [below, event] {
            assert_eq!(Position::read_cursor(&position.cursor()).as_ref(), Some(&position));
            assert!(position.cursor().bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._".contains(&byte)));
            assert_eq!(position.at(), UnixMillis(1_790_000_000_000));
        }
        for wrong in
            ["", "1790000000000", "001790000000000.x", "00179000000000a", "001790000000000.evt_1.", "001790000000000#"]
        {
            assert_eq!(Position::read_cursor(wrong), None, "{wrong}");
        }
    }

    /// A partition as the table would answer: its newest items below `before`, at most `limit`.
    fn ask(partition: &BTreeSet<Position>, before: &Position, limit: usize) -> Part<()> {
        let mut below = partition.range(..before.clone()).rev();
        let items: Vec<_> = below.by_ref().take(limit).map(|position| (position.clone(), ())).collect();
        let known_from = below.next().and(items.last().map(|(position, ())| position.clone()));
        Part { items, known_from }
    }

    /// One page of the feed, read in rounds of at most `chunk` items of a partition; where the next begins.
    fn page(
        table: &BTreeMap<u8, BTreeSet<Position>>,
        mut before: Position,
        limit: usize,
        chunk: usize,
    ) -> (Vec<Position>, Option<Position>) {
        let mut out = Vec::new();
        loop {
            let (items, end) = merge(table.values().map(|partition| ask(partition, &before, chunk)).collect());
            for (position, ()) in items {
                out.push(position.clone());
                if out.len() == limit {
                    return (out, Some(position));
                }
            }
            match end {
                None => return (out, None),
                Some(end) => before = end,
            }
        }
    }

    proptest! {
        #[test]
        fn pages_hold_every_event_once_and_in_order_whatever_comes_in_meanwhile(
            there in prop::collection::btree_set((0_i64..40, 0_u128..64), 0..60),
            limit in 1_usize..9,
            chunk in 1_usize..5,
            later in prop::collection::vec((0_i64..80, 64_u128..128), 0..30),
        ) {
            let mut table: BTreeMap<u8, BTreeSet<Position>> = BTreeMap::new();
            let put = |table: &mut BTreeMap<u8, BTreeSet<Position>>, at: i64, n: u128| {
                table.entry(u8::try_from(n % 8).unwrap()).or_default().insert(event(at, n));
            };
            for (at, n) in &there {
                put(&mut table, *at, *n);
            }
            let mut later = later.into_iter();
            let mut read: Vec<Position> = Vec::new();
            let mut before = Position::below(UnixMillis(1_000));
            // What comes in below the cursor while somebody reads is found by them as well.
            let mut expected: BTreeSet<Position> = there.iter().map(|(at, n)| event(*at, *n)).collect();
            loop {
                let (items, next) = page(&table, before.clone(), limit, chunk);
                prop_assert!(items.len() <= limit);
                read.extend(items);
                let Some(next) = next else { break };
                before = next;
                if let Some((at, n)) = later.next() {
                    put(&mut table, at, n);
                    if event(at, n) < before {
                        expected.insert(event(at, n));
                    }
                }
            }
            prop_assert!(read.windows(2).all(|pair| pair[0] > pair[1]), "newest first, none twice");
            prop_assert_eq!(read.into_iter().collect::<BTreeSet<_>>(), expected);
        }
    }
}
