//! What `ingest` makes of Meta's notifications, straight on the tables: the same rows whatever the order, the number of
//! repeats and the way in which the items are put together.

use std::collections::{BTreeMap, BTreeSet};

use aws_lambda_events::event::sqs::{SqsEvent, SqsMessage};
use ingest::{Config, Ingest, handle};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use shared::account::{Account, NumberIdentity};
use shared::activity::{Content, Event};
use shared::attempt::claim::{After, CALL_TIMEOUT, Claim, Try};
use shared::attempt::{Flag, Moment};
use shared::aws::Clients;
use shared::config::Settings;
use shared::consent::{ConsentSettings, Wish};
use shared::contact::alias::Alias;
use shared::id::ContactId;
use shared::meta::client::Accepted;
use shared::queue::{Inbound, SendCommand};
use shared::store::{Item, Touch};
use shared::time::UnixMillis;

use crate::{NOW, Tables, WORKSPACE, account_id, at_once, attempt, attempt_key};

const NUMBER: &str = "107853902081447";
const WABA: &str = "104996122399160";

/// Tables with one account, and the function on them.
struct World {
    tables: Tables,
    ingest: Ingest,
    send_queue: String,
}

impl World {
    async fn new() -> Self {
        let tables = Tables::new().await;
        tables.bucket().await;
        let sqs = tables.engines.sqs();
        let send_queue = sqs.create_queue().queue_name("send").send().await.unwrap().queue_url.unwrap();
        let identity = NumberIdentity {
            phone_number_id: NUMBER.to_owned(),
            waba_id: WABA.to_owned(),
            display_phone_number: "+1 555-078-3881".to_owned(),
        };
        tables.core.create_account(&Account::new(account_id(), WORKSPACE, identity, NOW)).await.unwrap();
        let ingest = ingest_on(&tables, &send_queue);
        Self { tables, ingest, send_queue }
    }

    /// The same tables as another instance sees them that remembers nothing.
    fn restart(&mut self) {
        self.ingest = ingest_on(&self.tables, &self.send_queue);
    }

    /// Takes in a batch of bodies; those that come back.
    async fn take_in(&self, bodies: &[Value]) -> Vec<String> {
        self.take_in_at(NOW, bodies).await
    }

    /// The same, received at this time.
    async fn take_in_at(&self, received_at: UnixMillis, bodies: &[Value]) -> Vec<String> {
        let records = bodies.iter().enumerate().map(|(n, body)| {
            let inbound = Inbound::MetaWebhook { received_at, body: body.to_string() };
            let mut message = SqsMessage::default();
            message.message_id = Some(n.to_string());
            message.body = Some(serde_json::to_string(&inbound).unwrap());
            message
        });
        let mut event = SqsEvent::default();
        event.records = records.collect();
        let response = handle(&self.ingest, event, || true).await;
        response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect()
    }

    async fn rows(&self) -> Vec<Item> {
        let found = self.tables.engines.dynamodb().scan().table_name("core").send().await.unwrap();
        assert!(found.last_evaluated_key.is_none(), "the scan has one page");
        found.items.unwrap()
    }

    /// All events, in order of time.
    async fn events(&self) -> Vec<Event> {
        let rows = self.rows().await.into_iter().filter(|row| text(row, "pk").contains("#ACTIVITY#"));
        let mut events: Vec<Event> = rows.map(|row| serde_dynamo::from_item(row).unwrap()).collect();
        events.sort_by_key(|event| (event.at, event.id));
        events
    }

    async fn kinds(&self) -> BTreeMap<String, usize> {
        let mut kinds = BTreeMap::new();
        for event in self.events().await {
            if let Content::MetaQuarantined { reason, .. } = &event.content {
                panic!("quarantined: {reason}");
            }
            *kinds.entry(event.content.kind().to_owned()).or_default() += 1;
        }
        kinds
    }

    async fn contact(&self, digits: &str) -> ContactId {
        let alias = Alias::phone(digits).unwrap();
        self.tables.core.consent_of(WORKSPACE, &alias).await.unwrap().unwrap().contact.unwrap()
    }

    /// What the sender was asked for.
    async fn asked(&self) -> Vec<SendCommand> {
        let sqs = self.tables.engines.sqs();
        let mut asked = Vec::new();
        loop {
            let got =
                sqs.receive_message().queue_url(&self.send_queue).max_number_of_messages(10).send().await.unwrap();
            let Some(messages) = got.messages.filter(|messages| !messages.is_empty()) else { return asked };
            for message in messages {
                asked.push(serde_json::from_str(&message.body.unwrap()).unwrap());
                let handle = message.receipt_handle.unwrap();
                sqs.delete_message().queue_url(&self.send_queue).receipt_handle(handle).send().await.unwrap();
            }
        }
    }
}

fn ingest_on(tables: &Tables, send_queue: &str) -> Ingest {
    let link_keys = "1:000102030405060708090a0b0c0d0e0f";
    let values =
        [("CORE_TABLE", "core"), ("BUCKET", "bucket"), ("SEND_QUEUE_URL", send_queue), ("LINK_KEYS", link_keys)];
    let values = values.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let engines = &tables.engines;
    let clients = Clients { dynamodb: engines.dynamodb(), sqs: engines.sqs(), s3: engines.s3() };
    Ingest::new(Config::read(Settings::from_values(values)).unwrap(), &clients).unwrap()
}

fn text(row: &Item, name: &str) -> String {
    row.get(name).and_then(|value| value.as_s().ok()).cloned().unwrap_or_default()
}

/// A notification of this field.
fn notification(field: &str, mut value: Value) -> Value {
    value["messaging_product"] = json!("whatsapp");
    value["metadata"] = json!({"display_phone_number": "15550783881", "phone_number_id": NUMBER});
    json!({"object": "whatsapp_business_account", "entry": [{"id": WABA, "changes": [{"field": field, "value": value}]}]})
}

/// So many seconds after now.
fn at(second: i64) -> String {
    (NOW.seconds() + second).to_string()
}

fn written(from: &str, id: &str, second: i64, body: &str) -> Value {
    json!({"id": id, "from": from, "timestamp": at(second), "type": "text", "text": {"body": body}})
}

/// The samples by name.
fn samples() -> Vec<(String, Value)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/tests/webhooks");
    let mut samples: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .filter(|path| path.file_stem().is_some_and(|name| name != "signature-vectors"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap())
        })
        .collect();
    samples.sort_by(|(one, _), (other, _)| one.cmp(other));
    samples
}

/// The same items in notifications of their own, as far as Meta's lists can be taken apart.
fn split(body: &Value) -> Vec<Value> {
    let mut parts = Vec::new();
    for entry in body["entry"].as_array().unwrap() {
        for change in entry["changes"].as_array().unwrap() {
            let mut rest = change.clone();
            for list in ["messages", "statuses"] {
                if change["field"] != "messages" {
                    break;
                }
                let Some(items) = change["value"][list].as_array() else { continue };
                rest["value"].as_object_mut().unwrap().remove(list);
                for item in items {
                    let mut one = change.clone();
                    for other in ["messages", "statuses", "errors", "user_actions"] {
                        one["value"].as_object_mut().unwrap().remove(other);
                    }
                    one["value"][list] = json!([item]);
                    parts.push(with_change(entry, one));
                }
            }
            let is_left =
                rest == *change || ["errors", "user_actions"].iter().any(|list| rest["value"].get(list).is_some());
            if is_left {
                parts.push(with_change(entry, rest));
            }
        }
    }
    parts
}

fn with_change(entry: &Value, change: Value) -> Value {
    let mut entry = entry.clone();
    entry["changes"] = json!([change]);
    json!({"object": "whatsapp_business_account", "entry": [entry]})
}

/// The rows without what depends on who came first by nature: a contact's id and its birth.
async fn rows_but_for_birth(world: &World) -> BTreeSet<String> {
    let rows = world.rows().await;
    // Who came to us under two identifiers one after the other has two contacts, merged into one.
    let mut into: BTreeMap<String, String> = BTreeMap::new();
    for row in rows.iter().filter(|row| text(row, "sk") == "CONTACT") {
        if let Some(mark) = row.get("merged_into").and_then(|mark| mark.as_m().ok()) {
            into.insert(text(row, "id"), text(mark, "into"));
        }
    }
    let root = |contact: &str| {
        let mut contact = contact.to_owned();
        while let Some(other) = into.get(&contact) {
            contact = other.clone();
        }
        contact
    };
    let mut roots: BTreeMap<String, String> = BTreeMap::new();
    let mut members = BTreeSet::new();
    for row in rows.iter().filter(|row| text(row, "sk") == "ALIAS" && row.contains_key("contact")) {
        members.insert(text(row, "contact"));
        let name = roots.entry(root(&text(row, "contact"))).or_insert_with(|| text(row, "pk"));
        *name = name.clone().min(text(row, "pk"));
    }
    members.extend(into.keys().cloned());
    let names: BTreeMap<String, String> = members
        .into_iter()
        .filter_map(|contact| Some((contact.clone(), roots.get(&root(&contact))?.clone())))
        .collect();
    rows.into_iter()
        .filter(|row| !["contact.created", "contact.merged"].contains(&text(row, "type").as_str()))
        .filter(|row| {
            text(row, "pk").contains("#ACTIVITY#")
                || ["ALIAS", "ACCOUNT"].contains(&text(row, "sk").as_str())
                || text(row, "sk").starts_with("CONVERSATION#")
        })
        .map(|mut row| {
            for name in [
                "known_since",
                "created_at",
                "updated_at",
                "revision",
                "archived",
                "since",
                "linked",
                "until",
                "moved_to",
            ] {
                row.remove(name);
            }
            // Nobody becomes a contact by these, so they name one only if it was there.
            if ["message.status", "group.join_requested", "group.participants_changed"]
                .contains(&text(&row, "type").as_str())
            {
                row.remove("contact");
                row.remove("list");
            }
            // Its members come in one order, at every depth.
            let row: BTreeMap<String, Value> = serde_dynamo::from_item(row).unwrap();
            let mut row = sorted(json!(row)).to_string();
            for (contact, name) in &names {
                row = row.replace(contact, name);
            }
            row
        })
        .collect()
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members: BTreeMap<String, Value> =
                members.into_iter().map(|(name, value)| (name, sorted(value))).collect();
            Value::Object(members.into_iter().collect())
        }
        Value::Array(elements) => elements.into_iter().map(sorted).collect(),
        other => other,
    }
}

#[tokio::test]
async fn the_samples_repeated_shuffled_and_split_leave_the_same_rows() {
    let whole: Vec<Value> = samples().into_iter().map(|(_, body)| body).collect();
    let apart: Vec<Value> = whole.iter().flat_map(split).collect();
    assert!(apart.len() > whole.len());
    let world = World::new().await;
    for body in &whole {
        assert_eq!(world.take_in(std::slice::from_ref(body)).await, [""; 0]);
    }
    let truth = rows_but_for_birth(&world).await;
    for seed in 0..4 {
        let mut chance = StdRng::seed_from_u64(seed);
        let repeats = apart.iter().filter(|_| chance.random_bool(0.5)).cloned();
        let mut bodies: Vec<Value> = apart.iter().cloned().chain(repeats.collect::<Vec<_>>()).collect();
        bodies.shuffle(&mut chance);
        let mut world = World::new().await;
        for bodies in bodies.chunks(chance.random_range(1..40)) {
            assert_eq!(world.take_in(bodies).await, [""; 0], "seed {seed}");
            world.restart();
        }
        let rows = rows_but_for_birth(&world).await;
        let missing: Vec<_> = truth.difference(&rows).collect();
        let more: Vec<_> = rows.difference(&truth).collect();
        assert!(missing.is_empty() && more.is_empty(), "seed {seed}: missing {missing:#?}\nmore {more:#?}");
    }
}

#[tokio::test]
async fn a_person_who_writes_first_becomes_a_contact_once_with_the_name_that_belongs_to_them() {
    let mut world = World::new().await;
    // The order of the names means nothing.
    let value = json!({
        "contacts": [
            {"wa_id": "60123450002", "profile": {"name": "Bea"}},
            {"wa_id": "60123450001", "profile": {"name": "Ann"}},
        ],
        "messages": [written("60123450001", "wamid.1", 0, "hi"), written("60123450002", "wamid.2", 0, "hello")],
    });
    let body = notification("messages", value);
    for _ in 0..2 {
        world.take_in(&[body.clone(), body.clone()]).await;
        world.restart();
    }
    assert_eq!(world.kinds().await, [("contact.created".to_owned(), 2), ("message.received".to_owned(), 2)].into());
    for (digits, name) in [("60123450001", "Ann"), ("60123450002", "Bea")] {
        let id = world.contact(digits).await;
        let contact = world.tables.core.contact(WORKSPACE, id).await.unwrap().unwrap();
        assert_eq!((contact.name.as_deref(), contact.phone.unwrap().digits()), (Some(name), digits));
        let of_contact = world.events().await.into_iter().filter(|event| event.contact == Some(id)).count();
        assert_eq!(of_contact, 2);
    }
    // A name that somebody has given stays.
    let mut renamed = body.clone();
    renamed["entry"][0]["changes"][0]["value"]["contacts"][1]["profile"]["name"] = json!("Annie");
    world.take_in(&[renamed]).await;
    let contact = world.tables.core.contact(WORKSPACE, world.contact("60123450001").await).await.unwrap().unwrap();
    assert_eq!(contact.name.as_deref(), Some("Ann"));
}

#[tokio::test]
async fn a_message_a_call_and_an_ad_open_the_window_and_nothing_else_does() {
    let world = World::new().await;
    let from = |n: usize| format!("6012345{n:04}");
    let mut ad = written(&from(1), "wamid.ad", 5, "hi");
    ad["referral"] = json!({"source_type": "ad", "source_id": "1"});
    let mut in_group = written(&from(2), "wamid.group", 0, "hi");
    in_group["group_id"] = json!("group");
    let far_ahead = written(&from(3), "wamid.ahead", 400_000, "hi");
    let reaction = json!({"id": "wamid.r", "from": from(4), "timestamp": at(0), "type": "reaction", "reaction": {"message_id": "wamid.x"}});
    let messages = json!({"messages": [written(&from(1), "wamid.early", 0, "hi"), ad, in_group, far_ahead, reaction]});
    let call = json!({"calls": [{"id": "wacid.1", "from": from(5), "to": "15550783881", "event": "connect", "timestamp": at(7), "direction": "USER_INITIATED"}]});
    let history = json!({"history": [{"metadata": {"phase": 0}, "threads": [{"id": from(6), "messages": [
        {"id": "wamid.h", "from": from(6), "timestamp": at(-100), "type": "text", "text": {"body": "STOP"}}]}]}]});
    let standby = json!({"standby": {"messages": [written(&from(7), "wamid.s", 0, "hi")]}});
    let echo = json!({"message_echoes": [{"id": "wamid.e", "from": "15550783881", "to": from(8), "timestamp": at(3), "type": "text", "text": {"body": "x"}}]});
    let bodies = [
        notification("messages", messages),
        notification("calls", call),
        notification("history", history),
        notification("standby", standby),
        notification("smb_message_echoes", echo),
    ];
    assert_eq!(world.take_in(&bodies).await, [""; 0]);
    for n in 1..=8 {
        let contact = world.contact(&from(n)).await;
        let conversation = world.tables.core.conversation(WORKSPACE, contact, account_id()).await.unwrap();
        let second = |at: Option<UnixMillis>| at.map(|at| at.seconds() - NOW.seconds());
        let told = conversation
            .as_ref()
            .map(|row| [row.last_inbound_at, row.entry_point_at, row.last_outbound_at].map(second));
        let expected = match n {
            1 => Some([Some(5), Some(5), None]),
            5 => Some([Some(7), None, None]),
            8 => Some([None, None, Some(3)]),
            _ => None,
        };
        assert_eq!(told, expected, "{n}");
        assert_eq!(conversation.is_some_and(|row| row.is_open_at(NOW)), n == 1 || n == 5, "{n}");
    }
    // Not even a word of the past is one of now.
    let consents = world.tables.core.consents(WORKSPACE, &[&from(6)]).await.unwrap();
    assert!(consents.values().all(|consent| consent.opt_out.is_none()));
}

#[tokio::test]
async fn a_word_is_an_event_once_and_asks_for_one_reply_if_the_workspace_wants_that() {
    let mut world = World::new().await;
    let stop = notification("messages", json!({"messages": [written("60123450001", "wamid.1", 0, " Stop! ")]}));
    world.take_in(std::slice::from_ref(&stop)).await;
    assert_eq!(world.asked().await, [], "nobody is answered unless the operator wants it");

    let mut settings = ConsentSettings::default();
    settings.confirmation.enabled = true;
    settings.opt_in_keywords.insert("xx".to_owned(), vec!["ok bitte".to_owned()]);
    world.tables.core.set_consent_settings(WORKSPACE, &settings).await.unwrap();
    world.restart();
    let button = json!({"id": "wamid.2", "from": "60123450002", "timestamp": at(1), "type": "button", "button": {"payload": "STOP", "text": "Enough"}});
    let own = written("60123450001", "wamid.3", 2, "OK, bitte");
    let mut in_group = written("60123450003", "wamid.4", 3, "stop");
    in_group["group_id"] = json!("group");
    let no_word = written("60123450004", "wamid.5", 3, "do not stop");
    let standby = json!({"standby": {"messages": [written("60123450005", "wamid.6", 4, "stop")]}});
    let preference = json!({"user_preferences": [{"wa_id": "60123450006", "category": "marketing_messages", "value": "stop", "timestamp": NOW.seconds()}]});
    let bodies = [
        notification("messages", json!({"messages": [button, own, in_group, no_word]})),
        notification("standby", standby),
        notification("user_preferences", preference),
    ];
    for _ in 0..2 {
        assert_eq!(world.take_in(&bodies).await, [""; 0]);
    }
    let words: Vec<(String, String)> = world
        .events()
        .await
        .into_iter()
        .filter_map(|event| match event.content {
            Content::ContactOptedOut(report) => Some((format!("out {}", report.source), report.from.unwrap())),
            Content::ContactOptedIn(report) => Some((format!("in {}", report.language.unwrap()), report.from.unwrap())),
            _ => None,
        })
        .collect();
    let mut told: Vec<String> = words.iter().map(|(how, who)| format!("{how} {}", &who[8..])).collect();
    told.sort();
    assert_eq!(told, ["in xx 001", "out reply 001", "out reply 002", "out reply 005", "out whatsapp 006"]);
    let everybody: Vec<String> = (1..=6).map(|n| format!("6012345000{n}")).collect();
    let everybody: Vec<&str> = everybody.iter().map(String::as_str).collect();
    let consents = world.tables.core.consents(WORKSPACE, &everybody).await.unwrap();
    let out: Vec<bool> =
        everybody.iter().map(|who| consents.get(*who).is_some_and(|consent| consent.is_opted_out())).collect();
    assert_eq!(out, [false, true, false, false, true, true]);
    // Each was asked for twice, and the sender's claim makes it one.
    let mut asked: Vec<_> =
        world.asked().await.into_iter().map(|command| serde_json::to_string(&command).unwrap()).collect();
    assert_eq!(asked.len(), 4);
    asked.sort();
    asked.dedup();
    assert_eq!(asked.len(), 2, "the button and the workspace's own word; not standby, group or preference");
}

#[tokio::test]
async fn a_wish_without_a_time_is_of_its_first_sight_however_late_it_is_repeated() {
    let world = World::new().await;
    let day = |n: i64| UnixMillis(NOW.0 + n * 86_400_000);
    let wish = |value: &str, at: Option<UnixMillis>| {
        let mut wish = json!({"wa_id": "60123450001", "category": "marketing_messages", "value": value});
        if let Some(at) = at {
            wish["timestamp"] = json!(at.seconds());
        }
        notification("user_preferences", json!({"user_preferences": [wish]}))
    };
    // A word of the same day with a time of its own comes first.
    world.take_in_at(NOW, &[wish("resume", Some(UnixMillis(NOW.0 - 60_000)))]).await;
    for (received_at, told, expected) in [
        (day(0), wish("stop", None), true),
        (day(1), wish("resume", Some(day(1))), false),
        (day(3), wish("stop", None), false),
    ] {
        assert_eq!(world.take_in_at(received_at, &[told]).await, [""; 0]);
        let consents = world.tables.core.consents(WORKSPACE, &["60123450001"]).await.unwrap();
        assert_eq!(consents["60123450001"].is_opted_out(), expected, "{received_at:?}");
    }
}

#[tokio::test]
async fn a_reply_is_claimed_once_for_each_direction_and_day() {
    let tables = Tables::new().await;
    let core = &tables.core;
    let contact = ContactId::new(NOW);
    let word = |n: i64| shared::activity::id_of(NOW, &["word", &n.to_string()]);
    let later = |hours: i64| UnixMillis(NOW.0 + hours * 3_600_000);
    let no = Wish::NoMessages;
    let claims = at_once(8, |_| {
        let core = tables.another_core();
        async move { core.claim_confirmation(WORKSPACE, contact, no, word(1), NOW).await.unwrap() }
    })
    .await;
    assert_eq!(claims.iter().filter(|won| **won).count(), 1);
    assert!(!core.claim_confirmation(WORKSPACE, contact, no, word(2), later(23)).await.unwrap());
    assert!(core.claim_confirmation(WORKSPACE, contact, Wish::Messages, word(3), later(1)).await.unwrap());
    assert!(!core.claim_confirmation(WORKSPACE, contact, no, word(1), later(30)).await.unwrap(), "the same word");
    assert!(core.claim_confirmation(WORKSPACE, contact, no, word(2), later(30)).await.unwrap());
    // Only what never left is given back, and only by whom it belongs to.
    core.unclaim_confirmation(WORKSPACE, contact, no, word(1)).await.unwrap();
    assert!(!core.claim_confirmation(WORKSPACE, contact, no, word(4), later(31)).await.unwrap());
    core.unclaim_confirmation(WORKSPACE, contact, no, word(2)).await.unwrap();
    assert!(core.claim_confirmation(WORKSPACE, contact, no, word(2), later(31)).await.unwrap());
}

#[tokio::test]
async fn a_reply_that_comes_too_early_waits_and_its_siblings_do_not() {
    let world = World::new().await;
    let core = &world.tables.core;
    let (key, digits) = (attempt_key(0), "60123456789");
    let now = UnixMillis::now();
    let claim = Claim::for_slot(now, CALL_TIMEOUT);
    core.claim(&key, &attempt(1), Try { number: 1, after: After::Nothing }, &claim).await.unwrap();
    let touch = Touch {
        v: 1,
        campaign: key.campaign,
        account: account_id(),
        shard: key.shard,
        seq: key.seq,
        at: now,
        content: None,
    };
    core.touch(WORKSPACE, digits, &touch).await.unwrap();
    let mut reply = written(digits, "wamid.reply", now.seconds() - NOW.seconds(), "yes");
    reply["context"] = json!({"from": "15550783881", "id": "wamid.ours"});
    let others: Vec<Value> =
        (0..50).map(|n| written(&format!("601234501{n:02}"), &format!("wamid.{n}"), 0, "hi")).collect();
    let messages = [vec![reply], others].concat();
    let body = notification("messages", json!({"messages": messages}));
    assert_eq!(world.take_in(std::slice::from_ref(&body)).await, ["0"]);
    assert_eq!(world.kinds().await["message.received"], 50);
    let accepted = Accepted { wamid: "wamid.ours".to_owned(), wa_id: None, response: "{}".to_owned() };
    core.record_accepted(&key, 1, &accepted, Moment { at: now, seen: now }).await.unwrap();
    assert_eq!(world.take_in(&[body]).await, [""; 0]);
    assert_eq!(world.kinds().await["message.received"], 51);
    let answered = core.attempt(&key).await.unwrap().unwrap();
    assert!(answered.flag(Flag::Replied).is_some());
}
