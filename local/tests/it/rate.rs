//! The rate as the receiver sees it. A measurement, not a test: machines are shared and noisy, so nothing is asserted.
//!
//! `cargo test -p local --test it rate -- --ignored --nocapture --test-threads 1`

use std::time::{Duration, Instant};

use local::api_client::ApiClient;
use local::stack::{People, Stack};
use serde_json::{Value, json};
use shared::id::CampaignId;
use shared::throttle::window::Limits;
use shared::throttle::{Answer, Ask, State, UnixMicros};
use shared::time::UnixMillis;
use simulator::{Counted, NumberChange, Rate, RateQuery};

use crate::scenarios::{stack, until};

/// A run.
struct Run {
    name: &'static str,
    /// Messages a second of each number.
    rate: u32,
    numbers: usize,
    campaigns_per_number: usize,
    people: u32,
}

async fn account(stack: &Stack, api: &ApiClient, number: &str, rate: u32) -> String {
    let change = NumberChange { throughput: Some(1_000), ..NumberChange::default() };
    stack.simulator().unwrap().change_number(number, &change).await.unwrap();
    let account = json!({
        "name": number, "phone_number_id": number, "waba_id": "104996122399160", "display_phone_number": number,
        "access_token": "token", "messages_per_second": rate,
    });
    api.post("/v1/accounts", &account).await.unwrap()["id"].as_str().unwrap().to_owned()
}

async fn campaign(api: &ApiClient, account: &str, people: u32, block: usize) -> String {
    let mut csv = String::from("phone\n");
    for n in 0..people {
        csv.push_str(&format!("+6012{block}{n:06}\n"));
    }
    let campaign = json!({
        "name": "Rate",
        "account_id": account,
        "variants": [{"name": "A", "message": {"type": "text", "text": {"body": "Hi"}}}],
        "audience": {"csv": csv},
    });
    api.post("/v1/campaigns", &campaign).await.unwrap()["id"].as_str().unwrap().to_owned()
}

async fn measure(run: &Run) {
    // People answer within the hour, so that nothing but the sending goes on at first.
    let (stack, api) = stack(People { speed: 1.0, ..People::default() }, None).await;
    let mut campaigns = Vec::new();
    for number in 0..run.numbers {
        let number_id = format!("10785390208{number:04}");
        let account = account(&stack, &api, &number_id, run.rate).await;
        for _ in 0..run.campaigns_per_number {
            campaigns.push(campaign(&api, &account, run.people, campaigns.len()).await);
        }
    }
    let begun = Instant::now();
    for id in &campaigns {
        api.post(&format!("/v1/campaigns/{id}/start"), &Value::Null).await.unwrap();
    }
    for id in &campaigns {
        until("the end", Duration::from_secs(600), async || {
            let campaign = api.get(&format!("/v1/campaigns/{id}")).await.unwrap();
            (campaign["status"] == "completed").then_some(campaign)
        })
        .await;
    }
    let simulator = stack.simulator().unwrap();
    let whole = simulator.rates(&RateQuery { counted: Counted::Received, ..RateQuery::default() }).overall;
    // Campaigns begin one after the other and end one after the other: while all of them send is what is to be seen.
    let (first, last) = (whole.first_us.unwrap() / 1_000, whole.last_us.unwrap() / 1_000);
    let to_ms = Some(first + (last - first) * 3 / 4);
    let settled = RateQuery { from_ms: Some(first + 5_000), to_ms, ..RateQuery::default() };
    for (number, rate) in &simulator.rates(&settled).numbers {
        println!(
            "{:<28} {number}: {} messages, mean {:.2}/s, most in a second of the clock {}, in any second {}",
            run.name,
            rate.count,
            rate.mean_per_second.unwrap_or_default(),
            rate.most_in_calendar_second,
            rate.most_in_sliding_second,
        );
    }
    println!("{:<28} from the first message on: most in any second {}", run.name, whole.most_in_sliding_second);
    let (core, _) = stack.tables();
    let mut writes = 0;
    for (workspace, account) in
        core.accounts(shared::id::WorkspaceId::FIRST, None, 100).await.unwrap().rows.iter().map(|a| (a.workspace, a.id))
    {
        writes += core.throttle_state(workspace, account).await.unwrap().revision;
    }
    let messages = u64::from(run.people) * campaigns.len() as u64;
    println!(
        "{:<28} {} messages in {:.1} s; limiter writes a message: {:.4}",
        run.name,
        messages,
        begun.elapsed().as_secs_f64(),
        writes as f64 / messages as f64
    );
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn rate_at_the_receiver() {
    let one = |name, rate, people| Run { name, rate, numbers: 1, campaigns_per_number: 1, people };
    for run in [
        one("one campaign at 75/s", 75, 2_000),
        one("one campaign at 80/s", 80, 2_000),
        one("one campaign at 200/s", 200, 4_000),
        Run { name: "three on a number at 75/s", rate: 75, numbers: 1, campaigns_per_number: 3, people: 900 },
        Run { name: "three numbers at 75/s", rate: 75, numbers: 3, campaigns_per_number: 1, people: 1_500 },
        one("one campaign at 1,000/s", 1_000, 6_000),
    ] {
        measure(&run).await;
    }
}

/// The same reservations and the same timers with nothing behind them: no table, no queue, no call. What the engines take
/// away from the rate is the difference.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn rate_in_memory() {
    for rate in [75, 200, 1_000] {
        let (mut state, campaign, limits) = (State::default(), CampaignId::new(UnixMillis::now()), Limits::default());
        let mut sends = Vec::new();
        for _ in 0..rate / 10 {
            let slots = loop {
                let ask = Ask { campaign, messages: 100, ceiling: None, rate, limits: &limits };
                match state.reserve(&ask, UnixMicros::now()) {
                    Answer::Granted(slots) => break slots,
                    Answer::Wait(wait) => tokio::time::sleep(wait.until.since(UnixMillis::now())).await,
                }
            };
            sends.extend(slots.iter().map(|slot| {
                tokio::spawn(async move {
                    tokio::time::sleep(slot.to_millis().since(UnixMillis::now())).await;
                    UnixMicros::now().0.unsigned_abs()
                })
            }));
        }
        let times: Vec<u64> = futures::future::join_all(sends).await.into_iter().map(Result::unwrap).collect();
        let rate_of_all = Rate::of(times);
        println!(
            "in memory at {rate}/s: {} messages, mean {:.2}/s, most in a second of the clock {}, in any second {}",
            rate_of_all.count,
            rate_of_all.mean_per_second.unwrap_or_default(),
            rate_of_all.most_in_calendar_second,
            rate_of_all.most_in_sliding_second,
        );
    }
}
