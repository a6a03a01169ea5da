//! The account's rate: a generic cell rate algorithm over one stored number, the time of the next free slot.
//!
//! One conditional write reserves the slots of a whole page; the page's sends then leave at their own slots. Times are
//! whole microseconds, so that no rounding adds up. Nothing here knows a clock or a table.

use std::time::Duration;

use crate::time::UnixMillis;

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnixMicros(pub i64);

impl UnixMicros {
    /// From milliseconds.
    #[must_use]
    pub const fn from_millis(at: UnixMillis) -> Self {
        Self(at.0.saturating_mul(1_000))
    }

    /// To milliseconds, rounded up: a slot is never early.
    #[must_use]
    pub const fn to_millis(self) -> UnixMillis {
        UnixMillis(self.0.div_euclid(1_000) + if self.0.rem_euclid(1_000) == 0 { 0 } else { 1 })
    }
}

/// Messages a second, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate(u32);

impl Rate {
    /// So many messages a second; zero is taken as one.
    #[must_use]
    pub const fn per_second(messages: u32) -> Self {
        Self(if messages == 0 { 1 } else { messages })
    }

    /// How many of `n` messages are reserved at once; at least one.
    #[must_use]
    pub fn portion(self, n: u32) -> u32 {
        let most = u64::from(self.0) * LONGEST_RESERVATION.as_secs();
        n.min(u32::try_from(most).unwrap_or(u32::MAX)).max(1)
    }

    /// Time that `n` messages take, in microseconds, rounded up: never faster than the rate.
    #[must_use]
    pub const fn span_micros(self, n: u32) -> i64 {
        let micros = n as u64 * 1_000_000;
        micros.div_ceil(self.0 as u64).cast_signed()
    }
}

/// Slots that were reserved: message `i` leaves at [`Slots::at`]`(i)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slots {
    first: UnixMicros,
    rate: Rate,
}

impl Slots {
    /// Slots that end where the next free slot now is.
    #[must_use]
    pub const fn ending_at(next_free: UnixMicros, n: u32, rate: Rate) -> Self {
        Self { first: UnixMicros(next_free.0 - rate.span_micros(n)), rate }
    }

    /// When message `i`, from 0, leaves.
    #[must_use]
    pub const fn at(&self, i: u32) -> UnixMicros {
        UnixMicros(self.first.0 + self.rate.span_micros(i))
    }
}

/// The conditional write that reserves slots: DynamoDB has no `max`, so there is one for each case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserve {
    /// The account is idle: `SET next = to IF next is absent OR next <= now`.
    FromNow {
        /// The time of the write.
        now: UnixMicros,
        /// The new next free slot.
        to: UnixMicros,
    },
    /// The account is busy: `ADD next by IF now < next AND next <= limit`.
    Behind {
        /// The time of the write.
        now: UnixMicros,
        /// Time the reserved slots take.
        by: i64,
        /// The latest start that is worth reserving.
        limit: UnixMicros,
    },
}

/// What a failed write tells, given the stored next free slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Only the case was guessed wrong: write this instead.
    Other(Reserve),
    /// The first free slot lies too far ahead: come back after this.
    TooFar(Duration),
}

/// How far ahead slots are reserved. A page that would start later goes back to the queue with the reason, instead of
/// holding a worker.
///
/// A little more than the work that `dispatch` keeps out (10 s), so that a campaign that has its account to itself never
/// waits this way.
pub const HORIZON: Duration = Duration::from_secs(12);

/// The most messages that are reserved at once, in time at the rate: a page at a low rate is sent in parts, so that a
/// pause is felt soon and no worker sleeps for minutes.
pub const LONGEST_RESERVATION: Duration = Duration::from_secs(10);

/// The write for `n` slots, given the next free slot as last seen (`None`: never seen).
#[must_use]
pub const fn reserve(last_seen: Option<UnixMicros>, now: UnixMicros, n: u32, rate: Rate) -> Reserve {
    match last_seen {
        Some(next) if next.0 > now.0 => behind(now, n, rate),
        _ => Reserve::FromNow { now, to: UnixMicros(now.0 + rate.span_micros(n)) },
    }
}

const fn behind(now: UnixMicros, n: u32, rate: Rate) -> Reserve {
    let limit = UnixMicros(now.0.saturating_add(HORIZON.as_micros() as i64));
    Reserve::Behind { now, by: rate.span_micros(n), limit }
}

/// What to do after the write failed because `stored` is the next free slot.
#[must_use]
pub fn refused(stored: Option<UnixMicros>, now: UnixMicros, n: u32, rate: Rate) -> Refusal {
    let Some(stored) = stored else {
        return Refusal::Other(reserve(None, now, n, rate));
    };
    let ahead = Duration::from_micros(u64::try_from(stored.0 - now.0).unwrap_or(0));
    if ahead > HORIZON { Refusal::TooFar(ahead - HORIZON) } else { Refusal::Other(reserve(Some(stored), now, n, rate)) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The stored item and the condition, as DynamoDB would apply them.
    fn apply(stored: &mut Option<UnixMicros>, write: Reserve) -> Result<UnixMicros, ()> {
        match write {
            Reserve::FromNow { now, to } if stored.is_none_or(|next| next <= now) => *stored = Some(to),
            Reserve::Behind { now, by, limit } if stored.is_some_and(|next| next > now && next <= limit) => {
                *stored = stored.map(|next| UnixMicros(next.0 + by));
            }
            _ => return Err(()),
        }
        stored.ok_or(())
    }

    fn reserve_through(
        stored: &mut Option<UnixMicros>,
        seen: Option<UnixMicros>,
        now: UnixMicros,
        n: u32,
        rate: Rate,
    ) -> Result<Slots, Duration> {
        let mut write = reserve(seen, now, n, rate);
        for _ in 0..3 {
            if let Ok(next) = apply(stored, write) {
                return Ok(Slots::ending_at(next, n, rate));
            }
            match refused(*stored, now, n, rate) {
                Refusal::Other(other) => write = other,
                Refusal::TooFar(wait) => return Err(wait),
            }
        }
        panic!("two cases, so two writes decide");
    }

    #[test]
    fn slots_follow_each_other_at_the_rate() {
        let (mut stored, rate, now) = (None, Rate::per_second(80), UnixMicros(1_000_000_000));
        let first = reserve_through(&mut stored, None, now, 100, rate).unwrap();
        let second = reserve_through(&mut stored, None, now, 100, rate).unwrap();
        assert_eq!(first.at(0), now);
        assert_eq!(first.at(1).0 - first.at(0).0, 12_500);
        assert_eq!(second.at(0).0 - first.at(99).0, 12_500);
    }

    #[test]
    fn a_slot_too_far_ahead_is_not_taken() {
        let (mut stored, rate, now) = (None, Rate::per_second(10), UnixMicros(0));
        reserve_through(&mut stored, None, now, 100, rate).unwrap();
        reserve_through(&mut stored, None, now, 100, rate).unwrap();
        assert_eq!(reserve_through(&mut stored, None, now, 100, rate), Err(Duration::from_secs(8)));
        assert_eq!(stored, Some(UnixMicros(20_000_000)), "a refusal reserves nothing");
    }

    #[test]
    fn an_idle_account_does_not_save_up_slots() {
        let (mut stored, rate) = (None, Rate::per_second(100));
        reserve_through(&mut stored, None, UnixMicros(0), 100, rate).unwrap();
        let later = UnixMicros(3_600_000_000);
        assert_eq!(reserve_through(&mut stored, None, later, 1, rate).unwrap().at(0), later);
    }

    proptest! {
        #[test]
        fn no_second_ever_holds_more_than_the_rate(
            rate in 1_u32..1_500,
            steps in prop::collection::vec((0_i64..400_000, 1_u32..120, any::<bool>()), 1..60),
        ) {
            let rate = Rate::per_second(rate);
            let (mut stored, mut now, mut slots) = (None, UnixMicros(1_790_000_000_000_000), Vec::new());
            for (pause, n, stale) in steps {
                now = UnixMicros(now.0 + pause);
                let seen = if stale { None } else { stored };
                if let Ok(reserved) = reserve_through(&mut stored, seen, now, n, rate) {
                    for i in 0..n {
                        prop_assert!(reserved.at(i) >= now);
                        slots.push(reserved.at(i).0);
                    }
                }
            }
            slots.sort_unstable();
            let most = usize::try_from(rate.0).unwrap();
            for window in slots.windows(most + 1) {
                prop_assert!(window[most] - window[0] >= 1_000_000);
            }
        }
    }
}
