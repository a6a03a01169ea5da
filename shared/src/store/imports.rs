//! Rows of imports of contacts.

use super::expression::{Update, Updated};
use super::{Core, Item, StoreError, keys, number, text, write};
use crate::id::{ImportId, WorkspaceId};
use crate::import::{Import, ImportStatus};

impl Core {
    /// Writes a new import; `false` when there is one with this id, as after a repeated request.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn create_import(&self, import: &Import) -> Result<bool, StoreError> {
        let key = keys::import(import.workspace, import.id);
        self.put_new("import", key, import, Item::new()).await.map(|put| put.is_new())
    }

    /// An import.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn import(&self, workspace: WorkspaceId, import: ImportId) -> Result<Option<Import>, StoreError> {
        self.get("import", keys::import(workspace, import)).await
    }

    /// Writes what an import has come to, unless somebody else has brought it further, or to its end.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn advance_import(&self, before: &Import, next: &Import) -> Result<bool, StoreError> {
        let key = keys::import(next.workspace, next.id);
        let mut update = Update::default();
        let row = write("import", key.clone(), next)?;
        for (name, value) in row.into_iter().filter(|(name, _)| name != "pk" && name != "sk") {
            update.set(&name, value);
        }
        update.only_if_equal("batches", number(i64::from(before.batches)));
        update.only_if_equal("status", text(RUNNING));
        Ok(matches!(self.update(key, update).await?, Updated::Done(_)))
    }

    /// Notes that an import cannot go on; `false` when it has come to its end already.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn fail_import(&self, import: &Import, reason: &str) -> Result<bool, StoreError> {
        let failed = Import { status: ImportStatus::Failed, failed: Some(reason.to_owned()), ..import.clone() };
        self.advance_import(import, &failed).await
    }
}

/// [`ImportStatus::Running`] as stored.
const RUNNING: &str = "running";
