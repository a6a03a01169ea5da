//! The way of a stored file to Meta: uploaded when a number first needs it, once however many senders ask at the same time,
//! and used again by every later message of that number until Meta forgets it.

use std::time::Duration;

use ulid::Ulid;

use super::Media;
use crate::account::Account;
use crate::blob::{BlobError, Bucket, key};
use crate::id::{MediaId, WorkspaceId, ulid_at};
use crate::meta::client::{GraphClient, MediaUpload, UploadOutcome};
use crate::meta::error::MetaError;
use crate::secrets::AccessToken;
use crate::store::{Core, MetaClaim, StoreError};
use crate::time::UnixMillis;

/// Meta keeps an uploaded file for 30 days (Meta, media).
const META_KEEPS: Duration = Duration::from_secs(30 * 24 * 3_600);

/// How long one upload may take: 100 MB at 20 Mbit/s. The sender has 60 s in all.
const UPLOAD_TIMEOUT: Duration = Duration::from_secs(40);

/// Who uploads has this long before somebody else may: the upload and the writes around it.
const LEASE: Duration = Duration::from_secs(50);

/// How long one who waits for another's upload waits at most, and how often it looks.
const PATIENCE: Duration = Duration::from_secs(45);
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Stored files as Meta's numbers see them.
#[derive(Clone, Debug)]
pub struct MediaLibrary {
    core: Core,
    bucket: Bucket,
    graph: GraphClient,
}

/// Why a file has no id at Meta.
#[derive(Debug, thiserror::Error)]
pub enum NotUploaded {
    /// The file was deleted: nothing helps but another message.
    #[error("the file {0} does not exist any more")]
    NoSuchMedia(MediaId),
    /// Meta does not take it, or not from this account: somebody has to act.
    #[error("Meta refused the file {media} with {} {}", error.code, error.title)]
    Refused {
        /// The file.
        media: MediaId,
        /// What Meta says.
        error: MetaError,
    },
    /// Meta did not answer, or another upload of the same file takes long: try again later.
    #[error("the file {0} could not be uploaded to Meta for now")]
    Later(MediaId),
    /// The table: try again.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The bucket: try again, unless the object is not there.
    #[error(transparent)]
    Blob(#[from] BlobError),
}

impl NotUploaded {
    /// What only somebody can mend, in words for people; `None` when another try may help.
    #[must_use]
    pub fn needs_somebody(&self) -> Option<String> {
        match self {
            Self::Later(_)
            | Self::Store(StoreError::Unavailable { .. })
            | Self::Blob(BlobError::Unavailable { .. }) => None,
            Self::Refused { error, .. } => {
                let details = error.details.as_ref().map_or(String::new(), |details| format!(" ({details})"));
                Some(format!("{self}{details}: mend the file or the account, then resume"))
            }
            Self::NoSuchMedia(_) => Some(format!("{self}: send it with another campaign")),
            Self::Store(_) | Self::Blob(_) => Some(format!("{self}: look into the log, then resume")),
        }
    }
}

/// What became of an id that Meta did not take in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forgotten {
    /// It is dropped: the next look uploads the file anew, so the message may be tried again.
    TryAgain,
    /// It is new: it is not the id that is wrong, and trying again would change nothing.
    Kept,
}

impl MediaLibrary {
    /// Files of this table and bucket, uploaded through this Graph API.
    #[must_use]
    pub const fn new(core: Core, bucket: Bucket, graph: GraphClient) -> Self {
        Self { core, bucket, graph }
    }

    /// Meta's id of a file for this account's number; uploads it if it has none that still works. Waits while another does.
    ///
    /// A crash during the upload leaves a claim that runs out and, at worst, a copy at Meta that nobody refers to and
    /// Meta forgets.
    ///
    /// # Errors
    /// [`NotUploaded`].
    pub async fn meta_id(
        &self,
        workspace: WorkspaceId,
        account: &Account,
        token: &AccessToken,
        media: MediaId,
    ) -> Result<String, NotUploaded> {
        let begun = UnixMillis::now();
        // A read is cheaper than a claim that is refused, and nearly always enough.
        if let Some(id) = self.core.lasting_meta_upload(workspace, media, account.id, begun).await? {
            return Ok(id);
        }
        let holder = ulid_at(begun);
        loop {
            let now = UnixMillis::now();
            let claim =
                self.core.claim_meta_upload(workspace, media, account.id, &holder.to_string(), LEASE, now).await?;
            match claim {
                MetaClaim::Known(id) => return Ok(id),
                MetaClaim::Won { until_then } => {
                    let uploaded = self.upload_as(holder, workspace, account, token, media).await;
                    return match (uploaded, until_then) {
                        // A renewal has a day for it.
                        (Err(NotUploaded::Later(_)), Some(id)) => Ok(id),
                        (uploaded, _) => uploaded,
                    };
                }
                MetaClaim::Busy(_) if now.since(begun) >= PATIENCE => return Err(NotUploaded::Later(media)),
                MetaClaim::Busy(_) => tokio::time::sleep(LOOK_EVERY).await,
            }
        }
    }

    async fn upload_as(
        &self,
        holder: Ulid,
        workspace: WorkspaceId,
        account: &Account,
        token: &AccessToken,
        media: MediaId,
    ) -> Result<String, NotUploaded> {
        let holder = holder.to_string();
        match self.upload(workspace, account, token, media).await {
            Ok(id) => {
                // Counted from before the answer, so that our id never outlives Meta's.
                let until = UnixMillis::now().plus(META_KEEPS.saturating_sub(UPLOAD_TIMEOUT));
                self.core.keep_meta_upload(workspace, media, account.id, &holder, &id, until).await?;
                Ok(id)
            }
            Err(error) => {
                // If this fails as well the lease runs out.
                if let Err(error) = self.core.release_meta_upload(workspace, media, account.id, &holder).await {
                    tracing::warn!(%media, %error, "the claim of an upload could not be given back");
                }
                Err(error)
            }
        }
    }

    async fn upload(
        &self,
        workspace: WorkspaceId,
        account: &Account,
        token: &AccessToken,
        id: MediaId,
    ) -> Result<String, NotUploaded> {
        let media = self.core.media(workspace, id).await?.ok_or(NotUploaded::NoSuchMedia(id))?;
        let Media { sha256, mime_type, bytes, .. } = &media;
        let object = self.bucket.open(&key::media(workspace, sha256, id)).await?;
        let upload = MediaUpload {
            mime_type,
            // Meta shows the name given in the message, not this one; the original may be personal.
            file_name: id.to_string(),
            bytes: *bytes,
            body: Box::pin(object.pieces()),
            timeout: UPLOAD_TIMEOUT,
        };
        match self.graph.upload_media(&account.phone_number_id, token, upload).await {
            UploadOutcome::Done(meta_id) => {
                tracing::info!(media = %id, account = %account.id, bytes, "a file was uploaded to Meta");
                Ok(meta_id)
            }
            UploadOutcome::Refused(error) if error.class().may_pass() => {
                tracing::warn!(media = %id, code = error.code, "Meta asks to upload a file again later");
                Err(NotUploaded::Later(id))
            }
            UploadOutcome::Refused(error) => Err(NotUploaded::Refused { media: id, error }),
            UploadOutcome::NoAnswer => Err(NotUploaded::Later(id)),
        }
    }

    /// Drops an id that Meta has just refused in a message.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn forget(
        &self,
        workspace: WorkspaceId,
        account: &Account,
        media: MediaId,
        meta_id: &str,
    ) -> Result<Forgotten, StoreError> {
        let now = UnixMillis::now();
        let gone = self.core.forget_meta_upload(workspace, media, account.id, meta_id, now).await?;
        Ok(if gone { Forgotten::TryAgain } else { Forgotten::Kept })
    }
}

/// Whether Meta says that it does not know the file of a message (any more): 131053, or an invalid parameter that is
/// the id of a medium. The latter has no code of its own, so here the text decides.
#[must_use]
pub fn is_unknown_media(error: &MetaError) -> bool {
    const MEDIA_UPLOAD_ERROR: i64 = 131_053;
    let names_media = || {
        let says = |text: &str| text.contains("media attachment ID") || text.to_lowercase().contains("media not found");
        says(&error.title) || error.details.as_deref().is_some_and(says)
    };
    error.code == MEDIA_UPLOAD_ERROR || matches!(error.code, 100 | 131_009) && names_media()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: i64, title: &str) -> MetaError {
        let title = title.to_owned();
        MetaError { code, title, details: None, fbtrace_id: None, http_status: 400, is_transient: false }
    }

    #[test]
    fn only_what_names_a_medium_is_about_one() {
        assert!(is_unknown_media(&error(131_053, "Media upload error")));
        let invalid = "Param image['id'] is not a valid whatsapp business account media attachment ID";
        assert!(is_unknown_media(&error(100, invalid)));
        assert!(!is_unknown_media(&error(100, "Invalid parameter")));
        assert!(!is_unknown_media(&error(131_026, "media attachment ID")));
    }
}
