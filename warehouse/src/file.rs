//! Parquet files of rows, written and read in pieces, so that a file of any size takes little memory.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use parquet::basic::{Compression, ZstdLevel};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{ColumnPath, TypePtr};
use serde_json::Value;

use crate::row::{COLUMNS, Cell, Column, Kind, Row, column};

/// Rows that are held back until they are written together, column by column: some 40 MB in memory, a few in the file.
const ROWS_PER_GROUP: usize = 1 << 16;

/// Rows that are read at once.
const ROWS_PER_READ: usize = 1 << 12;

/// Where a file remembers rows that have moved to another: in its metadata, which no query shows.
const MOVED: &str = "thirdtick.moved";

/// Of a thousand files that do not name a contact one is looked at in vain.
const FALSE_POSITIVES: f64 = 0.001;

/// Writes rows in the order of a file.
pub(crate) struct RowWriter<W: Write + Send> {
    file: SerializedFileWriter<W>,
    waiting: Vec<Row>,
}

impl<W: Write + Send> RowWriter<W> {
    pub(crate) fn new(to: W) -> Result<Self, ParquetError> {
        Ok(Self { file: SerializedFileWriter::new(to, schema()?, properties()?)?, waiting: Vec::new() })
    }

    /// Takes the next row.
    pub(crate) fn push(&mut self, row: Row) -> Result<(), ParquetError> {
        self.waiting.push(row);
        if self.waiting.len() >= ROWS_PER_GROUP { self.write_group() } else { Ok(()) }
    }

    fn write_group(&mut self) -> Result<(), ParquetError> {
        let rows = std::mem::take(&mut self.waiting);
        let mut group = self.file.next_row_group()?;
        for (position, column) in COLUMNS.iter().enumerate() {
            let mut writer = group.next_column()?.ok_or_else(|| ParquetError::General("a column is missing".into()))?;
            write_column(&mut writer, column, rows.iter().map(|row| &row.cells[position]))?;
            writer.close()?;
        }
        group.close().map(|_| ())
    }

    /// Writes what is left, and the end of the file, with what has to be remembered of rows that have moved to another.
    pub(crate) fn finish(mut self, moved: &[Row]) -> Result<(), ParquetError> {
        if !self.waiting.is_empty() {
            self.write_group()?;
        }
        if !moved.is_empty() {
            let moved = Value::Array(moved.iter().map(Row::moved).collect());
            self.file.append_key_value_metadata(KeyValue::new(MOVED.to_owned(), moved.to_string()));
        }
        self.file.close().map(|_| ())
    }
}

fn write_column<'a>(
    writer: &mut SerializedColumnWriter<'_>,
    column: &Column,
    cells: impl Iterator<Item = &'a Cell> + Clone,
) -> Result<(), ParquetError> {
    let levels: Vec<i16> = cells.clone().map(|cell| i16::from(*cell != Cell::Null)).collect();
    let levels = (!column.required).then_some(levels.as_slice());
    match column.kind {
        Kind::Text => {
            let values: Vec<ByteArray> = cells.filter_map(as_text).collect();
            writer.typed::<ByteArrayType>().write_batch(&values, levels, None)?;
        }
        Kind::Int | Kind::Time => {
            let values: Vec<i64> = cells.filter_map(as_int).collect();
            writer.typed::<Int64Type>().write_batch(&values, levels, None)?;
        }
        Kind::Double => {
            let values: Vec<f64> = cells.filter_map(as_double).collect();
            writer.typed::<DoubleType>().write_batch(&values, levels, None)?;
        }
        Kind::Bool => {
            let values: Vec<bool> = cells.filter_map(as_bool).collect();
            writer.typed::<BoolType>().write_batch(&values, levels, None)?;
        }
    }
    Ok(())
}

fn as_text(cell: &Cell) -> Option<ByteArray> {
    if let Cell::Text(text) = cell { Some(ByteArray::from(&**text)) } else { None }
}

fn as_int(cell: &Cell) -> Option<i64> {
    if let Cell::Int(number) = cell { Some(*number) } else { None }
}

fn as_double(cell: &Cell) -> Option<f64> {
    if let Cell::Double(number) = cell { Some(*number) } else { None }
}

fn as_bool(cell: &Cell) -> Option<bool> {
    if let Cell::Bool(is) = cell { Some(*is) } else { None }
}

fn schema() -> Result<TypePtr, ParquetError> {
    let columns: String = COLUMNS
        .iter()
        .map(|Column { name, kind, required, .. }| {
            let repetition = if *required { "REQUIRED" } else { "OPTIONAL" };
            let kind = match kind {
                Kind::Text => format!("BYTE_ARRAY {name} (STRING)"),
                Kind::Int => format!("INT64 {name}"),
                Kind::Time => format!("INT64 {name} (TIMESTAMP(MILLIS,true))"),
                Kind::Double => format!("DOUBLE {name}"),
                Kind::Bool => format!("BOOLEAN {name}"),
            };
            format!("{repetition} {kind}; ")
        })
        .collect();
    Ok(Arc::new(parse_message_type(&format!("message events {{ {columns} }}"))?))
}

fn properties() -> Result<WriterPropertiesPtr, ParquetError> {
    let path = |column: usize| ColumnPath::from(COLUMNS[column].name);
    let sorted = [column::ACCOUNT, column::TYPE, column::AT, column::ID];
    let sorted = sorted.map(|column| SortingColumn {
        column_idx: i32::try_from(column).unwrap_or_default(),
        descending: false,
        nulls_first: true,
    });
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_sorting_columns(Some(sorted.to_vec()))
        // Erasing a person finds their files by it.
        .set_column_bloom_filter_enabled(path(column::CONTACT), true)
        .set_column_bloom_filter_fpp(path(column::CONTACT), FALSE_POSITIVES);
    for unique in [column::ID, column::DATA] {
        // No value comes twice, or none is looked for.
        properties = properties
            .set_column_dictionary_enabled(path(unique), false)
            .set_column_statistics_enabled(path(unique), EnabledStatistics::None);
    }
    Ok(Arc::new(properties.build()))
}

/// Reads the rows of a file in its order.
pub(crate) struct RowReader {
    file: SerializedFileReader<File>,
    /// The row group that is read next.
    next_group: usize,
    /// What is left of the one before: rows, and a reader for each column that is wanted and there.
    group: Option<(usize, Vec<Option<ColumnReader>>)>,
    read: std::vec::IntoIter<Row>,
    wanted: fn(usize) -> bool,
}

impl RowReader {
    /// Reads all columns.
    pub(crate) fn new(file: File) -> Result<Self, ParquetError> {
        Self::of_columns(file, |_| true)
    }

    /// Reads the ids alone; all else is null.
    pub(crate) fn of_ids(file: File) -> Result<Self, ParquetError> {
        Self::of_columns(file, |position| position == column::ID)
    }

    /// What the file remembers of rows that have moved to another.
    pub(crate) fn moved(&self) -> Vec<Row> {
        let entries = self.file.metadata().file_metadata().key_value_metadata();
        let entry = entries.into_iter().flatten().find(|entry| entry.key == MOVED);
        let moved: Option<Vec<Value>> = entry.and_then(|entry| serde_json::from_str(entry.value.as_deref()?).ok());
        moved.unwrap_or_default().iter().filter_map(Row::of_moved).collect()
    }

    fn of_columns(file: File, wanted: fn(usize) -> bool) -> Result<Self, ParquetError> {
        let file = SerializedFileReader::new(file)?;
        Ok(Self { file, next_group: 0, group: None, read: Vec::new().into_iter(), wanted })
    }

    fn read_on(&mut self) -> Result<bool, ParquetError> {
        loop {
            if let Some((left, readers)) = &mut self.group
                && *left > 0
            {
                let count = (*left).min(ROWS_PER_READ);
                let mut rows: Vec<Row> =
                    std::iter::repeat_with(|| Row { cells: std::array::from_fn(|_| Cell::Null) }).take(count).collect();
                for (position, reader) in readers.iter_mut().enumerate() {
                    if let Some(reader) = reader {
                        read_column(reader, position, &mut rows)?;
                    }
                }
                *left -= count;
                self.read = rows.into_iter();
                return Ok(true);
            }
            if self.next_group == self.file.num_row_groups() {
                return Ok(false);
            }
            let group = self.file.get_row_group(self.next_group)?;
            self.next_group += 1;
            let rows = usize::try_from(group.metadata().num_rows())?;
            let there = group.metadata().columns();
            let readers = COLUMNS.iter().enumerate().map(|(position, column)| {
                let found = there.iter().position(|chunk| chunk.column_path().string() == column.name);
                found.filter(|_| (self.wanted)(position)).map(|found| group.get_column_reader(found)).transpose()
            });
            self.group = Some((rows, readers.collect::<Result<_, _>>()?));
        }
    }
}

impl Iterator for RowReader {
    type Item = Result<Row, ParquetError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(row) = self.read.next() {
            return Some(Ok(row));
        }
        match self.read_on() {
            Ok(true) => self.read.next().map(Ok),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

fn read_column(reader: &mut ColumnReader, position: usize, rows: &mut [Row]) -> Result<(), ParquetError> {
    let cells = rows.iter_mut().map(|row| &mut row.cells[position]);
    let required = COLUMNS[position].required;
    match (COLUMNS[position].kind, reader) {
        (Kind::Text, ColumnReader::ByteArrayColumnReader(reader)) => {
            let text = |bytes: ByteArray| Ok(Cell::text(bytes.as_utf8()?));
            read_values(reader, required, cells, text)
        }
        (Kind::Int | Kind::Time, ColumnReader::Int64ColumnReader(reader)) => {
            read_values(reader, required, cells, |value| Ok(Cell::Int(value)))
        }
        (Kind::Double, ColumnReader::DoubleColumnReader(reader)) => {
            read_values(reader, required, cells, |value| Ok(Cell::Double(value)))
        }
        (Kind::Bool, ColumnReader::BoolColumnReader(reader)) => {
            read_values(reader, required, cells, |value| Ok(Cell::Bool(value)))
        }
        _ => Err(ParquetError::General(format!("the column {} has another type", COLUMNS[position].name))),
    }
}

fn read_values<'a, T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    required: bool,
    mut cells: impl ExactSizeIterator<Item = &'a mut Cell>,
    cell: impl Fn(T::T) -> Result<Cell, ParquetError>,
) -> Result<(), ParquetError> {
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    while cells.len() > 0 {
        values.clear();
        levels.clear();
        let wanted = (!required).then_some(&mut levels);
        let (read, ..) = reader.read_records(cells.len(), wanted, None, &mut values)?;
        if read == 0 {
            return Err(ParquetError::EOF("a column is shorter than the others".into()));
        }
        let mut values = values.drain(..);
        for (record, to) in cells.by_ref().take(read).enumerate() {
            if required || levels.get(record).is_some_and(|level| *level > 0) {
                let value = values.next();
                *to = cell(value.ok_or_else(|| ParquetError::EOF("a column lacks values".into()))?)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of_kind(column: &Column) -> BoxedStrategy<Cell> {
        let value = match column.kind {
            Kind::Text => "[a-zé]{0,9}".prop_map(Cell::text).boxed(),
            Kind::Int | Kind::Time => any::<i64>().prop_map(Cell::Int).boxed(),
            Kind::Double => (-1e9..1e9_f64).prop_map(Cell::Double).boxed(),
            Kind::Bool => any::<bool>().prop_map(Cell::Bool).boxed(),
        };
        if column.required { value } else { prop_oneof![Just(Cell::Null), value].boxed() }
    }

    fn any_row() -> impl Strategy<Value = Row> {
        let cells: Vec<_> = COLUMNS.iter().map(of_kind).collect();
        cells.prop_map(|cells| Row { cells: cells.try_into().unwrap() })
    }

    fn written(rows: &[Row]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        let mut writer = RowWriter::new(&mut file).unwrap();
        for row in rows {
            writer.push(row.clone()).unwrap();
        }
        writer.finish(&[]).unwrap();
        file
    }

    fn read(file: File) -> Vec<Row> {
        RowReader::new(file).unwrap().map(Result::unwrap).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 32, ..ProptestConfig::default() })]

        #[test]
        fn what_is_written_is_read_back(rows in prop::collection::vec(any_row(), 0..50)) {
            prop_assert_eq!(read(written(&rows)), rows);
        }
    }

    #[test]
    fn many_rows_go_into_groups_and_come_back_in_order() {
        let row = |n: usize| {
            let mut cells: [Cell; COLUMNS.len()] = std::array::from_fn(|_| Cell::Null);
            for (cell, column) in cells.iter_mut().zip(&COLUMNS).filter(|(_, column)| column.required) {
                *cell = if column.kind == Kind::Text { Cell::text(n) } else { Cell::Int(1) };
            }
            if n.is_multiple_of(3) {
                cells[column::CONTACT] = Cell::text(n / 3);
            }
            Row { cells }
        };
        let rows: Vec<Row> = (0..ROWS_PER_GROUP + 10_000).map(row).collect();
        let file = written(&rows);
        let ids = RowReader::of_ids(file.try_clone().unwrap()).unwrap().map(Result::unwrap);
        assert!(ids.zip(&rows).all(|(id, row)| id.id() == row.id() && id.cells[column::TYPE] == Cell::Null));
        let reader = RowReader::new(file).unwrap();
        assert_eq!(reader.file.num_row_groups(), 2);
        assert!(reader.map(Result::unwrap).eq(rows));
    }
}
