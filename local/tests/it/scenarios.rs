//! The whole stack over HTTP, as its users see it.

mod accounts;
mod attribution;
mod audience;
mod audit;
mod breakdown;
mod browser;
mod consent;
mod contacts;
mod erasure;
mod export;
mod faults;
mod first_visitor;
mod funnel;
mod graph;
mod health;
mod identity;
mod kill;
mod lifecycle;
mod link_domains;
mod links;
mod lost_clicks;
mod media;
mod preflight;
mod published;
mod quarantine;
mod replay;
mod samples;
mod signatures;
mod talks;
mod templates;
mod unclicked_links;
mod web;
mod webhooks;

use std::time::{Duration, Instant};

use aws_sdk_sqs::types::QueueAttributeName;
use local::api_client::ApiClient;
use local::engines::Storage;
use local::stack::{People, Stack, StackOptions};
use serde_json::{Value, json};
use shared::attempt::AttemptKey;
use shared::campaign::Campaign;
use shared::id::{CampaignId, WorkspaceId};
use shared::link::visits::Whose;
use shared::rollup::click::of_visits;
use shared::rollup::contribution::{campaign_pk, of_attempt};
use shared::rollup::{Contribution, Counts, add};
use shared::store::Consistency;
use url::Url;

/// Meta's id of the number that all scenarios send from.
pub(crate) const PHONE_NUMBER_ID: &str = "107853902081447";

/// A stack that keeps nothing on disk.
pub(crate) async fn stack(people: People, graph_url: Option<Url>) -> (Stack, ApiClient) {
    let options = StackOptions { port: 0, storage: Storage::Memory, graph_url, people };
    let stack = Stack::start(options).await.unwrap();
    let api = ApiClient::new(stack.base_url(), stack.admin_key());
    (stack, api)
}

/// Connects the number; the account's id.
pub(crate) async fn account(api: &ApiClient) -> String {
    account_with_token(api, "token").await
}

/// The same with this access token.
pub(crate) async fn account_with_token(api: &ApiClient, token: &str) -> String {
    let account = json!({
        "name": "Shop",
        "phone_number_id": PHONE_NUMBER_ID,
        "waba_id": "104996122399160",
        "display_phone_number": "+1 555-078-3881",
        "access_token": token,
        "messages_per_second": 80,
    });
    api.post("/v1/accounts", &account).await.unwrap()["id"].as_str().unwrap().to_owned()
}

/// A campaign with one text to so many people, started; its id.
pub(crate) async fn started_campaign(api: &ApiClient, body: &str, people: u32) -> String {
    let account = account(api).await;
    campaign_from(api, &account, body, people).await
}

/// The same from an account that exists.
pub(crate) async fn campaign_from(api: &ApiClient, account: &str, body: &str, people: u32) -> String {
    let recipients: Vec<Value> = (0..people)
        .map(|n| json!({"phone": format!("+6012345{n:04}"), "variables": {"first_name": format!("Person {n}")}}))
        .collect();
    let campaign = json!({
        "name": "Offer",
        "account_id": account,
        "variants": [{"name": "A", "message": {"type": "text", "text": {"body": body}}}],
        "audience": {"recipients": recipients},
    });
    let created = api.post("/v1/campaigns", &campaign).await.unwrap();
    let id = created["id"].as_str().unwrap().to_owned();
    api.post(&format!("/v1/campaigns/{id}/start"), &Value::Null).await.unwrap();
    id
}

/// Asks until the answer is as wanted; gives the last answer.
pub(crate) async fn until(what: &str, limit: Duration, mut done: impl AsyncFnMut() -> Option<Value>) -> Value {
    let begun = Instant::now();
    loop {
        if let Some(value) = done().await {
            return value;
        }
        assert!(begun.elapsed() < limit, "{what} did not come within {limit:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The campaign's report once nothing changes any more: nobody has anything left to do, and counters equal rows.
pub(crate) async fn settled_report(stack: &Stack, api: &ApiClient, id: &str) -> Value {
    until("a settled report", Duration::from_secs(90), async || {
        let campaign = api.get(&format!("/v1/campaigns/{id}")).await.unwrap();
        let pending = stack.simulator().map_or(0, simulator::Running::pending);
        let is_quiet = campaign["status"] == "completed" && pending == 0 && is_taken_in(stack).await;
        if !is_quiet || counted(stack, id).await != expected(stack, id).await {
            return None;
        }
        Some(api.get(&format!("/v1/campaigns/{id}/report")).await.unwrap())
    })
    .await
}

/// Whether nothing that came from outside waits or is being taken in.
pub(crate) async fn is_taken_in(stack: &Stack) -> bool {
    let sqs = stack.engines().sqs();
    let url = sqs.get_queue_url().queue_name("thirdtick-events").send().await.unwrap().queue_url.unwrap();
    let asked = sqs.get_queue_attributes().queue_url(url).attribute_names(QueueAttributeName::All);
    let told = asked.send().await.unwrap().attributes.unwrap();
    let counts = told.iter().filter(|(name, _)| name.as_str().starts_with("ApproximateNumberOfMessages"));
    counts.into_iter().all(|(_, n)| n == "0")
}

/// The campaign's counters of attempts and visits as stored, zeros left out.
pub(crate) async fn counted(stack: &Stack, id: &str) -> Counts {
    let (_, rollups) = stack.tables();
    let campaign: CampaignId = id.parse().unwrap();
    let items = rollups.items(&campaign_pk(WorkspaceId::FIRST, campaign), "").await.unwrap();
    let mut counts = Counts::new();
    for item in items.into_iter().filter(|item| !item.sk.starts_with("CLICK")) {
        counts.extend(
            item.counts.into_iter().filter(|(_, n)| *n != 0).map(|(name, n)| (format!("{} {name}", item.sk), n)),
        );
    }
    counts
}

/// The same, computed from the rows.
pub(crate) async fn expected(stack: &Stack, id: &str) -> Counts {
    let (core, _) = stack.tables();
    let campaign = stored(stack, id).await;
    let mut sum = Contribution::new();
    let attempts = core.attempts_of_campaign(WorkspaceId::FIRST, campaign.id, campaign.shards).await.unwrap();
    let keys: Vec<AttemptKey> = attempts.iter().map(|(seq, _)| campaign.attempt_key(*seq)).collect();
    let visits = core.visits(&keys, Consistency::Strong).await.unwrap();
    let attempts = attempts.iter().map(|(seq, attempt)| of_attempt(&campaign.attempt_key(*seq), attempt));
    let visits = visits.iter().map(|(seq, visits)| of_visits(&Whose::Recipient(campaign.attempt_key(*seq)), visits));
    for (key, counts) in attempts.chain(visits).flatten() {
        add(sum.entry(key).or_default(), &counts);
    }
    // The account's days have a partition of their own.
    sum.retain(|key, _| key.pk == campaign_pk(WorkspaceId::FIRST, campaign.id));
    sum.into_iter()
        .flat_map(|(key, counts)| counts.into_iter().map(move |(name, n)| (format!("{} {name}", key.sk), n)))
        .collect()
}

pub(crate) async fn stored(stack: &Stack, id: &str) -> Campaign {
    let (core, _) = stack.tables();
    core.campaign(WorkspaceId::FIRST, id.parse().unwrap()).await.unwrap().unwrap()
}
