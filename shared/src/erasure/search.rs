//! Looking through everything for people, a piece at a time: the rows of the table and the objects of the bucket that are a
//! workspace's, or nobody's that is known. An erasure and an export both look here, so that an export shows what an erasure
//! would find.

use super::object::{Kind, NotErased};
use crate::blob::{BlobError, Bucket};
use crate::id::{ImportId, WorkspaceId};
use crate::phone::Region;
use crate::store::{Core, Row, StoreError};

/// Objects looked at between two signs of life.
const OBJECTS_AT_ONCE: usize = 200;

/// Objects up to this size are held in memory as a whole; all are that are not files of somebody's or exports.
pub const MOST_BYTES: u64 = 64 << 20;

/// What is looked through.
#[derive(Clone, Copy, Debug)]
pub struct Search<'a> {
    /// The table.
    pub core: &'a Core,
    /// The bucket.
    pub bucket: &'a Bucket,
    /// Whose people are looked for.
    pub workspace: WorkspaceId,
    /// The most that is held in memory of an object: [`MOST_BYTES`].
    pub most_bytes: u64,
}

/// An object that may hold something about people.
#[derive(Clone, Debug)]
pub struct Object {
    /// Its key.
    pub key: String,
    /// What it holds.
    pub kind: Kind,
    /// The country of numbers in it without a country code.
    pub region: Option<Region>,
}

/// A piece of what is looked through.
#[derive(Clone, Debug)]
pub struct Piece<T, P> {
    /// What concerns the workspace.
    pub of_workspace: Vec<T>,
    /// Behind which place the next piece begins; `None` at the end.
    pub last: Option<P>,
}

/// Why there is no next piece; trying again is safe.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// The table.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The bucket.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// An object.
    #[error(transparent)]
    Object(#[from] NotErased),
}

impl Search<'_> {
    /// Rows behind a place (from [`Row::place`]), or from the beginning of the table.
    ///
    /// # Errors
    /// [`SearchError`].
    pub async fn rows(&self, behind: Option<(String, String)>) -> Result<Piece<Row, (String, String)>, SearchError> {
        let rows = self.core.rows_behind(behind).await?;
        let last = rows.last().map(Row::place);
        let of_workspace = rows.into_iter().filter(|row| row.concerns(self.workspace)).collect();
        Ok(Piece { of_workspace, last })
    }

    /// Objects behind this key, or from the beginning of the bucket.
    ///
    /// # Errors
    /// [`SearchError`].
    pub async fn objects(&self, behind: Option<&str>) -> Result<Piece<Object, String>, SearchError> {
        let keys = self.bucket.list("", behind, OBJECTS_AT_ONCE).await?;
        let last = keys.last().cloned();
        let mut of_workspace = Vec::new();
        for key in keys.into_iter().filter(|key| concerns(key, self.workspace)) {
            if let Some(kind) = Kind::of(&key) {
                of_workspace.push(Object { region: self.region_of(&key).await?, key, kind });
            }
        }
        Ok(Piece { of_workspace, last })
    }

    /// The country of numbers without a country code in the lines of an import.
    async fn region_of(&self, key: &str) -> Result<Option<Region>, StoreError> {
        let mut parts = key.split('/');
        let Some(import) = parts.next().filter(|place| *place == "imports").and_then(|_| parts.nth(1)) else {
            return Ok(None);
        };
        let Ok(import) = import.parse::<ImportId>() else { return Ok(None) };
        match self.core.import(self.workspace, import).await {
            Ok(import) => Ok(import.and_then(|import| import.default_region)),
            // Its lines are looked through all the same.
            Err(error) if error.is_permanent() => {
                tracing::error!(%import, %error, "numbers of an import are read without its country");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// Whether an object is of this workspace, or of none.
fn concerns(key: &str, workspace: WorkspaceId) -> bool {
    let owner = key.split('/').nth(1).and_then(|part| part.parse::<WorkspaceId>().ok());
    owner.is_none_or(|owner| owner == workspace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_of_other_workspaces_are_not_looked_at() {
        let (ours, other) = (WorkspaceId::FIRST, WorkspaceId::new(crate::time::UnixMillis(1)));
        assert!(concerns(&format!("campaigns/{ours}/c/pages/000000.json"), ours));
        assert!(!concerns(&format!("campaigns/{other}/c/pages/000000.json"), ours));
        assert!(concerns("archive/raw/date=2026-09-21/hour=14/x.ndjson.zst", ours));
    }
}
