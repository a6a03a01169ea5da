//! Laying an audience in the bucket as its lines come.

use std::time::{Duration, Instant};

use futures::stream::FuturesOrdered;
use futures::{Stream, StreamExt};
use serde::Serialize;
use tokio::task::JoinHandle;

use super::{NDJSON, NoLines, to_ndjson};
use crate::blob::{BlobError, Bucket, key};
use crate::campaign::audience::{HeldOut, NumberedLine, Skipped};
use crate::campaign::planner::{PART_LINES, Page, Planner, Verdict};
use crate::id::{CampaignId, WorkspaceId};
use crate::job::{Step, Watch};
use crate::price::{Regions, regions_of};
use crate::store::StoreError;

/// Objects being written at once: at 20 ms each that is 800 pages a second, many times what planning takes.
const WRITES_AT_ONCE: usize = 16;

/// Progress is told after so many pages, or after [`TELL_EVERY`].
const TELL_EVERY_PAGES: u32 = 100;

/// See [`TELL_EVERY_PAGES`].
const TELL_EVERY: Duration = Duration::from_secs(2);

/// Skipped lines that are also given back.
const FIRST_SKIPPED: usize = 1_000;

/// How far an audience is laid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Lines read.
    pub lines: u64,
    /// Recipients on pages that lie in the bucket.
    pub planned: u32,
    /// Lines that are not sent to.
    pub skipped: u32,
    /// People who are held out.
    pub held_out: u32,
    /// Pages that lie in the bucket: all before this number.
    pub pages: u32,
}

/// A whole audience.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Laid {
    /// What it has.
    pub progress: Progress,
    /// The first 1,000 of the skipped lines.
    pub first_skipped: Vec<Skipped>,
    /// The recipients by region.
    pub regions: Regions,
}

/// Why an audience could not be laid.
#[derive(Debug, thiserror::Error)]
pub enum NotLaid {
    /// Its lines.
    #[error(transparent)]
    Lines(#[from] NoLines),
    /// The bucket: repeat.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// What the progress was told to: repeat.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A row that cannot be written as JSON.
    #[error("a page cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    /// A task that writes has died.
    #[error("a page was not written")]
    Cut(#[from] tokio::task::JoinError),
    /// [`Step::Stop`].
    #[error("somebody asked to stop")]
    Stopped,
}

/// Lays the audience of a campaign: pages of recipients, and the lists of those who are skipped or held out. `watch`
/// hears of the progress from time to time, and once at the end of the lines.
///
/// # Errors
/// [`NotLaid`]; a repeat with the same lines ends in the same objects.
pub async fn lay<S, W>(
    bucket: &Bucket,
    (workspace, campaign): (WorkspaceId, CampaignId),
    mut planner: Planner,
    mut lines: S,
    watch: &mut W,
) -> Result<Laid, NotLaid>
where
    S: Stream<Item = Result<Vec<NumberedLine>, NoLines>> + Unpin + Send,
    W: Watch<Progress>,
{
    let mut writer = Writer {
        bucket,
        ids: (workspace, campaign),
        under_way: FuturesOrdered::new(),
        progress: Progress::default(),
        regions: Regions::new(),
        skipped: Part::new(|(workspace, campaign), part| key::skipped(workspace, campaign, part)),
        held_out: Part::new(|(workspace, campaign), part| key::held_out(workspace, campaign, part)),
    };
    let mut first_skipped = Vec::new();
    let (mut told_at, mut told) = (Instant::now(), Progress::default());
    while let Some(batch) = lines.next().await {
        for line in batch? {
            writer.progress.lines += 1;
            match planner.take(line) {
                Verdict::Planned(None) => {}
                Verdict::Planned(Some(page)) => writer.page(&page).await?,
                Verdict::HeldOut(person) => writer.held_out(person).await?,
                Verdict::Skipped(line) => {
                    if first_skipped.len() < FIRST_SKIPPED {
                        first_skipped.push(line.clone());
                    }
                    writer.skipped(line).await?;
                }
            }
            let progress = writer.progress;
            if progress.pages >= told.pages + TELL_EVERY_PAGES || told_at.elapsed() >= TELL_EVERY {
                if watch.look(&progress).await? == Step::Stop {
                    return Err(NotLaid::Stopped);
                }
                (told_at, told) = (Instant::now(), progress);
            }
        }
        // Planning is work for the processor; others on this thread have theirs.
        tokio::task::yield_now().await;
    }
    for page in planner.finish() {
        writer.page(&page).await?;
    }
    let (progress, regions) = writer.finish().await?;
    if watch.look(&progress).await? == Step::Stop {
        return Err(NotLaid::Stopped);
    }
    Ok(Laid { progress, first_skipped, regions })
}

/// Whose audience it is.
type Ids = (WorkspaceId, CampaignId);

/// An object under way: its recipients, if it is a page.
type Write = JoinHandle<Result<Option<u32>, BlobError>>;

struct Writer<'a> {
    bucket: &'a Bucket,
    ids: Ids,
    /// In order, so that all pages before one that is done are done as well.
    under_way: FuturesOrdered<Write>,
    progress: Progress,
    regions: Regions,
    skipped: Part<Skipped>,
    held_out: Part<HeldOut>,
}

/// A part of a list that is not full.
struct Part<T> {
    rows: Vec<T>,
    number: u32,
    key: fn(Ids, u32) -> String,
}

impl<T: Serialize> Part<T> {
    const fn new(key: fn(Ids, u32) -> String) -> Self {
        Self { rows: Vec::new(), number: 0, key }
    }

    /// The object of the rows so far; the next ones begin another.
    fn take(&mut self, ids: Ids) -> Result<Option<(String, Vec<u8>)>, serde_json::Error> {
        if self.rows.is_empty() {
            return Ok(None);
        }
        let object = ((self.key)(ids, self.number), to_ndjson(&self.rows)?);
        self.rows.clear();
        self.number += 1;
        Ok(Some(object))
    }
}

impl Writer<'_> {
    async fn page(&mut self, page: &Page) -> Result<(), NotLaid> {
        let (workspace, campaign) = self.ids;
        let body = serde_json::to_vec(&page.recipients)?;
        for (region, people) in regions_of(page.recipients.iter().map(|recipient| &recipient.phone)) {
            *self.regions.entry(region).or_default() += people;
        }
        let recipients = u32::try_from(page.recipients.len()).unwrap_or(u32::MAX);
        let key = key::audience_page(workspace, campaign, page.number);
        self.write(key, body, "application/json", Some(recipients)).await
    }

    async fn skipped(&mut self, line: Skipped) -> Result<(), NotLaid> {
        self.progress.skipped += 1;
        self.skipped.rows.push(line);
        if self.skipped.rows.len() >= PART_LINES
            && let Some((key, body)) = self.skipped.take(self.ids)?
        {
            self.write(key, body, NDJSON, None).await?;
        }
        Ok(())
    }

    async fn held_out(&mut self, person: HeldOut) -> Result<(), NotLaid> {
        self.progress.held_out += 1;
        self.held_out.rows.push(person);
        if self.held_out.rows.len() >= PART_LINES
            && let Some((key, body)) = self.held_out.take(self.ids)?
        {
            self.write(key, body, NDJSON, None).await?;
        }
        Ok(())
    }

    /// The last parts, and all that is under way.
    async fn finish(mut self) -> Result<(Progress, Regions), NotLaid> {
        let last = [self.skipped.take(self.ids)?, self.held_out.take(self.ids)?];
        for (key, body) in last.into_iter().flatten() {
            self.write(key, body, NDJSON, None).await?;
        }
        while let Some(written) = self.under_way.next().await {
            self.written(written??);
        }
        Ok((self.progress, self.regions))
    }

    async fn write(
        &mut self,
        key: String,
        body: Vec<u8>,
        content_type: &'static str,
        recipients: Option<u32>,
    ) -> Result<(), NotLaid> {
        while self.under_way.len() >= WRITES_AT_ONCE
            && let Some(written) = self.under_way.next().await
        {
            self.written(written??);
        }
        let bucket = self.bucket.clone();
        // A task of its own, so that it goes on while the next lines are planned.
        self.under_way.push_back(tokio::spawn(async move {
            bucket.put(&key, body, content_type).await?;
            Ok(recipients)
        }));
        Ok(())
    }

    const fn written(&mut self, recipients: Option<u32>) {
        if let Some(recipients) = recipients {
            self.progress.pages += 1;
            self.progress.planned += recipients;
        }
    }
}
