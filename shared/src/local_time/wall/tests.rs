//! Daylight saving time as it was or will be: Berlin 29 March and 25 October 2026, New York 8 March and 1 November
//! 2026, Lord Howe (half an hour) 4 April and 3 October 2026 UTC.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::local_time::zones::zones_of_region;

fn zone(name: &str) -> [TimeZone; 1] {
    [TimeZone::get(name).unwrap()]
}

fn utc(text: &str) -> UnixMillis {
    UnixMillis(text.parse::<Timestamp>().unwrap().as_millisecond())
}

fn quiet(from: &str, to: &str) -> QuietHours {
    QuietHours::new(from.parse().unwrap(), to.parse().unwrap()).unwrap()
}

fn until_in(zones: &[TimeZone], hours: (&str, &str), now: &str) -> Option<String> {
    quiet_until(quiet(hours.0, hours.1), zones, utc(now)).map(UnixMillis::to_rfc3339)
}

fn at_in(zones: &[TimeZone], local: &str, not_before: &str) -> String {
    at_local_time(local.parse().unwrap(), zones, utc(not_before)).to_rfc3339()
}

const NIGHT: (&str, &str) = ("21:00", "08:00");

#[test]
fn a_message_waits_for_the_morning_of_the_recipient() {
    let india = zone("Asia/Kolkata"); // +05:30
    assert_eq!(until_in(&india, NIGHT, "2026-11-21T15:29:59.999Z"), None, "20:59:59.999 in India");
    assert_eq!(until_in(&india, NIGHT, "2026-11-21T15:30:00Z").unwrap(), "2026-11-22T02:30:00.000Z");
    assert_eq!(until_in(&india, NIGHT, "2026-11-22T02:29:59.999Z").unwrap(), "2026-11-22T02:30:00.000Z");
    assert_eq!(until_in(&india, NIGHT, "2026-11-22T02:30:00Z"), None);
}

#[test]
fn the_night_of_a_jump_ends_by_the_new_clock() {
    let new_york = zone("America/New_York");
    assert_eq!(until_in(&new_york, NIGHT, "2026-03-08T04:00:00Z").unwrap(), "2026-03-08T12:00:00.000Z");
    assert_eq!(until_in(&new_york, NIGHT, "2026-11-01T04:00:00Z").unwrap(), "2026-11-01T13:00:00.000Z");
    let lord_howe = zone("Australia/Lord_Howe");
    assert_eq!(until_in(&lord_howe, NIGHT, "2026-04-04T12:00:00Z").unwrap(), "2026-04-04T21:30:00.000Z");
    assert_eq!(until_in(&lord_howe, NIGHT, "2026-10-03T12:00:00Z").unwrap(), "2026-10-03T21:00:00.000Z");
}

#[test]
fn quiet_hours_whose_end_is_skipped_end_at_the_jump() {
    let berlin = zone("Europe/Berlin"); // 02:00 becomes 03:00 at 01:00 UTC
    assert_eq!(until_in(&berlin, ("21:00", "02:30"), "2026-03-29T00:15:00Z").unwrap(), "2026-03-29T01:00:00.000Z");
    assert_eq!(until_in(&berlin, ("02:10", "02:50"), "2026-03-29T00:59:59Z"), None);
    assert_eq!(until_in(&berlin, ("02:10", "02:50"), "2026-03-29T01:00:00Z"), None);
}

#[test]
fn quiet_hours_that_come_twice_are_kept_twice() {
    let berlin = zone("Europe/Berlin"); // 03:00 becomes 02:00 at 01:00 UTC
    let hours = ("02:10", "02:50");
    assert_eq!(until_in(&berlin, hours, "2026-10-25T00:20:00Z").unwrap(), "2026-10-25T00:50:00.000Z");
    assert_eq!(until_in(&berlin, hours, "2026-10-25T00:55:00Z"), None);
    assert_eq!(until_in(&berlin, hours, "2026-10-25T01:20:00Z").unwrap(), "2026-10-25T01:50:00.000Z");
    assert_eq!(until_in(&berlin, ("02:30", "03:30"), "2026-10-25T00:45:00Z").unwrap(), "2026-10-25T01:00:00.000Z");
}

#[test]
fn a_region_with_several_zones_waits_for_the_last_of_them() {
    let malaysia = zones_of_region("MY");
    assert_eq!(until_in(malaysia, NIGHT, "2026-11-21T13:00:00Z").unwrap(), "2026-11-22T00:00:00.000Z");
    let united_states = zones_of_region("US");
    // 14:00 in New York is 08:00 on Adak; 21:00 in New York is 15:00 there.
    assert_eq!(until_in(united_states, NIGHT, "2026-07-01T15:00:00Z").unwrap(), "2026-07-01T18:00:00.000Z");
    assert_eq!(until_in(united_states, NIGHT, "2026-07-02T00:59:59Z"), None);
    assert_eq!(until_in(united_states, NIGHT, "2026-07-02T01:00:00Z").unwrap(), "2026-07-02T18:00:00.000Z");
}

#[test]
fn where_no_moment_suits_all_zones_the_largest_alone_counts() {
    // Russia's clocks are ten hours apart; these hours leave six.
    let russia = zones_of_region("RU");
    assert_eq!(until_in(russia, ("16:00", "10:00"), "2026-11-21T12:59:59Z"), None, "15:59:59 in Moscow");
    let wait = until_in(russia, ("16:00", "10:00"), "2026-11-21T13:00:00Z");
    assert_eq!(wait.unwrap(), "2026-11-22T07:00:00.000Z", "10:00 in Moscow");
}

#[test]
fn without_a_zone_the_clock_of_utc_counts() {
    assert_eq!(until_in(&[], NIGHT, "2026-11-21T22:00:00Z").unwrap(), "2026-11-22T08:00:00.000Z");
    assert_eq!(at_in(&[], "09:00", "2026-11-21T22:00:00Z"), "2026-11-22T09:00:00.000Z");
}

#[test]
fn a_local_time_is_today_if_it_is_still_to_come_and_tomorrow_if_not() {
    let india = zone("Asia/Kolkata");
    assert_eq!(at_in(&india, "09:30", "2026-11-21T03:59:59.999Z"), "2026-11-21T04:00:00.000Z");
    assert_eq!(at_in(&india, "09:30", "2026-11-21T04:00:00Z"), "2026-11-21T04:00:00.000Z");
    assert_eq!(at_in(&india, "09:30", "2026-11-21T04:00:00.001Z"), "2026-11-22T04:00:00.000Z");
}

#[test]
fn a_local_time_over_a_jump_is_by_the_new_clock() {
    assert_eq!(at_in(&zone("Europe/Berlin"), "09:00", "2026-03-28T12:00:00Z"), "2026-03-29T07:00:00.000Z");
    assert_eq!(at_in(&zone("Europe/Berlin"), "09:00", "2026-10-24T12:00:00Z"), "2026-10-25T08:00:00.000Z");
    assert_eq!(at_in(&zone("Australia/Lord_Howe"), "09:00", "2026-10-03T12:00:00Z"), "2026-10-03T22:00:00.000Z");
}

#[test]
fn a_local_time_that_is_skipped_comes_at_the_jump() {
    let berlin = zone("Europe/Berlin");
    for skipped in ["02:00", "02:30", "02:59", "03:00"] {
        assert_eq!(at_in(&berlin, skipped, "2026-03-28T12:00:00Z"), "2026-03-29T01:00:00.000Z", "{skipped}");
    }
    assert_eq!(at_in(&berlin, "02:30", "2026-03-29T01:00:00Z"), "2026-03-30T00:30:00.000Z", "the jump has passed");
    assert_eq!(at_in(&zone("America/New_York"), "02:30", "2026-03-08T00:00:00Z"), "2026-03-08T07:00:00.000Z");
    assert_eq!(at_in(&zone("Australia/Lord_Howe"), "02:15", "2026-10-03T12:00:00Z"), "2026-10-03T15:30:00.000Z");
}

#[test]
fn a_local_time_that_comes_twice_is_taken_when_it_first_comes() {
    let berlin = zone("Europe/Berlin");
    assert_eq!(at_in(&berlin, "02:30", "2026-10-24T12:00:00Z"), "2026-10-25T00:30:00.000Z");
    assert_eq!(at_in(&berlin, "02:30", "2026-10-25T00:30:00.001Z"), "2026-10-25T01:30:00.000Z");
    assert_eq!(at_in(&berlin, "03:00", "2026-10-24T12:00:00Z"), "2026-10-25T02:00:00.000Z", "not at the jump back");
    assert_eq!(at_in(&zone("Australia/Lord_Howe"), "01:45", "2026-04-04T12:00:00Z"), "2026-04-04T14:45:00.000Z");
}

#[test]
fn a_moment_outside_the_calendar_does_no_harm() {
    for at in [i64::MIN, i64::MAX] {
        let _ = quiet_until(quiet("21:00", "08:00"), &zone("Europe/Berlin"), UnixMillis(at));
        let _ = at_local_time(LocalTime(0), &zone("Europe/Berlin"), UnixMillis(at));
    }
}

const REGIONS: [&str; 8] = ["DE", "US", "IN", "AU", "RU", "CL", "MA", "FM"];

prop_compose! {
    fn hours()(from in 0_u16..1_440, length in 1_u16..1_440) -> QuietHours {
        QuietHours::new(LocalTime(from), LocalTime((from + length) % 1_440)).unwrap()
    }
}

proptest! {
    /// Told from the definition, minute by minute, not from the arithmetic.
    #[test]
    fn the_moment_is_the_first_that_is_quiet_nowhere(
        hours in hours(), region in prop::sample::select(&REGIONS[..]), minute in 29_400_000_i64..30_000_000,
    ) {
        let zones = zones_of_region(region);
        let now = UnixMillis(minute * 60_000);
        let is_quiet = |zones: &[TimeZone], at: UnixMillis| zones.iter().any(|zone| {
            let wall = timestamp(at.0).to_zoned(zone.clone());
            let minute = u16::try_from(wall.hour()).unwrap() * 60 + u16::try_from(wall.minute()).unwrap();
            hours.covers(LocalTime(minute))
        });
        let search = |zones| (0..=2 * 1_440).map(|m| now.plus(Duration::from_secs(m * 60))).find(|at| !is_quiet(zones, *at));
        let expected = search(zones).or_else(|| search(&zones[..1])).unwrap();
        prop_assert_eq!(quiet_until(hours, zones, now).unwrap_or(now), expected);
    }

    #[test]
    fn a_local_time_comes_within_a_day_and_the_longest_jump(
        minute in 0_u16..1_440, region in prop::sample::select(&REGIONS[..]), ms in 1_764_000_000_000_i64..1_800_000_000_000,
    ) {
        let zones = zones_of_region(region);
        let at = at_local_time(LocalTime(minute), zones, UnixMillis(ms));
        prop_assert!(at.0 >= ms && at.0 - ms <= DAY_MS + 3_600_000);
        let wall = timestamp(at.0).to_zoned(zones[0].clone());
        let shown = u16::try_from(wall.hour()).unwrap() * 60 + u16::try_from(wall.minute()).unwrap();
        let jumped = jump_after(&zones[0], at.0 - 1).is_some_and(|jump| jump.at == at.0);
        prop_assert!(shown == minute || jumped, "{shown} is not {minute}");
    }
}
