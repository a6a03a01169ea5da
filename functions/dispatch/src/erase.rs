//! The job of erasing people: passes through the whole table, the bucket and the files of published events, until one has
//! found nothing. A run that is cut off goes on where it was; all erasures that wait share a pass.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use shared::erasure::object::{self, NotErased};
use shared::erasure::search::{MOST_BYTES, Search, SearchError};
use shared::erasure::{Erasure, Names, Pass, PassUnderWay, Person, Place, Status, next_pass_at};
use shared::id::{ContactId, WorkspaceId, ulid_at};
use shared::queue::{DispatchCommand, QueueUnavailable};
use shared::store::{Row, StoreError, Taken};
use shared::time::UnixMillis;
use ulid::Ulid;
use warehouse::{Warehouse, WarehouseError};

use crate::Dispatch;
use crate::signs::{self, while_ours};

/// How long a run works: less than the function has (15 minutes).
const RUN_FOR: Duration = Duration::from_secs(600);

/// What a report counts the files of published events under.
const PUBLISHED: &str = "published_events";

/// Erasures that are looked after at a time; more wait for the next pass.
const MOST_AT_ONCE: usize = 1_000;

/// Why the job is not done; it is asked for again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotDone {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Object(#[from] NotErased),
    #[error(transparent)]
    Warehouse(#[from] WarehouseError),
    #[error(transparent)]
    Search(#[from] SearchError),
    #[error("so many people cannot be looked for at once")]
    TooMany(#[from] shared::erasure::TooManyNames),
    #[error(transparent)]
    Queue(#[from] QueueUnavailable),
}

/// What is left to do at the end of a run.
#[derive(Debug, PartialEq, Eq)]
enum Left {
    /// Nothing: all erasures are complete.
    Nothing,
    /// The rest of the pass: the run's time is over.
    TheRest,
    /// Another pass, not before this is over.
    PassAfter(Duration),
    /// Somebody else works on it.
    NotOurs,
}

/// Works on the job, unless somebody else does.
pub(crate) async fn run(dispatch: &Dispatch, workspace: WorkspaceId) -> Result<(), NotDone> {
    let command = DispatchCommand::Erase { workspace };
    if waiting(dispatch, workspace).await?.is_empty() {
        return Ok(dispatch.core.close_job(&command).await?);
    }
    // It was closed, perhaps, just when somebody asked for another erasure.
    dispatch.core.open_job(&command, UnixMillis::now()).await?;
    let runner = ulid_at(UnixMillis::now());
    let Taken::Ours { .. } = dispatch.core.take_job(&command, runner, UnixMillis::now()).await? else {
        return Ok(());
    };
    let run = Run { dispatch, workspace, command, runner, begun: Instant::now() };
    let left = match while_ours(run.work(), || run.beat(), signs::EVERY).await {
        Ok(left) => left.unwrap_or(Left::NotOurs),
        Err(error) => {
            dispatch.core.leave_job(&command, runner).await?;
            return Err(error);
        }
    };
    match left {
        Left::NotOurs => Ok(()),
        Left::Nothing => {
            dispatch.core.close_job(&command).await?;
            if waiting(dispatch, workspace).await?.is_empty() {
                return Ok(());
            }
            dispatch.core.open_job(&command, UnixMillis::now()).await?;
            Ok(dispatch.commands.send(&command, Duration::ZERO).await?)
        }
        Left::TheRest => {
            dispatch.core.leave_job(&command, runner).await?;
            Ok(dispatch.commands.send(&command, Duration::ZERO).await?)
        }
        Left::PassAfter(wait) => {
            dispatch.core.leave_job(&command, runner).await?;
            // By then the watchdog has asked for it anyway, and messages would become ever more.
            if wait > dispatch.forgotten_after {
                return Ok(());
            }
            Ok(dispatch.commands.send(&command, wait).await?)
        }
    }
}

/// Erasures that are not complete, oldest first.
async fn waiting(dispatch: &Dispatch, workspace: WorkspaceId) -> Result<Vec<Erasure>, StoreError> {
    dispatch.core.erasures_under_way(workspace, MOST_AT_ONCE).await
}

/// Counts what became of a row, whose key may name people, or of this object. One that can never be read does not keep the
/// others from being erased.
fn count<E: std::fmt::Display>(
    pass: &mut Pass,
    kind: &str,
    object: Option<&str>,
    done: Result<bool, E>,
    is_permanent: impl FnOnce(&E) -> bool,
) -> Result<(), E> {
    match done {
        Ok(true) => pass.changed(kind),
        Ok(false) => {}
        Err(error) if is_permanent(&error) => {
            tracing::error!(kind, object, %error, "an erasure goes on without something that cannot be read");
            pass.could_not_read(kind);
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Counts a definition that stays, and says where it is unless its key names people as well.
fn leave(pass: &mut Pass, what: &str, names: &Names, row: &Row) {
    pass.leaves(what);
    let (pk, sk) = row.place();
    let place = [pk, sk].into_iter().filter(|part| !names.are_in_key(part)).collect::<Vec<_>>().join(" ");
    tracing::warn!(what, place, "an erasure leaves a definition as it is that names somebody");
}

struct Run<'a> {
    dispatch: &'a Dispatch,
    workspace: WorkspaceId,
    command: DispatchCommand,
    runner: Ulid,
    begun: Instant,
}

impl Run<'_> {
    async fn work(&self) -> Result<Left, NotDone> {
        loop {
            let erasures = waiting(self.dispatch, self.workspace).await?;
            let mut under_way = match self.dispatch.core.erasure_pass(self.workspace).await? {
                Some(under_way) => self.go_on(under_way),
                None if erasures.is_empty() => return Ok(Left::Nothing),
                None => {
                    let due = next_pass_at(&erasures, self.dispatch.erasure_settles_after);
                    let wait = due.map_or(Duration::ZERO, |due| due.since(UnixMillis::now()));
                    if !wait.is_zero() {
                        return Ok(Left::PassAfter(wait));
                    }
                    self.begin(&erasures).await?
                }
            };
            if let Some(left) = self.note(&mut under_way).await? {
                return Ok(left);
            }
            let concerned: Vec<&Erasure> =
                erasures.iter().filter(|erasure| under_way.erasures.contains(&erasure.id)).collect();
            let people: Vec<&Person> = concerned.iter().filter_map(|erasure| erasure.person.as_ref()).collect();
            let names = Names::of(people.iter().copied())?;
            if let Some(left) = self.table(&names, &mut under_way).await? {
                return Ok(left);
            }
            if let Some(left) = self.bucket(&names, &mut under_way).await? {
                return Ok(left);
            }
            let contacts: BTreeSet<ContactId> = concerned.iter().flat_map(|erasure| erasure.contacts.clone()).collect();
            let warehouse = Warehouse::new(self.dispatch.bucket.clone());
            let files = warehouse.erase(&contacts).await?;
            if files.rows > 0 {
                *under_way.pass.erased.entry(PUBLISHED.to_owned()).or_default() += files.rows as u64;
            }
            files.unreadable.iter().for_each(|_| under_way.pass.could_not_read(PUBLISHED));
            // Whoever has it now ends the pass.
            if !self.beat().await? {
                return Ok(Left::NotOurs);
            }
            self.end(under_way, erasures).await?;
        }
    }

    async fn begin(&self, erasures: &[Erasure]) -> Result<PassUnderWay, StoreError> {
        let pass = Pass { began_at: UnixMillis::now(), ..Pass::default() };
        let erasures = erasures.iter().map(|erasure| erasure.id).collect();
        let under_way =
            PassUnderWay { v: 1, erasures, runner: Some(self.runner), place: Place::Table { behind: None }, pass };
        self.dispatch.core.put_erasure_pass(self.workspace, &under_way).await?;
        Ok(under_way)
    }

    /// A pass that another run has begun, and has left or died in.
    fn go_on(&self, mut under_way: PassUnderWay) -> PassUnderWay {
        under_way.pass.interrupted |= under_way.runner.is_some_and(|runner| runner != self.runner);
        under_way.runner = Some(self.runner);
        under_way
    }

    /// Notes how far the pass is; what is left if the run is to stop here.
    async fn note(&self, under_way: &mut PassUnderWay) -> Result<Option<Left>, StoreError> {
        let core = &self.dispatch.core;
        if !self.beat().await? {
            return Ok(Some(Left::NotOurs));
        }
        let time_is_over = self.time_is_over();
        under_way.runner = (!time_is_over).then_some(self.runner);
        core.put_erasure_pass(self.workspace, under_way).await?;
        Ok(time_is_over.then_some(Left::TheRest))
    }

    fn time_is_over(&self) -> bool {
        self.begun.elapsed() > RUN_FOR
    }

    /// A sign of life; `false` when somebody else has the job.
    async fn beat(&self) -> Result<bool, StoreError> {
        self.dispatch.core.beat_job(&self.command, self.runner, UnixMillis::now()).await
    }

    fn search(&self) -> Search<'_> {
        let Dispatch { core, bucket, .. } = self.dispatch;
        Search { core, bucket, workspace: self.workspace, most_bytes: MOST_BYTES }
    }

    async fn table(&self, names: &Names, under_way: &mut PassUnderWay) -> Result<Option<Left>, NotDone> {
        while let Place::Table { behind } = under_way.place.clone() {
            let piece = self.search().rows(behind).await?;
            for row in &piece.of_workspace {
                under_way.pass.looked(row.kind());
                if let Some(what) = row.left(names) {
                    leave(&mut under_way.pass, what, names, row);
                }
                if !row.names(names) {
                    continue;
                }
                let done = self.dispatch.core.erase_row(names, row, UnixMillis::now()).await;
                count(&mut under_way.pass, row.kind(), None, done.map(|()| true), StoreError::is_permanent)?;
            }
            under_way.place = match piece.last {
                Some(place) => Place::Table { behind: Some(place) },
                None => Place::Bucket { behind: None },
            };
            if let Some(left) = self.note(under_way).await? {
                return Ok(Some(left));
            }
        }
        Ok(None)
    }

    async fn bucket(&self, names: &Names, under_way: &mut PassUnderWay) -> Result<Option<Left>, NotDone> {
        while let Place::Bucket { behind } = under_way.place.clone() {
            let piece = self.search().objects(behind.as_deref()).await?;
            let Some(mut last) = piece.last else { break };
            for object in piece.of_workspace {
                under_way.pass.looked(object.kind.name());
                let done = object::erase(&self.search(), &object, names).await;
                count(&mut under_way.pass, object.kind.name(), Some(&object.key), done, NotErased::is_permanent)?;
                // Large files take minutes, and there may be many in a piece.
                if self.time_is_over() {
                    last = object.key;
                    break;
                }
            }
            under_way.place = Place::Bucket { behind: Some(last) };
            if let Some(left) = self.note(under_way).await? {
                return Ok(Some(left));
            }
        }
        Ok(None)
    }

    /// Notes the pass on its erasures.
    async fn end(&self, under_way: PassUnderWay, erasures: Vec<Erasure>) -> Result<(), StoreError> {
        let now = UnixMillis::now();
        let pass = Pass { ended_at: Some(now), ..under_way.pass };
        for mut erasure in erasures.into_iter().filter(|erasure| under_way.erasures.contains(&erasure.id)) {
            let settled_at = erasure.asked_at.plus(self.dispatch.erasure_settles_after);
            erasure.status = Status::Running;
            erasure.note(&pass);
            if pass.is_clean() && pass.began_at >= settled_at {
                erasure.status = Status::Complete;
                erasure.completed_at = Some(now);
                erasure.person = None;
                tracing::info!(erasure = %erasure.id, passes = erasure.passes.len(), "an erasure is complete");
            }
            if !self.dispatch.core.put_erasure(&erasure).await? {
                tracing::warn!(erasure = %erasure.id, "an erasure was completed by another run");
            }
        }
        self.dispatch.core.end_erasure_pass(self.workspace).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_passed_over_and_what_does_not_answer_is_not() {
        let mut pass = Pass::default();
        let permanent = |error: &&str| *error == "unreadable";
        assert_eq!(count(&mut pass, "attempts", None, Err("unreadable"), permanent), Ok(()));
        assert_eq!(count(&mut pass, "attempts", None, Err("throttled"), permanent), Err("throttled"));
        assert_eq!(count(&mut pass, "contacts", None, Ok(true), permanent), Ok(()));
        assert_eq!(count(&mut pass, "contacts", None, Ok(false), permanent), Ok(()));
        assert_eq!(pass.unreadable, [("attempts".to_owned(), 1)].into());
        assert_eq!(pass.erased, [("contacts".to_owned(), 1)].into());
    }
}
