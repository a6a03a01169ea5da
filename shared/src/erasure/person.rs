//! By what a person is known, and whether a text names them.
//!
//! A stranger's web page chooses what it calls a browser, so such an id may be any word: `account`, a campaign's name, the
//! host of a shop. Only what cannot stand anywhere by chance is looked for as a word (numbers, contacts, e-mail addresses,
//! long random ids); any other id is the person's only where a field or a key says that it is an id of a person.

use std::collections::{BTreeSet, HashSet};

use aho_corasick::AhoCorasick;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Deserializer, Value};

use super::record::names_in;
use crate::contact::alias::Kind;
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

/// The shortest word that a person is searched by: what is shorter would be found by chance.
const SHORTEST: usize = 5;

/// Letters and digits that an id has at least which is searched as a word.
const SHORTEST_OPAQUE: usize = 16;

/// Fields that hold an id of a person, whatever it looks like; those that end with `user_id` do as well.
const IDENTITIES: [&str; 4] = ["anonymous_id", "bsuid", "email", "alias"];

/// Fields that hold a key of the table.
const KEYS: [&str; 3] = ["pk", "sk", "list"];

/// Kinds of [`Person::others`].
const OTHERS: [Kind; 3] = [Kind::Anon, Kind::Bsuid, Kind::Email];

/// More people than one search can hold: millions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many people for one search")]
pub struct TooManyNames;

/// Finds people in texts.
pub struct Names {
    /// What is found as a word.
    automaton: AhoCorasick,
    /// What is found as a whole value: other ids, and each with its kind.
    whole: HashSet<String>,
    /// Whether a JSON text may have one of those as a value.
    values: AhoCorasick,
}

impl Names {
    /// Finds these people.
    ///
    /// # Errors
    /// [`TooManyNames`].
    pub fn of<'a>(people: impl IntoIterator<Item = &'a Person>) -> Result<Self, TooManyNames> {
        let (mut words, mut whole, mut values) = (BTreeSet::new(), HashSet::new(), BTreeSet::new());
        for person in people {
            words.extend(person.contacts.iter().map(ContactId::to_string));
            words.extend(person.digits.iter().flat_map(|digits| wa_id_variants(digits)));
            for other in &person.others {
                if is_a_word(other) {
                    words.insert(other.clone());
                }
                values.extend([format!("\"{other}"), format!("#{other}")]);
                whole.extend(OTHERS.map(|kind| format!("{}#{other}", kind.name())));
                whole.insert(other.clone());
            }
        }
        words.retain(|name| name.len() >= SHORTEST);
        let automaton = AhoCorasick::builder().ascii_case_insensitive(true).build(words).map_err(|_| TooManyNames)?;
        let values = AhoCorasick::new(values).map_err(|_| TooManyNames)?;
        Ok(Self { automaton, whole, values })
    }

    /// Whether the text names one of them: as a word of its own, and not as a part of a longer number, id or address.
    #[must_use]
    pub fn are_in(&self, text: &str) -> bool {
        self.are_plainly_in(text.as_bytes())
            || (text.contains("wamid.") && self.are_in_message_ids(text))
            || (text.contains("\\u00") && self.are_plainly_in(unescaped(text).as_bytes()))
    }

    /// Whether the value of this field names one of them: in its text, by being an id of theirs, or in the JSON that it is.
    #[must_use]
    pub fn are_in_value(&self, field: &str, text: &str) -> bool {
        if KEYS.contains(&field) {
            return self.are_in_key(text);
        }
        let may_be_an_id = IDENTITIES.contains(&field) || field.ends_with("user_id") || text.contains('#');
        (may_be_an_id && self.whole.contains(text)) || self.are_in_text(text)
    }

    /// Whether a key of the table names one of them: its constant parts name nobody.
    #[must_use]
    pub fn are_in_key(&self, key: &str) -> bool {
        let is_tagged = |kind: Kind| {
            let tags = key.match_indices(kind.name()).map(|(at, _)| key.split_at(at));
            tags.into_iter().any(|(before, tag)| {
                (before.is_empty() || before.ends_with('#')) && tag.contains('#') && self.whole.contains(tag)
            })
        };
        self.are_in(key) || OTHERS.into_iter().any(is_tagged)
    }

    /// Whether a text names one of them that may be JSON, or lines of it.
    #[must_use]
    pub fn are_in_text(&self, text: &str) -> bool {
        self.are_in(text) || self.are_in_json(text)
    }

    /// Whether it is worth reading a JSON text to see whether it names one of them.
    #[must_use]
    pub fn may_be_in(&self, text: &str) -> bool {
        self.are_in(text) || self.values.is_match(text)
    }

    fn are_in_json(&self, text: &str) -> bool {
        let is_json = text.trim_start().starts_with(['{', '[']);
        is_json && self.values.is_match(text) && {
            let documents = Deserializer::from_str(text).into_iter::<Value>();
            documents.map_while(Result::ok).any(|document| names_in(self, &document))
        }
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

/// Whether an id can be nothing else wherever it stands: an e-mail address, a user id of Meta's in its usual form, or a long
/// hexadecimal one such as a UUID. Ids of ours, names of hosts and of campaigns, and times may be longer, and are none.
fn is_a_word(id: &str) -> bool {
    let count = |is: fn(&u8) -> bool| id.bytes().filter(is).count();
    let digits = count(u8::is_ascii_digit);
    let is_random = id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
        && count(u8::is_ascii_hexdigit) >= SHORTEST_OPAQUE
        && count(u8::is_ascii_alphabetic) > 0;
    let of_meta = id.split_once('.').map(|(country, rest)| (country, rest.strip_prefix("ENT.").unwrap_or(rest)));
    let is_of_meta = of_meta.is_some_and(|(country, rest)| {
        country.len() == 2
            && country.bytes().all(|byte| byte.is_ascii_uppercase())
            && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && id.len() >= SHORTEST_OPAQUE
            && digits * 2 >= rest.len()
    });
    id.contains('@') || (digits > 0 && (is_random || is_of_meta))
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

    #[test]
    fn an_id_that_a_stranger_has_chosen_is_found_where_ids_are_and_nowhere_else() {
        let strangers = [
            "account",
            "guest",
            "CONTACT",
            "message.delivered",
            "www.shop24.example",
            "black-friday-2026",
            "2026-11-21T12:00:00",
            "wsp_00000000000000000000000001",
            "1065403522429225",
        ];
        for id in strangers {
            let person = Person { others: [id.to_owned()].into(), ..Person::default() };
            let names = Names::of([&person]).unwrap();
            let chance =
                format!(r#"{{"type":"{id}","name":"{id}","said":"see {id}.","{id}":1,"url":"https://{id}/x"}}"#);
            assert!(!names.are_in(id) && !names.are_in_text(&chance) && !names.are_in_value("type", id), "{id}");
            assert!(!names.are_in_key(&format!("WS#{id}#{id}#x")) && !names.are_in_value("pk", id), "{id}");
            for (field, text) in [
                ("anonymous_id", id.to_owned()),
                ("linked", format!("ANON#{id}")),
                ("pk", format!("WS#w#ALIAS#ANON#{id}")),
                ("sk", format!("ANON#{id}")),
                ("body", format!(r#"[{{"contact":{{"anonymous_id":"{id}"}}}}]"#)),
                ("body", format!("{{}}\n{}", serde_json::json!({"x": format!(r#"{{"anonymous_id":"{id}"}}"#)}))),
            ] {
                assert!(names.are_in_value(field, &text), "{field}: {text}");
            }
        }
    }
}
