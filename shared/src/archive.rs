//! The raw archive: every message that came in from outside, as it came, in objects of zstd-compressed NDJSON under
//! `archive/raw/date=…/hour=…/` (the hour of receipt, UTC). `ingest` writes an object before it writes a row that comes of
//! it; whatever rows make of a message can be made again from here (ADR 7).
//!
//! An object is named by what is in it, so that a batch that is taken in again replaces its object. A message that comes
//! again in another batch is in two objects; taking it in twice changes nothing.

mod line;
mod object;

pub use self::line::{Line, UnreadableLine};
pub use self::object::{MalformedPlace, ObjectName, Place, compress, lines};

/// What the keys of all objects of the archive start with.
pub const PREFIX: &str = "archive/raw/";
