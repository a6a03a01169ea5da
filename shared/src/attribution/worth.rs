//! What conversions were worth, as exact sums: an amount is a whole number of billionths of its currency's main unit.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Serialize, Serializer};

use super::share::split;
use crate::attempt::Money;

/// Decimal places that are kept: the smallest amount that [`Money::check`] lets through.
const PLACES: usize = 9;

/// Billionths in a unit.
const UNIT: u128 = 1_000_000_000;

/// An amount in billionths of a currency's main unit. Shown and serialised as a decimal (`"49.90"`), for a JSON number would
/// be read as a binary fraction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Worth(pub u128);

/// Amounts by currency (ISO 4217).
pub type Worths = BTreeMap<String, Worth>;

impl Worth {
    /// The amount of money that was told; `None` for what is none, such as a negative one.
    #[must_use]
    pub fn of(money: &Money) -> Option<Self> {
        Self::from_decimal(&money.amount.to_string())
    }

    /// Reads a decimal as JSON writes it, `49.9` or `1e-7`. What lies behind the ninth decimal place is rounded.
    fn from_decimal(text: &str) -> Option<Self> {
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = format!("{whole}{fraction}");
        if whole.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let shift = exponent.parse::<i32>().ok()?.checked_add(i32::try_from(PLACES).ok()?)?;
        let shift = shift.checked_sub(i32::try_from(fraction.len()).ok()?)?;
        let power = 10_u128.checked_pow(shift.unsigned_abs());
        let digits: u128 = digits.parse().ok()?;
        if shift >= 0 {
            return digits.checked_mul(power?).map(Self);
        }
        // So small that its power of ten is larger than any number here: nothing is left of it.
        Some(power.map_or(Self(0), |power| Self(digits / power + u128::from(digits % power * 2 >= power))))
    }

    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The amount shared out in proportion to the weights; the shares add up to it exactly ([`split`]).
    #[must_use]
    pub fn shared(self, weights: &[u32]) -> Vec<Self> {
        split(self.0, weights).into_iter().map(Self).collect()
    }
}

impl fmt::Display for Worth {
    /// With two decimal places, or as many more as the amount has.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fraction = format!("{:0PLACES$}", self.0 % UNIT);
        let shown = fraction.trim_end_matches('0').len().max(2);
        write!(f, "{}.{}", self.0 / UNIT, &fraction[..shown])
    }
}

impl Serialize for Worth {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn worth(amount: f64) -> Option<Worth> {
        let amount = serde_json::Number::from_f64(amount).unwrap();
        Worth::of(&Money { amount, currency: "MYR".to_owned() })
    }

    #[test]
    fn an_amount_is_the_decimal_that_was_written() {
        for (amount, shown) in [
            (49.9, "49.90"),
            (0.1 + 0.2, "0.30"),
            (1e-9, "0.000000001"),
            (1e-12, "0.00"),
            (1e-300, "0.00"),
            (999_999_999_999_999.0, "999999999999999.00"),
            (0.0, "0.00"),
        ] {
            assert_eq!(worth(amount).unwrap().to_string(), shown);
        }
        assert_eq!(Worth::from_decimal("1.5e+2"), Some(Worth(150 * UNIT)));
        for wrong in ["-1", "", ".5", "1e", "x", "1e99", "1,5"] {
            assert_eq!(Worth::from_decimal(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back(billionths in 0_u128..=u128::MAX / 10) {
            prop_assert_eq!(Worth::from_decimal(&Worth(billionths).to_string()), Some(Worth(billionths)));
        }
    }
}
