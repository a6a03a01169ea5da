//! From text to records by RFC 4180, as lenient as spreadsheets are: any line ending, spaces around cells, records of
//! differing length.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use super::{End, Row, UnreadableRow, UnreadableSheet};

/// Largest record in bytes. More than any person needs; without a limit an unclosed quote would hold the whole file.
pub const MAX_RECORD_BYTES: usize = 256 * 1024;

/// Most cells of a record.
pub const MAX_CELLS: usize = 4_096;

/// Records that are being read.
pub(super) struct Records {
    reader: Reader,
    /// The cells of the present record, one after the other.
    bytes: Vec<u8>,
    filled: usize,
    /// Where each of them ends.
    ends: Vec<usize>,
    ended: usize,
    /// The line that the next byte is on.
    line: u64,
    /// The line that the present record began on; `None` between records.
    begun_at: Option<u64>,
    after_return: bool,
}

impl Records {
    pub(super) fn new(delimiter: u8, line: u64) -> Self {
        Self {
            reader: ReaderBuilder::new().delimiter(delimiter).build(),
            bytes: vec![0; 1_024],
            filled: 0,
            ends: vec![0; 32],
            ended: 0,
            line,
            begun_at: None,
            after_return: false,
        }
    }

    /// Reads on; `End::Here` tells that this is the last of the file.
    pub(super) fn feed(&mut self, input: &[u8], end: End, rows: &mut Vec<Row>) -> Result<(), UnreadableSheet> {
        let mut input = input;
        loop {
            if self.begun_at.is_none() {
                let blank = input.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
                self.count(&input[..blank]);
                input = &input[blank..];
            }
            // To the reader an empty input is the end of the file.
            if input.is_empty() && (end == End::NotYet || self.begun_at.is_none()) {
                return Ok(());
            }
            let begun_at = *self.begun_at.get_or_insert(self.line);
            let (result, read, written, ended) =
                self.reader.read_record(input, &mut self.bytes[self.filled..], &mut self.ends[self.ended..]);
            self.count(&input[..read]);
            input = &input[read..];
            self.filled += written;
            self.ended += ended;
            let endless = UnreadableSheet::EndlessRecord { line: begun_at };
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull if self.bytes.len() >= MAX_RECORD_BYTES => return Err(endless),
                ReadRecordResult::OutputFull => self.bytes.resize(self.bytes.len() * 2, 0),
                ReadRecordResult::OutputEndsFull if self.ends.len() >= MAX_CELLS => return Err(endless),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::Record => {
                    rows.push(Row { line: begun_at, cells: self.cells() });
                    self.begun_at = None;
                    (self.filled, self.ended) = (0, 0);
                }
                ReadRecordResult::End => {
                    self.begun_at = None;
                    return Ok(());
                }
            }
        }
    }

    fn cells(&self) -> Result<Vec<String>, UnreadableRow> {
        let mut from = 0;
        let mut cells = Vec::with_capacity(self.ended);
        for end in &self.ends[..self.ended] {
            let cell = String::from_utf8_lossy(&self.bytes[from..*end]);
            if cell.contains(char::REPLACEMENT_CHARACTER) {
                return Err(UnreadableRow::Undecodable);
            }
            cells.push(cell.trim().to_owned());
            from = *end;
        }
        Ok(cells)
    }

    /// A line ends with `\n`, `\r\n` or, in files of old Macs, `\r`.
    fn count(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if *byte == b'\r' || (*byte == b'\n' && !self.after_return) {
                self.line += 1;
            }
            self.after_return = *byte == b'\r';
        }
    }
}
