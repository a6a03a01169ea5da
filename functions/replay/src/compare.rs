//! The live tables against the fresh ones.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};
use shared::rollup::Counts;
use shared::rollup::click::without_rare_names;
use shared::store::Item;
use shared::store::keys::Key;
use shared::store::whole::{WholeTable, key_of};

use crate::job::{Job, Phase};
use crate::{NotReplayed, Tables};

/// Rows of one step.
const ROWS: usize = 500;

/// Attributes that say nothing about what is known: which of several copies in the archive a row was made of, how often a
/// row was written, up to where a counter has taken its source in, and what was resolved since.
const LEFT_OUT: [&str; 5] = ["archived", "revision", "applied", "resolved_at", "list"];

/// Counters of an item above which names from outside are compared together: below it the live table has given each a
/// counter of its own.
const ALL_NAMES: usize = 1_900;

/// The most differences that are named.
const MOST_NAMED: usize = 20;

/// How rows compare, by kind of row.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Comparison {
    /// Rows of CORE by the word in their key that says what they are.
    pub rows: BTreeMap<String, Differences>,
    /// Counter items by view.
    pub counters: BTreeMap<String, Differences>,
    /// Some that differ: their keys, unless those name a person.
    pub named: Vec<String>,
}

/// How the rows of one kind compare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Differences {
    /// The same in both.
    pub equal: u64,
    /// In both, and not the same.
    pub different: u64,
    /// Only in the live table.
    pub missing: u64,
    /// Only in the fresh table.
    pub more: u64,
}

impl Comparison {
    /// Whether both pairs of tables hold the same.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        let mut all = self.rows.values().chain(self.counters.values());
        all.all(|kind| kind.different + kind.missing + kind.more == 0)
    }

    fn name(&mut self, what: &str, key: &Key) {
        // Aliases and the like have a number in their key.
        let may_be_named = ["#ATTEMPTS#", "#ACTIVITY#", "#CAMPAIGN#"].iter().any(|part| key.pk.contains(part));
        if may_be_named && self.named.len() < MOST_NAMED {
            self.named.push(format!("{what}: {} {}", key.pk, key.sk));
        }
    }
}

/// Compares live rows.
pub(crate) async fn rows(tables: &Tables, job: &mut Job, after: Option<Key>) -> Result<Phase, NotReplayed> {
    let next = both(&tables.live_core, &tables.fresh_core, job, after, Side::Rows).await?;
    Ok(next.map_or(Phase::MoreRows { after: None }, |after| Phase::Rows { after: Some(after) }))
}

/// Looks for rows that only the fresh table has.
pub(crate) async fn more_rows(tables: &Tables, job: &mut Job, after: Option<Key>) -> Result<Phase, NotReplayed> {
    let next = more(&tables.live_core, &tables.fresh_core, job, after, Side::Rows).await?;
    Ok(next.map_or(Phase::Counters { after: None }, |after| Phase::MoreRows { after: Some(after) }))
}

/// Compares live counters.
pub(crate) async fn counters(tables: &Tables, job: &mut Job, after: Option<Key>) -> Result<Phase, NotReplayed> {
    let next = both(&tables.live_rollup, &tables.fresh_rollup, job, after, Side::Counters).await?;
    Ok(next.map_or(Phase::MoreCounters { after: None }, |after| Phase::Counters { after: Some(after) }))
}

/// Looks for counters that only the fresh table has.
pub(crate) async fn more_counters(tables: &Tables, job: &mut Job, after: Option<Key>) -> Result<Phase, NotReplayed> {
    let next = more(&tables.live_rollup, &tables.fresh_rollup, job, after, Side::Counters).await?;
    Ok(next.map_or(Phase::Ended, |after| Phase::MoreCounters { after: Some(after) }))
}

/// Which tables are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Rows,
    Counters,
}

impl Side {
    /// What rows of this key are.
    fn kind(self, key: &Key) -> String {
        let word = match self {
            Self::Counters => key.sk.split('#').next(),
            Self::Rows if key.pk.starts_with("WS#") => key.pk.split('#').nth(2),
            Self::Rows => key.pk.split('#').next(),
        };
        word.unwrap_or_default().to_owned()
    }

    fn of<'a>(self, job: &'a mut Job, key: &Key) -> &'a mut Differences {
        let kinds = match self {
            Self::Rows => &mut job.comparison.rows,
            Self::Counters => &mut job.comparison.counters,
        };
        kinds.entry(self.kind(key)).or_default()
    }

    /// What of a row is compared; `None` when nothing is.
    fn essence(self, mut item: Item) -> Option<Item> {
        for name in LEFT_OUT {
            item.remove(name);
        }
        if self == Self::Counters {
            // A counter that has gone back to nothing is as good as none.
            item.retain(|_, value| !matches!(value, AttributeValue::N(n) if n == "0"));
            // Of an item with very many names it depends on the order which of them are counted as `other`.
            if item.len() > ALL_NAMES {
                item = folded(item);
            }
            return (item.len() > 2).then_some(item);
        }
        Some(item)
    }
}

/// A counter item with all names from outside as `other`.
fn folded(item: Item) -> Item {
    let (counts, rest): (Vec<_>, Vec<_>) =
        item.into_iter().partition(|(_, value)| matches!(value, AttributeValue::N(_)));
    let counts: Counts =
        counts.into_iter().filter_map(|(name, value)| Some((name, value.as_n().ok()?.parse().ok()?))).collect();
    let counts = without_rare_names(counts, |_| false).into_iter();
    let numbers = counts.map(|(name, n)| (name, AttributeValue::N(n.to_string())));
    numbers.chain(rest).collect()
}

/// The names of the attributes in which two rows differ.
fn differing(live: &Item, fresh: &Item) -> String {
    let names: BTreeSet<&str> = live.keys().chain(fresh.keys()).map(String::as_str).collect();
    let differ = names.into_iter().filter(|name| live.get(*name) != fresh.get(*name));
    differ.collect::<Vec<_>>().join(", ")
}

async fn both(
    live: &WholeTable,
    fresh: &WholeTable,
    job: &mut Job,
    after: Option<Key>,
    side: Side,
) -> Result<Option<Key>, NotReplayed> {
    let part = live.part(after.as_ref(), ROWS).await?;
    let keys: Vec<Key> = part.items.iter().filter_map(key_of).collect();
    let mut others: HashMap<Key, Item> =
        fresh.get(&keys).await?.into_iter().filter_map(|item| Some((key_of(&item)?, item))).collect();
    for item in part.items {
        let Some(key) = key_of(&item) else { continue };
        let is_resolved = item.contains_key("resolved_at");
        let other = others.remove(&key).and_then(|other| side.essence(other));
        let Some(item) = side.essence(item) else {
            if other.is_some() {
                side.of(job, &key).more += 1;
            }
            continue;
        };
        job.done.compared += 1;
        let differences = side.of(job, &key);
        match other {
            Some(other) if other == item => differences.equal += 1,
            // It was quarantined then and is taken in now, as in the live table since.
            None if is_resolved => differences.equal += 1,
            Some(other) => {
                differences.different += 1;
                job.comparison.name(&format!("different in {}", differing(&item, &other)), &key);
            }
            None => {
                differences.missing += 1;
                job.comparison.name("missing", &key);
            }
        }
    }
    Ok(part.next)
}

async fn more(
    live: &WholeTable,
    fresh: &WholeTable,
    job: &mut Job,
    after: Option<Key>,
    side: Side,
) -> Result<Option<Key>, NotReplayed> {
    let part = fresh.part(after.as_ref(), ROWS).await?;
    let keys: Vec<Key> = part.items.iter().filter_map(key_of).collect();
    let known: HashMap<Key, Item> =
        live.get(&keys).await?.into_iter().filter_map(|item| Some((key_of(&item)?, item))).collect();
    for item in part.items {
        let Some(key) = key_of(&item).filter(|key| !known.contains_key(key)) else { continue };
        if side.essence(item).is_some() {
            side.of(job, &key).more += 1;
            job.comparison.name("more", &key);
        }
    }
    Ok(part.next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_outside_compare_together_where_there_are_too_many() {
        let item = |from: usize, other: i64| {
            let named = (from..2_000).map(|n| (format!("city.{n}"), AttributeValue::N("1".to_owned())));
            let rest = [("pk", AttributeValue::S("P".to_owned())), ("human", AttributeValue::N("9".to_owned()))];
            let rest = rest.map(|(name, value)| (name.to_owned(), value));
            let other = ("city.other".to_owned(), AttributeValue::N(other.to_string()));
            named.chain(rest).chain([other]).collect::<Item>()
        };
        let essence = |item| Side::Counters.essence(item);
        assert_eq!(essence(item(0, 10)), essence(item(50, 60)));
        assert_ne!(essence(item(0, 10)), essence(item(50, 10)));
        assert_ne!(essence(item(1_000, 10)), essence(item(1_500, 510)), "a few names are compared each by itself");
    }
}
