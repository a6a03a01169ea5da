//! Rows of the publishable keys of web pages.

use super::expression::{Update, Updated};
use super::{Core, Item, Listed, StoreError, keys, number, read, text};
use crate::collected::WriteKey;
use crate::id::{WorkspaceId, WriteKeyId};
use crate::time::UnixMillis;

impl Core {
    /// Writes a new key; `false` when it is there already, from an earlier run of the same request.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn create_write_key(&self, key: &WriteKey) -> Result<bool, StoreError> {
        let list = Item::from([("list".to_owned(), text(&keys::write_key_list(key.workspace)))]);
        self.put_new("write key", keys::write_key(key.id), key, list).await.map(|put| put.is_new())
    }

    /// A key, revoked or not.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn write_key(&self, id: WriteKeyId) -> Result<Option<WriteKey>, StoreError> {
        self.get("write key", keys::write_key(id)).await
    }

    /// A workspace's keys, newest first, those older than `before` if given.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn write_keys(
        &self,
        workspace: WorkspaceId,
        before: Option<WriteKeyId>,
        limit: usize,
    ) -> Result<Listed<WriteKey>, StoreError> {
        let before = before.map(keys::write_key);
        let list = keys::write_key_list(workspace);
        self.listed("write key", &list, before, limit, |key: &WriteKey| std::cmp::Reverse(key.id)).await
    }

    /// Revokes a key of this workspace; `None` when it has no such key. The first revocation is the one that is kept.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn revoke_write_key(
        &self,
        workspace: WorkspaceId,
        id: WriteKeyId,
        now: UnixMillis,
    ) -> Result<Option<WriteKey>, StoreError> {
        let mut update = Update::default();
        update.set_if_absent("revoked_at", number(now.0));
        update.only_if_equal("workspace", text(&workspace.to_string()));
        match self.update(keys::write_key(id), update).await? {
            Updated::Done(item) => read("write key", item).map(Some),
            Updated::Refused(_) => Ok(None),
        }
    }
}
