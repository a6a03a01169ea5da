//! What a test can make Meta's side do while the simulator runs.

use std::collections::BTreeSet;
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use simulator::{
    Behaviour, ControlError, MessagingTier, NumberChange, Quality, Running, Template, TemplateCategory, TemplateChange,
    TemplateStatus,
};

use crate::receiver::{NUMBER, Receiver, call, client, config, send, settled, simulator, text};

const ACCOUNT: &str = "104996122399160";

async fn template_code(running: &Running, name: &str) -> Option<i64> {
    let body = json!({ "messaging_product": "whatsapp", "to": "+447700900001", "type": "template",
        "template": { "name": name, "language": { "code": "en_US" } } });
    send(running, &client(), &body).await.expect("an answer").1["error"]["code"].as_i64()
}

#[tokio::test]
async fn a_template_is_paused_disabled_and_unpaused_with_a_webhook_each() {
    let (receiver, url) = Receiver::start().await;
    let mut config = config(&url);
    config.templates = vec![Template::text("offer", "en_US", TemplateCategory::Marketing, "Hello")];
    let running = simulator(config).await;
    let mut change = TemplateChange::to(TemplateStatus::Paused);
    change.title = Some("SECOND_PAUSE".to_owned());
    let ids = running.change_templates("offer", &change).await.expect("it is there");
    assert_eq!(template_code(&running, "offer").await, Some(132_015));
    let (status, _) = call(&running, Method::POST, &format!("v24.0/{}/unpause", ids[0]), None).await;
    assert_eq!((status, template_code(&running, "offer").await), (200, None));
    let body = json!({ "status": "DISABLED" });
    let (_, changed) = call(&running, Method::POST, &format!("simulator/templates/{}", ids[0]), Some(&body)).await;
    assert_eq!(changed, json!({ "changed": ids }));
    assert_eq!(template_code(&running, "offer").await, Some(132_016));
    settled(&running).await;
    let notices = receiver.notices("message_template_status_update");
    // POSTs may overtake one another.
    let told: BTreeSet<_> = notices.iter().map(|n| (n["event"].as_str(), n["other_info"]["title"].as_str())).collect();
    let expected = [("PAUSED", "SECOND_PAUSE"), ("APPROVED", "UNPAUSE"), ("DISABLED", "DISABLED")];
    assert_eq!(told, expected.map(|(event, title)| (Some(event), Some(title))).into());
}

#[tokio::test]
async fn where_any_template_exists_one_can_be_paused_by_its_name() {
    let (_receiver, url) = Receiver::start().await;
    let running = simulator(config(&url)).await;
    assert_eq!(template_code(&running, "offer").await, None);
    let paused = TemplateChange::to(TemplateStatus::Paused);
    running.change_templates("offer", &paused).await.expect("any template exists");
    assert_eq!(template_code(&running, "offer").await, Some(132_015));
    assert_eq!(template_code(&running, "another").await, None);
    let gone = running.change_templates("123456", &paused).await;
    assert_eq!(gone, Err(ControlError::NoTemplate("123456".to_owned())));
}

#[tokio::test]
async fn a_number_is_rated_anew_in_its_node_and_by_webhooks() {
    let (receiver, url) = Receiver::start().await;
    let mut config = config(&url);
    config.messages_per_second = 80;
    let running = simulator(config).await;
    let body = json!({ "quality": "RED", "tier": "TIER_2K", "throughput": 1000 });
    assert_eq!(call(&running, Method::POST, &format!("simulator/numbers/{NUMBER}"), Some(&body)).await.0, 200);
    let fields = "quality_rating,throughput,whatsapp_business_manager_messaging_limit";
    let (_, node) = call(&running, Method::GET, &format!("v24.0/{NUMBER}?fields={fields}"), None).await;
    let expected = json!({ "quality_rating": "RED", "throughput": { "level": "HIGH" },
        "whatsapp_business_manager_messaging_limit": "TIER_2K", "id": NUMBER });
    assert_eq!(node, expected);
    let better =
        NumberChange { quality: Some(Quality::Green), tier: Some(MessagingTier::Unlimited), ..NumberChange::default() };
    running.change_number(NUMBER, &better).await.expect("it is there");
    settled(&running).await;
    let told = |field: &str, key: &str| -> BTreeSet<String> {
        receiver.notices(field).iter().map(|notice| notice[key].to_string()).collect()
    };
    let events = told("phone_number_quality_update", "event");
    assert_eq!(events, ["FLAGGED", "THROUGHPUT_UPGRADE", "UNFLAGGED"].map(|event| format!("{event:?}")).into());
    let limits = told("business_capability_update", "max_daily_conversations_per_business");
    assert_eq!(limits, ["-1", "2000"].map(str::to_owned).into());
}

#[tokio::test]
async fn a_lower_throughput_is_enforced() {
    let (_receiver, url) = Receiver::start().await;
    let running = simulator(config(&url)).await;
    let one = NumberChange { throughput: Some(1), ..NumberChange::default() };
    running.change_number(NUMBER, &one).await.expect("it is there");
    send(&running, &client(), &text("+447700900001", "hi")).await.expect("an answer");
    let (_, body) = send(&running, &client(), &text("+447700900002", "hi")).await.expect("an answer");
    assert_eq!(body["error"]["code"], 130_429);
    let none = NumberChange { throughput: Some(0), ..NumberChange::default() };
    assert_eq!(running.change_number(NUMBER, &none).await, Err(ControlError::NoThroughput));
}

#[tokio::test]
async fn people_over_the_portfolio_limit_are_accepted_and_fail() {
    let (receiver, url) = Receiver::start().await;
    let mut config = config(&url);
    config.behaviour = Behaviour::Exact { delivered: 9, read: 9, clicked: 0, replied: 1, skip_delivered: 0 };
    config.portfolio_limit = Some(2);
    let running = simulator(config).await;
    let to = |n: u8| {
        let running = &running;
        async move {
            let sent = send(running, &client(), &text(&format!("+44770090000{n}"), "hi")).await;
            assert_eq!(sent.expect("an answer").0, 200);
        }
    };
    for n in [1, 2, 1, 3] {
        to(n).await;
    }
    settled(&running).await;
    let failed = || -> Vec<String> {
        let failed = receiver.statuses().into_iter().filter(|seen| seen.status() == "failed");
        failed.map(|seen| format!("{} {}", seen.value["recipient_id"], seen.value["errors"][0]["code"])).collect()
    };
    assert_eq!(failed(), ["\"447700900003\" 131048"]);
    let higher = NumberChange { tier: Some(MessagingTier::Tier250), ..NumberChange::default() };
    running.change_number(NUMBER, &higher).await.expect("it is there");
    to(4).await;
    settled(&running).await;
    assert_eq!(failed().len(), 1);
}

#[tokio::test]
async fn account_updates_are_passed_through_signed_repeated_and_shuffled() {
    let (receiver, url) = Receiver::start().await;
    let mut config = config(&url);
    config.delivery.repeat = 3;
    config.delivery.shuffle = Some(Duration::from_millis(50));
    let running = simulator(config).await;
    let update = json!({ "event": "ACCOUNT_VIOLATION", "violation_info": { "violation_type": "SPAM" } });
    let (status, _) = call(&running, Method::POST, &format!("simulator/account/{ACCOUNT}"), Some(&update)).await;
    assert_eq!(status, 200);
    settled(&running).await;
    assert_eq!(receiver.notices("account_update"), [update.clone(), update.clone(), update]);
    let posts = receiver.posts();
    assert!(posts.iter().all(|post| post.headers.contains_key("x-hub-signature-256")));
    let entry: Value = serde_json::from_slice(&posts[0].body).expect("JSON");
    assert!(entry["entry"][0]["id"] == ACCOUNT && entry["entry"][0]["time"].is_u64());
    let nobody = running.update_account("1", json!({ "event": "ACCOUNT_DELETED" })).await;
    assert_eq!(nobody, Err(ControlError::NoAccount("1".to_owned())));
    assert_eq!(running.update_account(ACCOUNT, json!({})).await, Err(ControlError::NoEvent));
}
