//! The table ROLLUP: counter items, each with the sequence number up to which it has taken its source in.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_dynamodb::types::AttributeValue;

use super::expression::{Update, Updated};
use super::{Item, StoreError, keys::Key, number, partition_condition, partition_values, text, unavailable};
use crate::rollup::click::without_rare_names;
use crate::rollup::{CounterUpdate, Counts, SequenceNumber};

/// Attribute that holds the last applied sequence number.
const APPLIED: &str = "applied";

/// Counters that one write adds to: an update expression has at most 4,096 bytes (DynamoDB), and each takes up to 13.
const MOST_NAMES: usize = 250;

/// Counters that an item gets names for: each write costs by the size of the whole item, and who invents referrers could
/// make it as large as items can be (400 KB, DynamoDB). What comes later is counted as `other` of its kind.
const MOST_COUNTERS: usize = 2_000;

/// Full items that are remembered with their names; one that is forgotten is found full again by the next write to it.
const MOST_REMEMBERED: usize = 200;

/// The table ROLLUP.
#[derive(Clone, Debug)]
pub struct Rollups {
    client: aws_sdk_dynamodb::Client,
    table: String,
    full: Arc<Mutex<HashMap<Key, Arc<HashSet<String>>>>>,
}

/// A counter item as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CounterItem {
    /// Its sort key: view and source.
    pub sk: String,
    /// Its counts.
    pub counts: Counts,
}

impl Rollups {
    /// The table of this name.
    #[must_use]
    pub fn new(client: aws_sdk_dynamodb::Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into(), full: Arc::default() }
    }

    /// Applies an update exactly once: what the item has taken in before is dropped from it.
    ///
    /// # Errors
    /// [`StoreError`]; of the update a beginning was then applied, or nothing, and applying it again is safe.
    pub async fn apply(&self, update: CounterUpdate) -> Result<(), StoreError> {
        let mut rest = Some(update);
        while let Some(update) = rest.take() {
            let (part, behind) = update.split_at_names(MOST_NAMES);
            self.apply_part(part).await?;
            rest = behind;
        }
        Ok(())
    }

    async fn apply_part(&self, mut update: CounterUpdate) -> Result<(), StoreError> {
        let key = Key::new(update.key.pk.clone(), update.key.sk.clone());
        let mut full = self.names_of_full(&key);
        loop {
            let mut write = Update::default();
            let sum = match &full {
                Some(names) => without_rare_names(update.sum(), |name| names.contains(name)),
                None => update.sum(),
            };
            for (name, n) in sum {
                write.add(&name, number(n));
            }
            write.set(APPLIED, text(update.last().as_str()));
            let (applied, first) = (write.name(APPLIED), write.value(text(update.first().as_str())));
            write.only_if(format!("attribute_not_exists({applied}) OR {applied} < {first}"));
            let written = match write.write(&self.client, &self.table, key.clone()).await {
                // The item is as large as it can be, though it has few names.
                Err(StoreError::Refused { .. }) if full.is_none() => {
                    full = Some(Arc::default());
                    continue;
                }
                written => written?,
            };
            let item = match written {
                Updated::Refused(item) => item,
                Updated::Done(item) => {
                    if item.len() > MOST_COUNTERS && full.is_none() {
                        self.remember_full(key, item);
                    }
                    return Ok(());
                }
            };
            let Some(applied) = item.get(APPLIED).and_then(|value| value.as_s().ok()) else {
                return Ok(());
            };
            match update.after(&SequenceNumber::new(applied)) {
                Some(rest) => update = rest,
                None => return Ok(()),
            }
        }
    }

    /// The names that an item has which gets no more of them; `None` for an item with room.
    fn names_of_full(&self, key: &Key) -> Option<Arc<HashSet<String>>> {
        self.full.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    fn remember_full(&self, key: Key, item: Item) {
        let mut full = self.full.lock().unwrap_or_else(PoisonError::into_inner);
        if full.len() >= MOST_REMEMBERED {
            full.clear();
        }
        full.insert(key, Arc::new(item.into_keys().collect()));
    }

    /// The counter items of a partition whose view starts with `prefix`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn items(&self, pk: &str, prefix: &str) -> Result<Vec<CounterItem>, StoreError> {
        self.query(partition_condition(prefix), partition_values(pk, prefix)).await
    }

    /// The counter items of a partition whose sort keys lie between these two, both included.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn items_between(&self, pk: &str, first: &str, last: &str) -> Result<Vec<CounterItem>, StoreError> {
        let mut values = partition_values(pk, "");
        values.extend([(":first".to_owned(), text(first)), (":last".to_owned(), text(last))]);
        self.query("pk = :pk AND sk BETWEEN :first AND :last", values).await
    }

    async fn query(&self, condition: &str, values: Item) -> Result<Vec<CounterItem>, StoreError> {
        let mut found = Vec::new();
        let mut start = None;
        loop {
            let page = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression(condition)
                .set_expression_attribute_values(Some(values.clone()))
                .consistent_read(true)
                .set_exclusive_start_key(start.take())
                .send()
                .await
                .map_err(|error| unavailable("Query", &error))?;
            found.extend(page.items.unwrap_or_default().into_iter().map(counter_item));
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(found);
            }
        }
    }
}

fn counter_item(item: Item) -> CounterItem {
    let sk = item.get("sk").and_then(|sk| sk.as_s().ok()).cloned().unwrap_or_default();
    let counts = item
        .into_iter()
        .filter_map(|(name, value)| match value {
            AttributeValue::N(n) => Some((name, n.parse().ok()?)),
            _ => None,
        })
        .collect();
    CounterItem { sk, counts }
}
