//! The bucket: pages of an audience, bodies that are too large for a queue, lists too long for a table. How an audience
//! is laid there and read back is in [`audience`].

pub mod audience;

use std::ops::Range;
use std::time::Duration;

use aws_sdk_s3::error::{DisplayErrorContext, SdkError};
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;

use crate::campaign::PageNumber;
use crate::id::{CampaignId, EventId, ImportId, UploadId, WorkspaceId};

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
    /// The object is not the version that was asked for. Retrying does not help.
    #[error("the object at {key} was replaced")]
    Replaced {
        /// The object's key.
        key: String,
    },
    /// S3 refused or could not be reached: retry.
    #[error("{operation} of {key} failed: {message}")]
    Unavailable {
        /// `put`, `get`, `head` or `presign`.
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

    /// What is at this key.
    ///
    /// # Errors
    /// [`BlobError::NotFound`] or [`BlobError::Unavailable`].
    pub async fn head(&self, key: &str) -> Result<Stored, BlobError> {
        match self.client.head_object().bucket(&self.name).key(key).send().await {
            Ok(head) => Ok(Stored {
                bytes: u64::try_from(head.content_length.unwrap_or_default()).unwrap_or_default(),
                etag: head.e_tag,
            }),
            Err(error) if error.as_service_error().is_some_and(|error| error.is_not_found()) => {
                Err(BlobError::NotFound { key: key.to_owned() })
            }
            Err(error) => Err(unavailable("head", key, &error)),
        }
    }

    /// Reads a part of one version of an object; `range` lies within it.
    ///
    /// # Errors
    /// [`BlobError`].
    pub async fn get_range(&self, key: &str, range: Range<u64>, etag: Option<&str>) -> Result<Bytes, BlobError> {
        let request = self.client.get_object().bucket(&self.name).key(key);
        let asked = request.range(format!("bytes={}-{}", range.start, range.end.saturating_sub(1))).send().await;
        let object = match asked {
            Ok(object) => object,
            Err(error) if error.as_service_error().is_some_and(|e| e.is_no_such_key()) => {
                return Err(BlobError::NotFound { key: key.to_owned() });
            }
            Err(error) => return Err(unavailable("get", key, &error)),
        };
        // Compared here and not by S3's `If-Match`, so that every engine does the same.
        if etag.is_some_and(|expected| object.e_tag.as_deref().is_some_and(|found| found != expected)) {
            return Err(BlobError::Replaced { key: key.to_owned() });
        }
        let cut_off = |message: String| BlobError::Unavailable { operation: "get", key: key.to_owned(), message };
        let body = object.body.collect().await.map_err(|error| cut_off(error.to_string()))?;
        Ok(body.into_bytes())
    }

    /// An address under which anybody can write this object with `PUT` until `valid` is over.
    ///
    /// # Errors
    /// [`BlobError::Unavailable`] when there is nothing to sign with.
    pub async fn upload_url(&self, key: &str, valid: Duration) -> Result<String, BlobError> {
        let failed = |message: String| BlobError::Unavailable { operation: "presign", key: key.to_owned(), message };
        let config = PresigningConfig::expires_in(valid).map_err(|error| failed(error.to_string()))?;
        let signed = self.client.put_object().bucket(&self.name).key(key).presigned(config).await;
        let signed = signed.map_err(|error| failed(DisplayErrorContext(&error).to_string()))?;
        Ok(signed.uri().to_owned())
    }
}

/// An object as it lies in the bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its size.
    pub bytes: u64,
    /// Names its version.
    pub etag: Option<String>,
}

fn unavailable<E, R>(operation: &'static str, key: &str, error: &SdkError<E, R>) -> BlobError
where
    E: std::error::Error + 'static,
    R: std::fmt::Debug,
{
    BlobError::Unavailable { operation, key: key.to_owned(), message: DisplayErrorContext(error).to_string() }
}

/// Where the keys of the bucket are made; they hold ids only, never a phone number or a name.
pub mod key {
    use super::{CampaignId, EventId, ImportId, PageNumber, UploadId, WorkspaceId};

    /// A page of a campaign's audience.
    #[must_use]
    pub fn audience_page(workspace: WorkspaceId, campaign: CampaignId, page: PageNumber) -> String {
        format!("campaigns/{workspace}/{campaign}/pages/{page}.json")
    }

    /// A part of the lines of a campaign's audience that were not planned, each with its reason.
    #[must_use]
    pub fn skipped(workspace: WorkspaceId, campaign: CampaignId, part: u32) -> String {
        format!("campaigns/{workspace}/{campaign}/skipped/{part:06}.ndjson")
    }

    /// A part of the people of a campaign's audience who are held out.
    #[must_use]
    pub fn held_out(workspace: WorkspaceId, campaign: CampaignId, part: u32) -> String {
        format!("campaigns/{workspace}/{campaign}/holdout/{part:06}.ndjson")
    }

    /// A file that somebody uploaded.
    #[must_use]
    pub fn upload(workspace: WorkspaceId, upload: UploadId) -> String {
        format!("uploads/{workspace}/{upload}")
    }

    /// The lines that an import took, of one of its batches.
    #[must_use]
    pub fn import_accepted(workspace: WorkspaceId, import: ImportId, batch: u32) -> String {
        format!("imports/{workspace}/{import}/accepted/{batch:06}.ndjson")
    }

    /// The lines that an import did not take, each with its reason, of one of its batches.
    #[must_use]
    pub fn import_rejected(workspace: WorkspaceId, import: ImportId, batch: u32) -> String {
        format!("imports/{workspace}/{import}/rejected/{batch:06}.ndjson")
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
