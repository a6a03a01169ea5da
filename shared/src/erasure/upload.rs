//! Files that somebody has uploaded, record by record: the records that name the person are theirs, all others stay byte for
//! byte. A file that is too large to be held in memory is read in ranges, and written again by way of the disk.

use std::borrow::Cow;
use std::io::{BufWriter, Write};

use serde_json::json;
use tempfile::NamedTempFile;

use super::Names;
use super::found::Found;
use super::object::{Next, NotErased};
use crate::blob::files::Replaced;
use crate::blob::{BlobError, Bucket, Stored};

/// The most that is read of a file at once.
const RANGE_BYTES: u64 = 8 << 20;

/// The text of a line, as far as it can name anybody: letters and digits of ASCII are the same in all encodings, but for
/// the zero bytes of UTF-16.
fn text_of(line: &[u8]) -> Cow<'_, str> {
    if line.contains(&0) {
        let letters: Vec<u8> = line.iter().copied().filter(|byte| *byte != 0).collect();
        return Cow::Owned(String::from_utf8_lossy(&letters).into_owned());
    }
    String::from_utf8_lossy(line)
}

/// How a file is cut into records, as whoever reads it does: a line is one, unless it ends within quotes.
#[derive(Clone, Copy)]
struct Records {
    unit: Unit,
}

/// What a character is made of.
#[derive(Clone, Copy)]
enum Unit {
    Byte,
    /// UTF-16, which has bytes of line ends within characters as well.
    LittleEndian,
    BigEndian,
}

impl Records {
    /// Those of a file that begins so.
    fn of(beginning: &[u8]) -> Self {
        let unit = match beginning {
            [0xff, 0xfe, ..] => Unit::LittleEndian,
            [0xfe, 0xff, ..] => Unit::BigEndian,
            _ => Unit::Byte,
        };
        Self { unit }
    }

    /// Where the first record ends, if all of it is there. Lines end with LF, CR LF or CR; quotes open where a field begins.
    fn end(self, bytes: &[u8]) -> Option<usize> {
        let width = if matches!(self.unit, Unit::Byte) { 1 } else { 2 };
        let units = bytes.chunks_exact(width).map(|unit| match (self.unit, unit) {
            (Unit::LittleEndian, &[low, high]) => u16::from_le_bytes([low, high]),
            (Unit::BigEndian, &[high, low]) => u16::from_be_bytes([high, low]),
            (_, unit) => unit.first().copied().map_or(0, u16::from),
        });
        let (mut quoted, mut may_open, mut after_return) = (false, true, false);
        for (index, unit) in units.enumerate() {
            if after_return {
                return Some(if unit == u16::from(b'\n') { index + 1 } else { index } * width);
            }
            if unit == u16::from(b'"') {
                // A doubled one closes and opens again.
                quoted = !quoted && may_open;
                may_open = true;
                continue;
            }
            if !quoted && unit == u16::from(b'\n') {
                return Some((index + 1) * width);
            }
            after_return = !quoted && unit == u16::from(b'\r');
            // Before the first field may stand the mark of the encoding.
            let is_mark = index < 3 && matches!(unit, 0xfeff | 0xef | 0xbb | 0xbf);
            may_open = is_mark || [b',', b';', b'\t', b'|'].map(u16::from).contains(&unit);
        }
        None
    }

    /// All records of a file; the last one may lack its end.
    fn split(self, mut body: &[u8]) -> impl Iterator<Item = &[u8]> {
        std::iter::from_fn(move || {
            let (record, rest) = body.split_at(self.end(body).unwrap_or(body.len()));
            body = rest;
            (!record.is_empty()).then_some(record)
        })
    }
}

fn records_of(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    Records::of(body).split(body)
}

fn is_named(names: &Names, line: &[u8]) -> bool {
    are_in(names, &text_of(line))
}

/// Here numbers stand as people have typed them.
fn are_in(names: &Names, text: &str) -> bool {
    names.are_in(text) || joined(text).is_some_and(|text| names.are_in(&text))
}

/// The text with the digits of numbers side by side; `None` when they are already. Dots stay: they make other numbers.
fn joined(text: &str) -> Option<String> {
    let (mut joined, mut between, mut any) = (String::new(), String::new(), false);
    for letter in text.chars() {
        let follows_number = joined.ends_with(|last: char| last.is_ascii_digit() || last == '+');
        if follows_number && matches!(letter, ' ' | '-' | '(' | ')' | '\u{a0}') {
            between.push(letter);
            continue;
        }
        if letter.is_ascii_digit() && !between.is_empty() {
            any = true;
        } else {
            joined.push_str(&between);
        }
        between.clear();
        joined.push(letter);
    }
    any.then_some(joined)
}

fn found_in(names: &Names, number: u64, line: &[u8]) -> Option<Found> {
    let text = text_of(line);
    let text = text.trim_end_matches(['\r', '\n']);
    are_in(names, text).then(|| Found::Record(json!({"line": number, "text": text})))
}

/// The lines of a file that name the person.
pub(super) fn find(names: &Names, body: &[u8]) -> Vec<Found> {
    (1_u64..).zip(records_of(body)).filter_map(|(number, line)| found_in(names, number, line)).collect()
}

/// What becomes of a file.
pub(super) fn erased(names: &Names, body: &[u8]) -> Next {
    if !records_of(body).any(|line| is_named(names, line)) {
        return Next::Stays;
    }
    Next::Becomes(records_of(body).filter(|line| !is_named(names, line)).flatten().copied().collect())
}

/// A version of a file that is larger than what may be held in memory.
pub(super) struct Large<'a> {
    pub(super) bucket: &'a Bucket,
    pub(super) key: &'a str,
    pub(super) stored: &'a Stored,
    /// The most that may be held, which is also the longest that a line may be.
    pub(super) most_bytes: u64,
}

impl Large<'_> {
    /// The lines that name the person.
    pub(super) async fn find(&self, names: &Names) -> Result<Vec<Found>, NotErased> {
        let (mut number, mut found) = (0, Vec::new());
        self.each_line(|line| {
            number += 1;
            found.extend(found_in(names, number, line));
            Ok(())
        })
        .await?;
        Ok(found)
    }

    /// Puts a file without those lines in its place, unless it has none. Whether it had.
    pub(super) async fn erase(&self, names: &Names) -> Result<bool, NotErased> {
        let mut any = false;
        self.each_line(|line| {
            any |= is_named(names, line);
            Ok(())
        })
        .await?;
        if !any {
            return Ok(false);
        }
        let file = NamedTempFile::new().map_err(NotErased::Disk)?;
        let mut kept = BufWriter::new(file.as_file());
        self.each_line(
            |line| {
                if is_named(names, line) { Ok(()) } else { kept.write_all(line).map_err(NotErased::Disk) }
            },
        )
        .await?;
        kept.flush().map_err(NotErased::Disk)?;
        let etag = self.stored.etag.as_deref();
        match self.bucket.replace(self.key, etag, file.path(), "application/octet-stream").await? {
            Replaced::Written => Ok(true),
            // Another file was put there meanwhile, which nobody has looked through.
            Replaced::Overtaken => Err(BlobError::Replaced { key: self.key.to_owned() }.into()),
        }
    }

    async fn each_line(&self, mut take: impl FnMut(&[u8]) -> Result<(), NotErased>) -> Result<(), NotErased> {
        let Stored { bytes, etag } = self.stored;
        let (mut at, mut held, mut records) = (0, Vec::<u8>::new(), None);
        while at < *bytes {
            let end = (*bytes).min(at + RANGE_BYTES.min(self.most_bytes));
            held.extend_from_slice(&self.bucket.get_range(self.key, at..end, etag.as_deref()).await?);
            at = end;
            let records = *records.get_or_insert_with(|| Records::of(&held));
            let mut taken = 0;
            while let Some(length) = records.end(&held[taken..]) {
                take(&held[taken..taken + length])?;
                taken += length;
            }
            held.drain(..taken);
            if held.len() as u64 > self.most_bytes {
                return Err(NotErased::TooLarge { bytes: *bytes });
            }
        }
        if held.is_empty() { Ok(()) } else { take(&held) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Person;
    use super::*;

    fn names() -> Names {
        Names::of([&Person { digits: ["60123456789".to_owned()].into(), ..Person::default() }]).unwrap()
    }

    #[test]
    fn lines_of_others_stay_as_they_are_in_every_encoding() {
        let Next::Becomes(next) = erased(&names(), b"phone,name\r\n60123456789,A\r\n60123456780,Jos\xe9\r\n") else {
            panic!("not changed")
        };
        assert_eq!(next, b"phone,name\r\n60123456780,Jos\xe9\r\n");
        assert_eq!(erased(&names(), &next), Next::Stays);
        let utf16 = |text: &str, order: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(order).collect::<Vec<u8>>();
        for order in [u16::to_le_bytes, u16::to_be_bytes] {
            let file = utf16("\u{feff}phone,name\n60123456789,王芳\n60123456780,刘洋\n", order);
            let Next::Becomes(next) = erased(&names(), &file) else { panic!("not changed") };
            assert_eq!(next, utf16("\u{feff}phone,name\n60123456780,刘洋\n", order));
        }
    }

    #[test]
    fn a_record_is_cut_where_whoever_reads_the_file_cuts_it() {
        let kept = |file: &[u8]| match erased(&names(), file) {
            Next::Becomes(next) => next,
            _ => panic!("not changed"),
        };
        // Within quotes a line goes on, wherever the number stands in it; a quote within a field opens none.
        assert_eq!(
            kept(b"p,a\r\n601,\"5\" x\r\n60123456789,\"A\r\nB \"\"C\"\"\nD\"\n602,E\n"),
            b"p,a\r\n601,\"5\" x\r\n602,E\n"
        );
        assert_eq!(kept(b"a;p\n\"A\nB\";60123456789\nC;603\n"), b"a;p\nC;603\n");
        assert_eq!(kept(b"p,a\n604,5\" x\n60123456789,B\n"), b"p,a\n604,5\" x\n");
        // As old Macs end their lines.
        assert_eq!(kept(b"p\r60123456789\r605\r"), b"p\r605\r");
        // The second byte of these characters, or the first, is that of a line's end.
        for order in [u16::to_le_bytes, u16::to_be_bytes] {
            let file = |text: &str| text.encode_utf16().flat_map(order).collect::<Vec<u8>>();
            let theirs = "60123456789,\u{4e0a}\u{0a4e}\u{300a}x\n";
            assert_eq!(
                kept(&file(&format!("\u{feff}p,a\n{theirs}606,\u{4e0a}\n"))),
                file("\u{feff}p,a\n606,\u{4e0a}\n")
            );
        }
    }

    #[test]
    fn a_number_is_found_as_people_type_it() {
        let is_named = |line: &str| is_named(&names(), line.as_bytes());
        for theirs in
            ["60123456789", "+60 12-345 6789;A", "1,+(60) 12 3456789", "(60)12-3456789 (mobile)", "x\t60-123456789\t7"]
        {
            assert!(is_named(theirs), "{theirs}");
        }
        for of_others in ["60.123456789", "60,123456789", "60 12-345 678", "60 - x 123456789"] {
            assert!(!is_named(of_others), "{of_others}");
        }
    }

    #[test]
    fn the_lines_of_the_person_are_found_with_their_numbers() {
        let found = find(&names(), b"phone\n60123456780\n60123456789,Jos\xe9\r\n");
        assert_eq!(found, [Found::Record(json!({"line": 3, "text": "60123456789,Jos\u{fffd}"}))]);
    }
}
