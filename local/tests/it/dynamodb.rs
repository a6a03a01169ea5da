//! What the functions rely on in DynamoDB.

use aws_sdk_dynamodb::types::{
    AttributeValue, KeysAndAttributes, Put, ReturnValuesOnConditionCheckFailure, TimeToLiveSpecification,
    TransactWriteItem, Update,
};
use aws_sdk_dynamodbstreams::types::{Record, ShardIteratorType};
use local::engines::Engines;

use crate::support::{create_table, memory, n, put, s};

#[tokio::test]
async fn a_failed_condition_returns_the_item_that_was_there() {
    let engines = memory().await;
    let client = engines.dynamodb();
    create_table(&client, "core").await;
    put(&client, "core", "P", 5).await;
    let update = client
        .update_item()
        .table_name("core")
        .key("pk", s("P"))
        .key("sk", s("A"))
        .update_expression("SET v = :v")
        .condition_expression("attribute_not_exists(v) OR v < :v")
        .expression_attribute_values(":v", n(3))
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
    let error = update.send().await.unwrap_err().into_service_error();
    let aws_sdk_dynamodb::operation::update_item::UpdateItemError::ConditionalCheckFailedException(failed) = error
    else {
        panic!("another error: {error:?}")
    };
    assert_eq!(failed.item.unwrap()["v"], n(5));
}

#[tokio::test]
async fn a_transaction_happens_whole_or_not_at_all() {
    let engines = memory().await;
    let client = engines.dynamodb();
    create_table(&client, "core").await;
    put(&client, "core", "P", 1).await;
    let insert = |pk: &str| {
        let put = Put::builder().table_name("core").item("pk", s(pk)).item("sk", s("A"));
        TransactWriteItem::builder().put(put.condition_expression("attribute_not_exists(pk)").build().unwrap()).build()
    };
    let add = Update::builder()
        .table_name("core")
        .key("pk", s("P"))
        .key("sk", s("A"))
        .update_expression("ADD v :one")
        .expression_attribute_values(":one", n(1))
        .build()
        .unwrap();
    let add = TransactWriteItem::builder().update(add).build();
    client.transact_write_items().transact_items(insert("Q")).transact_items(add.clone()).send().await.unwrap();
    let refused = client.transact_write_items().transact_items(insert("Q")).transact_items(add).send().await;
    assert!(refused.unwrap_err().into_service_error().is_transaction_canceled_exception());
    let read = client.get_item().table_name("core").key("pk", s("P")).key("sk", s("A")).send().await.unwrap();
    assert_eq!(read.item.unwrap()["v"], n(2));
}

#[tokio::test]
async fn the_index_is_sparse_and_sorted() {
    let engines = memory().await;
    let client = engines.dynamodb();
    create_table(&client, "core").await;
    put(&client, "core", "without", 0).await;
    for (pk, sort) in [("one", "2"), ("two", "1"), ("three", "3")] {
        let put = client.put_item().table_name("core").item("pk", s(pk)).item("sk", s("A"));
        put.item("gsi_pk", s("G")).item("gsi_sk", s(sort)).send().await.unwrap();
    }
    let query = client
        .query()
        .table_name("core")
        .index_name("gsi")
        .key_condition_expression("gsi_pk = :g AND gsi_sk >= :from")
        .expression_attribute_values(":g", s("G"))
        .expression_attribute_values(":from", s("1"));
    let found = query.send().await.unwrap().items.unwrap();
    let keys: Vec<_> = found.iter().map(|item| item["pk"].clone()).collect();
    assert_eq!(keys, [s("two"), s("one"), s("three")]);
}

#[tokio::test]
async fn several_items_are_read_at_once() {
    let engines = memory().await;
    let client = engines.dynamodb();
    create_table(&client, "core").await;
    put(&client, "core", "A", 1).await;
    put(&client, "core", "B", 2).await;
    let key = |pk: &str| [("pk".to_owned(), s(pk)), ("sk".to_owned(), s("A"))].into();
    let keys = ["A", "B", "missing"].map(key);
    let keys = KeysAndAttributes::builder().set_keys(Some(keys.into())).build().unwrap();
    let read = client.batch_get_item().request_items("core", keys).send().await.unwrap();
    assert_eq!(read.responses.unwrap()["core"].len(), 2);
}

#[tokio::test]
async fn an_expired_item_is_removed_and_the_stream_says_by_whom() {
    let engines = memory().await;
    let client = engines.dynamodb();
    let stream = create_table(&client, "core").await;
    let ttl = TimeToLiveSpecification::builder().attribute_name("expires_at").enabled(true).build().unwrap();
    client.update_time_to_live().table_name("core").time_to_live_specification(ttl).send().await.unwrap();
    let read = client.describe_time_to_live().table_name("core").send().await.unwrap();
    let description = read.time_to_live_description.unwrap();
    assert_eq!(description.attribute_name.as_deref(), Some("expires_at"));
    assert_eq!(description.time_to_live_status.unwrap().as_str(), "ENABLED");
    for (pk, expires_at) in [("past", 1_000), ("future", 9_999_999_999)] {
        let put = client.put_item().table_name("core").item("pk", s(pk)).item("sk", s("A"));
        put.item("expires_at", n(expires_at)).send().await.unwrap();
    }
    assert_eq!(engines.expire_items().await.unwrap(), 1);
    let removed = records(&engines, &stream).await.pop().unwrap();
    assert_eq!(removed.event_name.unwrap().as_str(), "REMOVE");
    // The engine misspells the fields inside; the stream driver fills them in.
    assert!(removed.user_identity.is_some());
}

#[tokio::test]
async fn the_stream_has_both_images_in_order() {
    let engines = memory().await;
    let client = engines.dynamodb();
    let stream = create_table(&client, "core").await;
    put(&client, "core", "P", 1).await;
    put(&client, "core", "P", 2).await;
    client.delete_item().table_name("core").key("pk", s("P")).key("sk", s("A")).send().await.unwrap();
    let records = records(&engines, &stream).await;
    let summary: Vec<_> = records
        .iter()
        .map(|record| {
            let change = record.dynamodb.as_ref().unwrap();
            let value = |image: &Option<std::collections::HashMap<String, _>>| {
                image.as_ref().map(|item| format!("{:?}", item["v"]))
            };
            (
                record.event_name.as_ref().unwrap().as_str().to_owned(),
                value(&change.old_image),
                value(&change.new_image),
            )
        })
        .collect();
    let value = |v: i64| Some(format!("N(\"{v}\")"));
    assert_eq!(
        summary,
        [("INSERT".into(), None, value(1)), ("MODIFY".into(), value(1), value(2)), ("REMOVE".into(), value(2), None)]
    );
    let numbers: Vec<_> =
        records.iter().map(|record| record.dynamodb.as_ref().unwrap().sequence_number.clone().unwrap()).collect();
    assert!(numbers.is_sorted() && numbers.iter().all(|number| number.len() == 21), "{numbers:?}");
}

/// DynamoDB writes no record here; the engine does, and the stream driver drops it.
#[tokio::test]
async fn the_engine_records_an_update_that_changes_nothing() {
    let engines = memory().await;
    let client = engines.dynamodb();
    let stream = create_table(&client, "core").await;
    put(&client, "core", "P", 1).await;
    put(&client, "core", "P", 1).await;
    assert_eq!(records(&engines, &stream).await.len(), 2);
}

#[tokio::test]
async fn writes_stay_quick_with_many_stream_records() {
    let engines = memory().await;
    let client = engines.dynamodb();
    create_table(&client, "core").await;
    let many = (0..2_000).map(|number| {
        let client = client.clone();
        async move { put(&client, "core", &format!("P{number}"), number).await }
    });
    let started = std::time::Instant::now();
    futures::StreamExt::for_each(futures::StreamExt::buffer_unordered(futures::stream::iter(many), 16), |()| async {})
        .await;
    let each = started.elapsed() / 2_000;
    println!("a put with a stream takes {each:?}");
    assert!(each < std::time::Duration::from_millis(20), "{each:?}");
}

async fn records(engines: &Engines, stream: &str) -> Vec<Record> {
    let client = engines.streams();
    let described = client.describe_stream().stream_arn(stream).send().await.unwrap();
    let shard = described.stream_description.unwrap().shards.unwrap()[0].shard_id.clone().unwrap();
    let iterator = client
        .get_shard_iterator()
        .stream_arn(stream)
        .shard_id(shard)
        .shard_iterator_type(ShardIteratorType::TrimHorizon);
    let iterator = iterator.send().await.unwrap().shard_iterator.unwrap();
    client.get_records().shard_iterator(iterator).send().await.unwrap().records.unwrap()
}

#[tokio::test]
async fn two_engines_in_memory_share_nothing() {
    let (one, other) = (memory().await, memory().await);
    create_table(&one.dynamodb(), "core").await;
    put(&one.dynamodb(), "core", "P", 1).await;
    assert!(other.dynamodb().list_tables().send().await.unwrap().table_names.unwrap_or_default().is_empty());
    let read = one.dynamodb().get_item().table_name("core").key("pk", s("P")).key("sk", s("A"));
    assert_eq!(read.send().await.unwrap().item.unwrap()["v"], AttributeValue::N("1".into()));
}
