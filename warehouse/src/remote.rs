//! A Parquet file that is read where it lies, piece by piece: to learn whether it may name somebody, its end and the filters
//! of one column are enough.

use std::collections::BTreeSet;
use std::io::Read;

use bytes::Bytes;
use parquet::errors::ParquetError;
use parquet::file::properties::ReaderProperties;
use parquet::file::reader::{ChunkReader, FileReader, Length};
use parquet::file::serialized_reader::{ReadOptionsBuilder, SerializedFileReader};
use shared::blob::Bucket;
use shared::id::ContactId;
use tokio::runtime::Handle;

use crate::row::{COLUMNS, column};

/// What is asked for at once where the reader does not say how much it needs.
const PIECE_BYTES: u64 = 64 << 10;

/// A version of an object of the bucket, read on a thread that may wait.
#[derive(Clone)]
pub(crate) struct Remote {
    pub(crate) bucket: Bucket,
    pub(crate) key: String,
    pub(crate) bytes: u64,
    pub(crate) etag: Option<String>,
    pub(crate) runtime: Handle,
}

impl Remote {
    fn range(&self, from: u64, to: u64) -> Result<Bytes, ParquetError> {
        let read = self.bucket.get_range(&self.key, from..to, self.etag.as_deref());
        self.runtime.block_on(read).map_err(|error| ParquetError::External(Box::new(error)))
    }

    /// Whether the file may hold a row of one of these people; if not, it certainly holds none.
    pub(crate) fn may_name(self, contacts: &BTreeSet<ContactId>) -> Result<bool, ParquetError> {
        let properties = ReaderProperties::builder().set_read_bloom_filter(true).build();
        let options = ReadOptionsBuilder::new().with_reader_properties(properties).build();
        let file = SerializedFileReader::new_with_options(self, options)?;
        for number in 0..file.num_row_groups() {
            let group = file.get_row_group(number)?;
            let columns = group.metadata().columns();
            let name = COLUMNS[column::CONTACT].name;
            let Some(position) = columns.iter().position(|chunk| chunk.column_path().string() == name) else {
                continue;
            };
            let may = match group.get_column_bloom_filter(position) {
                Some(filter) => contacts.iter().any(|contact| filter.check(contact.to_string().as_str())),
                None => true,
            };
            if may {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Length for Remote {
    fn len(&self) -> u64 {
        self.bytes
    }
}

impl ChunkReader for Remote {
    type T = Pieces;

    fn get_read(&self, start: u64) -> Result<Pieces, ParquetError> {
        Ok(Pieces { of: self.clone(), next: start, piece: Bytes::new() })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let end = start.saturating_add(u64::try_from(length)?);
        if end > self.bytes {
            return Err(ParquetError::EOF("the file ends before that".into()));
        }
        if length == 0 { Ok(Bytes::new()) } else { self.range(start, end) }
    }
}

/// Reads on from one place.
pub(crate) struct Pieces {
    of: Remote,
    next: u64,
    piece: Bytes,
}

impl Read for Pieces {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        if self.piece.is_empty() && self.next < self.of.bytes {
            let end = self.of.bytes.min(self.next + PIECE_BYTES);
            self.piece = self.of.range(self.next, end).map_err(std::io::Error::other)?;
            self.next = end;
        }
        let count = to.len().min(self.piece.len());
        to[..count].copy_from_slice(&self.piece.split_to(count));
        Ok(count)
    }
}
