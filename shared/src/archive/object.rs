//! Objects of the archive: their names, and lines in and out of them.

use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Line, PREFIX, UnreadableLine};
use crate::time::UnixMillis;

/// zstd's default: JSON becomes about a tenth, at some hundred megabytes a second.
const LEVEL: i32 = 3;

/// What an object is called: the hour it belongs to, the time of its first line, and a digest of what is in it. Names sort
/// by time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectName {
    /// `2026-11-21T07`.
    hour: String,
    id: String,
}

/// Where one message lies. Written as `{hour}/{id}#{message}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Place {
    /// Its object.
    pub object: ObjectName,
    /// The queue's id of the message.
    pub message: String,
}

/// A text that names no place of the archive.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("expected the place of a message in the archive")]
pub struct MalformedPlace;

/// The hour of a moment, `2026-11-21T07`.
fn hour_of(at: UnixMillis) -> String {
    at.to_rfc3339()[..13].to_owned()
}

impl ObjectName {
    /// The name of an object that holds exactly these lines, in their order, all of the first one's hour; `None` without a
    /// line.
    #[must_use]
    pub fn of(lines: &[Line]) -> Option<Self> {
        let first = lines.first()?;
        let mut hash = Sha256::new();
        for line in lines {
            for part in [line.message.as_bytes(), &line.received_at.0.to_be_bytes(), &line.body] {
                hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
                hash.update(part);
            }
        }
        let digest = hex::encode(&hash.finalize()[..10]);
        Some(Self { hour: hour_of(first.received_at), id: format!("{:013}-{digest}", first.received_at.0) })
    }

    /// Whether a message that was taken in at that time belongs into this object's hour.
    #[must_use]
    pub fn is_of_hour(&self, at: UnixMillis) -> bool {
        self.hour == hour_of(at)
    }

    /// The moment at which its hour began; `None` when its name says no hour of the calendar.
    #[must_use]
    pub fn hour_began(&self) -> Option<UnixMillis> {
        let began: jiff::Timestamp = format!("{}:00:00Z", self.hour).parse().ok()?;
        Some(UnixMillis(began.as_millisecond()))
    }

    /// Its key in the bucket.
    #[must_use]
    pub fn key(&self) -> String {
        let (date, hour) = self.hour.split_once('T').unwrap_or_default();
        format!("{PREFIX}date={date}/hour={hour}/{}.ndjson.zst", self.id)
    }

    /// The name in a key; `None` for what is no object of the archive.
    #[must_use]
    pub fn read_key(key: &str) -> Option<Self> {
        let mut parts = key.strip_prefix(PREFIX)?.split('/');
        let date = parts.next()?.strip_prefix("date=")?;
        let hour = parts.next()?.strip_prefix("hour=")?;
        let id = parts.next()?.strip_suffix(".ndjson.zst")?;
        parts.next().is_none().then_some(())?;
        format!("{date}T{hour}/{id}").parse().ok()
    }

    /// What the keys of all objects of a moment's hour or later are not smaller than.
    #[must_use]
    pub fn keys_from(at: UnixMillis) -> String {
        let hour = hour_of(at);
        let (date, hour) = hour.split_once('T').unwrap_or_default();
        format!("{PREFIX}date={date}/hour={hour}/")
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.hour, self.id)
    }
}

impl FromStr for ObjectName {
    type Err = MalformedPlace;

    fn from_str(text: &str) -> Result<Self, MalformedPlace> {
        let (hour, id) = text.split_once('/').ok_or(MalformedPlace)?;
        let digits_and =
            |text: &str, more: &str| text.bytes().all(|b| b.is_ascii_hexdigit() || more.as_bytes().contains(&b));
        let is_hour = hour.len() == 13 && hour.as_bytes()[10] == b'T' && digits_and(hour, "-T");
        if !is_hour || id.is_empty() || !digits_and(id, "-") {
            return Err(MalformedPlace);
        }
        Ok(Self { hour: hour.to_owned(), id: id.to_owned() })
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.object, self.message)
    }
}

impl FromStr for Place {
    type Err = MalformedPlace;

    fn from_str(text: &str) -> Result<Self, MalformedPlace> {
        let (object, message) = text.split_once('#').ok_or(MalformedPlace)?;
        Ok(Self { object: object.parse()?, message: message.to_owned() })
    }
}

impl From<Place> for String {
    fn from(place: Place) -> Self {
        place.to_string()
    }
}

impl TryFrom<String> for Place {
    type Error = MalformedPlace;

    fn try_from(text: String) -> Result<Self, MalformedPlace> {
        text.parse()
    }
}

/// The object that holds these lines.
///
/// # Errors
/// When they cannot be written as JSON, or compressed.
pub fn compress(lines: &[Line]) -> std::io::Result<Vec<u8>> {
    let mut encoder = zstd::Encoder::new(Vec::new(), LEVEL)?;
    encoder.include_checksum(true)?;
    for line in lines {
        encoder.write_all(line.to_json()?.as_bytes())?;
        encoder.write_all(b"\n")?;
    }
    encoder.finish()
}

/// The lines of an object, one after the other: only one of them is in memory at a time.
///
/// # Errors
/// [`UnreadableLine::Compression`] when it is no zstd at all.
pub fn lines(object: &[u8]) -> Result<impl Iterator<Item = Result<Line, UnreadableLine>>, UnreadableLine> {
    let text = BufReader::new(zstd::Decoder::new(object)?);
    Ok(text.lines().map(|line| Line::from_json(&line?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(n: i64) -> Line {
        Line::of_meta(format!("message-{n}"), UnixMillis(1_790_000_000_000 + n), format!("{{\"n\":{n}}}"))
    }

    #[test]
    fn an_object_gives_back_its_lines() {
        let written: Vec<Line> = (0..1_000).map(line).collect();
        let object = compress(&written).unwrap();
        assert!(object.len() < 20_000, "{}", object.len());
        let read: Result<Vec<Line>, _> = lines(&object).unwrap().collect();
        assert_eq!(read.unwrap(), written);
        assert_eq!(compress(&written).unwrap(), object, "the same lines make the same object");
    }

    #[test]
    fn a_damaged_object_is_an_error_and_not_a_shorter_one() {
        let object = compress(&(0..1_000).map(line).collect::<Vec<_>>()).unwrap();
        let cut = &object[..object.len() / 2];
        assert!(lines(cut).unwrap().any(|line| matches!(line, Err(UnreadableLine::Compression(_)))));
    }

    #[test]
    fn a_name_follows_from_what_is_in_the_object_and_is_read_back_from_its_key() {
        let name = ObjectName::of(&[line(1), line(2)]).unwrap();
        assert_eq!(ObjectName::of(&[line(1), line(2)]).unwrap(), name);
        assert_ne!(ObjectName::of(&[line(1)]).unwrap(), name);
        let key = name.key();
        assert!(key.starts_with("archive/raw/date=2026-09-21/hour=14/1790000000001-"), "{key}");
        assert!(key.ends_with(".ndjson.zst"), "{key}");
        assert!(key.as_str() >= ObjectName::keys_from(UnixMillis(1_790_000_000_001)).as_str());
        assert_eq!(ObjectName::read_key(&key), Some(name.clone()));
        assert_eq!(name.hour_began(), Some(UnixMillis(1_789_999_200_000)), "2026-09-21T14:00:00Z");
        assert_eq!("9999-99-99T99/a".parse::<ObjectName>().unwrap().hour_began(), None);
        assert_eq!(ObjectName::read_key("archive/raw/date=x/hour=07/a.ndjson.zst"), None);
        let place = Place { object: name, message: "a#b".to_owned() };
        assert_eq!(place.to_string().parse(), Ok(place));
        assert_eq!("../../x#y".parse::<Place>(), Err(MalformedPlace));
    }
}
