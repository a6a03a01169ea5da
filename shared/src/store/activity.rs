//! Rows of the activity feed.

use std::time::Duration;

use serde::Deserialize;

use super::expression::{Update, Updated};
use super::schema::TTL_ATTRIBUTE;
use super::{Core, Item, StoreError, keys, number, read, text};
use crate::activity::Event;
use crate::activity::custom::Source;
use crate::id::{AccountId, WorkspaceId};
use crate::time::UnixMillis;

impl Core {
    /// Writes an event once; a repeat changes nothing. `route` is `None` for what names no account of ours. What concerns a
    /// contact is in the contact's list as well.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn record_event(&self, route: Option<(WorkspaceId, AccountId)>, event: &Event) -> Result<(), StoreError> {
        let (workspace, account) = route.unzip();
        self.record_event_of(workspace, account, event).await
    }

    /// The same for what may belong to a workspace and to none of its accounts.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn record_event_of(
        &self,
        workspace: Option<WorkspaceId>,
        account: Option<AccountId>,
        event: &Event,
    ) -> Result<(), StoreError> {
        let key = keys::event(workspace, account, event.id, event.at);
        let list = match (workspace, event.contact) {
            (Some(workspace), Some(contact)) => {
                Item::from([("list".to_owned(), text(&keys::contact_events_list(workspace, contact)))])
            }
            _ => Item::new(),
        };
        self.put_new("event", key, event, list).await.map(|_| ())
    }

    /// When an event happened whose sender has given it this id: what was told with the id first, for an event's time is part
    /// of its key, and the same id is the same event whatever time is told with a repeat. Kept for [`OWN_IDS_KEPT`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn time_of_own_id(
        &self,
        workspace: WorkspaceId,
        source: Source,
        own_id: &str,
        told: UnixMillis,
        now: UnixMillis,
    ) -> Result<UnixMillis, StoreError> {
        let mut update = Update::default();
        update.set_if_absent("v", number(1));
        update.set_if_absent("at", number(told.0));
        update.set_if_absent(TTL_ATTRIBUTE, number(now.plus(OWN_IDS_KEPT).seconds()));
        match self.update(keys::own_event_id(workspace, source, own_id), update).await? {
            Updated::Done(item) | Updated::Refused(item) => Ok(read::<OwnId>("event id", item)?.at),
        }
    }
}

/// So long after an event was told first, a repeat with another time is known to be one. A repeat with the same time always is.
pub const OWN_IDS_KEPT: Duration = Duration::from_secs(90 * 86_400);

#[derive(Deserialize)]
struct OwnId {
    at: UnixMillis,
}
