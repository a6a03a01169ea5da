//! The archive makes the tables again: after a campaign in which everything went wrong that may, fresh tables equal the live
//! ones; and when something is missing from the archive, that is told.

use std::time::Duration;

use console::Term;
use local::drivers::Mischief;
use local::operator::replay_archive;
use local::stack::{People, Stack, replayer};
use replay::{Job, Phase};
use serde_json::Value;
use simulator::Delivery;

use super::{account, campaign_from, settled_report, stack, until};

fn people() -> People {
    People {
        speed: 3_000.0,
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

async fn replayed(stack: &Stack, into: &str) -> Job {
    let replay = replayer(stack.engines(), stack.link_keys()).await.unwrap();
    let mut job = Job::new(into);
    while job.phase != Phase::Ended {
        // An answer that is lost is asked for again.
        let mut again = job.clone();
        replay::step(&replay, &mut again).await.unwrap();
        replay::step(&replay, &mut job).await.unwrap();
        // As it goes from one invocation to the next.
        job = serde_json::from_str(&serde_json::to_string(&job).unwrap()).unwrap();
    }
    job
}

/// Waits until nothing is on its way any more.
async fn quiet(stack: &Stack) {
    let rows = async || {
        let (mut rows, mut start) = (Vec::new(), None);
        loop {
            let scan = stack.engines().dynamodb().scan().table_name("thirdtick-core").set_exclusive_start_key(start);
            let part = scan.send().await.unwrap();
            rows.extend(part.items.unwrap_or_default());
            start = part.last_evaluated_key;
            if start.is_none() {
                return rows;
            }
        }
    };
    let mut before = rows().await;
    until("a quiet table", Duration::from_secs(60), async || {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let now = rows().await;
        let is_quiet = now == before;
        before = now;
        is_quiet.then_some(Value::Null)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fresh_tables_of_the_archive_equal_the_live_ones_and_a_hole_in_it_is_told() {
    let (stack, api) = stack(people(), None).await;
    let account = account(&api).await;
    let body = "Hi {{first_name}}, see https://shop.example/offer";
    let id = campaign_from(&api, &account, body, 250).await;
    settled_report(&stack, &api, &id).await;
    quiet(&stack).await;

    let job = replayed(&stack, "replay").await;
    assert!(job.comparison.is_equal(), "{:#?}", job.comparison);
    let equal = |kind: &str| job.comparison.rows[kind].equal;
    assert_eq!(equal("ATTEMPTS"), 250);
    assert!(equal("ACTIVITY") > 100, "clicks and replies");
    assert!(job.comparison.counters["TOTAL"].equal > 0);
    assert!(job.done.objects > 0 && job.done.messages > 250, "{:?}", job.done);

    // The same tables once more, from the operator's side: they are dropped first.
    assert!(replay_archive(stack.engines(), stack.link_keys(), Job::new("replay"), &Term::stderr()).await.unwrap());

    let s3 = stack.engines().s3();
    let listed = s3.list_objects_v2().bucket("thirdtick-data").prefix("archive/raw/").send().await.unwrap();
    for object in listed.contents().iter().skip(1).step_by(2) {
        s3.delete_object().bucket("thirdtick-data").key(object.key().unwrap()).send().await.unwrap();
    }
    let job = replayed(&stack, "hole").await;
    assert!(!job.comparison.is_equal());
    let told = job.comparison.rows["ACTIVITY"].missing + job.comparison.rows["ATTEMPTS"].different;
    assert!(told > 0, "{:#?}", job.comparison);
    assert!(!job.comparison.named.is_empty());
    assert!(job.comparison.counters.values().any(|view| view.different + view.missing > 0));
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_never_goes_into_the_live_tables() {
    let (stack, _) = stack(People::default(), None).await;
    let replay = replayer(stack.engines(), stack.link_keys()).await.unwrap();
    let error = replay::step(&replay, &mut Job::new("thirdtick")).await.unwrap_err();
    assert!(matches!(error, replay::NotReplayed::IntoTheLiveTables), "{error}");
    stack.shutdown().await;
}
