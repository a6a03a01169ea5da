//! The store against a real engine: what `shared::store` promises about order, repetition and concurrency, tried through
//! the AWS SDK on the embedded DynamoDB in memory. Nothing here waits: time is an argument.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "store/accounts.rs"]
mod accounts;
#[path = "store/archiving.rs"]
mod archiving;
#[path = "store/audiences.rs"]
mod audiences;
#[path = "store/campaigns.rs"]
mod campaigns;
#[path = "store/claims.rs"]
mod claims;
#[path = "store/contacts.rs"]
mod contacts;
#[path = "store/conversions.rs"]
mod conversions;
#[path = "store/counters.rs"]
mod counters;
#[path = "store/erasures.rs"]
mod erasures;
#[path = "store/evidence.rs"]
mod evidence;
#[path = "store/failing.rs"]
mod failing;
#[path = "store/halts.rs"]
mod halts;
#[path = "store/identity.rs"]
mod identity;
#[path = "store/imports.rs"]
mod imports;
#[path = "store/jobs.rs"]
mod jobs;
#[path = "store/journeys.rs"]
mod journeys;
#[path = "store/links.rs"]
mod links;
#[path = "store/media.rs"]
mod media;
#[path = "store/privacy.rs"]
mod privacy;
#[path = "store/probes.rs"]
mod probes;
#[path = "store/requests.rs"]
mod requests;
#[path = "store/retention.rs"]
mod retention;
#[path = "store/slots.rs"]
mod slots;
#[path = "store/sweeping.rs"]
mod sweeping;
#[path = "store/templates.rs"]
mod templates;
#[path = "store/web.rs"]
mod web;
#[path = "store/webhooks.rs"]
mod webhooks;

use std::future::Future;

use local::engines::{Engines, Storage};
use shared::attempt::{Attempt, AttemptKey, Moment, Seq, Shard};
use shared::blob::Bucket;
use shared::campaign::{PageNumber, VariantIndex};
use shared::id::{AccountId, CampaignId, WorkspaceId};
use shared::store::rollups::Rollups;
use shared::store::{Core, schema};
use shared::time::UnixMillis;

const WORKSPACE: WorkspaceId = WorkspaceId::FIRST;

const NOW: UnixMillis = UnixMillis(1_790_000_000_000);

/// Both tables, empty.
struct Tables {
    engines: Engines,
    core: Core,
    rollups: Rollups,
}

impl Tables {
    async fn new() -> Self {
        let engines = Engines::start(Storage::Memory).await.unwrap();
        let client = engines.dynamodb();
        schema::create_missing(&client, "core", "rollup").await.unwrap();
        Self { core: Core::new(client.clone(), "core"), rollups: Rollups::new(client, "rollup"), engines }
    }

    /// The bucket, empty at first.
    async fn bucket(&self) -> Bucket {
        let client = self.engines.s3();
        // A second test step finds it there.
        let _ = client.create_bucket().bucket("bucket").send().await;
        Bucket::new(client, "bucket")
    }

    /// CORE through a client of its own, as another Lambda sees it.
    fn another_core(&self) -> Core {
        Core::new(self.engines.dynamodb(), "core")
    }
}

/// Runs `n` of them at the same time, each as a task of its own, and gives what they returned.
async fn at_once<T, F>(n: usize, task: impl Fn(usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let tasks: Vec<_> = (0..n).map(|i| tokio::spawn(task(i))).collect();
    futures::future::join_all(tasks).await.into_iter().map(Result::unwrap).collect()
}

fn account_id() -> AccountId {
    "acc_01J00000000000000000000000".parse().unwrap()
}

fn campaign_id() -> CampaignId {
    "cmp_01J00000000000000000000000".parse().unwrap()
}

fn attempt_key(seq: u32) -> AttemptKey {
    AttemptKey { workspace: WORKSPACE, campaign: campaign_id(), shard: Shard(0), seq: Seq(seq) }
}

/// An attempt as a worker makes it before the claim of this number.
fn attempt(number: u16) -> Attempt {
    let phone = "+60123456789".parse().unwrap();
    Attempt { number, ..Attempt::new(phone, account_id(), VariantIndex(0), PageNumber(0)) }
}

/// So many seconds from now, and seen a second later.
fn moment(second: i64) -> Moment {
    let at = UnixMillis(NOW.0 + second * 1_000);
    Moment { at, seen: UnixMillis(at.0 + 1_000) }
}
