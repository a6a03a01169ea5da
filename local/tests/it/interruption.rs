//! The process dies: `send` and `dispatch` are stopped at each of their awaits in turn, found by counting them, while the
//! Graph API takes messages and cuts the connection. Nobody gets two messages and nobody is left out.
//!
//! An invocation that is stopped is dropped where it waits: no line behind that await runs, no clean-up, no retry, as when
//! a process is killed. What has gone out before (a request to the table, a message to Meta) may have arrived or not.

mod bench;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt;
use shared::campaign::Status;
use simulator::{Faults, Trigger};

use self::bench::Bench;
pub(crate) use self::bench::{Stopped, stop_at};

/// Invocations that are tried at once.
const AT_ONCE: usize = 12;

/// So many invocations have to come to their end before all awaits count as tried: how often an invocation waits differs by
/// a few from run to run.
const ENDS: usize = 8;

/// Stops `invoke` at its first await, its second, its third, … each time on a campaign of its own, until there are no more;
/// the last await at which one was stopped.
async fn at_each_await<F>(bench: &Bench, people: u32, invoke: impl Fn(bench::Job) -> F) -> usize
where
    F: Future<Output = ()>,
{
    let (ends, last) = (AtomicUsize::new(0), AtomicUsize::new(0));
    futures::stream::iter(1..)
        .take_while(|_| std::future::ready(ends.load(Ordering::Relaxed) < ENDS))
        .map(|n| {
            let (invoke, ends, last) = (&invoke, &ends, &last);
            async move {
                let job = bench.started_campaign(people).await;
                match stop_at(n, invoke(job)).await {
                    Stopped::Yes => last.fetch_max(n, Ordering::Relaxed),
                    Stopped::No => ends.fetch_add(1, Ordering::Relaxed),
                }
            }
        })
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<_>>()
        .await;
    last.into_inner()
}

#[tokio::test]
async fn send_may_stop_at_any_await_and_everybody_gets_one_message() {
    let bench = Bench::start().await;
    bench.simulator.set_faults(Faults { drop_after_accept: Some(Trigger::Share(0.2)), ..Faults::default() });
    let awaits = at_each_await(&bench, 2, |job| bench.send(job)).await;
    println!("send: stopped at each of {awaits} awaits");
    assert!(awaits >= 20, "only {awaits} awaits were found");
    bench.run_to_the_end(Duration::from_secs(90)).await;
    bench.everybody_got_one_message().await;
    bench.shutdown().await;
}

#[tokio::test]
async fn sending_again_what_was_lost_may_stop_at_any_await_too() {
    let bench = Bench::start().await;
    // Nobody knows what became of the first try: half of the messages are at Meta.
    bench.simulator.set_faults(Faults {
        drop_after_accept: Some(Trigger::Share(0.5)),
        drop_before_accept: Some(Trigger::Share(1.0)),
        ..Faults::default()
    });
    let awaits = at_each_await(&bench, 2, async |job| {
        bench.send(job).await;
        bench.forget_the_wait(job).await;
        bench.simulator.set_faults(Faults::default());
        bench.send(job).await;
    })
    .await;
    println!("send again: stopped at each of {awaits} awaits");
    bench.run_to_the_end(Duration::from_secs(90)).await;
    bench.everybody_got_one_message().await;
    bench.shutdown().await;
}

#[tokio::test]
async fn dispatch_may_stop_at_any_await_and_no_page_is_lost() {
    let bench = Bench::start().await;
    let awaits = at_each_await(&bench, 101, |job| bench.dispatch(job)).await;
    println!("dispatch: stopped at each of {awaits} awaits");
    assert!(awaits >= 8, "only {awaits} awaits were found");
    bench.run_to_the_end(Duration::from_secs(180)).await;
    bench.everybody_got_one_message().await;
    bench.shutdown().await;
}

/// The same with everything at once: pages of a hundred, many invocations at a time, each stopped somewhere else, and the
/// watchdog as well.
async fn a_storm(people: u32) {
    let bench = Bench::start().await;
    bench.simulator.set_faults(Faults { drop_after_accept: Some(Trigger::Share(0.02)), ..Faults::default() });
    let job = bench.started_campaign(people).await;
    let begun = Instant::now();
    let stops = bench.run_with_stops(Duration::from_secs(600)).await;
    println!("{people} people, {stops} invocations stopped, {:?}", begun.elapsed());
    assert!(stops > 20, "only {stops} invocations were stopped");
    let campaign = bench.campaign(job).await;
    assert_eq!(campaign.status, Status::Completed);
    bench.everybody_got_one_message().await;
    bench.shutdown().await;
}

#[tokio::test]
async fn a_thousand_people_get_one_message_each_through_a_storm_of_deaths() {
    a_storm(1_000).await;
}

#[tokio::test]
#[ignore = "takes minutes; the gate runs it"]
async fn ten_thousand_people_get_one_message_each_through_a_storm_of_deaths() {
    a_storm(10_000).await;
}
