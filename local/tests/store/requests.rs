//! Requests with an `Idempotency-Key`: run once, replied to ever after, and a run that died is run again with its id.

use shared::store::Idempotency;
use shared::time::UnixMillis;

use crate::{Tables, WORKSPACE, at_once};

/// 2096: the engine deletes expired rows by its own clock, and none of these may go while a test runs.
const NOW: UnixMillis = UnixMillis(4_000_000_000_000);

const SOON: UnixMillis = UnixMillis(NOW.0 + 1_000);

/// The lock of a request that began now is over.
const UNLOCKED: UnixMillis = UnixMillis(NOW.0 + 61_000);

/// A day later: what was kept may be forgotten.
const EXPIRED: UnixMillis = UnixMillis(NOW.0 + 25 * 3_600_000);

async fn begin(tables: &Tables, request: &str, now: UnixMillis) -> Idempotency {
    tables.core.begin_request(WORKSPACE, "key", request, now).await.unwrap()
}

/// Begins a request that is to be run. The answer holds its id: two that are equal have the same.
async fn run(tables: &Tables, request: &str, now: UnixMillis) -> Idempotency {
    let answer = begin(tables, request, now).await;
    assert!(matches!(answer, Idempotency::Run { .. }), "{answer:?}");
    answer
}

fn reply(body: &str) -> Idempotency {
    Idempotency::Replied { status: 201, body: body.to_owned() }
}

#[tokio::test]
async fn of_repeats_at_once_one_runs() {
    let tables = Tables::new().await;
    let answers = at_once(20, |_| {
        let core = tables.another_core();
        async move { core.begin_request(WORKSPACE, "key", "create", NOW).await.unwrap() }
    })
    .await;
    let (runs, waiting): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| matches!(answer, Idempotency::Run { .. }));
    assert_eq!(runs.len(), 1);
    assert!(waiting.iter().all(|answer| *answer == Idempotency::InProgress));
}

#[tokio::test]
async fn a_reply_is_given_to_every_repeat() {
    let tables = Tables::new().await;
    run(&tables, "create", NOW).await;
    tables.core.end_request(WORKSPACE, "key", 201, "made").await.unwrap();
    for now in [NOW, SOON, UNLOCKED] {
        assert_eq!(begin(&tables, "create", now).await, reply("made"));
    }
    tables.core.abandon_request(WORKSPACE, "key").await.unwrap();
    assert_eq!(begin(&tables, "create", SOON).await, reply("made"), "a reply is not given up");
}

#[tokio::test]
async fn a_key_is_for_one_request() {
    let tables = Tables::new().await;
    run(&tables, "create", NOW).await;
    assert_eq!(begin(&tables, "start", SOON).await, Idempotency::OtherRequest);
    tables.core.end_request(WORKSPACE, "key", 201, "made").await.unwrap();
    assert_eq!(begin(&tables, "start", UNLOCKED).await, Idempotency::OtherRequest);
}

#[tokio::test]
async fn an_abandoned_request_runs_again_at_once_with_its_id() {
    let tables = Tables::new().await;
    let first = run(&tables, "create", NOW).await;
    assert_eq!(begin(&tables, "create", SOON).await, Idempotency::InProgress);
    tables.core.abandon_request(WORKSPACE, "key").await.unwrap();
    assert_eq!(run(&tables, "create", SOON).await, first);
    assert_eq!(begin(&tables, "create", SOON).await, Idempotency::InProgress, "and is locked again");
}

#[tokio::test]
async fn a_request_whose_lock_ran_out_runs_again_once_with_its_id() {
    let tables = Tables::new().await;
    let first = run(&tables, "create", NOW).await;
    let answers = at_once(10, |_| {
        let core = tables.another_core();
        async move { core.begin_request(WORKSPACE, "key", "create", UNLOCKED).await.unwrap() }
    })
    .await;
    let runs: Vec<_> = answers.into_iter().filter(|answer| *answer == first).collect();
    assert_eq!(runs.len(), 1);
}

#[tokio::test]
async fn what_was_never_begun_is_neither_ended_nor_abandoned() {
    let tables = Tables::new().await;
    tables.core.end_request(WORKSPACE, "key", 201, "made").await.unwrap();
    tables.core.abandon_request(WORKSPACE, "key").await.unwrap();
    run(&tables, "create", NOW).await;
}

/// DynamoDB deletes expired rows within days, not at once, so the row of an old key may still be there.
#[tokio::test]
async fn a_key_that_expired_is_as_good_as_new_even_while_its_row_is_there() {
    let tables = Tables::new().await;
    let old = run(&tables, "create", NOW).await;
    tables.core.end_request(WORKSPACE, "key", 201, "made").await.unwrap();
    let new = run(&tables, "create another", EXPIRED).await;
    assert_ne!(new, old, "the new request would create nothing: its id is taken");
    assert_eq!(begin(&tables, "create another", EXPIRED).await, Idempotency::InProgress);
}
