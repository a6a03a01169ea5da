//! The bucket: pages of an audience, bodies that are too large for a queue, lists too long for a table, media. How an
//! audience is laid there and read back is in [`audience`].

pub mod audience;
pub mod files;

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use aws_sdk_s3::error::DisplayErrorContext;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use futures::Stream;

use crate::campaign::PageNumber;
use crate::id::{CampaignId, EventId, ExportId, ImportId, MediaId, UploadId, WorkspaceId};

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
        /// `put`, `get`, `head`, `copy`, `delete`, `list` or `presign`.
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

    /// Reads the whole object, unless it has more bytes than this.
    ///
    /// # Errors
    /// [`BlobError::NotFound`] or [`BlobError::Unavailable`].
    pub async fn get_up_to(&self, key: &str, most_bytes: u64) -> Result<Fetched, BlobError> {
        let mut opened = self.open(key).await?;
        if opened.bytes > most_bytes {
            return Ok(Fetched::Larger(Stored { bytes: opened.bytes, etag: opened.etag }));
        }
        let mut body = Vec::with_capacity(usize::try_from(opened.bytes).unwrap_or(0));
        while let Some(piece) = opened.next().await.map_err(|error| unavailable("get", key, &error))? {
            body.extend_from_slice(&piece);
        }
        Ok(Fetched::Whole(body.into()))
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
            Err(error) => Err(unavailable("head", key, &DisplayErrorContext(&error))),
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
            Err(error) => return Err(unavailable("get", key, &DisplayErrorContext(&error))),
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
        let config = PresigningConfig::expires_in(valid).map_err(|error| unavailable("presign", key, &error))?;
        let signed = self.client.put_object().bucket(&self.name).key(key).presigned(config).await;
        let signed = signed.map_err(|error| unavailable("presign", key, &DisplayErrorContext(&error)))?;
        Ok(signed.uri().to_owned())
    }

    /// An address under which anybody can read this object with `GET` until `valid` is over.
    ///
    /// # Errors
    /// [`BlobError::Unavailable`] when there is nothing to sign with.
    pub async fn download_url(&self, key: &str, valid: Duration) -> Result<String, BlobError> {
        let config = PresigningConfig::expires_in(valid).map_err(|error| unavailable("presign", key, &error))?;
        let signed = self.client.get_object().bucket(&self.name).key(key).presigned(config).await;
        let signed = signed.map_err(|error| unavailable("presign", key, &DisplayErrorContext(&error)))?;
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

/// An object that was asked for if it is not too large.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// All of it.
    Whole(Bytes),
    /// It is larger: nothing was read.
    Larger(Stored),
}

/// An object that is being read.
pub struct Opened {
    /// Its length.
    pub bytes: u64,
    /// S3's name of this version of it; another write has another.
    pub etag: Option<String>,
    body: ByteStream,
}

impl Opened {
    /// Its next piece.
    ///
    /// # Errors
    /// When S3 breaks off.
    pub async fn next(&mut self) -> Result<Option<Bytes>, std::io::Error> {
        self.body.try_next().await.map_err(std::io::Error::other)
    }

    /// Its pieces.
    pub fn pieces(self) -> impl Stream<Item = Result<Bytes, std::io::Error>> {
        futures::stream::try_unfold(self, async |mut opened| Ok(opened.next().await?.map(|piece| (piece, opened))))
    }
}

/// A request that anybody may make, once or often, until it expires.
#[derive(Clone, PartialEq, Eq)]
pub struct Presigned {
    /// HTTP method.
    pub method: String,
    /// Where to; whoever has it may write there.
    pub url: String,
    /// Headers that must be sent as they are.
    pub headers: BTreeMap<String, String>,
}

impl Bucket {
    /// Opens an object to be read piece by piece.
    ///
    /// # Errors
    /// [`BlobError::NotFound`] or [`BlobError::Unavailable`].
    pub async fn open(&self, key: &str) -> Result<Opened, BlobError> {
        match self.client.get_object().bucket(&self.name).key(key).send().await {
            Ok(object) => Ok(Opened {
                bytes: object.content_length.and_then(|length| u64::try_from(length).ok()).unwrap_or(0),
                etag: object.e_tag,
                body: object.body,
            }),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_no_such_key()) => {
                Err(BlobError::NotFound { key: key.to_owned() })
            }
            Err(error) => Err(unavailable("get", key, &DisplayErrorContext(&error))),
        }
    }

    /// The keys that start with `prefix` and are greater than `after`, in order, at most `limit` (S3: 1,000). An empty list
    /// is the end.
    ///
    /// # Errors
    /// [`BlobError::Unavailable`].
    pub async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<String>, BlobError> {
        let listed = self
            .client
            .list_objects_v2()
            .bucket(&self.name)
            .prefix(prefix)
            .set_start_after(after.map(str::to_owned))
            .max_keys(i32::try_from(limit).unwrap_or(1_000))
            .send()
            .await
            .map_err(|error| unavailable("list", prefix, &DisplayErrorContext(&error)))?;
        Ok(listed.contents.unwrap_or_default().into_iter().filter_map(|object| object.key).collect())
    }

    /// Copies an object within the bucket. `etag` is the version that is meant.
    ///
    /// # Errors
    /// [`BlobError::Unavailable`], also when the object was written again since.
    pub async fn copy(&self, from: &str, etag: Option<String>, to: &str, content_type: &str) -> Result<(), BlobError> {
        self.client
            .copy_object()
            .bucket(&self.name)
            .copy_source(format!("{}/{from}", self.name))
            .set_copy_source_if_match(etag)
            .key(to)
            .content_type(content_type)
            .metadata_directive(aws_sdk_s3::types::MetadataDirective::Replace)
            .send()
            .await
            .map(|_| ())
            .map_err(|error| unavailable("copy", from, &DisplayErrorContext(&error)))
    }

    /// Removes an object; one that is not there is removed already.
    ///
    /// # Errors
    /// [`BlobError::Unavailable`].
    pub async fn delete(&self, key: &str) -> Result<(), BlobError> {
        let deleted = self.client.delete_object().bucket(&self.name).key(key).send().await;
        deleted.map(|_| ()).map_err(|error| unavailable("delete", key, &DisplayErrorContext(&error)))
    }

    /// A request by which somebody without a key of ours writes this one object, of this type and length, until it expires.
    ///
    /// # Errors
    /// [`BlobError::Unavailable`] when the function has no credentials to sign with.
    pub async fn presigned_put(
        &self,
        key: &str,
        content_type: &str,
        bytes: u64,
        expires_in: Duration,
    ) -> Result<Presigned, BlobError> {
        let config = PresigningConfig::expires_in(expires_in).map_err(|error| unavailable("presign", key, &error))?;
        let put = self.client.put_object().bucket(&self.name).key(key).content_type(content_type);
        let request = put
            .content_length(i64::try_from(bytes).unwrap_or(i64::MAX))
            .presigned(config)
            .await
            .map_err(|error| unavailable("presign", key, &DisplayErrorContext(&error)))?;
        Ok(Presigned {
            method: request.method().to_owned(),
            url: request.uri().to_owned(),
            headers: request.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        })
    }
}

fn unavailable(operation: &'static str, key: &str, cause: &dyn std::fmt::Display) -> BlobError {
    BlobError::Unavailable { operation, key: key.to_owned(), message: cause.to_string() }
}

/// Where the keys of the bucket are made; they hold ids only, never a phone number or a name.
pub mod key {
    use super::{CampaignId, EventId, ExportId, ImportId, MediaId, PageNumber, UploadId, WorkspaceId};

    /// A file that messages carry, under the SHA-256 of its bytes.
    #[must_use]
    pub fn media(workspace: WorkspaceId, sha256: &str, media: MediaId) -> String {
        format!("media/{workspace}/{sha256}/{media}")
    }

    /// A file that somebody puts into the bucket by themselves, until it is checked.
    #[must_use]
    pub fn upload(workspace: WorkspaceId, upload: UploadId) -> String {
        format!("uploads/{workspace}/{upload}")
    }

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

    /// What an export of a person has found up to a place of its search; `part` counts from 0.
    #[must_use]
    pub fn export_part(workspace: WorkspaceId, export: ExportId, part: u32) -> String {
        format!("exports/{workspace}/{export}/parts/{part:06}.ndjson")
    }

    /// The document of an export, once it is complete.
    #[must_use]
    pub fn export(workspace: WorkspaceId, export: ExportId) -> String {
        format!("exports/{workspace}/{export}/export.json")
    }

    /// A body that was too large for a queue message. `name` is unique.
    #[must_use]
    pub fn overflow(date: &str, name: &str) -> String {
        format!("overflow/{date}/{name}")
    }
}
