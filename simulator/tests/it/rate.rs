//! What the receiving side knows of a sender's rate.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use simulator::{Counted, Faults, InjectedError, RateQuery, Trigger};

use crate::receiver::{NUMBER, Receiver, client, config, send, simulator, text};

fn unix_us() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_micros()).expect("fits")
}

#[tokio::test]
async fn accepted_and_refused_requests_are_counted_apart_at_the_time_they_came_in() {
    let (_receiver, url) = Receiver::start().await;
    let running = simulator(config(&url)).await;
    let client = client();
    let before = unix_us();
    for n in 0..20 {
        send(&running, &client, &text(&format!("+4477009{n:05}"), "hi")).await.expect("an answer");
    }
    running.set_faults(Faults {
        error: Some(InjectedError { code: 130_429, when: Trigger::Next(3) }),
        ..Faults::default()
    });
    for _ in 0..3 {
        send(&running, &client, &text("+447700900001", "hi")).await.expect("an answer");
    }
    let after = unix_us();
    let ledger = running.ledger();
    assert_eq!((ledger.totals().received, ledger.totals().accepted), (23, 20));
    // The wall clock may be adjusted while the simulator counts on.
    let meanwhile = before - 1_000..after + 1_000;
    assert!(ledger.messages().all(|message| meanwhile.contains(&message.received_at_us)));
    assert!(ledger.arrivals[NUMBER].accepted_us.is_sorted());

    let all = running.rates(&RateQuery::default());
    assert_eq!((all.overall.count, all.numbers[NUMBER].count), (23, 23));
    let accepted = running.rates(&RateQuery { counted: Counted::Accepted, ..RateQuery::default() });
    assert_eq!(accepted.overall.count, 20);
    assert!(accepted.overall.mean_per_second.is_some_and(|mean| mean > 1.0));
    let later = RateQuery { from_ms: Some(after / 1_000 + 2), ..RateQuery::default() };
    assert_eq!(running.rates(&later).overall.count, 0);
}

#[tokio::test]
async fn a_slow_answer_does_not_move_the_receive_time() {
    let (_receiver, url) = Receiver::start().await;
    let running = simulator(config(&url)).await;
    running.set_faults(Faults {
        delay: Some(simulator::AnswerDelay { ms: 300, when: Trigger::Next(1) }),
        ..Faults::default()
    });
    let before = unix_us();
    send(&running, &client(), &text("+447700900001", "hi")).await.expect("an answer");
    let received = running.ledger().arrivals[NUMBER].accepted_us[0];
    assert!(received < before + 300_000, "{}", received - before);
}

#[tokio::test]
async fn rates_can_be_asked_over_http() {
    let (_receiver, url) = Receiver::start().await;
    let running = simulator(config(&url)).await;
    send(&running, &client(), &text("+447700900001", "hi")).await.expect("an answer");
    let url = running.url().join("simulator/rate?counted=accepted&from_ms=0").expect("a path");
    let rates: Value = client().get(url).send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(rates["overall"]["count"], 1);
    assert_eq!(rates["numbers"][NUMBER]["most_in_sliding_second"], 1);
}
