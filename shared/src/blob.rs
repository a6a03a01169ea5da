//! The bucket: pages of an audience, bodies that are too large for a queue, lists too long for a table.

use aws_sdk_s3::error::DisplayErrorContext;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;

use crate::campaign::PageNumber;
use crate::id::{CampaignId, EventId, WorkspaceId};

/// One bucket.
#[derive(Clone, Debug)]
pub struct Bucket {
    client: aws_sdk_s3::Client,
    name: String,
}

/// Why an object could not be written or read. Retrying is safe: writing an object twice leaves one object.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// There is no such object.
    #[error("no object at {key}")]
    NotFound {
        /// The object's key; keys hold ids only.
        key: String,
    },
    /// S3 refused or could not be reached: retry.
    #[error("{operation} of {key} failed: {message}")]
    Unavailable {
        /// `put` or `get`.
        operation: &'static str,
        /// The object's key.
        key: String,
        /// What the SDK says.
        message: String,
    },
}

impl Bucket {
    /// The bucket of this name.
    #[must_use]
    pub fn new(client: aws_sdk_s3::Client, name: impl Into<String>) -> Self {
        Self { client, name: name.into() }
    }

    /// Writes the object, replacing what was there.
    ///
    /// # Errors
    /// [`BlobError::Unavailable`].
    pub async fn put(&self, key: &str, body: impl Into<Bytes>, content_type: &str) -> Result<(), BlobError> {
        self.client
            .put_object()
            .bucket(&self.name)
            .key(key)
            .content_type(content_type)
            .body(ByteStream::from(body.into()))
            .send()
            .await
            .map(|_| ())
            .map_err(|error| BlobError::Unavailable {
                operation: "put",
                key: key.to_owned(),
                message: DisplayErrorContext(&error).to_string(),
            })
    }

    /// Reads the whole object.
    ///
    /// # Errors
    /// [`BlobError::NotFound`] or [`BlobError::Unavailable`].
    pub async fn get(&self, key: &str) -> Result<Bytes, BlobError> {
        let unavailable = |message: String| BlobError::Unavailable { operation: "get", key: key.to_owned(), message };
        let object = match self.client.get_object().bucket(&self.name).key(key).send().await {
            Ok(object) => object,
            Err(error) if error.as_service_error().is_some_and(|e| e.is_no_such_key()) => {
                return Err(BlobError::NotFound { key: key.to_owned() });
            }
            Err(error) => return Err(unavailable(DisplayErrorContext(&error).to_string())),
        };
        let body = object.body.collect().await.map_err(|error| unavailable(error.to_string()))?;
        Ok(body.into_bytes())
    }
}

/// Where the keys of the bucket are made; they hold ids only, never a phone number or a name.
pub mod key {
    use super::{CampaignId, EventId, PageNumber, WorkspaceId};

    /// A page of a campaign's audience.
    #[must_use]
    pub fn audience_page(workspace: WorkspaceId, campaign: CampaignId, page: PageNumber) -> String {
        format!("campaigns/{workspace}/{campaign}/pages/{page}.json")
    }

    /// The lines of a campaign's audience that were not planned, each with its reason.
    #[must_use]
    pub fn skipped(workspace: WorkspaceId, campaign: CampaignId) -> String {
        format!("campaigns/{workspace}/{campaign}/skipped.json")
    }

    /// An item of a notification that was too long for its row in the feed.
    #[must_use]
    pub fn kept_event(date: &str, event: EventId) -> String {
        format!("kept/{date}/{event}.json")
    }

    /// A body that was too large for a queue message. `name` is unique.
    #[must_use]
    pub fn overflow(date: &str, name: &str) -> String {
        format!("overflow/{date}/{name}")
    }
}
