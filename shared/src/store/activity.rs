//! Rows of the activity feed.

use super::{Core, StoreError, keys, text};
use crate::activity::Event;
use crate::id::{AccountId, EventId, WorkspaceId};
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
        let list = match (workspace, account, event.contact) {
            (Some(workspace), _, Some(contact)) => Some(keys::contact_events_list(workspace, contact)),
            (Some(workspace), Some(account), None) if event.content.is_notice() => {
                Some(keys::notices_list(workspace, account))
            }
            _ => None,
        };
        let list = list.map(|list| ("list".to_owned(), text(&list))).into_iter().collect();
        self.put_new("event", key, event, list).await.map(|_| ())
    }

    /// An event whose id was made from its time ([`crate::activity::id_of`]).
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn event(
        &self,
        workspace: WorkspaceId,
        account: AccountId,
        id: EventId,
    ) -> Result<Option<Event>, StoreError> {
        let at = UnixMillis(i64::try_from(id.ulid().timestamp_ms()).unwrap_or(i64::MAX));
        self.get("event", keys::event(Some(workspace), Some(account), id, at)).await
    }
}
