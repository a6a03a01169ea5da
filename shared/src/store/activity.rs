//! Rows of the activity feed.

use super::{Core, Item, StoreError, keys};
use crate::activity::Event;
use crate::id::{AccountId, WorkspaceId};

impl Core {
    /// Writes an event once; a repeat changes nothing. `route` is `None` for what names no account of ours.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn record_event(&self, route: Option<(WorkspaceId, AccountId)>, event: &Event) -> Result<(), StoreError> {
        let (workspace, account) = route.unzip();
        let key = keys::event(workspace, account, event.id, event.at);
        self.put_new("event", key, event, Item::new()).await.map(|_| ())
    }
}
