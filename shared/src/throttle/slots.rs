//! Slots: evenly spaced moments at which messages leave.

use serde::{Deserialize, Serialize};

use crate::time::UnixMillis;

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixMicros(pub i64);

impl UnixMicros {
    /// The present.
    #[must_use]
    pub fn now() -> Self {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }

    /// From milliseconds.
    #[must_use]
    pub const fn from_millis(at: UnixMillis) -> Self {
        Self(at.0.saturating_mul(1_000))
    }

    /// The millisecond that holds it.
    #[must_use]
    pub const fn floor_millis(self) -> UnixMillis {
        UnixMillis(self.0.div_euclid(1_000))
    }

    /// To milliseconds, rounded up: a slot is never early.
    #[must_use]
    pub const fn to_millis(self) -> UnixMillis {
        UnixMillis(self.0.div_euclid(1_000) + if self.0.rem_euclid(1_000) == 0 { 0 } else { 1 })
    }
}

/// A second of the rate, in microseconds: half a percent longer than the clock's. Messages reach Meta some milliseconds
/// after their slots, some sooner and some later; the half percent keeps that from putting one message too many into one
/// of Meta's seconds.
const SECOND_MICROS: u64 = 1_005_000;

/// Messages a second, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate(u32);

impl Rate {
    /// So many messages a second; zero is taken as one.
    #[must_use]
    pub const fn per_second(messages: u32) -> Self {
        Self(if messages == 0 { 1 } else { messages })
    }

    /// Time that `n` messages take, in microseconds, rounded up: never faster than the rate.
    #[must_use]
    pub const fn span_micros(self, n: u32) -> i64 {
        (n as u64 * SECOND_MICROS).div_ceil(self.0 as u64).cast_signed()
    }

    /// Whole messages that fit into so many microseconds.
    #[must_use]
    pub fn messages_in(self, micros: i64) -> u32 {
        let messages = u128::from(micros.max(0).unsigned_abs()) * u128::from(self.0) / u128::from(SECOND_MICROS);
        u32::try_from(messages).unwrap_or(u32::MAX)
    }
}

/// Slots that were reserved: message `i` of `len` leaves at [`Slots::at`]`(i)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slots {
    first: UnixMicros,
    len: u32,
    rate: Rate,
}

impl Slots {
    /// `len` slots from `first` on.
    #[must_use]
    pub const fn starting_at(first: UnixMicros, len: u32, rate: Rate) -> Self {
        Self { first, len, rate }
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.len
    }

    /// The first `n` of them, or all.
    #[must_use]
    pub fn first(self, n: u32) -> Self {
        Self { len: self.len.min(n), ..self }
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// When message `i`, from 0, leaves.
    #[must_use]
    pub const fn at(&self, i: u32) -> UnixMicros {
        UnixMicros(self.first.0 + self.rate.span_micros(i))
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = UnixMicros> + use<> {
        let slots = *self;
        (0..slots.len).map(move |i| slots.at(i))
    }
}
