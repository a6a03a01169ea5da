//! The sample events of `events/`: each is what its function takes, and says what its README says.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use aws_lambda_events::event::dynamodb::Event as StreamEvent;
use aws_lambda_events::event::sqs::SqsEvent;
use lambda_http::request::RequestContext;
use lambda_http::{Body, Request, RequestExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use shared::attempt::Seq;
use shared::link::ShortLinks;
use shared::link::code::LinkId;
use shared::meta::signature::{self, AppSecret};
use shared::meta::webhook;
use shared::queue::{self, DeliverCommand, DispatchCommand, Inbound, SendCommand};
use shared::time::UnixMillis;

/// The settings that the README names.
const APP_SECRET: &str = "test_app_secret";
const VERIFY_TOKEN: &str = "test_verify_token";
const LINK_KEYS: &str = "1:000102030405060708090a0b0c0d0e0f";
const ADMIN_KEY: &str = "tt_test_admin_key";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../events")
}

fn text(name: &str) -> String {
    std::fs::read_to_string(folder().join(format!("{name}.json"))).unwrap()
}

fn event<T: DeserializeOwned>(name: &str) -> T {
    serde_json::from_str(&text(name)).unwrap()
}

fn request(name: &str) -> Request {
    let request = lambda_http::request::from_str(&text(name)).unwrap();
    assert!(matches!(request.request_context_ref(), Some(RequestContext::ApiGatewayV2(_))), "{name}");
    request
}

fn body(request: &Request) -> &[u8] {
    match request.body() {
        Body::Text(text) => text.as_bytes(),
        Body::Binary(bytes) => bytes,
        _ => &[],
    }
}

/// The messages of a batch that came over the queue whose ARN ends so.
fn messages<T: DeserializeOwned>(name: &str, queue: &str) -> Vec<T> {
    let batch: SqsEvent = event(name);
    assert!(batch.records.iter().all(|record| record.event_source_arn.as_deref().unwrap().ends_with(queue)));
    batch.records.iter().map(|record| queue::read(record.body.as_deref()).unwrap()).collect()
}

#[test]
fn the_handshake_presents_the_verify_token() {
    let request = request("webhook-get");
    assert_eq!((request.method().as_str(), request.uri().path()), ("GET", "/webhooks/meta"));
    let query = request.query_string_parameters();
    assert_eq!(query.first("hub.mode"), Some("subscribe"));
    assert_eq!(query.first("hub.verify_token"), Some(VERIFY_TOKEN));
    assert!(query.first("hub.challenge").is_some());
}

#[test]
fn the_notification_is_signed_and_is_what_ingest_gets() {
    let request = request("webhook-post");
    let header = request.headers()["x-hub-signature-256"].as_bytes();
    signature::verify(body(&request), Some(header), &[AppSecret::new(APP_SECRET).unwrap()]).unwrap();
    assert_eq!(webhook::parse(body(&request)).unwrap().items.len(), 1);

    let queued: Vec<Inbound> = messages("ingest-sqs-webhook", ":thirdtick-events");
    let [Inbound::MetaWebhook { body: queued, .. }] = queued.as_slice() else { panic!("not one notification") };
    assert_eq!(queued.as_bytes(), body(&request));
}

#[test]
fn the_link_is_that_of_the_queued_click() {
    let clicks: Vec<Inbound> = messages("ingest-sqs-click", ":thirdtick-events");
    let [Inbound::Click(click)] = clicks.as_slice() else { panic!("not one click") };
    let links = ShortLinks::new("", LINK_KEYS.parse().unwrap());
    let stored = json!({"v": 1, "id": 7, "workspace": click.workspace, "url": "https://shop.example/", "kid": 1, "recipients": 1,
        "shards": 1, "created_at": 0});
    let link = links.of_recipient(&serde_json::from_value(stored).unwrap(), Seq(0)).unwrap();
    assert_eq!((click.link, click.recipient.map(|(_, seq)| seq)), (LinkId::new(7).unwrap(), Some(Seq(0))));

    let request = request("redirect-get");
    assert_eq!((request.method().as_str(), request.uri().path()), ("GET", link.short_url.as_str()));
    assert_eq!(request.path_parameters().first("code"), Some(link.code.as_str()));
}

#[test]
fn what_a_page_and_a_server_tell_is_what_is_queued() {
    let request = request("collect-post");
    assert_eq!((request.method().as_str(), request.uri().path()), ("POST", "/collect"));
    let report = collect::parse(body(&request)).unwrap();
    let queued: Vec<Inbound> = messages("ingest-sqs-events", ":thirdtick-events");
    let [Inbound::Collected(collected), Inbound::Told(told)] = queued.as_slice() else { panic!("not these two") };
    assert_eq!(report.write_key, collected.key.to_string());
    let events: Vec<_> = report.events.into_iter().map(|event| Some(event.taken_at(collected.received_at))).collect();
    assert_eq!(events, collected.events);

    let given: Value = serde_json::from_slice(body(&self::request("api-tell-events"))).unwrap();
    assert_eq!(given["events"][0]["id"].as_str(), told.with_places().next().unwrap().1.id.as_deref());
    assert_eq!(self::request("collect-script").uri().path(), "/tt.js");
}

#[test]
fn operators_present_the_test_key() {
    for (name, method, path) in [
        ("api-create-account", "POST", "/v1/accounts"),
        ("api-create-campaign", "POST", "/v1/campaigns"),
        ("api-start-campaign", "POST", "/v1/campaigns/cmp_01J00000000000000000000000/start"),
        ("api-tell-events", "POST", "/v1/events"),
        ("analytics-feed", "GET", "/v1/events"),
        ("analytics-report", "GET", "/v1/campaigns/cmp_01J00000000000000000000000/report"),
        ("analytics-recipients", "GET", "/v1/campaigns/cmp_01J00000000000000000000000/recipients"),
    ] {
        let request = request(name);
        assert_eq!((request.method().as_str(), request.uri().path()), (method, path), "{name}");
        assert_eq!(request.headers()["authorization"], format!("Bearer {ADMIN_KEY}"), "{name}");
        if method == "POST" && path.matches('/').count() == 2 {
            serde_json::from_slice::<Value>(body(&request)).unwrap();
        }
    }
    assert_eq!(request("api-health").uri().path(), "/health");
}

#[test]
fn dispatch_takes_commands_and_the_schedule() {
    let commands: Vec<DispatchCommand> = messages("dispatch-sqs", ":thirdtick-dispatch");
    assert!(matches!(
        commands[..],
        [
            DispatchCommand::Advance { .. },
            DispatchCommand::Resume { .. },
            DispatchCommand::Plan { .. },
            DispatchCommand::Import { .. }
        ]
    ));
    let tick: Value = event("dispatch-schedule");
    assert_eq!((tick.get("Records"), tick["source"].as_str()), (None, Some("aws.scheduler")));
}

#[test]
fn the_sender_takes_a_page() {
    let [SendCommand::Page { page, .. }] = messages("send-sqs", ":thirdtick-send")[..] else { panic!("not one page") };
    assert_eq!(page.0, 0);
}

#[test]
fn a_replay_names_its_tables_and_begins_at_the_beginning() {
    let job: replay::Job = event("replay");
    assert_eq!(
        (job.core_table().as_str(), job.rollup_table().as_str()),
        ("thirdtick-replay-1-core", "thirdtick-replay-1-rollup")
    );
    assert_eq!(job.phase, replay::Phase::Tables);
    assert!(job.from.is_some() && job.to.is_none());
}

#[test]
fn deliver_takes_a_parcel_and_the_schedule() {
    let [DeliverCommand::Parcel { parcel }] = messages("deliver-sqs", ":thirdtick-deliver")[..] else {
        panic!("not one parcel")
    };
    assert_eq!(parcel.due_at, UnixMillis(0));
    let tick: Value = event("deliver-schedule");
    assert_eq!((tick.get("Records"), tick["source"].as_str()), (None, Some("aws.scheduler")));
}

#[test]
fn every_record_of_the_stream_counts() {
    let batch: StreamEvent = event("rollup-stream");
    let records = batch.records.len();
    let contributions = batch.records.into_iter().filter_map(rollup::change::read).count();
    assert_eq!((records, contributions), (2, 2));
}

#[test]
fn the_same_records_publish_a_delivery_and_a_click() {
    let batch: StreamEvent = event("publish-stream");
    let published = batch.records.into_iter().flat_map(publish::change::read);
    let kinds: Vec<String> = published.map(|(_, change)| change.event.kind).collect();
    assert_eq!(kinds, ["message.delivered", "link.clicked"]);
}

#[test]
fn the_compaction_is_woken_by_its_schedule() {
    let event: Value = event("compact-schedule");
    assert_eq!(event["source"], "aws.scheduler");
    assert!(event["resources"][0].as_str().unwrap().ends_with("-compaction"));
    assert!(event["detail"]["task"].is_null());
    let sweep: Value = self::event("compact-sweep");
    assert_eq!(sweep["detail"]["task"], "sweep");
}

#[test]
fn the_readme_lists_every_event() {
    let readme = std::fs::read_to_string(folder().join("README.md")).unwrap();
    let files: BTreeSet<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".json"))
        .collect();
    assert!(!files.is_empty());
    for file in files {
        assert!(readme.contains(&format!("`{file}`")), "{file} is not in events/README.md");
    }
}
