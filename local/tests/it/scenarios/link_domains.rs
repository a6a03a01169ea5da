//! Domains of a workspace's own and the campaigns whose links are on them: when one can be removed, and what holds afterwards.

use std::time::Duration;

use local::api_client::ApiClient;
use local::stack::Stack;
use reqwest::{Method, StatusCode, redirect};
use serde_json::{Value, json};
use simulator::{Faults, InjectedError, Trigger};

use super::attribution::silent;
use super::web::{BROWSER, feed, link_of, write_key};
use super::{account, stack, until};

const DOMAIN: &str = "go.brand.example";

/// Makes the domain the workspace's default.
async fn add_domain(api: &ApiClient) {
    api.post("/v1/link-domains", &json!({"domain": DOMAIN, "default": true})).await.unwrap();
}

/// Asks for the domain's removal; the answer's status, and its problem if it is one.
async fn remove_domain(stack: &Stack) -> (StatusCode, Value) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = http.request(Method::DELETE, format!("{}/v1/link-domains/{DOMAIN}", stack.base_url()));
    let answer = request.bearer_auth(stack.admin_key()).send().await.unwrap();
    (answer.status(), answer.json().await.unwrap_or_default())
}

/// A draft with a link, to so many people; its id.
async fn draft(api: &ApiClient, account: &str, people: u32, terms: &Value) -> String {
    let recipients: Vec<Value> = (0..people).map(|n| json!({"phone": format!("+6012345{n:04}")})).collect();
    let mut campaign = json!({"name": "Offer", "account_id": account, "append_click_id": true,
        "variants": [{"name": "A", "message": {"type": "text", "text": {"body": "See https://shop.example/offer"}}}],
        "audience": {"recipients": recipients}});
    for (name, value) in terms.as_object().unwrap() {
        campaign[name] = value.clone();
    }
    api.post("/v1/campaigns", &campaign).await.unwrap()["id"].as_str().unwrap().to_owned()
}

async fn act(api: &ApiClient, campaign: &str, action: &str) -> anyhow::Result<Value> {
    api.post(&format!("/v1/campaigns/{campaign}/{action}"), &Value::Null).await
}

/// Waits until the campaign is completed with so many failed messages.
async fn completed(api: &ApiClient, campaign: &str, failed: u32) {
    until("the end of the campaign", Duration::from_secs(30), async || {
        let report = api.get(&format!("/v1/campaigns/{campaign}/report")).await.unwrap();
        (report["status"] == "completed" && report["failed"] == failed && report["pending"] == 0).then_some(report)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_stays_while_a_campaign_with_links_on_it_is_under_way() {
    let (stack, api) = stack(silent(), None).await;
    let account = account(&api).await;
    add_domain(&api).await;
    let in_an_hour = jiff::Timestamp::now() + Duration::from_secs(3_600);
    let later = draft(&api, &account, 2, &json!({"schedule": {"start_at": in_an_hour.to_string()}})).await;
    let slow = draft(&api, &account, 200, &json!({"messages_per_second": 1})).await;
    let refused = async |campaign: &str, status: &str| {
        let present = api.get(&format!("/v1/campaigns/{campaign}")).await.unwrap();
        assert_eq!(present["status"], status);
        let (answer, problem) = remove_domain(&stack).await;
        assert_eq!(answer, StatusCode::CONFLICT, "{status}");
        assert!(problem["detail"].as_str().unwrap().contains(campaign), "{problem}");
    };
    act(&api, &later, "start").await.unwrap();
    refused(&later, "scheduled").await;
    act(&api, &later, "cancel").await.unwrap();
    act(&api, &slow, "start").await.unwrap();
    refused(&slow, "running").await;
    act(&api, &slow, "pause").await.unwrap();
    refused(&slow, "paused").await;
    act(&api, &slow, "cancel").await.unwrap();
    assert_eq!(remove_domain(&stack).await.0, StatusCode::NO_CONTENT);
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_whose_links_lost_their_domain_neither_starts_nor_tries_again() {
    let (stack, api) = stack(silent(), None).await;
    let account = account(&api).await;
    add_domain(&api).await;
    let ended = draft(&api, &account, 4, &json!({})).await;
    let error = Some(InjectedError { code: 100, when: Trigger::Next(2) });
    stack.simulator().unwrap().set_faults(Faults { error, ..Faults::default() });
    act(&api, &ended, "start").await.unwrap();
    completed(&api, &ended, 2).await;
    let waiting = draft(&api, &account, 2, &json!({})).await;

    assert_eq!(remove_domain(&stack).await.0, StatusCode::NO_CONTENT);
    for (campaign, action) in [(&waiting, "start"), (&ended, "retry-failed")] {
        let refused = act(&api, campaign, action).await.unwrap_err().to_string();
        assert!(refused.contains("409") && refused.contains(DOMAIN), "{action}: {refused}");
    }
    let preflight = api.get(&format!("/v1/campaigns/{waiting}/preflight")).await.unwrap();
    assert_eq!(preflight["blockers"][0]["code"], "link_domain_removed", "{preflight:#}");
    let copy = act(&api, &waiting, "duplicate").await.unwrap()["id"].as_str().unwrap().to_owned();
    act(&api, &copy, "start").await.unwrap();

    add_domain(&api).await;
    act(&api, &ended, "retry-failed").await.unwrap();
    act(&api, &waiting, "start").await.unwrap();
    completed(&api, &ended, 0).await;
    completed(&api, &waiting, 0).await;
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purchase_closes_the_recipient_whose_links_domain_was_removed_since_the_click() {
    let (stack, api) = stack(silent(), None).await;
    let account = account(&api).await;
    add_domain(&api).await;
    let campaign = draft(&api, &account, 1, &json!({})).await;
    act(&api, &campaign, "start").await.unwrap();
    completed(&api, &campaign, 0).await;
    let link = link_of(&stack, &campaign, 0).await;
    let code = link.strip_prefix(&format!("https://{DOMAIN}/")).unwrap();
    let http = reqwest::Client::builder().no_proxy().user_agent(BROWSER).redirect(redirect::Policy::none());
    let http = http.build().unwrap();
    let click = http.get(format!("{}/l/{code}", stack.base_url())).header("host", DOMAIN).send().await.unwrap();
    assert_eq!(click.status(), StatusCode::FOUND);
    let location: url::Url = click.headers()["location"].to_str().unwrap().parse().unwrap();
    let click_id = location.query_pairs().find(|(name, _)| name == "tt_cid").unwrap().1.into_owned();

    assert_eq!(remove_domain(&stack).await.0, StatusCode::NO_CONTENT);
    let key = write_key(&api, json!({"name": "Shop"})).await;
    let purchase = json!({"id": "order-1", "name": "purchase", "anonymous_id": "browser-1", "click_id": click_id,
        "conversion": true});
    let body = json!({"write_key": key, "events": [purchase]}).to_string();
    let report = http.post(format!("{}/collect", stack.base_url())).header("content-type", "text/plain").body(body);
    assert_eq!(report.send().await.unwrap().status(), StatusCode::ACCEPTED);
    let bought = feed(&api, "type=purchase", 1).await;
    assert_eq!(bought[0]["campaign_id"], campaign.as_str(), "{bought:#?}");
    until("the closed recipient", Duration::from_secs(20), async || {
        let closed = api.get(&format!("/v1/campaigns/{campaign}/recipients?stage=closed")).await.unwrap();
        (closed["data"].as_array().unwrap().len() == 1).then_some(closed)
    })
    .await;
    stack.shutdown().await;
}
