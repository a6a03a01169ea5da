//! How soon a report shows what Meta has told, at a steady 500 events a second: from the first byte of the POST to the answer
//! of `GET …/report` that counts it.
//!
//! `cargo test --profile flood -p local --test it freshness -- --ignored --nocapture`

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use local::api_client::ApiClient;
use local::drivers::Mischief;
use local::stack::Stack;
use shared::meta::signature::{AppSecret, sign};

use crate::flood::process::options;
use crate::flood::seeding;
use crate::flood::wire::{self, Place};
use crate::flood::world::{CAMPAIGNS, Update, World};

/// The load.
const EVENTS_PER_SECOND: usize = 500;
const PER_NOTIFICATION: usize = 10;
const SECONDS: usize = 60;

/// The campaign that only probes report of; the load is on the others.
const PROBED: u32 = CAMPAIGNS - 1;

/// Between two looks at the report.
const LOOK: Duration = Duration::from_millis(20);

/// What is asked for.
const AT_MOST: Duration = Duration::from_secs(5);

/// The stack as Meta and a user see it.
struct Outside<'a> {
    stack: &'a Stack,
    http: reqwest::Client,
    api: ApiClient,
    secret: AppSecret,
    world: World,
}

impl Outside<'_> {
    async fn post(&self, places: &[Place]) {
        let body = wire::notification(&self.world, places);
        let signature = sign(body.as_bytes(), &self.secret);
        let post = self.http.post(format!("{}/webhooks/meta", self.stack.base_url()));
        let posted = post.header("x-hub-signature-256", signature).body(body).send().await.unwrap();
        assert!(posted.status().is_success());
    }

    /// Posts at the steady rate; how late the last one was begun.
    async fn load(&self) -> Duration {
        let mut places = Vec::new();
        for n in self.world.numbers().filter(|n| n % CAMPAIGNS != PROBED) {
            let updates = self.world.life(n).updates.len();
            places.extend((0..updates).map(|k| (n, u8::try_from(k).unwrap())));
        }
        let notifications = EVENTS_PER_SECOND * SECONDS / PER_NOTIFICATION;
        assert!(places.len() >= notifications * PER_NOTIFICATION, "too few events: {}", places.len());
        let begun = Instant::now();
        let due = |n: usize| Duration::from_secs_f64((n * PER_NOTIFICATION) as f64 / EVENTS_PER_SECOND as f64);
        futures::stream::iter(places.chunks(PER_NOTIFICATION).take(notifications).enumerate())
            .map(|(n, chunk)| async move {
                tokio::time::sleep_until((begun + due(n)).into()).await;
                self.post(chunk).await;
                begun.elapsed().saturating_sub(due(n))
            })
            .buffered(200)
            .fold(Duration::ZERO, async |_, last| last)
            .await
    }

    /// One after the other reads that nobody else reports; how long each took to be counted.
    async fn probe(&self) -> Vec<Duration> {
        let path = format!("/v1/campaigns/{}/report", self.world.campaigns[PROBED as usize]);
        let mut took = Vec::new();
        let mut numbers = self.world.numbers().filter(|n| n % CAMPAIGNS == PROBED);
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(SECONDS as u64) {
            let n = numbers.next().unwrap();
            let updates = self.world.life(n).updates;
            let read =
                updates.iter().position(|update| matches!(update, Update::Status(status) if status.kind == "read"));
            let Some(k) = read else { continue };
            let posted = Instant::now();
            self.post(&[(n, u8::try_from(k).unwrap())]).await;
            let expected = took.len() as u64 + 1;
            loop {
                let report = self.api.get(&path).await.unwrap();
                let counted = report["stages"]["read"]["count"].as_u64().unwrap();
                assert!(counted <= expected, "{counted} of {expected} reads");
                if counted == expected {
                    break;
                }
                tokio::time::sleep(LOOK).await;
            }
            took.push(posted.elapsed());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        took
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures for a minute"]
async fn at_500_events_a_second_a_report_is_at_most_5_seconds_behind() {
    let folder = tempfile::tempdir().unwrap();
    let stack = Stack::start(options(folder.path(), Mischief::default())).await.unwrap();
    let world = World::new(1, EVENTS_PER_SECOND * SECONDS * 2);
    seeding::seed(&world, &stack.tables().0).await;
    let outside = Outside {
        http: reqwest::Client::builder().no_proxy().build().unwrap(),
        api: ApiClient::new(stack.base_url(), stack.admin_key()),
        secret: AppSecret::new(stack.app_secret()).unwrap(),
        stack: &stack,
        world,
    };
    // What was written before is counted first.
    let path = format!("/v1/campaigns/{}/report", outside.world.campaigns[PROBED as usize]);
    let people = u64::from(outside.world.people);
    while outside.api.get(&path).await.unwrap()["pending"].as_u64().unwrap() > people / 10 {
        tokio::time::sleep(LOOK).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;

    let (late, mut took) = tokio::join!(outside.load(), outside.probe());
    took.sort();
    let at = |share: f64| took[((took.len() - 1) as f64 * share).round() as usize];
    println!(
        "{EVENTS_PER_SECOND} events/s for {SECONDS} s, the last notification {late:?} late; a report was behind by \
         p50 {:?}, p90 {:?}, p99 {:?}, at most {:?} ({} probes)",
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0),
        took.len()
    );
    assert!(at(1.0) <= AT_MOST);
    stack.shutdown().await;
}
