//! Compaction: staged objects are read in the order of their keys, partition by partition, and merged into the
//! partition's file, so many rows at a time that they fit into memory.

use std::collections::BTreeSet;
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

/// How merging went.
#[derive(Default)]
struct Work {
    done: Compacted,
    /// Keys of staged objects that cannot be read, and of files that nothing can be merged into.
    unreadable: BTreeSet<String>,
    /// The first error that comes again with every try.
    damaged: Option<WarehouseError>,
    /// The first error that may pass.
    failed: Option<WarehouseError>,
}

impl Work {
    /// Notes why something was not merged; the rest goes on.
    fn not_merged(&mut self, error: WarehouseError) {
        let first = match &error {
            WarehouseError::Damaged { key, .. } => {
                self.unreadable.insert(key.clone());
                &mut self.damaged
            }
            _ => &mut self.failed,
        };
        first.get_or_insert(error);
    }

    /// Notes a staged object that cannot be read.
    fn not_read(&mut self, key: String) {
        self.done.unreadable += 1;
        self.unreadable.insert(key);
    }
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
    /// A [`WarehouseError`], after the rest is done.
    pub async fn compact(&self, until: Option<Instant>) -> Result<Compacted, WarehouseError> {
        let mut work = Work::default();
        self.work(until, &mut work).await?;
        match (work.failed, work.damaged) {
            (Some(error), _) | (None, Some(error)) => Err(error),
            (None, None) => Ok(work.done),
        }
    }

    /// Merges everything that is staged, once more whenever others have merged at the same time: what they have not taken
    /// in is still staged. The keys of what cannot be read.
    ///
    /// # Errors
    /// [`WarehouseError`] of what may pass.
    pub(crate) async fn merged(&self) -> Result<BTreeSet<String>, WarehouseError> {
        loop {
            let mut work = Work::default();
            self.work(None, &mut work).await?;
            match work.failed {
                Some(error) => return Err(error),
                None if work.done.overtaken == 0 => return Ok(work.unreadable),
                None => {}
            }
        }
    }

    async fn work(&self, until: Option<Instant>, work: &mut Work) -> Result<(), WarehouseError> {
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
                    work.not_read(key);
                    continue;
                };
                let full = |load: &Load| {
                    load.partition != partition || load.batch.len() >= MAX_ROWS || load.keys.len() >= MAX_OBJECTS
                };
                if let Some(full) = load.take_if(|load| full(load)) {
                    if let Err(error) = self.merge(full, &mut work.done).await {
                        work.not_merged(error);
                    }
                    if until.is_some_and(|until| Instant::now() >= until) {
                        return Ok(());
                    }
                }
                let events = match body {
                    Ok(body) => staged::read(&body),
                    // Another compaction has merged it since the list was made.
                    Err(BlobError::NotFound { .. }) => continue,
                    Err(error) => {
                        work.not_merged(error.into());
                        continue;
                    }
                };
                let Ok(events) =
                    events.inspect_err(|error| tracing::error!(key, %error, "staged events are unreadable"))
                else {
                    work.not_read(key);
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
            && let Err(error) = self.merge(last, &mut work.done).await
        {
            work.not_merged(error);
        }
        work.done.finished = true;
        Ok(())
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
