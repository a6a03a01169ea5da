//! Rows of the activity feed.

use super::{Core, Item, StoreError, keys, text};
use crate::activity::Event;
use crate::id::{AccountId, WorkspaceId};

impl Core {
    /// Writes an event once; a repeat changes nothing. `route` is `None` for what names no account of ours. What concerns a
    /// contact is in the contact's list as well.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn record_event(&self, route: Option<(WorkspaceId, AccountId)>, event: &Event) -> Result<(), StoreError> {
        let (workspace, account) = route.unzip();
        self.record(workspace, account, event).await
    }

    /// The same for what concerns a workspace and none of its accounts.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn record_workspace_event(&self, workspace: WorkspaceId, event: &Event) -> Result<(), StoreError> {
        self.record(Some(workspace), None, event).await
    }

    async fn record(
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
}
