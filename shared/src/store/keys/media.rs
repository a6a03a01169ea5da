//! Files that messages carry, and where Meta keeps them.

use super::Key;
use crate::id::{AccountId, CampaignId, MediaId, UploadId, WorkspaceId};

/// A file that messages carry.
#[must_use]
pub fn media(workspace: WorkspaceId, media: MediaId) -> Key {
    Key::new(media_pk(workspace, media), "MEDIA")
}

/// Partition of a file, where it stands at Meta, and the campaigns that carry it.
#[must_use]
pub fn media_pk(workspace: WorkspaceId, media: MediaId) -> String {
    format!("WS#{workspace}#MEDIA#{media}")
}

/// Which file has these bytes.
#[must_use]
pub fn media_by_hash(workspace: WorkspaceId, sha256: &str) -> Key {
    Key::new(format!("WS#{workspace}#MEDIA_SHA256#{sha256}"), "MEDIA")
}

/// What the sort key of a file's place at Meta starts with.
pub const META_UPLOAD_PREFIX: &str = "META#";

/// A file's place at Meta, for one number.
#[must_use]
pub fn meta_upload(workspace: WorkspaceId, media: MediaId, account: AccountId) -> Key {
    Key::new(media_pk(workspace, media), format!("{META_UPLOAD_PREFIX}{account}"))
}

/// What the sort key of a campaign that carries a file starts with.
pub const MEDIA_USE_PREFIX: &str = "CAMPAIGN#";

/// A campaign that carries a file.
#[must_use]
pub fn media_use(workspace: WorkspaceId, media: MediaId, campaign: CampaignId) -> Key {
    Key::new(media_pk(workspace, media), format!("{MEDIA_USE_PREFIX}{campaign}"))
}

/// A file that somebody was allowed to put into the bucket.
#[must_use]
pub fn expected_upload(workspace: WorkspaceId, upload: UploadId) -> Key {
    Key::new(format!("WS#{workspace}#UPLOAD#{upload}"), "UPLOAD")
}

/// A workspace's media in the index of lists.
#[must_use]
pub fn media_list(workspace: WorkspaceId) -> String {
    format!("WS#{workspace}#MEDIA_LIST")
}
