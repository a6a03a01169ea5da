//! Reads the stream of CORE and publishes what happened: every event of the feed, and every step of a message. What is
//! published is kept for the warehouse and for whoever has subscribed to it before the batch counts as read, so nothing is
//! lost; repeats have the same ids.

pub mod change;

use aws_lambda_events::event::dynamodb::Event;
use aws_lambda_events::event::streams::DynamoDbEventResponse;
use shared::aws::Clients;
use shared::blob::Bucket;
use shared::config::{InvalidSettings, Settings};
use shared::published::{Change, Published};
use shared::queue::Queue;
use shared::rollup::SequenceNumber;
use shared::store::Core;
use shared::subscription::outbox::{NotTaken, Outbox};
use shared::time::UnixMillis;
use warehouse::{Warehouse, WarehouseError};

/// What the function is told by its environment.
pub struct Config {
    core_table: String,
    bucket: String,
    deliver_queue_url: String,
}

impl Config {
    /// Reads `CORE_TABLE`, `BUCKET` and `DELIVER_QUEUE_URL`.
    ///
    /// # Errors
    /// With everything that is missing or malformed.
    pub fn read(mut settings: Settings) -> Result<Self, InvalidSettings> {
        let core_table = settings.required("CORE_TABLE");
        let bucket = settings.required("BUCKET");
        let deliver_queue_url = settings.required("DELIVER_QUEUE_URL");
        settings
            .finish(|| Some(Self { core_table: core_table?, bucket: bucket?, deliver_queue_url: deliver_queue_url? }))
    }
}

/// What the handler works with.
pub struct Publish {
    warehouse: Warehouse,
    outbox: Outbox,
}

/// Why a batch was not published: it comes again, and what was published of it is published under the same ids.
#[derive(Debug, thiserror::Error)]
pub enum NotPublished {
    /// The events could not be kept.
    #[error(transparent)]
    Warehouse(#[from] WarehouseError),
    /// They could not be given to those who have subscribed.
    #[error(transparent)]
    Outbox(#[from] NotTaken),
}

impl Publish {
    /// Connects the configuration with the clients.
    #[must_use]
    pub fn new(config: Config, clients: &Clients) -> Self {
        let core = Core::new(clients.dynamodb.clone(), config.core_table);
        let deliver = Queue::new(clients.sqs.clone(), config.deliver_queue_url);
        Self {
            warehouse: Warehouse::new(Bucket::new(clients.s3.clone(), config.bucket)),
            outbox: Outbox::new(core, deliver),
        }
    }
}

/// Takes in a batch of the stream. An error makes the whole batch come again; what was published of it is published
/// under the same ids.
///
/// # Errors
/// [`NotPublished`].
pub async fn handle(publish: &Publish, batch: Event) -> Result<DynamoDbEventResponse, NotPublished> {
    let changes: Vec<(SequenceNumber, Change)> = batch.records.into_iter().flat_map(change::read).collect();
    publish.warehouse.stage(&changes).await?;
    // What is only told better is no news to anybody.
    let news = changes.into_iter().filter(|(_, change)| change.is_new()).map(|(_, change)| change.event);
    publish.outbox.take(&news.collect::<Vec<Published>>(), UnixMillis::now()).await?;
    Ok(DynamoDbEventResponse::default())
}
