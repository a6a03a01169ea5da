//! What Meta charges for messages: a dated rate card as data, and an estimate before a campaign is sent. What was in
//! fact charged comes with the statuses of the messages; nothing here is a bill.

pub mod budget;
mod card;
mod estimate;
pub mod ledger;
mod regions;

use std::fmt;

use serde::{Serialize, Serializer};

pub use self::card::{Market, Rate, dearest_rate, market_of, rate};
pub use self::estimate::{Estimate, charged_as, estimate};
pub use self::regions::{NOWHERE, Regions, estimate_regions, newest_card, regions_of};

/// The currency of all amounts here.
pub const CURRENCY: &str = "USD";

/// An amount of money in millionths of [`CURRENCY`]: sums are exact. Shown and serialised as a decimal (`"0.0618"`),
/// for a JSON number would be read as a binary fraction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Micros(pub u64);

impl Micros {
    /// The number of micro-units that a decimal such as `0.0618` stands for; `None` when it is not one, or has more
    /// than six decimal places.
    #[must_use]
    pub fn from_decimal(text: &str) -> Option<Self> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || fraction.len() > 6 || !digits(whole) || !digits(fraction) {
            return None;
        }
        let millionths: u64 = format!("{fraction:0<6}").parse().ok()?;
        whole.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(millionths).map(Self)
    }

    /// So many times the amount; an amount beyond all money stays there.
    #[must_use]
    pub const fn times(self, count: u64) -> Self {
        Self(self.0.saturating_mul(count))
    }

    /// The amount shared by so many, to a millionth and rounded down; `None` when there is nobody.
    #[must_use]
    pub const fn shared_by(self, people: u64) -> Option<Self> {
        match self.0.checked_div(people) {
            Some(share) => Some(Self(share)),
            None => None,
        }
    }

    /// Both amounts together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for Micros {
    /// With two decimal places, or as many more as the amount has.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fraction = format!("{:06}", self.0 % 1_000_000);
        let shown = fraction.trim_end_matches('0').len().max(2);
        write!(f, "{}.{}", self.0 / 1_000_000, &fraction[..shown])
    }
}

impl Serialize for Micros {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decimals_are_exact() {
        for (text, micros, shown) in [
            ("0.0618", 61_800, "0.0618"),
            ("0.02", 20_000, "0.02"),
            ("12", 12_000_000, "12.00"),
            ("0.000001", 1, "0.000001"),
        ] {
            assert_eq!(Micros::from_decimal(text), Some(Micros(micros)), "{text}");
            assert_eq!(Micros(micros).to_string(), shown);
        }
        for text in ["", ".5", "-1", "1e-3", "0.0000001", "1,5", "99999999999999999999"] {
            assert_eq!(Micros::from_decimal(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(micros: u64) {
            prop_assert_eq!(Micros::from_decimal(&Micros(micros).to_string()), Some(Micros(micros)));
        }
    }
}
