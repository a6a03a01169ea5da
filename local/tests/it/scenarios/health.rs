//! An account's health: what is lost is explained, and what Meta tells is shown.

use std::time::Duration;

use local::api_client::ApiClient;
use local::stack::People;
use serde_json::{Value, json};
use simulator::Behaviour;

use super::accounts::notice;
use super::{account, account_with_token, campaign_from, settled_report, stack, until};
use shared::time::UnixMillis;

/// The health once somebody has looked at the account and `done` holds.
async fn health(api: &ApiClient, account: &str, done: impl Fn(&Value) -> bool) -> Value {
    until("the health", Duration::from_secs(30), async || {
        let health = api.get(&format!("/v1/accounts/{account}/health")).await.unwrap();
        (!health["latest_probe"].is_null() && done(&health)).then_some(health)
    })
    .await
}

/// Each cause with the points lost for it.
fn lost(health: &Value) -> Vec<(String, f64)> {
    let losses = health["lost"].as_array().unwrap().iter();
    losses.map(|loss| (loss["cause"].as_str().unwrap().to_owned(), loss["points"].as_f64().unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_cost_points_that_are_explained_and_a_restriction_costs_all() {
    let behaviour = Behaviour::Exact { delivered: 49, read: 20, clicked: 0, replied: 0, skip_delivered: 0 };
    let (stack, api) = stack(People { speed: 3_000.0, behaviour, ..People::default() }, None).await;
    let account = account(&api).await;
    let well = health(&api, &account, |_| true).await;
    assert_eq!((&well["score"], &well["lost"]), (&json!(100.0), &json!([])), "{well}");
    assert_eq!(well["latest_probe"]["troubles"], json!([]));

    let campaign = campaign_from(&api, &account, "Hi {{first_name}}", 50).await;
    let report = settled_report(&stack, &api, &campaign).await;
    let failed = report["failed"].as_i64().unwrap();
    let counted = health(&api, &account, |health| {
        health["figures"]["delivered_7d"] == 49 && health["figures"]["failed_7d"] == failed
    })
    .await;
    assert_eq!(counted["figures"]["sent_7d"], 50, "{counted}");
    let expected = (20.0 * (failed as f64 / 50.0 / 0.05).min(1.0) * 100.0).round() / 100.0;
    let of_errors: f64 = lost(&counted).iter().filter(|(cause, _)| cause == "errors").map(|(_, points)| points).sum();
    assert!((of_errors - expected).abs() < 0.001, "{counted}");

    let restriction = json!({"event": "ACCOUNT_RESTRICTION", "restriction_info": [
        {"restriction_type": "RESTRICTED_BIZ_INITIATED_MESSAGING", "expiration": 1_900_000_000},
    ]});
    notice(&stack, "account_update", UnixMillis::now(), &restriction).await;
    let barred = health(&api, &account, |health| health["score"] == 0.0 && health["notices"][0].is_object()).await;
    assert_eq!(lost(&barred)[0].0, "barred", "{barred}");
    assert!(barred["notices"][0]["type"].as_str().unwrap().starts_with("account."), "{}", barred["notices"]);
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_meta_does_not_take_is_found_by_looking() {
    let (stack, api) = stack(People::default(), None).await;
    let account = account_with_token(&api, "expired").await;
    let found = health(&api, &account, |_| true).await;
    assert_eq!((&found["score"], &found["latest_probe"]["troubles"]), (&json!(0.0), &json!(["token"])), "{found}");
    let barred = found["lost"].as_array().unwrap().iter().find(|loss| loss["cause"] == "barred").unwrap();
    assert!(barred["action"].as_str().unwrap().contains("new access token"), "{barred}");
    stack.shutdown().await;
}
