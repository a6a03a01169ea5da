//! All sample webhooks, signed: each is answered 200, and everything in it becomes a row.

use std::collections::BTreeMap;
use std::time::Duration;

use local::stack::{People, Stack};
use serde_json::{Value, json};
use shared::meta::signature::{AppSecret, sign};
use shared::meta::webhook;

use super::{account, stack, until};

/// The samples, by name.
fn samples() -> Vec<(String, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/tests/webhooks");
    let mut samples: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .filter(|path| path.file_stem().is_some_and(|name| name != "signature-vectors"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            // On the wire Meta's JSON is compact.
            let body: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            (name, body.to_string())
        })
        .collect();
    samples.sort();
    samples
}

async fn post(stack: &Stack, body: &str) -> reqwest::StatusCode {
    let signature = sign(body.as_bytes(), &AppSecret::new(stack.app_secret()).unwrap());
    let request = reqwest::Client::new().post(format!("{}/webhooks/meta", stack.base_url()));
    request.header("x-hub-signature-256", signature).body(body.to_owned()).send().await.unwrap().status()
}

/// The events of each sample, sorted; a message is `message.received`, a status of nobody's message `message.status` unless
/// it stands here. Who is met for the first time is a `contact.created` beside.
const EVENTS: &[(&str, &str)] = &[
    ("account-alert", "account.alerted"),
    ("account-review", "account.reviewed"),
    ("account-update-disabled", "account.disabled"),
    ("account-update-restriction", "account.restricted"),
    ("account-update-volume-tier", "account.updated"),
    ("batch-mixed", "message.received message.status message.status message.status"),
    ("business-capability", "account.limits_changed"),
    ("calls-connect", "call.connected"),
    ("calls-terminate", "call.ended"),
    ("group-join-request", "group.join_requested"),
    ("group-lifecycle-create", "group.created"),
    ("group-participants-add", "group.participants_changed"),
    ("group-participants-remove", "group.participants_changed"),
    ("group-settings", "group.settings_changed"),
    ("group-status-suspend", "group.suspended"),
    ("history-chunk", "history.progressed message.imported message.imported"),
    ("in-system-number-changed", "contact.changed"),
    ("in-system-user-id-changed", "contact.changed"),
    ("phone-name", "account.name_reviewed"),
    ("phone-quality-throughput", "account.quality_changed"),
    ("security-pin", "account.security_changed"),
    ("smb-app-state-sync", "contact.synced"),
    ("smb-message-echo", "message.echoed"),
    ("standby-echo", "message.echoed"),
    ("status-failed-131050", "contact.opted_out message.status"),
    ("status-group-aggregated", "message.status message.status"),
    ("template-category-completed", "template.category_changed"),
    ("template-category-impending", "template.category_changed"),
    ("template-components", "template.components_changed"),
    ("template-quality", "template.quality_changed"),
    ("template-status-approved", "template.status_changed"),
    ("template-status-paused", "template.status_changed"),
    ("template-status-rejected", "template.status_changed"),
    ("unknown-field", "meta.reported"),
    ("user-actions-link-click", "meta.link_clicked"),
    ("user-preferences-stop", "contact.opted_out contact.preference_changed"),
    ("value-errors", "account.error_reported"),
];

fn expected(name: &str) -> &'static str {
    match EVENTS.iter().find(|(sample, _)| *sample == name) {
        Some((_, events)) => events,
        None if name.starts_with("in-") => "message.received",
        None if name.starts_with("status-") => "message.status",
        None => panic!("{name} is new: say which events it becomes"),
    }
}

/// The types of all events of the feed, by key.
async fn events(stack: &Stack) -> BTreeMap<String, String> {
    let found = stack.engines().dynamodb().scan().table_name("thirdtick-core").send().await.unwrap();
    assert!(found.last_evaluated_key.is_none(), "the scan has one page");
    let events = found.items.unwrap_or_default().into_iter().filter_map(|item| {
        let part = |name: &str| item[name].as_s().unwrap().clone();
        part("pk").contains("#ACTIVITY#").then(|| (format!("{} {}", part("pk"), part("sk")), part("type")))
    });
    events.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sample_is_answered_200_and_kept() {
    let (stack, api) = stack(People::default(), None).await;
    account(&api).await;
    let samples = samples();
    assert_eq!(samples.len(), 72);
    let mut known = BTreeMap::new();
    for (name, body) in &samples {
        assert_eq!(post(&stack, body).await, 200, "{name}");
        let items = webhook::parse(body.as_bytes()).unwrap().items.len();
        assert!(items > 0, "{name} has nothing in it");
        let expected = expected(name);
        assert!(expected.split(' ').count() >= items, "{name}");
        let mut kinds = String::new();
        let complete = until_or(Duration::from_secs(10), async || {
            let now = events(&stack).await;
            let new = now.iter().filter(|(key, _)| !known.contains_key(*key)).map(|(_, kind)| kind.as_str());
            let mut new: Vec<&str> = new.filter(|kind| *kind != "contact.created").collect();
            new.sort_unstable();
            kinds = new.join(" ");
            let is_complete = kinds == expected;
            if is_complete {
                known = now;
            }
            is_complete
        })
        .await;
        assert!(complete, "{name} became {kinds:?} and not {expected:?}");
    }
    // Everybody in them whose number is told is a contact, made once.
    let created = known.values().filter(|kind| *kind == "contact.created").count();
    assert!(created > 0, "nobody was met");
    // A repeat of all of them changes nothing.
    for (name, body) in &samples {
        assert_eq!(post(&stack, body).await, 200, "{name}");
    }
    let marker = json!({"object": "whatsapp_business_account", "entry": [{"id": "1", "time": 1_790_000_000, "changes": [{"field": "marker", "value": {}}]}]});
    assert_eq!(post(&stack, &marker.to_string()).await, 200);
    until("the marker behind the repeats", Duration::from_secs(10), async || {
        (events(&stack).await.len() > known.len()).then_some(Value::Null)
    })
    .await;
    assert_eq!(events(&stack).await.len(), known.len() + 1);
    stack.shutdown().await;
}

/// Whether it comes true in time.
async fn until_or(limit: Duration, mut is_so: impl AsyncFnMut() -> bool) -> bool {
    let deadline = std::time::Instant::now() + limit;
    while std::time::Instant::now() < deadline {
        if is_so().await {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}
