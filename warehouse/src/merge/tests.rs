//! Merging in any order and as often as one likes, and what it must not do.

#![allow(clippy::print_stdout, reason = "a test prints what it measures")]

use proptest::prelude::*;
use serde_json::{Map, Value};
use shared::activity::id_of;
use shared::id::WorkspaceId;
use shared::published::Published;
use shared::time::UnixMillis;

use super::*;
use crate::row::Cell;

const HOUR: i64 = 3_600_000;

fn event(number: u32, at: i64, inferred: bool) -> Row {
    let data = if inferred { Map::from_iter([("inferred".to_owned(), Value::Bool(true))]) } else { Map::new() };
    Published {
        id: id_of(UnixMillis(1), &[&number.to_string()]),
        kind: if number.is_multiple_of(2) { "message.sent" } else { "message.delivered" }.to_owned(),
        at: UnixMillis(at),
        seen: UnixMillis(at),
        workspace: WorkspaceId::FIRST,
        account: (!number.is_multiple_of(5)).then(|| "acc_01J00000000000000000000000".parse().unwrap()),
        contact: None,
        campaign: None,
        recipient: None,
        variant: None,
        data,
    }
    .into()
}

fn batch(rows: &[Row]) -> Batch {
    let mut batch = Batch::default();
    for row in rows {
        batch.add(row.clone());
    }
    batch
}

fn rows(file: &NamedTempFile) -> Vec<Row> {
    RowReader::new(file.reopen().unwrap()).unwrap().map(Result::unwrap).collect()
}

/// The file after these batches, one after the other.
fn merged(partition: &Partition, batches: &[Vec<Row>]) -> Vec<Row> {
    let mut file: Option<NamedTempFile> = None;
    for rows in batches {
        let existing = file.as_ref().map(|file| file.reopen().unwrap());
        if let Some(merged) = merge(partition, existing.as_ref(), batch(rows)).unwrap() {
            file = Some(merged.file);
        }
    }
    file.as_ref().map(rows).unwrap_or_default()
}

/// Each event once, in its best version, if that lies in the partition; in the order of a file.
fn truth(partition: &Partition, batches: &[Vec<Row>]) -> Vec<Row> {
    let all: Vec<Row> = batches.concat();
    let mut rows: Vec<Row> = batch(&all).rows.into_values().filter(|row| row.is_of(partition)).collect();
    rows.sort_by(Row::order);
    rows
}

fn batches() -> impl Strategy<Value = Vec<Vec<Row>>> {
    let row =
        (0..12_u32, -2..4_i64, any::<bool>()).prop_map(|(number, at, inferred)| event(number, at * HOUR / 3, inferred));
    prop::collection::vec(prop::collection::vec(row, 0..12), 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn however_events_are_cut_into_batches_and_repeated_the_best_version_of_each_is_there_once(batches in batches()) {
        let partition = Partition::of(UnixMillis(0));
        let mut repeated = batches.clone();
        repeated.extend(batches.clone().into_iter().rev());
        let expected = truth(&partition, &batches);
        prop_assert_eq!(&merged(&partition, &batches), &expected);
        prop_assert_eq!(&merged(&partition, &repeated), &expected);
    }
}

#[test]
fn a_file_that_holds_everything_is_not_written_again() {
    let partition = Partition::of(UnixMillis(0));
    let there = [event(1, 5, false), event(2, 6, false)];
    let first = merge(&partition, None, batch(&there)).unwrap().unwrap();
    assert_eq!(first.rows, 2);
    let file = first.file.reopen().unwrap();
    assert!(merge(&partition, Some(&file), batch(&there[1..])).unwrap().is_none());
    assert!(merge(&partition, Some(&file), batch(&[event(1, 7, false)])).unwrap().is_none(), "a later time is no news");
    let better = merge(&partition, Some(&file), batch(&[event(1, 4, false)])).unwrap().unwrap();
    assert_eq!((better.rows, rows(&better.file).len()), (1, 2));
}

#[test]
fn an_event_that_moved_to_another_hour_leaves_the_file() {
    let partition = Partition::of(UnixMillis(HOUR));
    let batches = [vec![event(1, HOUR + 5, true), event(2, HOUR + 6, false)], vec![event(1, HOUR - 5, false)]];
    let left = merged(&partition, &batches);
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].id(), event(2, 0, false).id());
    let late = [batches[1].clone(), batches[0].clone()];
    assert_eq!(merged(&partition, &late), left, "the older version came after the newer one");
}

#[test]
fn rewriting_changes_what_is_asked_for_and_nothing_else() {
    let partition = Partition::of(UnixMillis(0));
    let file = merge(&partition, None, batch(&[event(1, 5, false), event(2, 6, false)])).unwrap().unwrap().file;
    let before = rows(&file);
    let one = |row: &mut Row| {
        let is_it = row.id() == before[0].id();
        if is_it {
            row.erase();
        }
        is_it
    };
    let after = rewrite(&file.reopen().unwrap(), one).unwrap().unwrap();
    assert_eq!(after.rows, 1);
    let after = rows(&after.file);
    assert_eq!(after[1], before[1]);
    assert_eq!(after[0].cells[crate::row::column::DATA], Cell::text(r#"{"erased":true}"#));
    assert!(rewrite(&file.reopen().unwrap(), |_| false).unwrap().is_none());
}

/// `cargo test --release -p warehouse million -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn a_million_events_of_one_hour_take_little_memory() {
    let partition = Partition::of(UnixMillis(0));
    let status = || std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = || status().lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default().to_owned();
    let mut file: Option<NamedTempFile> = None;
    for part in 0..10 {
        let rows = (0..100_000).map(|n| part * 100_000 + n).map(|n: u32| event(n, i64::from(n) % HOUR, false));
        let mut batch = Batch::default();
        rows.for_each(|row| batch.add(row));
        let existing = file.as_ref().map(|file| file.reopen().unwrap());
        let begun = std::time::Instant::now();
        let merged = merge(&partition, existing.as_ref(), batch).unwrap().unwrap();
        let bytes = merged.file.as_file().metadata().unwrap().len();
        println!("{} rows: {bytes} bytes, {:?}, {}", (part + 1) * 100_000, begun.elapsed(), peak());
        file = Some(merged.file);
    }
}
