//! The queues: what travels on each, and how it is put there. Every message is JSON with a `v`ersion and a `kind`.

use std::time::Duration;

use aws_sdk_sqs::error::DisplayErrorContext;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::activity::Click;
use crate::archive::Place;
use crate::blob::{BlobError, Bucket, key};
use crate::campaign::PageNumber;
use crate::collected::Collected;
use crate::id::{AccountId, CampaignId, ContactId, EventId, ImportId, WorkspaceId, ulid_at};
use crate::store::keys::Key;
use crate::subscription::parcel::ParcelKey;
use crate::time::UnixMillis;
use crate::told::ToldEvents;

/// Bodies above this go through the bucket. SQS takes 1 MiB a message (AWS, August 2025); what is left covers the
/// envelope around the body.
pub const INLINE_LIMIT_BYTES: usize = 900 * 1024;

/// The longest delay that SQS can give a message (AWS: 15 minutes).
pub const MAX_DELAY: Duration = Duration::from_secs(900);

/// What came in from outside, on the way to `ingest`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Inbound {
    /// A notification of Meta's whose signature was right, byte for byte.
    MetaWebhook {
        /// When we took it in.
        received_at: UnixMillis,
        /// The raw body; JSON and so UTF-8.
        body: String,
    },
    /// The same, too large for the queue: the body is the object at `key`.
    MetaWebhookObject {
        /// When we took it in.
        received_at: UnixMillis,
        /// Where the body lies in the bucket.
        key: String,
    },
    /// A tracked link was followed.
    Click(Box<Click>),
    /// A web page has reported events.
    Collected(Box<Collected>),
    /// A server has told of events.
    Told(Box<ToldEvents>),
    /// Any other of these, too large for the queue: the message is the object at `key`.
    Overflow {
        /// When we took it in.
        received_at: UnixMillis,
        /// Where the message lies in the bucket.
        key: String,
    },
    /// A message of the archive is taken in once more, because something of it was quarantined.
    Again(Again),
}

/// What was quarantined and is tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Again {
    /// When that was asked for.
    pub asked_at: UnixMillis,
    /// The message it came with.
    pub place: Place,
    /// The rows that are resolved if it is taken in now.
    pub quarantined: Vec<Key>,
}

impl Inbound {
    /// When it was taken in; for a click, when it was followed.
    #[must_use]
    pub fn received_at(&self) -> UnixMillis {
        match self {
            Self::MetaWebhook { received_at, .. } | Self::MetaWebhookObject { received_at, .. } => *received_at,
            Self::Click(click) => click.at,
            Self::Collected(collected) => collected.received_at,
            Self::Told(told) => told.received_at,
            Self::Overflow { received_at, .. } => *received_at,
            Self::Again(again) => again.asked_at,
        }
    }
}

/// [`Inbound::MetaWebhook`] as it is written, without owning the body.
#[derive(Serialize)]
struct InlineWebhook<'a> {
    kind: &'static str,
    received_at: UnixMillis,
    body: &'a str,
}

/// Work for `dispatch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum DispatchCommand {
    /// Look at this campaign: it was started, or one of its pages is done.
    Advance {
        /// Whose it is.
        workspace: WorkspaceId,
        /// Which.
        campaign: CampaignId,
    },
    /// The same after a pause: the sender has dropped the pages that were out, so they are given out again.
    Resume {
        /// Whose it is.
        workspace: WorkspaceId,
        /// Which.
        campaign: CampaignId,
    },
    /// Read the audience of this campaign and lay its pages in the bucket: a job, see [`DispatchCommand::is_job`].
    Plan {
        /// Whose it is.
        workspace: WorkspaceId,
        /// Which.
        campaign: CampaignId,
    },
    /// Take the people out of the table and the bucket whose erasure was asked for: a job.
    Erase {
        /// Whose they are.
        workspace: WorkspaceId,
    },
    /// Go on with this import of contacts: a job.
    Import {
        /// Whose it is.
        workspace: WorkspaceId,
        /// Which.
        import: ImportId,
    },
    /// Go on with the export of what is held about this contact's person: a job.
    Export {
        /// Whose they are.
        workspace: WorkspaceId,
        /// The contact that stands for the person.
        contact: ContactId,
    },
}

impl DispatchCommand {
    /// Whether it is work of minutes, which is noted as a row until it is done: should whoever works on it die, the
    /// watchdog asks for it again.
    #[must_use]
    pub const fn is_job(&self) -> bool {
        matches!(self, Self::Plan { .. } | Self::Import { .. } | Self::Erase { .. } | Self::Export { .. })
    }
}

/// Work for `send`: one page of recipients, or the reply to one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum SendCommand {
    /// Send to every recipient of the page who has not been sent to.
    Page {
        /// Whose it is.
        workspace: WorkspaceId,
        /// Which campaign.
        campaign: CampaignId,
        /// Which page of its audience.
        page: PageNumber,
    },
    /// Look the page's unknown attempts up in Meta's message history.
    Resolve {
        /// Whose it is.
        workspace: WorkspaceId,
        /// Which campaign.
        campaign: CampaignId,
        /// Which page of its audience.
        page: PageNumber,
    },
    /// Tell somebody that their word for or against messages was heard. The message names no person: who it was is in the
    /// word's event.
    Confirm {
        /// Whose it is.
        workspace: WorkspaceId,
        /// Whom the word was told.
        account: AccountId,
        /// The event of the word.
        word: EventId,
    },
}

/// Work for `deliver`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum DeliverCommand {
    /// Post the deliveries of this parcel.
    Parcel {
        /// Which; its row tells whose it is.
        parcel: ParcelKey,
    },
}

/// One queue.
#[derive(Clone, Debug)]
pub struct Queue {
    client: aws_sdk_sqs::Client,
    url: String,
}

/// SQS refused or could not be reached: nothing was queued, retry.
#[derive(Debug, thiserror::Error)]
#[error("the message could not be queued: {0}")]
pub struct QueueUnavailable(String);

/// Why an inbound message is not stored durably: answer with 5xx, so that the sender repeats it.
#[derive(Debug, thiserror::Error)]
pub enum NotDurable {
    /// The queue did not take it.
    #[error(transparent)]
    Queue(#[from] QueueUnavailable),
    /// The bucket did not take a large body.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// It cannot be written as JSON.
    #[error("the message cannot be written as JSON")]
    Json(#[from] serde_json::Error),
}

impl Queue {
    /// The queue at this URL.
    #[must_use]
    pub fn new(client: aws_sdk_sqs::Client, url: impl Into<String>) -> Self {
        Self { client, url: url.into() }
    }

    /// Opens a connection and queues nothing: a batch without messages, which whoever may send may send, and which SQS
    /// refuses. Its answer is of no interest.
    pub async fn open_connection(&self) {
        _ = self.client.send_message_batch().queue_url(&self.url).set_entries(Some(Vec::new())).send().await;
    }

    /// Queues one message; it is durable when this returns.
    ///
    /// # Errors
    /// [`QueueUnavailable`].
    pub async fn send<T: Serialize + Sync>(&self, message: &T, delay: Duration) -> Result<(), QueueUnavailable> {
        let body = serde_json::to_string(message).map_err(|error| QueueUnavailable(error.to_string()))?;
        self.send_text(body, delay).await
    }

    async fn send_text(&self, body: String, delay: Duration) -> Result<(), QueueUnavailable> {
        let seconds = delay.min(MAX_DELAY).as_millis().div_ceil(1_000);
        self.client
            .send_message()
            .queue_url(&self.url)
            .message_body(body)
            .delay_seconds(i32::try_from(seconds).unwrap_or(0))
            .send()
            .await
            .map(|_| ())
            .map_err(|error| QueueUnavailable(DisplayErrorContext(&error).to_string()))
    }

    /// Queues a notification of Meta's; a large body goes to the bucket first and the queue gets its address.
    ///
    /// # Errors
    /// [`NotDurable`]: then nothing may be acknowledged. An object without its queue message is harmless.
    pub async fn send_webhook(&self, bucket: &Bucket, body: String, now: UnixMillis) -> Result<(), NotDurable> {
        // The envelope's escaping can double the size, so the limit is checked on what would be sent.
        let envelope = InlineWebhook { kind: "meta_webhook", received_at: now, body: &body };
        let message = serde_json::to_string(&envelope)?;
        if message.len() <= INLINE_LIMIT_BYTES {
            return Ok(self.send_text(message, Duration::ZERO).await?);
        }
        let key = key::overflow(&now.date(), &ulid_at(now).to_string());
        bucket.put(&key, body, "application/json").await?;
        Ok(self.send(&Inbound::MetaWebhookObject { received_at: now, key }, Duration::ZERO).await?)
    }

    /// Queues what came in; a large message goes to the bucket first and the queue gets its address.
    ///
    /// # Errors
    /// [`NotDurable`]: then nothing may be acknowledged. An object without its queue message is harmless.
    pub async fn send_inbound(&self, bucket: &Bucket, inbound: &Inbound, now: UnixMillis) -> Result<(), NotDurable> {
        let message = serde_json::to_string(inbound)?;
        if message.len() <= INLINE_LIMIT_BYTES {
            return Ok(self.send_text(message, Duration::ZERO).await?);
        }
        let key = key::overflow(&now.date(), &ulid_at(now).to_string());
        bucket.put(&key, message, "application/json").await?;
        Ok(self.send(&Inbound::Overflow { received_at: now, key }, Duration::ZERO).await?)
    }

    /// Makes a message that was received invisible for `delay` from now: it comes back then.
    ///
    /// # Errors
    /// [`QueueUnavailable`]; the message then comes back after the queue's own visibility time-out.
    pub async fn come_back_after(&self, receipt_handle: &str, delay: Duration) -> Result<(), QueueUnavailable> {
        let seconds = delay.as_millis().div_ceil(1_000);
        self.client
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(receipt_handle)
            .visibility_timeout(i32::try_from(seconds).unwrap_or(i32::MAX))
            .send()
            .await
            .map(|_| ())
            .map_err(|error| QueueUnavailable(DisplayErrorContext(&error).to_string()))
    }
}

/// Reads a message's body.
///
/// # Errors
/// When it is not a message of this kind: retrying will not help, it belongs to the dead-letter queue.
pub fn read<T: DeserializeOwned>(body: Option<&str>) -> Result<T, serde_json::Error> {
    serde_json::from_str(body.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_on_the_queues_keep_their_shape() {
        let webhook = Inbound::MetaWebhook { received_at: UnixMillis(7), body: "{\"a\":1}".to_owned() };
        assert_eq!(
            serde_json::to_string(&webhook).unwrap(),
            r#"{"kind":"meta_webhook","received_at":7,"body":"{\"a\":1}"}"#
        );
        let inline = InlineWebhook { kind: "meta_webhook", received_at: UnixMillis(7), body: "{\"a\":1}" };
        assert_eq!(serde_json::to_string(&inline).unwrap(), serde_json::to_string(&webhook).unwrap());
        let page = SendCommand::Page {
            workspace: WorkspaceId::FIRST,
            campaign: "cmp_01J00000000000000000000000".parse().unwrap(),
            page: PageNumber(3),
        };
        assert_eq!(
            serde_json::to_string(&page).unwrap(),
            r#"{"kind":"page","workspace":"wsp_00000000000000000000000001","campaign":"cmp_01J00000000000000000000000","page":3}"#
        );
        assert_eq!(read::<SendCommand>(Some(&serde_json::to_string(&page).unwrap())).unwrap(), page);
        let confirm = SendCommand::Confirm {
            workspace: WorkspaceId::FIRST,
            account: "acc_01J00000000000000000000000".parse().unwrap(),
            word: "evt_01J00000000000000000000000".parse().unwrap(),
        };
        assert_eq!(
            serde_json::to_string(&confirm).unwrap(),
            r#"{"kind":"confirm","workspace":"wsp_00000000000000000000000001","account":"acc_01J00000000000000000000000","word":"evt_01J00000000000000000000000"}"#
        );
        let plan = DispatchCommand::Plan {
            workspace: WorkspaceId::FIRST,
            campaign: "cmp_01J00000000000000000000000".parse().unwrap(),
        };
        assert_eq!(
            serde_json::to_string(&plan).unwrap(),
            r#"{"kind":"plan","workspace":"wsp_00000000000000000000000001","campaign":"cmp_01J00000000000000000000000"}"#
        );
        let import = DispatchCommand::Import {
            workspace: WorkspaceId::FIRST,
            import: "imp_01J00000000000000000000000".parse().unwrap(),
        };
        assert_eq!(
            serde_json::to_string(&import).unwrap(),
            r#"{"kind":"import","workspace":"wsp_00000000000000000000000001","import":"imp_01J00000000000000000000000"}"#
        );
        let export = DispatchCommand::Export {
            workspace: WorkspaceId::FIRST,
            contact: "ctc_01J00000000000000000000000".parse().unwrap(),
        };
        assert_eq!(
            serde_json::to_string(&export).unwrap(),
            r#"{"kind":"export","workspace":"wsp_00000000000000000000000001","contact":"ctc_01J00000000000000000000000"}"#
        );
    }

    #[test]
    fn what_pages_and_servers_tell_keeps_its_shape() {
        let collected = serde_json::json!({
            "kind": "collected", "id": "01J00000000000000000000000", "received_at": 7, "key": "wk_01J00000000000000000000000",
            "workspace": WorkspaceId::FIRST, "user_agent": "Mozilla/5.0", "ip": "203.0.113.7",
            "events": [{"id": "e1", "name": "purchase", "at": 5, "anonymous_id": "a1", "email": "a@shop.example",
                "phone": "+60123456789", "click_id": "x.y", "conversion": true,
                "value": {"amount": 1.5, "currency": "MYR"}, "properties": "{\"n\":[1]}"}],
        });
        let told = serde_json::json!({
            "kind": "told", "id": "01J00000000000000000000000", "received_at": 7, "workspace": WorkspaceId::FIRST,
            "events": [
                {"id": "e1", "at": 5, "contact": {"phone": "+60123456789"}, "fact": {"kind": "assigned", "agent": "kim"}},
                {"at": 5, "fact": {"kind": "own", "name": "refunded", "properties": "{\"n\":1}"}},
            ],
        });
        for golden in [collected, told] {
            let message: Inbound = read(Some(&golden.to_string())).unwrap();
            assert_eq!(serde_json::to_value(&message).unwrap(), golden);
            assert!(!format!("{message:?}").contains("6012"), "a log may show it");
        }
    }

    #[test]
    fn an_event_that_was_erased_leaves_its_place_to_nobody() {
        let collected = serde_json::json!({
            "kind": "collected", "id": "01J00000000000000000000000", "received_at": 7, "key": "wk_01J00000000000000000000000",
            "workspace": WorkspaceId::FIRST, "events": [null, {"name": "purchase", "at": 5}],
        });
        let told = serde_json::json!({
            "kind": "told", "id": "01J00000000000000000000000", "received_at": 7, "workspace": WorkspaceId::FIRST,
            "events": [null, {"at": 5, "fact": {"kind": "assigned", "agent": "kim"}}],
        });
        for golden in [collected, told] {
            let message: Inbound = read(Some(&golden.to_string())).unwrap();
            assert_eq!(serde_json::to_value(&message).unwrap(), golden);
            let places: Vec<usize> = match message {
                Inbound::Collected(collected) => collected.with_places().map(|(place, _)| place).collect(),
                Inbound::Told(told) => told.with_places().map(|(place, _)| place).collect(),
                _ => panic!("neither"),
            };
            assert_eq!(places, [1]);
        }
    }

    #[test]
    fn a_parcel_on_its_queue_keeps_its_shape() {
        let id = "pcl_01J00000000000000000000000".parse().unwrap();
        let command = DeliverCommand::Parcel { parcel: ParcelKey { id, due_at: UnixMillis(7) } };
        let text = r#"{"kind":"parcel","parcel":{"id":"pcl_01J00000000000000000000000","due_at":7}}"#;
        assert_eq!(serde_json::to_string(&command).unwrap(), text);
        assert_eq!(read::<DeliverCommand>(Some(text)).unwrap(), command);
    }

    #[test]
    fn another_message_is_refused() {
        assert!(read::<SendCommand>(Some(r#"{"kind":"click"}"#)).is_err());
        assert!(read::<SendCommand>(None).is_err());
    }
}
