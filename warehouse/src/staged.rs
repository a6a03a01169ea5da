//! Staged events: what a batch of the stream published for one partition, as one object of JSON lines under zstd, until
//! it is merged into the partition's file. Each line is the event as subscribers get it.
//!
//! An object's key names its first record and its contents, so what is at a key never changes: a repeat of the batch
//! writes the same object again, and a longer or shorter one writes another, whose repeats are found by their ids.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};

use sha2::{Digest, Sha256};
use shared::published::{Change, Published};
use shared::rollup::SequenceNumber;

use crate::partition::Partition;

/// zstd's default: JSON lines shrink to a tenth in no time.
const LEVEL: i32 = 3;

/// More than what any batch of the stream can publish; a longer object is not ours.
const MAX_BYTES: u64 = 256 << 20;

/// An object to be written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Object {
    /// Its key.
    pub(crate) key: String,
    /// Its contents.
    pub(crate) body: Vec<u8>,
}

/// The objects for a batch of changes, in the order of the stream: one for each partition.
///
/// An event whose time has moved to another hour is staged for the hour it leaves as well; there it says that it is
/// somewhere else.
///
/// # Errors
/// Only zstd's own, such as when there is no memory.
pub(crate) fn objects(changes: &[(SequenceNumber, Change)]) -> std::io::Result<Vec<Object>> {
    let mut by_partition: BTreeMap<Partition, (&SequenceNumber, Vec<u8>)> = BTreeMap::new();
    for (sequence, Change { event, was }) in changes {
        let now = Partition::of(event.at);
        let left = was.map(Partition::of).filter(|left| *left != now);
        for partition in [Some(now), left].into_iter().flatten() {
            let (_, lines) = by_partition.entry(partition).or_insert_with(|| (sequence, Vec::new()));
            serde_json::to_writer(&mut *lines, event)?;
            lines.push(b'\n');
        }
    }
    by_partition
        .into_iter()
        .map(|(partition, (first, lines))| {
            let contents = hex::encode(&Sha256::digest(&lines)[..8]);
            let key = partition.staged(&format!("{}-{contents}", first.as_str()));
            Ok(Object { key, body: zstd::bulk::compress(&lines, LEVEL)? })
        })
        .collect()
}

/// The events of an object.
///
/// # Errors
/// When it is not what [`objects`] made.
pub(crate) fn read(body: &[u8]) -> std::io::Result<Vec<Published>> {
    let lines = BufReader::new(zstd::Decoder::new(body)?.take(MAX_BYTES)).lines();
    lines.map(|line| Ok(serde_json::from_str(&line?)?)).collect()
}

#[cfg(test)]
mod tests {
    use shared::activity::id_of;
    use shared::id::WorkspaceId;
    use shared::time::UnixMillis;

    use super::*;

    const HOUR: i64 = 3_600_000;

    fn change(number: i64, at: i64, was: Option<i64>) -> (SequenceNumber, Change) {
        let at = UnixMillis(at);
        let event = Published {
            id: id_of(at, &[&number.to_string()]),
            kind: "message.sent".to_owned(),
            at,
            seen: at,
            workspace: WorkspaceId::FIRST,
            account: None,
            contact: None,
            campaign: None,
            recipient: None,
            variant: None,
            data: serde_json::Map::new(),
        };
        (SequenceNumber::new(&number.to_string()), Change { event, was: was.map(UnixMillis) })
    }

    #[test]
    fn a_batch_is_staged_by_the_hour_in_which_things_happened() {
        let batch = [change(7, 5, None), change(8, HOUR, None), change(9, HOUR - 1, None)];
        let objects = objects(&batch).unwrap();
        let found: Vec<(String, usize)> = objects
            .iter()
            .map(|object| (Partition::of_key(&object.key).unwrap().to_string(), read(&object.body).unwrap().len()))
            .collect();
        assert_eq!(found, [("1970-01-01T00".to_owned(), 2), ("1970-01-01T01".to_owned(), 1)]);
        assert!(objects[0].key.contains(&format!("/{}7-", "0".repeat(39))), "{}", objects[0].key);
    }

    #[test]
    fn an_event_that_leaves_an_hour_is_told_there_too() {
        let found = objects(&[change(7, 5, Some(HOUR + 1)), change(8, 6, Some(7))]).unwrap();
        let lines: Vec<usize> = found.iter().map(|object| read(&object.body).unwrap().len()).collect();
        assert_eq!(lines, [2, 1]);
    }

    #[test]
    fn the_same_batch_makes_the_same_objects_and_another_one_makes_others() {
        let batch = [change(7, 5, None), change(8, 6, None)];
        assert_eq!(objects(&batch).unwrap(), objects(&batch).unwrap());
        assert_ne!(objects(&batch).unwrap()[0].key, objects(&batch[..1]).unwrap()[0].key);
    }

    #[test]
    fn what_is_not_a_staged_object_is_refused() {
        assert!(read(b"{}").is_err());
        assert!(read(&zstd::bulk::compress(b"{}\n", 3).unwrap()).is_err());
    }
}
