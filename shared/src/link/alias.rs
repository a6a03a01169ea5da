//! Chosen ends of short links, such as `spring-sale`, in the same place of the path where codes are.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::code::Code;

/// Fewest and most characters.
const LENGTHS: std::ops::RangeInclusive<usize> = 3..=64;

/// A chosen end of a short link: 3 to 64 of `A-Z`, `a-z`, `0-9`, `_` and `-`; capitals and small letters differ. Never of the
/// shape of a code, so that what is a code stays decidable without a look-up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LinkAlias(String);

/// A text that cannot be an alias.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnAlias {
    /// Other characters, too few or too many.
    #[error("must be 3 to 64 letters, digits, hyphens and underscores")]
    Malformed,
    /// It looks like a code.
    #[error("must not be 12 letters and digits: these are the codes")]
    LikeACode,
}

impl LinkAlias {
    /// Takes a path segment as it came.
    ///
    /// # Errors
    /// [`NotAnAlias`].
    pub fn parse(text: &str) -> Result<Self, NotAnAlias> {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if !LENGTHS.contains(&text.len()) || !text.bytes().all(known) {
            return Err(NotAnAlias::Malformed);
        }
        if Code::parse(text).is_ok() {
            return Err(NotAnAlias::LikeACode);
        }
        Ok(Self(text.to_owned()))
    }

    /// The characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LinkAlias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for LinkAlias {
    type Error = NotAnAlias;

    fn try_from(text: String) -> Result<Self, NotAnAlias> {
        Self::parse(&text)
    }
}

impl From<LinkAlias> for String {
    fn from(alias: LinkAlias) -> Self {
        alias.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_is_never_a_code() {
        for text in ["spring-sale", "abc", "Spring_2026", "a-b-c-d-e-f1", "abcdefghijk", "abcdefghijklm"] {
            assert_eq!(LinkAlias::parse(text).map(String::from), Ok(text.to_owned()));
            assert!(Code::parse(text).is_err());
        }
        assert_eq!(LinkAlias::parse("abcdefghijkl"), Err(NotAnAlias::LikeACode));
        for text in ["", "ab", "a b c", "spring/sale", "frühling", "robots.txt", &"a".repeat(65)] {
            assert_eq!(LinkAlias::parse(text), Err(NotAnAlias::Malformed), "{text}");
        }
    }
}
