//! Patterns of event types: `message.read`, `message.*` for all that begin so, `*` for all.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest pattern, in characters.
const MAX_CHARS: usize = 128;

/// Which types of events are meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pattern {
    /// Every type.
    All,
    /// Types that begin with this and a dot.
    Below(String),
    /// This type.
    One(String),
}

/// A text that is no pattern.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("must be a type of event such as message.read, message.* for all that begin so, or * for all")]
pub struct MalformedPattern;

impl Pattern {
    /// Whether a type of event is meant.
    #[must_use]
    pub fn fits(&self, kind: &str) -> bool {
        match self {
            Self::All => true,
            Self::Below(start) => kind.strip_prefix(start.as_str()).is_some_and(|rest| rest.starts_with('.')),
            Self::One(one) => one == kind,
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Below(start) => write!(f, "{start}.*"),
            Self::One(one) => f.write_str(one),
        }
    }
}

impl FromStr for Pattern {
    type Err = MalformedPattern;

    fn from_str(text: &str) -> Result<Self, MalformedPattern> {
        // Operators name events of their own as they like, so only what could not be one is refused.
        let is_name = |name: &str| {
            !name.is_empty()
                && name.chars().count() <= MAX_CHARS
                && !name.chars().any(|c| c == '*' || c.is_whitespace() || c.is_control())
                && !name.split('.').any(str::is_empty)
        };
        match text.strip_suffix(".*") {
            _ if text == "*" => Ok(Self::All),
            Some(start) if is_name(start) => Ok(Self::Below(start.to_owned())),
            None if is_name(text) => Ok(Self::One(text.to_owned())),
            _ => Err(MalformedPattern),
        }
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_means_one_type_all_below_a_name_or_all() {
        for (pattern, kind, expected) in [
            ("*", "message.read", true),
            ("message.*", "message.read", true),
            ("message.*", "message.template.paused", true),
            ("message.*", "messages.read", false),
            ("message.*", "message", false),
            ("message.template.*", "message.read", false),
            ("message.read", "message.read", true),
            ("message.read", "message.reading", false),
            ("purchase", "purchase", true),
            ("Заказ.оплачен", "Заказ.оплачен", true),
        ] {
            let parsed: Pattern = pattern.parse().unwrap();
            assert_eq!(parsed.fits(kind), expected, "{pattern} {kind}");
            assert_eq!(parsed.to_string(), pattern);
        }
    }

    #[test]
    fn what_could_be_no_type_is_refused() {
        let long = "a".repeat(MAX_CHARS + 1);
        for text in ["", ".", ".*", "*.read", "message*", "message.", "a..b", "a b", "**", "*.*", "a\n", &long] {
            assert_eq!(text.parse::<Pattern>(), Err(MalformedPattern), "{text:?}");
        }
    }
}
