//! Files of the bucket that are found by listing and replaced as a whole: what several workers may want to replace at the
//! same time is replaced on condition that it still is what was read.

use std::path::Path;

use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata};
use aws_sdk_s3::primitives::ByteStream;

use super::{BlobError, Bucket, unavailable};

/// What became of replacing an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replaced {
    /// It is written.
    Written,
    /// The object is not what it was when it was read: somebody else has replaced it, or this very write, whose answer was
    /// lost.
    Overtaken,
}

impl Bucket {
    /// Keys that start with `prefix`, in their order, after `after` if given: at most 1,000, as S3 gives them at once. An
    /// empty answer means that there are no more.
    ///
    /// # Errors
    /// [`BlobError::Unavailable`].
    pub async fn keys(&self, prefix: &str, after: Option<&str>) -> Result<Vec<String>, BlobError> {
        let list = self.client.list_objects_v2().bucket(&self.name).prefix(prefix);
        let listed = list.set_start_after(after.map(str::to_owned)).send().await;
        let listed = listed.map_err(|error| unavailable("list", prefix, &DisplayErrorContext(&error)))?;
        Ok(listed.contents.unwrap_or_default().into_iter().filter_map(|object| object.key).collect())
    }

    /// Puts a file in the place of the version `etag` of an object, or of none when that is `None`. At most 5 GB (Amazon
    /// S3, limits of a single upload).
    ///
    /// # Errors
    /// [`BlobError::Unavailable`]; then the object may be written all the same.
    pub async fn replace(
        &self,
        key: &str,
        etag: Option<&str>,
        file: &Path,
        content_type: &str,
    ) -> Result<Replaced, BlobError> {
        let body = ByteStream::from_path(file).await.map_err(|error| unavailable("put", key, &error))?;
        let put = self.client.put_object().bucket(&self.name).key(key).content_type(content_type).body(body);
        let put = match etag {
            Some(etag) => put.if_match(etag),
            None => put.if_none_match("*"),
        };
        match put.send().await {
            Ok(_) => Ok(Replaced::Written),
            // 412; 409 when another conditional write was under way; 404 when the object was removed.
            Err(error) => match error.as_service_error().and_then(ProvideErrorMetadata::code) {
                Some("PreconditionFailed" | "ConditionalRequestConflict" | "NoSuchKey") => Ok(Replaced::Overtaken),
                // A refusal may come while the file is still being sent, and the connection ends before it is read.
                _ if self.version(key).await?.as_deref() != etag => Ok(Replaced::Overtaken),
                _ => Err(unavailable("put", key, &DisplayErrorContext(&error))),
            },
        }
    }

    /// The version of the object; `None` when there is none.
    async fn version(&self, key: &str) -> Result<Option<String>, BlobError> {
        match self.head(key).await {
            Ok(stored) => Ok(stored.etag),
            Err(BlobError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
