//! The day of an account's time zone.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use shared::throttle::window::Day;
use shared::time::UnixMillis;

/// The day that holds the moment, in the zone of this IANA name; in UTC when there is no such zone.
pub(crate) fn of(zone: &str, now: UnixMillis) -> Day {
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    let midnight = |days: i64| {
        let here = Timestamp::from_millisecond(now.0).ok()?.to_zoned(zone.clone());
        let start = here.start_of_day().ok()?;
        let moved = if days == 0 { start } else { start.tomorrow().ok()?.start_of_day().ok()? };
        Some(UnixMillis(moved.timestamp().as_millisecond()))
    };
    const DAY_MS: i64 = 86_400_000;
    let utc = now.0.div_euclid(DAY_MS) * DAY_MS;
    Day { start: midnight(0).unwrap_or(UnixMillis(utc)), end: midnight(1).unwrap_or(UnixMillis(utc + DAY_MS)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_midnight_of_the_zone_and_may_have_23_hours() {
        let noon = UnixMillis::from_seconds(1_774_778_400); // 2026-03-29T10:00:00Z, the day the clocks go forward
        let day = of("Europe/Berlin", noon);
        assert_eq!(day.start.to_rfc3339(), "2026-03-28T23:00:00.000Z");
        assert_eq!(day.end.0 - day.start.0, 23 * 3_600_000);
        assert_eq!(of("Asia/Kuala_Lumpur", noon).start.to_rfc3339(), "2026-03-28T16:00:00.000Z");
        assert_eq!(of("Nowhere/At_All", noon).start.to_rfc3339(), "2026-03-29T00:00:00.000Z");
    }
}
