//! The job of exporting a person: a search through the whole table, the bucket and the files of published events for what an
//! erasure of them would find. What is found is laid in the bucket in parts, each before the export says how far it is, so a
//! run that is cut off goes on where it was and writes the same part again.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shared::blob::{BlobError, key};
use shared::campaign::Campaign;
use shared::erasure::found::{Found, find};
use shared::erasure::object::NotErased;
use shared::erasure::search::{MOST_BYTES, Object, Search, SearchError};
use shared::erasure::{Names, Place, TooManyNames};
use shared::export::{Export, Finding, Findings, document};
use shared::id::{ContactId, WorkspaceId, ulid_at};
use shared::queue::{DispatchCommand, QueueUnavailable};
use shared::store::{Row, Shown, StoreError, Taken};
use shared::time::UnixMillis;
use ulid::Ulid;
use warehouse::{Warehouse, WarehouseError};

use crate::Dispatch;
use crate::signs::{self, while_ours};

/// How long a run works: less than the function has (15 minutes).
const RUN_FOR: Duration = Duration::from_secs(600);

/// What a finding in the files of published events counts under.
const PUBLISHED: &str = "published_events";

/// Why the job is not done; it is asked for again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotDone {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Search(#[from] SearchError),
    #[error(transparent)]
    Object(#[from] NotErased),
    #[error(transparent)]
    Blob(#[from] BlobError),
    #[error(transparent)]
    Warehouse(#[from] WarehouseError),
    #[error("a part of an export cannot be written or read as JSON")]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Names(#[from] TooManyNames),
    #[error(transparent)]
    Queue(#[from] QueueUnavailable),
}

/// What is left to do at the end of a run.
#[derive(Debug, PartialEq, Eq)]
enum Left {
    /// Nothing: the document is there, or the export is not wanted any more.
    Nothing,
    /// The rest: the run's time is over.
    TheRest,
    /// Somebody else works on it.
    NotOurs,
}

/// Works on the job, unless somebody else does.
pub(crate) async fn run(dispatch: &Dispatch, workspace: WorkspaceId, contact: ContactId) -> Result<(), NotDone> {
    let command = DispatchCommand::Export { workspace, contact };
    let runner = ulid_at(UnixMillis::now());
    let Taken::Ours { .. } = dispatch.core.take_job(&command, runner, UnixMillis::now()).await? else {
        return Ok(());
    };
    let export = dispatch.core.export(workspace, contact).await?.filter(|export| export.completed_at.is_none());
    let Some(export) = export else {
        // Complete already, or the person was erased meanwhile.
        return Ok(dispatch.core.close_job(&command).await?);
    };
    let names = Names::of([&export.person])?;
    let mut run = Run { dispatch, command, runner, begun: Instant::now(), names, export };
    let beat = || dispatch.core.beat_job(&command, runner, UnixMillis::now());
    let left = match while_ours(run.work(), beat, signs::EVERY).await {
        Ok(left) => left.unwrap_or(Left::NotOurs),
        Err(error) => {
            dispatch.core.leave_job(&command, runner).await?;
            return Err(error);
        }
    };
    match left {
        Left::NotOurs => Ok(()),
        Left::Nothing => Ok(dispatch.core.close_job(&command).await?),
        Left::TheRest => {
            dispatch.core.leave_job(&command, runner).await?;
            Ok(dispatch.commands.send(&command, Duration::ZERO).await?)
        }
    }
}

struct Run<'a> {
    dispatch: &'a Dispatch,
    command: DispatchCommand,
    runner: Ulid,
    begun: Instant,
    names: Names,
    export: Export,
}

impl Run<'_> {
    async fn work(&mut self) -> Result<Left, NotDone> {
        while let Place::Table { behind } = self.export.place.clone() {
            let piece = self.search().rows(behind).await?;
            let found = piece.of_workspace.iter().filter_map(|row| self.in_row(row).transpose());
            let found = found.collect::<Result<Vec<Finding>, _>>()?;
            let next = match piece.last {
                Some(place) => Place::Table { behind: Some(place) },
                None => Place::Bucket { behind: None },
            };
            if let Some(left) = self.note(found, next).await? {
                return Ok(left);
            }
        }
        while let Place::Bucket { behind } = self.export.place.clone() {
            let piece = self.search().objects(behind.as_deref()).await?;
            let Some(mut last) = piece.last else { break };
            let mut found = Vec::new();
            for object in piece.of_workspace {
                found.extend(self.in_object(&object).await?);
                // Large files take minutes, and there may be many in a piece.
                if self.time_is_over() {
                    last = object.key;
                    break;
                }
            }
            if let Some(left) = self.note(found, Place::Bucket { behind: Some(last) }).await? {
                return Ok(left);
            }
        }
        self.complete().await
    }

    fn search(&self) -> Search<'_> {
        let Dispatch { core, bucket, .. } = self.dispatch;
        Search { core, bucket, workspace: self.export.workspace, most_bytes: MOST_BYTES }
    }

    /// Lays down what was found and notes how far the search is; what is left if the run is to stop here.
    async fn note(&mut self, found: Vec<Finding>, next: Place) -> Result<Option<Left>, NotDone> {
        let (workspace, id) = (self.export.workspace, self.export.id);
        let core = &self.dispatch.core;
        // Before the part is written: somebody else may be writing it.
        if !core.beat_job(&self.command, self.runner, UnixMillis::now()).await? {
            return Ok(Some(Left::NotOurs));
        }
        if !found.is_empty() {
            let mut lines = Vec::new();
            for finding in &found {
                serde_json::to_writer(&mut lines, finding)?;
                lines.push(b'\n');
            }
            let part = key::export_part(workspace, id, self.export.parts);
            self.dispatch.bucket.put(&part, lines, "application/x-ndjson").await?;
            self.export.parts += 1;
        }
        self.export.place = next;
        if !core.advance_export(&self.export).await? {
            self.drop_parts().await?;
            return Ok(Some(Left::Nothing));
        }
        Ok(self.time_is_over().then_some(Left::TheRest))
    }

    fn time_is_over(&self) -> bool {
        self.begun.elapsed() > RUN_FOR
    }

    fn in_row(&self, row: &Row) -> Result<Option<Finding>, StoreError> {
        let shown = row.shown(&self.names, &self.export.person.contacts);
        Ok(match readable(row.kind(), None, shown, StoreError::is_permanent)? {
            Err(unreadable) => Some(unreadable),
            Ok(None) => None,
            Ok(Some(Shown::Record(record))) => Some(Finding::record(row.kind(), record)),
            Ok(Some(Shown::Withheld)) => Some(Finding::withheld(row.kind())),
        })
    }

    async fn in_object(&self, object: &Object) -> Result<Vec<Finding>, NotDone> {
        let ours = key::export(self.export.workspace, self.export.id);
        if ours.rsplit_once('/').is_some_and(|(folder, _)| object.key.starts_with(folder)) {
            return Ok(Vec::new());
        }
        let kind = object.kind.name();
        let found = find(&self.search(), object, &self.names).await;
        let found = match readable(kind, Some(&object.key), found, NotErased::is_permanent)? {
            Ok(found) => found,
            Err(unreadable) => return Ok(vec![unreadable]),
        };
        let shown = found.into_iter().map(|found| match found {
            Found::Withheld => Finding::withheld(kind),
            Found::Record(mut record) => {
                record["object"] = Value::from(object.key.as_str());
                Finding::record(kind, record)
            }
        });
        Ok(shown.collect())
    }

    /// Puts the parts together. What the search has found is in them; the files of published events are read last.
    async fn complete(&mut self) -> Result<Left, NotDone> {
        let warehouse = Warehouse::new(self.dispatch.bucket.clone());
        let published = warehouse.rows_of(self.export.workspace, &self.export.person.contacts).await?;
        let (workspace, id) = (self.export.workspace, self.export.id);
        let mut findings = Findings::default();
        for part in 0..self.export.parts {
            let lines = self.dispatch.bucket.get(&key::export_part(workspace, id, part)).await?;
            let lines = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            findings.extend(lines.map(serde_json::from_slice).collect::<Result<Vec<Finding>, _>>()?);
        }
        findings.extend(published.rows.into_iter().map(|row| Finding::record(PUBLISHED, Value::Object(row))));
        findings.extend(published.unreadable.iter().map(|file| Finding::unreadable(PUBLISHED, Some(file))));
        let mut campaigns = Vec::new();
        for campaign in findings.campaigns() {
            let campaign = self.dispatch.core.campaign(workspace, campaign).await;
            match readable("definitions", None, campaign, StoreError::is_permanent)? {
                Ok(campaign) => campaigns.extend(campaign.as_ref().map(shown)),
                Err(unreadable) => findings.extend([unreadable]),
            }
        }
        let completed_at = UnixMillis::now();
        let body = serde_json::to_vec(&document(&self.export, findings, &campaigns, completed_at))?;
        let bytes = body.len() as u64;
        self.dispatch.bucket.put(&key::export(workspace, id), body, "application/json").await?;
        self.export.completed_at = Some(completed_at);
        self.export.bytes = Some(bytes);
        let is_wanted = self.dispatch.core.advance_export(&self.export).await?;
        self.drop_parts().await?;
        if is_wanted {
            tracing::info!(export = %id, parts = self.export.parts, bytes, "an export is complete");
        } else {
            self.dispatch.bucket.delete(&key::export(workspace, id)).await?;
        }
        Ok(Left::Nothing)
    }

    async fn drop_parts(&self) -> Result<(), BlobError> {
        for part in 0..self.export.parts {
            self.dispatch.bucket.delete(&key::export_part(self.export.workspace, self.export.id, part)).await?;
        }
        Ok(())
    }
}

/// What can never be read is a finding of its own, and keeps nothing else from being shown. Everything else that is wrong
/// may pass.
fn readable<T, E: std::fmt::Display>(
    kind: &str,
    object: Option<&str>,
    done: Result<T, E>,
    is_permanent: impl FnOnce(&E) -> bool,
) -> Result<Result<T, Finding>, E> {
    match done {
        Ok(done) => Ok(Ok(done)),
        Err(error) if is_permanent(&error) => {
            tracing::error!(kind, object, %error, "an export goes on without something that cannot be read");
            Ok(Err(Finding::unreadable(kind, object)))
        }
        Err(error) => Err(error),
    }
}

/// What the person was sent, as the campaign defines it.
fn shown(campaign: &Campaign) -> Value {
    json!({
        "id": campaign.id,
        "name": campaign.name,
        "account_id": campaign.account,
        "variants": campaign.variants,
        "created_at": campaign.created_at.to_rfc3339(),
    })
}

#[cfg(test)]
mod tests {
    use shared::id::{ExportId, WorkspaceId};

    use super::*;

    #[test]
    fn what_cannot_be_read_is_a_finding_and_what_does_not_answer_is_an_error() {
        let read = |done| readable("uploads", Some("k"), done, |error: &&str| *error == "unreadable");
        assert_eq!(read(Ok(7)), Ok(Ok(7)));
        assert_eq!(read(Err("unreadable")), Ok(Err(Finding::unreadable("uploads", Some("k")))));
        assert_eq!(read(Err("throttled")), Err("throttled"));
    }

    #[test]
    fn an_export_does_not_look_into_itself() {
        let id = ExportId::new(UnixMillis(1));
        let document = key::export(WorkspaceId::FIRST, id);
        let folder = document.rsplit_once('/').map(|(folder, _)| folder.to_owned()).unwrap();
        assert!(key::export_part(WorkspaceId::FIRST, id, 3).starts_with(&folder));
        assert!(!key::export(WorkspaceId::FIRST, ExportId::new(UnixMillis(2))).starts_with(&folder));
    }
}
