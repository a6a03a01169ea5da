//! What is past its time is removed from the bucket, all of it and nothing else, however often and with whatever
//! interruptions.

use std::collections::BTreeSet;
use std::time::Duration;

use compact::{Compact, Config, handle};
use futures::StreamExt;
use serde_json::{Value, json};
use shared::archive::{Line, ObjectName};
use shared::aws::Clients;
use shared::blob::{Bucket, key};
use shared::config::Settings;
use shared::id::{ExportId, UploadId};
use shared::time::UnixMillis;
use warehouse::Partition;

use crate::{NOW, Tables, WORKSPACE};

const DAY_MS: i64 = 86_400_000;
const HOUR_MS: i64 = 3_600_000;

struct World {
    tables: Tables,
    bucket: Bucket,
}

impl World {
    async fn new() -> Self {
        let tables = Tables::new().await;
        let bucket = tables.bucket().await;
        Self { tables, bucket }
    }

    async fn put(&self, keys: &[String]) {
        let puts = futures::stream::iter(keys).map(|key| self.bucket.put(key, "x", "text/plain"));
        puts.buffer_unordered(16).for_each(async |put| put.unwrap()).await;
    }

    /// Sweeps under these settings; the answer.
    async fn sweep(&self, settings: &[(&str, &str)], left: Option<Duration>) -> Value {
        let values = [("BUCKET", "bucket")].iter().chain(settings);
        let values = values.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let engines = &self.tables.engines;
        let clients = Clients { dynamodb: engines.dynamodb(), sqs: engines.sqs(), s3: engines.s3() };
        let compact = Compact::new(Config::read(Settings::from_values(values)).unwrap(), &clients);
        handle(&compact, &json!({"detail": {"task": "sweep"}}), NOW, left).await.unwrap()
    }

    async fn left(&self) -> BTreeSet<String> {
        let mut left: BTreeSet<String> = BTreeSet::new();
        loop {
            let keys = self.bucket.keys("", left.last().map(String::as_str)).await.unwrap();
            if keys.is_empty() {
                return left;
            }
            left.extend(keys);
        }
    }
}

fn ago(ms: i64) -> UnixMillis {
    UnixMillis(NOW.0 - ms)
}

fn raw(at: UnixMillis, n: usize) -> String {
    ObjectName::of(&[Line::of_meta(format!("m-{n}"), at, "{}")]).unwrap().key()
}

#[tokio::test]
async fn partitions_that_are_wholly_older_than_their_rule_go_and_no_others() {
    let world = World::new().await;
    let kept = |at: UnixMillis| key::kept_event(&at.date(), "evt_01J00000000000000000000000".parse().unwrap());
    let published = |at: UnixMillis| [Partition::of(at).file(), Partition::of(at).staged("x")];
    let mut old = vec![raw(ago(10 * DAY_MS + HOUR_MS), 0), raw(ago(400 * DAY_MS), 1), kept(ago(35 * DAY_MS))];
    old.extend(published(ago(20 * DAY_MS + HOUR_MS)));
    let mut young = vec![
        raw(ago(10 * DAY_MS), 2),
        raw(ago(0), 3),
        kept(ago(34 * DAY_MS)),
        // What nobody here has written is not removed, and does not stop the sweep.
        "events/parquet/a".to_owned(),
        "media/x".to_owned(),
        key::overflow("2020-01-01", "x"),
    ];
    young.extend(published(ago(20 * DAY_MS)));
    world.put(&old).await;
    world.put(&young).await;

    let rules = [("RETENTION", "raw=10,published=20,messages=30")];
    let nothing = json!({"removed": {}, "finished": true});
    assert_eq!(world.sweep(&[], None).await, nothing, "without a rule everything is kept");
    assert_eq!(world.sweep(&rules, Some(Duration::ZERO)).await["finished"], false, "there is no time");
    let removed = json!({"raw": 2, "published": 2, "messages": 1});
    assert_eq!(world.sweep(&rules, None).await, json!({"removed": removed, "finished": true}));
    assert_eq!(world.left().await, young.into_iter().collect());
    assert_eq!(world.sweep(&rules, None).await, nothing, "a second time there is nothing left");
}

#[tokio::test]
async fn a_sweep_goes_through_all_pages_of_a_list() {
    let world = World::new().await;
    let old: Vec<String> = (0..1_030).map(|n| raw(ago(30 * DAY_MS), n)).collect();
    let young = vec![raw(ago(DAY_MS), 0)];
    world.put(&old).await;
    world.put(&young).await;
    let swept = world.sweep(&[("RETENTION", "raw=10")], None).await;
    assert_eq!(swept["removed"], json!({"raw": 1_030}));
    assert_eq!(world.left().await, young.into_iter().collect());
}

#[tokio::test]
async fn where_the_bucket_has_no_rules_of_its_own_the_sweep_expires_what_is_temporary() {
    let world = World::new().await;
    let of = |at: UnixMillis, days: i64| {
        let at = UnixMillis(at.0 - days * DAY_MS);
        [key::upload(WORKSPACE, UploadId::new(at)), key::export_part(WORKSPACE, ExportId::new(at), 0)]
    };
    let mut old = vec![key::overflow(&ago(31 * DAY_MS).date(), "x")];
    old.extend(of(NOW, 3));
    let mut young = vec![key::overflow(&ago(30 * DAY_MS).date(), "x")];
    young.extend(of(NOW, 0));
    // Between two that are old by their keys' order and one that is not: each is looked at.
    young.push(key::upload("wsp_7ZZZZZZZZZZZZZZZZZZZZZZZZZ".parse().unwrap(), UploadId::new(NOW)));
    world.put(&old).await;
    world.put(&young).await;
    assert_eq!(world.sweep(&[], None).await["removed"], json!({}), "on AWS it is the bucket's own rule");
    let swept = world.sweep(&[("SWEEP_TEMPORARY", "true")], None).await;
    assert_eq!(swept["removed"], json!({"overflow": 1, "uploads": 1, "exports": 1}));
    assert_eq!(world.left().await, young.into_iter().collect());
}
