//! Events that the operator's own servers tell, on their way from `POST /v1/events` to `ingest`.

use std::fmt;

use serde::{Deserialize, Serialize};
use ulid::Ulid;

use crate::activity::custom::{AssignedReport, EventName, Properties, ResolvedReport, SentReport};
use crate::attempt::Money;
use crate::id::{AccountId, ContactId, WorkspaceId};
use crate::phone::PhoneNumber;
use crate::time::UnixMillis;

/// What one request has told.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct ToldEvents {
    /// Made by `api`; the same for every run of the same request and on every delivery of this message.
    pub id: Ulid,
    /// When it was taken in.
    pub received_at: UnixMillis,
    /// Whose it is.
    pub workspace: WorkspaceId,
    /// At least one; none in the place of one that was erased, for an event without an id is named by its place.
    pub events: Vec<Option<ToldEvent>>,
}

impl ToldEvents {
    /// The events that are not erased, each with its place.
    pub fn with_places(&self) -> impl Iterator<Item = (usize, &ToldEvent)> {
        self.events.iter().enumerate().filter_map(|(place, event)| Some((place, event.as_ref()?)))
    }
}

impl fmt::Debug for ToldEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ToldEvents({}: {} events)", self.id, self.events.len())
    }
}

/// One event. Whom it concerns is personal, so its `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct ToldEvent {
    /// The sender's own id of it: the same id is the same event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// When it happened.
    pub at: UnixMillis,
    /// The account it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// Whom it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<Person>,
    /// What the link that led to it had appended as `tt_cid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub click_id: Option<String>,
    /// What happened.
    pub fact: Fact,
}

impl fmt::Debug for ToldEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ToldEvent(…)")
    }
}

/// A person, by one or more of the names under which they are known.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Our id of the contact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<ContactId>,
    /// Their number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<PhoneNumber>,
    /// Meta's business-scoped user id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// Their e-mail address, trimmed and in lower case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The browser they use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anonymous_id: Option<String>,
}

/// What happened.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fact {
    /// An agent has the conversation.
    Assigned(AssignedReport),
    /// The conversation was settled.
    Resolved(ResolvedReport),
    /// A message went to the person through another tool.
    Sent(SentReport),
    /// Something in the sender's own words.
    Own(OwnFact),
}

/// Something in the sender's own words.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct OwnFact {
    /// Its name.
    pub name: EventName,
    /// Whether it is what the operator is after.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub conversion: bool,
    /// What it was worth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Money>,
    /// What else is told.
    #[serde(default, skip_serializing_if = "Properties::is_empty")]
    pub properties: Properties,
}
