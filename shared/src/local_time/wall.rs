//! From wall clocks to moments: arithmetic in milliseconds over the offsets and jumps of a zone, so that daylight
//! saving time needs no special case beyond what happens at a jump.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::{LocalTime, QuietHours};
use crate::time::UnixMillis;

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// How far ahead a moment is looked for that suits all zones. Two days see every combination of clocks twice, on both
/// sides of a jump.
const HORIZON_MS: i64 = 2 * DAY_MS;

/// When a message may leave: `None` for now, or else the first moment at which it may.
///
/// It may leave when no zone's wall clock shows a quiet time, for a number does not tell in which of its region's zones
/// its owner lives. Where quiet hours are so long, or zones so far apart, that there is no such moment within two days,
/// the first zone alone counts: the region's largest. Without a zone it is UTC's clock that counts; a caller that knows
/// a better one, such as the account's, passes it.
///
/// A clock is taken as it hangs on the wall: a quiet time that is skipped when clocks go forward is not observed, and
/// one that comes twice when they go back is observed twice.
#[must_use]
pub fn quiet_until(quiet: QuietHours, zones: &[TimeZone], now: UnixMillis) -> Option<UnixMillis> {
    let principal = [principal(zones)];
    let zones = if zones.is_empty() { &principal[..] } else { zones };
    let leaves = first_moment(quiet, zones, now).or_else(|| first_moment(quiet, &principal, now)).unwrap_or(now);
    (leaves > now).then_some(leaves)
}

/// The first moment at or after `not_before` at which the wall clock of the first zone, the region's largest, shows
/// this time; without a zone it is UTC's clock.
///
/// When clocks go forward over that time, the moment at which they do counts for it. When they go back and it comes
/// twice, the first of the two is taken, unless that lies before `not_before`.
#[must_use]
pub fn at_local_time(local: LocalTime, zones: &[TimeZone], not_before: UnixMillis) -> UnixMillis {
    let zone = principal(zones);
    let mut at = not_before.0;
    let mut offset = offset_ms(&zone, at);
    loop {
        let found = at.saturating_add(until(offset, at, local));
        match jump_after(&zone, at).filter(|jump| jump.at <= found) {
            None => return UnixMillis(found),
            Some(jump) => {
                let skipped = jump.offset - offset;
                if until(offset, jump.at, local) < skipped {
                    return UnixMillis(jump.at);
                }
                (at, offset) = (jump.at, jump.offset);
            }
        }
    }
}

fn principal(zones: &[TimeZone]) -> TimeZone {
    zones.first().cloned().unwrap_or(TimeZone::UTC)
}

/// The first moment, from `now` on, that is quiet in none of the zones.
fn first_moment(quiet: QuietHours, zones: &[TimeZone], now: UnixMillis) -> Option<UnixMillis> {
    let mut at = now.0;
    while at <= now.0.saturating_add(HORIZON_MS) {
        match zones.iter().filter_map(|zone| quiet_end(quiet, zone, at)).max() {
            None => return Some(UnixMillis(at)),
            Some(end) if end > at => at = end,
            Some(_) => return None, // the end of time itself
        }
    }
    None
}

/// The end of the quiet hours that hold in the zone at this moment; `None` when none do. Always later than the moment.
fn quiet_end(quiet: QuietHours, zone: &TimeZone, at: i64) -> Option<i64> {
    let mut offset = offset_ms(zone, at);
    if !covers(quiet, offset, at) {
        return None;
    }
    let mut from = at;
    loop {
        let end = from.saturating_add(until(offset, from, quiet.to()));
        match jump_after(zone, from).filter(|jump| jump.at < end) {
            None => return Some(end),
            Some(jump) if !covers(quiet, jump.offset, jump.at) => return Some(jump.at),
            Some(jump) => (from, offset) = (jump.at, jump.offset),
        }
    }
}

fn covers(quiet: QuietHours, offset: i64, at: i64) -> bool {
    let minute = at.saturating_add(offset).rem_euclid(DAY_MS) / 60_000;
    u16::try_from(minute).is_ok_and(|minute| quiet.covers(LocalTime(minute)))
}

/// Milliseconds until a clock with this offset shows the time; 0 when it does.
fn until(offset: i64, at: i64, local: LocalTime) -> i64 {
    let wanted = i64::from(local.minute_of_day()) * 60_000;
    (wanted - at.saturating_add(offset).rem_euclid(DAY_MS)).rem_euclid(DAY_MS)
}

/// A change of a zone's offset.
struct Jump {
    at: i64,
    offset: i64,
}

fn jump_after(zone: &TimeZone, at: i64) -> Option<Jump> {
    let next = zone.following(timestamp(at)).next()?;
    let offset = i64::from(next.offset().seconds()) * 1_000;
    // A moment outside the calendar was moved to its edge: what follows the edge may lie before the moment.
    Some(Jump { at: next.timestamp().as_millisecond(), offset }).filter(|jump| jump.at > at)
}

fn offset_ms(zone: &TimeZone, at: i64) -> i64 {
    i64::from(zone.to_offset(timestamp(at)).seconds()) * 1_000
}

fn timestamp(at: i64) -> Timestamp {
    let edge = if at < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_millisecond(at).unwrap_or(edge)
}

#[cfg(test)]
mod tests;
