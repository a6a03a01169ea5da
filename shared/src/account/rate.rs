//! How fast an account may send: the operator's wish, cut to what Meta takes and to what is wise.

use super::{Account, Quality};
use crate::throttle::window;
use crate::time::UnixMillis;

/// Why an account sends more slowly than its operator has set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlowedBy {
    /// Meta takes no more from the number.
    Throughput,
    /// Its quality is low: fewer messages an hour make fewer people block it, and Meta lowers the limits of a number that
    /// stays low. Half the rate is our rule, not Meta's.
    Quality,
}

impl SlowedBy {
    /// For people.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Throughput => "Meta takes no more messages a second from this number",
            Self::Quality => "Meta rates the number's quality as low, so it sends at half its rate",
        }
    }
}

impl Account {
    /// Messages a second that the account may send now, at least 1, and why they are fewer than its operator has set.
    #[must_use]
    pub fn effective_rate(&self) -> (u32, Option<SlowedBy>) {
        let set = self.messages_per_second.max(1);
        let taken = self.throughput.map_or(set, |throughput| throughput.max(1).min(set));
        if self.quality == Quality::Red {
            return ((taken / 2).max(1), (set > 1).then_some(SlowedBy::Quality));
        }
        (taken, (taken < set).then_some(SlowedBy::Throughput))
    }

    /// The limits that the throttle counts, with the account's present day.
    #[must_use]
    pub fn window_limits(&self, now: UnixMillis) -> window::Limits {
        window::Limits {
            per_minute: self.limits.per_minute,
            per_hour: self.limits.per_hour,
            per_day: self.limits.per_day,
            day: day_of(&self.timezone, now),
        }
    }
}

/// The day of a time zone that holds the moment; UTC's when there is no such zone.
fn day_of(timezone: &str, now: UnixMillis) -> window::Day {
    let zone = jiff::tz::TimeZone::get(timezone).unwrap_or(jiff::tz::TimeZone::UTC);
    let moment = jiff::Timestamp::from_millisecond(now.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_zoned(zone);
    let millis = |day: jiff::Zoned| UnixMillis(day.timestamp().as_millisecond());
    let start = moment.start_of_day();
    let end = start.as_ref().ok().and_then(|day| day.tomorrow().ok()).and_then(|day| day.start_of_day().ok());
    match (start, end) {
        (Ok(start), Some(end)) => window::Day { start: millis(start), end: millis(end) },
        // Outside of what a calendar holds.
        _ => window::Day { start: now, end: UnixMillis(now.0.saturating_add(86_400_000)) },
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::account;
    use super::*;

    #[test]
    fn the_rate_is_the_least_of_what_is_set_and_taken_and_half_of_it_when_the_quality_is_low() {
        let at = |messages_per_second, throughput, quality| {
            Account { messages_per_second, throughput, quality, ..account() }.effective_rate()
        };
        assert_eq!(at(75, None, Quality::Unknown), (75, None));
        assert_eq!(at(75, Some(80), Quality::Yellow), (75, None));
        assert_eq!(at(200, Some(80), Quality::Green), (80, Some(SlowedBy::Throughput)));
        assert_eq!(at(200, Some(80), Quality::Red), (40, Some(SlowedBy::Quality)));
        assert_eq!(at(1, None, Quality::Red), (1, None));
    }

    #[test]
    fn a_day_is_the_zones_own_and_may_have_23_hours() {
        // 2026-03-29, when Berlin's clocks go forward.
        let day = day_of("Europe/Berlin", UnixMillis(1_774_780_000_000));
        assert_eq!(
            (day.start.to_rfc3339(), day.end.0 - day.start.0),
            ("2026-03-28T23:00:00.000Z".to_owned(), 82_800_000)
        );
        let day = day_of("Nowhere/At_All", UnixMillis(1_774_780_000_000));
        assert_eq!(day.start.to_rfc3339(), "2026-03-29T00:00:00.000Z");
    }
}
