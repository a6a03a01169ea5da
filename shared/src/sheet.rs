//! A CSV as spreadsheets write it, read piece by piece as it comes: its encoding and delimiter are found out, a line that
//! is not well formed comes with its reason and disturbs no other, and no more of the file is held than one line. What
//! the lines mean is decided elsewhere.

mod decoding;
mod records;

pub use self::records::{MAX_CELLS, MAX_RECORD_BYTES};

use self::decoding::Decoding;
use self::records::Records;

/// One record of the file, the header included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The line of the file it begins on, from 1.
    pub line: u64,
    /// Its cells without white space around them, or why it has none.
    pub cells: Result<Vec<String>, UnreadableRow>,
}

/// Why a record cannot be read; the others can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableRow {
    /// Bytes that mean nothing in the file's encoding.
    #[error("the line has characters that cannot be read in the file's encoding")]
    Undecodable,
}

/// Why a file cannot be read any further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableSheet {
    /// No line break within [`MAX_RECORD_BYTES`].
    #[error("the first line has more than {MAX_RECORD_BYTES} bytes: this is no CSV")]
    NoHeader,
    /// A record beyond [`MAX_RECORD_BYTES`] or [`MAX_CELLS`], mostly for want of a closing quote.
    #[error("the record that begins on line {line} does not end: a quote is not closed, or it is too long")]
    EndlessRecord {
        /// The line, from 1.
        line: u64,
    },
}

/// A file that is being read.
pub struct Sheet {
    decoding: Decoding,
    /// Text before the end of the first line, until the delimiter is known.
    head: String,
    records: Option<Records>,
}

impl Default for Sheet {
    fn default() -> Self {
        Self::new()
    }
}

impl Sheet {
    /// At the beginning of the file.
    #[must_use]
    pub fn new() -> Self {
        Self { decoding: Decoding::new(), head: String::new(), records: None }
    }

    /// Takes the next bytes of the file and gives the records that end in them.
    ///
    /// # Errors
    /// [`UnreadableSheet`]; nothing more can be read then.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Row>, UnreadableSheet> {
        let text = self.decoding.push(bytes);
        self.read(&text, End::NotYet)
    }

    /// The last records, after the last bytes.
    ///
    /// # Errors
    /// [`UnreadableSheet`].
    pub fn finish(mut self) -> Result<Vec<Row>, UnreadableSheet> {
        let text = self.decoding.finish();
        self.read(&text, End::Here)
    }

    fn read(&mut self, text: &str, end: End) -> Result<Vec<Row>, UnreadableSheet> {
        let mut rows = Vec::new();
        if let Some(records) = &mut self.records {
            records.feed(text.as_bytes(), end, &mut rows)?;
            return Ok(rows);
        }
        self.head.push_str(text);
        let Some(start) = Start::of(&self.head, end)? else {
            return Ok(rows);
        };
        let mut records = Records::new(start.delimiter, start.line);
        records.feed(&self.head.as_bytes()[start.offset..], end, &mut rows)?;
        self.head = String::new();
        self.records = Some(records);
        Ok(rows)
    }
}

/// Whether more of the file is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    NotYet,
    Here,
}

/// Where the records begin.
struct Start {
    offset: usize,
    line: u64,
    delimiter: u8,
}

impl Start {
    /// `None` until the first line is whole.
    fn of(head: &str, end: End) -> Result<Option<Self>, UnreadableSheet> {
        // Excel's own way to name the delimiter: a first line such as `sep=;`.
        if let Some(rest) = head.get(..4).filter(|start| start.eq_ignore_ascii_case("sep=")).map(|_| &head[4..]) {
            let mut characters = rest.char_indices();
            if let (Some((_, delimiter)), Some((at, '\r' | '\n'))) = (characters.next(), characters.next())
                && let Ok(delimiter) = u8::try_from(delimiter)
            {
                let offset = 4 + at;
                return Ok((end == End::Here || head.len() > offset + 1).then_some(Self {
                    offset,
                    line: 1,
                    delimiter,
                }));
            }
        }
        let header = head.trim_start_matches(['\r', '\n']);
        match first_line(header) {
            Some(line) => Ok(Some(Self { offset: 0, line: 1, delimiter: delimiter(line) })),
            None if end == End::Here => Ok(Some(Self { offset: 0, line: 1, delimiter: delimiter(header) })),
            None if head.len() > MAX_RECORD_BYTES => Err(UnreadableSheet::NoHeader),
            None => Ok(None),
        }
    }
}

/// The text up to the first line break outside of quotes.
fn first_line(text: &str) -> Option<&str> {
    let mut quoted = false;
    let end = text.bytes().position(|byte| {
        quoted ^= byte == b'"';
        !quoted && matches!(byte, b'\r' | b'\n')
    })?;
    Some(&text[..end])
}

/// The most frequent of comma, semicolon, tab and bar outside of quotes: spreadsheets of many countries write semicolons.
fn delimiter(header: &str) -> u8 {
    let count = |delimiter: &u8| {
        let mut quoted = false;
        let counted = header.bytes().filter(|byte| {
            quoted ^= *byte == b'"';
            !quoted && byte == delimiter
        });
        counted.count()
    };
    [b'|', b'\t', b';', b','].into_iter().max_by_key(count).unwrap_or(b',')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads the file in pieces of this size.
    fn rows(file: &[u8], piece: usize) -> Result<Vec<Row>, UnreadableSheet> {
        let mut sheet = Sheet::new();
        let mut rows = Vec::new();
        for bytes in file.chunks(piece.max(1)) {
            rows.extend(sheet.push(bytes)?);
        }
        rows.extend(sheet.finish()?);
        Ok(rows)
    }

    /// The cells of a file that is well formed, whatever the pieces.
    fn cells(file: &[u8]) -> Vec<(u64, Vec<String>)> {
        let whole = rows(file, file.len()).unwrap();
        for piece in [1, 2, 3, 7] {
            assert_eq!(rows(file, piece).unwrap(), whole, "in pieces of {piece}");
        }
        whole.into_iter().map(|row| (row.line, row.cells.unwrap())).collect()
    }

    fn row(line: u64, cells: &[&str]) -> (u64, Vec<String>) {
        (line, cells.iter().map(|cell| (*cell).to_owned()).collect())
    }

    #[test]
    fn quotes_line_breaks_in_cells_and_blank_lines_are_read() {
        let file = b"\r\nphone,note\r\n1,\"a, \"\"b\"\"\r\nc\"\r\n\r\n 2 , d \r\n3";
        assert_eq!(
            cells(file),
            [row(2, &["phone", "note"]), row(3, &["1", "a, \"b\"\r\nc"]), row(6, &["2", "d"]), row(7, &["3"])]
        );
    }

    #[test]
    fn line_numbers_are_right_whatever_ends_a_line() {
        for ending in ["\n", "\r\n", "\r"] {
            let file = ["a,b", "1,2", "", "\"x\",4"].join(ending);
            assert_eq!(cells(file.as_bytes()), [row(1, &["a", "b"]), row(2, &["1", "2"]), row(4, &["x", "4"])]);
        }
    }

    #[test]
    fn the_delimiter_is_found_out() {
        for (file, expected) in [
            ("a;b,c;d\n1;2;3", vec!["a", "b,c", "d"]),
            ("a\tb\n1\t2", vec!["a", "b"]),
            ("a|b\n", vec!["a", "b"]),
            ("\"a,b,c\";d\n", vec!["a,b,c", "d"]),
            ("only\n1", vec!["only"]),
        ] {
            assert_eq!(cells(file.as_bytes())[0].1, expected, "{file}");
        }
        assert_eq!(cells(b"sep=;\r\na,b;c\r\n1;2"), [row(2, &["a,b", "c"]), row(3, &["1", "2"])]);
    }

    #[test]
    fn the_encoding_is_found_out() {
        let text = "phone,name\n1,Zoë Müller\n2,Jürgen Groß\n3,François Noël\n";
        let expected = cells(text.as_bytes());
        assert_eq!(expected[1].1[1], "Zoë Müller");
        let utf16 = |order: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(order).collect::<Vec<u8>>();
        let with = |mark: &[u8], body: &[u8]| [mark, body].concat();
        assert_eq!(cells(&with(b"\xef\xbb\xbf", text.as_bytes())), expected, "UTF-8 with a mark");
        assert_eq!(cells(&with(b"\xff\xfe", &utf16(u16::to_le_bytes))), expected, "UTF-16, little end first");
        assert_eq!(cells(&with(b"\xfe\xff", &utf16(u16::to_be_bytes))), expected, "UTF-16, big end first");
        assert_eq!(cells(&utf16(u16::to_le_bytes)), expected, "UTF-16 without a mark");
        let latin: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
        assert_eq!(cells(&latin), expected, "Windows-1252");
        let (gbk, _, _) = encoding_rs::GBK.encode("phone,name\n1,王芳 李娜 张伟\n2,刘洋 陈静 杨洋\n");
        assert_eq!(cells(&gbk)[1].1[1], "王芳 李娜 张伟", "GBK");
    }

    #[test]
    fn a_line_with_broken_characters_is_named_and_the_others_are_read() {
        let file = [&b"phone,name\n1,Zo\xc3\xab\n2,"[..], b"\xff\xfe", b"\n3,ok\n"].concat();
        let mut file = file;
        // Enough of it is UTF-8 for there to be no doubt.
        file.splice(10..10, "\n0,Zoë".repeat(20_000).into_bytes());
        let read = rows(&file, 1_000).unwrap();
        assert_eq!(read.len(), 20_004);
        assert_eq!(read[20_002], Row { line: 20_003, cells: Err(UnreadableRow::Undecodable) });
        assert_eq!(read[20_003].cells, Ok(vec!["3".to_owned(), "ok".to_owned()]));
    }

    #[test]
    fn a_quote_that_is_never_closed_is_named_with_its_line() {
        let file = format!("a,b\n1,2\n3,\"{}", "x\n".repeat(MAX_RECORD_BYTES));
        assert_eq!(rows(file.as_bytes(), 4_096), Err(UnreadableSheet::EndlessRecord { line: 3 }));
        assert_eq!(rows("x".repeat(MAX_RECORD_BYTES + 2).as_bytes(), 4_096), Err(UnreadableSheet::NoHeader));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_in_any_pieces(
            table in prop::collection::vec(prop::collection::vec("[a-zA-Z0-9;,|\"é王\\n ]{0,12}", 2..5), 1..20),
            piece in 1_usize..50,
        ) {
            let quoted = |cell: &String| format!("\"{}\"", cell.replace('"', "\"\""));
            let lines: Vec<String> =
                table.iter().map(|row| row.iter().map(quoted).collect::<Vec<_>>().join(",")).collect();
            let file = format!("a,b\n{}\n", lines.join("\n"));
            let read = rows(file.as_bytes(), piece).unwrap();
            let expected: Vec<Vec<String>> =
                table.iter().map(|row| row.iter().map(|cell| cell.trim().to_owned()).collect()).collect();
            let cells: Vec<Vec<String>> = read.into_iter().skip(1).map(|row| row.cells.unwrap()).collect();
            prop_assert_eq!(cells, expected);
        }
    }
}
