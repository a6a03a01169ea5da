//! Telling office files apart: the old ones by the streams of their compound file (Microsoft, MS-CFB), the new ones by
//! the table of contents at the end of their archive (PKWARE, APPNOTE). Both work on a file that streams by.

/// Which of the old office applications a compound file names a main stream of. An embedded table brings its own along,
/// so there may be several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct OldOffice {
    pub(super) word: bool,
    pub(super) excel: bool,
    pub(super) powerpoint: bool,
}

/// A directory entry of a compound file, and so where each of them begins.
const ENTRY_BYTES: usize = 128;

/// Looks for directory entries in a compound file that comes in pieces.
#[derive(Debug, Default)]
pub(super) struct OldOfficeScan {
    found: OldOffice,
    /// The beginning of an entry whose rest has not come yet.
    partial: Vec<u8>,
}

impl OldOfficeScan {
    pub(super) fn take(&mut self, mut piece: &[u8]) {
        while !piece.is_empty() {
            if self.partial.is_empty() && piece.len() >= ENTRY_BYTES {
                self.entry(&piece[..ENTRY_BYTES]);
                piece = &piece[ENTRY_BYTES..];
                continue;
            }
            let (first, rest) = piece.split_at(piece.len().min(ENTRY_BYTES - self.partial.len()));
            self.partial.extend_from_slice(first);
            piece = rest;
            if self.partial.len() == ENTRY_BYTES {
                let entry = std::mem::take(&mut self.partial);
                self.entry(&entry);
            }
        }
    }

    pub(super) const fn found(&self) -> OldOffice {
        self.found
    }

    fn entry(&mut self, entry: &[u8]) {
        let is = |name: &str| is_stream(entry, name);
        self.found.word |= is("WordDocument");
        self.found.excel |= is("Workbook") || is("Book");
        self.found.powerpoint |= is("PowerPoint Document");
    }
}

/// Whether the directory entry is a stream of this name: UTF-16 with its final zero, its length in bytes at 64, type 2 at 66.
fn is_stream(entry: &[u8], name: &str) -> bool {
    let length = (name.len() + 1) * 2;
    entry[66] == 2
        && usize::from(u16::from_le_bytes([entry[64], entry[65]])) == length
        && name.bytes().zip(entry.chunks_exact(2)).all(|(letter, unit)| unit == [letter, 0])
}

/// MIME type of the office file whose archive ends so; `None` for any other archive.
pub(super) fn new_office(tail: &[u8]) -> Option<&'static str> {
    let names = archive_names(tail)?;
    let has = |wanted: &[u8]| names.contains(&wanted);
    if !has(b"[Content_Types].xml") {
        return None;
    }
    let parts: [(&[u8], &str); 3] = [
        (b"word/document.xml", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        (b"xl/workbook.xml", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        (b"ppt/presentation.xml", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    ];
    parts.into_iter().find(|(part, _)| has(part)).map(|(_, mime_type)| mime_type)
}

/// The names in an archive's table of contents, as far as it lies within `tail`.
fn archive_names(tail: &[u8]) -> Option<Vec<&[u8]>> {
    const END: &[u8] = b"PK\x05\x06";
    const ENTRY: &[u8] = b"PK\x01\x02";
    let end = tail.windows(END.len()).rposition(|window| window == END)?;
    let length = u32::from_le_bytes(tail.get(end + 12..end + 16)?.try_into().ok()?);
    let mut rest = &tail[end.saturating_sub(usize::try_from(length).ok()?)..end];
    // A table longer than the tail is entered at the first entry that is there.
    let first = rest.windows(ENTRY.len()).position(|window| window == ENTRY)?;
    rest = &rest[first..];
    let mut names = Vec::new();
    while rest.starts_with(ENTRY) {
        let length = |at: usize| Some(usize::from(u16::from_le_bytes(rest.get(at..at + 2)?.try_into().ok()?)));
        let (name, extra, comment) = (length(28)?, length(30)?, length(32)?);
        names.push(rest.get(46..46 + name)?);
        rest = rest.get(46 + name + extra + comment..)?;
    }
    Some(names)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The end of an archive with these names in its table.
    pub(in crate::media) fn archive(names: &[&str]) -> Vec<u8> {
        let mut table = Vec::new();
        for name in names {
            let mut entry = b"PK\x01\x02".to_vec();
            entry.resize(46, 0);
            entry[28..30].copy_from_slice(&u16::try_from(name.len()).unwrap().to_le_bytes());
            table.extend(entry);
            table.extend(name.bytes());
        }
        let mut end = b"PK\x05\x06".to_vec();
        end.resize(22, 0);
        end[12..16].copy_from_slice(&u32::try_from(table.len()).unwrap().to_le_bytes());
        [&b"PK\x03\x04 what is in it"[..], &table, &end].concat()
    }

    /// A compound file whose directory has these streams.
    pub(in crate::media) fn compound(streams: &[&str]) -> Vec<u8> {
        let mut file = vec![0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1];
        file.resize(512, 0);
        for name in streams {
            let mut entry: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
            entry.resize(ENTRY_BYTES, 0);
            entry[64..66].copy_from_slice(&u16::try_from((name.len() + 1) * 2).unwrap().to_le_bytes());
            entry[66] = 2;
            file.extend(entry);
        }
        file
    }

    #[test]
    fn an_old_office_file_is_told_by_its_streams_however_it_is_cut() {
        let file = compound(&["\u{5}SummaryInformation", "Workbook", "PowerPoint Document"]);
        for piece in [1, 100, 127, 128, 129, 5_000] {
            let mut scan = OldOfficeScan::default();
            file.chunks(piece).for_each(|piece| scan.take(piece));
            assert_eq!(scan.found(), OldOffice { word: false, excel: true, powerpoint: true }, "in pieces of {piece}");
        }
    }

    #[test]
    fn a_new_office_file_is_told_by_its_table_of_contents() {
        let names = ["[Content_Types].xml", "_rels/.rels", "xl/workbook.xml"];
        assert_eq!(
            new_office(&archive(&names)),
            Some("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")
        );
        assert_eq!(new_office(&archive(&["xl/workbook.xml"])), None, "any archive may hold a file of that name");
        assert_eq!(new_office(b"PK\x03\x04 cut off"), None);
    }
}
