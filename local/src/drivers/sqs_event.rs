//! The event that Lambda makes of received messages, and what the function's response says about each of them.

use std::collections::HashSet;

use aws_sdk_sqs::types::Message;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Map, Value, json};

use crate::engines::REGION;

/// The `SqsEvent` JSON for these messages of this queue.
pub(super) fn event(queue_arn: &str, messages: &[Message]) -> Value {
    let records: Vec<Value> = messages.iter().map(|message| record(queue_arn, message)).collect();
    json!({ "Records": records })
}

fn record(queue_arn: &str, message: &Message) -> Value {
    let attributes: Map<String, Value> = message
        .attributes()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.as_str().to_owned(), Value::from(value.as_str())))
        .collect();
    let message_attributes: Map<String, Value> = message
        .message_attributes()
        .into_iter()
        .flatten()
        .map(|(name, attribute)| {
            let mut value = Map::new();
            if let Some(text) = attribute.string_value() {
                value.insert("stringValue".into(), text.into());
            }
            if let Some(bytes) = attribute.binary_value() {
                value.insert("binaryValue".into(), BASE64_STANDARD.encode(bytes).into());
            }
            value.insert("stringListValues".into(), json!([]));
            value.insert("binaryListValues".into(), json!([]));
            value.insert("dataType".into(), attribute.data_type().into());
            (name.clone(), Value::Object(value))
        })
        .collect();
    let mut record = json!({
        "messageId": message.message_id(),
        "receiptHandle": message.receipt_handle(),
        "body": message.body(),
        "attributes": attributes,
        "messageAttributes": message_attributes,
        "md5OfBody": message.md5_of_body(),
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": REGION,
    });
    if let (Some(digest), Some(record)) = (message.md5_of_message_attributes(), record.as_object_mut()) {
        record.insert("md5OfMessageAttributes".into(), digest.into());
    }
    record
}

/// What a response says about a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum BatchOutcome {
    /// Everything succeeded.
    Success,
    /// These items failed and the others succeeded.
    Failed(HashSet<String>),
    /// The response names something impossible, which fails the whole batch.
    Invalid(&'static str),
}

/// Reads a response as `ReportBatchItemFailures` does: no list, an empty one, or something that is no such response at
/// all is a success; a list with an item that is empty, repeated, misnamed or not of this batch fails all of it.
pub(super) fn outcome<'a>(response: &Value, known: impl Fn(&str) -> bool + 'a) -> BatchOutcome {
    let failures = match response.get("batchItemFailures") {
        None | Some(Value::Null) => return BatchOutcome::Success,
        Some(Value::Array(failures)) => failures,
        Some(_) => return BatchOutcome::Invalid("batchItemFailures is not a list"),
    };
    let mut failed = HashSet::with_capacity(failures.len());
    for failure in failures {
        let Some(id) = failure.get("itemIdentifier").and_then(Value::as_str) else {
            return BatchOutcome::Invalid("a failure has no itemIdentifier");
        };
        if id.is_empty() {
            return BatchOutcome::Invalid("an itemIdentifier is empty");
        }
        if !known(id) {
            return BatchOutcome::Invalid("an itemIdentifier is not of this batch");
        }
        if !failed.insert(id.to_owned()) {
            return BatchOutcome::Invalid("an itemIdentifier is repeated");
        }
    }
    if failed.is_empty() { BatchOutcome::Success } else { BatchOutcome::Failed(failed) }
}

#[cfg(test)]
mod tests {
    use aws_lambda_events::sqs::SqsEvent;
    use aws_sdk_sqs::{
        primitives::Blob,
        types::{MessageAttributeValue, MessageSystemAttributeName},
    };

    use super::*;

    #[test]
    fn the_event_is_that_of_lambda() {
        let text = MessageAttributeValue::builder().data_type("String").string_value("x").build().unwrap();
        let bytes =
            MessageAttributeValue::builder().data_type("Binary").binary_value(Blob::new([1, 2])).build().unwrap();
        let message = Message::builder()
            .message_id("id")
            .receipt_handle("handle")
            .body("{}")
            .md5_of_body("99914b932bd37a50b983c5e7c90ae93b")
            .md5_of_message_attributes("m")
            .attributes(MessageSystemAttributeName::ApproximateReceiveCount, "1")
            .message_attributes("text", text)
            .message_attributes("bytes", bytes)
            .build();
        let event = event("arn:aws:sqs:us-east-1:000000000000:q", &[message]);
        let expected = json!({"Records": [{
            "messageId": "id",
            "receiptHandle": "handle",
            "body": "{}",
            "attributes": {"ApproximateReceiveCount": "1"},
            "messageAttributes": {
                "text": {"stringValue": "x", "stringListValues": [], "binaryListValues": [], "dataType": "String"},
                "bytes": {"binaryValue": "AQI=", "stringListValues": [], "binaryListValues": [], "dataType": "Binary"},
            },
            "md5OfBody": "99914b932bd37a50b983c5e7c90ae93b",
            "md5OfMessageAttributes": "m",
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:q",
            "awsRegion": "us-east-1",
        }]});
        assert_eq!(event, expected);
        let typed: SqsEvent = serde_json::from_value(event).unwrap();
        assert_eq!(typed.records[0].message_attributes["bytes"].binary_value.as_ref().unwrap().0, [1, 2]);
    }

    #[test]
    fn responses_are_read_as_lambda_reads_them() {
        let known = |id: &str| ["a", "b"].contains(&id);
        for success in
            [json!(null), json!({}), json!({"batchItemFailures": null}), json!({"batchItemFailures": []}), json!("?")]
        {
            assert_eq!(outcome(&success, known), BatchOutcome::Success, "{success}");
        }
        let failed = |ids: Value| outcome(&json!({"batchItemFailures": ids}), known);
        assert_eq!(failed(json!([{"itemIdentifier": "b"}])), BatchOutcome::Failed(["b".to_owned()].into()));
        for invalid in [
            json!([{"itemIdentifier": ""}]),
            json!([{"itemIdentifier": null}]),
            json!([{"id": "a"}]),
            json!([{"itemIdentifier": "a"}, {"itemIdentifier": "a"}]),
            json!([{"itemIdentifier": "other"}]),
            json!("a"),
        ] {
            assert!(matches!(failed(invalid.clone()), BatchOutcome::Invalid(_)), "{invalid}");
        }
    }
}
