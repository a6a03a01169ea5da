//! Deleting a person: the contacts, what they are found by and whose their identifiers are. A no outlives them, so that
//! nobody writes to them who finds the number elsewhere. What they did stays, as events of a contact that is not there any
//! more; erasing that is another matter.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::{Delete, TransactWriteItem};

use super::rows::{AliasRow, Committed, too_many_writers};
use super::{Known, TRIES, pause};
use crate::contact::alias::Alias;
use crate::contact::{Consent, Contact};
use crate::id::{ContactId, WorkspaceId};
use crate::store::{Core, StoreError, keys, number};
use crate::time::UnixMillis;

impl Core {
    /// Deletes a contact, the one it was merged into and all that were; `false` when there is none. A repeat finishes what
    /// one has begun that was cut off: the contact that stays goes last, and nothing is added to any of them before.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn delete_contact(
        &self,
        workspace: WorkspaceId,
        contact: ContactId,
        at: UnixMillis,
    ) -> Result<bool, StoreError> {
        let Some(root) = self.mark_deleted(workspace, contact, at).await? else { return Ok(false) };
        // With the mark nobody merges anything into it, so the family does not grow any more.
        let Some(family) = self.family_of(workspace, root).await? else { return Ok(false) };
        for member in family.absorbed.iter().chain([&family.root]) {
            let Some(member) = self.mark(workspace, member.id, at).await? else { continue };
            for known in self.aliases_of_contact(workspace, member.id).await? {
                self.drop_alias(workspace, &known).await?;
            }
            self.delete_rows(workspace, &member).await?;
        }
        Ok(true)
    }

    /// Deletes the contact's row and what it is found by.
    async fn delete_rows(&self, workspace: WorkspaceId, contact: &Contact) -> Result<(), StoreError> {
        for attempt in 0..TRIES {
            pause(attempt).await;
            // A hundred parts are what a transaction takes (DynamoDB, TransactWriteItems); a contact is found by less.
            let mut parts = self.unindex_all(workspace, contact)?;
            parts.push(self.delete(keys::contact(workspace, contact.id))?);
            if matches!(self.commit(parts).await?, Committed::Yes) {
                return Ok(());
            }
        }
        Err(too_many_writers())
    }

    /// Marks the contact that stays; its id.
    async fn mark_deleted(
        &self,
        workspace: WorkspaceId,
        contact: ContactId,
        at: UnixMillis,
    ) -> Result<Option<ContactId>, StoreError> {
        for attempt in 0..TRIES {
            pause(attempt).await;
            let Some(root) = self.root_row(workspace, contact).await? else { return Ok(None) };
            let Some(marked) = self.mark(workspace, root.id, at).await? else { continue };
            // Merged into another in between, it does not stay any more.
            if marked.merged_into.is_none() {
                return Ok(Some(marked.id));
            }
        }
        Err(too_many_writers())
    }

    async fn mark(
        &self,
        workspace: WorkspaceId,
        contact: ContactId,
        at: UnixMillis,
    ) -> Result<Option<Contact>, StoreError> {
        for attempt in 0..TRIES {
            pause(attempt).await;
            let Some(found) = self.contact(workspace, contact).await? else { return Ok(None) };
            if found.deleted_at.is_some() {
                return Ok(Some(found));
            }
            let marked = Contact { deleted_at: Some(at), ..found.clone() };
            let part = self.contact_change(workspace, Some(&found), &marked)?;
            if matches!(self.commit(vec![part]).await?, Committed::Yes) {
                return Ok(Some(marked));
            }
        }
        Err(too_many_writers())
    }

    /// Takes an identifier from its contact. Its row goes, unless it holds a no.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn drop_alias(&self, workspace: WorkspaceId, known: &Known) -> Result<(), StoreError> {
        let alias: &Alias = &known.alias;
        for attempt in 0..TRIES {
            pause(attempt).await;
            let rows = self.alias_rows(workspace, std::slice::from_ref(alias)).await?;
            let row = rows.into_iter().next().flatten();
            let mut parts = vec![self.delete(keys::contact_alias(workspace, known.contact, alias))?];
            if let Some(row) = row.filter(|row| row.contact == Some(known.contact)) {
                let says_no = Consent::from(row.clone()).is_opted_out();
                let rest = AliasRow {
                    contact: None,
                    opt_in: None,
                    linked: BTreeSet::new(),
                    since: None,
                    moved_to: None,
                    until: None,
                    ..row.clone()
                };
                if says_no {
                    parts.push(self.alias_change(workspace, alias, Some(&row), &rest)?);
                } else {
                    parts.push(self.delete_alias(workspace, alias, row.revision)?);
                }
            }
            if matches!(self.commit(parts).await?, Committed::Yes) {
                return Ok(());
            }
        }
        Err(too_many_writers())
    }

    /// Deletes an identifier's row as it was read: a word that was given since must not be lost.
    fn delete_alias(
        &self,
        workspace: WorkspaceId,
        alias: &Alias,
        revision: u32,
    ) -> Result<TransactWriteItem, StoreError> {
        let delete = Delete::builder()
            .table_name(&self.table)
            .set_key(Some(keys::alias(workspace, alias).item()))
            .condition_expression("#revision = :revision")
            .expression_attribute_names("#revision", "revision")
            .expression_attribute_values(":revision", number(i64::from(revision)))
            .build()
            .map_err(|error| StoreError::Unavailable { operation: "TransactWriteItems", message: error.to_string() })?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }
}
