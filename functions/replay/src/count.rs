//! Counts the fresh rows. A counter item is fed by one partition key (ADR 2), and a scan gives the rows of a partition key
//! one after the other, so each partition's items are written once, whole, and nothing is kept in memory but one of them.

use aws_sdk_dynamodb::types::AttributeValue;
use shared::rollup::{Contribution, add, row};
use shared::store::Item;
use shared::store::keys::Key;
use shared::store::whole::key_of;

use crate::job::{Job, Phase};
use crate::{NotReplayed, Tables};

/// Rows that are read at a time.
const ROWS: usize = 1_000;

/// Counts whole partitions until so many rows are counted, or the table ends.
const ROWS_OF_A_STEP: usize = 5_000;

pub(crate) async fn step(tables: &Tables, job: &mut Job, after: Option<Key>) -> Result<Phase, NotReplayed> {
    let mut counted = 0;
    let mut from = after;
    let mut partition: Option<String> = None;
    let mut sum = Contribution::new();
    loop {
        let part = tables.fresh_core.part(from.as_ref(), ROWS).await?;
        for item in part.items {
            let Some(key) = key_of(&item) else { continue };
            if partition.as_deref().is_some_and(|pk| pk != key.pk) {
                write(tables, job, std::mem::take(&mut sum)).await?;
                if counted >= ROWS_OF_A_STEP {
                    // The last row of the partition that was just written.
                    return Ok(Phase::Count { after: from });
                }
            }
            partition = Some(key.pk.clone());
            from = Some(key.clone());
            counted += 1;
            for (counter, counts) in row::of_row(&key.pk, &key.sk, item).unwrap_or_default() {
                add(sum.entry(counter).or_default(), &counts);
            }
        }
        match part.next {
            Some(next) => from = Some(next),
            None => break,
        }
    }
    write(tables, job, sum).await?;
    Ok(Phase::Rows { after: None })
}

async fn write(tables: &Tables, job: &mut Job, sum: Contribution) -> Result<(), NotReplayed> {
    let mut items = Vec::with_capacity(sum.len());
    for (key, counts) in sum {
        let mut item: Item = Key::new(key.pk, key.sk).item();
        item.extend(counts.into_iter().map(|(name, n)| (name, AttributeValue::N(n.to_string()))));
        items.push(item);
    }
    job.done.counters += u64::try_from(items.len()).unwrap_or(u64::MAX);
    Ok(tables.fresh_rollup.put(items).await?)
}
