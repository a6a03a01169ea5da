//! The lines of an audience, wherever they lie.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use super::UnreadableList;
use crate::blob::{BlobError, Bucket, key};
use crate::campaign::audience::{
    AudienceSource, Columns, HeldOut, Line, LineReader, NumberedLine, Recipient, UnreadableCsv,
};
use crate::campaign::planner::PART_LINES;
use crate::campaign::{Campaign, PageNumber};
use crate::id::{ImportId, WorkspaceId};
use crate::import::ImportStatus;
use crate::store::{Core, StoreError};

/// Bytes of a file that are read at once.
const CHUNK_BYTES: u64 = 1024 * 1024;

/// Largest file: some ten million lines, more than a run of `dispatch` gets through.
const MAX_FILE_BYTES: u64 = 1024 * 1024 * 1024;

/// Lines that are planned between two looks at anything else.
const LINES_AT_ONCE: usize = 1_000;

/// Objects of another audience that are read ahead.
const READ_AHEAD: usize = 8;

/// Lines as they come.
pub type Lines = BoxStream<'static, Result<Vec<NumberedLine>, NoLines>>;

/// Why lines cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum NoLines {
    /// The file is not what it should be.
    #[error(transparent)]
    Csv(#[from] UnreadableCsv),
    /// There is nothing to read.
    #[error("{0}")]
    Gone(&'static str),
    /// Another file is in its place.
    #[error("the file was replaced after it was named: name it again")]
    Replaced,
    /// It is too large.
    #[error("the file has more than {MAX_FILE_BYTES} bytes: cut it into several")]
    TooLarge,
    /// The bucket.
    #[error(transparent)]
    Blob(BlobError),
    /// The table.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What we have stored ourselves cannot be read.
    #[error("a stored list cannot be read")]
    Damaged(#[from] serde_json::Error),
}

impl NoLines {
    /// Whether a repeat may help; else only somebody can.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::Blob(BlobError::Unavailable { .. }) | Self::Store(StoreError::Unavailable { .. }))
    }
}

impl From<BlobError> for NoLines {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::NotFound { .. } => Self::Gone("the file is not in the bucket: upload it first"),
            BlobError::Replaced { .. } => Self::Replaced,
            BlobError::Unavailable { .. } => Self::Blob(error),
        }
    }
}

impl From<UnreadableList> for NoLines {
    fn from(error: UnreadableList) -> Self {
        match error {
            UnreadableList::Blob(error) => Self::Blob(error),
            UnreadableList::Damaged(error) => Self::Damaged(error),
        }
    }
}

/// The lines of a source.
///
/// # Errors
/// [`NoLines`] when there is no such source.
pub async fn lines_of(
    core: &Core,
    bucket: &Bucket,
    workspace: WorkspaceId,
    source: &AudienceSource,
) -> Result<Lines, NoLines> {
    match source {
        AudienceSource::Csv { key, etag, columns } => {
            Ok(csv(bucket, key.clone(), etag.clone(), columns.clone()).await?.lines)
        }
        AudienceSource::Import { import } => imported(core, bucket, workspace, *import).await,
        AudienceSource::Campaign { workspace, campaign } => {
            let campaign = core.campaign(*workspace, *campaign).await?;
            let campaign = campaign.ok_or(NoLines::Gone("the campaign whose audience this is does not exist"))?;
            Ok(of_campaign(bucket, &campaign))
        }
    }
}

/// Lines that are held in memory.
#[must_use]
pub fn from_memory(lines: Vec<NumberedLine>) -> Lines {
    let mut lines = lines.into_iter();
    stream::iter(std::iter::from_fn(move || {
        let batch: Vec<NumberedLine> = lines.by_ref().take(LINES_AT_ONCE).collect();
        (!batch.is_empty()).then_some(Ok(batch))
    }))
    .boxed()
}

/// A CSV in the bucket that is being read.
struct File {
    bucket: Bucket,
    key: String,
    etag: Option<String>,
    at: u64,
    bytes: u64,
    read: Arc<AtomicU64>,
    /// Gone after the last line.
    reader: Option<LineReader>,
}

/// A CSV in the bucket.
pub struct CsvFile {
    /// Its lines.
    pub lines: Lines,
    /// Its size.
    pub bytes: u64,
    /// How much of it was read; grows while lines are taken.
    pub read: Arc<AtomicU64>,
}

/// A CSV in the bucket: the version that `etag` names, else the present one.
///
/// # Errors
/// [`NoLines`].
pub async fn csv(bucket: &Bucket, key: String, etag: Option<String>, columns: Columns) -> Result<CsvFile, NoLines> {
    let stored = bucket.head(&key).await?;
    if stored.bytes > MAX_FILE_BYTES {
        return Err(NoLines::TooLarge);
    }
    let file = File {
        bucket: bucket.clone(),
        key,
        etag: etag.or(stored.etag),
        at: 0,
        bytes: stored.bytes,
        read: Arc::new(AtomicU64::new(0)),
        reader: Some(LineReader::new(columns)),
    };
    let (bytes, read) = (file.bytes, Arc::clone(&file.read));
    let chunks = stream::try_unfold(file, |mut file| async move {
        let Some(mut reader) = file.reader.take() else {
            return Ok(None);
        };
        if file.at >= file.bytes {
            return Ok(Some((reader.finish()?, file)));
        }
        let end = file.bytes.min(file.at + CHUNK_BYTES);
        let chunk = file.bucket.get_range(&file.key, file.at..end, file.etag.as_deref()).await?;
        let lines = reader.push(&chunk)?;
        file.at = end;
        file.read.store(end, Ordering::Relaxed);
        file.reader = Some(reader);
        Ok::<_, NoLines>(Some((lines, file)))
    });
    Ok(CsvFile { lines: in_batches(chunks.boxed()), bytes, read })
}

/// The same lines, a few at a time.
fn in_batches(lines: Lines) -> Lines {
    lines.map_ok(from_memory).try_flatten().boxed()
}

/// Recipients, and then those who are held out, of another campaign, numbered anew.
fn of_campaign(bucket: &Bucket, campaign: &Campaign) -> Lines {
    let (workspace, id) = (campaign.workspace, campaign.id);
    let pages = {
        let bucket = bucket.clone();
        stream::iter(0..campaign.pages).map(move |page| {
            let bucket = bucket.clone();
            async move {
                let body = bucket.get(&key::audience_page(workspace, id, PageNumber(page))).await?;
                let recipients: Vec<Recipient> = serde_json::from_slice(&body)?;
                let line = |one: Recipient| line(one.phone.as_str(), one.name, one.variables);
                Ok(recipients.into_iter().map(line).collect::<Vec<_>>())
            }
        })
    };
    let parts = campaign.holdout.div_ceil(u32::try_from(PART_LINES).unwrap_or(u32::MAX));
    let held_out = {
        let bucket = bucket.clone();
        stream::iter(0..parts).map(move |part| {
            let bucket = bucket.clone();
            async move {
                let people: Vec<HeldOut> = bucket.ndjson(&key::held_out(workspace, id, part)).await?;
                let line = |one: HeldOut| line(one.phone.as_str(), one.name, one.variables);
                Ok(people.into_iter().map(line).collect::<Vec<_>>())
            }
        })
    };
    let batches = pages.buffered(READ_AHEAD).chain(held_out.buffered(READ_AHEAD));
    let mut number = 0;
    batches
        .map_ok(move |lines: Vec<Line>| {
            let numbered = lines.into_iter().map(|line| {
                number += 1;
                (number, Ok(line))
            });
            numbered.collect()
        })
        .boxed()
}

fn line(phone: &str, name: Option<String>, variables: std::collections::BTreeMap<String, String>) -> Line {
    Line { phone: phone.to_owned(), name, variables }
}

/// The lines that an import has taken, under the numbers that they have in its file.
async fn imported(core: &Core, bucket: &Bucket, workspace: WorkspaceId, id: ImportId) -> Result<Lines, NoLines> {
    let import = core.import(workspace, id).await?.ok_or(NoLines::Gone("the import does not exist"))?;
    match import.status {
        ImportStatus::Completed => {}
        ImportStatus::Running => return Err(NoLines::Gone("the import is not complete yet")),
        ImportStatus::Failed => return Err(NoLines::Gone("the import has failed")),
    }
    let bucket = bucket.clone();
    let batches = stream::iter(0..import.batches).map(move |batch| {
        let bucket = bucket.clone();
        async move {
            let lines: Vec<(u64, Line)> = bucket.ndjson(&key::import_accepted(workspace, id, batch)).await?;
            Ok(lines.into_iter().map(|(number, line)| (number, Ok(line))).collect())
        }
    });
    Ok(batches.buffered(READ_AHEAD).boxed())
}
