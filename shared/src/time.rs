//! Points in time. The rules never read a clock: the time comes in as an argument, and only `UnixMillis::now` asks.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Milliseconds since 1970-01-01T00:00:00Z. Stored as a number; shown by the API as RFC 3339 (see [`rfc3339`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixMillis(pub i64);

impl UnixMillis {
    /// The machine's clock.
    #[must_use]
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    /// From Meta's whole seconds.
    #[must_use]
    pub const fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000))
    }

    /// This moment, `later` on.
    #[must_use]
    pub fn plus(self, later: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(later.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long from `earlier` to this moment; zero when it is not later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Whole seconds, as DynamoDB's TTL attribute wants them.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// `2026-11-21T01:23:45.678Z`; the epoch if the number is outside what a calendar holds.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        let at = jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        format!("{at:.3}")
    }

    /// The day in UTC, `2026-11-21`.
    #[must_use]
    pub fn date(self) -> String {
        self.to_rfc3339()[..10].to_owned()
    }
}

/// Times of the API: RFC 3339 in UTC with milliseconds. For `#[serde(with = "rfc3339")]`.
pub mod rfc3339 {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::UnixMillis;

    /// Writes `2026-11-21T01:23:45.678Z`.
    ///
    /// # Errors
    /// Only the serializer's own.
    pub fn serialize<S: Serializer>(at: &UnixMillis, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&at.to_rfc3339())
    }

    /// Reads any RFC 3339 time with an offset.
    ///
    /// # Errors
    /// When the text is not such a time.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<UnixMillis, D::Error> {
        let text = String::deserialize(deserializer)?;
        let at: jiff::Timestamp =
            text.parse().map_err(|_| serde::de::Error::custom("expected a time such as 2026-11-21T09:30:00Z"))?;
        Ok(UnixMillis(at.as_millisecond()))
    }

    /// The same for a time that may be absent (`null`).
    pub mod option {
        use serde::{Deserialize, Deserializer, Serializer};

        use crate::time::UnixMillis;

        /// Writes the time or `null`.
        ///
        /// # Errors
        /// Only the serializer's own.
        #[allow(clippy::ref_option, reason = "serde's `with` fixes the signature")]
        pub fn serialize<S: Serializer>(at: &Option<UnixMillis>, serializer: S) -> Result<S::Ok, S::Error> {
            match at {
                Some(at) => super::serialize(at, serializer),
                None => serializer.serialize_none(),
            }
        }

        /// Reads a time or `null`.
        ///
        /// # Errors
        /// When the text is not a time.
        pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<UnixMillis>, D::Error> {
            #[derive(Deserialize)]
            struct Wrapped(#[serde(with = "super")] UnixMillis);
            Ok(Option::<Wrapped>::deserialize(deserializer)?.map(|Wrapped(at)| at))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_in_utc_with_milliseconds() {
        assert_eq!(UnixMillis(1_790_000_000_000).to_rfc3339(), "2026-09-21T14:13:20.000Z");
        assert_eq!(UnixMillis(1_790_000_000_007).to_rfc3339(), "2026-09-21T14:13:20.007Z");
        assert_eq!(UnixMillis(1_790_000_000_007).date(), "2026-09-21");
    }

    #[test]
    fn a_time_with_an_offset_is_read() {
        #[derive(Deserialize)]
        struct Body {
            #[serde(with = "rfc3339")]
            at: UnixMillis,
        }
        let body: Body = serde_json::from_str(r#"{"at":"2026-09-21T22:13:20+08:00"}"#).unwrap();
        assert_eq!(body.at, UnixMillis(1_790_000_000_000));
    }

    #[test]
    fn a_difference_is_never_negative() {
        assert_eq!(UnixMillis(5).since(UnixMillis(9)), Duration::ZERO);
        assert_eq!(UnixMillis(9).since(UnixMillis(5)), Duration::from_millis(4));
    }
}
