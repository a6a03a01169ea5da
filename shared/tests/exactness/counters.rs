//! ROLLUP and how the stream comes to it: each batch as one update per counter item, each update under the condition of
//! `Rollups::apply`; batches come again, longer, shorter, late, or break off with some of their items written.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use shared::rollup::{Contribution, CounterKey, CounterUpdate, Counts, SequenceNumber, add, updates};

use crate::Rule;
use crate::table::Record;
use crate::world::{Delivery, End, World};

/// Records that are delivered together when nothing more goes wrong.
const LAST_BATCH: usize = 7;

/// The table of counters.
pub(crate) struct Counters {
    rule: Rule,
    names_a_write: usize,
    items: BTreeMap<CounterKey, Item>,
}

#[derive(Default)]
struct Item {
    counts: Counts,
    applied: Option<SequenceNumber>,
}

/// A shard of the stream: all records of its partitions, in order.
#[derive(Default)]
struct Shard<'a> {
    records: Vec<&'a Record>,
    done: usize,
}

impl Counters {
    /// The counters after the stream was delivered the way the world wants it, and then to its end.
    pub(crate) fn fed(world: &World, stream: &[Record], rule: Rule) -> Self {
        let mut counters = Self { rule, names_a_write: world.names_a_write, items: BTreeMap::new() };
        let mut shards: Vec<Shard<'_>> = Vec::new();
        shards.resize_with(world.stream_shards, Shard::default);
        for record in stream {
            let shard = shard_of(&record.source, shards.len());
            shards[shard].records.push(record);
        }
        for delivery in &world.deliveries {
            let shard = delivery.shard.index(shards.len());
            counters.deliver(&mut shards[shard], delivery);
        }
        for shard in &mut shards {
            while shard.done < shard.records.len() {
                let end = (shard.done + LAST_BATCH).min(shard.records.len());
                for update in batch(&shard.records[shard.done..end]) {
                    counters.apply(update, usize::MAX);
                }
                shard.done = end;
            }
        }
        counters
    }

    fn deliver(&mut self, shard: &mut Shard<'_>, delivery: &Delivery) {
        let from = shard.done.saturating_sub(delivery.back);
        let to = (from + delivery.take).min(shard.records.len());
        for (i, update) in (0..).zip(batch(&shard.records[from..to])) {
            let writes = match delivery.end {
                End::Done | End::Unheard => usize::MAX,
                End::Crash { written, .. } if written.rotate_right(i) & 1 == 0 => 0,
                End::Crash { cut, .. } if cut.rotate_right(i) & 1 == 1 => 1,
                End::Crash { .. } => usize::MAX,
            };
            self.apply(update, writes);
        }
        if matches!(delivery.end, End::Done) {
            shard.done = shard.done.max(to);
        }
    }

    /// Writes an update in as many parts as its names want, and breaks off after some of them.
    fn apply(&mut self, update: CounterUpdate, writes: usize) {
        let mut rest = Some(update);
        for _ in 0..writes {
            let Some(update) = rest.take() else { return };
            let (part, behind) = update.split_at_names(self.names_a_write);
            self.apply_part(part);
            rest = behind;
        }
    }

    /// `ADD …, SET applied = last IF attribute_not_exists(applied) OR applied < first`, and after a refusal the same
    /// with what was not applied before.
    fn apply_part(&mut self, update: CounterUpdate) {
        let item = self.items.entry(update.key.clone()).or_default();
        let mut update = update;
        loop {
            let holds = match (&item.applied, self.rule) {
                (None, _) | (_, Rule::NoWatermark) => true,
                (Some(applied), Rule::LastDecides) => applied < update.last(),
                (Some(applied), _) => applied < update.first(),
            };
            if holds {
                add(&mut item.counts, &update.sum());
                item.applied = Some(update.last().clone());
                return;
            }
            let Some(rest) = item.applied.as_ref().and_then(|applied| update.after(applied)) else { return };
            if self.rule == Rule::RefusedIsDropped {
                return;
            }
            update = rest;
        }
    }

    /// The items without counts that came back to zero.
    pub(crate) fn without_zeros(&self) -> Contribution {
        let mut items: Contribution = self.items.iter().map(|(key, item)| (key.clone(), item.counts.clone())).collect();
        items.retain(|_, counts| {
            counts.retain(|_, n| *n != 0);
            !counts.is_empty()
        });
        items
    }

    /// The items of one partition as a report reads them.
    pub(crate) fn items(&self, pk: &str) -> impl Iterator<Item = (&str, &Counts)> {
        let items = self.items.iter().filter(move |(key, _)| key.pk == pk);
        items.map(|(key, item)| (key.sk.as_str(), &item.counts))
    }
}

/// A batch as the function `rollup` takes it: records that concern no counter are left out.
fn batch(records: &[&Record]) -> Vec<CounterUpdate> {
    let concerned = records.iter().filter(|record| !record.delta.is_empty());
    updates(concerned.map(|record| (record.sequence.clone(), record.delta.clone())))
}

/// A partition's records are all in one shard of the stream.
fn shard_of(source: &str, shards: usize) -> usize {
    let mut hasher = DefaultHasher::new();
    source.hash(&mut hasher);
    usize::try_from(hasher.finish() % u64::try_from(shards).unwrap()).unwrap()
}
