//! DynamoDB: the tables CORE and ROLLUP. The one storage implementation there is; on one machine the same SDK talks to an
//! embedded engine. Keys are made in [`keys`], one module below for each kind of row.

mod accounts;
mod activity;
mod attempts;
mod audit;
mod campaigns;
mod consent;
mod contacts;
mod conversations;
pub mod conversions;
mod deliveries;
mod erasures;
mod exports;
mod expression;
mod feed;
mod halts;
mod idempotency;
mod imports;
mod jobs;
mod journeys;
pub mod keys;
mod link_domains;
mod links;
mod media;
mod own_ids;
mod planning;
mod probes;
mod quarantine;
pub mod rollups;
pub mod schema;
mod templates;
mod throttles;
mod touches;
mod visits;
mod webhooks;
pub mod whole;
mod write_keys;

use std::collections::HashMap;

use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::retention::{Kind, Retention};
use crate::time::UnixMillis;

pub use self::attempts::{Claimed, Learned, Told};
pub use self::campaigns::{Listed, PageState, Transition};
pub use self::consent::{Confirmed, ONE_CONFIRMATION_IN, Outcome};
pub use self::contacts::{
    Evidence, Found, Known, LookFor, Merged, Move, Resolved, Sighting, Unmerged, Upsert, Upserted,
};
pub use self::deliveries::{Recorded, Verdict};
pub use self::erasures::Row;
pub use self::exports::Shown;
pub use self::feed::FeedDay;
pub use self::halts::Followed;
pub use self::idempotency::Idempotency;
pub use self::jobs::Taken;
pub use self::link_domains::MAX_LINK_DOMAINS;
pub use self::links::Made;
pub use self::media::{Deletion, MetaClaim, Registered};
pub use self::probes::{AppsAsked, Watched};
pub use self::quarantine::{FirstSight, Quarantined, QuarantinedPage};
pub use self::touches::Touch;

/// A stored item as the SDK gives it.
pub type Item = HashMap<String, AttributeValue>;

/// The table CORE.
#[derive(Clone, Debug)]
pub struct Core {
    client: aws_sdk_dynamodb::Client,
    table: String,
    retention: Retention,
}

/// How fresh a read is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consistency {
    /// May miss writes of the last moment; half the price. For what a conditional write decides anyway.
    Eventual,
    /// Sees every write that was answered.
    Strong,
}

/// What became of writing a new item.
#[derive(Debug)]
enum Put {
    /// It is written.
    New,
    /// There is one already: this.
    There(Item),
}

impl Put {
    const fn is_new(&self) -> bool {
        matches!(self, Self::New)
    }
}

/// Why the store could not answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// DynamoDB refused or could not be reached. Retrying is safe: every write is conditional or can be repeated.
    #[error("{operation} failed: {message}")]
    Unavailable {
        /// What was tried.
        operation: &'static str,
        /// What the SDK says; holds no item.
        message: String,
    },
    /// DynamoDB does not take this write, now or later: it is malformed, or too large. Retrying does not help.
    #[error("{operation} was refused: {message}")]
    Refused {
        /// What was tried.
        operation: &'static str,
        /// What the SDK says; holds no item.
        message: String,
    },
    /// A stored item has not the shape that this version reads. Retrying does not help.
    #[error("a stored {what} cannot be read")]
    Damaged {
        /// The kind of row.
        what: &'static str,
        /// What is wrong.
        #[source]
        source: serde_dynamo::Error,
    },
}

/// Errors of DynamoDB's that come again with every try (AWS, error handling with DynamoDB): what was asked for is wrong, or
/// does not fit.
const PERMANENT: [&str; 2] = ["ValidationException", "ItemCollectionSizeLimitExceededException"];

impl StoreError {
    /// Whether trying again is of no use.
    #[must_use]
    pub const fn is_permanent(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Damaged { .. })
    }
}

impl Core {
    /// The table of this name.
    #[must_use]
    pub fn new(client: aws_sdk_dynamodb::Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into(), retention: Retention::default() }
    }

    /// The same table, in which rows are kept as long as these rules say.
    #[must_use]
    pub fn keeping(self, retention: Retention) -> Self {
        Self { retention, ..self }
    }

    /// How long rows are kept.
    #[must_use]
    pub const fn retention(&self) -> &Retention {
        &self.retention
    }

    /// The attribute by which DynamoDB deletes a row of this kind that was written at `at`; nothing when it is kept for good.
    fn expiry(&self, kind: Kind, at: UnixMillis) -> Item {
        let expires_at = self.retention.expiry(kind, at);
        expires_at.map(|seconds| (schema::TTL_ATTRIBUTE.to_owned(), number(seconds))).into_iter().collect()
    }

    /// Reads one item, strongly consistent.
    async fn get<T: DeserializeOwned>(&self, what: &'static str, key: keys::Key) -> Result<Option<T>, StoreError> {
        let found = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(key.item()))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| unavailable("GetItem", &error))?;
        found.item.map(|item| read(what, item)).transpose()
    }

    /// Writes one item if there is none.
    async fn put_new<T: Serialize + Sync>(
        &self,
        what: &'static str,
        key: keys::Key,
        row: &T,
        more: Item,
    ) -> Result<Put, StoreError> {
        let mut item = write(what, key, row)?;
        item.extend(more);
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match put {
            Ok(_) => Ok(Put::New),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(refused)) => {
                    Ok(Put::There(refused.item().cloned().unwrap_or_default()))
                }
                _ => Err(unavailable("PutItem", &error)),
            },
        }
    }

    /// All items of a partition whose sort key starts with `prefix`, after `after` if given, at most `limit`.
    async fn query(
        &self,
        pk: &str,
        prefix: &str,
        after: Option<&str>,
        limit: Option<usize>,
        forward: bool,
    ) -> Result<Vec<Item>, StoreError> {
        let mut items = Vec::new();
        let mut start = after.map(|sk| keys::Key::new(pk, sk).item());
        loop {
            let page = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression(partition_condition(prefix))
                .set_expression_attribute_values(Some(partition_values(pk, prefix)))
                .scan_index_forward(forward)
                .consistent_read(true)
                .set_exclusive_start_key(start.take())
                .set_limit(limit.map(|limit| i32::try_from(limit - items.len()).unwrap_or(i32::MAX)))
                .send()
                .await
                .map_err(|error| unavailable("Query", &error))?;
            items.extend(page.items.unwrap_or_default());
            start = page.last_evaluated_key;
            if start.is_none() || limit.is_some_and(|limit| items.len() >= limit) {
                return Ok(items);
            }
        }
    }

    /// Reads many items by key; what is not there is left out.
    async fn batch_get(&self, keys: Vec<keys::Key>, consistency: Consistency) -> Result<Vec<Item>, StoreError> {
        let mut items = Vec::new();
        for hundred in keys.chunks(100) {
            let mut wanted = Some(hundred.iter().cloned().map(keys::Key::item).collect::<Vec<_>>());
            let mut pause = std::time::Duration::from_millis(20);
            while let Some(now) = wanted.take().filter(|keys| !keys.is_empty()) {
                let request = aws_sdk_dynamodb::types::KeysAndAttributes::builder()
                    .set_keys(Some(now))
                    .consistent_read(consistency == Consistency::Strong)
                    .build()
                    .map_err(|error| StoreError::Unavailable {
                        operation: "BatchGetItem",
                        message: error.to_string(),
                    })?;
                let mut found = self
                    .client
                    .batch_get_item()
                    .request_items(&self.table, request)
                    .send()
                    .await
                    .map_err(|error| unavailable("BatchGetItem", &error))?;
                if let Some(responses) = found.responses.as_mut() {
                    items.append(responses.entry(self.table.clone()).or_default());
                }
                wanted = found.unprocessed_keys.and_then(|mut rest| rest.remove(&self.table)).map(|rest| rest.keys);
                if wanted.as_ref().is_some_and(|rest| !rest.is_empty()) {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(std::time::Duration::from_secs(1));
                }
            }
        }
        Ok(items)
    }
}

/// What a query by partition and prefix compares with; an empty prefix is left out.
fn partition_values(pk: &str, prefix: &str) -> Item {
    let mut values = Item::from([(":pk".to_owned(), text(pk))]);
    if !prefix.is_empty() {
        values.insert(":prefix".to_owned(), text(prefix));
    }
    values
}

/// Its condition. DynamoDB takes no empty text in a condition on a key.
const fn partition_condition(prefix: &str) -> &'static str {
    if prefix.is_empty() { "pk = :pk" } else { "pk = :pk AND begins_with(sk, :prefix)" }
}

/// A row as a stored item.
fn write<T: Serialize>(what: &'static str, key: keys::Key, row: &T) -> Result<Item, StoreError> {
    let mut item: Item = serde_dynamo::to_item(row).map_err(|source| StoreError::Damaged { what, source })?;
    item.extend(key.item());
    Ok(item)
}

fn sort_key(item: &Item) -> Option<&String> {
    item.get("sk")?.as_s().ok()
}

/// A stored item as a row.
fn read<T: DeserializeOwned>(what: &'static str, item: Item) -> Result<T, StoreError> {
    serde_dynamo::from_item(item).map_err(|source| StoreError::Damaged { what, source })
}

/// A row of a list, left out when this version cannot read it: one damaged row must not hide the others.
fn read_or_skip<T: DeserializeOwned>(what: &'static str, item: Item) -> Option<T> {
    read(what, item).inspect_err(|error| tracing::error!(%error, "a row was left out of a list")).ok()
}

/// A value as an attribute.
fn attribute<T: Serialize>(what: &'static str, value: &T) -> Result<AttributeValue, StoreError> {
    serde_dynamo::to_attribute_value(value).map_err(|source| StoreError::Damaged { what, source })
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn unavailable<E, R>(operation: &'static str, error: &SdkError<E, R>) -> StoreError
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
    R: std::fmt::Debug,
{
    // The context of a service error may repeat the request's values, so of those only code and message are kept.
    let Some(service) = error.as_service_error() else {
        return StoreError::Unavailable { operation, message: DisplayErrorContext(error).to_string() };
    };
    let code = service.code().unwrap_or("unknown");
    let message = format!("{code}: {}", service.message().unwrap_or(""));
    if PERMANENT.contains(&code) {
        StoreError::Refused { operation, message }
    } else {
        StoreError::Unavailable { operation, message }
    }
}
