//! The job of importing contacts from a file. It goes on where it was cut off, and gives way to another run before its
//! own time is over.

use std::time::{Duration, Instant};

use shared::blob::audience::{NoLines, csv};
use shared::id::{ImportId, WorkspaceId, ulid_at};
use shared::import::run::{self, NotImported};
use shared::import::{Import, ImportFile, ImportStatus};
use shared::job::{Step, Watch};
use shared::queue::{DispatchCommand, QueueUnavailable};
use shared::store::{StoreError, Taken};
use shared::time::UnixMillis;
use ulid::Ulid;

use crate::Dispatch;

/// How long a run works: less than the function has (15 minutes), so that it ends between two batches and not within one.
const RUN_FOR: Duration = Duration::from_secs(600);

/// Why the job is not done; it is asked for again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotDone {
    #[error(transparent)]
    Import(#[from] NotImported),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Queue(#[from] QueueUnavailable),
}

/// Works on the job, unless somebody else does.
pub(crate) async fn run(dispatch: &Dispatch, workspace: WorkspaceId, id: ImportId) -> Result<(), NotDone> {
    let command = DispatchCommand::Import { workspace, import: id };
    let runner = ulid_at(UnixMillis::now());
    let Taken::Ours { .. } = dispatch.core.take_job(&command, runner, UnixMillis::now()).await? else {
        return Ok(());
    };
    let import = dispatch.core.import(workspace, id).await?.filter(|import| import.status == ImportStatus::Running);
    let Some((import, file)) = import.and_then(|import| Some((import.clone(), import.file?))) else {
        // Done before, or the request that opened the job died before it wrote the import.
        return Ok(dispatch.core.close_job(&command).await?);
    };
    let mut watch = Watcher { dispatch, command, runner, begun: Instant::now(), time_is_over: false };
    let imported = import_from(dispatch, import, file, &mut watch).await;
    match imported {
        Ok(import) => {
            let Import { lines, created, updated, duplicates, rejected, .. } = import;
            tracing::info!(import = %id, lines, created, updated, duplicates, rejected, "an import is complete");
        }
        Err(NotImported::Stopped) if watch.time_is_over => {
            dispatch.core.leave_job(&command, runner).await?;
            return Ok(dispatch.commands.send(&command, Duration::ZERO).await?);
        }
        Err(NotImported::Stopped) => return Ok(()),
        Err(NotImported::Lines(error)) if !error.is_temporary() => fail(dispatch, workspace, id, &error).await?,
        Err(error) => {
            dispatch.core.leave_job(&command, runner).await?;
            return Err(error.into());
        }
    }
    Ok(dispatch.core.close_job(&command).await?)
}

/// Gives signs of life, and ends a run before its time is over.
struct Watcher<'a> {
    dispatch: &'a Dispatch,
    command: DispatchCommand,
    runner: Ulid,
    begun: Instant,
    time_is_over: bool,
}

impl Watch<Import> for Watcher<'_> {
    async fn look(&mut self, _: &Import) -> Result<Step, StoreError> {
        self.time_is_over = self.begun.elapsed() > RUN_FOR;
        let ours = self.dispatch.core.beat_job(&self.command, self.runner, UnixMillis::now()).await?;
        Ok(if ours && !self.time_is_over { Step::On } else { Step::Stop })
    }
}

async fn import_from(
    dispatch: &Dispatch,
    import: Import,
    file: ImportFile,
    watch: &mut Watcher<'_>,
) -> Result<Import, NotImported> {
    let file = csv(&dispatch.bucket, file.key, file.etag, import.columns.clone()).await?;
    run::run(&dispatch.core, &dispatch.bucket, import, file, watch).await
}

/// The file cannot be read on, and no repeat helps.
async fn fail(dispatch: &Dispatch, workspace: WorkspaceId, id: ImportId, error: &NoLines) -> Result<(), StoreError> {
    tracing::warn!(import = %id, %error, "an import has failed");
    if let Some(import) = dispatch.core.import(workspace, id).await? {
        dispatch.core.fail_import(&import, &error.to_string()).await?;
    }
    Ok(())
}
