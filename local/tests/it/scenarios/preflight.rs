//! What is told before a campaign starts is what happens then, and everybody of the audience is in exactly one place.

use std::collections::BTreeMap;
use std::time::Duration;

use local::api_client::ApiClient;
use local::stack::{People, Stack};
use serde_json::{Value, json};
use shared::id::WorkspaceId;
use shared::safety::FrequencyCap;
use shared::time::UnixMillis;
use simulator::{Faults, InjectedError, Trigger};

use super::{account, campaign_from, settled_report, stack, until};

fn quick() -> People {
    People { speed: 3_000.0, ..People::default() }
}

/// Creates a campaign with a text; its id.
async fn create(api: &ApiClient, account: &str, recipients: &[Value], terms: &Value) -> String {
    let mut campaign = json!({
        "name": "Offer",
        "account_id": account,
        "variants": [{"name": "A", "message": {"type": "text", "text": {"body": "Hi {{first_name}}"}}}],
        "audience": {"recipients": recipients},
    });
    for (name, value) in terms.as_object().unwrap() {
        campaign[name] = value.clone();
    }
    let created = api.post("/v1/campaigns", &campaign).await.unwrap();
    created["id"].as_str().unwrap().to_owned()
}

async fn start(api: &ApiClient, id: &str) {
    api.post(&format!("/v1/campaigns/{id}/start"), &Value::Null).await.unwrap();
}

fn people(from: u32, to: u32) -> Vec<Value> {
    (from..to)
        .map(|n| json!({"phone": format!("+6012345{n:04}"), "variables": {"first_name": format!("Person {n}")}}))
        .collect()
}

/// Every recipient of a report is in exactly one place, and the reasons add up.
fn adds_up(report: &Value) {
    let count = |name: &str| report[name].as_i64().unwrap();
    let stuck: i64 = report["stuck_at"].as_object().unwrap().values().map(|n| n.as_i64().unwrap()).sum();
    let closed = report["stages"]["closed"]["count"].as_i64().unwrap();
    let others = count("pending") + count("skipped") + count("unknown") + count("holdout") + count("failed");
    assert_eq!(others + stuck + closed, count("recipients"), "{report:#}");
    let skips: i64 = report["skips"].as_object().unwrap().values().map(|n| n.as_i64().unwrap()).sum();
    assert_eq!(skips, count("skipped"), "{report:#}");
}

/// All skipped people of a campaign, read a few at a time: how many of each code.
async fn skipped_people(api: &ApiClient, id: &str) -> BTreeMap<String, usize> {
    let mut codes = BTreeMap::new();
    let mut cursor = String::new();
    loop {
        let path = format!("/v1/campaigns/{id}/recipients?status=skipped&limit=4{cursor}");
        let page = api.get(&path).await.unwrap();
        for person in page["data"].as_array().unwrap() {
            assert_eq!(person["status"], "skipped");
            assert!(person["skip"]["reason"].is_string() && person["skip"]["at"].is_string(), "{person}");
            *codes.entry(person["skip"]["code"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return codes,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_preflight_tells_is_what_happens() {
    let (stack, api) = stack(quick(), None).await;
    let (core, _) = stack.tables();
    let account = account(&api).await;
    // Ten people have got a message today, and the account allows no second one.
    let before = campaign_from(&api, &account, "Good morning", 10).await;
    settled_report(&stack, &api, &before).await;
    core.change_account(WorkspaceId::FIRST, account.parse().unwrap(), |account| {
        account.safety.frequency_cap = Some(FrequencyCap { messages: 1, days: 1 });
        account.limits.per_hour = Some(100_000);
    })
    .await
    .unwrap();
    for digits in ["60123450020", "60123450021", "60123450022"] {
        core.opt_out(WorkspaceId::FIRST, digits, "test", UnixMillis::now()).await.unwrap();
    }
    let mut recipients = people(0, 60);
    recipients.push(json!({"phone": "+6012345 0007", "variables": {"first_name": "Again"}}));
    recipients.push(json!({"phone": "12", "variables": {"first_name": "Nobody"}}));
    recipients.extend([json!({"phone": "+60123450101"}), json!({"phone": "+60123450102"})]);
    let id = create(&api, &account, &recipients, &json!({})).await;

    let told = api.get(&format!("/v1/campaigns/{id}/preflight")).await.unwrap();
    let expected = json!({
        "audience": 64, "not_a_number": 1, "duplicates": 1, "missing_variables": 2, "other_skips": 0, "held_out": 0,
        "opted_out": 3, "no_opt_in": 0, "unknown_number": 0, "rules": {}, "frequency_capped": 10, "reachable": 47,
    });
    assert_eq!(told["reachability"], expected);
    let lacking = json!([{"variable": "first_name", "recipients": 2, "lines": [63, 64]}]);
    assert_eq!(told["missing_variables"], lacking);
    assert_eq!((&told["sampled"], &told["based_on"], &told["blockers"]), (&json!(false), &json!(60), &json!([])));
    assert_eq!((&told["quota"]["needs"], &told["quota"]["hour"]["limit"]), (&json!(47), &json!(100_000)));
    // The campaign before may still have a share of the rate.
    assert!(told["eta"]["finishes_at"].is_string() && told["eta"]["rate"].as_u64() >= Some(40), "{:#}", told["eta"]);
    assert!(told["cost"]["high"].is_string() && told["cost"]["card_effective_from"].is_string(), "{:#}", told["cost"]);
    let warned: Vec<&Value> = told["warnings"].as_array().unwrap().iter().map(|finding| &finding["code"]).collect();
    assert_eq!(warned, ["service_window", "missing_variables"]);
    let attempts = core.attempts_of_campaign(WorkspaceId::FIRST, id.parse().unwrap(), 1).await.unwrap();
    assert_eq!(attempts.len(), 0, "looking has changed nothing");

    start(&api, &id).await;
    let report = settled_report(&stack, &api, &id).await;
    adds_up(&report);
    assert_eq!(report["stages"]["sent"]["count"].as_i64().unwrap() + report["failed"].as_i64().unwrap(), 47);
    let skips = json!({"planning": 4, "opted_out": 3, "frequency_cap": 10});
    assert_eq!(report["skips"], skips);
    let listed: BTreeMap<String, usize> = serde_json::from_value(skips).unwrap();
    assert_eq!(skipped_people(&api, &id).await, listed);
    let campaign = api.get(&format!("/v1/campaigns/{id}")).await.unwrap();
    assert_eq!(campaign["progress"]["skipped"], 17);
    let cost = |report: &Value| report["cost"]["amount"].as_str().unwrap().parse::<f64>().unwrap();
    assert!(cost(&report) <= told["cost"]["high"].as_str().unwrap().parse().unwrap(), "{:#}", report["cost"]);
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_left_when_a_campaign_expires_is_skipped_and_listed() {
    let (stack, api) = stack(quick(), None).await;
    let account = account(&api).await;
    let end = UnixMillis::now().plus(Duration::from_secs(6)).to_rfc3339();
    let terms = json!({"messages_per_second": 5, "schedule": {"expires_at": end}});
    let id = create(&api, &account, &people(0, 120), &terms).await;
    start(&api, &id).await;
    let report = settled_report(&stack, &api, &id).await;
    adds_up(&report);
    let sent = report["stages"]["sent"]["count"].as_i64().unwrap() + report["failed"].as_i64().unwrap();
    let left = report["skips"]["expired"].as_i64().unwrap();
    assert!(left > 0 && report["pending"] == 0, "{report:#}");
    assert_eq!(sent + left + report["unknown"].as_i64().unwrap(), 120);
    let listed = skipped_people(&api, &id).await;
    assert_eq!(listed, BTreeMap::from([("expired".to_owned(), usize::try_from(left).unwrap())]));
    stack.shutdown().await;
}

/// Waits until the campaign is paused; its view.
async fn paused(api: &ApiClient, id: &str) -> Value {
    until("a pause", Duration::from_secs(60), async || {
        let campaign = api.get(&format!("/v1/campaigns/{id}")).await.unwrap();
        (campaign["status"] == "paused").then_some(campaign)
    })
    .await
}

fn accepted(stack: &Stack) -> usize {
    stack.simulator().unwrap().ledger().messages().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_failures_pause_a_campaign_and_say_so() {
    let (stack, api) = stack(quick(), None).await;
    let error = Some(InjectedError { code: 131_026, when: Trigger::Next(8) });
    stack.simulator().unwrap().set_faults(Faults { error, ..Faults::default() });
    let account = account(&api).await;
    let terms = json!({"messages_per_second": 10, "error_threshold": 5});
    let id = create(&api, &account, &people(0, 300), &terms).await;
    start(&api, &id).await;
    let campaign = paused(&api, &id).await;
    let reason = campaign["status_reason"].as_str().unwrap();
    assert!(reason.contains("messages have failed") && reason.contains("error_threshold is 5"), "{reason}");
    assert_eq!((&campaign["paused_by"], &campaign["error_threshold"]), (&json!("errors"), &json!(5)));
    assert!(accepted(&stack) < 300);
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_that_is_used_up_pauses_a_campaign_and_says_what_it_has_cost() {
    let (stack, api) = stack(quick(), None).await;
    let account = account(&api).await;
    let terms = json!({"budget": {"amount": 0.7, "currency": "USD"}});
    let id = create(&api, &account, &people(0, 400), &terms).await;
    start(&api, &id).await;
    let campaign = paused(&api, &id).await;
    let reason = campaign["status_reason"].as_str().unwrap();
    assert!(reason.contains("budget is used up") && reason.contains("USD"), "{reason}");
    // A page of 100 service messages costs 1.40 in Malaysia, so one was given out and no more.
    assert!(accepted(&stack) <= 100, "{} messages", accepted(&stack));
    stack.shutdown().await;
}
