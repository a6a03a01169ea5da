//! The audience of a campaign: its lines as given, and what becomes of them. They are read from a CSV in [`lines`] and
//! planned in [`planner`](super::planner). Pages of recipients lie in the bucket, not in a table: a recipient's row is
//! born when its send is claimed.

pub mod lines;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::VariantIndex;
use crate::attempt::Seq;
use crate::id::{CampaignId, ImportId, WorkspaceId};
use crate::phone::PhoneNumber;

pub use self::lines::{Columns, LineReader, UnreadableCsv, read_csv};

/// One line of an audience as given.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// The number as typed.
    pub phone: String,
    /// The person's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What fills the placeholders.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Line(…)")
    }
}

/// A line with its number, or why it is none.
pub type NumberedLine = (u64, Result<Line, String>);

/// A planned recipient, as a page of the audience holds it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    /// Which of the planned recipients: unique, and rising through the pages. Page k begins with 100 k; a page that is
    /// not full leaves a gap behind it.
    pub seq: Seq,
    /// Whom to send to.
    pub phone: PhoneNumber,
    /// The person's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Which message.
    pub variant: VariantIndex,
    /// What fills it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({})", self.seq.0)
    }
}

/// A line that is not sent to, and why.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// The line in the file, or the position in the list, from 1; a file's header is line 1.
    pub line: u64,
    /// The number as typed.
    pub phone: String,
    /// For people.
    pub reason: String,
}

impl fmt::Debug for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Skipped(line {}: {})", self.line, self.reason)
    }
}

/// Somebody who could be sent to and is left out on purpose, so that the campaign's effect can be measured.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldOut {
    /// The line in the file, or the position in the list, from 1.
    pub line: u64,
    /// Whom.
    pub phone: PhoneNumber,
    /// The person's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What would have filled the message.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
}

impl fmt::Debug for HeldOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HeldOut(line {})", self.line)
    }
}

/// Where an audience comes from that is planned outside of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum AudienceSource {
    /// A CSV in the bucket.
    Csv {
        /// Its key.
        key: String,
        /// Its version when the campaign was created: a file that is replaced while it is read would give some people
        /// two messages.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        etag: Option<String>,
        /// Which of its columns means what.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        columns: Columns,
    },
    /// The accepted lines of an import of contacts.
    Import {
        /// Which.
        import: ImportId,
    },
    /// Recipients and held-out people of another campaign.
    Campaign {
        /// Whose it is.
        workspace: WorkspaceId,
        /// Which.
        campaign: CampaignId,
    },
}
