//! Rows of the activity feed.

use aws_sdk_dynamodb::types::{Put as TransactPut, TransactWriteItem};

use super::expression::Update;
use super::{Core, Item, Put, StoreError, keys, number, text, write};
use crate::activity::{Content, Event};
use crate::archive::Place;
use crate::id::{AccountId, EventId, WorkspaceId};
use crate::time::UnixMillis;

/// Attribute that says where in the archive the message lies that a row was made of. A row without it was not made of one,
/// and cannot be made again from there.
pub(super) const ARCHIVED: &str = "archived";

impl Core {
    /// Writes an event once; a repeat changes nothing. `route` is `None` for what names no account of ours. What concerns a
    /// contact is in the contact's list as well.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn record_event(&self, route: Option<(WorkspaceId, AccountId)>, event: &Event) -> Result<(), StoreError> {
        let (workspace, account) = route.unzip();
        self.record_archived_event(workspace, account, event, None).await
    }

    /// The same for what concerns a workspace and none of its accounts.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn record_workspace_event(&self, workspace: WorkspaceId, event: &Event) -> Result<(), StoreError> {
        self.record_archived_event(Some(workspace), None, event, None).await
    }

    /// The same for an event that was made of a message of the archive. Of a repeat the earlier `seen` is kept, whichever
    /// was taken in first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn record_archived_event(
        &self,
        workspace: Option<WorkspaceId>,
        account: Option<AccountId>,
        event: &Event,
        place: Option<&Place>,
    ) -> Result<(), StoreError> {
        let key = keys::event(workspace, account, event.id, event.at);
        let mut more = self.expiry(event.content.retained_as(), event.at);
        more.extend(list(workspace, account, event));
        more.extend(place.map(|place| (ARCHIVED.to_owned(), text(&place.to_string()))));
        let Put::There(known) = self.put_new("event", key.clone(), event, more).await? else { return Ok(()) };
        let seen_before = known.get("seen").and_then(|seen| seen.as_n().ok()?.parse::<i64>().ok());
        if seen_before.is_some_and(|seen| seen > event.seen.0) {
            let mut update = Update::default();
            update.set("seen", number(event.seen.0));
            let (seen, earlier) = (update.name("seen"), update.value(number(event.seen.0)));
            update.only_if(format!("{seen} > {earlier}"));
            self.update(key, update).await?;
        }
        Ok(())
    }

    /// An event whose id was made from its time ([`crate::activity::id_of`]); `account` is `None` for what concerns none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn event(
        &self,
        workspace: WorkspaceId,
        account: Option<AccountId>,
        id: EventId,
    ) -> Result<Option<Event>, StoreError> {
        let at = UnixMillis(i64::try_from(id.ulid().timestamp_ms()).unwrap_or(i64::MAX));
        self.get("event", keys::event(Some(workspace), account, id, at)).await
    }

    /// An event of the workspace and of none of its accounts, as part of a transaction that fails if it is there.
    pub(super) fn event_in_transaction(
        &self,
        workspace: WorkspaceId,
        event: &Event,
    ) -> Result<TransactWriteItem, StoreError> {
        let mut item = write("event", keys::event(Some(workspace), None, event.id, event.at), event)?;
        item.extend(list(Some(workspace), None, event));
        let put = TransactPut::builder()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk)")
            .build()
            .map_err(|error| StoreError::Unavailable { operation: "TransactWriteItems", message: error.to_string() })?;
        Ok(TransactWriteItem::builder().put(put).build())
    }
}

/// What puts an event into its contact's list, into that of the account's notices, or into that of what waits for a fix.
fn list(workspace: Option<WorkspaceId>, account: Option<AccountId>, event: &Event) -> Item {
    let list = match (&event.content, workspace, event.contact) {
        (Content::MetaQuarantined { .. }, ..) => Some(keys::quarantined_list(workspace)),
        (_, Some(workspace), Some(contact)) => Some(keys::contact_events_list(workspace, contact)),
        (content, Some(workspace), None) if content.is_notice() => {
            account.map(|account| keys::notices_list(workspace, account))
        }
        _ => None,
    };
    list.map(|list| ("list".to_owned(), text(&list))).into_iter().collect()
}
