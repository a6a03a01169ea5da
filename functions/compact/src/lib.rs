//! Looks after the objects of the bucket: merges what `publish` has staged into the Parquet files of published events, and once
//! a day removes what is older than the rules of retention say ([`sweep`]). Woken by schedules; an operator may invoke it at
//! any time, also while another one works.

pub mod sweep;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shared::aws::Clients;
use shared::blob::{BlobError, Bucket};
use shared::config::{InvalidSettings, Settings};
use shared::retention::Retention;
use shared::time::UnixMillis;
use warehouse::{Compacted, Warehouse, WarehouseError};

/// What the last write before the end may take: reading, merging and writing the largest file that is expected.
const LAST_WRITE: Duration = Duration::from_secs(180);

/// What the last piece of a sweep may take: a list of 1,000 keys, and removing them.
const LAST_PIECE: Duration = Duration::from_secs(30);

/// What the function is told by its environment.
pub struct Config {
    bucket: String,
    retention: Retention,
    sweeps_temporary: bool,
}

impl Config {
    /// Reads `BUCKET` and, optionally, `RETENTION` (everything is kept for good) and `SWEEP_TEMPORARY` (`false`): whether
    /// uploads, overflow and exports are swept here, where the bucket has no rules of its own that expire them.
    ///
    /// # Errors
    /// With everything that is missing or malformed.
    pub fn read(mut settings: Settings) -> Result<Self, InvalidSettings> {
        let bucket = settings.required("BUCKET");
        let retention = settings.or("RETENTION", Retention::default());
        let sweeps_temporary = settings.or("SWEEP_TEMPORARY", false);
        settings.finish(|| Some(Self { bucket: bucket?, retention, sweeps_temporary }))
    }
}

/// What the handler works with.
pub struct Compact {
    bucket: Bucket,
    warehouse: Warehouse,
    retention: Retention,
    sweeps_temporary: bool,
}

impl Compact {
    /// Connects the configuration with the clients.
    #[must_use]
    pub fn new(config: Config, clients: &Clients) -> Self {
        let bucket = Bucket::new(clients.s3.clone(), config.bucket);
        let Config { retention, sweeps_temporary, .. } = config;
        Self { warehouse: Warehouse::new(bucket.clone()), bucket, retention, sweeps_temporary }
    }
}

/// Why an invocation failed; the next one goes on.
#[derive(Debug, thiserror::Error)]
pub enum NotDone {
    /// Merging.
    #[error(transparent)]
    Warehouse(#[from] WarehouseError),
    /// Sweeping.
    #[error(transparent)]
    Bucket(#[from] BlobError),
}

/// What an event asks for in its `detail`: `{"task": "sweep"}` what is too old to be removed, anything else what is staged
/// to be merged. What does not fit into `left`, if that is limited, is left to the next invocation. Answers what was done.
///
/// # Errors
/// [`NotDone`].
pub async fn handle(
    compact: &Compact,
    event: &Value,
    now: UnixMillis,
    left: Option<Duration>,
) -> Result<Value, NotDone> {
    let until = |last: Duration| left.map(|left| Instant::now() + left.saturating_sub(last));
    if event["detail"]["task"] == "sweep" {
        let swept = sweep::run(compact, now, until(LAST_PIECE)).await?;
        tracing::info!(removed = swept.removed(), finished = swept.finished, "objects past their time were removed");
        return Ok(json!({"removed": swept.by_kind, "finished": swept.finished}));
    }
    let done = compact.warehouse.compact(until(LAST_WRITE)).await?;
    let Compacted { objects, events, files, overtaken, unreadable, finished } = done;
    if unreadable > 0 {
        tracing::error!(unreadable, "staged objects cannot be read");
    }
    Ok(json!({"objects": objects, "events": events, "files": files, "overtaken": overtaken,
        "unreadable": unreadable, "finished": finished}))
}
