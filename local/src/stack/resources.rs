//! Tables as `template.yaml` declares them, queues and the bucket, made where they are missing. The queues' visibility
//! time-outs are shorter than on AWS: here a message is out for long only when its function has failed.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use anyhow::Context;
use aws_sdk_sqs::operation::get_queue_url::GetQueueUrlError;
use aws_sdk_sqs::types::QueueAttributeName;
use shared::blob::Bucket;
use shared::store::rollups::Rollups;
use shared::store::{Core, schema};
use warehouse::Warehouse;

use crate::engines::Engines;

const CORE_TABLE: &str = "thirdtick-core";
const ROLLUP_TABLE: &str = "thirdtick-rollup";
/// The bucket's name, and so its folder's.
pub const BUCKET: &str = "thirdtick-data";

/// Deliveries of a message before it goes to the dead letters.
const MAX_RECEIVE_COUNT: u32 = 5;

/// A queue with its dead letters.
pub(super) struct QueueWithDeadLetters {
    pub(super) url: String,
}

/// What the functions work on.
pub(super) struct Resources {
    pub(super) events: QueueWithDeadLetters,
    pub(super) dispatch: QueueWithDeadLetters,
    pub(super) send: QueueWithDeadLetters,
    pub(super) deliver: QueueWithDeadLetters,
    pub(super) stream_arn: String,
}

impl Resources {
    pub(super) async fn create_missing(engines: &Engines) -> anyhow::Result<Self> {
        let dynamodb = engines.dynamodb();
        schema::create_missing(&dynamodb, CORE_TABLE, ROLLUP_TABLE).await?;
        let described = dynamodb.describe_table().table_name(CORE_TABLE).send().await?;
        let stream_arn = described.table.and_then(|table| table.latest_stream_arn).context("CORE has no stream")?;
        let buckets = engines.s3().list_buckets().send().await?;
        if !buckets.buckets().iter().any(|bucket| bucket.name() == Some(BUCKET)) {
            engines.s3().create_bucket().bucket(BUCKET).send().await?;
        }
        Ok(Self {
            events: queue(engines, "thirdtick-events", Duration::from_secs(60)).await?,
            dispatch: queue(engines, "thirdtick-dispatch", Duration::from_secs(60)).await?,
            send: queue(engines, "thirdtick-send", Duration::from_secs(150)).await?,
            deliver: queue(engines, "thirdtick-deliver", Duration::from_secs(150)).await?,
            stream_arn,
        })
    }

    pub(super) fn tables(&self, engines: &Engines) -> (Core, Rollups) {
        (Core::new(engines.dynamodb(), CORE_TABLE), Rollups::new(engines.dynamodb(), ROLLUP_TABLE))
    }

    pub(super) fn warehouse(&self, engines: &Engines) -> Warehouse {
        Warehouse::new(Bucket::new(engines.s3(), BUCKET))
    }

    /// The settings that name them to the functions.
    pub(super) fn settings(&self) -> BTreeMap<String, String> {
        [
            ("CORE_TABLE", CORE_TABLE),
            ("ROLLUP_TABLE", ROLLUP_TABLE),
            ("BUCKET", BUCKET),
            ("EVENTS_QUEUE_URL", &self.events.url),
            ("DISPATCH_QUEUE_URL", &self.dispatch.url),
            ("SEND_QUEUE_URL", &self.send.url),
            ("DELIVER_QUEUE_URL", &self.deliver.url),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
    }
}

async fn queue(engines: &Engines, name: &str, visibility: Duration) -> anyhow::Result<QueueWithDeadLetters> {
    let dead_letters = format!("{name}-dead-letters");
    configured(engines, &dead_letters, HashMap::new()).await?;
    let redrive = serde_json::json!({
        "deadLetterTargetArn": engines.queue_arn(&dead_letters),
        "maxReceiveCount": MAX_RECEIVE_COUNT,
    });
    let attributes = HashMap::from([
        (QueueAttributeName::VisibilityTimeout, visibility.as_secs().to_string()),
        (QueueAttributeName::RedrivePolicy, redrive.to_string()),
    ]);
    Ok(QueueWithDeadLetters { url: configured(engines, name, attributes).await? })
}

/// The address of the queue with these attributes. One that another version of this program has made has its attributes
/// changed; SQS would refuse to create it with others.
async fn configured(
    engines: &Engines,
    name: &str,
    attributes: HashMap<QueueAttributeName, String>,
) -> anyhow::Result<String> {
    let sqs = engines.sqs();
    let found = match sqs.get_queue_url().queue_name(name).send().await {
        Ok(found) => found.queue_url,
        Err(error) if error.as_service_error().is_some_and(GetQueueUrlError::is_queue_does_not_exist) => None,
        Err(error) => return Err(error.into()),
    };
    if let Some(url) = found {
        if !attributes.is_empty() {
            sqs.set_queue_attributes().queue_url(&url).set_attributes(Some(attributes)).send().await?;
        }
        return Ok(url);
    }
    let created = sqs.create_queue().queue_name(name).set_attributes(Some(attributes)).send().await?;
    created.queue_url.context("the queue has no address")
}
