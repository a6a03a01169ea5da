//! The rows of people in the files, to be shown to them: the same that an erasure takes them out of.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::{FutureExt, StreamExt, TryStreamExt};
use serde_json::{Map, Value};
use shared::id::{ContactId, WorkspaceId};

use crate::erase::{is_theirs, names};
use crate::file::RowReader;
use crate::partition::{FILES, Partition};
use crate::row::{COLUMNS, Row, column};
use crate::{AT_ONCE, Copied, Warehouse, WarehouseError, busy, readable};

/// Files that are read whole at once: each is on the disk meanwhile.
const READS_AT_ONCE: usize = 2;

/// What the files hold about people.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Theirs {
    /// Their rows, in the order of the files, as JSON by the names of the columns.
    pub rows: Vec<Map<String, Value>>,
    /// Keys of what cannot be read, and so may hold more of them: files, with what is staged for their hours, and staged
    /// objects.
    pub unreadable: BTreeSet<String>,
}

impl Warehouse {
    /// A workspace's rows of these people. Everything that is staged is merged first. What can never be read is passed over
    /// and named in the answer.
    ///
    /// # Errors
    /// [`WarehouseError`] of what may pass; trying again is safe.
    pub async fn rows_of(
        &self,
        workspace: WorkspaceId,
        contacts: &BTreeSet<ContactId>,
    ) -> Result<Theirs, WarehouseError> {
        let mut theirs = Theirs { unreadable: self.merged().await?, ..Theirs::default() };
        let contacts = Arc::new(contacts.clone());
        let mut after: Option<String> = None;
        loop {
            let keys = self.bucket.keys(FILES, after.as_deref()).await?;
            let Some(last) = keys.last() else { return Ok(theirs) };
            after = Some(last.clone());
            let files = keys.into_iter().filter(|key| Partition::of_key(key).is_some());
            let found = futures::stream::iter(files)
                .map(|key| self.may_name(key, &contacts))
                .buffered(AT_ONCE)
                .try_filter_map(|found| std::future::ready(Ok(found)))
                .map_ok(|key| self.rows_in(key, workspace, &contacts).map(readable))
                .try_buffered(READS_AT_ONCE)
                .try_collect::<Vec<_>>()
                .await?;
            for found in found {
                match found {
                    Ok(rows) => theirs.rows.extend(rows),
                    Err(key) => _ = theirs.unreadable.insert(key),
                }
            }
        }
    }

    async fn rows_in(
        &self,
        key: String,
        workspace: WorkspaceId,
        contacts: &BTreeSet<ContactId>,
    ) -> Result<Vec<Map<String, Value>>, WarehouseError> {
        let Some(Copied { file, .. }) = self.copy(&key).await? else { return Ok(Vec::new()) };
        let (workspace, names) = (workspace.to_string(), names(contacts));
        busy(&key, move || {
            let mut rows = Vec::new();
            for row in RowReader::new(file)? {
                let row = row?;
                if is_theirs(&row, &names) && row.text(column::WORKSPACE) == Some(workspace.as_str()) {
                    rows.push(shown(&row));
                }
            }
            Ok(rows)
        })
        .await
    }
}

/// The row by the names of its columns; what is null is left out.
fn shown(row: &Row) -> Map<String, Value> {
    let cells = COLUMNS.iter().zip(&row.cells);
    cells.filter_map(|(column, cell)| Some((column.name.to_owned(), cell.shown(column.kind)?))).collect()
}
