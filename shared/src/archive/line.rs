//! One message of the archive.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::queue::Inbound;
use crate::time::UnixMillis;

/// The kind of a notification of Meta's; its body is Meta's own, byte for byte.
const META_WEBHOOK: &str = "meta_webhook";

/// One message that came in from outside.
///
/// Written as one line of JSON: `v`, `kind`, `received_at` (milliseconds), `message` (the queue's id of the message) and
/// `body` as text, or `body_base64` when it is not UTF-8. It holds what people wrote and their numbers, so `Debug` shows
/// none of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Line {
    /// What it is: `meta_webhook`, or the `kind` of its queue message.
    pub kind: String,
    /// When it was taken in.
    pub received_at: UnixMillis,
    /// The queue's id of the message that brought it.
    pub message: String,
    /// A notification's body as Meta sent it; of any other kind the queue message.
    pub body: Bytes,
}

/// A line that is not one of the archive's, or of a later version.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableLine {
    /// It is no line of an archive.
    #[error("a line of the archive cannot be read")]
    Json(#[from] serde_json::Error),
    /// Its body is not what it says.
    #[error("the body of a line of the archive cannot be read")]
    Base64(#[from] base64::DecodeError),
    /// It has neither form of a body, or another version.
    #[error("a line of the archive has version {v}, or no body")]
    Other {
        /// Its version.
        v: u8,
    },
    /// The object is cut off or damaged.
    #[error("an object of the archive cannot be decompressed")]
    Compression(#[from] std::io::Error),
}

/// A line as it is written.
#[derive(Serialize, Deserialize)]
struct Written {
    v: u8,
    kind: String,
    received_at: UnixMillis,
    message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

/// What every message of the queue tells of itself.
#[derive(Deserialize)]
struct Kind {
    kind: String,
}

impl Line {
    /// A notification of Meta's.
    #[must_use]
    pub fn of_meta(message: String, received_at: UnixMillis, body: impl Into<Bytes>) -> Self {
        Self { kind: META_WEBHOOK.to_owned(), received_at, message, body: body.into() }
    }

    /// A message of any other kind, which must hold nothing that is not to be kept, such as an address.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn of(message: String, received_at: UnixMillis, inbound: &Inbound) -> Result<Self, serde_json::Error> {
        let body = serde_json::to_vec(inbound)?;
        let Kind { kind } = serde_json::from_slice(&body)?;
        Ok(Self { kind, received_at, message, body: body.into() })
    }

    /// Whether it is a notification of Meta's.
    #[must_use]
    pub fn is_of_meta(&self) -> bool {
        self.kind == META_WEBHOOK
    }

    /// The line's JSON, without a line feed.
    ///
    /// # Errors
    /// Never for a line of ours; serde's own.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        let text = std::str::from_utf8(&self.body).ok();
        serde_json::to_string(&Written {
            v: 1,
            kind: self.kind.clone(),
            received_at: self.received_at,
            message: self.message.clone(),
            body: text.map(str::to_owned),
            body_base64: text.is_none().then(|| STANDARD.encode(&self.body)),
        })
    }

    /// Reads a line back.
    ///
    /// # Errors
    /// [`UnreadableLine`].
    pub fn from_json(json: &str) -> Result<Self, UnreadableLine> {
        let Written { v, kind, received_at, message, body, body_base64 } = serde_json::from_str(json)?;
        let body = match (v, body, body_base64) {
            (1, Some(text), _) => text.into_bytes(),
            (1, None, Some(encoded)) => STANDARD.decode(encoded)?,
            _ => return Err(UnreadableLine::Other { v }),
        };
        Ok(Self { kind, received_at, message, body: body.into() })
    }
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Line({} {}, {} bytes)", self.kind, self.message, self.body.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_keeps_its_shape_and_its_body_byte_for_byte() {
        let line = Line::of_meta("m-1".to_owned(), UnixMillis(7), "{\"a\": \"é\\u00e9\"}\n");
        let json = line.to_json().unwrap();
        assert_eq!(
            json,
            r#"{"v":1,"kind":"meta_webhook","received_at":7,"message":"m-1","body":"{\"a\": \"é\\u00e9\"}\n"}"#
        );
        assert_eq!(Line::from_json(&json).unwrap(), line);
    }

    #[test]
    fn a_body_that_is_no_text_is_kept_all_the_same() {
        let line = Line::of_meta("m-1".to_owned(), UnixMillis(7), vec![0xff, 0x00, b'x']);
        let json = line.to_json().unwrap();
        assert!(json.contains(r#""body_base64":"/wB4""#), "{json}");
        assert_eq!(Line::from_json(&json).unwrap(), line);
    }

    #[test]
    fn a_line_of_a_later_version_is_an_error() {
        let later = r#"{"v":2,"kind":"meta_webhook","received_at":7,"message":"m","body":""}"#;
        assert!(matches!(Line::from_json(later), Err(UnreadableLine::Other { v: 2 })));
    }

    #[test]
    fn what_a_line_holds_is_not_shown() {
        let line = Line::of_meta("m-1".to_owned(), UnixMillis(7), "secret");
        assert_eq!(format!("{line:?}"), "Line(meta_webhook m-1, 6 bytes)");
    }
}
