//! Jobs: work of minutes, noted until it is done. One runner has a job at a time and gives signs of life; should it die,
//! the watchdog finds the job silent and asks for it again, so no job depends on a queue message surviving.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use ulid::Ulid;

use super::expression::{Update, Updated};
use super::{Core, Item, StoreError, attribute, keys, number, read, read_or_skip};
use crate::queue::DispatchCommand;
use crate::time::UnixMillis;

/// A runner that has given no sign of life for so long is dead. Signs come every two seconds or so.
const DEAD_AFTER: Duration = Duration::from_secs(30);

#[derive(Serialize, Deserialize)]
struct Job {
    v: u8,
    command: DispatchCommand,
    /// The last sign of life.
    beat_at: UnixMillis,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    runner: Option<Ulid>,
    /// How often somebody has begun it.
    #[serde(default)]
    runs: u32,
}

/// Whether a runner may work on a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Yes. It has been begun so many times, this time included.
    Ours {
        /// From 1.
        runs: u32,
    },
    /// No: somebody else works on it.
    Busy,
    /// No: it is done.
    Done,
}

impl Core {
    /// Notes a job before anything says that it is needed; a repeat changes nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open_job(&self, command: &DispatchCommand, now: UnixMillis) -> Result<(), StoreError> {
        let job = Job { v: 1, command: *command, beat_at: now, runner: None, runs: 0 };
        self.put_new("job", key(command), &job, Item::new()).await.map(|_| ())
    }

    /// Begins a job, or goes on with it. `runner` is the caller's own choice and names this run.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn take_job(
        &self,
        command: &DispatchCommand,
        runner: Ulid,
        now: UnixMillis,
    ) -> Result<Taken, StoreError> {
        let mut update = Update::default();
        update.set("runner", attribute("job", &runner)?);
        update.set("beat_at", number(now.0));
        update.add("runs", number(1));
        update.only_if_present("pk");
        let (held, beat) = (update.name("runner"), update.name("beat_at"));
        let dead = update.value(number(now.0 - i64::try_from(DEAD_AFTER.as_millis()).unwrap_or(i64::MAX)));
        update.only_if(format!("attribute_not_exists({held}) OR {beat} < {dead}"));
        match self.update(key(command), update).await? {
            Updated::Done(item) => Ok(Taken::Ours { runs: read::<Job>("job", item)?.runs }),
            Updated::Refused(item) if item.is_empty() => Ok(Taken::Done),
            Updated::Refused(_) => Ok(Taken::Busy),
        }
    }

    /// A sign of life; `false` when the job is not this runner's any more, who then leaves it alone.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn beat_job(&self, command: &DispatchCommand, runner: Ulid, now: UnixMillis) -> Result<bool, StoreError> {
        let mut update = Update::default();
        update.set("beat_at", number(now.0));
        update.only_if_equal("runner", attribute("job", &runner)?);
        Ok(matches!(self.update(key(command), update).await?, Updated::Done(_)))
    }

    /// Gives a job back unfinished, so that the next runner need not wait for this one to be dead.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn leave_job(&self, command: &DispatchCommand, runner: Ulid) -> Result<(), StoreError> {
        let mut update = Update::default();
        update.remove("runner");
        update.only_if_equal("runner", attribute("job", &runner)?);
        self.update(key(command), update).await.map(|_| ())
    }

    /// Crosses a job off; a repeat changes nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn close_job(&self, command: &DispatchCommand) -> Result<(), StoreError> {
        self.client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(key(command).item()))
            .send()
            .await
            .map(|_| ())
            .map_err(|error| super::unavailable("DeleteItem", &error))
    }

    /// Jobs of which nothing was heard since `before`: each is given to one caller, who asks for it again.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn silent_jobs(&self, before: UnixMillis, now: UnixMillis) -> Result<Vec<DispatchCommand>, StoreError> {
        let items = self.query(keys::DUE_PK, keys::JOB_PREFIX, None, None, true).await?;
        let jobs = items.into_iter().filter_map(|item| read_or_skip::<Job>("job", item));
        let mut silent = Vec::new();
        for job in jobs.filter(|job| job.beat_at < before) {
            let mut update = Update::default();
            update.set("beat_at", number(now.0));
            update.remove("runner");
            update.only_if_equal("beat_at", number(job.beat_at.0));
            if matches!(self.update(key(&job.command), update).await?, Updated::Done(_)) {
                silent.push(job.command);
            }
        }
        Ok(silent)
    }
}

fn key(command: &DispatchCommand) -> keys::Key {
    match command {
        DispatchCommand::Advance { campaign, .. }
        | DispatchCommand::Resume { campaign, .. }
        | DispatchCommand::Plan { campaign, .. } => keys::job(campaign),
        DispatchCommand::Import { import, .. } => keys::job(import),
        DispatchCommand::Erase { workspace } => keys::job(format_args!("ERASE#{workspace}")),
        DispatchCommand::Export { contact, .. } => keys::job(format_args!("EXPORT#{contact}")),
    }
}
