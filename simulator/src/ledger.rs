//! The simulator's own account of what happened: what it accepted, and the truth about each message.
//! A test compares this with what the program under test believes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::rate::Arrivals;

/// Everything the simulator has accepted so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    /// By `wa_id`, or by user id for people who were addressed by it.
    pub recipients: BTreeMap<String, LedgerRecipient>,
    /// Messages accepted, by phone number id and Unix second.
    pub accepted_per_second: BTreeMap<String, BTreeMap<u64, u64>>,
    /// Send requests refused, by error code.
    pub refused: BTreeMap<i64, u64>,
    /// When send requests came in, by phone number id.
    #[serde(default)]
    pub arrivals: BTreeMap<String, Arrivals>,
    /// Uploads in their order, whatever has become of the files. Equal hashes are the same file uploaded again.
    #[serde(default)]
    pub uploads: Vec<MediaUpload>,
    /// What happened to webhooks.
    pub webhooks: WebhookCounts,
}

/// A person and the messages they got.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LedgerRecipient {
    /// Place in the order in which people got their first message, from 0.
    pub rank: u64,
    /// In order of acceptance.
    pub messages: Vec<LedgerMessage>,
}

/// An accepted message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LedgerMessage {
    /// Meta's message id.
    pub wamid: String,
    /// Number it was sent from.
    pub phone_number_id: String,
    /// The recipient as the request wrote it.
    pub input: String,
    /// `biz_opaque_callback_data` of the request.
    pub callback_data: Option<String>,
    /// Unix milliseconds.
    pub accepted_at_ms: u64,
    /// When its request came in, before the body was read: Unix microseconds. 0 for messages of a journal that does not tell.
    #[serde(default)]
    pub received_at_us: u64,
    /// `text`, `template` and so on.
    pub message_type: String,
    /// Links that the person could open.
    pub links: Vec<String>,
    /// What the plan says happens, whether or not it has happened yet.
    pub truth: Truth,
    /// Statuses that have happened.
    pub statuses: Vec<StatusSeen>,
    /// HTTP status that each visit of a person to a link ended with.
    pub click_answers: Vec<u16>,
}

/// A file that was uploaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaUpload {
    /// Graph node id that the upload was answered with.
    pub id: String,
    /// Number it was uploaded for.
    pub phone_number_id: String,
    /// As the upload declared it.
    pub mime_type: String,
    /// Of the content, in hexadecimal digits.
    pub sha256: String,
    /// Length of the content.
    pub bytes: u64,
    /// Unix milliseconds.
    pub uploaded_at_ms: u64,
}

/// What a plan says about a message.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Truth {
    /// Meta reports `sent`.
    pub sent: bool,
    /// It reaches a device.
    pub delivered: bool,
    /// The person reads it.
    pub read: bool,
    /// It is read at once, so that Meta never reports `delivered`.
    pub delivered_skipped: bool,
    /// The person opens a link.
    pub clicked: bool,
    /// The person answers.
    pub replied: bool,
    /// The answer is STOP.
    pub opted_out: bool,
    /// Meta reports `failed` with this code.
    pub failed: Option<i64>,
    /// A preview fetcher requests the link; not a person.
    pub previewed: bool,
}

/// A status that has happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusSeen {
    /// `sent`, `delivered`, `read` or `failed`.
    pub status: String,
    /// Unix seconds, as in the webhook.
    pub timestamp: u64,
    /// Whether the webhook has acknowledged it.
    pub acknowledged: bool,
}

/// Webhook traffic since the simulator started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookCounts {
    /// POSTs answered with 200.
    pub acknowledged: u64,
    /// POSTs that failed, each attempt counted.
    pub failed_attempts: u64,
    /// POSTs given up after the retry horizon.
    pub abandoned: u64,
    /// Updates inside the acknowledged POSTs, repeats included.
    pub updates_acknowledged: u64,
}

/// Sums over a ledger.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// People who got at least one message.
    pub recipients: u64,
    /// Send requests received, refused ones included.
    #[serde(default)]
    pub received: u64,
    /// Files uploaded.
    #[serde(default)]
    pub uploads: u64,
    /// Messages accepted.
    pub accepted: u64,
    /// Of these: delivered.
    pub delivered: u64,
    /// Read.
    pub read: u64,
    /// Link opened.
    pub clicked: u64,
    /// Answered.
    pub replied: u64,
    /// Answered with STOP.
    pub opted_out: u64,
    /// Failed after acceptance.
    pub failed: u64,
    /// `delivered` never reported although delivered.
    pub delivered_skipped: u64,
}

impl Ledger {
    /// Every accepted message.
    pub fn messages(&self) -> impl Iterator<Item = &LedgerMessage> {
        self.recipients.values().flat_map(|recipient| &recipient.messages)
    }

    /// Sums over all messages.
    #[must_use]
    pub fn totals(&self) -> Totals {
        let received = self.arrivals.values().map(Arrivals::received).sum();
        let (recipients, uploads) = (self.recipients.len() as u64, self.uploads.len() as u64);
        let mut totals = Totals { recipients, received, uploads, ..Totals::default() };
        for LedgerMessage { truth, .. } in self.messages() {
            totals.accepted += 1;
            totals.delivered += u64::from(truth.delivered);
            totals.read += u64::from(truth.read);
            totals.clicked += u64::from(truth.clicked);
            totals.replied += u64::from(truth.replied);
            totals.opted_out += u64::from(truth.opted_out);
            totals.failed += u64::from(truth.failed.is_some());
            totals.delivered_skipped += u64::from(truth.delivered_skipped);
        }
        totals
    }

    /// People who got more than one message with the same callback data: what a sender must never let happen.
    #[must_use]
    pub fn repeated_callback_data(&self) -> Vec<&str> {
        let mut repeated = Vec::new();
        for recipient in self.recipients.values() {
            let mut seen = std::collections::BTreeSet::new();
            for callback in recipient.messages.iter().filter_map(|message| message.callback_data.as_deref()) {
                if !seen.insert(callback) {
                    repeated.push(callback);
                }
            }
        }
        repeated
    }
}
