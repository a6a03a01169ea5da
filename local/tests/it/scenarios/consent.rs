//! A person's word for or against messages reaches the row that the sender reads, by whatever way it comes.

use std::time::Duration;

use local::stack::{People, Stack};
use serde_json::{Value, json};
use shared::id::WorkspaceId;
use shared::meta::signature::{AppSecret, sign};

use super::{PHONE_NUMBER_ID, account, stack, until};

/// Posts a notification with this field and value, signed as Meta signs it.
pub(crate) async fn notify(stack: &Stack, field: &str, mut value: Value) {
    value["messaging_product"] = json!("whatsapp");
    value["metadata"] = json!({"display_phone_number": "15550783881", "phone_number_id": PHONE_NUMBER_ID});
    let body = json!({
        "object": "whatsapp_business_account",
        "entry": [{"id": "104996122399160", "changes": [{"field": field, "value": value}]}],
    })
    .to_string();
    let signature = sign(body.as_bytes(), &AppSecret::new(stack.app_secret()).unwrap());
    let request = reqwest::Client::new().post(format!("{}/webhooks/meta", stack.base_url()));
    let answer = request.header("x-hub-signature-256", signature).body(body).send().await.unwrap();
    assert_eq!(answer.status(), 200);
}

/// Waits until the number's owner is opted out or not.
async fn opted_out(stack: &Stack, digits: &str, expected: bool) {
    let (core, _) = stack.tables();
    until("the consent", Duration::from_secs(20), async || {
        let consents = core.consents(WorkspaceId::FIRST, &[digits]).await.unwrap();
        let consent = consents.get(digits)?;
        (consent.is_opted_out() == expected).then_some(Value::Null)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_a_status_and_a_preference_are_words_for_or_against_messages() {
    let (stack, api) = stack(People::default(), None).await;
    account(&api).await;
    let text = |from: &str, id: &str, body: &str| json!({"messages": [{"id": id, "from": from, "timestamp": "1790000000", "type": "text", "text": {"body": body}}]});
    notify(&stack, "messages", text("60123450001", "wamid.A", " Stop. ")).await;
    notify(&stack, "messages", text("60123450002", "wamid.B", "Do not stop!")).await;
    let status = json!({"statuses": [{
        "id": "wamid.C", "status": "failed", "timestamp": "1790000005", "recipient_id": "60123450003",
        "errors": [{"code": 131_050, "title": "User has stopped marketing messages"}],
    }]});
    notify(&stack, "messages", status).await;
    let preference = |value: &str, at: i64| {
        json!({"user_preferences": [
            {"wa_id": "5511987654321", "category": "marketing_messages", "value": value, "timestamp": at}
        ]})
    };
    notify(&stack, "user_preferences", preference("stop", 1_790_000_000)).await;
    opted_out(&stack, "60123450001", true).await;
    opted_out(&stack, "60123450003", true).await;
    opted_out(&stack, "551187654321", true).await;
    notify(&stack, "user_preferences", preference("resume", 1_790_000_009)).await;
    opted_out(&stack, "551187654321", false).await;
    let (core, _) = stack.tables();
    let consents = core.consents(WorkspaceId::FIRST, &["60123450002"]).await.unwrap();
    let no = consents.get("60123450002").and_then(|consent| consent.opt_out.as_ref());
    assert_eq!(no, None, "a word with stop in it is none against messages");
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyword_is_answered_once_in_the_persons_language_and_the_words_are_the_workspaces() {
    let (stack, api) = stack(People::default(), None).await;
    account(&api).await;
    let path = "/v1/settings/consent";
    let defaults = api.get(path).await.unwrap();
    assert_eq!(defaults["confirmation"]["enabled"], false);
    assert!(defaults["opt_out_keywords"]["en"].as_array().unwrap().contains(&json!("stop")));
    let wrong = json!({"opt_out_keywords": {"english": ["stop"]}, "confirmation": {"opt_in": " "}});
    let (status, problem) = put(&stack, path, &wrong).await;
    assert_eq!((status, problem["errors"].as_array().unwrap().len()), (422, 2), "{problem}");
    let (status, _) = put(&stack, path, &json!({"words": []})).await;
    assert_eq!(status, 422);
    assert_eq!(api.get(path).await.unwrap(), defaults);

    let replies = json!({"en": "You are off the list.", "pt": "Voc\u{ea} saiu da lista."});
    let settings = json!({"confirmation": {"enabled": true, "opt_out": replies}});
    let (status, set) = put(&stack, path, &settings).await;
    assert_eq!((status, &set["confirmation"]["enabled"]), (200, &json!(true)));
    assert_eq!(set, api.get(path).await.unwrap());
    let now = shared::time::UnixMillis::now().seconds();
    let text = |from: &str, id: &str, body: &str| json!({"messages": [{"id": id, "from": from, "timestamp": now.to_string(), "type": "text", "text": {"body": body}}]});
    for _ in 0..3 {
        notify(&stack, "messages", text("60123450001", "wamid.A", "Stop")).await;
    }
    notify(&stack, "messages", text("60123450001", "wamid.B", "STOP!!")).await;
    notify(&stack, "messages", text("60123450002", "wamid.C", "sair")).await;
    // Too old for a reply: the window that it opened is closed.
    let old = json!({"messages": [{"id": "wamid.D", "from": "60123450003", "timestamp": (now - 90_000).to_string(), "type": "text", "text": {"body": "stop"}}]});
    notify(&stack, "messages", old).await;
    for digits in ["60123450001", "60123450002", "60123450003"] {
        opted_out(&stack, digits, true).await;
    }
    until("both replies", Duration::from_secs(20), async || (confirmed(&stack).await == 2).then_some(Value::Null))
        .await;
    // A word for messages is answered for itself, and is behind whatever was still to come of the others.
    notify(&stack, "messages", text("60123450001", "wamid.E", "start")).await;
    until("the third reply", Duration::from_secs(20), async || (confirmed(&stack).await == 3).then_some(Value::Null))
        .await;
    let ledger = stack.simulator().unwrap().ledger();
    let sent = |digits: &str| ledger.recipients.get(digits).map_or(0, |recipient| recipient.messages.len());
    assert_eq!(["60123450001", "60123450002", "60123450003"].map(sent), [2, 1, 0]);
    stack.shutdown().await;
}

async fn put(stack: &Stack, path: &str, body: &Value) -> (u16, Value) {
    let request = reqwest::Client::new().put(format!("{}{path}", stack.base_url())).bearer_auth(stack.admin_key());
    let answer = request.json(body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// How many replies Meta has taken.
async fn confirmed(stack: &Stack) -> usize {
    let found = stack.engines().dynamodb().scan().table_name("thirdtick-core").send().await.unwrap();
    let kinds = found.items.unwrap_or_default().into_iter().filter_map(|item| item.get("type")?.as_s().ok().cloned());
    kinds.filter(|kind| kind == "contact.consent_confirmed").count()
}
