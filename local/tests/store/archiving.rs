//! What `ingest` keeps before it writes a row, and what it quarantines, straight on the tables and the bucket.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsEvent, SqsMessage};
use aws_sdk_dynamodb::types::AttributeValue;
use ingest::{Config, Ingest, handle};
use serde_json::{Value, json};
use shared::account::{Account, NumberIdentity};
use shared::activity::{Click, Content};
use shared::archive::{self, Line, ObjectName, PREFIX};
use shared::attempt::claim::{After, CALL_TIMEOUT, Claim, Try};
use shared::attempt::{AttemptKey, Flag, Seq, Shard, callback};
use shared::aws::Clients;
use shared::blob::Bucket;
use shared::config::Settings;
use shared::id::EventId;
use shared::link::code::LinkId;
use shared::queue::{Again, Inbound};
use shared::store::keys;
use shared::time::UnixMillis;

use crate::failing::Failures;
use crate::{NOW, Tables, WORKSPACE, account_id, attempt, attempt_key, campaign_id};

const NUMBER: &str = "107853902081447";
const DAY_MS: i64 = 86_400_000;

struct World {
    tables: Tables,
    bucket: Bucket,
}

impl World {
    /// Tables with one account, and a bucket.
    async fn new() -> Self {
        let tables = Tables::new().await;
        let identity = NumberIdentity {
            phone_number_id: NUMBER.to_owned(),
            waba_id: "104996122399160".to_owned(),
            display_phone_number: "+1 555-078-3881".to_owned(),
        };
        tables.core.create_account(&Account::new(account_id(), WORKSPACE, identity, NOW)).await.unwrap();
        let bucket = tables.bucket().await;
        Self { tables, bucket }
    }

    /// The function as a new instance has it.
    fn ingest(&self) -> Ingest {
        self.ingest_on(self.tables.engines.dynamodb())
    }

    fn ingest_on(&self, dynamodb: aws_sdk_dynamodb::Client) -> Ingest {
        let values =
            [("CORE_TABLE", "core"), ("BUCKET", "bucket"), ("LINK_KEYS", "1:000102030405060708090a0b0c0d0e0f")];
        let values = values.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let engines = &self.tables.engines;
        let clients = Clients { dynamodb, sqs: engines.sqs(), s3: engines.s3() };
        Ingest::new(Config::read(Settings::from_values(values)).unwrap(), &clients).unwrap()
    }

    /// Hands a batch over; the ids of those that come back.
    async fn hand_over(&self, messages: &[(String, Inbound)]) -> BTreeSet<String> {
        let response = handle(&self.ingest(), batch(messages), || true).await;
        response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect()
    }

    async fn claimed(&self, seq: u32) -> AttemptKey {
        let key = attempt_key(seq);
        let tried = Try { number: 1, after: After::Nothing };
        let claim = Claim::for_slot(NOW, CALL_TIMEOUT);
        self.tables.core.claim(&key, &attempt(1), tried, &claim).await.unwrap();
        key
    }

    async fn objects(&self) -> Vec<String> {
        self.bucket.list(PREFIX, None, 1_000).await.unwrap()
    }

    /// All lines of the archive.
    async fn archived(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        for key in self.objects().await {
            assert!(ObjectName::read_key(&key).is_some(), "{key}");
            let object = self.bucket.get(&key).await.unwrap();
            lines.extend(archive::lines(&object).unwrap().map(Result::unwrap));
        }
        lines
    }

    /// All rows, by key, less the place in the archive that they were made of.
    async fn rows(&self) -> BTreeMap<String, BTreeMap<String, Value>> {
        let found = self.tables.engines.dynamodb().scan().table_name("core").send().await.unwrap();
        assert!(found.last_evaluated_key.is_none(), "the scan has one page");
        let rows = found.items.unwrap().into_iter().map(|row| {
            let key = format!("{} {}", row["pk"].as_s().unwrap(), row["sk"].as_s().unwrap());
            let mut row: BTreeMap<String, Value> = serde_dynamo::from_item(row).unwrap();
            row.retain(|name, _| name != "archived" && name != "revision");
            (key, row)
        });
        rows.collect()
    }

    async fn quarantined(&self) -> Vec<shared::store::Quarantined> {
        self.tables.core.quarantined(Some(WORKSPACE), None, 100).await.unwrap().rows
    }

    /// Makes a flag of an attempt unreadable.
    async fn damage(&self, key: &AttemptKey) {
        self.set(key, "delivered", AttributeValue::S("damaged".to_owned())).await;
    }

    async fn repair(&self, key: &AttemptKey) {
        let update = self.tables.engines.dynamodb().update_item().table_name("core");
        let update = update.set_key(Some(keys::attempt(key).item())).update_expression("REMOVE #n");
        update.expression_attribute_names("#n", "delivered").send().await.unwrap();
    }

    async fn set(&self, key: &AttemptKey, name: &str, value: AttributeValue) {
        let update = self.tables.engines.dynamodb().update_item().table_name("core");
        let update = update.set_key(Some(keys::attempt(key).item())).update_expression("SET #n = :v");
        let update = update.expression_attribute_names("#n", name).expression_attribute_values(":v", value);
        update.send().await.unwrap();
    }
}

fn batch(messages: &[(String, Inbound)]) -> SqsEvent {
    let records = messages.iter().map(|(id, inbound)| {
        let mut message = SqsMessage::default();
        message.message_id = Some(id.clone());
        message.body = Some(serde_json::to_string(inbound).unwrap());
        message
    });
    let mut event = SqsEvent::default();
    event.records = records.collect();
    event
}

fn notification(value: &Value) -> String {
    let mut value = value.clone();
    value["metadata"] = json!({"display_phone_number": "15550783881", "phone_number_id": NUMBER});
    json!({"object": "whatsapp_business_account", "entry": [{"id": "104996122399160", "changes": [
        {"field": "messages", "value": value}
    ]}]})
    .to_string()
}

fn webhook(id: &str, received_at: UnixMillis, body: impl Into<String>) -> (String, Inbound) {
    (id.to_owned(), Inbound::MetaWebhook { received_at, body: body.into() })
}

fn delivered(key: &AttemptKey) -> Value {
    json!({
        "id": format!("wamid.{}", key.seq.0), "status": "delivered", "timestamp": NOW.seconds().to_string(),
        "recipient_id": "60123456789", "biz_opaque_callback_data": callback::write(key, 1),
    })
}

fn written(id: &str, from: &str) -> Value {
    let message =
        json!({"id": id, "from": from, "timestamp": NOW.seconds().to_string(), "type": "text", "text": {"body": "Hi"}});
    json!({"contacts": [{"wa_id": from, "profile": {"name": "Aisha"}}], "messages": [message]})
}

fn click() -> Inbound {
    Inbound::Click(Box::new(Click {
        id: EventId::new(NOW),
        link: LinkId::new(7).unwrap(),
        workspace: WORKSPACE,
        account: Some(account_id()),
        campaign: Some(campaign_id()),
        recipient: Some((Shard(0), Seq(0))),
        at: NOW,
        method: "GET".to_owned(),
        user_agent: Some("Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) Mobile/15E148".to_owned()),
        ip: Some("203.0.113.77".to_owned()),
        country: Some("MY".to_owned()),
        region: None,
        city: None,
        asn: None,
        hints_mobile: None,
        hints_platform: None,
        hints_brands: Some(r#""Not_A Brand";v="99""#.to_owned()),
        referrer: None,
        prefetch: false,
        mark: None,
        visitor: None,
    }))
}

#[tokio::test]
async fn a_batch_is_one_object_that_holds_every_body_byte_for_byte_and_no_address() {
    let world = World::new().await;
    world.claimed(0).await;
    let body = notification(&written("wamid.a", "60123456789")).replace(':', " :  ");
    let mut messages =
        vec![webhook("m1", NOW, body.clone()), webhook("m2", NOW, "not json"), ("m3".to_owned(), click())];
    assert!(world.hand_over(&messages).await.is_empty());
    let objects = world.objects().await;
    assert_eq!(objects.len(), 1);
    assert!(objects[0].starts_with("archive/raw/date=2026-09-21/hour=14/"), "{objects:?}");
    let lines = world.archived().await;
    let bodies: Vec<&[u8]> = lines.iter().map(|line| &line.body[..]).collect();
    assert_eq!(bodies[..2], [body.as_bytes(), b"not json"]);
    let click = String::from_utf8(lines[2].body.to_vec()).unwrap();
    let dropped = ["203.0.113.77", "iPhone;", "Not_A Brand"];
    assert!(dropped.iter().all(|told| !click.contains(told)) && click.contains("MY"), "{click}");

    // The same batch in another order is the same object; the same message in another batch is one more.
    let rows = world.rows().await;
    messages.reverse();
    assert!(world.hand_over(&messages).await.is_empty());
    assert_eq!(world.objects().await, objects);
    assert!(world.hand_over(&messages[..1]).await.is_empty());
    assert_eq!(world.objects().await.len(), 2);
    assert_eq!(world.rows().await, rows);
}

#[tokio::test]
async fn what_lies_in_the_bucket_is_archived_with_its_content_one_body_at_a_time() {
    let world = World::new().await;
    let mut messages = Vec::new();
    for n in 0..6 {
        let mut person = written(&format!("wamid.{n}"), "60123456789");
        person["messages"][0]["text"]["body"] = "x".repeat(3 * 1024 * 1024).into();
        let key = format!("overflow/2026-09-21/{n}");
        world.bucket.put(&key, notification(&person), "application/json").await.unwrap();
        messages.push((format!("m{n}"), Inbound::MetaWebhookObject { received_at: NOW, key }));
    }
    // The time is up from the start: one body is taken in with each delivery, the oldest message first.
    let mut left = messages.clone();
    while !left.is_empty() {
        let response = handle(&world.ingest(), batch(&left), || false).await;
        let back: BTreeSet<String> =
            response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect();
        left.remove(0);
        assert_eq!(back, left.iter().map(|(id, _)| id.clone()).collect());
    }
    assert_eq!(world.objects().await.len(), 6);
    let lines = world.archived().await;
    assert_eq!(lines.len(), 6);
    assert!(lines.iter().all(|line| line.body.len() > 3 * 1024 * 1024));
}

#[tokio::test]
async fn without_the_archive_nothing_is_written_and_every_message_comes_back() {
    let world = World::new().await;
    // The embedded S3 is a folder, and a file lies where the archive would be.
    world.bucket.put("archive", "in the way", "text/plain").await.unwrap();
    let key = world.claimed(0).await;
    let status = notification(&json!({"statuses": [delivered(&key)]}));
    let messages = [webhook("m1", NOW, status), webhook("m2", NOW, "not json")];
    assert_eq!(world.hand_over(&messages).await, BTreeSet::from(["m1".to_owned(), "m2".to_owned()]));
    assert!(world.tables.core.attempt(&key).await.unwrap().unwrap().delivered.is_none());
    assert!(world.rows().await.keys().all(|key| !key.contains("#ACTIVITY#")));
    world.bucket.delete("archive").await.unwrap();
    assert!(world.hand_over(&messages).await.is_empty());
    assert!(world.tables.core.attempt(&key).await.unwrap().unwrap().delivered.is_some());
    assert_eq!(world.archived().await.len(), 2);
}

#[tokio::test]
async fn dying_anywhere_leaves_neither_a_hole_in_the_archive_nor_a_row_without_its_body() {
    let world = World::new().await;
    let mut messages = Vec::new();
    for n in 0..20 {
        let key = world.claimed(n).await;
        let mut value = written(&format!("wamid.in.{n}"), "60123456789");
        value["statuses"] = json!([delivered(&key)]);
        messages.push(webhook(&format!("m{n}"), NOW, notification(&value)));
    }
    let ingest = world.ingest();
    for micros in (0..60).map(|n| n * 1_500) {
        // The process dies here: the future is dropped at whatever it was waiting for.
        let _ = tokio::time::timeout(Duration::from_micros(micros), handle(&ingest, batch(&messages), || true)).await;
        let rows = world.rows().await;
        let events = rows.iter().filter(|(key, row)| key.contains("#ACTIVITY#") || row.contains_key("delivered"));
        if events.count() > 0 {
            assert_eq!(world.archived().await.len(), 20, "a row is there, and the archive is not");
        }
    }
    assert!(world.hand_over(&messages).await.is_empty());
    let archived: BTreeSet<String> = world.archived().await.into_iter().map(|line| line.message).collect();
    assert_eq!(archived.len(), 20);
    for n in 0..20 {
        assert!(world.tables.core.attempt(&attempt_key(n)).await.unwrap().unwrap().delivered.is_some());
    }
    let received = world.rows().await.into_values().filter(|row| row.get("type") == Some(&json!("message.received")));
    assert_eq!(received.count(), 20);
}

#[tokio::test]
async fn what_a_table_fails_for_a_moment_is_tried_again_and_the_message_does_not_come_back() {
    const ITEMS: u32 = 40;
    let world = World::new().await;
    let (mut statuses, mut messages) = (Vec::new(), Vec::new());
    for n in 0..ITEMS {
        statuses.push(delivered(&world.claimed(n).await));
        messages.push(written(&format!("wamid.in.{n}"), &format!("601234567{n:02}"))["messages"][0].clone());
    }
    let messages = [webhook("m", NOW, notification(&json!({"statuses": statuses, "messages": messages})))];
    let failures = Failures::of(&[("GetItem", 20), ("Query", 10), ("UpdateItem", 30), ("PutItem", 10)]);
    let ingest = world.ingest_on(failures.client(&world.tables.engines.dynamodb()));
    let response = handle(&ingest, batch(&messages), || true).await;
    assert_eq!(failures.left(), 0, "everything failed that was to fail");
    assert!(response.batch_item_failures.is_empty());
    for n in 0..ITEMS {
        assert!(world.tables.core.attempt(&attempt_key(n)).await.unwrap().unwrap().delivered.is_some());
    }
    let rows = world.rows().await.into_values();
    let received = rows.filter(|row| row.get("type") == Some(&json!("message.received")));
    assert_eq!(received.count(), usize::try_from(ITEMS).unwrap());
}

#[tokio::test]
async fn all_samples_on_three_days_leave_the_rows_of_the_first() {
    let world = World::new().await;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/tests/webhooks");
    let mut samples: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .filter(|path| path.file_stem().is_some_and(|name| name != "signature-vectors"))
        .map(|path| serde_json::from_slice::<Value>(&std::fs::read(path).unwrap()).unwrap().to_string())
        .collect();
    samples.sort();
    assert_eq!(samples.len(), 72);
    // A body that is no notification, and items without any time of Meta's.
    samples.push("[1, 2]".to_owned());
    samples.push(notification(&json!({"statuses": [{"no": "status"}], "novelties": [{"a": 1}]})));
    let mut first = BTreeMap::new();
    for day in 0..3 {
        // Later than any time in the samples.
        let at = UnixMillis(NOW.0 + (100 + day) * DAY_MS);
        let messages: Vec<_> =
            samples.iter().enumerate().map(|(n, body)| webhook(&format!("d{day}-{n}"), at, body.as_str())).collect();
        assert!(world.hand_over(&messages).await.is_empty());
        let rows = world.rows().await;
        assert!(rows.keys().filter(|key| key.contains("#ACTIVITY#")).count() >= 72);
        if day == 0 {
            first = rows;
        } else {
            let new: Vec<_> = rows.iter().filter(|(key, _)| !first.contains_key(*key)).collect();
            assert!(new.is_empty(), "day {day}: {new:?}");
            for (key, row) in &rows {
                assert_eq!(row, &first[key], "day {day}: {key}");
            }
        }
    }
}

#[tokio::test]
async fn what_can_never_be_written_is_quarantined_alone_and_is_resolved_when_it_can() {
    let world = World::new().await;
    let attempts = [world.claimed(0).await, world.claimed(1).await, world.claimed(2).await];
    world.damage(&attempts[1]).await;
    let body = notification(&json!({"statuses": attempts.iter().map(delivered).collect::<Vec<_>>()}));
    assert!(world.hand_over(&[webhook("m1", NOW, body)]).await.is_empty(), "nothing comes back");
    let flag = async |n: usize| {
        let found = world.tables.core.attempt(&attempts[n]).await;
        found.ok().flatten().and_then(|attempt| attempt.flag(Flag::Delivered))
    };
    assert!(flag(0).await.is_some() && flag(2).await.is_some(), "its siblings are applied");
    let quarantined = world.quarantined().await;
    assert_eq!(quarantined.len(), 1);
    let Content::MetaQuarantined { reason, .. } = &quarantined[0].event.content else { panic!("not quarantined") };
    assert!(reason.starts_with("recipient 1 of cmp_"), "{reason}");

    // Tried again too early it stays; after the repair it is taken in.
    let again = |n: &str| {
        let place = quarantined[0].place.clone().unwrap();
        let rows = vec![quarantined[0].row.clone()];
        (n.to_owned(), Inbound::Again(Again { asked_at: NOW, place, quarantined: rows }))
    };
    assert!(world.hand_over(&[again("a1")]).await.is_empty());
    assert_eq!(world.quarantined().await.len(), 1);
    world.repair(&attempts[1]).await;
    assert!(world.hand_over(&[again("a2")]).await.is_empty());
    assert!(world.quarantined().await.is_empty());
    assert!(flag(1).await.is_some());
    let kept = world.rows().await.into_values().filter(|row| row.contains_key("resolved_at")).count();
    assert_eq!(kept, 1, "the row stays, and says when it was resolved");
    assert_eq!(world.archived().await.len(), 1, "what is tried again brings nothing new");
}

#[tokio::test]
async fn an_item_that_runs_into_a_damaged_row_is_quarantined_and_its_siblings_are_recorded() {
    let world = World::new().await;
    // What was sent to this person cannot be read, so nobody can tell what they answer.
    let touch = keys::touch(WORKSPACE, "60123456789", campaign_id());
    let mut row = touch.item();
    row.insert("v".to_owned(), AttributeValue::S("damaged".to_owned()));
    world.tables.engines.dynamodb().put_item().table_name("core").set_item(Some(row)).send().await.unwrap();
    let mut value = written("wamid.a", "60123456789");
    let sibling = written("wamid.b", "60129999999");
    value["messages"].as_array_mut().unwrap().push(sibling["messages"][0].clone());
    assert!(world.hand_over(&[webhook("m1", NOW, notification(&value))]).await.is_empty());
    let rows = world.rows().await;
    let received: Vec<_> = rows.values().filter_map(|row| row.get("wamid")).collect();
    assert!(received.contains(&&json!("wamid.b")), "{received:?}");
    assert!(!received.contains(&&json!("wamid.a")), "{received:?}");
    let quarantined = world.quarantined().await;
    let reasons: Vec<_> = quarantined
        .iter()
        .filter_map(|one| match &one.event.content {
            Content::MetaQuarantined { reason, .. } => Some(reason.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(reasons, ["a stored touch cannot be read"]);
}
