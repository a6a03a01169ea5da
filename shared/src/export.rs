//! Exporting a person: everything that is held about them as one JSON document, found where an erasure would look for
//! them ([`crate::erasure::search`]). What belongs to somebody else and mentions them is counted and not shown.
//!
//! A whole table and a whole bucket are looked through, which may take minutes: it is a job. What it finds is laid in the
//! bucket in parts, so that a run that is cut off goes on where it was, and put together at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::erasure::{Person, Place};
use crate::id::{CampaignId, ContactId, ExportId, WorkspaceId};
use crate::time::UnixMillis;

/// How long an export is known; its objects are gone a day or two after it was asked for as well.
pub const KEPT_FOR: Duration = Duration::from_secs(24 * 3_600);

/// An export, as stored. It names the person, and is removed with them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Export {
    /// Version of the stored shape.
    pub v: u8,
    /// Its id.
    pub id: ExportId,
    /// Whose it is.
    pub workspace: WorkspaceId,
    /// The contact that was asked for.
    pub contact: ContactId,
    /// By what the person is known.
    pub person: Person,
    /// How far the search is.
    pub place: Place,
    /// Parts that lie in the bucket.
    pub parts: u32,
    /// When it was asked for.
    pub asked_at: UnixMillis,
    /// When the document was complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<UnixMillis>,
    /// The document's size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// When somebody was given it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_at: Option<UnixMillis>,
    /// When the row is removed, in seconds since the epoch.
    pub expires_at: i64,
}

impl std::fmt::Debug for Export {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Export({} of {})", self.id, self.contact)
    }
}

impl Export {
    /// One that was just asked for.
    #[must_use]
    pub fn new(id: ExportId, workspace: WorkspaceId, contact: ContactId, person: Person, now: UnixMillis) -> Self {
        Self {
            v: 1,
            id,
            workspace,
            contact,
            person,
            place: Place::Table { behind: None },
            parts: 0,
            asked_at: now,
            completed_at: None,
            bytes: None,
            given_at: None,
            expires_at: now.plus(KEPT_FOR).seconds(),
        }
    }
}

/// One thing that was found, as a line of a part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// What kind of row or object it is, as an erasure's report calls it.
    pub kind: String,
    /// What is shown of it; absent when it is somebody else's, or unreadable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<Value>,
    /// It may be theirs, and nobody can tell: it cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreadable: Option<Unreadable>,
}

/// What is known of something that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreadable {
    /// The key, if it is an object of the bucket; keys hold ids only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
}

impl Finding {
    /// Something of the person's.
    #[must_use]
    pub fn record(kind: &str, record: Value) -> Self {
        Self { kind: kind.to_owned(), record: Some(record), unreadable: None }
    }

    /// Something of somebody else's in which they are mentioned.
    #[must_use]
    pub fn withheld(kind: &str) -> Self {
        Self { kind: kind.to_owned(), record: None, unreadable: None }
    }

    /// A row that cannot be read, or the object of this key.
    #[must_use]
    pub fn unreadable(kind: &str, object: Option<&str>) -> Self {
        let object = object.map(str::to_owned);
        Self { kind: kind.to_owned(), record: None, unreadable: Some(Unreadable { object }) }
    }
}

/// What is shown of a part of the search.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    held: BTreeMap<String, Vec<Value>>,
    withheld: BTreeMap<String, u64>,
    unreadable: BTreeMap<String, NotRead>,
}

/// What could not be read of one kind.
#[derive(Clone, Debug, Default, Serialize)]
struct NotRead {
    count: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    objects: Vec<String>,
}

impl Extend<Finding> for Findings {
    fn extend<T: IntoIterator<Item = Finding>>(&mut self, findings: T) {
        for Finding { kind, record, unreadable } in findings {
            match (record, unreadable) {
                (Some(record), _) => self.held.entry(kind).or_default().push(record),
                (None, Some(Unreadable { object })) => {
                    let not_read = self.unreadable.entry(kind).or_default();
                    not_read.count += 1;
                    not_read.objects.extend(object);
                }
                (None, None) => *self.withheld.entry(kind).or_default() += 1,
            }
        }
    }
}

impl Findings {
    /// The campaigns that have written to the person.
    #[must_use]
    pub fn campaigns(&self) -> BTreeSet<CampaignId> {
        let attempts = self.held.get("attempts").into_iter().flatten();
        attempts.filter_map(|attempt| attempt["campaign"].as_str()?.parse().ok()).collect()
    }
}

/// What the document says of itself.
const ABOUT: [&str; 8] = [
    "Everything that Thirdtick holds about one person: `held` has each row and object by kind, as it is stored; times are UTC.",
    "`held.attempts` are the messages that campaigns have sent to them. The text as it was filled in is not stored: it is the \
     message of the variant in `campaigns`, filled with the variables of their line in `held.audiences_and_imports`.",
    "`held.events` is what they did and what was done about them. Journeys, sessions and conversations with their times are computed \
     from it whenever somebody asks, and stored nowhere.",
    "`held.definitions` is about something else and names them: only those texts are shown.",
    "`held.raw_archive`, `audiences_and_imports`, `large_items` and `uploads` are parts of objects of the bucket; `object` is the key, \
     `line` counts from 1. `held.published_events` are rows of the analytical files.",
    "`held.audit` and `held.erasures` say who has asked for what about them.",
    "`withheld` counts what belongs to other people and mentions this one.",
    "`unreadable` counts, by kind, what may be about them and could not be read; `objects` are keys of the bucket.",
];

/// The document. `campaigns` are the definitions of those that have written to the person.
#[must_use]
pub fn document(export: &Export, findings: Findings, campaigns: &[Value], completed_at: UnixMillis) -> Value {
    json!({
        "about": ABOUT,
        "version": 1,
        "id": export.id,
        "contact_id": export.contact,
        "contacts": export.person.contacts,
        "identifiers": {"phone_numbers": export.person.digits, "others": export.person.others},
        "asked_at": export.asked_at.to_rfc3339(),
        "completed_at": completed_at.to_rfc3339(),
        "campaigns": campaigns,
        "held": findings.held,
        "withheld": findings.withheld,
        "unreadable": findings.unreadable,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn export() -> Export {
        let person = Person { digits: ["60123456789".to_owned()].into(), ..Person::default() };
        let id = "exp_01J00000000000000000000000".parse().unwrap();
        let contact = "ctc_01J00000000000000000000000".parse().unwrap();
        Export::new(id, WorkspaceId::FIRST, contact, person, UnixMillis(1_790_000_000_000))
    }

    #[test]
    fn what_was_found_is_shown_by_kind_and_what_is_withheld_is_counted() {
        let attempt = json!({"campaign": "cmp_01J00000000000000000000000"});
        let mut findings = Findings::default();
        findings.extend([
            Finding::record("attempts", attempt.clone()),
            Finding::withheld("events"),
            Finding::withheld("events"),
            Finding::unreadable("events", None),
            Finding::unreadable("raw_archive", Some("archive/raw/x")),
        ]);
        let campaigns: Vec<String> = findings.campaigns().iter().map(ToString::to_string).collect();
        assert_eq!(campaigns, ["cmp_01J00000000000000000000000"]);
        let document = document(&export(), findings, &[], UnixMillis(1_790_000_000_000));
        assert_eq!(
            (&document["held"], &document["withheld"]),
            (&json!({"attempts": [attempt]}), &json!({"events": 2}))
        );
        let unreadable = json!({"events": {"count": 1}, "raw_archive": {"count": 1, "objects": ["archive/raw/x"]}});
        assert_eq!(document["unreadable"], unreadable);
        assert_eq!(document["identifiers"]["phone_numbers"], json!(["60123456789"]));
        assert_eq!(document["completed_at"], "2026-09-21T14:13:20.000Z");
    }

    #[test]
    fn a_finding_is_a_line_of_this_shape() {
        for (finding, expected) in [
            (Finding::record("events", json!({"a": 1})), json!({"kind": "events", "record": {"a": 1}})),
            (Finding::withheld("events"), json!({"kind": "events"})),
            (Finding::unreadable("uploads", Some("k")), json!({"kind": "uploads", "unreadable": {"object": "k"}})),
            (Finding::unreadable("events", None), json!({"kind": "events", "unreadable": {}})),
        ] {
            assert_eq!(serde_json::to_value(&finding).unwrap(), expected);
            assert_eq!(serde_json::from_value::<Finding>(expected).unwrap(), finding);
        }
    }

    #[test]
    fn an_export_is_stored_in_this_shape_and_shows_nobody_in_a_log() {
        let expected = json!({
            "v": 1, "id": "exp_01J00000000000000000000000", "workspace": "wsp_00000000000000000000000001",
            "contact": "ctc_01J00000000000000000000000",
            "person": {"contacts": [], "digits": ["60123456789"], "others": []},
            "place": {"in": "table"}, "parts": 0, "asked_at": 1_790_000_000_000_i64, "expires_at": 1_790_086_400,
        });
        assert_eq!(serde_json::to_value(export()).unwrap(), expected);
        assert_eq!(serde_json::from_value::<Export>(expected).unwrap(), export());
        assert!(!format!("{:?}", export()).contains("6012"));
    }
}
