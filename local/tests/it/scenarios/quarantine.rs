//! What could not be taken in, over HTTP: listed with its reason, tried again, counted.

use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName;
use local::stack::{People, redrive};
use serde_json::{Value, json};
use shared::meta::signature::{AppSecret, sign};

use super::{PHONE_NUMBER_ID, account, stack, until};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_quarantined_is_listed_counted_and_stays_while_it_cannot_be_read() {
    let (stack, api) = stack(People::default(), None).await;
    let account = account(&api).await;
    let body = json!({"object": "whatsapp_business_account", "entry": [
        {"id": "104996122399160", "changes": [
            {"field": "messages", "value": {
                "metadata": {"phone_number_id": PHONE_NUMBER_ID, "display_phone_number": "15550783881"},
                "statuses": [{"no": "status"}],
                "novelties": [{"a": 1}],
            }},
        ]},
        "no entry",
    ]})
    .to_string();
    let signature = sign(body.as_bytes(), &AppSecret::new(stack.app_secret()).unwrap());
    let post = reqwest::Client::new().post(format!("{}/webhooks/meta", stack.base_url()));
    assert_eq!(post.header("x-hub-signature-256", signature).body(body).send().await.unwrap().status(), 200);

    let listed = |query: &'static str| {
        let api = api.clone();
        async move { api.get(&format!("/v1/events/quarantined{query}")).await.unwrap()["data"].clone() }
    };
    until("the quarantined item", Duration::from_secs(20), async || {
        (listed("").await.as_array().unwrap().len() == 1).then_some(Value::Null)
    })
    .await;
    let own = listed("").await;
    assert_eq!((&own[0]["field"], &own[0]["account_id"]), (&json!("messages"), &json!(account)));
    assert!(own[0]["reason"].as_str().unwrap().starts_with("statuses: "), "{own}");
    assert_eq!(own[0]["raw"], json!(r#"{"no":"status"}"#));
    assert_eq!(listed("?unrouted=true").await.as_array().unwrap().len(), 1, "what names no account of ours");
    let unknown = format!("/v1/events/unknown?account={account}");
    let counted = until("the counters", Duration::from_secs(20), async || {
        let counted = api.get(&unknown).await.unwrap()["data"][0].clone();
        (counted["unknown"] == 1 && counted["quarantined"] == 1).then_some(counted)
    })
    .await;
    assert_eq!(counted["unknown_by_field"], json!({"messages": 1}));

    let asked = api.post("/v1/events/quarantined/replay", &json!({})).await.unwrap();
    assert_eq!((&asked["events"], &asked["messages"], &asked["more"]), (&json!(1), &json!(1), &json!(false)));
    let other =
        api.post("/v1/events/quarantined/replay", &json!({"ids": ["evt_01J00000000000000000000000"]})).await.unwrap();
    assert_eq!(other["events"], 0);
    assert!(api.post("/v1/events/quarantined/replay", &json!({"id": 1})).await.is_err());
    // This version still cannot read it.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(listed("").await.as_array().unwrap().len(), 1);
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_put_back_on_their_queue() {
    let (stack, _) = stack(People::default(), None).await;
    let sqs = stack.engines().sqs();
    let url = async |name: &str| sqs.get_queue_url().queue_name(name).send().await.unwrap().queue_url.unwrap();
    let (events, dead) = (url("thirdtick-events").await, url("thirdtick-events-dead-letters").await);
    // What is received from now on comes back at once, so that it is given up soon; what ends a poll that had begun before
    // does not, so there is more than one.
    let hidden = sqs.set_queue_attributes().queue_url(&events).attributes(QueueAttributeName::VisibilityTimeout, "0");
    hidden.send().await.unwrap();
    let waiting = QueueAttributeName::ApproximateNumberOfMessages;
    until("a dead letter", Duration::from_secs(30), async || {
        sqs.send_message().queue_url(&events).message_body(r#"{"kind":"of a later version"}"#).send().await.unwrap();
        let asked = sqs.get_queue_attributes().queue_url(&dead).attribute_names(waiting.clone()).send().await.unwrap();
        (asked.attributes.unwrap()[&waiting] != "0").then_some(Value::Null)
    })
    .await;
    assert!(redrive(stack.engines(), "events").await.unwrap() > 0);
    assert!(redrive(stack.engines(), "nothing").await.is_err());
    stack.shutdown().await;
}
