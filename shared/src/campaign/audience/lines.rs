//! From a CSV to the lines of an audience: which column is the phone number, which the name; every other one is a
//! variable.

use std::collections::BTreeMap;

use super::{Line, NumberedLine};
use crate::sheet::{Row, Sheet, UnreadableSheet};

/// Which column of a file means what: the field (`phone`, `name`, or the name of a variable) and the column's title.
pub type Columns = BTreeMap<String, String>;

/// Why a file is not an audience at all. No text of the file is repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableCsv {
    /// Nothing in it.
    #[error("the CSV is empty: its first line names the columns, one of them phone")]
    Empty,
    /// No column of phone numbers.
    #[error("the CSV has no column phone (also understood: {0})")]
    NoPhoneColumn(String),
    /// A column that the request names and the file has not.
    #[error("the CSV has no column of the title that is given for {0}")]
    NoSuchColumn(String),
    /// It cannot be read on.
    #[error(transparent)]
    Sheet(#[from] UnreadableSheet),
}

/// Column names that are understood as the phone number.
const PHONE_COLUMNS: [&str; 8] =
    ["phone", "phone_number", "phonenumber", "mobile", "number", "whatsapp", "wa_id", "telephone"];

/// A CSV that is being read into lines.
pub struct LineReader {
    sheet: Sheet,
    wanted: Columns,
    meanings: Option<Vec<Meaning>>,
}

/// What a column holds.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Meaning {
    Phone,
    Name,
    Variable(String),
}

impl LineReader {
    /// At the beginning of the file. Columns that `wanted` does not name mean what their titles say.
    #[must_use]
    pub fn new(wanted: Columns) -> Self {
        Self { sheet: Sheet::new(), wanted, meanings: None }
    }

    /// Takes the next bytes of the file and gives the lines that end in them. A line that is not well formed comes with
    /// its reason and disturbs no other.
    ///
    /// # Errors
    /// [`UnreadableCsv`]; nothing more can be read then.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<NumberedLine>, UnreadableCsv> {
        let rows = self.sheet.push(bytes)?;
        self.lines(rows)
    }

    /// The last lines, after the last bytes.
    ///
    /// # Errors
    /// [`UnreadableCsv`].
    pub fn finish(mut self) -> Result<Vec<NumberedLine>, UnreadableCsv> {
        let rows = std::mem::take(&mut self.sheet).finish()?;
        let lines = self.lines(rows)?;
        if self.meanings.is_none() { Err(UnreadableCsv::Empty) } else { Ok(lines) }
    }

    fn lines(&mut self, rows: Vec<Row>) -> Result<Vec<NumberedLine>, UnreadableCsv> {
        let mut lines = Vec::with_capacity(rows.len());
        for row in rows {
            match &self.meanings {
                Some(meanings) => lines.push((row.line, line(row, meanings))),
                None => self.meanings = Some(meanings(&row.cells.unwrap_or_default(), &self.wanted)?),
            }
        }
        Ok(lines)
    }
}

/// The lines of a CSV that is held whole.
///
/// # Errors
/// [`UnreadableCsv`] when there is no header with a phone column, or the file cannot be read on.
pub fn read_csv(text: &str) -> Result<Vec<NumberedLine>, UnreadableCsv> {
    let mut reader = LineReader::new(Columns::new());
    let mut lines = reader.push(text.as_bytes())?;
    lines.extend(reader.finish()?);
    Ok(lines)
}

fn meanings(header: &[String], wanted: &Columns) -> Result<Vec<Meaning>, UnreadableCsv> {
    if header.iter().all(String::is_empty) {
        return Err(UnreadableCsv::Empty);
    }
    let titles: Vec<String> = header.iter().map(|title| field_name(title)).collect();
    let mut meanings: Vec<Meaning> = titles.iter().cloned().map(Meaning::Variable).collect();
    let mut given = Vec::new();
    for (field, title) in wanted {
        let title = field_name(title);
        let column = titles.iter().position(|known| *known == title);
        let column = column.ok_or_else(|| UnreadableCsv::NoSuchColumn(field.clone()))?;
        meanings[column] = match field.as_str() {
            "phone" => Meaning::Phone,
            "name" => Meaning::Name,
            variable => Meaning::Variable(variable.to_owned()),
        };
        given.push(column);
    }
    let by_title = |known: &str| titles.iter().position(|title| title == known).filter(|at| !given.contains(at));
    if !meanings.contains(&Meaning::Phone) {
        let column = PHONE_COLUMNS.iter().find_map(|known| by_title(known));
        let column = column.ok_or_else(|| UnreadableCsv::NoPhoneColumn(PHONE_COLUMNS[1..].join(", ")))?;
        meanings[column] = Meaning::Phone;
    }
    if !meanings.contains(&Meaning::Name)
        && let Some(column) = by_title("name")
    {
        meanings[column] = Meaning::Name;
    }
    Ok(meanings)
}

/// A column's title as a variable is written: `First Name` as `first_name`.
fn field_name(title: &str) -> String {
    title.trim().to_lowercase().replace([' ', '-'], "_")
}

fn line(row: Row, meanings: &[Meaning]) -> Result<Line, String> {
    let cells = row.cells.map_err(|reason| reason.to_string())?;
    if cells.len() > meanings.len() {
        return Err(format!("the line has {} columns, the header {}", cells.len(), meanings.len()));
    }
    let mut line = Line { phone: String::new(), name: None, variables: BTreeMap::new() };
    for (cell, meaning) in cells.into_iter().zip(meanings).filter(|(cell, _)| !cell.is_empty()) {
        match meaning {
            Meaning::Phone => line.phone = cell,
            Meaning::Name => line.name = Some(cell),
            Meaning::Variable(name) => {
                line.variables.insert(name.clone(), cell);
            }
        }
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(file: &str, columns: &[(&str, &str)]) -> Result<Vec<NumberedLine>, UnreadableCsv> {
        let columns = columns.iter().map(|(field, title)| ((*field).to_owned(), (*title).to_owned())).collect();
        let mut reader = LineReader::new(columns);
        let mut lines = reader.push(file.as_bytes())?;
        lines.extend(reader.finish()?);
        Ok(lines)
    }

    #[test]
    fn columns_mean_what_their_titles_say_unless_the_request_says_otherwise() {
        let file = "Full Name;Mobile;Name;City\nAisha Tan;+60123456789;Aisha;Ipoh\n";
        let by_title = read(file, &[]).unwrap().remove(0).1.unwrap();
        assert_eq!((by_title.phone.as_str(), by_title.name.as_deref()), ("+60123456789", Some("Aisha")));
        assert_eq!(by_title.variables["full_name"], "Aisha Tan");
        let mapped = read(file, &[("name", "full name"), ("first_name", "Name"), ("phone", "MOBILE")]).unwrap();
        let mapped = mapped.into_iter().next().unwrap().1.unwrap();
        assert_eq!(mapped.name.as_deref(), Some("Aisha Tan"));
        assert_eq!((&*mapped.variables["first_name"], &*mapped.variables["city"]), ("Aisha", "Ipoh"));
        assert_eq!(read(file, &[("phone", "Tel")]), Err(UnreadableCsv::NoSuchColumn("phone".to_owned())));
    }

    #[test]
    fn a_file_without_numbers_is_refused() {
        for file in ["", " \n", "\n\n", ";;\n"] {
            assert_eq!(read(file, &[]), Err(UnreadableCsv::Empty), "{file:?}");
        }
        assert!(matches!(read("name,mail\na,b\n", &[]), Err(UnreadableCsv::NoPhoneColumn(_))));
        assert_eq!(read("phone\n", &[]), Ok(vec![]));
    }

    #[test]
    fn a_line_with_too_many_columns_comes_with_its_reason() {
        let lines = read("phone,a\n1,2,3\n4\n", &[]).unwrap();
        assert_eq!(lines[0], (2, Err("the line has 3 columns, the header 2".to_owned())));
        assert_eq!(lines[1].1.as_ref().unwrap().phone, "4");
    }
}
