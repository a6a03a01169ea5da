//! Reads the stream of CORE and keeps the counters of ROLLUP exact: the difference between the old and the new image of
//! each row, summed per counter item, applied once.

pub mod change;

use aws_lambda_events::event::dynamodb::Event;
use aws_lambda_events::event::streams::DynamoDbEventResponse;
use futures::{StreamExt, TryStreamExt};
use shared::aws::Clients;
use shared::config::{InvalidSettings, Settings};
use shared::rollup::updates;
use shared::store::StoreError;
use shared::store::rollups::Rollups;

/// Counter items written at once.
const WRITES_AT_ONCE: usize = 16;

/// What the function is told by its environment.
pub struct Config {
    rollup_table: String,
}

impl Config {
    /// Reads `ROLLUP_TABLE`.
    ///
    /// # Errors
    /// With everything that is missing or malformed.
    pub fn read(mut settings: Settings) -> Result<Self, InvalidSettings> {
        let rollup_table = settings.required("ROLLUP_TABLE");
        settings.finish(|| Some(Self { rollup_table: rollup_table? }))
    }
}

/// What the handler works with.
pub struct Rollup {
    rollups: Rollups,
}

impl Rollup {
    /// Connects the configuration with the clients.
    #[must_use]
    pub fn new(config: Config, clients: &Clients) -> Self {
        Self { rollups: Rollups::new(clients.dynamodb.clone(), config.rollup_table) }
    }
}

/// Takes in a batch of the stream. An error makes the whole batch come again; what was applied of it is not applied
/// twice.
///
/// # Errors
/// [`StoreError`] when a counter item could not be written.
pub async fn handle(rollup: &Rollup, batch: Event) -> Result<DynamoDbEventResponse, StoreError> {
    let changes = batch.records.into_iter().filter_map(change::read);
    futures::stream::iter(updates(changes))
        .map(|update| rollup.rollups.apply(update))
        .buffer_unordered(WRITES_AT_ONCE)
        .try_collect::<()>()
        .await?;
    Ok(DynamoDbEventResponse::default())
}
