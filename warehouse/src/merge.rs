//! Merging events into a partition's file: what is there stays, what is new comes in at its place, and of two versions of
//! one event the better one stays. Pure work on files; who calls it holds the bucket.

use std::collections::{HashMap, HashSet};
use std::fs::File;

use parquet::errors::ParquetError;
use tempfile::NamedTempFile;

use crate::file::{RowReader, RowWriter};
use crate::partition::Partition;
use crate::row::Row;

/// Events of one partition that are to be merged into its file, each once.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    rows: HashMap<String, Row>,
}

impl Batch {
    pub(crate) fn add(&mut self, row: Row) {
        match self.rows.entry(row.id().to_owned()) {
            std::collections::hash_map::Entry::Vacant(free) => {
                free.insert(row);
            }
            std::collections::hash_map::Entry::Occupied(mut known) => {
                if row.stands_over(known.get()) {
                    known.insert(row);
                }
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }
}

/// A file that was written anew.
pub(crate) struct Merged {
    pub(crate) file: NamedTempFile,
    /// How many rows are new or changed.
    pub(crate) rows: usize,
}

/// Merges a batch into the partition's file, if it has one; `None` when the file holds all of it already.
///
/// A row that belongs to another hour by now takes its older version out of the file. That it did is remembered in the
/// file, so that the order in which versions come does not matter.
pub(crate) fn merge(
    partition: &Partition,
    existing: Option<&File>,
    mut batch: Batch,
) -> Result<Option<Merged>, ParquetError> {
    let remembered = match existing {
        Some(file) => RowReader::new(file.try_clone()?)?.moved(),
        None => Vec::new(),
    };
    for row in &remembered {
        batch.add(row.clone());
    }
    let replaced = match existing {
        Some(file) => settle(file, &mut batch.rows)?,
        None => HashSet::new(),
    };
    let (mut fresh, mut moved): (Vec<Row>, Vec<Row>) = batch.rows.into_values().partition(|row| row.is_of(partition));
    let remembers_more = moved.iter().any(|row| remembered.iter().all(|known| known.moved() != row.moved()));
    if fresh.is_empty() && replaced.is_empty() && !remembers_more {
        return Ok(None);
    }
    let taken_in = fresh.len();
    fresh.sort_unstable_by(Row::order);
    moved.sort_unstable_by(Row::order);
    let mut fresh = fresh.into_iter().peekable();
    let file = NamedTempFile::new()?;
    let mut writer = RowWriter::new(file.as_file())?;
    if let Some(existing) = existing {
        for row in RowReader::new(existing.try_clone()?)? {
            let row = row?;
            if replaced.contains(row.id()) {
                continue;
            }
            while let Some(before) = fresh.next_if(|fresh| fresh.order(&row).is_lt()) {
                writer.push(before)?;
            }
            writer.push(row)?;
        }
    }
    for row in fresh {
        writer.push(row)?;
    }
    writer.finish(&moved)?;
    Ok(Some(Merged { file, rows: taken_in }))
}

/// Holds the batch against the file: what the file has as well or better leaves the batch; the ids of what the batch has
/// better are given back.
fn settle(file: &File, batch: &mut HashMap<String, Row>) -> Result<HashSet<String>, ParquetError> {
    let mut known = false;
    for row in RowReader::of_ids(file.try_clone()?)? {
        known |= batch.contains_key(row?.id());
    }
    let mut replaced = HashSet::new();
    if !known {
        return Ok(replaced);
    }
    for there in RowReader::new(file.try_clone()?)? {
        let there = there?;
        let Some(told) = batch.get(there.id()) else { continue };
        if told.stands_over(&there) {
            replaced.insert(there.id().to_owned());
        } else {
            batch.remove(there.id());
        }
    }
    Ok(replaced)
}

/// Writes a file anew with these rows changed; `None` when there is nothing to change.
pub(crate) fn rewrite(
    existing: &File,
    mut change: impl FnMut(&mut Row) -> bool,
) -> Result<Option<Merged>, ParquetError> {
    let file = NamedTempFile::new()?;
    let mut writer = RowWriter::new(file.as_file())?;
    let mut changed = 0;
    let reader = RowReader::new(existing.try_clone()?)?;
    let moved = reader.moved();
    for row in reader {
        let mut row = row?;
        changed += usize::from(change(&mut row));
        writer.push(row)?;
    }
    writer.finish(&moved)?;
    Ok((changed > 0).then_some(Merged { file, rows: changed }))
}

#[cfg(test)]
mod tests;
