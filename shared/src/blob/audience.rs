//! Audiences in the bucket: laying one there page by page as its lines come, and reading lines from wherever they lie.
//! What is held in memory does not grow with the audience but for what the planner itself keeps. A run that is cut off is
//! repeated from the first line and writes the same objects again.

mod read;
mod write;

pub use self::read::{CsvFile, Lines, NoLines, csv, from_memory, lines_of};
pub use self::write::{Laid, NotLaid, Progress, lay};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{BlobError, Bucket};
use crate::campaign::planner::PART_LINES;

/// JSON values, one a line.
pub const NDJSON: &str = "application/x-ndjson";

/// Writes rows as JSON, one a line.
///
/// # Errors
/// When a row cannot be written as JSON.
pub fn to_ndjson<T: Serialize>(rows: &[T]) -> Result<Vec<u8>, serde_json::Error> {
    let mut body = Vec::new();
    for row in rows {
        serde_json::to_writer(&mut body, row)?;
        body.push(b'\n');
    }
    Ok(body)
}

/// Why a list cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableList {
    /// The bucket.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// A line is not what it should be. Retrying does not help.
    #[error("a stored list cannot be read")]
    Damaged(#[from] serde_json::Error),
}

impl Bucket {
    /// One object of rows as JSON, one a line; no object is no rows.
    ///
    /// # Errors
    /// [`UnreadableList`].
    pub async fn ndjson<T: DeserializeOwned>(&self, key: &str) -> Result<Vec<T>, UnreadableList> {
        let body = match self.get(key).await {
            Ok(body) => body,
            Err(BlobError::NotFound { .. }) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        Ok(lines.map(serde_json::from_slice).collect::<Result<_, _>>()?)
    }

    /// Rows of a list of `total` rows that lies in parts of [`PART_LINES`] under these keys, from place `from` on.
    ///
    /// # Errors
    /// [`UnreadableList`].
    pub async fn rows_from<T: DeserializeOwned>(
        &self,
        key: impl Fn(u32) -> String,
        total: u32,
        from: u32,
        most: usize,
    ) -> Result<Vec<T>, UnreadableList> {
        let part_lines = u32::try_from(PART_LINES).unwrap_or(u32::MAX);
        let mut rows: Vec<T> = Vec::new();
        for part in from / part_lines..total.div_ceil(part_lines) {
            let skip = if part == from / part_lines { from % part_lines } else { 0 };
            let found: Vec<T> = self.ndjson(&key(part)).await?;
            rows.extend(found.into_iter().skip(skip as usize).take(most - rows.len()));
            if rows.len() >= most {
                break;
            }
        }
        Ok(rows)
    }
}
