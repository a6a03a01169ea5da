//! What is published of a campaign in which everything goes wrong that may, as an analyst finds it in the Parquet files: the
//! report's numbers, and every time that the rows have.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use local::drivers::Mischief;
use local::stack::{BUCKET, People, Stack};
use serde_json::{Value, json};
use shared::attempt::AttemptKey;
use shared::blob::Bucket;
use shared::campaign::Campaign;
use shared::contact::alias::Alias;
use shared::id::{CampaignId, ContactId, WorkspaceId};
use shared::published::of_attempt;
use shared::store::{Evidence, Sighting};
use shared::time::UnixMillis;
use simulator::{Behaviour, Delivery};

use super::{settled_report, stack, started_campaign, until};
use crate::warehouse::{Read, rows};

fn troubled() -> People {
    People {
        speed: 3_000.0,
        behaviour: Behaviour::Exact { delivered: 110, read: 90, clicked: 40, replied: 30, skip_delivered: 9 },
        delivery: Delivery {
            repeat: 3,
            shuffle: Some(Duration::from_millis(400)),
            early_sent_share: 0.3,
            ..Delivery::default()
        },
        mischief: Mischief { seed: 7, redeliver: 0.2, reorder: 0.3, crash: 0.1, cut: 0.3, ..Mischief::default() },
        ..People::default()
    }
}

/// Type and time of every event of the campaign's attempts, by id, as its rows have them.
async fn told_by_rows(stack: &Stack, id: &str) -> BTreeMap<String, (String, i64)> {
    let (core, _) = stack.tables();
    let campaign: CampaignId = id.parse().unwrap();
    let Campaign { shards, .. } = core.campaign(WorkspaceId::FIRST, campaign).await.unwrap().unwrap();
    let attempts = core.attempts_of_campaign(WorkspaceId::FIRST, campaign, shards).await.unwrap();
    let events = attempts.into_iter().flat_map(|(seq, attempt)| {
        let shard = shared::attempt::Shard(u8::try_from(seq.0 % u32::from(shards)).unwrap());
        of_attempt(&AttemptKey { workspace: WorkspaceId::FIRST, campaign, shard, seq }, &attempt)
    });
    events.map(|event| (event.id.to_string(), (event.kind, event.at.0))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_parquet_files_hold_what_happened_once_each_and_count_as_the_report_does() {
    let (stack, api) = stack(troubled(), None).await;
    let (core, _) = stack.tables();
    // One of them is known as a contact before; the numbers of `started_campaign`.
    let (now, known) = (UnixMillis::now(), "60123450007");
    let aliases = [Alias::phone(known).unwrap()];
    let sighting = Sighting { aliases: &aliases, evidence: Evidence::Told, source: "test", at: now };
    let found = core.contact_of(WorkspaceId::FIRST, &sighting, ContactId::new(now)).await.unwrap();
    let contact = found.unwrap().contact;
    let id = started_campaign(&api, "Hi {{first_name}}, see https://shop.example/offer", 120).await;
    settled_report(&stack, &api, &id).await;
    let replied = api.get(&format!("/v1/campaigns/{id}/recipients?stage=replied&limit=200")).await.unwrap();
    for person in &replied["data"].as_array().unwrap()[..5] {
        let phone = person["phone"].as_str().unwrap().replace('+', "%2B");
        let path = format!("/v1/campaigns/{id}/recipients/{phone}/close");
        api.post(&path, &json!({"value": {"amount": 49.9, "currency": "MYR"}})).await.unwrap();
    }
    let path = format!("/v1/campaigns/{id}/report");
    until("5 closed", Duration::from_secs(30), async || {
        let report = api.get(&path).await.unwrap();
        (report["stages"]["closed"]["count"] == 5).then_some(report)
    })
    .await;
    let report = settled_report(&stack, &api, &id).await;

    let bucket = Bucket::new(stack.engines().s3(), BUCKET);
    let expected = told_by_rows(&stack, &id).await;
    let clicks = report["clicks"]["raw"].as_u64().unwrap();
    let mut read: Vec<Read> = Vec::new();
    until("the files", Duration::from_secs(60), async || {
        stack.warehouse().compact(None).await.unwrap();
        read = rows(&bucket).await;
        let found = read
            .iter()
            .filter(|row| row.text("type").starts_with("message.") && row.text("type") != "message.received");
        let found: BTreeMap<String, (String, i64)> =
            found.map(|row| (row.text("id"), (row.text("type"), row.at()))).collect();
        let clicked = read.iter().filter(|row| row.text("type") == "link.clicked").count() as u64;
        (found == expected && clicked == clicks).then_some(Value::Null)
    })
    .await;

    let ids: BTreeSet<String> = read.iter().map(|row| row.text("id")).collect();
    assert_eq!(ids.len(), read.len(), "an event is there twice");
    let count = |kind: &str| read.iter().filter(|row| row.text("type") == kind).count() as u64;
    let inferred = |kind: &str| {
        let rows = read.iter().filter(|row| row.text("type") == kind);
        rows.filter(|row| row.text("inferred") == "true").count() as u64
    };
    for stage in ["sent", "delivered", "read", "clicked", "replied", "closed"] {
        assert_eq!(count(&format!("message.{stage}")), report["stages"][stage]["count"].as_u64().unwrap(), "{stage}");
    }
    assert_eq!(inferred("message.delivered"), report["stages"]["delivered"]["inferred"].as_u64().unwrap());
    assert!(inferred("message.delivered") > 0);
    let people = read.iter().filter(|row| row.text("type") == "link.clicked" && row.text("visitor") == "human");
    assert_eq!(people.count() as u64, report["clicks"]["human"].as_u64().unwrap());
    for row in read.iter().filter(|row| row.text("type") == "message.closed") {
        assert_eq!((row.text("amount").as_str(), row.text("currency").as_str()), ("49.9", "MYR"));
    }
    let of_contact = read.iter().filter(|row| row.text("contact") == contact.to_string());
    let kinds: BTreeSet<(String, String)> = of_contact.map(|row| (row.text("recipient"), row.text("type"))).collect();
    assert!(kinds.contains(&("7".to_owned(), "message.sent".to_owned())), "{kinds:?}");
    // That the contact was made is no event of a campaign.
    assert!(kinds.iter().all(|(recipient, kind)| recipient == "7" || kind == "contact.created"), "{kinds:?}");
    assert!(read.iter().all(|row| !format!("{row:?}").contains("6012345")), "a phone number was published");
    if let Some(folder) = std::env::var_os("THIRDTICK_PARQUET_OUT") {
        keep(&bucket, std::path::Path::new(&folder), &report).await;
    }
    stack.shutdown().await;
}

/// Leaves the files and the report where another program can look at them (`scripts/check-parquet`).
async fn keep(bucket: &Bucket, folder: &std::path::Path, report: &Value) {
    for key in bucket.keys(::warehouse::FILES, None).await.unwrap() {
        let path = folder.join(&key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bucket.get(&key).await.unwrap()).unwrap();
    }
    std::fs::write(folder.join("report.json"), report.to_string()).unwrap();
}
