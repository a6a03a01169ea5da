//! Pausing, resuming and cancelling a campaign that is being sent, and errors that pause it by themselves.

use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName;
use local::stack::{People, Stack};
use serde_json::Value;
use simulator::{Faults, InjectedError, Trigger};

use super::{account_with_token, campaign_from, settled_report, stack, started_campaign, until};

pub(super) fn quick() -> People {
    People { speed: 3_000.0, ..People::default() }
}

pub(super) fn accepted(stack: &Stack) -> usize {
    stack.simulator().unwrap().ledger().messages().count()
}

/// Waits until so many messages were accepted.
pub(super) async fn accepted_reach(stack: &Stack, n: usize) {
    until("the first messages", Duration::from_secs(20), async || (accepted(stack) >= n).then_some(Value::Null)).await;
}

/// Waits until the sender has no page any more, and gives the number of accepted messages.
pub(super) async fn nothing_on_its_way(stack: &Stack) -> usize {
    let sqs = stack.engines().sqs();
    let url = sqs.get_queue_url().queue_name("thirdtick-send").send().await.unwrap().queue_url.unwrap();
    until("an empty send queue", Duration::from_secs(30), async || {
        let asked = sqs.get_queue_attributes().queue_url(&url).attribute_names(QueueAttributeName::All);
        let attributes = asked.send().await.unwrap().attributes.unwrap();
        let count = |name| attributes[&name].parse::<u32>().unwrap();
        let left = count(QueueAttributeName::ApproximateNumberOfMessages)
            + count(QueueAttributeName::ApproximateNumberOfMessagesNotVisible)
            + count(QueueAttributeName::ApproximateNumberOfMessagesDelayed);
        (left == 0).then_some(Value::Null)
    })
    .await;
    accepted(stack)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_stops_within_one_page_and_a_resume_sends_to_the_rest_once() {
    let (stack, api) = stack(quick(), None).await;
    let id = started_campaign(&api, "Hi {{first_name}}", 320).await;
    accepted_reach(&stack, 30).await;
    let paused = api.post(&format!("/v1/campaigns/{id}/pause"), &Value::Null).await.unwrap();
    assert_eq!(
        (paused["status"].as_str(), paused["status_reason"].as_str()),
        (Some("paused"), Some("paused by the operator"))
    );
    let at_the_pause = accepted(&stack);

    let stopped = nothing_on_its_way(&stack).await;
    // The pages whose slots were reserved go out: the one being sent and those within the rate's horizon.
    assert!(stopped < 320 && stopped >= at_the_pause, "{stopped} of 320 after a pause at {at_the_pause}");

    api.post(&format!("/v1/campaigns/{id}/resume"), &Value::Null).await.unwrap();
    let report = settled_report(&stack, &api, &id).await;
    assert_eq!((&report["pending"], &report["unknown"]), (&Value::from(0), &Value::from(0)));
    let ledger = stack.simulator().unwrap().ledger();
    assert_eq!(ledger.recipients.len(), 320);
    assert!(ledger.recipients.values().all(|recipient| recipient.messages.len() == 1), "somebody got two messages");
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_campaign_sends_no_more_and_keeps_its_figures() {
    let (stack, api) = stack(quick(), None).await;
    let id = started_campaign(&api, "Hi {{first_name}}", 400).await;
    accepted_reach(&stack, 30).await;
    api.post(&format!("/v1/campaigns/{id}/cancel"), &Value::Null).await.unwrap();
    let sent = nothing_on_its_way(&stack).await;
    assert!(sent < 400);
    let refused = api.post(&format!("/v1/campaigns/{id}/resume"), &Value::Null).await.unwrap_err();
    assert!(refused.to_string().contains("409"), "{refused:#}");
    let report = until("figures that add up", Duration::from_secs(10), async || {
        let report = api.get(&format!("/v1/campaigns/{id}/report")).await.unwrap();
        (report["pending"].as_u64().unwrap() + u64::try_from(sent).unwrap() == 400).then_some(report)
    })
    .await;
    assert_eq!((&report["status"], &report["unknown"]), (&Value::from("cancelled"), &Value::from(0)));
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_token_pauses_the_campaign_says_so_and_costs_nobody_their_message() {
    let (stack, api) = stack(quick(), None).await;
    // The simulator takes this token for one that has expired.
    let account = account_with_token(&api, "expired").await;
    let id = campaign_from(&api, &account, "Hi {{first_name}}", 20).await;
    let campaign = until("the pause", Duration::from_secs(20), async || {
        let campaign = api.get(&format!("/v1/campaigns/{id}")).await.unwrap();
        (campaign["status"] == "paused").then_some(campaign)
    })
    .await;
    let reason = campaign["status_reason"].as_str().unwrap();
    assert!(reason.contains("190") && reason.contains("renew the account's access token"), "{reason}");
    let report = until("free recipients", Duration::from_secs(10), async || {
        let report = api.get(&format!("/v1/campaigns/{id}/report")).await.unwrap();
        (report["pending"] == 20).then_some(report)
    })
    .await;
    assert_eq!((&report["failed"], &report["unknown"]), (&Value::from(0), &Value::from(0)));
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_failed_is_sent_again_on_demand_and_nobody_else() {
    let (stack, api) = stack(quick(), None).await;
    let simulator = stack.simulator().unwrap();
    // Refused for good, and too few in a row to stop the account.
    let error = Some(InjectedError { code: 100, when: Trigger::Next(3) });
    simulator.set_faults(Faults { error, ..Faults::default() });
    let id = started_campaign(&api, "Hi {{first_name}}", 20).await;
    let report = settled_report(&stack, &api, &id).await;
    assert_eq!((&report["failed"], &report["stages"]["sent"]["count"]), (&Value::from(3), &Value::from(17)));

    let path = format!("/v1/campaigns/{id}/retry-failed");
    let again = api.post(&path, &Value::Null).await.unwrap();
    assert_eq!((again["status"].as_str(), &again["round"]), (Some("running"), &Value::from(1)));
    let report = settled_report(&stack, &api, &id).await;
    assert_eq!((&report["failed"], &report["stages"]["sent"]["count"]), (&Value::from(0), &Value::from(20)));
    let ledger = simulator.ledger();
    assert_eq!(ledger.recipients.len(), 20);
    assert!(ledger.recipients.values().all(|recipient| recipient.messages.len() == 1), "somebody got two messages");

    let refused = api.post(&path, &Value::Null).await.unwrap_err().to_string();
    assert!(refused.contains("409") && refused.contains("no message has failed"), "{refused}");
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_in_a_row_pause_the_account_with_the_reason_and_a_resume_leaves_nobody_out() {
    let (stack, api) = stack(quick(), None).await;
    let simulator = stack.simulator().unwrap();
    simulator.set_faults(Faults { drop_before_accept: Some(Trigger::Next(5)), ..Faults::default() });
    let id = started_campaign(&api, "Hi {{first_name}}", 40).await;
    let path = format!("/v1/campaigns/{id}");
    let paused = until("the pause", Duration::from_secs(20), async || {
        let campaign = api.get(&path).await.unwrap();
        (campaign["status"] == "paused").then_some(campaign)
    })
    .await;
    let reason = paused["status_reason"].as_str().unwrap();
    assert!(reason.contains("the account is paused") && reason.contains("5 sends in a row got no answer"), "{reason}");
    api.post(&format!("{path}/resume"), &Value::Null).await.unwrap();
    let report = settled_report(&stack, &api, &id).await;
    let (sent, unknown) = (report["stages"]["sent"]["count"].as_u64().unwrap(), report["unknown"].as_u64().unwrap());
    assert_eq!((sent + unknown, &report["pending"]), (40, &Value::from(0)), "{report}");
    assert_eq!(unknown, 5, "nobody knows what became of those, so they are left alone");
    stack.shutdown().await;
}
