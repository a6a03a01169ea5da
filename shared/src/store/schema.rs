//! The tables as `template.yaml` declares them, for engines that start empty: the local stack and tests. What is made is
//! described by [`CORE`] and [`ROLLUP`], and `tests/template.rs` holds the two against the template.

use aws_sdk_dynamodb::error::{BuildError, DisplayErrorContext};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, LocalSecondaryIndex, Projection,
    ProjectionType, ScalarAttributeType, StreamSpecification, StreamViewType, TimeToLiveSpecification,
};

/// The sparse index behind lists: partition `list`, sort key `pk` (ids sort by age).
pub const LIST_INDEX: &str = "list";

/// The local index that keeps all rows of a partition key together.
///
/// No row has its sort key, so it holds nothing and costs nothing. It is there because a local index binds the rows of one
/// partition key to one partition (at most 10 GB: AWS, limits of local secondary indexes); spread over several, the stream's
/// order would hold for a row only and not for a partition key, which the counters rely on. See ADR 2.
pub const TOGETHER_INDEX: &str = "together";

/// The attribute after whose time (seconds since the epoch) DynamoDB deletes a row of CORE.
pub const TTL_ATTRIBUTE: &str = "expires_at";

/// The table CORE.
pub const CORE: TableSchema = TableSchema {
    key: KeyPair { partition: "pk", sort: "sk" },
    index: Some(IndexSchema {
        name: LIST_INDEX,
        key: KeyPair { partition: "list", sort: "pk" },
        projection: ProjectionType::KeysOnly,
    }),
    local_index: Some(IndexSchema {
        name: TOGETHER_INDEX,
        key: KeyPair { partition: "pk", sort: "together" },
        projection: ProjectionType::KeysOnly,
    }),
    stream: Some(StreamViewType::NewAndOldImages),
    ttl_attribute: Some(TTL_ATTRIBUTE),
};

/// The table ROLLUP.
pub const ROLLUP: TableSchema = TableSchema {
    key: KeyPair { partition: "pk", sort: "sk" },
    index: None,
    local_index: None,
    stream: None,
    ttl_attribute: None,
};

/// What a table looks like; it is billed on demand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSchema {
    /// Its primary key.
    pub key: KeyPair,
    /// Its global secondary index.
    pub index: Option<IndexSchema>,
    /// Its local secondary index; one can be given to a table only when it is made.
    pub local_index: Option<IndexSchema>,
    /// What its stream shows of a change; `None` has no stream.
    pub stream: Option<StreamViewType>,
    /// After the time in this attribute a row is deleted; `None` keeps every row.
    pub ttl_attribute: Option<&'static str>,
}

/// A secondary index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexSchema {
    /// Its name.
    pub name: &'static str,
    /// Its key.
    pub key: KeyPair,
    /// What it holds of a row.
    pub projection: ProjectionType,
}

/// The attributes of a key, both of them text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyPair {
    /// The partition key.
    pub partition: &'static str,
    /// The sort key.
    pub sort: &'static str,
}

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
    for (name, schema) in [(core, &CORE), (rollup, &ROLLUP)] {
        create(client, name, schema).await.map_err(|message| NoTable { table: name.to_owned(), message })?;
    }
    Ok(())
}

impl TableSchema {
    /// The attributes that keys are made of, each once.
    #[must_use]
    pub fn key_attributes(&self) -> Vec<&'static str> {
        let mut attributes = vec![self.key.partition, self.key.sort];
        let indexes = self.index.iter().chain(&self.local_index);
        for attribute in indexes.flat_map(|index| [index.key.partition, index.key.sort]) {
            if !attributes.contains(&attribute) {
                attributes.push(attribute);
            }
        }
        attributes
    }
}

async fn create(client: &aws_sdk_dynamodb::Client, name: &str, schema: &TableSchema) -> Result<(), String> {
    let attributes = schema.key_attributes().into_iter().map(text).collect::<Result<_, _>>().map_err(built)?;
    let indexes = schema.index.iter().map(index).collect::<Result<Vec<_>, _>>().map_err(built)?;
    let local_indexes = schema.local_index.iter().map(local_index).collect::<Result<Vec<_>, _>>().map_err(built)?;
    let stream = schema.stream.clone().map(stream).transpose().map_err(built)?;
    let created = client
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .set_attribute_definitions(Some(attributes))
        .set_key_schema(Some(key_schema(schema.key).map_err(built)?))
        .set_global_secondary_indexes(Some(indexes).filter(|indexes| !indexes.is_empty()))
        .set_local_secondary_indexes(Some(local_indexes).filter(|indexes| !indexes.is_empty()))
        .set_stream_specification(stream)
        .send()
        .await;
    match created {
        Ok(_) => {}
        Err(error) if error.as_service_error().is_some_and(|e| e.is_resource_in_use_exception()) => {}
        Err(error) => return Err(DisplayErrorContext(&error).to_string()),
    }
    let Some(attribute) = schema.ttl_attribute else {
        return Ok(());
    };
    // A start that died between the two calls has left a table without TTL.
    let described = client.describe_time_to_live().table_name(name).send().await;
    let described = described.map_err(|error| DisplayErrorContext(&error).to_string())?;
    if described.time_to_live_description.is_some_and(|ttl| ttl.attribute_name.as_deref() == Some(attribute)) {
        return Ok(());
    }
    let ttl = TimeToLiveSpecification::builder().enabled(true).attribute_name(attribute).build().map_err(built)?;
    client
        .update_time_to_live()
        .table_name(name)
        .time_to_live_specification(ttl)
        .send()
        .await
        .map(|_| ())
        .map_err(|error| DisplayErrorContext(&error).to_string())
}

fn built(error: BuildError) -> String {
    error.to_string()
}

fn text(attribute: &str) -> Result<AttributeDefinition, BuildError> {
    AttributeDefinition::builder().attribute_name(attribute).attribute_type(ScalarAttributeType::S).build()
}

fn key_schema(key: KeyPair) -> Result<Vec<KeySchemaElement>, BuildError> {
    let element = |name, kind| KeySchemaElement::builder().attribute_name(name).key_type(kind).build();
    Ok(vec![element(key.partition, KeyType::Hash)?, element(key.sort, KeyType::Range)?])
}

fn index(schema: &IndexSchema) -> Result<GlobalSecondaryIndex, BuildError> {
    GlobalSecondaryIndex::builder()
        .index_name(schema.name)
        .set_key_schema(Some(key_schema(schema.key)?))
        .projection(Projection::builder().projection_type(schema.projection.clone()).build())
        .build()
}

fn local_index(schema: &IndexSchema) -> Result<LocalSecondaryIndex, BuildError> {
    LocalSecondaryIndex::builder()
        .index_name(schema.name)
        .set_key_schema(Some(key_schema(schema.key)?))
        .projection(Projection::builder().projection_type(schema.projection.clone()).build())
        .build()
}

fn stream(view: StreamViewType) -> Result<StreamSpecification, BuildError> {
    StreamSpecification::builder().stream_enabled(true).stream_view_type(view).build()
}
