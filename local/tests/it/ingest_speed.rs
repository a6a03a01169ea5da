//! What taking events in costs: `ingest` on batches of notifications with 1 to 1,000 updates, against the embedded engines and
//! against a table that answers at once; and how fast `webhook` acknowledges. It measures and asserts counts only; the handlers
//! run on one thread, so what is printed for them is per core.
//!
//! `cargo test --profile flood -p local --test it ingest_speed -- --ignored --nocapture --test-threads 1`

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use aws_lambda_events::event::sqs::{SqsEvent, SqsMessage};
use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use futures::{StreamExt as _, TryStreamExt as _};
use lambda_http::Body;
use local::engines::Engines;
use serde_json::json;
use shared::aws::Clients;
use shared::config::Settings;
use shared::meta::signature::{AppSecret, sign};
use shared::queue::Inbound;
use shared::store::{Core, schema};
use shared::time::UnixMillis;

use crate::flood::seeding;
use crate::flood::wire::{self, Place};
use crate::flood::world::{Update, World};
use crate::support::{create_queue, memory, peak_mib};

/// Updates per measurement, unless `EVENTS` says otherwise.
const UPDATES: usize = 20_000;

/// Messages in a batch, and bytes, as on Lambda.
const BATCH: (usize, usize) = (100, 6 << 20);

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// Processor time of this process in seconds: the engines' threads, and all others.
fn processor_seconds() -> (f64, f64) {
    let (mut engines, mut others) = (0.0, 0.0);
    for thread in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let Ok(stat) = std::fs::read_to_string(thread.path().join("stat")) else { continue };
        let Some((name, fields)) = stat.rsplit_once(')') else { continue };
        // Fields 14 and 15 in hundredths of a second (Linux, proc_pid_stat); two are before the parenthesis.
        let ticks: f64 = fields.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
        *(if name.contains("(engines") { &mut engines } else { &mut others }) += ticks / 100.0;
    }
    (engines, others)
}

/// A measurement of so many things.
struct Measured {
    count: usize,
    wall: Duration,
    handler_s: f64,
    engines_s: f64,
}

impl Measured {
    async fn of(count: usize, work: impl Future<Output = ()>) -> Self {
        let (begun, before) = (Instant::now(), processor_seconds());
        work.await;
        let after = processor_seconds();
        Self { count, wall: begun.elapsed(), handler_s: after.1 - before.1, engines_s: after.0 - before.0 }
    }

    fn print(&self, what: &str, unit: &str) {
        let count = self.count as f64;
        println!(
            "{what:<44} {:>8.0} {unit}/s; of a core per {unit}: handler {:>6.1} µs, engine {:>6.1} µs; handler alone {:>8.0} {unit}/s per core",
            count / self.wall.as_secs_f64(),
            self.handler_s * 1e6 / count,
            self.engines_s * 1e6 / count,
            count / self.handler_s.max(0.01),
        );
    }
}

/// Batches of notifications, each of so many updates.
fn batches(world: &World, places: &[Place], per_notification: usize) -> Vec<SqsEvent> {
    let mut batches: Vec<SqsEvent> = Vec::new();
    let (mut count, mut bytes) = (0, 0);
    for chunk in places.chunks(per_notification) {
        let body = wire::notification(world, chunk);
        let inbound = Inbound::MetaWebhook { received_at: UnixMillis::now(), body };
        let body = serde_json::to_string(&inbound).unwrap();
        if batches.is_empty() || count == BATCH.0 || bytes + body.len() > BATCH.1 {
            batches.push(SqsEvent::default());
            (count, bytes) = (0, 0);
        }
        (count, bytes) = (count + 1, bytes + body.len());
        let mut message = SqsMessage::default();
        (message.message_id, message.body) = (Some(count.to_string()), Some(body));
        batches.last_mut().unwrap().records.push(message);
    }
    batches
}

fn new_ingest(clients: &Clients) -> ingest::Ingest {
    let settings = [("CORE_TABLE", "core"), ("BUCKET", "data"), ("LINK_KEYS", "1:000102030405060708090a0b0c0d0e0f")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    ingest::Ingest::new(ingest::Config::read(Settings::from_values(settings)).unwrap(), clients).unwrap()
}

async fn take_in(ingest: &ingest::Ingest, batches: Vec<SqsEvent>) {
    for batch in batches {
        let response = ingest::handle(ingest, batch, || true).await;
        assert!(response.batch_item_failures.is_empty());
    }
}

/// A service that answers everything at once with an empty object.
#[derive(Debug)]
struct AtOnce;

impl HttpClient for AtOnce {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(Self)
    }
}

impl HttpConnector for AtOnce {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::ready(Ok(HttpResponse::new(200.try_into().unwrap(), SdkBody::from("{}"))))
    }
}

fn clients_of(engines: &Engines) -> Clients {
    Clients { dynamodb: engines.dynamodb(), sqs: engines.sqs(), s3: engines.s3() }
}

/// The same clients, with nobody behind them.
fn answered_at_once(clients: &Clients) -> Clients {
    let http = SharedHttpClient::new(AtOnce);
    Clients {
        dynamodb: aws_sdk_dynamodb::Client::from_conf(
            clients.dynamodb.config().to_builder().http_client(http.clone()).build(),
        ),
        sqs: aws_sdk_sqs::Client::from_conf(clients.sqs.config().to_builder().http_client(http.clone()).build()),
        s3: aws_sdk_s3::Client::from_conf(clients.s3.config().to_builder().http_client(http).build()),
    }
}

#[tokio::test]
#[ignore = "measures for a minute or more"]
async fn events_through_ingest() {
    for per_notification in [1, 10, 100, 1_000] {
        let engines = memory().await;
        let clients = clients_of(&engines);
        schema::create_missing(&clients.dynamodb, "core", "rollup").await.unwrap();
        clients.s3.create_bucket().bucket("data").send().await.unwrap();
        let updates = std::env::var("EVENTS").map_or(UPDATES, |events| events.parse().unwrap());
        let world = World::new(1, updates);
        seeding::seed(&world, &Core::new(clients.dynamodb.clone(), "core")).await;
        let all = world.numbers().flat_map(|n| {
            let life = world.life(n);
            (0..life.updates.len()).map(move |k| (n, u8::try_from(k).unwrap())).collect::<Vec<Place>>()
        });
        let all: Vec<Place> = all.collect();
        let statuses: Vec<Place> = all
            .iter()
            .copied()
            .filter(|(n, k)| matches!(world.life(*n).updates[usize::from(*k)], Update::Status(_)))
            .collect();

        let name = |what: &str| format!("{what}, {per_notification} a notification");
        let bare = new_ingest(&answered_at_once(&clients));
        let batches_of_statuses = batches(&world, &statuses, per_notification);
        let (count, before) = (batches_of_statuses.len(), peak_mib(true));
        let work = take_in(&bare, batches_of_statuses);
        Measured::of(statuses.len(), work).await.print(&name("statuses, no engine"), "event");
        println!("{count} batches; peak memory {:?} MiB, before {before:?} MiB", peak_mib(false));
        let ingest = new_ingest(&clients);
        for what in ["mixed", "the same again"] {
            let batches = batches(&world, &all, per_notification);
            Measured::of(all.len(), take_in(&ingest, batches)).await.print(&name(what), "event");
        }
        engines.shutdown().await;
    }
}

#[tokio::test]
#[ignore = "measures for a minute or more"]
async fn acknowledgements_of_the_webhook() {
    let engines = memory().await;
    let clients = clients_of(&engines);
    clients.s3.create_bucket().bucket("data").send().await.unwrap();
    let queue = create_queue(&clients.sqs, "events", &[]).await;
    let settings: BTreeMap<String, String> =
        [("META_APP_SECRET", SECRET), ("META_VERIFY_TOKEN", "token"), ("EVENTS_QUEUE_URL", &queue), ("BUCKET", "data")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
    let world = World::new(1, 5_000);
    let places: Vec<Place> = world
        .numbers()
        .flat_map(|n| (0..world.life(n).updates.len()).map(move |k| (n, u8::try_from(k).unwrap())))
        .collect();
    for (clients, behind) in [(clients.clone(), "embedded queue"), (answered_at_once(&clients), "no engine")] {
        let config = || webhook::Config::read(Settings::from_values(settings.clone())).unwrap();
        let webhook = webhook::Webhook::new(config(), &clients);
        for (per_notification, count) in [(1, 4_000), (10, 4_000), (100, 2_000), (1_000, 200)] {
            let body = wire::notification(&world, &places[..per_notification]);
            let signature = sign(body.as_bytes(), &AppSecret::new(SECRET).unwrap());
            let work = async {
                futures::stream::iter(0..count)
                    .map(|_| async {
                        let request = http::Request::post("/webhooks/meta").header("x-hub-signature-256", &signature);
                        let response = webhook::handle(&webhook, request.body(Body::Text(body.clone())).unwrap()).await;
                        if response.status() == 200 { Ok(()) } else { Err(json!(response.status().as_u16())) }
                    })
                    .buffer_unordered(16)
                    .try_collect::<()>()
                    .await
                    .unwrap();
            };
            let what = format!("{per_notification} updates ({} KB), {behind}", body.len() / 1_000);
            Measured::of(count, work).await.print(&what, "ack");
        }
    }
    engines.shutdown().await;
}
