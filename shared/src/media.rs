//! Files that messages carry: what Meta takes, how large, and what a file is by its content. How a stored file gets to
//! Meta when a number first needs it is in [`library`], its rows in `crate::store`.

pub mod formats;
pub mod inspect;
pub mod library;
mod office;

use serde::{Deserialize, Serialize};

pub use self::inspect::{Inspected, Inspection, NotAllowed};
pub use self::library::{Forgotten, MediaLibrary, NotUploaded};
use crate::id::{MediaId, UploadId, WorkspaceId};
pub use crate::safety::MediaKind;
use crate::time::UnixMillis;

const KIB: u64 = 1_024;
const MIB: u64 = 1_024 * KIB;

/// The largest file of any kind: a document (Meta, media).
pub const LARGEST_BYTES: u64 = 100 * MIB;

/// A still sticker's largest size (Meta, media).
pub const STILL_STICKER_BYTES: u64 = 100 * KIB;

/// A format that Meta takes.
#[derive(Debug, PartialEq, Eq)]
pub struct Format {
    /// Its MIME type.
    pub mime_type: &'static str,
    /// Which message carries it.
    pub kind: MediaKind,
    /// The largest file.
    pub max_bytes: u64,
    /// What the format must be like besides, for people; empty when anything goes.
    pub only: &'static str,
}

const fn format(mime_type: &'static str, kind: MediaKind, max_bytes: u64, only: &'static str) -> Format {
    Format { mime_type, kind, max_bytes, only }
}

/// Everything that Meta takes (Meta, media: supported types and sizes). Meta counts in KB and MB; they are read as powers
/// of 1,024.
pub static FORMATS: [Format; 18] = {
    use MediaKind::{Audio, Document, Image, Sticker, Video};
    const FILM: &str = "H.264 with at most one AAC track";
    [
        format("audio/aac", Audio, 16 * MIB, ""),
        format("audio/amr", Audio, 16 * MIB, ""),
        format("audio/mpeg", Audio, 16 * MIB, ""),
        format("audio/mp4", Audio, 16 * MIB, ""),
        format("audio/ogg", Audio, 16 * MIB, "Opus, one channel"),
        format("text/plain", Document, LARGEST_BYTES, ""),
        format("application/pdf", Document, LARGEST_BYTES, ""),
        format("application/msword", Document, LARGEST_BYTES, ""),
        format("application/vnd.openxmlformats-officedocument.wordprocessingml.document", Document, LARGEST_BYTES, ""),
        format("application/vnd.ms-excel", Document, LARGEST_BYTES, ""),
        format("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", Document, LARGEST_BYTES, ""),
        format("application/vnd.ms-powerpoint", Document, LARGEST_BYTES, ""),
        format(
            "application/vnd.openxmlformats-officedocument.presentationml.presentation",
            Document,
            LARGEST_BYTES,
            "",
        ),
        format("image/jpeg", Image, 5 * MIB, "8 bits, RGB"),
        format("image/png", Image, 5 * MIB, "8 bits, RGB or RGBA"),
        format("image/webp", Sticker, 500 * KIB, "512 × 512 pixels, 100 KiB unless animated"),
        format("video/mp4", Video, 16 * MIB, FILM),
        format("video/3gpp", Video, 16 * MIB, FILM),
    ]
};

/// The format of this MIME type.
#[must_use]
pub fn format_of(mime_type: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.mime_type == mime_type)
}

/// What Meta takes, as a sentence for people.
#[must_use]
pub fn allowed() -> String {
    let listed = FORMATS.iter().map(|format| {
        let only = if format.only.is_empty() { String::new() } else { format!(", {}", format.only) };
        format!("{} (up to {}{only})", format.mime_type, size(format.max_bytes))
    });
    listed.collect::<Vec<_>>().join("; ")
}

/// A size for people.
#[must_use]
pub fn size(bytes: u64) -> String {
    match bytes {
        _ if bytes >= MIB && bytes.is_multiple_of(MIB) => format!("{} MiB", bytes / MIB),
        _ if bytes >= KIB && bytes.is_multiple_of(KIB) => format!("{} KiB", bytes / KIB),
        _ => format!("{bytes} bytes"),
    }
}

/// A file as stored. The bytes lie in the bucket (see [`crate::blob::key::media`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Media {
    /// Version of the stored shape.
    pub v: u8,
    /// Its id.
    pub id: MediaId,
    /// Whose it is.
    pub workspace: WorkspaceId,
    /// Which message carries it.
    pub kind: MediaKind,
    /// Its type by content.
    pub mime_type: String,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of the bytes, in hexadecimal digits: the same bytes are stored once a workspace.
    pub sha256: String,
    /// The name it came with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_name: Option<String>,
    /// Campaigns that were created with it.
    #[serde(default)]
    pub campaigns: u32,
    /// When it was first stored.
    pub created_at: UnixMillis,
}

/// A file that somebody was allowed to put into the bucket, to be checked and registered when it is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpectedUpload {
    /// Version of the stored shape.
    pub v: u8,
    /// Its id.
    pub id: UploadId,
    /// Whose it is.
    pub workspace: WorkspaceId,
    /// The name of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_name: Option<String>,
    /// What it is said to be.
    pub mime_type: String,
    /// Its length.
    pub bytes: u64,
    /// When it was asked for.
    pub created_at: UnixMillis,
    /// The file that it has become.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media: Option<MediaId>,
    /// When the row is deleted, in seconds (DynamoDB's TTL).
    pub expires_at: i64,
}

/// Where a file stands with one number at Meta.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetaUpload {
    /// Version of the stored shape.
    pub v: u8,
    /// Meta's id of the file; absent while it is being uploaded for the first time, or after it was forgotten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meta_id: Option<String>,
    /// When Meta forgets it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meta_until: Option<UnixMillis>,
    /// Who is uploading it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
    /// Until when that one has the word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_until: Option<UnixMillis>,
    /// When Meta's id was last found not to work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forgotten_at: Option<UnixMillis>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_for_people_names_each_format_with_its_size() {
        let text = allowed();
        assert!(text.contains("image/jpeg (up to 5 MiB, 8 bits, RGB)"), "{text}");
        assert!(text.contains("image/webp (up to 500 KiB, 512 × 512 pixels, 100 KiB unless animated)"), "{text}");
        assert_eq!(text.matches(';').count(), FORMATS.len() - 1);
    }

    #[test]
    fn a_stored_file_keeps_its_shape() {
        let json = serde_json::json!({
            "v": 1, "id": "med_01J00000000000000000000000", "workspace": "wsp_00000000000000000000000001",
            "kind": "image", "mime_type": "image/png", "bytes": 12, "sha256": "ab", "campaigns": 2,
            "created_at": 1_790_000_000_000_i64,
        });
        let media: Media = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(serde_json::to_value(&media).unwrap(), json);
    }
}
