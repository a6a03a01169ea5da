//! Taking people out of the files: their rows stay, for they are counted, but name nobody any more.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::{FutureExt, StreamExt, TryStreamExt};
use shared::blob::BlobError;
use shared::blob::files::Replaced;
use shared::id::ContactId;
use tokio::runtime::Handle;

use crate::merge::{Merged, rewrite};
use crate::partition::{FILES, Partition};
use crate::remote::Remote;
use crate::row::{Row, column};
use crate::{AT_ONCE, Copied, Warehouse, WarehouseError, busy, readable};

/// Files that are written anew at once: each is on the disk twice.
const REWRITES_AT_ONCE: usize = 2;

/// What an erasure has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Files that were written anew.
    pub files: usize,
    /// Rows that named one of the people.
    pub rows: usize,
    /// Keys of what cannot be read, and so may name them still: files, with what is staged for their hours, and staged
    /// objects.
    pub unreadable: BTreeSet<String>,
}

/// The people as the rows name them.
pub(crate) fn names(contacts: &BTreeSet<ContactId>) -> BTreeSet<String> {
    contacts.iter().map(ToString::to_string).collect()
}

/// Whether a row is one of theirs: one that an erasure changes and an export shows.
pub(crate) fn is_theirs(row: &Row, names: &BTreeSet<String>) -> bool {
    row.text(column::CONTACT).is_some_and(|contact| names.contains(contact))
}

impl Warehouse {
    /// Takes these people out of every file: their rows lose the contact, what they used (device, system, browser,
    /// country) and all data, and keep what is counted. Everything that is staged is merged first. Rows that are published
    /// later are not known here: the rows of CORE have to be rid of the people before, and the stream read to its end. What
    /// can never be read is passed over and named in the answer.
    ///
    /// # Errors
    /// [`WarehouseError`] of what may pass. Trying again goes on where it stopped; it is done when it returns without one.
    pub async fn erase(&self, contacts: &BTreeSet<ContactId>) -> Result<Erased, WarehouseError> {
        let mut erased = Erased { unreadable: self.merged().await?, ..Erased::default() };
        let contacts = Arc::new(contacts.clone());
        let mut after: Option<String> = None;
        loop {
            let keys = self.bucket.keys(FILES, after.as_deref()).await?;
            let Some(last) = keys.last() else { return Ok(erased) };
            after = Some(last.clone());
            let files = keys.into_iter().filter(|key| Partition::of_key(key).is_some());
            let named = futures::stream::iter(files)
                .map(|key| self.may_name(key, &contacts))
                .buffer_unordered(AT_ONCE)
                .try_filter_map(|found| std::future::ready(Ok(found)));
            let rows = named
                .map_ok(|key| self.erase_in(key, &contacts).map(readable))
                .try_buffer_unordered(REWRITES_AT_ONCE)
                .try_collect::<Vec<Result<usize, String>>>()
                .await?;
            for rows in rows {
                match rows {
                    Ok(rows) => {
                        erased.files += usize::from(rows > 0);
                        erased.rows += rows;
                    }
                    Err(key) => _ = erased.unreadable.insert(key),
                }
            }
        }
    }

    /// The key of a file that may name one of them.
    pub(crate) async fn may_name(
        &self,
        key: String,
        contacts: &Arc<BTreeSet<ContactId>>,
    ) -> Result<Option<String>, WarehouseError> {
        let stored = match self.bucket.head(&key).await {
            Err(BlobError::NotFound { .. }) => return Ok(None),
            stored => stored?,
        };
        let remote = Remote {
            bucket: self.bucket.clone(),
            key: key.clone(),
            bytes: stored.bytes,
            etag: stored.etag,
            runtime: Handle::current(),
        };
        let contacts = Arc::clone(contacts);
        // A file that is replaced in this moment is looked at as a whole.
        let named = busy(&key, move || Ok(remote.may_name(&contacts).unwrap_or(true))).await?;
        Ok(named.then_some(key))
    }

    /// How many rows of the file named one of them.
    async fn erase_in(&self, key: String, contacts: &Arc<BTreeSet<ContactId>>) -> Result<usize, WarehouseError> {
        loop {
            let Some(Copied { file, etag }) = self.copy(&key).await? else { return Ok(0) };
            let names = names(contacts);
            let change = move |row: &mut Row| {
                let is_theirs = is_theirs(row, &names);
                if is_theirs {
                    row.erase();
                }
                is_theirs
            };
            let Some(Merged { file, rows }) = busy(&key, move || rewrite(&file, change)).await? else { return Ok(0) };
            if self.replace(&key, etag.as_deref(), &file).await? == Replaced::Written {
                return Ok(rows);
            }
        }
    }
}
