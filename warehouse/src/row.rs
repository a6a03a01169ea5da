//! An event as a row of the warehouse: the columns, what goes into each, and which of two versions of an event is kept.
//! What a query filters or groups by has a column; the rest is JSON in `data`.

use std::cmp::{Ordering, Reverse};

use serde_json::{Map, Value, json};
use shared::published::Published;
use shared::time::UnixMillis;

use crate::partition::Partition;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Int,
    /// Milliseconds since 1970 in UTC.
    Time,
    Double,
    Bool,
}

/// A column.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) required: bool,
    /// The entry of the event's data that it holds, if it holds one.
    from_data: Option<&'static str>,
}

const fn required(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, required: true, from_data: None }
}

const fn optional(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, required: false, from_data: None }
}

const fn from_data(name: &'static str, kind: Kind, entry: &'static str) -> Column {
    Column { name, kind, required: false, from_data: Some(entry) }
}

/// The columns in the order of the file. (`at` is a word of SQL in some engines, so the times have longer names here.) New ones go to the end, are optional, and are in `docs/EVENTS.md`; a file without
/// them reads as if they were null.
pub(crate) const COLUMNS: [Column; 22] = [
    required("id", Kind::Text),
    required("type", Kind::Text),
    required("occurred_at", Kind::Time),
    required("seen_at", Kind::Time),
    required("workspace", Kind::Text),
    optional("account", Kind::Text),
    optional("contact", Kind::Text),
    optional("campaign", Kind::Text),
    optional("recipient", Kind::Int),
    optional("variant", Kind::Int),
    from_data("try_number", Kind::Int, "try"),
    from_data("inferred", Kind::Bool, "inferred"),
    from_data("link", Kind::Text, "link"),
    from_data("visitor", Kind::Text, "visitor"),
    from_data("country", Kind::Text, "country"),
    from_data("device", Kind::Text, "device"),
    from_data("os", Kind::Text, "os"),
    from_data("browser", Kind::Text, "browser"),
    from_data("error_code", Kind::Int, "code"),
    from_data("amount", Kind::Double, "amount"),
    from_data("currency", Kind::Text, "currency"),
    optional("data", Kind::Text),
];

/// Positions among [`COLUMNS`].
pub(crate) mod column {
    pub(crate) const ID: usize = 0;
    pub(crate) const TYPE: usize = 1;
    pub(crate) const AT: usize = 2;
    pub(crate) const WORKSPACE: usize = 4;
    pub(crate) const ACCOUNT: usize = 5;
    pub(crate) const CONTACT: usize = 6;
    pub(crate) const INFERRED: usize = 11;
    pub(crate) const VISITOR: usize = 13;
    pub(crate) const BROWSER: usize = 17;
    pub(crate) const ERROR_CODE: usize = 18;
    pub(crate) const DATA: usize = 21;
}

/// A value of a row.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Cell {
    #[default]
    Null,
    Text(Box<str>),
    /// Also a time.
    Int(i64),
    Double(f64),
    Bool(bool),
}

impl Cell {
    pub(crate) fn text(value: impl ToString) -> Self {
        Self::Text(value.to_string().into_boxed_str())
    }

    fn some_text(value: Option<impl ToString>) -> Self {
        value.map_or(Self::Null, Self::text)
    }

    /// As people read it; `None` when it is null.
    pub(crate) fn shown(&self, kind: Kind) -> Option<Value> {
        match self {
            Self::Null => None,
            Self::Text(text) => Some(Value::from(&**text)),
            Self::Int(at) if kind == Kind::Time => Some(Value::from(UnixMillis(*at).to_rfc3339())),
            Self::Int(number) => Some(Value::from(*number)),
            Self::Double(number) => Some(Value::from(*number)),
            Self::Bool(is) => Some(Value::from(*is)),
        }
    }

    fn of_json(kind: Kind, value: &Value) -> Option<Self> {
        match (kind, value) {
            (Kind::Text, Value::String(text)) => Some(Self::text(text)),
            (Kind::Int, Value::Number(number)) => number.as_i64().map(Self::Int),
            (Kind::Double, Value::Number(number)) => number.as_f64().map(Self::Double),
            (Kind::Bool, Value::Bool(is)) => Some(Self::Bool(*is)),
            _ => None,
        }
    }
}

/// An event, as it lies in a file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) cells: [Cell; COLUMNS.len()],
}

/// Entries of the data that decide which version of an event is kept.
const MARKS: [&str; 2] = ["erased", "unanswered"];

/// The mark of a row whose person was erased.
const ERASED: &str = r#"{"erased":true}"#;

impl From<Published> for Row {
    fn from(event: Published) -> Self {
        let Published { id, kind, at, seen, workspace, account, contact, campaign, recipient, variant, mut data } =
            event;
        let mut cells: [Cell; COLUMNS.len()] = std::array::from_fn(|_| Cell::Null);
        let given = [
            Cell::text(id),
            Cell::text(kind),
            Cell::Int(at.0),
            Cell::Int(seen.0),
            Cell::text(workspace),
            Cell::some_text(account),
            Cell::some_text(contact),
            Cell::some_text(campaign),
            recipient.map_or(Cell::Null, |seq| Cell::Int(i64::from(seq.0))),
            variant.map_or(Cell::Null, |variant| Cell::Int(i64::from(variant.0))),
        ];
        for (cell, given) in cells.iter_mut().zip(given) {
            *cell = given;
        }
        for (cell, column) in cells.iter_mut().zip(&COLUMNS) {
            // An entry of another type than its column stays in the data.
            if let Some(entry) = column.from_data
                && let Some(value) = data.get(entry).and_then(|value| Cell::of_json(column.kind, value))
            {
                *cell = value;
                data.remove(entry);
            }
        }
        if !data.is_empty() {
            cells[column::DATA] = Cell::text(Value::Object(data));
        }
        Self { cells }
    }
}

impl Row {
    pub(crate) fn id(&self) -> &str {
        self.text(column::ID).unwrap_or_default()
    }

    pub(crate) fn text(&self, column: usize) -> Option<&str> {
        match &self.cells[column] {
            Cell::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn at(&self) -> UnixMillis {
        UnixMillis(self.int(column::AT).unwrap_or_default())
    }

    fn int(&self, column: usize) -> Option<i64> {
        match self.cells[column] {
            Cell::Int(number) => Some(number),
            _ => None,
        }
    }

    /// Whether it belongs to this partition, and has not moved to another.
    pub(crate) fn is_of(&self, partition: &Partition) -> bool {
        Partition::of(self.at()) == *partition
    }

    /// The order of a file: by account (without one first), type, time and id.
    pub(crate) fn order(&self, other: &Self) -> Ordering {
        self.text(column::ACCOUNT)
            .cmp(&other.text(column::ACCOUNT))
            .then_with(|| self.text(column::TYPE).cmp(&other.text(column::TYPE)))
            .then_with(|| self.at().cmp(&other.at()))
            .then_with(|| self.id().cmp(other.id()))
    }

    /// Whether of two versions of one event this one is kept: whichever comes first, the same one stays. Erased stays
    /// erased, a report stands over an inference, the answer to a send over its status, an earlier time over a later one,
    /// the lower code of two failures at once, and who says more over who says less.
    pub(crate) fn stands_over(&self, other: &Self) -> bool {
        self.standing() > other.standing()
    }

    fn standing(&self) -> impl Ord {
        let data = self.text(column::DATA).unwrap_or_default();
        let parsed: Map<String, Value> = serde_json::from_str(data).unwrap_or_default();
        let erased = parsed.contains_key("erased");
        let said = self.cells.iter().filter(|cell| **cell != Cell::Null).count() + parsed.len();
        (
            erased,
            self.cells[column::INFERRED] != Cell::Bool(true),
            !parsed.contains_key("unanswered"),
            Reverse(self.at()),
            Reverse(self.int(column::ERROR_CODE)),
            said,
            // Nothing is left to decide by; but it has to be decided.
            format!("{:?}", self.cells),
        )
    }

    /// What has to be remembered of a row that has moved to another hour, so that no repeat of an older version brings it
    /// back: its id, and what [`Row::stands_over`] decides by between times that differ.
    pub(crate) fn moved(&self) -> Value {
        let parsed: Map<String, Value> =
            self.text(column::DATA).and_then(|data| serde_json::from_str(data).ok()).unwrap_or_default();
        let marks = parsed.into_iter().filter(|(name, _)| MARKS.contains(&name.as_str()));
        let data: Map<String, Value> = marks.collect();
        let inferred = self.cells[column::INFERRED] == Cell::Bool(true);
        json!([self.id(), self.at().0, inferred, data])
    }

    /// Reads [`Row::moved`] back.
    pub(crate) fn of_moved(remembered: &Value) -> Option<Self> {
        let (id, at, inferred) =
            (remembered.get(0)?.as_str()?, remembered.get(1)?.as_i64()?, remembered.get(2)?.as_bool()?);
        let mut cells: [Cell; COLUMNS.len()] = std::array::from_fn(|_| Cell::Null);
        cells[column::ID] = Cell::text(id);
        cells[column::AT] = Cell::Int(at);
        cells[column::INFERRED] = Cell::Bool(inferred);
        cells[column::DATA] = Cell::text(remembered.get(3)?);
        Some(Self { cells })
    }

    /// Takes everything from it that concerns the person; what it counts for stays.
    pub(crate) fn erase(&mut self) {
        self.cells[column::CONTACT] = Cell::Null;
        for cell in &mut self.cells[column::VISITOR + 1..=column::BROWSER] {
            *cell = Cell::Null;
        }
        self.cells[column::DATA] = Cell::text(ERASED);
    }
}

#[cfg(test)]
mod tests {
    use shared::activity::id_of;
    use shared::id::WorkspaceId;

    use super::*;

    fn published(at: i64, data: Value) -> Published {
        let Value::Object(data) = data else { panic!("not an object") };
        Published {
            id: id_of(UnixMillis(1), &["x"]),
            kind: "message.sent".to_owned(),
            at: UnixMillis(at),
            seen: UnixMillis(at + 1),
            workspace: WorkspaceId::FIRST,
            account: Some("acc_01J00000000000000000000000".parse().unwrap()),
            contact: Some("ctc_01J00000000000000000000000".parse().unwrap()),
            campaign: None,
            recipient: None,
            variant: None,
            data,
        }
    }

    fn row(at: i64, data: Value) -> Row {
        published(at, data).into()
    }

    fn cell(row: &Row, name: &str) -> Cell {
        row.cells[COLUMNS.iter().position(|column| column.name == name).unwrap()].clone()
    }

    #[test]
    fn a_cell_is_shown_as_people_read_it() {
        let time = Cell::Int(1_790_000_000_000);
        assert_eq!(time.shown(Kind::Time), Some(json!("2026-09-21T14:13:20.000Z")));
        assert_eq!(time.shown(Kind::Int), Some(json!(1_790_000_000_000_i64)));
        assert_eq!(Cell::text("x").shown(Kind::Text), Some(json!("x")));
        assert_eq!(Cell::Null.shown(Kind::Text), None);
    }

    #[test]
    fn the_named_positions_are_those_of_the_columns() {
        let named = [
            (column::ID, "id"),
            (column::TYPE, "type"),
            (column::AT, "occurred_at"),
            (column::WORKSPACE, "workspace"),
            (column::ACCOUNT, "account"),
            (column::CONTACT, "contact"),
            (column::INFERRED, "inferred"),
            (column::VISITOR, "visitor"),
            (column::BROWSER, "browser"),
            (column::ERROR_CODE, "error_code"),
            (column::DATA, "data"),
        ];
        for (position, name) in named {
            assert_eq!(COLUMNS[position].name, name);
        }
    }

    #[test]
    fn what_has_a_column_is_not_in_the_data() {
        let row = row(5, json!({"code": 131_026, "title": "Undeliverable", "amount": 12, "currency": "MYR", "try": 2}));
        assert_eq!(cell(&row, "error_code"), Cell::Int(131_026));
        assert_eq!(cell(&row, "amount"), Cell::Double(12.0));
        assert_eq!(cell(&row, "currency"), Cell::text("MYR"));
        assert_eq!(cell(&row, "try_number"), Cell::Int(2));
        assert_eq!(cell(&row, "data"), Cell::text(r#"{"title":"Undeliverable"}"#));
    }

    #[test]
    fn an_entry_of_another_type_than_its_column_stays_in_the_data() {
        let row = row(5, json!({"code": "opted_out", "amount": "much"}));
        assert_eq!((cell(&row, "error_code"), cell(&row, "amount")), (Cell::Null, Cell::Null));
        assert_eq!(cell(&row, "data"), Cell::text(r#"{"amount":"much","code":"opted_out"}"#));
    }

    #[test]
    fn of_two_versions_the_same_one_stays_whichever_comes_first() {
        let pairs = [
            (row(9, json!({})), row(5, json!({"inferred": true}))),
            (row(9, json!({})), row(5, json!({"unanswered": true}))),
            (row(5, json!({"unanswered": true})), row(4, json!({"inferred": true}))),
            (row(5, json!({})), row(9, json!({}))),
            (row(5, json!({"code": 1})), row(5, json!({"code": 2}))),
            (row(5, json!({"amount": 1.5, "currency": "MYR"})), row(5, json!({}))),
            (row(5, json!({"pricing": {"type": "regular"}})), row(5, json!({}))),
        ];
        for (kept, dropped) in pairs {
            assert!(kept.stands_over(&dropped) && !dropped.stands_over(&kept), "{kept:?} {dropped:?}");
            let mut erased = dropped.clone();
            erased.erase();
            assert!(erased.stands_over(&kept) && !kept.stands_over(&erased));
        }
        let one = row(5, json!({"code": 1}));
        assert!(!one.stands_over(&one.clone()));
    }

    #[test]
    fn what_is_remembered_of_a_moved_row_stands_where_the_row_stood_and_names_nobody() {
        let versions = [json!({}), json!({"inferred": true}), json!({"unanswered": true, "title": "x"})];
        let rows = [3, 4].into_iter().flat_map(|at| versions.clone().map(|data| row(at, data)));
        for moved in rows {
            let remembered = Row::of_moved(&moved.moved()).unwrap();
            assert_eq!(remembered.text(column::CONTACT), None);
            for other in versions.clone().map(|data| row(9, data)) {
                assert_eq!(remembered.stands_over(&other), moved.stands_over(&other), "{moved:?} {other:?}");
                assert_eq!(other.stands_over(&remembered), other.stands_over(&moved));
            }
        }
    }

    #[test]
    fn erasing_takes_the_person_and_leaves_what_is_counted() {
        let mut row = row(5, json!({"link": "7", "visitor": "human", "device": "mobile", "country": "MY", "x": 1}));
        row.erase();
        for name in ["contact", "device", "os", "browser", "country"] {
            assert_eq!(cell(&row, name), Cell::Null, "{name}");
        }
        assert_eq!((cell(&row, "link"), cell(&row, "visitor")), (Cell::text("7"), Cell::text("human")));
        assert_eq!(cell(&row, "data"), Cell::text(ERASED));
    }
}
