//! `Rollups::apply` counts every change once, whatever comes again.

use std::collections::BTreeMap;

use shared::rollup::{Contribution, CounterKey, CounterUpdate, Counts, SequenceNumber, updates};

use crate::{Tables, at_once};

fn key() -> CounterKey {
    CounterKey { pk: "P".to_owned(), sk: "TOTAL#00".to_owned() }
}

/// What a batch of the stream adds: record `n` adds `n`, so that the sum tells which records it is made of.
fn batch(records: impl IntoIterator<Item = i64>) -> CounterUpdate {
    let changes = records.into_iter().map(|n| {
        let counts = Counts::from([("0.sent".to_owned(), n), (format!("0.error.{}", n % 3), 1)]);
        (SequenceNumber::new(&n.to_string()), Contribution::from([(key(), counts)]))
    });
    updates(changes).remove(0)
}

async fn counted(tables: &Tables) -> Counts {
    let mut items = tables.rollups.items("P", "TOTAL").await.unwrap();
    assert_eq!(items.len(), 1);
    items.remove(0).counts
}

#[tokio::test]
async fn the_same_batch_counts_once() {
    let tables = Tables::new().await;
    for _ in 0..3 {
        tables.rollups.apply(batch(1..=5)).await.unwrap();
    }
    let expected = [("0.error.0", 1), ("0.error.1", 2), ("0.error.2", 2), ("0.sent", 15)];
    assert_eq!(counted(&tables).await, expected.map(|(name, n)| (name.to_owned(), n)).into());
}

#[tokio::test]
async fn of_a_longer_batch_only_what_is_new_counts() {
    let tables = Tables::new().await;
    for records in [1..=5, 1..=9, 3..=12, 1..=2, 8..=12] {
        tables.rollups.apply(batch(records)).await.unwrap();
    }
    assert_eq!(counted(&tables).await["0.sent"], (1..=12).sum::<i64>());
}

#[tokio::test]
async fn batches_applied_at_once_count_once() {
    let tables = Tables::new().await;
    for _ in 0..5 {
        at_once(12, |i| {
            let rollups = tables.rollups.clone();
            // All begin where the shard stands, as repeats of one batch do; some end earlier, some later.
            let end = i64::try_from(i % 4).unwrap() * 5 + 5;
            async move { rollups.apply(batch(1..=end)).await.unwrap() }
        })
        .await;
        assert_eq!(counted(&tables).await["0.sent"], (1..=20).sum::<i64>());
    }
}

#[tokio::test]
async fn sequence_numbers_compare_by_value_whatever_their_length() {
    let tables = Tables::new().await;
    for records in [8..=9, 8..=10, 99..=100, 9..=101] {
        tables.rollups.apply(batch(records)).await.unwrap();
    }
    assert_eq!(counted(&tables).await["0.sent"], 8 + 9 + 10 + 99 + 100 + 101);
}

#[tokio::test]
async fn counters_are_read_by_view() {
    let tables = Tables::new().await;
    let counts = Counts::from([("raw".to_owned(), 1)]);
    let items = ["CLICK#2026-09-21#01", "TOTAL#00", "TOTAL#01"].map(|sk| {
        let key = CounterKey { pk: "P".to_owned(), sk: sk.to_owned() };
        (key, counts.clone())
    });
    let contribution = BTreeMap::from(items);
    for update in updates([(SequenceNumber::new("1"), contribution)]) {
        tables.rollups.apply(update).await.unwrap();
    }
    let found = tables.rollups.items("P", "TOTAL").await.unwrap();
    assert_eq!(found.iter().map(|item| item.sk.as_str()).collect::<Vec<_>>(), ["TOTAL#00", "TOTAL#01"]);
    assert_eq!(found[0].counts, counts);
    assert_eq!(tables.rollups.items("Q", "TOTAL").await.unwrap(), []);
}

/// 1,000 records, a full batch of the stream, can touch this many counts of one item: delays of ten variants.
#[tokio::test]
async fn a_full_batch_fits_into_an_update() {
    let tables = Tables::new().await;
    let changes = (1..=1_000).map(|n| {
        let counts = Counts::from([(format!("{}.open.{}", n % 10, 64 + n / 10), 1)]);
        (SequenceNumber::new(&n.to_string()), Contribution::from([(key(), counts)]))
    });
    tables.rollups.apply(updates(changes).remove(0)).await.unwrap();
    assert_eq!(counted(&tables).await.values().sum::<i64>(), 1_000);
}

#[tokio::test]
async fn invented_names_do_not_make_an_item_ever_larger() {
    let tables = Tables::new().await;
    let visit = |n: i64| {
        let counts = Counts::from([("human".to_owned(), 1), (format!("referrer.{n}.example"), 1)]);
        (SequenceNumber::new(&n.to_string()), Contribution::from([(key(), counts)]))
    };
    for first in [1, 1_001, 2_001, 3_001] {
        tables.rollups.apply(updates((first..first + 1_000).map(visit)).remove(0)).await.unwrap();
    }
    // A name that was there before goes on to count.
    let known = Contribution::from([(key(), Counts::from([("referrer.7.example".to_owned(), 1)]))]);
    tables.rollups.apply(updates([(SequenceNumber::new("4001"), known)]).remove(0)).await.unwrap();
    let counted = counted(&tables).await;
    assert_eq!((counted["human"], counted["referrer.7.example"]), (4_000, 2));
    assert!(counted.len() < 2_300, "{} names", counted.len());
    let by_referrer: i64 = counted.iter().filter(|(name, _)| name.starts_with("referrer.")).map(|(_, n)| n).sum();
    assert_eq!((by_referrer, counted["referrer.other"] > 1_700), (4_001, true));
}
