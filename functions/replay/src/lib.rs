//! Makes fresh tables of what is in the archive and compares them with the live ones. What does not follow from the archive
//! is copied (see [`derived`]), every message of the archive is taken in again by the very code of `ingest`, the counters
//! are counted anew from the rows, and then both pairs of tables are held against each other.
//!
//! It goes step by step; a [`Job`] says how far it is, and repeating a step changes nothing. So it can be cut off anywhere:
//! Lambda's quarter of an hour ends with an answer that is the next invocation's event.

mod compare;
mod copy;
mod count;
pub mod derived;
mod feed;
mod job;

use aws_sdk_dynamodb::types::TableStatus;
use shared::archive::{ObjectName, PREFIX, UnreadableLine};
use shared::aws::Clients;
use shared::blob::{BlobError, Bucket};
use shared::config::{InvalidSettings, Settings};
use shared::link::code::KeyRing;
use shared::retention::Retention;
use shared::store::whole::WholeTable;
use shared::store::{Core, StoreError, schema};
use shared::time::UnixMillis;

pub use crate::compare::{Comparison, Differences};
pub use crate::job::{Done, Job, Phase};

/// Objects among which the oldest of the archive is looked for: one would do, if nothing else lay there.
const OBJECTS_LISTED: usize = 100;

/// What the function is told by its environment.
pub struct Config {
    core_table: String,
    rollup_table: String,
    retention: Retention,
    bucket: String,
    link_keys: KeyRing,
}

impl Config {
    /// Reads `CORE_TABLE`, `ROLLUP_TABLE` and `BUCKET`: what is live, `LINK_KEYS`, by which click ids are read, and,
    /// optionally, `RETENTION`: rows that are made again end when those did that they stand for.
    ///
    /// # Errors
    /// With everything that is missing or malformed.
    pub fn read(mut settings: Settings) -> Result<Self, InvalidSettings> {
        let core_table = settings.required("CORE_TABLE");
        let rollup_table = settings.required("ROLLUP_TABLE");
        let retention = settings.or("RETENTION", Retention::default());
        let bucket = settings.required("BUCKET");
        let link_keys = settings.required("LINK_KEYS");
        settings.finish(|| {
            Some(Self {
                core_table: core_table?,
                rollup_table: rollup_table?,
                retention,
                bucket: bucket?,
                link_keys: link_keys?,
            })
        })
    }
}

/// What the handler works with.
pub struct Replay {
    dynamodb: aws_sdk_dynamodb::Client,
    core_table: String,
    rollup_table: String,
    retention: Retention,
    bucket: Bucket,
    link_keys: KeyRing,
}

/// Why a replay cannot go on. Repeating it with the same event is safe.
#[derive(Debug, thiserror::Error)]
pub enum NotReplayed {
    /// The tables that are to be made are the live ones.
    #[error("a replay goes into tables of its own, not into the live ones")]
    IntoTheLiveTables,
    /// The fresh tables cannot be made, or are not ready yet.
    #[error("the fresh tables are not ready: {0}")]
    NoTables(String),
    /// Messages could not be taken in, in several tries.
    #[error("{0} messages of the archive could not be taken in")]
    NotTakenIn(usize),
    /// An object of the archive.
    #[error(transparent)]
    Archive(#[from] UnreadableLine),
    /// The bucket.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// A table.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The tables of one replay.
struct Tables {
    live_core: WholeTable,
    live_rollup: WholeTable,
    fresh_core: WholeTable,
    fresh_rollup: WholeTable,
    /// The fresh one as the domain sees it.
    core: Core,
}

impl Replay {
    /// Connects the configuration with the clients.
    #[must_use]
    pub fn new(config: Config, clients: &Clients) -> Self {
        Self {
            dynamodb: clients.dynamodb.clone(),
            core_table: config.core_table,
            rollup_table: config.rollup_table,
            retention: config.retention,
            bucket: Bucket::new(clients.s3.clone(), config.bucket),
            link_keys: config.link_keys,
        }
    }

    fn tables(&self, job: &Job) -> Result<Tables, NotReplayed> {
        let (core, rollup) = (job.core_table(), job.rollup_table());
        let live = [&self.core_table, &self.rollup_table];
        if live.contains(&&core) || live.contains(&&rollup) {
            return Err(NotReplayed::IntoTheLiveTables);
        }
        let whole = |table: &str| WholeTable::new(self.dynamodb.clone(), table);
        Ok(Tables {
            live_core: whole(&self.core_table),
            live_rollup: whole(&self.rollup_table),
            fresh_core: whole(&core),
            fresh_rollup: whole(&rollup),
            core: Core::new(self.dynamodb.clone(), core).keeping(self.retention.clone()),
        })
    }

    /// Where the archive begins: names of its objects sort by time.
    async fn oldest_object(&self) -> Result<Option<ObjectName>, NotReplayed> {
        let keys = self.bucket.list(PREFIX, None, OBJECTS_LISTED).await?;
        Ok(keys.iter().find_map(|key| ObjectName::read_key(key)))
    }

    /// Makes the fresh tables where they are missing. On AWS that takes some seconds, so it may have to be asked again.
    async fn make_tables(&self, job: &Job) -> Result<(), NotReplayed> {
        let not_ready = |error: &dyn std::fmt::Display| NotReplayed::NoTables(error.to_string());
        let (core, rollup) = (job.core_table(), job.rollup_table());
        schema::create_missing(&self.dynamodb, &core, &rollup).await.map_err(|error| not_ready(&error))?;
        for table in [core, rollup] {
            let described = self.dynamodb.describe_table().table_name(&table).send().await;
            let described = described.map_err(|error| not_ready(&error.into_service_error()))?;
            let status = described.table.and_then(|table| table.table_status);
            if status.as_ref().is_some_and(|status| *status != TableStatus::Active) {
                return Err(not_ready(&format!("{table} is being made")));
            }
        }
        Ok(())
    }
}

/// Goes on with a job as long as there is time. The answer is the job as it is then: with the phase
/// [`Phase::Ended`] it is done, else it is the next event.
///
/// # Errors
/// [`NotReplayed`]; the same event can be tried again.
pub async fn handle(replay: &Replay, mut job: Job, has_time: impl Fn() -> bool) -> Result<Job, NotReplayed> {
    while job.phase != Phase::Ended {
        step(replay, &mut job).await?;
        if !has_time() {
            break;
        }
    }
    tracing::info!(phase = ?job.phase, messages = job.done.messages, "a replay has come so far");
    Ok(job)
}

/// Does one part of the work.
///
/// # Errors
/// [`NotReplayed`]; the job is as it was.
pub async fn step(replay: &Replay, job: &mut Job) -> Result<(), NotReplayed> {
    let tables = replay.tables(job)?;
    let next = match job.phase.clone() {
        Phase::Tables => {
            replay.make_tables(job).await?;
            let oldest = replay.oldest_object().await?;
            job.begin_with(oldest.as_ref(), UnixMillis::now());
            Phase::Copy { after: None }
        }
        Phase::Copy { after } => copy::step(&tables, job, after).await?,
        Phase::Feed { after } => feed::step(replay, &tables, job, after).await?,
        Phase::Count { after } => count::step(&tables, job, after).await?,
        Phase::Rows { after } => compare::rows(&tables, job, after).await?,
        Phase::MoreRows { after } => compare::more_rows(&tables, job, after).await?,
        Phase::Counters { after } => compare::counters(&tables, job, after).await?,
        Phase::MoreCounters { after } => compare::more_counters(&tables, job, after).await?,
        Phase::Ended => Phase::Ended,
    };
    job.phase = next;
    Ok(())
}

#[cfg(test)]
mod tests {
    use shared::aws::{BehaviorVersion, SdkConfig};
    use shared::retention::Kind;

    use super::*;

    /// Clients that never call anybody.
    fn clients() -> Clients {
        Clients::new(&SdkConfig::builder().behavior_version(BehaviorVersion::latest()).build())
    }

    #[test]
    fn rows_that_are_made_again_are_kept_as_long_as_the_live_ones() {
        let settings = [
            ("CORE_TABLE", "core"),
            ("ROLLUP_TABLE", "rollup"),
            ("BUCKET", "bucket"),
            ("LINK_KEYS", "1:000102030405060708090a0b0c0d0e0f"),
            ("RETENTION", "messages=400"),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let config = Config::read(Settings::from_values(settings)).unwrap();
        let tables = Replay::new(config, &clients()).tables(&Job::new("x")).unwrap();
        assert!(tables.core.retention().of(Kind::Messages).is_some());
    }
}
