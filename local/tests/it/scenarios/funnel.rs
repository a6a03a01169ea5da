//! The funnel of the requirements (250 sent, 240 delivered, 180 read, 80 replied, 25 closed), with everything going wrong
//! that may: webhooks tripled and shuffled, reads without a delivered, batches delivered again, applied and then failed.

use std::time::Duration;

use local::drivers::Mischief;
use local::stack::People;
use serde_json::{Value, json};
use simulator::{Behaviour, Delivery};

use super::{settled_report, stack, started_campaign, until};

fn requirements() -> People {
    People {
        speed: 3_000.0,
        behaviour: Behaviour::Exact { delivered: 240, read: 180, clicked: 0, replied: 80, skip_delivered: 21 },
        delivery: Delivery {
            repeat: 3,
            shuffle: Some(Duration::from_millis(400)),
            early_sent_share: 0.3,
            ..Delivery::default()
        },
        mischief: Mischief { seed: 7, redeliver: 0.2, reorder: 0.3, crash: 0.1, cut: 0.3, ..Mischief::default() },
        ..People::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tripled_shuffled_and_redelivered_webhooks_end_in_exactly_the_funnel() {
    let (stack, api) = stack(requirements(), None).await;
    let id = started_campaign(&api, "Hi {{first_name}}, see https://shop.example/offer", 250).await;
    settled_report(&stack, &api, &id).await;

    let replied = api.get(&format!("/v1/campaigns/{id}/recipients?stage=replied&limit=200")).await.unwrap();
    let replied = replied["data"].as_array().unwrap();
    assert_eq!(replied.len(), 80);
    for person in &replied[..25] {
        let phone = person["phone"].as_str().unwrap().replace('+', "%2B");
        let path = format!("/v1/campaigns/{id}/recipients/{phone}/close");
        api.post(&path, &json!({"value": {"amount": 49.9, "currency": "MYR"}})).await.unwrap();
        api.post(&path, &Value::Null).await.unwrap();
    }
    let path = format!("/v1/campaigns/{id}/report");
    until("25 closed", Duration::from_secs(10), async || {
        let report = api.get(&path).await.unwrap();
        (report["stages"]["closed"]["count"] == 25).then_some(report)
    })
    .await;
    let report = settled_report(&stack, &api, &id).await;

    let count = |stage: &str| report["stages"][stage]["count"].as_i64().unwrap();
    assert_eq!(["sent", "delivered", "read", "clicked", "replied", "closed"].map(count), [250, 240, 180, 0, 80, 25]);
    let stuck = |stage: &str| report["stuck_at"][stage].as_i64().unwrap();
    assert_eq!(["sent", "delivered", "read", "clicked", "replied"].map(stuck), [10, 60, 100, 0, 55]);
    assert_eq!(report["stages"]["delivered"]["inferred"], 21);
    assert_eq!(report["stages"]["read"]["rate"], json!(0.72));
    assert_eq!(report["rates"]["delivery"]["value"], json!(0.96));
    for (name, expected) in [("recipients", 250), ("pending", 0), ("skipped", 0), ("unknown", 0), ("failed", 0)] {
        assert_eq!(report[name], expected, "{name}");
    }

    let ledger = stack.simulator().unwrap().ledger();
    assert!(ledger.repeated_callback_data().is_empty(), "an attempt was sent twice");
    assert!(ledger.recipients.values().all(|recipient| recipient.messages.len() == 1), "somebody got two messages");
    stack.shutdown().await;
}
