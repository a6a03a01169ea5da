//! Rows of the activity feed.

use aws_sdk_dynamodb::types::{Put, TransactWriteItem};

use super::{Core, Item, StoreError, keys, text, write};
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
        self.put_new("event", key, event, list(workspace, event)).await.map(|_| ())
    }

    /// An event of the workspace and of none of its accounts, as part of a transaction that fails if it is there.
    pub(super) fn event_in_transaction(
        &self,
        workspace: WorkspaceId,
        event: &Event,
    ) -> Result<TransactWriteItem, StoreError> {
        let mut item = write("event", keys::event(Some(workspace), None, event.id, event.at), event)?;
        item.extend(list(Some(workspace), event));
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk)")
            .build()
            .map_err(|error| StoreError::Unavailable { operation: "TransactWriteItems", message: error.to_string() })?;
        Ok(TransactWriteItem::builder().put(put).build())
    }
}

/// What puts an event into its contact's list.
fn list(workspace: Option<WorkspaceId>, event: &Event) -> Item {
    match (workspace, event.contact) {
        (Some(workspace), Some(contact)) => {
            Item::from([("list".to_owned(), text(&keys::contact_events_list(workspace, contact)))])
        }
        _ => Item::new(),
    }
}
