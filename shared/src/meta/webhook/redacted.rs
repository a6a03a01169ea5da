//! A wrapper for what must never reach a log: message texts, names, phone numbers, user ids, and message ids (a wamid
//! contains the phone number). Because the fields themselves are wrapped, every type around them can derive `Debug`.

use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Serialize};

/// Personal content. `Debug` prints `[redacted]` and there is no `Display`; `Serialize` writes the value, since
/// storing is the point of having it.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Redacted<T>(T);

impl<T> Redacted<T> {
    /// Wraps a value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// Takes the value out, and with it the duty not to log it.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Redacted<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl From<String> for Redacted<String> {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl<T> fmt::Debug for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
