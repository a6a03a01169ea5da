//! Compaction: staged objects are read in the order of their keys, partition by partition, and merged into the
//! partition's file, so many rows at a time that they fit into memory.

use std::time::Instant;

use futures::{StreamExt, TryStreamExt};
use shared::blob::BlobError;
use shared::blob::files::Replaced;

use crate::merge::{Batch, Merged, merge};
use crate::partition::{Partition, STAGED};
use crate::row::Row;
use crate::{AT_ONCE, Copied, Warehouse, WarehouseError, busy, staged};

/// Rows that are merged at once; each takes about a kilobyte in memory. One object more may be on top of it.
const MAX_ROWS: usize = 100_000;

/// Objects whose events are merged at once, though they may be few.
const MAX_OBJECTS: usize = 5_000;

/// What a compaction has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Staged objects that are merged and removed.
    pub objects: usize,
    /// Events that were new, or better known than before.
    pub events: usize,
    /// Times a file was written.
    pub files: usize,
    /// Times another compaction was faster; what it did not take in is still staged.
    pub overtaken: usize,
    /// Objects that cannot be read. They stay where they are.
    pub unreadable: usize,
    /// Nothing was left to do; if not, the time was over.
    pub finished: bool,
}

/// Objects of one partition that are merged together.
struct Load {
    partition: Partition,
    keys: Vec<String>,
    batch: Batch,
}

impl Warehouse {
    /// Merges everything that is staged. Goes on with the next partition when one cannot be written, and stops between two
    /// writes once `until` is over.
    ///
    /// # Errors
    /// The first [`WarehouseError`], after the rest is done.
    pub async fn compact(&self, until: Option<Instant>) -> Result<Compacted, WarehouseError> {
        let mut done = Compacted::default();
        let mut failed = None;
        let mut after: Option<String> = None;
        let mut load: Option<Load> = None;
        loop {
            let keys = self.bucket.keys(STAGED, after.as_deref()).await?;
            after = keys.last().cloned();
            let ended = keys.is_empty();
            // Read some ahead, in order.
            let mut objects = futures::stream::iter(keys)
                .map(|key| async move { (self.bucket.get(&key).await, key) })
                .buffered(AT_ONCE);
            while let Some((body, key)) = objects.next().await {
                let Some(partition) = Partition::of_key(&key) else {
                    done.unreadable += 1;
                    continue;
                };
                let full = |load: &Load| {
                    load.partition != partition || load.batch.len() >= MAX_ROWS || load.keys.len() >= MAX_OBJECTS
                };
                if let Some(full) = load.take_if(|load| full(load)) {
                    if let Err(error) = self.merge(full, &mut done).await {
                        failed.get_or_insert(error);
                    }
                    if until.is_some_and(|until| Instant::now() >= until) {
                        return failed.map_or(Ok(done), Err);
                    }
                }
                let events = match body {
                    Ok(body) => staged::read(&body),
                    // Another compaction has merged it since the list was made.
                    Err(BlobError::NotFound { .. }) => continue,
                    Err(error) => {
                        failed.get_or_insert(error.into());
                        continue;
                    }
                };
                let Ok(events) =
                    events.inspect_err(|error| tracing::error!(key, %error, "staged events are unreadable"))
                else {
                    done.unreadable += 1;
                    continue;
                };
                let load = load.get_or_insert_with(|| Load { partition, keys: Vec::new(), batch: Batch::default() });
                load.keys.push(key);
                for event in events {
                    load.batch.add(Row::from(event));
                }
            }
            if ended {
                break;
            }
        }
        if let Some(last) = load
            && let Err(error) = self.merge(last, &mut done).await
        {
            failed.get_or_insert(error);
        }
        done.finished = true;
        failed.map_or(Ok(done), Err)
    }

    /// Merges objects into their file, then removes them. Whoever dies in between leaves objects whose events are in the
    /// file; merging them again changes nothing.
    async fn merge(&self, load: Load, done: &mut Compacted) -> Result<(), WarehouseError> {
        let Load { partition, keys, batch } = load;
        let key = partition.file();
        let (existing, etag) = match self.copy(&key).await? {
            Some(Copied { file, etag }) => (Some(file), etag),
            None => (None, None),
        };
        let merged = busy(&key, move || merge(&partition, existing.as_ref(), batch)).await?;
        if let Some(Merged { file, rows }) = merged {
            if self.replace(&key, etag.as_deref(), &file).await? == Replaced::Overtaken {
                done.overtaken += 1;
                return Ok(());
            }
            done.files += 1;
            done.events += rows;
        }
        let objects = keys.len();
        futures::stream::iter(keys)
            .map(|key| async move { self.bucket.delete(&key).await })
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await?;
        done.objects += objects;
        Ok(())
    }
}
