//! Wall-clock time where a recipient lives: quiet hours, and the moment at which a wall time comes. The place is told
//! from the phone number's region alone (see [`zones`]); nothing here knows a clock or a person's address.

pub mod hours;
mod wall;
pub mod zones;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use self::wall::{at_local_time, quiet_until};
pub use self::zones::zones_of;

/// Minutes of a day.
const MINUTES_PER_DAY: u16 = 24 * 60;

/// A time of day to the minute as a clock on the wall shows it, `"09:30"`; from `"00:00"` to `"23:59"`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalTime(u16);

/// A text is not a time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a time of day between 00:00 and 23:59, such as 09:30")]
pub struct InvalidLocalTime;

impl LocalTime {
    /// The time of day with this hour (0 to 23) and minute (0 to 59).
    ///
    /// # Errors
    /// When the day has no such minute.
    pub const fn new(hour: u8, minute: u8) -> Result<Self, InvalidLocalTime> {
        if hour > 23 || minute > 59 {
            return Err(InvalidLocalTime);
        }
        Ok(Self(hour as u16 * 60 + minute as u16))
    }

    /// Minutes since midnight.
    #[must_use]
    pub const fn minute_of_day(self) -> u16 {
        self.0
    }
}

impl FromStr for LocalTime {
    type Err = InvalidLocalTime;

    fn from_str(text: &str) -> Result<Self, InvalidLocalTime> {
        let &[h1, h2, b':', m1, m2] = text.as_bytes() else { return Err(InvalidLocalTime) };
        let two = |tens: u8, ones: u8| {
            (tens.is_ascii_digit() && ones.is_ascii_digit())
                .then(|| (tens - b'0') * 10 + (ones - b'0'))
                .ok_or(InvalidLocalTime)
        };
        Self::new(two(h1, h2)?, two(m1, m2)?)
    }
}

impl fmt::Display for LocalTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl fmt::Debug for LocalTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalTime({self})")
    }
}

impl Serialize for LocalTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LocalTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The part of each day in which nobody is written to: from `from`, up to and without `to`. It may cross midnight
/// (`{"from":"21:00","to":"08:00"}`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Ends")]
pub struct QuietHours {
    from: LocalTime,
    to: LocalTime,
}

/// Quiet hours as written, before they are checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ends {
    from: LocalTime,
    to: LocalTime,
}

/// Quiet hours that begin when they end: nobody can tell whether that is no time at all or the whole day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("quiet hours must not begin and end at the same time")]
pub struct EmptyQuietHours;

impl TryFrom<Ends> for QuietHours {
    type Error = EmptyQuietHours;

    fn try_from(ends: Ends) -> Result<Self, EmptyQuietHours> {
        Self::new(ends.from, ends.to)
    }
}

impl QuietHours {
    /// From one time of day to another, over midnight when `to` is the earlier one.
    ///
    /// # Errors
    /// When both are the same.
    pub fn new(from: LocalTime, to: LocalTime) -> Result<Self, EmptyQuietHours> {
        if from == to { Err(EmptyQuietHours) } else { Ok(Self { from, to }) }
    }

    /// The first quiet minute.
    #[must_use]
    pub const fn from(self) -> LocalTime {
        self.from
    }

    /// The first minute that is not quiet any more.
    #[must_use]
    pub const fn to(self) -> LocalTime {
        self.to
    }

    /// Whether this time of day is quiet.
    #[must_use]
    pub const fn covers(self, time: LocalTime) -> bool {
        let since_from = (time.0 + MINUTES_PER_DAY - self.from.0) % MINUTES_PER_DAY;
        let length = (self.to.0 + MINUTES_PER_DAY - self.from.0) % MINUTES_PER_DAY;
        since_from < length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> LocalTime {
        text.parse().unwrap()
    }

    #[test]
    fn a_time_of_day_is_read_and_written_as_on_a_clock() {
        for text in ["00:00", "09:05", "23:59"] {
            assert_eq!(time(text).to_string(), text);
            assert_eq!(serde_json::to_value(time(text)).unwrap(), text);
        }
        for text in ["", "9:05", "24:00", "12:60", "12-30", "12:3", "+1:30", "12:30:00", "１２:30"] {
            assert_eq!(text.parse::<LocalTime>(), Err(InvalidLocalTime), "{text}");
        }
    }

    #[test]
    fn quiet_hours_may_cross_midnight() {
        let night: QuietHours = serde_json::from_str(r#"{"from":"21:00","to":"08:00"}"#).unwrap();
        for (at, quiet) in [("20:59", false), ("21:00", true), ("00:00", true), ("07:59", true), ("08:00", false)] {
            assert_eq!(night.covers(time(at)), quiet, "{at}");
        }
        let noon = QuietHours::new(time("12:00"), time("14:00")).unwrap();
        for (at, quiet) in [("11:59", false), ("12:00", true), ("13:59", true), ("14:00", false), ("00:00", false)] {
            assert_eq!(noon.covers(time(at)), quiet, "{at}");
        }
        assert_eq!(serde_json::to_string(&night).unwrap(), r#"{"from":"21:00","to":"08:00"}"#);
    }

    #[test]
    fn quiet_hours_that_begin_when_they_end_are_refused() {
        let error = serde_json::from_str::<QuietHours>(r#"{"from":"08:00","to":"08:00"}"#).unwrap_err();
        assert!(error.to_string().contains("same time"), "{error}");
        assert!(serde_json::from_str::<QuietHours>(r#"{"from":"08:00","to":"09:00","zone":"x"}"#).is_err());
    }
}
