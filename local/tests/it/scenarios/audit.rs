//! Whatever is changed through the API is in the audit log, and nothing personal is.

use local::stack::People;
use serde_json::{Value, json};

use super::{stack, started_campaign};

#[tokio::test(flavor = "multi_thread")]
async fn every_change_is_in_the_log_with_its_answer_and_without_a_number() {
    let (stack, api) = stack(People::default(), None).await;
    let id = started_campaign(&api, "hello", 2).await;
    assert!(api.post(&format!("/v1/campaigns/{id}/start"), &Value::Null).await.is_err(), "it runs already");
    let phone = "+60123450001";
    // Whether the message was sent yet does not matter here: the request is in the log either way.
    let _ = api.post(&format!("/v1/campaigns/{id}/recipients/{phone}/close"), &json!({})).await;

    let page = api.get("/v1/audit?limit=3").await.unwrap();
    let rest = api.get(&format!("/v1/audit?cursor={}", page["next_cursor"].as_str().unwrap())).await.unwrap();
    let entries: Vec<Value> = [&page, &rest].iter().flat_map(|page| page["data"].as_array().unwrap().clone()).collect();
    let told: Vec<(String, Option<u64>)> = entries
        .iter()
        .map(|entry| {
            let route = format!("{} {}", entry["method"].as_str().unwrap(), entry["route"].as_str().unwrap());
            (route, entry["status"].as_u64())
        })
        .collect();
    let at = |n: usize| (told[n].0.as_str(), told[n].1);
    assert_eq!(told.len(), 5, "{told:?}");
    assert_eq!(at(0).0, "POST /v1/campaigns/{id}/recipients/{phone}/close");
    assert_eq!(at(1), ("POST /v1/campaigns/{id}/start", Some(409)));
    assert_eq!(at(2), ("POST /v1/campaigns/{id}/start", Some(200)));
    assert_eq!(at(3), ("POST /v1/campaigns", Some(201)));
    assert_eq!(at(4), ("POST /v1/accounts", Some(201)));
    assert_eq!(entries[2]["targets"]["id"], id.as_str());
    let text = serde_json::to_string(&entries).unwrap();
    assert!(!text.contains("6012345"), "a phone number is in the audit log");
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rules_of_retention_are_shown() {
    let (stack, api) = stack(People::default(), None).await;
    let shown = api.get("/v1/settings/retention").await.unwrap();
    assert_eq!(shown["days"]["messages"], Value::Null);
    assert_eq!(shown["days"].as_object().unwrap().len(), 4);
    stack.shutdown().await;
}
