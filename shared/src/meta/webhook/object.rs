//! Reading one JSON object member by member, without deciding beforehand what its members must look like.
//!
//! Meta writes the same value as a number here and as a string there, drops keys, adds keys and changes shapes
//! without notice. So an object is first split into its members, each kept as the exact text it had, and every member
//! is then read on its own.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// 9999-12-31T23:59:59Z in seconds: what is above is not a time in seconds, and would overflow further on.
const LATEST_TIMESTAMP_S: i64 = 253_402_300_799;

/// Why an object cannot be read. It names keys, never values, so it may be logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// The text is no JSON object.
    #[error("not an object")]
    NotAnObject,
    /// The text is no JSON array.
    #[error("not an array")]
    NotAnArray,
    /// A member that is needed is absent or null.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A member has another type than expected, or text that cannot be read as what it should be.
    #[error("`{0}` cannot be read")]
    Unreadable(&'static str),
}

/// The members of a JSON object in their order, each with its exact text.
pub(super) struct Object<'a> {
    members: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> Object<'a> {
    /// Splits the text of an object.
    pub(super) fn read(raw: &'a RawValue) -> Result<Self, Fault> {
        serde_json::from_str(raw.get()).map_err(|_| Fault::NotAnObject)
    }

    /// All members, nulls included.
    pub(super) fn members(&self) -> impl Iterator<Item = (&str, &'a RawValue)> {
        self.members.iter().map(|(key, raw)| (key.as_ref(), *raw))
    }

    /// The text of one member. Null counts as absent; of a repeated key the last one counts, as in JavaScript.
    pub(super) fn get(&self, key: &str) -> Option<&'a RawValue> {
        let (_, raw) = self.members.iter().rev().find(|(name, _)| name == key)?;
        (raw.get() != "null").then_some(*raw)
    }

    /// An empty string counts as absent: older payloads write one where newer ones drop the key.
    fn checked_text<T: From<String>>(&self, key: &'static str) -> Result<Option<T>, Fault> {
        let Some(raw) = self.get(key) else { return Ok(None) };
        let text = scalar(raw.get()).ok_or(Fault::Unreadable(key))?;
        Ok((!text.is_empty()).then(|| T::from(text)))
    }

    /// Like [`Object::text`], for what the object is useless without.
    pub(super) fn required_text<T: From<String>>(&self, key: &'static str) -> Result<T, Fault> {
        self.checked_text(key)?.ok_or(Fault::Missing(key))
    }

    /// A string, or a number as it was written. What cannot be read is not worth losing the object for, and counts as
    /// absent.
    pub(super) fn text<T: From<String>>(&self, key: &'static str) -> Option<T> {
        self.checked_text(key).ok().flatten()
    }

    /// A whole number, also as a string or with a zero fraction.
    pub(super) fn integer(&self, key: &'static str) -> Option<i64> {
        integer_of(self.text::<String>(key)?.trim())
    }

    /// A number, also as a string.
    pub(super) fn number(&self, key: &'static str) -> Option<f64> {
        self.text::<String>(key)?.trim().parse().ok().filter(|number: &f64| number.is_finite())
    }

    /// Seconds since 1970, up to the year 9999.
    pub(super) fn timestamp(&self, key: &'static str) -> Option<i64> {
        self.integer(key).filter(|seconds| (0..=LATEST_TIMESTAMP_S).contains(seconds))
    }

    /// Like [`Object::timestamp`], for what the object is useless without.
    pub(super) fn required_timestamp(&self, key: &'static str) -> Result<i64, Fault> {
        let fault = if self.get(key).is_some() { Fault::Unreadable(key) } else { Fault::Missing(key) };
        self.timestamp(key).ok_or(fault)
    }

    /// A boolean, also as a string; anything else counts as absent.
    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        match self.get(key)?.get() {
            "true" | "\"true\"" | "1" => Some(true),
            "false" | "\"false\"" | "0" => Some(false),
            _ => None,
        }
    }

    /// A member that is an object; any other shape counts as absent.
    pub(super) fn object(&self, key: &str) -> Option<Object<'a>> {
        self.get(key).and_then(|raw| Object::read(raw).ok())
    }

    /// The objects in a member that is an array; elements of other shapes are passed over.
    pub(super) fn objects(&self, key: &str) -> Vec<Object<'a>> {
        let elements = self.get(key).and_then(|raw| elements(raw).ok()).unwrap_or_default();
        elements.into_iter().filter_map(|raw| Object::read(raw).ok()).collect()
    }
}

/// The texts of an array's elements.
pub(super) fn elements(raw: &RawValue) -> Result<Vec<&RawValue>, Fault> {
    serde_json::from_str(raw.get()).map_err(|_| Fault::NotAnArray)
}

fn scalar(json: &str) -> Option<String> {
    match json.as_bytes().first()? {
        b'"' => serde_json::from_str(json).ok(),
        b'-' | b'0'..=b'9' => Some(json.to_owned()),
        _ => None,
    }
}

fn integer_of(text: &str) -> Option<i64> {
    if let Ok(integer) = text.parse() {
        return Some(integer);
    }
    let number: f64 = text.parse().ok()?;
    // Above 2^53 a fraction could not be seen; nothing that is counted or dated comes near.
    (number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0).then_some(number as i64)
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(8);
                while let Some((Key(key), raw)) = map.next_entry()? {
                    members.push((key, raw));
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Members).map(|members| Object { members })
    }
}

/// An object's key, borrowed unless it contains an escape.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl<'de> Visitor<'de> for Text {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(text)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(Text)
    }
}
