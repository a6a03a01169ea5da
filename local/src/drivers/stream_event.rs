//! The event that Lambda makes of stream records, and how far a response says that the batch got.

use std::collections::HashMap;

use aws_sdk_dynamodbstreams::types::{AttributeValue, OperationType, Record, StreamViewType};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Map, Value, json};

use super::sqs_event::{BatchOutcome, outcome};
use crate::engines::REGION;

/// The sequence number of a record; the engine gives every record one.
pub(super) fn sequence_number(record: &Record) -> &str {
    record.dynamodb().and_then(|change| change.sequence_number()).unwrap_or_default()
}

/// Whether the record says that nothing changed. DynamoDB writes no such record; the embedded engine does.
pub(super) fn changes_nothing(record: &Record) -> bool {
    let Some(change) = record.dynamodb() else { return true };
    record.event_name() == Some(&OperationType::Modify)
        && change.old_image().is_some()
        && change.old_image() == change.new_image()
}

/// The `DynamoDbEvent` JSON for these records of this stream.
pub(super) fn event(stream_arn: &str, records: &[Record]) -> Value {
    let records: Vec<Value> = records.iter().map(|record| record_json(stream_arn, record)).collect();
    json!({ "Records": records })
}

fn record_json(stream_arn: &str, record: &Record) -> Value {
    let mut change = Map::new();
    if let Some(stream) = record.dynamodb() {
        if let Some(time) = stream.approximate_creation_date_time() {
            change.insert("ApproximateCreationDateTime".into(), time.secs().into());
        }
        for (name, image) in
            [("Keys", stream.keys()), ("NewImage", stream.new_image()), ("OldImage", stream.old_image())]
        {
            if let Some(image) = image {
                change.insert(name.into(), item(image));
            }
        }
        change.insert("SequenceNumber".into(), stream.sequence_number().into());
        change.insert("SizeBytes".into(), stream.size_bytes().into());
        change.insert("StreamViewType".into(), stream.stream_view_type().map(StreamViewType::as_str).into());
    }
    let mut json = json!({
        "eventID": record.event_id(),
        "eventName": record.event_name().map(OperationType::as_str),
        "eventVersion": record.event_version(),
        "eventSource": "aws:dynamodb",
        "awsRegion": REGION,
        "dynamodb": change,
        "eventSourceARN": stream_arn,
    });
    if let (Some(user), Some(json)) = (record.user_identity(), json.as_object_mut()) {
        // The engine says by its presence that an item expired, but spells the fields as Lambda does and not as the
        // streams API does, so that the SDK does not see them.
        let kind = user.r#type().unwrap_or("Service");
        let principal = user.principal_id().unwrap_or("dynamodb.amazonaws.com");
        json.insert("userIdentity".into(), json!({ "type": kind, "principalId": principal }));
    }
    json
}

fn item(attributes: &HashMap<String, AttributeValue>) -> Value {
    attributes.iter().map(|(name, value)| (name.clone(), attribute(value))).collect()
}

fn attribute(value: &AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => json!({ "S": text }),
        AttributeValue::N(number) => json!({ "N": number }),
        AttributeValue::B(bytes) => json!({ "B": BASE64_STANDARD.encode(bytes) }),
        AttributeValue::Bool(flag) => json!({ "BOOL": flag }),
        AttributeValue::Null(flag) => json!({ "NULL": flag }),
        AttributeValue::Ss(texts) => json!({ "SS": texts }),
        AttributeValue::Ns(numbers) => json!({ "NS": numbers }),
        AttributeValue::Bs(blobs) => {
            json!({ "BS": blobs.iter().map(|bytes| BASE64_STANDARD.encode(bytes)).collect::<Vec<_>>() })
        }
        AttributeValue::L(list) => json!({ "L": list.iter().map(attribute).collect::<Vec<_>>() }),
        AttributeValue::M(map) => json!({ "M": item(map) }),
        // A type that this SDK does not know cannot come from an engine older than it.
        _ => Value::Null,
    }
}

/// How many records from the front are done with: the checkpoint moves to the *lowest* failed sequence number.
///
/// # Errors
///
/// The reason for which the response fails the whole batch.
pub(super) fn done_count(response: &Value, records: &[Record]) -> Result<usize, &'static str> {
    let failed = match outcome(response, |id| records.iter().any(|record| sequence_number(record) == id)) {
        BatchOutcome::Success => return Ok(records.len()),
        BatchOutcome::Invalid(reason) => return Err(reason),
        BatchOutcome::Failed(failed) => failed,
    };
    let first = records.iter().position(|record| failed.contains(sequence_number(record)));
    Ok(first.unwrap_or(records.len()))
}

#[cfg(test)]
mod tests {
    use aws_lambda_events::dynamodb::Event;
    use aws_sdk_dynamodbstreams::{
        primitives::{Blob, DateTime},
        types::{Identity, StreamRecord},
    };

    use super::*;

    fn change(number: &str, old: i64, new: i64) -> Record {
        let number_value = |v: i64| AttributeValue::N(v.to_string());
        let change = StreamRecord::builder()
            .approximate_creation_date_time(DateTime::from_secs(1_795_000_000))
            .keys("pk", AttributeValue::S("P".into()))
            .old_image("v", number_value(old))
            .new_image("v", number_value(new))
            .new_image("b", AttributeValue::B(Blob::new([1, 2])))
            .old_image("b", AttributeValue::B(Blob::new([1, 2])))
            .sequence_number(number)
            .size_bytes(9)
            .stream_view_type(StreamViewType::NewAndOldImages);
        Record::builder()
            .event_id("e")
            .event_version("1.1")
            .event_name(OperationType::Modify)
            .dynamodb(change.build())
            .user_identity(Identity::builder().r#type("Service").principal_id("dynamodb.amazonaws.com").build())
            .build()
    }

    #[test]
    fn the_event_is_that_of_lambda() {
        let event = event("arn:stream", &[change("100", 1, 2)]);
        let expected = json!({"Records": [{
            "eventID": "e",
            "eventName": "MODIFY",
            "eventVersion": "1.1",
            "eventSource": "aws:dynamodb",
            "awsRegion": "us-east-1",
            "dynamodb": {
                "ApproximateCreationDateTime": 1_795_000_000,
                "Keys": {"pk": {"S": "P"}},
                "NewImage": {"v": {"N": "2"}, "b": {"B": "AQI="}},
                "OldImage": {"v": {"N": "1"}, "b": {"B": "AQI="}},
                "SequenceNumber": "100",
                "SizeBytes": 9,
                "StreamViewType": "NEW_AND_OLD_IMAGES",
            },
            "eventSourceARN": "arn:stream",
            "userIdentity": {"type": "Service", "principalId": "dynamodb.amazonaws.com"},
        }]});
        assert_eq!(event, expected);
        let typed: Event = serde_json::from_value(event).unwrap();
        assert_eq!(typed.records[0].change.sequence_number.as_deref(), Some("100"));
    }

    #[test]
    fn the_lowest_failure_decides_how_far_a_batch_got() {
        let records = [change("100", 1, 2), change("101", 2, 3), change("102", 3, 4)];
        let done = |failures: Value| done_count(&json!({ "batchItemFailures": failures }), &records);
        assert_eq!(done(json!([])), Ok(3));
        assert_eq!(done(json!([{"itemIdentifier": "102"}, {"itemIdentifier": "101"}])), Ok(1));
        assert!(done(json!([{"itemIdentifier": "7"}])).is_err());
    }

    #[test]
    fn an_update_that_changes_nothing_is_recognised() {
        assert!(changes_nothing(&change("1", 5, 5)));
        assert!(!changes_nothing(&change("1", 5, 6)));
    }
}
