//! A Graph API that misbehaves: it takes messages and cuts the connection, or asks to try again later.

use local::stack::{People, Stack};
use serde_json::Value;
use simulator::{Faults, InjectedError, Trigger};

use super::{settled_report, stack, started_campaign};

async fn with_faults(faults: Faults) -> (Stack, Value) {
    let (stack, api) = stack(People { speed: 3_000.0, ..People::default() }, None).await;
    stack.simulator().unwrap().set_faults(faults);
    let id = started_campaign(&api, "Hi {{first_name}}", 40).await;
    let report = settled_report(&stack, &api, &id).await;
    (stack, report)
}

fn everybody_got_one_message(stack: &Stack) {
    let ledger = stack.simulator().unwrap().ledger();
    assert_eq!(ledger.recipients.len(), 40);
    assert!(ledger.recipients.values().all(|recipient| recipient.messages.len() == 1), "somebody got two messages");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_is_not_sent_again_and_a_status_resolves_it() {
    let faults = Faults { drop_after_accept: Some(Trigger::Next(4)), ..Faults::default() };
    let (stack, report) = with_faults(faults).await;
    assert_eq!((&report["pending"], &report["unknown"]), (&Value::from(0), &Value::from(0)));
    assert_eq!(report["stages"]["sent"]["count"], 40);
    everybody_got_one_message(&stack);
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_meta_asks_to_send_again_is_sent_again_once() {
    let error = Some(InjectedError { code: 130_429, when: Trigger::Next(6) });
    let (stack, report) = with_faults(Faults { error, ..Faults::default() }).await;
    assert_eq!((&report["pending"], &report["unknown"]), (&Value::from(0), &Value::from(0)));
    assert_eq!(report["stages"]["sent"]["count"], 40);
    everybody_got_one_message(&stack);
    stack.shutdown().await;
}
