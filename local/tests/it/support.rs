//! Engines in memory, and the tables and queues that the tests use.

use std::{future::Future, time::Duration};

use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType, StreamSpecification, StreamViewType,
};
use local::engines::{Engines, Storage};

pub(crate) async fn memory() -> Engines {
    Engines::start(Storage::Memory).await.unwrap()
}

pub(crate) async fn in_folder(folder: &tempfile::TempDir) -> Engines {
    Engines::start(Storage::Directory(folder.path().to_owned())).await.unwrap()
}

pub(crate) fn s(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

pub(crate) fn n(number: i64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

fn key(name: &str, kind: KeyType) -> KeySchemaElement {
    KeySchemaElement::builder().attribute_name(name).key_type(kind).build().unwrap()
}

/// A table like CORE: `pk`/`sk`, one index on `gsi_pk`/`gsi_sk`, a stream with both images. Returns the stream's ARN.
pub(crate) async fn create_table(client: &aws_sdk_dynamodb::Client, name: &str) -> String {
    let definition = |name: &str| {
        let kind = ScalarAttributeType::S;
        AttributeDefinition::builder().attribute_name(name).attribute_type(kind).build().unwrap()
    };
    let index = GlobalSecondaryIndex::builder()
        .index_name("gsi")
        .key_schema(key("gsi_pk", KeyType::Hash))
        .key_schema(key("gsi_sk", KeyType::Range))
        .projection(Projection::builder().projection_type(ProjectionType::All).build())
        .build()
        .unwrap();
    let stream = StreamSpecification::builder()
        .stream_enabled(true)
        .stream_view_type(StreamViewType::NewAndOldImages)
        .build()
        .unwrap();
    let created = client
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .set_attribute_definitions(Some(["pk", "sk", "gsi_pk", "gsi_sk"].map(definition).into()))
        .key_schema(key("pk", KeyType::Hash))
        .key_schema(key("sk", KeyType::Range))
        .global_secondary_indexes(index)
        .stream_specification(stream)
        .send()
        .await
        .unwrap();
    created.table_description.unwrap().latest_stream_arn.unwrap()
}

pub(crate) async fn put(client: &aws_sdk_dynamodb::Client, table: &str, pk: &str, value: i64) {
    let put = client.put_item().table_name(table).item("pk", s(pk)).item("sk", s("A")).item("v", n(value));
    put.send().await.unwrap();
}

pub(crate) async fn create_queue(client: &aws_sdk_sqs::Client, name: &str, attributes: &[(&str, &str)]) -> String {
    let mut create = client.create_queue().queue_name(name);
    for (name, value) in attributes {
        create = create.attributes((*name).into(), *value);
    }
    create.send().await.unwrap().queue_url.unwrap()
}

pub(crate) async fn send(client: &aws_sdk_sqs::Client, queue: &str, body: &str) -> String {
    client.send_message().queue_url(queue).message_body(body).send().await.unwrap().message_id.unwrap()
}

pub(crate) async fn receive(client: &aws_sdk_sqs::Client, queue: &str) -> Vec<aws_sdk_sqs::types::Message> {
    let receive = client
        .receive_message()
        .queue_url(queue)
        .max_number_of_messages(10)
        .message_system_attribute_names("All".into())
        .message_attribute_names("All");
    receive.send().await.unwrap().messages.unwrap_or_default()
}

pub(crate) fn bodies(messages: &[aws_sdk_sqs::types::Message]) -> Vec<&str> {
    messages.iter().map(|message| message.body().unwrap()).collect()
}

/// Waits until the condition holds; fails after ten seconds.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(Duration::from_secs(10), waiting).await.is_ok(), "never happened: {what}");
}

/// Peak of the process's memory since the last call with `reset`, in MiB; Linux only.
pub(crate) fn peak_mib(reset: bool) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let peak = line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1_024;
    if reset {
        // 5 resets the peak (Linux, proc_pid_clear_refs).
        std::fs::write("/proc/self/clear_refs", "5").ok()?;
    }
    Some(peak)
}
