//! The rows of people in the files, to be shown to them: the same that an erasure takes them out of.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use serde_json::{Map, Value};
use shared::id::{ContactId, WorkspaceId};

use crate::erase::{is_theirs, names};
use crate::file::RowReader;
use crate::partition::{FILES, Partition};
use crate::row::{COLUMNS, Row, column};
use crate::{AT_ONCE, Copied, Warehouse, WarehouseError, busy};

/// Files that are read whole at once: each is on the disk meanwhile.
const READS_AT_ONCE: usize = 2;

impl Warehouse {
    /// A workspace's rows of these people, in the order of the files, as JSON by the names of the columns. Everything that is
    /// staged is merged first.
    ///
    /// # Errors
    /// [`WarehouseError`]; trying again is safe.
    pub async fn rows_of(
        &self,
        workspace: WorkspaceId,
        contacts: &BTreeSet<ContactId>,
    ) -> Result<Vec<Map<String, Value>>, WarehouseError> {
        while self.compact(None).await?.overtaken > 0 {}
        let contacts = Arc::new(contacts.clone());
        let mut after: Option<String> = None;
        let mut rows = Vec::new();
        loop {
            let keys = self.bucket.keys(FILES, after.as_deref()).await?;
            let Some(last) = keys.last() else { return Ok(rows) };
            after = Some(last.clone());
            let files = keys.into_iter().filter(|key| Partition::of_key(key).is_some());
            let found = futures::stream::iter(files)
                .map(|key| self.may_name(key, &contacts))
                .buffered(AT_ONCE)
                .try_filter_map(|found| std::future::ready(Ok(found)))
                .map_ok(|key| self.rows_in(key, workspace, &contacts))
                .try_buffered(READS_AT_ONCE)
                .try_collect::<Vec<_>>()
                .await?;
            rows.extend(found.into_iter().flatten());
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
