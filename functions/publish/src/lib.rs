//! Reads the stream of CORE and publishes what happened: every event of the feed, and every step of a message. What is
//! published is kept for the warehouse before the batch counts as read, so nothing is lost; repeats have the same ids.

pub mod change;

use aws_lambda_events::event::dynamodb::Event;
use aws_lambda_events::event::streams::DynamoDbEventResponse;
use shared::aws::Clients;
use shared::blob::Bucket;
use shared::config::{InvalidSettings, Settings};
use shared::published::Change;
use shared::rollup::SequenceNumber;
use warehouse::{Warehouse, WarehouseError};

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
pub struct Publish {
    warehouse: Warehouse,
}

impl Publish {
    /// Connects the configuration with the clients.
    #[must_use]
    pub fn new(config: Config, clients: &Clients) -> Self {
        Self { warehouse: Warehouse::new(Bucket::new(clients.s3.clone(), config.bucket)) }
    }
}

/// Takes in a batch of the stream. An error makes the whole batch come again; what was published of it is published
/// under the same ids.
///
/// # Errors
/// [`WarehouseError`] when the events could not be kept.
pub async fn handle(publish: &Publish, batch: Event) -> Result<DynamoDbEventResponse, WarehouseError> {
    let changes: Vec<(SequenceNumber, Change)> = batch.records.into_iter().flat_map(change::read).collect();
    publish.warehouse.stage(&changes).await?;
    Ok(DynamoDbEventResponse::default())
}
