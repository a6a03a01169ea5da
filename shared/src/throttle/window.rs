//! The account's limits per minute, hour and day: messages are counted in the window in which their slots lie.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::slots::{Rate, UnixMicros};
use crate::time::UnixMillis;

/// The limits that hold for a reservation; `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Messages a minute of the clock.
    pub per_minute: Option<u32>,
    /// Messages an hour of the clock.
    pub per_hour: Option<u32>,
    /// Messages a day of the account's time zone.
    pub per_day: Option<u32>,
    /// The account's present day.
    pub day: Day,
}

/// A day of the account's time zone; not all have 24 hours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Day {
    /// Midnight.
    pub start: UnixMillis,
    /// The next midnight.
    pub end: UnixMillis,
}

/// Which window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A minute of the clock.
    Minute,
    /// An hour of the clock.
    Hour,
    /// A day of the account's time zone.
    Day,
}

impl Kind {
    /// All windows, shortest first.
    pub const ALL: [Self; 3] = [Self::Minute, Self::Hour, Self::Day];

    /// The limit's name in the API.
    #[must_use]
    pub const fn limit_name(self) -> &'static str {
        match self {
            Self::Minute => "per_minute",
            Self::Hour => "per_hour",
            Self::Day => "per_day",
        }
    }
}

/// Messages counted in one window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// The window's start.
    pub start: UnixMillis,
    /// Messages.
    pub used: u32,
}

/// The present window of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Windows {
    /// This minute.
    #[serde(default)]
    pub minute: Used,
    /// This hour.
    #[serde(default)]
    pub hour: Used,
    /// This day.
    #[serde(default)]
    pub day: Used,
}

impl Limits {
    /// The limit of a window.
    #[must_use]
    pub const fn of(&self, kind: Kind) -> Option<u32> {
        match kind {
            Kind::Minute => self.per_minute,
            Kind::Hour => self.per_hour,
            Kind::Day => self.per_day,
        }
    }

    /// Start and end of the window of this kind that holds the moment.
    #[must_use]
    pub fn window(&self, kind: Kind, at: UnixMillis) -> (UnixMillis, UnixMillis) {
        let of_length = |ms: i64| {
            let start = at.0.div_euclid(ms) * ms;
            (UnixMillis(start), UnixMillis(start + ms))
        };
        match kind {
            Kind::Minute => of_length(60_000),
            Kind::Hour => of_length(3_600_000),
            Kind::Day if at < self.day.end => (self.day.start, self.day.end),
            // A slot of the first seconds of tomorrow, reserved today.
            Kind::Day => (self.day.end, UnixMillis(self.day.end.0 + 86_400_000)),
        }
    }
}

impl Windows {
    /// What has been used of the window that holds the moment.
    #[must_use]
    pub fn used(&self, limits: &Limits, kind: Kind, at: UnixMillis) -> u32 {
        let (start, _) = limits.window(kind, at);
        let counted = self.counted(kind);
        match counted.start.cmp(&start) {
            Ordering::Equal => counted.used,
            Ordering::Less => 0,
            // Another campaign has begun the next window, and what this one has left is not known any more.
            Ordering::Greater => u32::MAX,
        }
    }

    /// How many of `n` messages from `start` on the limits allow: those that fit into the windows that hold `start`.
    ///
    /// # Errors
    /// None at all: the window that is used up and opens last, and when.
    pub(super) fn room(
        &self,
        limits: &Limits,
        start: UnixMicros,
        pace: Rate,
        n: u32,
    ) -> Result<u32, (Kind, UnixMillis)> {
        let at = start.floor_millis();
        let (mut allowed, mut full) = (n, None);
        for kind in Kind::ALL {
            let Some(limit) = limits.of(kind) else { continue };
            let (_, end) = limits.window(kind, at);
            let remaining = limit.saturating_sub(self.used(limits, kind, at));
            if remaining == 0 {
                full = full.max(Some((end, kind)));
                continue;
            }
            let until_end = pace.messages_in(UnixMicros::from_millis(end).0 - start.0).saturating_add(1);
            allowed = allowed.min(remaining).min(until_end);
        }
        match full {
            Some((end, kind)) => Err((kind, end)),
            None => Ok(allowed.max(1)),
        }
    }

    /// Counts `n` messages from `start` on.
    pub(super) fn count(&mut self, limits: &Limits, start: UnixMicros, n: u32) {
        let at = start.floor_millis();
        for kind in Kind::ALL {
            let (window, _) = limits.window(kind, at);
            let counted = self.counted_mut(kind);
            if counted.start == window {
                counted.used = counted.used.saturating_add(n);
            } else if counted.start < window {
                *counted = Used { start: window, used: n };
            }
        }
    }

    const fn counted(&self, kind: Kind) -> Used {
        match kind {
            Kind::Minute => self.minute,
            Kind::Hour => self.hour,
            Kind::Day => self.day,
        }
    }

    const fn counted_mut(&mut self, kind: Kind) -> &mut Used {
        match kind {
            Kind::Minute => &mut self.minute,
            Kind::Hour => &mut self.hour,
            Kind::Day => &mut self.day,
        }
    }
}
