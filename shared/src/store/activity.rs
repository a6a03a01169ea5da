//! Rows of the activity feed.

use super::{Core, StoreError, keys, text};
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
        let key = keys::event(workspace, account, event.id, event.at);
        let mut more = self.expiry(event.content.retained_as(), event.at);
        if let (Some(workspace), Some(contact)) = (workspace, event.contact) {
            more.insert("list".to_owned(), text(&keys::contact_events_list(workspace, contact)));
        }
        self.put_new("event", key, event, more).await.map(|_| ())
    }
}
