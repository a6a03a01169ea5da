//! The activity feed: immutable events, each written once under an id that follows from what happened, so that taking it
//! in again changes nothing.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use ulid::Ulid;

use crate::attempt::{AttemptKey, Seq, Shard};
use crate::campaign::VariantIndex;
use crate::id::{AccountId, CampaignId, ContactId, EventId, WebhookId, WorkspaceId};
use crate::link::code::LinkId;
use crate::time::UnixMillis;

/// Partitions a day of an account's events is spread over.
pub const SHARDS: u8 = 8;

/// A tracked link was followed, as `redirect` queues it. The IP address and the user agent are used for enrichment by
/// `ingest` and are not stored as they are.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Click {
    /// Made by `redirect`; the same on every delivery of this message.
    pub id: EventId,
    /// The link.
    pub link: LinkId,
    /// Whose it is.
    pub workspace: WorkspaceId,
    /// The account of the campaign.
    pub account: AccountId,
    /// The campaign.
    pub campaign: CampaignId,
    /// Where the recipient's attempt lies; absent for the shared code of the link.
    pub recipient: Option<(Shard, Seq)>,
    /// When.
    pub at: UnixMillis,
    /// `GET` or `HEAD`.
    pub method: String,
    /// The user agent, at most 512 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// The visitor's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// Country as a trusted edge tells it (ISO 3166 alpha-2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// `Sec-Purpose`, `Purpose` or `X-Moz`: the browser says that nobody has clicked yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub prefetch: bool,
}

impl Click {
    /// The recipient's attempt, if the code was a recipient's own.
    #[must_use]
    pub fn attempt(&self) -> Option<AttemptKey> {
        let (shard, seq) = self.recipient?;
        Some(AttemptKey { workspace: self.workspace, campaign: self.campaign, shard, seq })
    }
}

impl std::fmt::Debug for Click {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Click({})", self.id)
    }
}

/// Who followed a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "visitor", rename_all = "snake_case")]
pub enum Visitor {
    /// A person, as far as can be told.
    Human {
        /// `mobile`, `tablet`, `desktop` or `other`.
        device: String,
        /// Operating system.
        os: String,
        /// Browser, or the app whose built-in browser it was.
        browser: String,
    },
    /// A machine: not counted as a person, but recorded.
    Machine {
        /// Which rule said so.
        reason: String,
    },
}

/// The JSON of an item as it was kept.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// In the row itself.
    Inline(String),
    /// Too long for a row: the object at this key of the bucket.
    Object(String),
}

impl Kept {
    /// Bytes of the row that it takes.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Self::Inline(text) | Self::Object(text) => text.len(),
        }
    }

    /// Whether nothing is kept.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What an event of the feed says.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Content {
    /// A tracked link was followed.
    #[serde(rename = "link.clicked")]
    LinkClicked {
        /// The link.
        link: LinkId,
        /// The campaign.
        campaign: CampaignId,
        /// The recipient, if the code was their own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        recipient: Option<Seq>,
        /// A person or a machine.
        #[serde(flatten)]
        visitor: Visitor,
        /// ISO 3166 alpha-2; absent when unknown.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        country: Option<String>,
    },
    /// A person wrote to the account.
    #[serde(rename = "message.received")]
    MessageReceived {
        /// Meta's message id.
        wamid: String,
        /// The sender's `wa_id`; absent when they hide their number.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<String>,
        /// Meta's type, such as `text`.
        kind: String,
        /// The attempt it answers, if one can be told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        campaign: Option<CampaignId>,
        /// The recipient within that campaign.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        recipient: Option<Seq>,
        /// The item as Meta sent it, for whoever needs its contents.
        raw: Kept,
    },
    /// Anything else that Meta reported: kept as it came, under the name of its field.
    #[serde(rename = "meta.reported")]
    MetaReported {
        /// Meta's field, such as `account_update`.
        field: String,
        /// What we took it for.
        kind: String,
        /// The item as Meta sent it.
        raw: Kept,
    },
    /// An item that could not be read; it can be taken in again after a fix.
    #[serde(rename = "meta.quarantined")]
    MetaQuarantined {
        /// Meta's field.
        field: String,
        /// Why.
        reason: String,
        /// The item as Meta sent it.
        raw: Kept,
    },
    /// A subscription to events was switched off, for nothing arrived any more.
    #[serde(rename = "webhook.disabled")]
    WebhookDisabled {
        /// The subscription.
        webhook: WebhookId,
        /// For people.
        reason: String,
    },
}

impl Content {
    /// The event's type as the feed shows it.
    #[must_use]
    pub const fn kind(&self) -> &str {
        match self {
            Self::LinkClicked { .. } => "link.clicked",
            Self::MessageReceived { .. } => "message.received",
            Self::MetaReported { .. } => "meta.reported",
            Self::MetaQuarantined { .. } => "meta.quarantined",
            Self::WebhookDisabled { .. } => "webhook.disabled",
        }
    }
}

/// An event of the feed.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Version of the stored shape.
    pub v: u8,
    /// Follows from what happened.
    pub id: EventId,
    /// When it happened.
    pub at: UnixMillis,
    /// When we took it in.
    pub seen: UnixMillis,
    /// The person it concerns, as known when it was taken in; who was merged with whom since is on the contacts' rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<ContactId>,
    /// The variant of the campaign's message, where it matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<VariantIndex>,
    /// What it says.
    #[serde(flatten)]
    pub content: Content,
}

impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Event({} {})", self.id, self.content.kind())
    }
}

/// The id of an event that carries no id of ours: the same for the same identity at the same time, whoever computes it.
/// `identity` is what makes the event unique, such as a wamid.
#[must_use]
pub fn id_of(at: UnixMillis, identity: &[&str]) -> EventId {
    let mut hash = Sha256::new();
    for part in identity {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let digest = hash.finalize();
    let mut random = [0_u8; 16];
    random.copy_from_slice(&digest[..16]);
    EventId::from_ulid(Ulid::from_parts(at.0.max(0).unsigned_abs(), u128::from_be_bytes(random)))
}

/// The partition an event goes to.
#[must_use]
pub fn shard_of(id: EventId) -> Shard {
    Shard(u8::try_from(id.ulid().random() % u128::from(SHARDS)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_happening_has_the_same_id() {
        let at = UnixMillis(1_790_000_000_000);
        assert_eq!(id_of(at, &["wamid.a", "text"]), id_of(at, &["wamid.a", "text"]));
        assert_ne!(id_of(at, &["wamid.a", "text"]), id_of(at, &["wamid.at", "ext"]));
    }

    #[test]
    fn a_stored_click_keeps_its_shape() {
        let event = Event {
            v: 1,
            id: id_of(UnixMillis(1), &["x"]),
            at: UnixMillis(1),
            seen: UnixMillis(2),
            contact: None,
            variant: None,
            content: Content::LinkClicked {
                link: LinkId::new(7).unwrap(),
                campaign: "cmp_01J00000000000000000000000".parse().unwrap(),
                recipient: Some(Seq(3)),
                visitor: Visitor::Machine { reason: "preview".to_owned() },
                country: None,
            },
        };
        let json = serde_json::to_value(&event).unwrap();
        assert_eq!(json["type"], "link.clicked");
        assert_eq!(json["visitor"], "machine");
        assert_eq!(serde_json::from_value::<Event>(json).unwrap(), event);
    }
}
