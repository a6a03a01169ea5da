//! An import of contacts: what each line of a file says of a person, and what has become of it. The writing itself, batch
//! by batch, is in [`run`].

pub mod run;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::campaign::audience::{Columns, Line};
use crate::contact::ContactPatch;
use crate::id::{ImportId, WorkspaceId};
use crate::phone::{PhoneNumber, Region};
use crate::time::UnixMillis;

/// Lines that are imported together; after each batch the import can be cut off without loss.
pub const BATCH_LINES: usize = 1_000;

/// Errors that an import itself shows; all of them lie in the bucket.
pub const ERRORS_SHOWN: usize = 100;

/// Where an import stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportStatus {
    /// Lines are being imported.
    Running,
    /// Every line has its verdict.
    Completed,
    /// The file cannot be read on; what was imported stays.
    Failed,
}

/// Where the file of an import lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportFile {
    /// Its key in the bucket.
    pub key: String,
    /// Its version when the import began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
}

/// A line that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineError {
    /// The line in the file; its header is line 1.
    pub line: u64,
    /// Why, for people.
    pub reason: String,
}

/// An import as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Import {
    /// Version of the stored shape.
    pub v: u8,
    /// Its id.
    pub id: ImportId,
    /// Whose it is.
    pub workspace: WorkspaceId,
    /// The file; absent when it came with the request and was imported at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<ImportFile>,
    /// Which of its columns means what.
    #[serde(default)]
    pub columns: Columns,
    /// The country of numbers without a country code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_region: Option<Region>,
    /// Where it stands.
    pub status: ImportStatus,
    /// Why it failed, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// Size of the file.
    pub bytes: u64,
    /// How much of it was read.
    pub bytes_read: u64,
    /// Lines that have their verdict.
    pub lines: u64,
    /// Lines that made a contact.
    pub created: u64,
    /// Lines that told of a contact that there was.
    pub updated: u64,
    /// Lines whose number was on an earlier line.
    pub duplicates: u64,
    /// Lines that cannot be taken.
    pub rejected: u64,
    /// Batches done; the objects of each lie in the bucket.
    pub batches: u32,
    /// The first lines that were not taken.
    #[serde(default)]
    pub errors: Vec<LineError>,
    /// When it began.
    pub created_at: UnixMillis,
    /// When it was completed or failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<UnixMillis>,
}

impl Import {
    /// An import of which nothing is done yet.
    #[must_use]
    pub const fn new(id: ImportId, workspace: WorkspaceId, now: UnixMillis) -> Self {
        Self {
            v: 1,
            id,
            workspace,
            file: None,
            columns: Columns::new(),
            default_region: None,
            status: ImportStatus::Running,
            failed: None,
            bytes: 0,
            bytes_read: 0,
            lines: 0,
            created: 0,
            updated: 0,
            duplicates: 0,
            rejected: 0,
            batches: 0,
            errors: Vec::new(),
            created_at: now,
            finished_at: None,
        }
    }

    /// How much of it is done, from 0 to 1.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "sizes of files are far below 2^52 bytes")]
    pub fn progress(&self) -> f64 {
        match self.status {
            ImportStatus::Completed => 1.0,
            _ if self.bytes == 0 => 0.0,
            _ => (self.bytes_read as f64 / self.bytes as f64 * 1_000.0).floor() / 1_000.0,
        }
    }
}

/// What a line says of a person. It has no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Person {
    /// The person's number.
    pub phone: PhoneNumber,
    /// What is to be added to the contact.
    pub patch: ContactPatch,
    /// When the person asked for messages.
    pub opt_in: Option<UnixMillis>,
}

/// Why a line cannot be taken; the line itself is not repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLine {
    /// Its number.
    #[error(transparent)]
    Phone(#[from] crate::phone::InvalidPhoneNumber),
    /// More than a contact holds.
    #[error(transparent)]
    TooMuch(#[from] crate::contact::TooMuch),
    /// What was given as e-mail address is none.
    #[error("the e-mail address has no @")]
    Email,
    /// The column `opt_in` is not understood.
    #[error("the column opt_in holds yes, no, or the date of the opt-in such as 2026-03-31")]
    OptIn,
    /// A date that has not come yet.
    #[error("the date of the opt-in lies in the future")]
    OptInInFuture,
}

/// Reads a line. Besides `phone` and `name`, the columns `email`, `tags` (separated by semicolons), `persona` and `opt_in`
/// have a meaning; every other one is an attribute. `at` is the time of the import.
///
/// # Errors
/// [`InvalidLine`].
pub fn read_line(line: &Line, region: Option<Region>, at: UnixMillis) -> Result<Person, InvalidLine> {
    let phone = PhoneNumber::in_region(&line.phone, region)?;
    let mut attributes = line.variables.clone();
    let email = attributes.remove("email");
    if email.as_deref().is_some_and(|email| !email.contains('@')) {
        return Err(InvalidLine::Email);
    }
    let tags = attributes.remove("tags").unwrap_or_default();
    let tags: BTreeSet<String> =
        tags.split(';').map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned).collect();
    let opt_in = match attributes.remove("opt_in") {
        Some(text) => read_opt_in(&text, at)?,
        None => None,
    };
    let persona = attributes.remove("persona");
    let name = line.name.clone();
    let patch = ContactPatch { phone: Some(phone.clone()), name, email, attributes, tags, persona };
    patch.check()?;
    Ok(Person { phone, patch, opt_in })
}

/// When the person asked for messages, if the column says so. A no is no wish against messages: it says that nobody asked.
fn read_opt_in(text: &str, at: UnixMillis) -> Result<Option<UnixMillis>, InvalidLine> {
    match text.trim().to_lowercase().as_str() {
        "yes" | "y" | "true" | "1" | "x" => return Ok(Some(at)),
        "" | "no" | "n" | "false" | "0" | "-" => return Ok(None),
        _ => {}
    }
    let text = text.trim();
    let moment = text.parse::<jiff::Timestamp>().ok();
    let day = || text.parse::<jiff::civil::Date>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok();
    let given = moment.or_else(|| day().map(|day| day.timestamp())).ok_or(InvalidLine::OptIn)?;
    let given = UnixMillis(given.as_millisecond());
    if given > at { Err(InvalidLine::OptInInFuture) } else { Ok(Some(given)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: UnixMillis = UnixMillis(1_790_000_000_000);

    fn line(phone: &str, variables: &[(&str, &str)]) -> Line {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Line { phone: phone.to_owned(), name: Some("Aisha".to_owned()), variables }
    }

    #[test]
    fn columns_with_a_meaning_are_told_from_attributes() {
        let line = line(
            "012-345 6789",
            &[("email", "a@example.com"), ("tags", "vip; march ;"), ("persona", "regular"), ("city", "Ipoh")],
        );
        let person = read_line(&line, "MY".parse().ok(), AT).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(person.phone.as_str(), "+60123456789");
        assert_eq!(person.patch.email.as_deref(), Some("a@example.com"));
        assert_eq!(person.patch.tags, BTreeSet::from(["march".to_owned(), "vip".to_owned()]));
        assert_eq!(person.patch.persona.as_deref(), Some("regular"));
        assert_eq!(person.patch.attributes.into_iter().collect::<Vec<_>>(), [("city".to_owned(), "Ipoh".to_owned())]);
    }

    #[test]
    fn an_opt_in_is_a_yes_or_a_date_that_has_come() {
        let of = |text: &str| read_line(&line("+60123456789", &[("opt_in", text)]), None, AT).map(|one| one.opt_in);
        for yes in ["yes", "TRUE", "1", "x"] {
            assert_eq!(of(yes), Ok(Some(AT)), "{yes}");
        }
        for no in ["no", "0", "False", "-"] {
            assert_eq!(of(no), Ok(None), "{no}");
        }
        assert_eq!(of("2026-03-31"), Ok(Some(UnixMillis(1_774_915_200_000))));
        assert_eq!(of("2026-03-31T08:00:00+08:00"), Ok(Some(UnixMillis(1_774_915_200_000))));
        assert_eq!(of("2027-01-01"), Err(InvalidLine::OptInInFuture));
        assert_eq!(of("31.3.2026"), Err(InvalidLine::OptIn));
    }

    #[test]
    fn what_spreadsheets_do_to_numbers_is_named() {
        let of = |phone: &str| read_line(&line(phone, &[]), None, AT).map(|one| one.phone.to_string());
        assert_eq!(of("'+60123456789").as_deref(), Ok("+60123456789"));
        assert!(of("6.01E+10").unwrap_err().to_string().contains("scientific notation"));
        assert!(of("0123456789").unwrap_err().to_string().contains("country code"));
        assert!(of("").unwrap_err().to_string().contains("empty"));
    }

    #[test]
    fn an_import_is_stored_in_this_shape() {
        let import = Import {
            default_region: "MY".parse().ok(),
            errors: vec![LineError { line: 3, reason: "x".to_owned() }],
            ..Import::new("imp_01J00000000000000000000000".parse().unwrap(), WorkspaceId::FIRST, UnixMillis(5))
        };
        assert_eq!(
            serde_json::to_string(&import).unwrap(),
            r#"{"v":1,"id":"imp_01J00000000000000000000000","workspace":"wsp_00000000000000000000000001","columns":{},"default_region":"MY","status":"running","bytes":0,"bytes_read":0,"lines":0,"created":0,"updated":0,"duplicates":0,"rejected":0,"batches":0,"errors":[{"line":3,"reason":"x"}],"created_at":5}"#
        );
    }
}
