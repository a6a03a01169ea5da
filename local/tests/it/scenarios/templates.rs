//! Templates: managed through Meta, checked before a campaign, and followed when Meta pauses them.

use std::time::Duration;

use local::api_client::ApiClient;
use local::stack::{People, Stack};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use simulator::{TemplateChange, TemplateStatus};

use super::{account, settled_report, stack, until};

fn offer(name: &str, text: &str) -> Value {
    json!({"name": name, "language": "en-US", "category": "MARKETING", "components": [
        {"type": "BODY", "text": text, "example": {"body_text": [["Ana", "https://shop.example"]]}}]})
}

fn message(name: &str, parameters: &Value) -> Value {
    json!({"type": "template", "template": {"name": name, "language": "en-US",
        "components": [{"type": "body", "parameters": parameters}]}})
}

fn fitting() -> Value {
    json!([{"type": "text", "text": "{{first_name}}"}, {"type": "link", "url": "https://shop.example/offer"}])
}

async fn call(stack: &Stack, method: Method, path: &str, body: &Value) -> (StatusCode, Value) {
    let url = format!("{}{path}", stack.base_url());
    let request = reqwest::Client::new().request(method, url).bearer_auth(stack.admin_key());
    let response = if body.is_null() { request } else { request.json(body) }.send().await.unwrap();
    (response.status(), serde_json::from_str(&response.text().await.unwrap()).unwrap_or(Value::Null))
}

async fn create_campaign(stack: &Stack, account: &str, message: Value, people: u32) -> (StatusCode, Value) {
    let recipients: Vec<Value> = (0..people)
        .map(|n| json!({"phone": format!("+6012345{n:04}"), "variables": {"first_name": format!("Person {n}")}}))
        .collect();
    let campaign = json!({
        "name": "Offer",
        "account_id": account,
        "variants": [{"name": "A", "message": message}],
        "audience": {"recipients": recipients},
        "messages_per_second": 40,
    });
    call(stack, Method::POST, "/v1/campaigns", &campaign).await
}

/// Waits until our copy of a template is in this state.
async fn is_at(api: &ApiClient, templates: &str, name: &str, status: &str) -> Value {
    until(&format!("{name} {status}"), Duration::from_secs(20), async || {
        let found = api.get(&format!("{templates}/{name}")).await.unwrap();
        (found["status"] == status).then_some(found)
    })
    .await
}

/// A stack with an account; where its templates are.
async fn bench() -> (Stack, ApiClient, String, String) {
    let (stack, api) = stack(People { speed: 3_000.0, ..People::default() }, None).await;
    let account = account(&api).await;
    let templates = format!("/v1/accounts/{account}/templates");
    (stack, api, account, templates)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_is_created_approved_by_webhook_edited_once_and_deleted() {
    let (stack, api, _, templates) = bench().await;
    assert_eq!(api.get(&templates).await.unwrap()["data"], json!([]));
    let (status, created) = call(&stack, Method::POST, &templates, &offer("offer", "Hi {{1}}, see {{2}} now.")).await;
    assert_eq!(
        (status, &created["language"], &created["category"]),
        (StatusCode::CREATED, &json!("en_US"), &json!("MARKETING"))
    );
    is_at(&api, &templates, "offer", "APPROVED").await;

    let (status, refused) = call(&stack, Method::POST, &templates, &offer("Offer!", "{{1}}")).await;
    let pointers: Vec<&str> =
        refused["errors"].as_array().unwrap().iter().map(|e| e["pointer"].as_str().unwrap()).collect();
    assert_eq!((status, pointers), (StatusCode::UNPROCESSABLE_ENTITY, vec!["/name", "/components/0/text"]));
    let (status, twice) = call(&stack, Method::POST, &templates, &offer("offer", "Hi {{1}}, see {{2}} now.")).await;
    assert_eq!((status, &twice["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("refused_by_meta")));
    assert_eq!(twice["meta"]["code"], 100, "{twice}");
    assert!(twice["meta"]["fbtrace_id"].is_string());

    let edit = json!({"components": offer("", "Hello {{1}}, see {{2}} now.")["components"]});
    let path = format!("{templates}/{}", created["id"].as_str().unwrap());
    let (status, edited) = call(&stack, Method::PATCH, &path, &edit).await;
    assert_eq!(status, StatusCode::OK, "{edited}");
    is_at(&api, &templates, "offer", "APPROVED").await;
    let (status, limited) = call(&stack, Method::PATCH, &path, &edit).await;
    assert_eq!((status, &limited["window"]), (StatusCode::TOO_MANY_REQUESTS, &json!("1 edit in 24 hours")));

    let refreshed = api.get(&format!("{templates}?refresh=true")).await.unwrap();
    assert_eq!(refreshed["data"][0]["components"][0]["text"], "Hello {{1}}, see {{2}} now.");
    let (status, _) = call(&stack, Method::DELETE, &format!("{templates}/offer"), &Value::Null).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let (status, _) = call(&stack, Method::GET, &format!("{templates}/offer"), &Value::Null).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_does_not_fit_its_template_is_refused_before_the_start() {
    let (stack, api, account, templates) = bench().await;
    call(&stack, Method::POST, &templates, &offer("offer", "Hi {{1}}, see {{2}} or https://shop.example/all now."))
        .await;
    is_at(&api, &templates, "offer", "APPROVED").await;
    for (message, pointer, reason) in [
        (
            message("offer", &json!([{"type": "text", "text": "x"}])),
            "/variants/0/message/template/components/0/parameters",
            "the template's body has 2 parameters, not 1",
        ),
        (message("other", &fitting()), "/variants/0/message/template/name", "there is no template other in en_US"),
    ] {
        let (status, refused) = create_campaign(&stack, &account, message, 1).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(refused["errors"], json!([{"pointer": pointer, "reason": reason}]));
    }
    let (status, created) = create_campaign(&stack, &account, message("offer", &fitting()), 5).await;
    assert_eq!(status, StatusCode::CREATED, "{created}");
    let warnings = created["warnings"].as_array().unwrap();
    assert!(warnings.len() == 1 && warnings[0]["reason"].as_str().unwrap().contains("https://shop.example/all"));
    let id = created["id"].as_str().unwrap().to_owned();
    api.post(&format!("/v1/campaigns/{id}/start"), &Value::Null).await.unwrap();
    let report = settled_report(&stack, &api, &id).await;
    assert_eq!(report["stages"]["sent"]["count"], 5, "{report}");
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_is_accepted_with_a_warning_when_meta_cannot_be_asked() {
    // Nobody listens here.
    let nowhere = "http://127.0.0.1:9".parse().unwrap();
    let (stack, api) = stack(People::default(), Some(nowhere)).await;
    let account = account(&api).await;
    let (status, created) = create_campaign(&stack, &account, message("offer", &fitting()), 1).await;
    assert_eq!(status, StatusCode::CREATED, "{created}");
    assert_eq!(created["warnings"][0]["pointer"], "/variants/0/message/template");
    assert!(created["warnings"][0]["reason"].as_str().unwrap().contains("could not be checked"));
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_that_meta_pauses_pauses_its_campaigns_and_says_so_and_they_go_on_with_it() {
    let (stack, api, account, templates) = bench().await;
    call(&stack, Method::POST, &templates, &offer("offer", "Hi {{1}}, see {{2}} now.")).await;
    is_at(&api, &templates, "offer", "APPROVED").await;
    let (_, created) = create_campaign(&stack, &account, message("offer", &fitting()), 320).await;
    let id = created["id"].as_str().unwrap().to_owned();
    // A second one waits for its time.
    let waiting = json!({
        "name": "Next year",
        "account_id": account,
        "variants": [{"name": "A", "message": message("offer", &json!([
            {"type": "text", "text": "Ana"}, {"type": "text", "text": "this"}]))}],
        "audience": {"recipients": [{"phone": "+60123459999"}]},
        "schedule": {"start_at": "2099-01-01T00:00:00Z"},
    });
    let waiting = api.post("/v1/campaigns", &waiting).await.unwrap()["id"].as_str().unwrap().to_owned();
    let started = api.post(&format!("/v1/campaigns/{waiting}/start"), &Value::Null).await.unwrap();
    assert_eq!(started["status"], "scheduled");
    api.post(&format!("/v1/campaigns/{id}/start"), &Value::Null).await.unwrap();

    let simulator = stack.simulator().unwrap();
    until("the first messages", Duration::from_secs(20), async || {
        (simulator.ledger().messages().count() >= 10).then_some(Value::Null)
    })
    .await;
    simulator.change_templates("offer", &TemplateChange::to(TemplateStatus::Paused)).await.unwrap();
    for campaign in [&id, &waiting] {
        let path = format!("/v1/campaigns/{campaign}");
        let paused = until("the pause", Duration::from_secs(20), async || {
            let campaign = api.get(&path).await.unwrap();
            (campaign["status"] == "paused").then_some(campaign)
        })
        .await;
        // The sender may meet Meta's refusal of the running one before the notification comes.
        let reason = paused["status_reason"].as_str().unwrap();
        let by_notification = reason.starts_with("the template offer (en_US) is PAUSED at Meta (FIRST_PAUSE");
        assert!(by_notification || campaign == &id && reason.contains("132015"), "{reason}");
    }
    api.post(&format!("/v1/campaigns/{waiting}/cancel"), &Value::Null).await.unwrap();
    is_at(&api, &templates, "offer", "PAUSED").await;
    let (status, refused) = create_campaign(&stack, &account, message("offer", &fitting()), 1).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(refused["detail"].as_str().unwrap().contains("is PAUSED at Meta"), "{refused}");
    let (status, editing) = call(&stack, Method::POST, &format!("{templates}/offer/unpause"), &Value::Null).await;
    assert_eq!(status, StatusCode::OK, "{editing}");
    let (status, again) = call(&stack, Method::POST, &format!("{templates}/offer/unpause"), &Value::Null).await;
    assert_eq!((status, &again["current"]), (StatusCode::CONFLICT, &json!("APPROVED")));

    let report = settled_report(&stack, &api, &id).await;
    assert_eq!((&report["pending"], &report["unknown"]), (&json!(0), &json!(0)), "{report}");
    let ledger = simulator.ledger();
    assert!(ledger.recipients.values().all(|recipient| recipient.messages.len() == 1), "somebody got two messages");
    assert_eq!(ledger.recipients.len(), 320);
    stack.shutdown().await;
}
