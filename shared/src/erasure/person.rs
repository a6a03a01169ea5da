//! By what a person is known, and whether a text names them.

use std::collections::BTreeSet;

use aho_corasick::AhoCorasick;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::id::ContactId;
use crate::phone::wa_id_variants;

/// Everything by which a person is known. Its `Debug` shows nothing.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Contacts of ours.
    #[serde(default)]
    pub contacts: BTreeSet<ContactId>,
    /// Phone numbers as digits, in any form.
    #[serde(default)]
    pub digits: BTreeSet<String>,
    /// Meta's ids of the person, e-mail addresses, anonymous ids of web pages.
    #[serde(default)]
    pub others: BTreeSet<String>,
}

impl std::fmt::Debug for Person {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Person(…)")
    }
}

/// The shortest text that a person is searched by: what is shorter would be found by chance.
const SHORTEST: usize = 5;

/// More people than one search can hold: millions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many people for one search")]
pub struct TooManyNames;

/// Finds people in texts.
pub struct Names {
    automaton: AhoCorasick,
}

impl Names {
    /// Finds these people.
    ///
    /// # Errors
    /// [`TooManyNames`].
    pub fn of<'a>(people: impl IntoIterator<Item = &'a Person>) -> Result<Self, TooManyNames> {
        let mut names = BTreeSet::new();
        for person in people {
            names.extend(person.contacts.iter().map(ContactId::to_string));
            names.extend(person.digits.iter().flat_map(|digits| wa_id_variants(digits)));
            names.extend(person.others.iter().cloned());
        }
        names.retain(|name| name.len() >= SHORTEST);
        let automaton = AhoCorasick::builder().ascii_case_insensitive(true).build(names).map_err(|_| TooManyNames)?;
        Ok(Self { automaton })
    }

    /// Whether the text names one of them: as a word of its own, and not as a part of a longer number, id or address.
    #[must_use]
    pub fn are_in(&self, text: &str) -> bool {
        self.are_plainly_in(text.as_bytes())
            || (text.contains("wamid.") && self.are_in_message_ids(text))
            || (text.contains("\\u00") && self.are_plainly_in(unescaped(text).as_bytes()))
    }

    fn are_plainly_in(&self, text: &[u8]) -> bool {
        self.automaton.find_overlapping_iter(text).any(|found| {
            let before = found.start().checked_sub(1).and_then(|at| text.get(at));
            let after = text.get(found.end());
            let goes_on = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
            !goes_on(before) && !goes_on(after)
        })
    }

    /// Meta's message ids hold the number of the person in Base64 (observed; Meta does not document it).
    fn are_in_message_ids(&self, text: &str) -> bool {
        text.split("wamid.").skip(1).any(|rest| {
            let is_base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/');
            let encoded = &rest[..rest.find(|c| !is_base64(c)).unwrap_or(rest.len())];
            // Up to three letters at the end may be what is left of a cut id.
            (0..4.min(encoded.len())).any(|cut| {
                let decoded = STANDARD_NO_PAD.decode(&encoded[..encoded.len() - cut]);
                decoded.is_ok_and(|bytes| self.automaton.is_match(&bytes))
            })
        })
    }
}

/// The text without JSON's escapes of ASCII characters: Meta writes `@` and `/` so.
fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\\u00") {
        plain.push_str(&rest[..at]);
        let code = rest.get(at + 4..at + 6).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match code.filter(u8::is_ascii) {
            Some(byte) => {
                plain.push(char::from(byte));
                rest = &rest[at + 6..];
            }
            None => {
                plain.push_str("\\u00");
                rest = &rest[at + 4..];
            }
        }
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names::of([&Person {
            contacts: ["ctc_01J00000000000000000000000".parse().unwrap()].into(),
            digits: ["5511987654321".to_owned()].into(),
            others: ["US.13491208655302741918".to_owned(), "aisha@example.com".to_owned()].into(),
        }])
        .unwrap()
    }

    #[test]
    fn a_person_is_found_under_every_name() {
        for text in [
            "5511987654321",
            "+5511987654321",
            "WS#x#ALIAS#PHONE#551187654321",
            "ctc_01J00000000000000000000000",
            "{\"from_user_id\":\"US.13491208655302741918\"}",
            "Mail AISHA@example.com.",
            r"aisha\u0040example.com",
            "wamid.HBgNNTUxMTk4NzY1NDMyMRUCABEYEjA5",
        ] {
            assert!(names().are_in(text), "{text}");
        }
    }

    #[test]
    fn others_are_not() {
        for text in [
            "55119876543210",
            "15511987654321",
            "5511987654322",
            "xaisha@example.com",
            "aisha@example.community",
            "ctc_01J00000000000000000000001",
            "wamid.HBgNNTUxMTk4NzY1NDMyMhUCABEYEjA5",
            r"\u00",
            "",
        ] {
            assert!(!names().are_in(text), "{text}");
        }
    }

    #[test]
    fn nothing_is_found_by_chance_for_somebody_who_is_hardly_known() {
        let person = Person { others: ["a".to_owned()].into(), ..Person::default() };
        assert!(!Names::of([&person]).unwrap().are_in("a"));
        assert_eq!(format!("{person:?}"), "Person(…)");
    }
}
