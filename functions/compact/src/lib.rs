//! Merges what `publish` has staged into the Parquet files of published events. Woken by a schedule; an operator may invoke
//! it at any time, also while another one works.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use shared::aws::Clients;
use shared::blob::Bucket;
use shared::config::{InvalidSettings, Settings};
use warehouse::{Compacted, Warehouse, WarehouseError};

/// What the last write before the end may take: reading, merging and writing the largest file that is expected.
const LAST_WRITE: Duration = Duration::from_secs(180);

/// What the function is told by its environment.
pub struct Config {
    bucket: String,
}

impl Config {
    /// Reads `BUCKET`.
    ///
    /// # Errors
    /// With everything that is missing or malformed.
    pub fn read(mut settings: Settings) -> Result<Self, InvalidSettings> {
        let bucket = settings.required("BUCKET");
        settings.finish(|| Some(Self { bucket: bucket? }))
    }
}

/// What the handler works with.
pub struct Compact {
    warehouse: Warehouse,
}

impl Compact {
    /// Connects the configuration with the clients.
    #[must_use]
    pub fn new(config: Config, clients: &Clients) -> Self {
        Self { warehouse: Warehouse::new(Bucket::new(clients.s3.clone(), config.bucket)) }
    }
}

/// Merges what is staged, whatever the event says; what does not fit into `left`, if that is limited, is left to the next
/// invocation. Answers what was done.
///
/// # Errors
/// [`WarehouseError`]; the next invocation goes on.
pub async fn handle(compact: &Compact, left: Option<Duration>) -> Result<Value, WarehouseError> {
    let until = left.map(|left| Instant::now() + left.saturating_sub(LAST_WRITE));
    let done = compact.warehouse.compact(until).await?;
    let Compacted { objects, events, files, overtaken, unreadable, finished } = done;
    if unreadable > 0 {
        tracing::error!(unreadable, "staged objects cannot be read");
    }
    Ok(json!({"objects": objects, "events": events, "files": files, "overtaken": overtaken,
        "unreadable": unreadable, "finished": finished}))
}
