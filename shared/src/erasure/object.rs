//! Taking people out of the objects of the bucket, by what kind of object it is. Events that were published are not here:
//! their files are the warehouse's.

use std::ops::BitOr;

use serde_json::Value;

use super::Names;
use super::owner::{Others, put_back};
use super::record::{blank, erase_from_notification, erase_line, names_in};
use super::search::{Object, Search};
use super::upload::{self, Large};
use crate::archive::{self, Line, UnreadableLine};
use crate::blob::{BlobError, Fetched};
use crate::phone::Region;
use crate::queue::Inbound;
use crate::store::StoreError;

/// What a key holds, as far as an erasure is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Pages, skipped and held-out lines of an audience, lines of an import.
    Lines,
    /// A compressed object of the raw archive.
    Archive,
    /// A body that was too large for its queue.
    Overflow,
    /// An item that was too long for its row.
    Kept,
    /// A file that somebody has uploaded: it is read within the day, and gone after two.
    Upload,
    /// An export of a person, or a part of one; gone after a day or two.
    Export,
}

impl Kind {
    /// The kind of the object at this key; `None` for what holds nothing about people, or is erased elsewhere.
    #[must_use]
    pub fn of(key: &str) -> Option<Self> {
        match key.split('/').next()? {
            "campaigns" | "imports" => Some(Self::Lines),
            "archive" => Some(Self::Archive),
            "overflow" => Some(Self::Overflow),
            "kept" => Some(Self::Kept),
            "uploads" => Some(Self::Upload),
            "exports" => Some(Self::Export),
            _ => None,
        }
    }

    /// What a report counts it under.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lines => "audiences_and_imports",
            Self::Archive => "raw_archive",
            Self::Overflow | Self::Kept => "large_items",
            Self::Upload => "uploads",
            Self::Export => "exports",
        }
    }
}

/// Why an object is not rid of somebody; trying again is safe.
#[derive(Debug, thiserror::Error)]
pub enum NotErased {
    /// The bucket.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// An object of the archive.
    #[error(transparent)]
    Archive(#[from] UnreadableLine),
    /// It cannot be written again.
    #[error("an object cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    /// It cannot be compressed again.
    #[error("an object cannot be compressed")]
    Compression(#[from] std::io::Error),
    /// The table, which knows whose a message is.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is larger than such an object ever is, or a line of a file is, so nobody can look through it.
    #[error("an object of {bytes} bytes cannot be looked through")]
    TooLarge {
        /// Its size.
        bytes: u64,
    },
    /// The disk is full.
    #[error("no room to write an object again")]
    Disk(#[source] std::io::Error),
}

impl NotErased {
    /// Whether trying again is of no use: the object is there, and cannot be read.
    #[must_use]
    pub const fn is_permanent(&self) -> bool {
        match self {
            Self::Blob(_) | Self::Disk(_) => false,
            Self::Store(error) => error.is_permanent(),
            Self::Archive(_) | Self::Json(_) | Self::Compression(_) | Self::TooLarge { .. } => true,
        }
    }
}

/// What becomes of an object's bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    Stays,
    Becomes(Vec<u8>),
    Goes,
}

/// Takes the people out of one object. Whether they were in it.
///
/// # Errors
/// [`NotErased`].
pub async fn erase(search: &Search<'_>, object: &Object, names: &Names) -> Result<bool, NotErased> {
    let (bucket, Object { key, kind, region }) = (search.bucket, object);
    let body = match bucket.get_up_to(key, search.most_bytes).await {
        Ok(Fetched::Whole(body)) => body,
        Ok(Fetched::Larger(stored)) => {
            return match kind {
                Kind::Upload => {
                    Large { bucket, key, stored: &stored, most_bytes: search.most_bytes }.erase(names).await
                }
                // Unread, for it can be asked for again at any time.
                Kind::Export => bucket.delete(key).await.map(|()| true).map_err(NotErased::from),
                _ => Err(NotErased::TooLarge { bytes: stored.bytes }),
            };
        }
        Err(BlobError::NotFound { .. }) => return Ok(false),
        Err(error) => return Err(error.into()),
    };
    let next = match kind {
        Kind::Lines if key.ends_with(".json") => of_page(names, &body)?,
        Kind::Lines => of_lines(names, &body, *region)?,
        Kind::Archive => {
            let messages = messages(names, &body)?;
            let others = Others::of(search.core, search.workspace, messages.iter().map(|(_, said)| said)).await?;
            of_archive(names, messages, &others)?
        }
        Kind::Overflow => {
            let said = said(names, &body);
            let others = Others::of(search.core, search.workspace, [&said]).await?;
            of_message(names, said, is_notification(&body), &others)
        }
        Kind::Kept | Kind::Export => of_text(names, &body, Next::Goes),
        Kind::Upload => upload::erased(names, &body),
    };
    match next {
        Next::Stays => Ok(false),
        Next::Goes => bucket.delete(key).await.map(|()| true).map_err(NotErased::from),
        Next::Becomes(body) => {
            let content_type = if *kind == Kind::Archive { "application/zstd" } else { "application/octet-stream" };
            bucket.put(key, body, content_type).await?;
            Ok(true)
        }
    }
}

fn of_page(names: &Names, body: &[u8]) -> Result<Next, NotErased> {
    let mut page: Vec<Value> = serde_json::from_slice(body)?;
    let changed = page.iter_mut().map(|line| erase_line(names, line, None)).fold(false, BitOr::bitor);
    Ok(if changed { Next::Becomes(serde_json::to_vec(&page)?) } else { Next::Stays })
}

fn of_lines(names: &Names, body: &[u8], region: Option<Region>) -> Result<Next, NotErased> {
    let mut next = Vec::with_capacity(body.len());
    let mut changed = false;
    for line in body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let mut line: Value = serde_json::from_slice(line)?;
        changed |= erase_line(names, &mut line, region);
        serde_json::to_writer(&mut next, &line)?;
        next.push(b'\n');
    }
    Ok(if changed { Next::Becomes(next) } else { Next::Stays })
}

/// The messages of an object of the archive, and what each says of the people.
pub(super) fn messages(names: &Names, body: &[u8]) -> Result<Vec<(Line, Said)>, UnreadableLine> {
    let with_said = |line: Line| {
        let said = said(names, &line.body);
        (line, said)
    };
    archive::lines(body)?.map(|line| line.map(with_said)).collect()
}

/// A notification loses what it tells of the person, a click its fields that name them, and what pages and servers tell the
/// events that do: a message of which nothing is left goes.
fn of_archive(names: &Names, messages: Vec<(Line, Said)>, others: &Others) -> Result<Next, NotErased> {
    let mut lines = Vec::new();
    let mut changed = false;
    for (line, said) in messages {
        match of_message(names, said, line.is_of_meta(), others) {
            Next::Stays => lines.push(line),
            Next::Becomes(body) => {
                changed = true;
                lines.push(Line { body: body.into(), ..line });
            }
            Next::Goes => changed = true,
        }
    }
    Ok(match (changed, lines.is_empty()) {
        (false, _) => Next::Stays,
        (true, true) => Next::Goes,
        (true, false) => Next::Becomes(archive::compress(&lines)?),
    })
}

/// Whether a body that was too large for its queue is Meta's own, and no message of ours.
pub(super) fn is_notification(body: &[u8]) -> bool {
    serde_json::from_slice::<Inbound>(body).is_err()
}

/// What a message says of the people.
pub(super) enum Said {
    /// Nothing.
    Nothing,
    /// It names them in its text, and in none of its values: escaped in a way of its own, or no JSON.
    Somewhere,
    /// This document names them.
    Here(Value),
}

pub(super) fn said(names: &Names, body: &[u8]) -> Said {
    let Ok(text) = std::str::from_utf8(body) else { return Said::Nothing };
    if !names.may_be_in(text) {
        return Said::Nothing;
    }
    match serde_json::from_str::<Value>(text) {
        Ok(document) if names_in(names, &document) => Said::Here(document),
        _ if names.are_in(text) => Said::Somewhere,
        _ => Said::Nothing,
    }
}

fn of_message(names: &Names, said: Said, is_notification: bool, others: &Others) -> Next {
    let mut document = match said {
        Said::Nothing => return Next::Stays,
        // Better too much than too little.
        Said::Somewhere => return Next::Goes,
        Said::Here(document) if others.have(&document) => return Next::Stays,
        Said::Here(document) => document,
    };
    if is_notification {
        let aside = others.set_aside(&mut document);
        let lost_records = erase_from_notification(names, &mut document);
        if !blank(names, &mut document) && !lost_records {
            return Next::Stays;
        }
        put_back(&mut document, aside);
    } else if document["kind"] == "click" {
        // A click is nobody's without its recipient.
        if let Value::Object(fields) = &mut document {
            fields.remove("recipient");
        }
        blank(names, &mut document);
    } else {
        let told = document.get_mut("events").and_then(Value::as_array_mut);
        let is_anothers_too = told.is_some_and(|events| {
            // What has no id of its own is named by its place: the others keep theirs.
            events.iter_mut().filter(|event| names_in(names, event)).for_each(|event| *event = Value::Null);
            events.iter().any(|event| !event.is_null())
        });
        if !is_anothers_too || names_in(names, &document) {
            return Next::Goes;
        }
    }
    serde_json::to_vec(&document).map_or(Next::Goes, Next::Becomes)
}

fn of_text(names: &Names, body: &[u8], named: Next) -> Next {
    if names.are_in_text(&String::from_utf8_lossy(body)) { named } else { Next::Stays }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Person;
    use super::*;
    use crate::id::WorkspaceId;
    use crate::time::UnixMillis;

    fn names() -> Names {
        Names::of([&Person { digits: ["60123456789".to_owned()].into(), ..Person::default() }]).unwrap()
    }

    fn line(kind: &str, body: &Value) -> Line {
        let (received_at, message) = (UnixMillis(7), "m".to_owned());
        Line { kind: kind.to_owned(), received_at, message, body: body.to_string().into() }
    }

    fn nobody_else() -> Others {
        Others::new(WorkspaceId::FIRST, [])
    }

    fn in_object(names: &Names, object: &[u8], others: &Others) -> Next {
        of_archive(names, messages(names, object).unwrap(), others).unwrap()
    }

    fn in_message(body: &str) -> Next {
        of_message(&names(), said(&names(), body.as_bytes()), false, &nobody_else())
    }

    #[test]
    fn of_an_object_of_the_archive_only_what_tells_of_the_person_goes() {
        let status = |to: &str| json!({"recipient_id": to, "status": "read"});
        let webhook = |to: &[&str]| {
            let statuses: Vec<Value> = to.iter().map(|to| status(to)).collect();
            json!({"entry": [{"changes": [{"value": {"statuses": statuses}}]}]})
        };
        let click = json!({"kind": "click", "link": 7, "recipient": [0, 3], "about": "60123456789"});
        let others = [
            line("meta_webhook", &webhook(&["60123456780"])),
            line("collected", &json!({"kind": "collected", "phone": "60123456780"})),
        ];
        let written = [
            line("meta_webhook", &webhook(&["60123456789", "60123456780"])),
            line("click", &click),
            line("collected", &json!({"kind": "collected", "phone": "60123456789"})),
        ];
        let object = archive::compress(&[written.as_slice(), others.as_slice()].concat()).unwrap();
        let Next::Becomes(next) = in_object(&names(), &object, &nobody_else()) else { panic!("not changed") };
        let left: Vec<Line> = archive::lines(&next).unwrap().map(Result::unwrap).collect();
        let bodies: Vec<Value> = left.iter().map(|line| serde_json::from_slice(&line.body).unwrap()).collect();
        assert_eq!(bodies[0], webhook(&["60123456780"]));
        assert_eq!(bodies[1], json!({"kind": "click", "link": 7, "about": "erased"}));
        assert_eq!(left[2..], others);
        assert_eq!(in_object(&names(), &next, &nobody_else()), Next::Stays);
        let only_them = archive::compress(&written[2..]).unwrap();
        assert_eq!(in_object(&names(), &only_them, &nobody_else()), Next::Goes);
    }

    #[test]
    fn messages_of_another_workspace_stay_as_they_are() {
        let change = |number: &str| json!({"value": {"metadata": {"phone_number_id": number}, "messages": [{"from": "60123456789"}]}});
        let erased = json!({"value": {"metadata": {"phone_number_id": "1"}, "messages": []}});
        let webhook = |changes: &[Value]| json!({"entry": [{"changes": changes}]});
        let of_workspace = |workspace: WorkspaceId| {
            line("collected", &json!({"kind": "collected", "workspace": workspace, "phone": "60123456789"}))
        };
        let other = WorkspaceId::new(UnixMillis(1));
        let theirs = [line("meta_webhook", &webhook(&[change("2")])), of_workspace(other)];
        let ours = [line("meta_webhook", &webhook(&[change("2"), change("1")])), of_workspace(WorkspaceId::FIRST)];
        let others = Others::new(WorkspaceId::FIRST, ["2".to_owned()]);
        let object = archive::compress(&[theirs.as_slice(), ours.as_slice()].concat()).unwrap();
        let Next::Becomes(next) = in_object(&names(), &object, &others) else { panic!("not changed") };
        let left: Vec<Line> = archive::lines(&next).unwrap().map(Result::unwrap).collect();
        assert_eq!(left[..2], theirs);
        assert_eq!(left.len(), 3);
        assert_eq!(serde_json::from_slice::<Value>(&left[2].body).unwrap(), webhook(&[change("2"), erased]));
        assert_eq!(in_object(&names(), &next, &others), Next::Stays);
    }

    #[test]
    fn of_what_was_told_together_only_the_events_of_the_person_go() {
        let event = |phone: &str| json!({"at": 5, "contact": {"phone": phone}});
        let told = |events: &[Value]| json!({"kind": "told", "id": "x", "events": events});
        let [theirs, others] = [event("+60123456789"), event("+60123456780")];
        let message = told(&[others.clone(), theirs.clone(), others.clone()]).to_string();
        let Next::Becomes(next) = in_message(&message) else { panic!("not narrowed") };
        let next: Value = serde_json::from_slice(&next).unwrap();
        assert_eq!(next, told(&[others.clone(), Value::Null, others.clone()]));
        assert_eq!(in_message(&next.to_string()), Next::Stays);
        let only_them = told(&[theirs.clone(), Value::Null]).to_string();
        assert_eq!(in_message(&only_them), Next::Goes);
        let elsewhere = json!({"kind": "collected", "user_agent": "60123456789", "events": [others]}).to_string();
        assert_eq!(in_message(&elsewhere), Next::Goes, "better too much than too little");
    }

    #[test]
    fn what_a_stranger_calls_a_browser_does_not_erase_what_others_say() {
        let person = Person { others: ["guest".to_owned()].into(), ..Person::default() };
        let names = Names::of([&person]).unwrap();
        let of_others = line("collected", &json!({"kind": "collected", "events": [{"name": "guest", "phone": "7"}]}));
        let theirs = line("collected", &json!({"kind": "collected", "events": [{"anonymous_id": "guest"}]}));
        let object = archive::compress(&[of_others.clone(), theirs]).unwrap();
        let Next::Becomes(next) = in_object(&names, &object, &nobody_else()) else { panic!("not changed") };
        assert_eq!(archive::lines(&next).unwrap().next().unwrap().unwrap(), of_others);
        assert_eq!(of_text(&names, br#"{"kind":"guest"}"#, Next::Goes), Next::Stays);
    }

    #[test]
    fn lines_of_others_stay_as_they_are() {
        let body = b"{\"line\":2,\"phone\":\"+60123456789\",\"reason\":\"x\"}\n{\"line\":3,\"phone\":\"7\",\"reason\":\"y\"}\n";
        let Next::Becomes(next) = of_lines(&names(), body, None).unwrap() else { panic!("not changed") };
        let text = String::from_utf8(next).unwrap();
        assert!(!text.contains("60123456789") && text.contains("\"phone\":\"7\""), "{text}");
        assert_eq!(text.lines().count(), 2, "places are kept");
    }

    #[test]
    fn an_object_that_cannot_be_read_is_told_from_a_bucket_that_does_not_answer() {
        let of_archive = messages(&names(), b"x").err().map(NotErased::from);
        let too_large = Some(NotErased::TooLarge { bytes: 1 });
        for unreadable in [of_page(&names(), b"{").err(), of_lines(&names(), b"x", None).err(), of_archive, too_large] {
            assert!(unreadable.unwrap().is_permanent());
        }
        let gone = BlobError::NotFound { key: "k".to_owned() };
        assert!(!NotErased::from(gone).is_permanent());
        assert!(!NotErased::Disk(std::io::ErrorKind::StorageFull.into()).is_permanent());
    }

    #[test]
    fn every_place_of_the_bucket_that_holds_people_is_known() {
        for (key, kind) in [
            ("campaigns/w/c/pages/000001.json", Some(Kind::Lines)),
            ("imports/w/i/accepted/000001.ndjson", Some(Kind::Lines)),
            ("archive/raw/date=2026-11-21/hour=07/x.ndjson.zst", Some(Kind::Archive)),
            ("overflow/2026-11-21/x", Some(Kind::Overflow)),
            ("kept/2026-11-21/x.json", Some(Kind::Kept)),
            ("uploads/w/x", Some(Kind::Upload)),
            ("exports/w/e/parts/000000.ndjson", Some(Kind::Export)),
            ("events/parquet/x", None),
            ("media/w/x", None),
        ] {
            assert_eq!(Kind::of(key), kind, "{key}");
        }
    }
}
