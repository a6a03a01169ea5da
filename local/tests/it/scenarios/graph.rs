//! A Graph API that is not our simulator: written here in a few lines, it takes messages and answers in its own way.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::routing::post;
use axum::{Json, Router};
use local::stack::{People, Stack};
use serde_json::{Value, json};
use shared::meta::signature::{AppSecret, sign};

use super::{PHONE_NUMBER_ID, settled_report, stack, started_campaign, until};

type Taken = Arc<Mutex<Vec<Value>>>;

async fn take(
    State(taken): State<Taken>,
    Path((version, number)): Path<(String, String)>,
    headers: HeaderMap,
    Json(message): Json<Value>,
) -> Json<Value> {
    assert_eq!((version.as_str(), number.as_str()), ("v26.0", PHONE_NUMBER_ID));
    assert_eq!(headers["authorization"], "Bearer token");
    let mut taken = taken.lock().unwrap();
    taken.push(message.clone());
    Json(json!({
        "messaging_product": "whatsapp",
        "contacts": [{"input": message["to"], "wa_id": message["to"].as_str().unwrap().trim_start_matches('+')}],
        "messages": [{"id": format!("wamid.OTHER{}", taken.len())}],
        "something_new": true,
    }))
}

async fn other_graph_api() -> (url::Url, Taken) {
    let taken = Taken::default();
    let router = Router::new().route("/{version}/{number}/messages", post(take)).with_state(Arc::clone(&taken));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, taken)
}

/// Posts a webhook as Meta would.
pub(super) async fn notify(stack: &Stack, value: &Value) -> reqwest::StatusCode {
    let body = json!({
        "object": "whatsapp_business_account",
        "entry": [{"id": "104996122399160", "changes": [{"field": "messages", "value": value}]}],
    })
    .to_string();
    let signature = sign(body.as_bytes(), &AppSecret::new(stack.app_secret()).unwrap());
    let request = reqwest::Client::new().post(format!("{}/webhooks/meta", stack.base_url()));
    request.header("x-hub-signature-256", signature).body(body).send().await.unwrap().status()
}

#[tokio::test(flavor = "multi_thread")]
async fn another_graph_api_works_and_its_statuses_and_replies_find_their_messages() {
    let (url, taken) = other_graph_api().await;
    let (stack, api) = stack(People::default(), Some(url)).await;
    let id = started_campaign(&api, "Hi {{first_name}}, see https://shop.example/offer", 12).await;
    settled_report(&stack, &api, &id).await;

    let taken = taken.lock().unwrap().clone();
    assert_eq!(taken.len(), 12);
    let first = taken.iter().find(|message| message["to"] == "+60123450003").unwrap();
    let body = first["text"]["body"].as_str().unwrap();
    let link = body.strip_prefix("Hi Person 3, see ").unwrap();
    assert!(link.starts_with(&format!("{}/l/", stack.base_url())), "{body}");

    let exact = api.get(&format!("/v1/campaigns/{id}/recipients/%2B60123450003/send-response")).await.unwrap();
    assert_eq!(exact["something_new"], true);

    // Meta reports a read without a delivered, the person writes back, and follows the link.
    let now = shared::time::UnixMillis::now().seconds().to_string();
    let metadata = json!({"display_phone_number": "15550783881", "phone_number_id": PHONE_NUMBER_ID});
    let status = json!({"messaging_product": "whatsapp", "metadata": metadata, "statuses": [{
        "id": "wamid.OTHER4", "status": "read", "timestamp": now, "recipient_id": "60123450003",
        "biz_opaque_callback_data": first["biz_opaque_callback_data"]}]});
    assert_eq!(notify(&stack, &status).await, 200);
    let reply = json!({"messaging_product": "whatsapp", "metadata": metadata,
        "contacts": [{"profile": {"name": "P"}, "wa_id": "60123450004"}],
        "messages": [{"from": "60123450004", "id": "wamid.REPLY", "timestamp": now, "type": "text", "text": {"body": "yes"}}]});
    assert_eq!(notify(&stack, &reply).await, 200);
    let browser = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let agent = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36";
    let followed = browser.get(format!("{link}?fbclid=1")).header("user-agent", agent).send().await.unwrap();
    assert_eq!(followed.status(), 302);
    assert_eq!(followed.headers()["location"], "https://shop.example/offer?fbclid=1");
    assert_eq!(followed.headers()["cache-control"], "no-store");

    let path = format!("/v1/campaigns/{id}/report");
    let report = until("read, click and reply", Duration::from_secs(10), async || {
        let report = api.get(&path).await.unwrap();
        let count = |stage: &str| report["stages"][stage]["count"].as_i64().unwrap();
        let counted =
            [count("clicked"), count("replied"), count("read")] == [1, 1, 2] && report["clicks"]["human"] == 1;
        counted.then_some(report)
    })
    .await;
    assert_eq!(report["stages"]["delivered"]["inferred"], 2);
    assert_eq!(report["stuck_at"], json!({"sent": 10, "delivered": 0, "read": 0, "clicked": 1, "replied": 1}));
    assert_eq!(report["clicks"]["by"]["device"], json!({"mobile": 1}));
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_nobody_was_given_is_not_found() {
    let (stack, _) = stack(People::default(), None).await;
    for code in ["0123456789ab", "x", "%00", "AAAAAAAAAAAAAAAAAAAAAAAA"] {
        let answer = reqwest::get(format!("{}/l/{code}", stack.base_url())).await.unwrap();
        assert_eq!(answer.status(), 404, "{code}");
    }
    stack.shutdown().await;
}
