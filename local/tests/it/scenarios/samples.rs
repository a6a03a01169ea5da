//! All sample webhooks, signed: each is answered 200, and everything in it becomes a row.

use std::collections::BTreeSet;
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

/// Keys of all events of the feed.
async fn events(stack: &Stack) -> BTreeSet<String> {
    let found = stack.engines().dynamodb().scan().table_name("thirdtick-core").send().await.unwrap();
    assert!(found.last_evaluated_key.is_none(), "the scan has one page");
    let keys = found.items.unwrap_or_default().into_iter().filter_map(|item| {
        let part = |name: &str| item[name].as_s().unwrap().clone();
        part("pk").contains("#ACTIVITY#").then(|| format!("{} {}", part("pk"), part("sk")))
    });
    keys.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sample_is_answered_200_and_kept() {
    let (stack, api) = stack(People::default(), None).await;
    account(&api).await;
    let samples = samples();
    assert_eq!(samples.len(), 72);
    let mut known = BTreeSet::new();
    for (name, body) in &samples {
        assert_eq!(post(&stack, body).await, 200, "{name}");
        let items = webhook::parse(body.as_bytes()).unwrap().items.len();
        assert!(items > 0, "{name} has nothing in it");
        until(&format!("the rows of {name}"), Duration::from_secs(10), async || {
            let now = events(&stack).await;
            let new = now.len() - known.len();
            known = if new >= items { now } else { return None };
            Some(Value::Null)
        })
        .await;
    }
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
