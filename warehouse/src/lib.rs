//! The warehouse: every published event as a row of a Parquet file in the bucket, which Athena, DuckDB and ClickHouse read
//! as it is. `docs/EVENTS.md` says what the columns mean.
//!
//! Events come in as staged objects, one for each batch of the stream and hour, and are merged into one file for each
//! hour in which something happened. A file is replaced as a whole, on condition that nobody else has replaced it since it
//! was read, and staged objects are removed only after that. So whoever dies on the way, and however many work at the same
//! time, each event is in its file exactly once, or still staged as well and merged again without effect.

mod erase;
mod file;
mod find;
mod merge;
mod partition;
mod remote;
mod row;
mod staged;
mod work;

use std::fs::File;
use std::io::{ErrorKind, Seek};

use parquet::errors::ParquetError;
use shared::blob::files::Replaced;
use shared::blob::{BlobError, Bucket};
use shared::published::Change;
use shared::rollup::SequenceNumber;
use tempfile::NamedTempFile;

pub use self::erase::Erased;
pub use self::find::Theirs;
pub use self::partition::{FILES, Partition, STAGED};
pub use self::work::Compacted;

/// How many requests to the bucket are under way at once.
const AT_ONCE: usize = 16;

const PARQUET: &str = "application/vnd.apache.parquet";
const ZSTD: &str = "application/zstd";

/// The files of published events in a bucket.
#[derive(Clone, Debug)]
pub struct Warehouse {
    bucket: Bucket,
}

/// Why the warehouse could not do its work. Trying again is safe; whatever was not merged is still staged.
#[derive(Debug, thiserror::Error)]
pub enum WarehouseError {
    /// S3 refused or could not be reached.
    #[error(transparent)]
    Bucket(#[from] BlobError),
    /// A file is not what was written there. Trying again does not help.
    #[error("{key} cannot be read or written")]
    Damaged {
        /// The file's key.
        key: String,
        /// What is wrong.
        #[source]
        source: ParquetError,
    },
    /// The disk is full, or a task broke off.
    #[error("no room to work in")]
    Disk(#[source] std::io::Error),
}

/// A file of the bucket, copied to the disk.
struct Copied {
    file: File,
    /// Its version.
    etag: Option<String>,
}

impl Warehouse {
    /// The warehouse in this bucket.
    #[must_use]
    pub const fn new(bucket: Bucket) -> Self {
        Self { bucket }
    }

    /// Keeps what a batch of the stream published, in the order of the stream, until it is merged. A repeat changes
    /// nothing.
    ///
    /// # Errors
    /// [`WarehouseError`]; then the batch must come again.
    pub async fn stage(&self, changes: &[(SequenceNumber, Change)]) -> Result<(), WarehouseError> {
        use futures::{StreamExt, TryStreamExt};
        let objects = staged::objects(changes).map_err(WarehouseError::Disk)?;
        futures::stream::iter(objects)
            .map(|object| async move { self.bucket.put(&object.key, object.body, ZSTD).await })
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await?;
        Ok(())
    }

    /// The file of that key, if there is one.
    async fn copy(&self, key: &str) -> Result<Option<Copied>, WarehouseError> {
        let mut opened = match self.bucket.open(key).await {
            Err(BlobError::NotFound { .. }) => return Ok(None),
            opened => opened?,
        };
        let mut file = tokio::fs::File::from_std(tempfile::tempfile().map_err(WarehouseError::Disk)?);
        let cut_off = |error: std::io::Error| BlobError::Unavailable {
            operation: "get",
            key: key.to_owned(),
            message: error.to_string(),
        };
        while let Some(piece) = opened.next().await.map_err(cut_off)? {
            tokio::io::AsyncWriteExt::write_all(&mut file, &piece).await.map_err(WarehouseError::Disk)?;
        }
        tokio::io::AsyncWriteExt::flush(&mut file).await.map_err(WarehouseError::Disk)?;
        let mut file = file.into_std().await;
        file.rewind().map_err(WarehouseError::Disk)?;
        Ok(Some(Copied { file, etag: opened.etag }))
    }

    /// Puts a file that was written anew in the place of the one that was copied.
    async fn replace(&self, key: &str, etag: Option<&str>, file: &NamedTempFile) -> Result<Replaced, WarehouseError> {
        Ok(self.bucket.replace(key, etag, file.path(), PARQUET).await?)
    }
}

/// Does work that keeps a thread busy.
async fn busy<T: Send + 'static>(
    key: &str,
    work: impl FnOnce() -> Result<T, ParquetError> + Send + 'static,
) -> Result<T, WarehouseError> {
    let damaged = |source| WarehouseError::Damaged { key: key.to_owned(), source };
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(ParquetError::External(cause))) => Err(match cause.downcast::<std::io::Error>() {
            Ok(error) if is_of_the_disk(&error) => WarehouseError::Disk(*error),
            Ok(error) => damaged(ParquetError::External(error)),
            Err(cause) => damaged(ParquetError::External(cause)),
        }),
        Ok(Err(source)) => Err(damaged(source)),
        // What the reader stumbles over it stumbles over again.
        Err(broken_off) if broken_off.is_panic() => Err(damaged(ParquetError::General(broken_off.to_string()))),
        Err(broken_off) => Err(WarehouseError::Disk(std::io::Error::other(broken_off))),
    }
}

/// Whether the system has failed, and not the decoder of a file, which reports what it meets as such errors as well.
fn is_of_the_disk(error: &std::io::Error) -> bool {
    let of_a_decoder = [ErrorKind::Other, ErrorKind::InvalidData, ErrorKind::InvalidInput, ErrorKind::UnexpectedEof];
    error.raw_os_error().is_some() || !of_a_decoder.contains(&error.kind())
}

/// What can never be read is known by its key, and keeps nobody from the rest. Everything else that is wrong may pass.
fn readable<T>(done: Result<T, WarehouseError>) -> Result<Result<T, String>, WarehouseError> {
    match done {
        Ok(done) => Ok(Ok(done)),
        Err(WarehouseError::Damaged { key, source }) => {
            tracing::error!(key, error = %source, "a file of published events cannot be read");
            Ok(Err(key))
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_disk_is_told_from_a_damaged_file() {
        let failed = async |error: std::io::Error| busy::<()>("k", move || Err(error.into())).await.unwrap_err();
        for of_the_disk in [std::io::Error::from_raw_os_error(28), ErrorKind::StorageFull.into()] {
            let error = failed(of_the_disk).await;
            assert!(matches!(error, WarehouseError::Disk(_)), "{error:?}");
            assert!(readable::<()>(Err(error)).is_err());
        }
        for of_the_file in [std::io::Error::other("bad frame"), ErrorKind::UnexpectedEof.into()] {
            let error = failed(of_the_file).await;
            assert!(matches!(error, WarehouseError::Damaged { .. }), "{error:?}");
            assert_eq!(readable::<()>(Err(error)).unwrap(), Err("k".to_owned()));
        }
    }
}
