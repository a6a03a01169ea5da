//! A table as a whole, row by row, whatever the rows are: for what looks at all of them, such as a replay. The domain's
//! reads and writes are on [`super::Core`].

use std::time::Duration;

use aws_sdk_dynamodb::types::{KeysAndAttributes, PutRequest, WriteRequest};

use super::keys::Key;
use super::{Item, StoreError, unavailable};

/// Items that one call writes (DynamoDB).
const PER_WRITE: usize = 25;

/// Items that one call reads by key (DynamoDB).
const PER_READ: usize = 100;

/// The longest pause before what DynamoDB did not process is asked for again.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// One of our tables: its keys are `pk` and `sk`.
#[derive(Clone, Debug)]
pub struct WholeTable {
    client: aws_sdk_dynamodb::Client,
    table: String,
}

/// A part of a table: rows of one partition key come together.
#[derive(Clone, Debug, Default)]
pub struct Part {
    /// The rows.
    pub items: Vec<Item>,
    /// The last of them, after which the next part begins; `None` at the end.
    pub next: Option<Key>,
}

/// The key of an item; `None` for what is no item of ours.
#[must_use]
pub fn key_of(item: &Item) -> Option<Key> {
    let part = |name: &str| item.get(name)?.as_s().ok().cloned();
    Some(Key { pk: part("pk")?, sk: part("sk")? })
}

impl WholeTable {
    /// The table of this name.
    #[must_use]
    pub fn new(client: aws_sdk_dynamodb::Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into() }
    }

    /// Rows after `after`, at most `limit` and at most 1 MB (DynamoDB).
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn part(&self, after: Option<&Key>, limit: usize) -> Result<Part, StoreError> {
        let scanned = self
            .client
            .scan()
            .table_name(&self.table)
            .set_exclusive_start_key(after.cloned().map(Key::item))
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| unavailable("Scan", &error))?;
        let next = scanned.last_evaluated_key.as_ref().and_then(key_of);
        Ok(Part { items: scanned.items.unwrap_or_default(), next })
    }

    /// The rows of these keys that exist, in no order.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn get(&self, keys: &[Key]) -> Result<Vec<Item>, StoreError> {
        let mut items = Vec::new();
        for hundred in keys.chunks(PER_READ) {
            let mut wanted: Vec<Item> = hundred.iter().cloned().map(Key::item).collect();
            let mut pause = Duration::from_millis(20);
            while !wanted.is_empty() {
                let built = KeysAndAttributes::builder().set_keys(Some(wanted)).consistent_read(true).build();
                let request = built.map_err(|error| refused("BatchGetItem", &error))?;
                let call = self.client.batch_get_item().request_items(&self.table, request).send().await;
                let mut found = call.map_err(|error| unavailable("BatchGetItem", &error))?;
                if let Some(responses) = found.responses.as_mut() {
                    items.append(responses.entry(self.table.clone()).or_default());
                }
                let rest = found.unprocessed_keys.and_then(|mut rest| rest.remove(&self.table));
                wanted = rest.map(|rest| rest.keys).unwrap_or_default();
                wait(&mut pause, !wanted.is_empty()).await;
            }
        }
        Ok(items)
    }

    /// Writes rows over what is there; no two of them have one key.
    ///
    /// # Errors
    /// [`StoreError`]; some of them are written then, and writing all again is safe.
    pub async fn put(&self, items: Vec<Item>) -> Result<(), StoreError> {
        let mut requests = Vec::with_capacity(items.len());
        for item in items {
            let put = PutRequest::builder().set_item(Some(item)).build();
            let put = put.map_err(|error| refused("BatchWriteItem", &error))?;
            requests.push(WriteRequest::builder().put_request(put).build());
        }
        for few in requests.chunks(PER_WRITE) {
            let mut rest = few.to_vec();
            let mut pause = Duration::from_millis(20);
            while !rest.is_empty() {
                let call = self.client.batch_write_item().request_items(&self.table, rest).send().await;
                let written = call.map_err(|error| unavailable("BatchWriteItem", &error))?;
                rest = written.unprocessed_items.and_then(|mut rest| rest.remove(&self.table)).unwrap_or_default();
                wait(&mut pause, !rest.is_empty()).await;
            }
        }
        Ok(())
    }
}

async fn wait(pause: &mut Duration, needed: bool) {
    if needed {
        tokio::time::sleep(*pause).await;
        *pause = (*pause * 2).min(LONGEST_PAUSE);
    }
}

fn refused(operation: &'static str, error: &aws_sdk_dynamodb::error::BuildError) -> StoreError {
    StoreError::Refused { operation, message: error.to_string() }
}
