//! `template.yaml` and the code say the same thing twice in places; here the two are held against each other.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::path::Path;
use std::time::Duration;

use aws_sdk_dynamodb::types::StreamViewType;
use shared::attempt::claim::CALL_TIMEOUT;
use shared::queue::INLINE_LIMIT_BYTES;
use shared::store::schema::{CORE, IndexSchema, KeyPair, ROLLUP, TableSchema};
use shared::subscription::endpoint::LEASE;
use shared::throttle::{LONGEST_RESERVATION, LONGEST_WAIT};
use yaml_rust2::{Yaml, YamlLoader};

/// The resources of the template. A `!Ref X` reads as the text `X`, a `!GetAtt X.Y` as `X.Y`.
fn resources() -> Yaml {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../template.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    let mut documents = YamlLoader::load_from_str(&text).unwrap();
    assert_eq!(documents.len(), 1);
    documents.remove(0)["Resources"].clone()
}

/// Name and properties of every resource of this type.
fn of_type(resources: &Yaml, kind: &str) -> Vec<(String, Yaml)> {
    let resources = resources.as_hash().unwrap().iter();
    resources
        .filter(|(_, resource)| resource["Type"].as_str() == Some(kind))
        .map(|(name, resource)| (name.as_str().unwrap().to_owned(), resource["Properties"].clone()))
        .collect()
}

fn seconds(value: &Yaml) -> Duration {
    Duration::from_secs(value.as_i64().unwrap().unsigned_abs())
}

/// `Queue.Arn` as `Queue`.
fn resource_of(attribute: &Yaml) -> String {
    attribute.as_str().unwrap().split('.').next().unwrap().to_owned()
}

fn assert_key(declared: &Yaml, key: KeyPair) {
    let declared: Vec<_> = declared.as_vec().unwrap().iter().collect();
    let part = |index: usize| (declared[index]["AttributeName"].as_str(), declared[index]["KeyType"].as_str());
    assert_eq!(declared.len(), 2);
    assert_eq!((part(0), part(1)), ((Some(key.partition), Some("HASH")), (Some(key.sort), Some("RANGE"))));
}

fn assert_index(declared: &Yaml, index: Option<&IndexSchema>) {
    let Some(index) = index else {
        assert!(declared.is_badvalue(), "the code makes no index");
        return;
    };
    assert_eq!(declared.as_vec().unwrap().len(), 1);
    assert_eq!(declared[0]["IndexName"].as_str(), Some(index.name));
    assert_key(&declared[0]["KeySchema"], index.key);
    assert_eq!(declared[0]["Projection"]["ProjectionType"].as_str(), Some(index.projection.as_str()));
}

fn assert_table(table: &Yaml, schema: &TableSchema) {
    let table = &table["Properties"];
    assert_eq!(table["BillingMode"].as_str(), Some("PAY_PER_REQUEST"));
    assert_key(&table["KeySchema"], schema.key);
    assert_index(&table["GlobalSecondaryIndexes"], schema.index.as_ref());
    assert_index(&table["LocalSecondaryIndexes"], schema.local_index.as_ref());
    let attributes: Vec<_> = table["AttributeDefinitions"]
        .as_vec()
        .unwrap()
        .iter()
        .map(|attribute| (attribute["AttributeName"].as_str().unwrap(), attribute["AttributeType"].as_str().unwrap()))
        .collect();
    let expected: Vec<_> = schema.key_attributes().into_iter().map(|attribute| (attribute, "S")).collect();
    assert_eq!(attributes, expected);
    let view = table["StreamSpecification"]["StreamViewType"].as_str();
    assert_eq!(view, schema.stream.as_ref().map(StreamViewType::as_str));
    let ttl = &table["TimeToLiveSpecification"];
    assert_eq!(ttl["AttributeName"].as_str(), schema.ttl_attribute);
    assert_eq!(ttl["Enabled"].as_bool(), schema.ttl_attribute.map(|_| true));
}

#[test]
fn the_tables_are_those_that_the_code_makes() {
    let resources = resources();
    assert_table(&resources["CoreTable"], &CORE);
    assert_table(&resources["RollupTable"], &ROLLUP);
    assert_eq!(of_type(&resources, "AWS::DynamoDB::Table").len(), 2);
}

#[test]
fn the_data_outlives_the_stack() {
    let resources = resources();
    for name in ["CoreTable", "RollupTable", "Bucket"] {
        for policy in ["DeletionPolicy", "UpdateReplacePolicy"] {
            assert_eq!(resources[name][policy].as_str(), Some("Retain"), "{name} {policy}");
        }
    }
}

#[test]
fn a_message_stays_invisible_for_six_times_the_time_that_its_function_has() {
    let resources = resources();
    let mut mapped = 0;
    for (name, mapping) in of_type(&resources, "AWS::Lambda::EventSourceMapping") {
        let queue = resource_of(&mapping["EventSourceArn"]);
        if resources[queue.as_str()]["Type"].as_str() != Some("AWS::SQS::Queue") {
            continue;
        }
        let visibility = seconds(&resources[queue.as_str()]["Properties"]["VisibilityTimeout"]);
        let function = mapping["FunctionName"].as_str().unwrap();
        let timeout = seconds(&resources[function]["Properties"]["Timeout"]);
        assert!(visibility >= 6 * timeout, "{name}: {visibility:?} and {timeout:?}");
        mapped += 1;
    }
    assert_eq!(mapped, 4);
}

#[test]
fn a_dead_letter_queue_keeps_messages_longer_than_the_queue_that_feeds_it() {
    let resources = resources();
    for (name, queue) in of_type(&resources, "AWS::SQS::Queue") {
        let redrive = &queue["RedrivePolicy"];
        if redrive.is_badvalue() {
            continue;
        }
        let dead = resource_of(&redrive["deadLetterTargetArn"]);
        let dead = seconds(&resources[dead.as_str()]["Properties"]["MessageRetentionPeriod"]);
        assert!(dead > seconds(&queue["MessageRetentionPeriod"]), "{name}");
    }
}

#[test]
fn the_events_queue_takes_what_the_webhook_puts_on_it() {
    let resources = resources();
    for name in ["EventsQueue", "EventsDeadLetterQueue"] {
        let most = resources[name]["Properties"]["MaximumMessageSize"].as_i64().unwrap();
        assert!(usize::try_from(most).unwrap() > INLINE_LIMIT_BYTES, "{name}");
    }
}

#[test]
fn the_sender_has_time_for_the_last_slot_that_it_reserves() {
    let timeout = seconds(&resources()["SendFunction"]["Properties"]["Timeout"]);
    assert!(timeout > LONGEST_WAIT + LONGEST_RESERVATION + CALL_TIMEOUT * 2);
}

#[test]
fn a_place_at_an_endpoint_outlasts_the_invocation_that_holds_it() {
    let timeout = seconds(&resources()["DeliverFunction"]["Properties"]["Timeout"]);
    assert!(LEASE > timeout);
}

#[test]
fn the_stream_is_read_in_order_and_nothing_of_it_is_given_up_early() {
    let mapping = &resources()["CoreToRollup"]["Properties"];
    assert_eq!(mapping["EventSourceArn"].as_str(), Some("CoreTable.StreamArn"));
    assert_eq!(mapping["ParallelizationFactor"].as_i64(), Some(1));
    assert_eq!(mapping["StartingPosition"].as_str(), Some("TRIM_HORIZON"));
    assert_eq!(mapping["MaximumRetryAttempts"].as_i64(), Some(-1));
}
