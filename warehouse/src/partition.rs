//! Where events lie in the bucket: one partition for each hour (UTC) in which they happened, whenever they were taken in.
//! A late event goes to its own hour, whose file is then written anew; the same event always goes to the same partition,
//! which is how a repeat is found.

use std::fmt;

use shared::time::UnixMillis;

/// What the keys of staged objects start with.
pub const STAGED: &str = "events/staged/";

/// What the keys of Parquet files start with.
pub const FILES: &str = "events/parquet/";

/// An hour in which events happened.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition {
    date: String,
    hour: String,
}

impl Partition {
    /// The partition of what happened then.
    #[must_use]
    pub fn of(at: UnixMillis) -> Self {
        let text = at.to_rfc3339();
        let (date, time) = text.split_once('T').unwrap_or((&text, "00"));
        Self { date: date.to_owned(), hour: time.chars().take(2).collect() }
    }

    /// Reads the partition from the key of a staged object or of a Parquet file; `None` for any other key.
    #[must_use]
    pub fn of_key(key: &str) -> Option<Self> {
        let (date, hour) = if let Some(rest) = key.strip_prefix(STAGED) {
            let (date, rest) = rest.strip_prefix("date=")?.split_once('/')?;
            (date, rest.strip_prefix("hour=")?.split_once('/')?.0)
        } else {
            let (date, name) = key.strip_prefix(FILES)?.strip_prefix("date=")?.split_once('/')?;
            (date, name.strip_suffix(".parquet")?)
        };
        let digits = hour.len() == 2 && hour.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| Self { date: date.to_owned(), hour: hour.to_owned() })
    }

    /// The key of its Parquet file.
    #[must_use]
    pub fn file(&self) -> String {
        let Self { date, hour } = self;
        format!("{FILES}date={date}/{hour}.parquet")
    }

    /// The key of a staged object of it.
    #[must_use]
    pub fn staged(&self, name: &str) -> String {
        let Self { date, hour } = self;
        format!("{STAGED}date={date}/hour={hour}/{name}.ndjson.zst")
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}T{}", self.date, self.hour)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_read_back_from_its_keys() {
        for at in [0, 1_790_000_000_000, -1, i64::MAX, 253_370_764_799_000, -70_000_000_000_000] {
            let partition = Partition::of(UnixMillis(at));
            assert_eq!(Partition::of_key(&partition.file()).as_ref(), Some(&partition));
            assert_eq!(Partition::of_key(&partition.staged("x")).as_ref(), Some(&partition));
        }
        let partition = Partition::of(UnixMillis(1_790_000_000_000));
        assert_eq!(partition.file(), "events/parquet/date=2026-09-21/14.parquet");
        assert_eq!(partition.staged("x"), "events/staged/date=2026-09-21/hour=14/x.ndjson.zst");
        for key in ["events/parquet/date=2026-09-21/x.parquet", "events/other", "events/staged/date=2026-09-21/x"] {
            assert_eq!(Partition::of_key(key), None, "{key}");
        }
    }
}
