//! A function behind a table's stream.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use aws_lambda_events::dynamodb::Event;
use aws_sdk_dynamodb::types::TimeToLiveSpecification;
use futures::StreamExt as _;
use local::drivers::{Checkpoint, Function, Mischief, OnError, OnFailure, StartingPosition, StreamSource, from_fn};
use serde_json::{Value, json};

use crate::support::{create_queue, create_table, in_folder, memory, n, put, receive, s, until};

/// The values `v` of the new images, by batch.
type Seen = Arc<Mutex<Vec<Vec<i64>>>>;

/// A function that answers with what `respond` makes of a batch: its values and sequence numbers.
fn recorder(seen: &Seen, respond: impl Fn(&[(i64, String)]) -> Value + Send + Sync + 'static) -> Arc<dyn Function> {
    let seen = Arc::clone(seen);
    from_fn(move |event: Value| {
        let records: Vec<(i64, String)> = event["Records"]
            .as_array()
            .unwrap()
            .iter()
            .map(|record| {
                let change = &record["dynamodb"];
                let value = change["NewImage"]["v"]["N"].as_str().unwrap().parse().unwrap();
                (value, change["SequenceNumber"].as_str().unwrap().to_owned())
            })
            .collect();
        seen.lock().unwrap().push(records.iter().map(|(value, _)| *value).collect());
        let response = respond(&records);
        async move { if response == "error" { Err("failed on purpose") } else { Ok(response) } }
    })
}

fn flat(seen: &Seen) -> Vec<i64> {
    seen.lock().unwrap().concat()
}

async fn fill(client: &aws_sdk_dynamodb::Client, values: std::ops::Range<i64>) {
    for value in values {
        put(client, "core", &format!("P{}", value % 3), value).await;
    }
}

#[tokio::test]
async fn records_come_in_order_and_batches_are_full() {
    let engines = memory().await;
    let stream = create_table(&engines.dynamodb(), "core").await;
    fill(&engines.dynamodb(), 0..25).await;
    let seen = Seen::default();
    let source = StreamSource { batch_size: 10, ..StreamSource::new(&stream, Checkpoint::memory()) };
    let source = source.start(engines.streams(), recorder(&seen, |_| json!({}))).await.unwrap();
    until("all came", || async { flat(&seen).len() == 25 }).await;
    fill(&engines.dynamodb(), 25..27).await;
    until("the later ones came", || async { flat(&seen).len() == 27 }).await;
    source.drain().await;
    assert_eq!(flat(&seen), (0..27).collect::<Vec<_>>());
    assert_eq!(seen.lock().unwrap()[0].len(), 10);
}

#[tokio::test]
async fn an_update_that_changes_nothing_is_not_delivered() {
    let engines = memory().await;
    let stream = create_table(&engines.dynamodb(), "core").await;
    for value in [1, 1, 2] {
        put(&engines.dynamodb(), "core", "P", value).await;
    }
    let seen = Seen::default();
    let source = StreamSource::new(&stream, Checkpoint::memory());
    let source = source.start(engines.streams(), recorder(&seen, |_| json!({}))).await.unwrap();
    until("both changes came", || async { flat(&seen).len() == 2 }).await;
    source.drain().await;
    assert_eq!(flat(&seen), [1, 2]);
}

#[tokio::test]
async fn the_event_is_what_the_typed_handler_expects() {
    let engines = memory().await;
    let stream = create_table(&engines.dynamodb(), "core").await;
    put(&engines.dynamodb(), "core", "P", 1).await;
    let (sent, mut received) = tokio::sync::mpsc::unbounded_channel();
    let function = from_fn(move |event: Event| {
        let sent = sent.send(event).map_err(|error| error.to_string());
        async move { sent }
    });
    let source = StreamSource::new(&stream, Checkpoint::memory()).start(engines.streams(), function).await.unwrap();
    let record = received.recv().await.unwrap().records.remove(0);
    source.drain().await;
    assert_eq!((record.event_name.as_str(), record.aws_region.as_str()), ("INSERT", "us-east-1"));
    assert!(record.event_source_arn.unwrap().starts_with("arn:aws:dynamodb:us-east-1:000000000000:table/core/stream/"));
    let image: std::collections::HashMap<String, Value> = serde_dynamo_like(&record.change.new_image);
    assert_eq!(image["v"], json!({"N": "1"}));
}

fn serde_dynamo_like(item: &impl serde::Serialize) -> std::collections::HashMap<String, Value> {
    serde_json::from_value(serde_json::to_value(item).unwrap()).unwrap()
}

#[tokio::test]
async fn the_removal_of_an_expired_item_is_marked() {
    let engines = memory().await;
    let client = engines.dynamodb();
    let stream = create_table(&client, "core").await;
    let ttl = TimeToLiveSpecification::builder().attribute_name("expires_at").enabled(true).build().unwrap();
    client.update_time_to_live().table_name("core").time_to_live_specification(ttl).send().await.unwrap();
    let put = client.put_item().table_name("core").item("pk", s("P")).item("sk", s("A")).item("expires_at", n(1));
    put.send().await.unwrap();
    engines.expire_items().await.unwrap();
    let (sent, mut received) = tokio::sync::mpsc::unbounded_channel();
    let function = from_fn(move |event: Value| {
        let sent = sent.send(event).map_err(|error| error.to_string());
        async move { sent }
    });
    let source = StreamSource::new(&stream, Checkpoint::memory()).start(engines.streams(), function).await.unwrap();
    let removal = received.recv().await.unwrap()["Records"][1].take();
    source.drain().await;
    assert_eq!(removal["eventName"], "REMOVE");
    assert_eq!(removal["userIdentity"], json!({"type": "Service", "principalId": "dynamodb.amazonaws.com"}));
}

#[tokio::test]
async fn a_failed_batch_is_tried_again_and_nothing_overtakes_it() {
    let engines = memory().await;
    let stream = create_table(&engines.dynamodb(), "core").await;
    fill(&engines.dynamodb(), 0..4).await;
    let seen = Seen::default();
    let tries = Arc::clone(&seen);
    let function = recorder(&seen, move |_| if tries.lock().unwrap().len() <= 2 { json!("error") } else { json!({}) });
    let source = StreamSource { batch_size: 2, ..StreamSource::new(&stream, Checkpoint::memory()) };
    let source = source.start(engines.streams(), function).await.unwrap();
    until("all came", || async { flat(&seen).contains(&3) }).await;
    source.drain().await;
    assert_eq!(*seen.lock().unwrap(), [[0, 1], [0, 1], [0, 1], [2, 3]]);
}

#[tokio::test]
async fn a_partial_response_goes_on_from_the_lowest_failure() {
    let engines = memory().await;
    let stream = create_table(&engines.dynamodb(), "core").await;
    fill(&engines.dynamodb(), 0..5).await;
    let seen = Seen::default();
    let tries = Arc::clone(&seen);
    let function = recorder(&seen, move |records| {
        if tries.lock().unwrap().len() > 1 {
            return json!({});
        }
        let failed = [3, 2].map(|value| records.iter().find(|record| record.0 == value).unwrap());
        json!({ "batchItemFailures": failed.map(|record| json!({ "itemIdentifier": record.1 })) })
    });
    let checkpoint = Checkpoint::memory();
    let source = StreamSource::new(&stream, checkpoint.clone()).start(engines.streams(), function).await.unwrap();
    until("it was tried again", || async { seen.lock().unwrap().len() == 2 }).await;
    source.drain().await;
    assert_eq!(*seen.lock().unwrap(), [vec![0, 1, 2, 3, 4], vec![2, 3, 4]]);
    assert!(checkpoint.sequence_number().is_some());
}

#[tokio::test]
async fn a_bad_record_is_found_by_halves_and_given_up_alone() {
    let engines = memory().await;
    let stream = create_table(&engines.dynamodb(), "core").await;
    let queue = create_queue(&engines.sqs(), "given-up", &[]).await;
    fill(&engines.dynamodb(), 0..8).await;
    let seen = Seen::default();
    let function =
        recorder(&seen, |records| if records.iter().any(|record| record.0 == 5) { json!("error") } else { json!({}) });
    let source = StreamSource {
        on_error: OnError::Bisect,
        max_retries: Some(1),
        on_failure: Some(OnFailure { client: engines.sqs(), queue_url: queue.clone() }),
        ..StreamSource::new(&stream, Checkpoint::memory())
    };
    let source = source.start(engines.streams(), function).await.unwrap();
    until("the last came alone", || async { seen.lock().unwrap().last().is_some_and(|batch| *batch == [6, 7]) }).await;
    source.drain().await;
    let batches = seen.lock().unwrap().clone();
    assert_eq!(
        batches,
        [
            vec![0, 1, 2, 3, 4, 5, 6, 7],
            vec![0, 1, 2, 3],
            vec![4, 5, 6, 7],
            vec![4, 5],
            vec![4],
            vec![5],
            vec![5],
            vec![6, 7]
        ]
    );
    let described: Value = serde_json::from_str(receive(&engines.sqs(), &queue).await[0].body().unwrap()).unwrap();
    assert_eq!(described["requestContext"]["condition"], "RetryAttemptsExhausted");
    let batch = &described["DDBStreamBatchInfo"];
    assert_eq!(batch["batchSize"], 1);
    assert_eq!(batch["startSequenceNumber"], batch["endSequenceNumber"]);
}

#[tokio::test]
async fn after_a_restart_the_stream_goes_on_from_the_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rollup.checkpoint");
    let seen = Seen::default();
    let engines = in_folder(&folder).await;
    let stream = create_table(&engines.dynamodb(), "core").await;
    fill(&engines.dynamodb(), 0..5).await;
    let source = StreamSource::new(&stream, Checkpoint::file(&file).unwrap());
    let source = source.start(engines.streams(), recorder(&seen, |_| json!({}))).await.unwrap();
    until("all came", || async { flat(&seen).len() == 5 }).await;
    source.drain().await;
    fill(&engines.dynamodb(), 5..7).await;
    engines.shutdown().await;

    let engines = in_folder(&folder).await;
    let source = StreamSource::new(&stream, Checkpoint::file(&file).unwrap());
    let source = source.start(engines.streams(), recorder(&seen, |_| json!({}))).await.unwrap();
    until("the rest came", || async { flat(&seen).len() == 7 }).await;
    source.drain().await;
    assert_eq!(flat(&seen), (0..7).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_stream_can_begin_with_what_comes_next() {
    let engines = memory().await;
    let stream = create_table(&engines.dynamodb(), "core").await;
    fill(&engines.dynamodb(), 0..3).await;
    let seen = Seen::default();
    let source = StreamSource {
        starting_position: StartingPosition::Latest,
        ..StreamSource::new(&stream, Checkpoint::memory())
    };
    let source = source.start(engines.streams(), recorder(&seen, |_| json!({}))).await.unwrap();
    fill(&engines.dynamodb(), 3..5).await;
    until("the new ones came", || async { flat(&seen).len() == 2 }).await;
    source.drain().await;
    assert_eq!(flat(&seen), [3, 4]);
}

#[tokio::test]
async fn mischief_repeats_and_cuts_but_keeps_the_order() {
    let engines = memory().await;
    let stream = create_table(&engines.dynamodb(), "core").await;
    fill(&engines.dynamodb(), 0..60).await;
    let seen = Seen::default();
    let mischief = Mischief {
        seed: 3,
        redeliver: 0.4,
        crash: 0.3,
        cut: 0.6,
        delay: Duration::from_millis(2),
        ..Mischief::default()
    };
    let source = StreamSource { batch_size: 7, mischief, ..StreamSource::new(&stream, Checkpoint::memory()) };
    let source = source.start(engines.streams(), recorder(&seen, |_| json!({}))).await.unwrap();
    until("all came", || async { flat(&seen).contains(&59) }).await;
    source.drain().await;
    let all = flat(&seen);
    assert!(all.len() > 60, "nothing was repeated");
    // Each value is preceded, the first time it comes, by all smaller ones.
    let mut next = 0;
    for value in all {
        assert!(value <= next, "{value} before {next}");
        next = next.max(value + 1);
    }
    assert_eq!(next, 60);
}

/// A measurement: `cargo test -p local --test it records_per_second -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn records_per_second() {
    let folder = tempfile::tempdir().unwrap();
    let engines = in_folder(&folder).await;
    let client = engines.dynamodb();
    let stream = create_table(&client, "core").await;
    let count = 20_000;
    let started = Instant::now();
    let puts = (0..count).map(|value| {
        let client = client.clone();
        async move { put(&client, "core", &format!("P{value}"), value).await }
    });
    futures::stream::iter(puts).buffer_unordered(32).for_each(|()| async {}).await;
    println!("puts, 32 callers: {:.0}/s", count as f64 / started.elapsed().as_secs_f64());
    let delivered = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&delivered);
    let function = from_fn(move |event: Event| {
        *counted.lock().unwrap() += event.records.len();
        async { Ok::<_, String>(()) }
    });
    let started = Instant::now();
    let source = StreamSource { batch_size: 1_000, ..StreamSource::new(&stream, Checkpoint::memory()) };
    let source = source.start(engines.streams(), function).await.unwrap();
    while *delivered.lock().unwrap() < count as usize {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    println!("records in batches of 1,000: {:.0}/s", count as f64 / started.elapsed().as_secs_f64());
    let mut latencies = Vec::new();
    for value in 0..50 {
        let before = *delivered.lock().unwrap();
        put(&client, "core", "later", value).await;
        let written = Instant::now();
        while *delivered.lock().unwrap() == before {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        latencies.push(written.elapsed());
    }
    latencies.sort();
    println!("from a write to the function: median {:?}, worst {:?}", latencies[25], latencies[49]);
    source.drain().await;
}
