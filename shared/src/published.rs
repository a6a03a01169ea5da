//! Events as they leave Thirdtick: in the archive, and to whoever has subscribed. One shape for all of them, flat, so that a
//! column store or another program can read it without knowing our rows. It names people by their contact's id and holds no
//! phone number, name or message.
//!
//! An event follows from a row alone: an attempt stands for one event for each thing that is known of it
//! ([`of_attempt`]), a row of the feed for itself ([`of_event`]). What a change of a row publishes is the difference
//! ([`changes`]), so a stream that repeats itself publishes the same events under the same ids.

mod attempt;
mod event;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::attempt::Seq;
use crate::campaign::VariantIndex;
use crate::id::{AccountId, CampaignId, ContactId, EventId, WorkspaceId};
use crate::time::{UnixMillis, rfc3339};

pub use self::attempt::of_attempt;
pub use self::event::of_event;

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

/// An event that a change of a row publishes.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// As it is now.
    pub event: Published,
    /// It was published before and is told better now: an earlier time, a report in place of an inference, an amount. This
    /// is the time it had. Absent for an event that is new.
    pub was: Option<UnixMillis>,
}

impl Change {
    /// Whether the event was not published before.
    #[must_use]
    pub const fn is_new(&self) -> bool {
        self.was.is_none()
    }
}

/// What a row that stood for `old` and stands for `new` publishes. An event that the row stands for no longer, such as the
/// failure of a try that another one follows, did happen all the same and is not taken back.
#[must_use]
pub fn changes(old: &[Published], new: Vec<Published>) -> Vec<Change> {
    new.into_iter()
        .filter_map(|event| match old.iter().find(|before| before.id == event.id) {
            None => Some(Change { event, was: None }),
            Some(before) if *before == event => None,
            Some(before) => Some(Change { was: Some(before.at), event }),
        })
        .collect()
}
