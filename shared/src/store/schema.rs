//! The tables as `template.yaml` declares them, for engines that start empty: the local stack and tests. A test holds
//! the two against each other.

use aws_sdk_dynamodb::error::DisplayErrorContext;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection, ProjectionType,
    ScalarAttributeType, StreamSpecification, StreamViewType, TimeToLiveSpecification,
};

/// The sparse index behind lists: partition `list`, sort key `pk` (ids sort by age).
pub const LIST_INDEX: &str = "list";

/// The attribute after whose time (seconds since the epoch) DynamoDB deletes a row of CORE.
pub const TTL_ATTRIBUTE: &str = "expires_at";

/// A table could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the table {table} cannot be made: {message}")]
pub struct NoTable {
    /// Its name.
    pub table: String,
    /// What the engine says.
    pub message: String,
}

/// Makes CORE and ROLLUP where they are missing; what exists is left as it is.
///
/// # Errors
/// [`NoTable`].
pub async fn create_missing(client: &aws_sdk_dynamodb::Client, core: &str, rollup: &str) -> Result<(), NoTable> {
    create_core(client, core).await.map_err(|message| NoTable { table: core.to_owned(), message })?;
    create_rollup(client, rollup).await.map_err(|message| NoTable { table: rollup.to_owned(), message })
}

async fn create_core(client: &aws_sdk_dynamodb::Client, name: &str) -> Result<(), String> {
    let built = |error: aws_sdk_dynamodb::error::BuildError| error.to_string();
    let index = GlobalSecondaryIndex::builder()
        .index_name(LIST_INDEX)
        .key_schema(key("list", KeyType::Hash)?)
        .key_schema(key("pk", KeyType::Range)?)
        .projection(Projection::builder().projection_type(ProjectionType::KeysOnly).build())
        .build()
        .map_err(built)?;
    let stream = StreamSpecification::builder()
        .stream_enabled(true)
        .stream_view_type(StreamViewType::NewAndOldImages)
        .build()
        .map_err(built)?;
    let created = client
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(string("pk")?)
        .attribute_definitions(string("sk")?)
        .attribute_definitions(string("list")?)
        .key_schema(key("pk", KeyType::Hash)?)
        .key_schema(key("sk", KeyType::Range)?)
        .global_secondary_indexes(index)
        .stream_specification(stream)
        .send()
        .await;
    match created {
        Ok(_) => {}
        Err(error) if error.as_service_error().is_some_and(|e| e.is_resource_in_use_exception()) => return Ok(()),
        Err(error) => return Err(DisplayErrorContext(&error).to_string()),
    }
    let ttl = TimeToLiveSpecification::builder().enabled(true).attribute_name(TTL_ATTRIBUTE).build().map_err(built)?;
    client
        .update_time_to_live()
        .table_name(name)
        .time_to_live_specification(ttl)
        .send()
        .await
        .map(|_| ())
        .map_err(|error| DisplayErrorContext(&error).to_string())
}

async fn create_rollup(client: &aws_sdk_dynamodb::Client, name: &str) -> Result<(), String> {
    let created = client
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(string("pk")?)
        .attribute_definitions(string("sk")?)
        .key_schema(key("pk", KeyType::Hash)?)
        .key_schema(key("sk", KeyType::Range)?)
        .send()
        .await;
    match created {
        Ok(_) => Ok(()),
        Err(error) if error.as_service_error().is_some_and(|e| e.is_resource_in_use_exception()) => Ok(()),
        Err(error) => Err(DisplayErrorContext(&error).to_string()),
    }
}

fn string(name: &str) -> Result<AttributeDefinition, String> {
    AttributeDefinition::builder()
        .attribute_name(name)
        .attribute_type(ScalarAttributeType::S)
        .build()
        .map_err(|error| error.to_string())
}

fn key(name: &str, kind: KeyType) -> Result<KeySchemaElement, String> {
    KeySchemaElement::builder().attribute_name(name).key_type(kind).build().map_err(|error| error.to_string())
}
