//! Events as they leave Thirdtick: in the archive, and to whoever has subscribed. One shape for all of them, flat, so that a
//! column store or another program can read it without knowing our rows. It names people by their contact's id and holds no
//! phone number, name or message.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::attempt::Seq;
use crate::campaign::VariantIndex;
use crate::id::{AccountId, CampaignId, ContactId, EventId, WorkspaceId};
use crate::time::{UnixMillis, rfc3339};

/// An event that is published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Published {
    /// The same however often it is published: receivers tell repeats by it.
    pub id: EventId,
    /// What happened, such as `message.delivered`, `link.clicked` or a name of the operator's own.
    #[serde(rename = "type")]
    pub kind: String,
    /// When it happened.
    #[serde(with = "rfc3339")]
    pub at: UnixMillis,
    /// When we took it in.
    #[serde(with = "rfc3339")]
    pub seen: UnixMillis,
    /// Whose it is.
    pub workspace: WorkspaceId,
    /// The business phone number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// The person it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<ContactId>,
    /// The campaign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign: Option<CampaignId>,
    /// The recipient's position within the campaign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<Seq>,
    /// The variant of the campaign's message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<VariantIndex>,
    /// What else is known, by kind of event.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub data: Map<String, Value>,
}
