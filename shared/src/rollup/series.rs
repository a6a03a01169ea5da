//! The minute series of a campaign: how many recipients did something for the first time in each minute, added up over the
//! shards, and from that by hour, by day and by hour of the day. All in UTC.

use std::collections::BTreeMap;

use super::Counts;
use super::contribution::{hour_of, view};
use crate::time::UnixMillis;

/// How long a point of a series is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interval {
    /// A minute of the clock.
    Minute,
    /// An hour of the clock.
    Hour,
    /// A day (UTC).
    Day,
}

impl Interval {
    /// The interval of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "minute" => Some(Self::Minute),
            "hour" => Some(Self::Hour),
            "day" => Some(Self::Day),
            _ => None,
        }
    }

    /// The name in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    /// The point that a minute such as `2026-11-21T01:05` falls into: as much of that text as the interval tells.
    fn of(self, minute: &str) -> &str {
        let length = match self {
            Self::Minute => 16,
            Self::Hour => 13,
            Self::Day => 10,
        };
        minute.get(..length).unwrap_or(minute)
    }

    /// When a point begins, as RFC 3339.
    #[must_use]
    pub fn begins(self, point: &str) -> String {
        match self {
            Self::Minute => format!("{point}:00.000Z"),
            Self::Hour => format!("{point}:00:00.000Z"),
            Self::Day => format!("{point}T00:00:00.000Z"),
        }
    }
}

/// What the sort keys of the hours from the one of `first` to the one of `last` lie between, both ends included.
#[must_use]
pub fn sort_keys(first: UnixMillis, last: UnixMillis) -> (String, String) {
    (format!("{}#{}#", view::MINUTE, hour_of(first)), format!("{}#{}#~", view::MINUTE, hour_of(last)))
}

/// Counts by minute (`2026-11-21T01:05`) and by what was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Series(BTreeMap<String, Counts>);

impl Series {
    /// Adds up counter items given as (sort key, counts); other views are left out.
    #[must_use]
    pub fn of<'a>(items: impl IntoIterator<Item = (&'a str, &'a Counts)>) -> Self {
        let mut series = Self::default();
        for (sk, counts) in items {
            let mut parts = sk.split('#');
            let (Some(view::MINUTE), Some(hour)) = (parts.next(), parts.next()) else { continue };
            for (name, n) in counts.iter().filter(|(_, n)| **n != 0) {
                if let Some((what, minute)) = name.rsplit_once('.') {
                    let minute = series.0.entry(format!("{hour}:{minute}")).or_default();
                    *minute.entry(what.to_owned()).or_default() += n;
                }
            }
        }
        series
    }

    /// Without the minutes that begin before `from` or not before `until`.
    #[must_use]
    pub fn between(mut self, from: Option<UnixMillis>, until: Option<UnixMillis>) -> Self {
        let minute = |at: UnixMillis| at.to_rfc3339()[..16].to_owned();
        // Minutes are texts that sort as their times do. One that has begun before `from` is not whole.
        let from = from.map(|at| minute(UnixMillis(at.0.saturating_add(59_999))));
        let until = until.map(|at| minute(UnixMillis(at.0.saturating_add(59_999))));
        self.0.retain(|at, _| from.as_ref().is_none_or(|from| at >= from) && until.as_ref().is_none_or(|end| at < end));
        self
    }

    /// The counts of these names, first point to last; points without any of them are left out.
    #[must_use]
    pub fn points(&self, interval: Interval, names: &[&str]) -> BTreeMap<String, Counts> {
        let mut points: BTreeMap<String, Counts> = BTreeMap::new();
        for (minute, counts) in &self.0 {
            for (name, n) in counts.iter().filter(|(name, _)| names.contains(&name.as_str())) {
                let point = points.entry(interval.of(minute).to_owned()).or_default();
                *point.entry(name.clone()).or_default() += n;
            }
        }
        points.retain(|_, counts| counts.values().any(|n| *n != 0));
        points
    }

    /// How many in each hour of the day, from `00` to `23`, all days together; hours without any are left out.
    #[must_use]
    pub fn by_hour_of_day(&self, name: &str) -> BTreeMap<String, i64> {
        let mut hours: BTreeMap<String, i64> = BTreeMap::new();
        for (minute, counts) in &self.0 {
            if let (Some(hour), Some(n)) = (minute.get(11..13), counts.get(name)) {
                *hours.entry(hour.to_owned()).or_default() += n;
            }
        }
        hours.retain(|_, n| *n != 0);
        hours
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(pairs: &[(&str, i64)]) -> Counts {
        pairs.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect()
    }

    fn series() -> Series {
        let one = counts(&[("clicked.05", 2), ("clicked.59", 1), ("read.05", 4), ("read.06", 0)]);
        let two = counts(&[("clicked.05", 3), ("opted_out.07", 1)]);
        let other = counts(&[("clicked.05", 100)]);
        Series::of([
            ("MINUTE#2026-11-21T01#00", &one),
            ("MINUTE#2026-11-21T01#31", &two),
            ("MINUTE#2026-11-22T01#00", &two),
            ("TOTAL#00", &other),
        ])
    }

    fn shown(points: &BTreeMap<String, Counts>) -> Vec<(&str, i64)> {
        points.iter().map(|(point, counts)| (point.as_str(), counts.values().sum())).collect()
    }

    #[test]
    fn minutes_of_all_shards_add_up_to_hours_and_days() {
        let series = series();
        let clicked = |interval| series.points(interval, &["clicked"]);
        let minutes = clicked(Interval::Minute);
        assert_eq!(shown(&minutes), [("2026-11-21T01:05", 5), ("2026-11-21T01:59", 1), ("2026-11-22T01:05", 3)]);
        assert_eq!(shown(&clicked(Interval::Hour)), [("2026-11-21T01", 6), ("2026-11-22T01", 3)]);
        assert_eq!(shown(&clicked(Interval::Day)), [("2026-11-21", 6), ("2026-11-22", 3)]);
        assert_eq!(shown(&series.points(Interval::Day, &["closed"])), []);
        assert_eq!(series.by_hour_of_day("clicked"), BTreeMap::from([("01".to_owned(), 9)]));
        assert_eq!(Interval::Hour.begins("2026-11-21T01"), "2026-11-21T01:00:00.000Z");
    }

    #[test]
    fn a_span_takes_the_minutes_that_begin_in_it() {
        let at = |text: &str| UnixMillis(text.parse::<jiff::Timestamp>().unwrap().as_millisecond());
        let clicked = |from: &str, until: &str| {
            let part = series().between(Some(at(from)), Some(at(until)));
            part.points(Interval::Day, &["clicked"]).values().map(|counts| counts["clicked"]).sum::<i64>()
        };
        assert_eq!(clicked("2026-11-21T01:05:00Z", "2026-11-21T01:59:00Z"), 5);
        assert_eq!(clicked("2026-11-21T01:05:00.001Z", "2026-11-21T01:59:00.001Z"), 1);
        assert_eq!(series().between(None, None), series());
        let (first, last) = sort_keys(at("2026-11-21T01:05:00Z"), at("2026-11-22T01:59:00Z"));
        let inside = |sk: &str| first.as_str() <= sk && sk <= last.as_str();
        assert!(inside("MINUTE#2026-11-21T01#00") && inside("MINUTE#2026-11-22T01#31"));
        assert!(!inside("MINUTE#2026-11-21T00#31") && !inside("MINUTE#2026-11-22T02#00"));
    }
}
