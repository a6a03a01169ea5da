//! A function behind a queue.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use aws_lambda_events::{
    sqs::{SqsBatchResponse, SqsEvent},
    streams::SqsEventResponse,
};
use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use local::drivers::{Function, Mischief, SqsSource, from_fn};
use serde_json::{Value, json};

use crate::support::{create_queue, memory, receive, send, until};

/// Bodies in the order in which they were delivered, by batch.
type Seen = Arc<Mutex<Vec<Vec<String>>>>;

/// A function that answers with what `respond` makes of a batch: message ids by body.
fn recorder(
    seen: &Seen,
    respond: impl Fn(&HashMap<String, String>) -> Value + Send + Sync + 'static,
) -> Arc<dyn Function> {
    let seen = Arc::clone(seen);
    from_fn(move |event: SqsEvent| {
        let ids = event.records.iter().map(|r| (r.body.clone().unwrap(), r.message_id.clone().unwrap())).collect();
        seen.lock().unwrap().push(event.records.into_iter().map(|record| record.body.unwrap()).collect());
        let response = respond(&ids);
        async move { if response == "error" { Err("failed on purpose") } else { Ok(response) } }
    })
}

fn flat(seen: &Seen) -> Vec<String> {
    seen.lock().unwrap().concat()
}

async fn is_empty(client: &aws_sdk_sqs::Client, queue: &str) -> bool {
    let read = client.get_queue_attributes().queue_url(queue).attribute_names("All".into()).send().await.unwrap();
    read.attributes.unwrap().iter().all(|(name, value)| !name.as_str().starts_with("ApproximateNumber") || value == "0")
}

async fn fill(client: &aws_sdk_sqs::Client, queue: &str, count: usize) {
    let numbers: Vec<usize> = (0..count).collect();
    for chunk in numbers.chunks(10) {
        let entries = chunk.iter().map(|n| {
            SendMessageBatchRequestEntry::builder().id(n.to_string()).message_body(n.to_string()).build().unwrap()
        });
        let sent = client.send_message_batch().queue_url(queue).set_entries(Some(entries.collect())).send().await;
        assert!(sent.unwrap().failed.is_empty());
    }
}

#[tokio::test]
async fn messages_that_succeed_are_deleted() {
    let engines = memory().await;
    let client = engines.sqs();
    let queue = create_queue(&client, "q", &[]).await;
    fill(&client, &queue, 25).await;
    let seen = Seen::default();
    let source = SqsSource::new(&queue).start(client.clone(), recorder(&seen, |_| json!({}))).await.unwrap();
    until("the queue is empty", || is_empty(&client, &queue)).await;
    source.drain().await;
    let mut all = flat(&seen);
    all.sort_by_key(|body| body.parse::<u32>().unwrap());
    assert_eq!(all, (0..25).map(|n| n.to_string()).collect::<Vec<_>>());
    assert!(seen.lock().unwrap().iter().all(|batch| batch.len() <= 10));
}

#[tokio::test]
async fn a_large_batch_is_gathered_within_its_window() {
    let engines = memory().await;
    let client = engines.sqs();
    let queue = create_queue(&client, "q", &[]).await;
    let seen = Seen::default();
    let source = SqsSource { batch_size: 100, window: Duration::from_millis(400), ..SqsSource::new(&queue) };
    let source = source.start(client.clone(), recorder(&seen, |_| json!({}))).await.unwrap();
    fill(&client, &queue, 60).await;
    until("the queue is empty", || is_empty(&client, &queue)).await;
    source.drain().await;
    assert_eq!(seen.lock().unwrap().iter().map(Vec::len).collect::<Vec<_>>(), [60]);
}

#[tokio::test]
async fn only_the_failures_come_again_until_the_dead_letter_queue_has_them() {
    let engines = memory().await;
    let client = engines.sqs();
    let dead = create_queue(&client, "dead", &[]).await;
    let policy = format!(r#"{{"deadLetterTargetArn":"{}","maxReceiveCount":2}}"#, engines.queue_arn("dead"));
    let queue = create_queue(&client, "q", &[("RedrivePolicy", &policy), ("VisibilityTimeout", "1")]).await;
    for body in ["good", "bad"] {
        send(&client, &queue, body).await;
    }
    let seen = Seen::default();
    let function = recorder(&seen, |ids| {
        let failed = ids.get("bad").map(|id| json!({ "itemIdentifier": id }));
        json!({ "batchItemFailures": failed.into_iter().collect::<Vec<_>>() })
    });
    let source = SqsSource::new(&queue).start(client.clone(), function).await.unwrap();
    until("the bad message is given up", || async { !is_empty(&client, &dead).await }).await;
    source.drain().await;
    assert!(is_empty(&client, &queue).await);
    assert_eq!(flat(&seen), ["good", "bad", "bad"]);
}

#[tokio::test]
async fn an_error_a_panic_and_an_impossible_answer_fail_the_whole_batch() {
    let engines = memory().await;
    let client = engines.sqs();
    for answer in [json!("error"), json!("panic"), json!({"batchItemFailures": [{"itemIdentifier": ""}]})] {
        let queue =
            create_queue(&client, &format!("q{}", answer.to_string().len()), &[("VisibilityTimeout", "1")]).await;
        fill(&client, &queue, 2).await;
        let seen = Seen::default();
        let recorded = Arc::clone(&seen);
        let function = recorder(&seen, move |_| {
            let first = recorded.lock().unwrap().len() == 1;
            assert!(!(first && answer == "panic"), "on purpose");
            if first { answer.clone() } else { Value::Null }
        });
        let source = SqsSource::new(&queue).start(client.clone(), function).await.unwrap();
        until("the queue is empty", || is_empty(&client, &queue)).await;
        source.drain().await;
        let mut all = flat(&seen);
        all.sort_unstable();
        assert_eq!(all, ["0", "0", "1", "1"]);
    }
}

#[tokio::test]
async fn the_typed_response_of_a_handler_is_understood() {
    let engines = memory().await;
    let client = engines.sqs();
    let queue = create_queue(&client, "q", &[]).await;
    send(&client, &queue, "x").await;
    let function = from_fn(|_: SqsEvent| async { Ok::<_, String>(SqsBatchResponse::default()) });
    let source = SqsSource::new(&queue).start(client.clone(), function).await.unwrap();
    until("the queue is empty", || is_empty(&client, &queue)).await;
    source.drain().await;
}

#[tokio::test]
async fn no_more_invocations_run_than_allowed_and_draining_waits_for_them() {
    let engines = memory().await;
    let client = engines.sqs();
    let queue = create_queue(&client, "q", &[]).await;
    fill(&client, &queue, 6).await;
    let running = Arc::new(Mutex::new((0, 0, 0)));
    let counted = Arc::clone(&running);
    let function = from_fn(move |_: Value| {
        let counted = Arc::clone(&counted);
        async move {
            {
                let mut counts = counted.lock().unwrap();
                counts.0 += 1;
                counts.1 = counts.0.max(counts.1);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            let mut counts = counted.lock().unwrap();
            counts.0 -= 1;
            counts.2 += 1;
            Ok::<_, String>(())
        }
    });
    let source = SqsSource { batch_size: 1, max_concurrency: 2, ..SqsSource::new(&queue) };
    let source = source.start(client.clone(), function).await.unwrap();
    until("an invocation runs", || async { running.lock().unwrap().0 > 0 }).await;
    source.drain().await;
    let (now, most, done) = *running.lock().unwrap();
    assert_eq!((now, most), (0, 2));
    assert!(done >= 1);
}

#[tokio::test]
async fn an_invocation_that_outlasts_the_draining_is_cut_off_and_its_message_comes_again() {
    let engines = memory().await;
    let client = engines.sqs();
    let queue = create_queue(&client, "q", &[("VisibilityTimeout", "0")]).await;
    fill(&client, &queue, 1).await;
    let (begun, ended) = (Seen::default(), Seen::default());
    let (function_begun, function_ended) = (Arc::clone(&begun), Arc::clone(&ended));
    let endless = from_fn(move |_: Value| {
        function_begun.lock().unwrap().push(Vec::new());
        let ended = Arc::clone(&function_ended);
        async move {
            std::future::pending::<()>().await;
            ended.lock().unwrap().push(Vec::new());
            Ok::<_, String>(json!({}))
        }
    });
    let source = SqsSource { drain_within: Duration::from_millis(1), max_concurrency: 1, ..SqsSource::new(&queue) };
    let source = source.start(client.clone(), endless).await.unwrap();
    until("the invocation began", || async { !begun.lock().unwrap().is_empty() }).await;
    source.drain().await;
    assert!(ended.lock().unwrap().is_empty());
    assert_eq!(receive(&client, &queue).await.len(), 1);
}

#[tokio::test]
async fn mischief_repeats_reorders_cuts_and_crashes_but_loses_nothing() {
    let engines = memory().await;
    let client = engines.sqs();
    let queue = create_queue(&client, "q", &[("VisibilityTimeout", "600")]).await;
    fill(&client, &queue, 100).await;
    let seen = Seen::default();
    let mischief = Mischief {
        seed: 7,
        redeliver: 0.3,
        reorder: 0.5,
        crash: 0.3,
        cut: 0.5,
        delay: Duration::from_millis(3),
        ..Mischief::default()
    };
    let source = SqsSource { mischief, ..SqsSource::new(&queue) };
    let source = source.start(client.clone(), recorder(&seen, |_| json!({}))).await.unwrap();
    until("the queue is empty", || is_empty(&client, &queue)).await;
    source.drain().await;
    let all = flat(&seen);
    assert!(all.len() > 100, "nothing was repeated");
    let mut distinct: Vec<u32> = all.iter().map(|body| body.parse().unwrap()).collect();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct, (0..100).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_message_that_is_refused_stays_in_the_queue_after_the_source_stops() {
    let engines = memory().await;
    let client = engines.sqs();
    let queue = create_queue(&client, "q", &[("VisibilityTimeout", "1")]).await;
    send(&client, &queue, "x").await;
    let seen = Seen::default();
    let source = SqsSource::new(&queue).start(client.clone(), recorder(&seen, |_| json!("error"))).await.unwrap();
    until("it was tried", || async { !flat(&seen).is_empty() }).await;
    source.drain().await;
    until("it is back", || async { receive(&client, &queue).await.len() == 1 }).await;
}

/// A measurement: `cargo test -p local --test it messages_per_second -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn messages_per_second() {
    let folder = tempfile::tempdir().unwrap();
    let engines = crate::support::in_folder(&folder).await;
    let client = engines.sqs();
    for (batch_size, count) in [(10, 5_000), (1_000, 20_000)] {
        let queue = create_queue(&client, &format!("q{batch_size}"), &[]).await;
        let started = Instant::now();
        fill(&client, &queue, count).await;
        println!("sent in tens, one caller: {:.0}/s", count as f64 / started.elapsed().as_secs_f64());
        let started = Instant::now();
        let function = from_fn(|_: SqsEvent| async { Ok::<_, String>(SqsEventResponse::default()) });
        let source = SqsSource { batch_size, ..SqsSource::new(&queue) };
        let source = source.start(client.clone(), function).await.unwrap();
        while !is_empty(&client, &queue).await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        println!("delivered in batches of {batch_size}: {:.0}/s", count as f64 / started.elapsed().as_secs_f64());
        source.drain().await;
    }
}
