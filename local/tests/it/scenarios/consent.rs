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
    assert!(consents.is_empty(), "a word with stop in it is none against messages");
    stack.shutdown().await;
}
