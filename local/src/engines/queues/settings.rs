//! Queue attributes: which of them the engine gets, which are ours, and what values they may have.

use std::collections::{BTreeMap, HashMap};

use rustack_sqs_model::error::SqsError;
use serde::Deserialize;

use super::{ACCOUNT, Attributes, REGION, StoredQueue};

/// The largest message: 1 MiB since August 2025.
const MAX_MESSAGE_BYTES: usize = 1 << 20;

/// What the engine must not know: it would apply its own rules.
const OURS: [&str; 4] = ["MaximumMessageSize", "RedrivePolicy", "RedriveAllowPolicy", "FifoQueue"];

/// When a queue gives a message up, and to which queue.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Redrive {
    pub(super) queue: String,
    pub(super) max_receives: u32,
}

impl Redrive {
    /// The redrive policy of a queue, if it has one.
    pub(super) fn of(queue: &StoredQueue) -> Option<Self> {
        queue.attributes.get("RedrivePolicy").and_then(|policy| Self::parse(policy).ok())
    }

    fn parse(policy: &str) -> Result<Self, SqsError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Policy {
            dead_letter_target_arn: String,
            // AWS takes the number also as a string.
            max_receive_count: serde_json::Value,
        }
        let invalid = |reason: String| SqsError::invalid_parameter_value(format!("RedrivePolicy: {reason}"));
        let policy: Policy = serde_json::from_str(policy).map_err(|error| invalid(error.to_string()))?;
        let max_receives = match &policy.max_receive_count {
            serde_json::Value::String(text) => text.parse().ok(),
            number => number.as_u64(),
        };
        let max_receives = max_receives
            .filter(|count| (1..=1000).contains(count))
            .and_then(|count| u32::try_from(count).ok())
            .ok_or_else(|| invalid("maxReceiveCount must be between 1 and 1000".to_owned()))?;
        let queue = policy
            .dead_letter_target_arn
            .strip_prefix(&format!("arn:aws:sqs:{REGION}:{ACCOUNT}:"))
            .ok_or_else(|| invalid("deadLetterTargetArn is not a queue of this account and region".to_owned()))?;
        Ok(Self { queue: queue.to_owned(), max_receives })
    }
}

/// Checks the attributes that are ours; the engine checks the others.
pub(super) fn checked(attributes: &HashMap<String, String>) -> Result<BTreeMap<String, String>, SqsError> {
    if let Some(size) = attributes.get("MaximumMessageSize") {
        let valid = size.parse().is_ok_and(|bytes: usize| (1024..=MAX_MESSAGE_BYTES).contains(&bytes));
        if !valid {
            return Err(SqsError::invalid_parameter_value(format!(
                "MaximumMessageSize must be between 1024 and {MAX_MESSAGE_BYTES}"
            )));
        }
    }
    if let Some(policy) = attributes.get("RedrivePolicy").filter(|policy| !policy.is_empty()) {
        Redrive::parse(policy)?;
    }
    Ok(attributes.iter().map(|(name, value)| (name.clone(), value.clone())).collect())
}

/// Parts attributes into those for the engine and ours.
pub(super) fn split(attributes: &BTreeMap<String, String>) -> (Attributes, Attributes) {
    let all = attributes.iter().map(|(name, value)| (name.clone(), value.clone()));
    all.partition(|(name, _)| !OURS.contains(&name.as_str()))
}

/// Our attributes of a queue, with their defaults.
pub(super) fn ours(queue: &StoredQueue) -> Attributes {
    let (_, mut ours) = split(&queue.attributes);
    ours.entry("MaximumMessageSize".to_owned()).or_insert_with(|| MAX_MESSAGE_BYTES.to_string());
    ours
}

/// The value that an attribute of a queue has now, explicitly or by default.
pub(super) fn current<'a>(queue: &'a StoredQueue, name: &str) -> Option<&'a str> {
    let default = match name {
        "DelaySeconds" | "ReceiveMessageWaitTimeSeconds" => Some("0"),
        "MaximumMessageSize" => Some("1048576"),
        "MessageRetentionPeriod" => Some("345600"),
        "VisibilityTimeout" => Some("30"),
        _ => None,
    };
    queue.attributes.get(name).map(String::as_str).or(default)
}

/// The largest message the queue takes, in bytes of body and attributes.
pub(super) fn max_message_bytes(queue: &StoredQueue) -> usize {
    current(queue, "MaximumMessageSize").and_then(|size| size.parse().ok()).unwrap_or(MAX_MESSAGE_BYTES)
}

/// The largest request that sends a batch, in bytes of all its messages.
pub(super) const MAX_BATCH_BYTES: usize = MAX_MESSAGE_BYTES;

/// A number of seconds among the attributes.
pub(super) fn seconds(queue: &StoredQueue, name: &str) -> u64 {
    current(queue, name).and_then(|value| value.parse().ok()).unwrap_or(0)
}
