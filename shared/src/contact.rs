//! Contacts: the people a business writes to, and what each has agreed to. A contact's id is ours; a phone number is one
//! of the names under which a person is known, and consent belongs to the number. The rows are in `store`.

pub mod alias;
pub mod family;
pub mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{ContactId, ImportId};
use crate::phone::PhoneNumber;
use crate::time::UnixMillis;

/// Most attributes of a contact, so that its row stays small.
pub const MAX_ATTRIBUTES: usize = 50;

/// Most tags of a contact.
pub const MAX_TAGS: usize = 50;

/// Longest name, e-mail address, persona, tag and name of an attribute, in characters.
pub const MAX_TEXT_CHARS: usize = 256;

/// Longest value of an attribute, in characters.
pub const MAX_VALUE_CHARS: usize = 1_024;

/// A person, as stored. Its `Debug` shows the id only.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// Version of the stored shape.
    pub v: u8,
    /// Its id.
    pub id: ContactId,
    /// The number to write to, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<PhoneNumber>,
    /// The person's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The person's e-mail address as given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// What fills placeholders, by name.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// Words to find groups of people by.
    #[serde(default)]
    pub tags: BTreeSet<String>,
    /// The kind of customer, in the operator's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persona: Option<String>,
    /// Whom it was found to be the same person as. Its identifiers and events still name it; readers follow this mark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merged_into: Option<MergedInto>,
    /// The contacts that bear this one's id in their `merged_into`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub absorbed: BTreeSet<ContactId>,
    /// Since when it is being deleted: nothing more is added to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<UnixMillis>,
    /// The import that made it; so a line that is imported again after a crash is still the one that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<ImportId>,
    /// Counts the changes, so that of two at the same time none is lost.
    pub revision: u32,
    /// When it was made.
    pub created_at: UnixMillis,
    /// When it last changed.
    pub updated_at: UnixMillis,
}

/// A contact's mark that it is the same person as another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergedInto {
    /// The other.
    pub into: ContactId,
    /// When that was found.
    pub at: UnixMillis,
}

impl fmt::Debug for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Contact({})", self.id)
    }
}

/// What is known of a person, to be added to what was known before.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ContactPatch {
    /// Replaces the number when given.
    pub phone: Option<PhoneNumber>,
    /// Replaces the name when given.
    pub name: Option<String>,
    /// Replaces the e-mail address when given.
    pub email: Option<String>,
    /// Each replaces the attribute of its name; the others stay.
    pub attributes: BTreeMap<String, String>,
    /// Added to the tags.
    pub tags: BTreeSet<String>,
    /// Replaces the persona when given.
    pub persona: Option<String>,
}

impl fmt::Debug for ContactPatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ContactPatch(…)")
    }
}

/// Why a contact cannot take something in; the text itself is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TooMuch {
    /// Of [`MAX_ATTRIBUTES`].
    #[error("a contact has at most {MAX_ATTRIBUTES} attributes")]
    Attributes,
    /// Of [`MAX_TAGS`].
    #[error("a contact has at most {MAX_TAGS} tags")]
    Tags,
    /// Of [`MAX_TEXT_CHARS`].
    #[error("name, email, persona, tags and names of attributes have 1 to {MAX_TEXT_CHARS} characters")]
    Text,
    /// Of [`MAX_VALUE_CHARS`].
    #[error("the value of an attribute has at most {MAX_VALUE_CHARS} characters")]
    Value,
}

impl ContactPatch {
    /// Whether a contact can hold it.
    ///
    /// # Errors
    /// [`TooMuch`].
    pub fn check(&self) -> Result<(), TooMuch> {
        if self.attributes.len() > MAX_ATTRIBUTES {
            return Err(TooMuch::Attributes);
        }
        if self.tags.len() > MAX_TAGS {
            return Err(TooMuch::Tags);
        }
        let texts = [&self.name, &self.email, &self.persona].into_iter().flatten();
        let texts = texts.chain(&self.tags).chain(self.attributes.keys());
        if texts.map(|text| text.chars().count()).any(|length| !(1..=MAX_TEXT_CHARS).contains(&length)) {
            return Err(TooMuch::Text);
        }
        if self.attributes.values().any(|value| value.chars().count() > MAX_VALUE_CHARS) {
            return Err(TooMuch::Value);
        }
        Ok(())
    }
}

impl Contact {
    /// A contact of whom nothing is known yet.
    #[must_use]
    pub const fn new(id: ContactId, now: UnixMillis) -> Self {
        Self {
            v: 1,
            id,
            phone: None,
            name: None,
            email: None,
            attributes: BTreeMap::new(),
            tags: BTreeSet::new(),
            persona: None,
            merged_into: None,
            absorbed: BTreeSet::new(),
            deleted_at: None,
            created_by: None,
            revision: 0,
            created_at: now,
            updated_at: now,
        }
    }

    /// The contact with what the patch knows; the same when that is nothing new.
    ///
    /// # Errors
    /// [`TooMuch`] when it would hold too many tags or attributes.
    pub fn with(&self, patch: &ContactPatch, now: UnixMillis) -> Result<Self, TooMuch> {
        let mut next = self.clone();
        next.phone = patch.phone.clone().or(next.phone);
        next.name = patch.name.clone().or(next.name);
        next.email = patch.email.clone().or(next.email);
        next.persona = patch.persona.clone().or(next.persona);
        next.attributes.extend(patch.attributes.clone());
        next.tags.extend(patch.tags.iter().cloned());
        if next.attributes.len() > MAX_ATTRIBUTES {
            return Err(TooMuch::Attributes);
        }
        if next.tags.len() > MAX_TAGS {
            return Err(TooMuch::Tags);
        }
        if next != *self {
            next.updated_at = now;
        }
        Ok(next)
    }
}

/// A person's word for or against messages, and how we know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    /// When it was given.
    #[serde(with = "crate::time::rfc3339")]
    pub at: UnixMillis,
    /// How we know: `reply`, `whatsapp` (Meta told us), `import`, or what the operator says.
    pub source: String,
}

/// What the owner of a number has agreed to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Consent {
    /// Who that is.
    pub contact: Option<ContactId>,
    /// The latest word for messages.
    pub opt_in: Option<Word>,
    /// The latest word against them.
    pub opt_out: Option<Word>,
    /// Since when the number is known to us.
    pub known_since: UnixMillis,
}

impl Consent {
    /// Whether messages are unwelcome: of a yes and a no at the same time the no counts.
    #[must_use]
    pub fn is_opted_out(&self) -> bool {
        match (&self.opt_in, &self.opt_out) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(yes), Some(no)) => no.at >= yes.at,
        }
    }

    /// Whether messages were asked for and not refused since.
    #[must_use]
    pub fn is_opted_in(&self) -> bool {
        self.opt_in.is_some() && !self.is_opted_out()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(at: i64) -> Option<Word> {
        Some(Word { at: UnixMillis(at), source: "reply".to_owned() })
    }

    fn consent(yes: Option<i64>, no: Option<i64>) -> Consent {
        Consent { opt_in: yes.and_then(word), opt_out: no.and_then(word), ..Consent::default() }
    }

    #[test]
    fn the_later_word_counts_and_of_two_at_once_the_no() {
        let states = [
            (None, None, false, false),
            (Some(5), None, true, false),
            (None, Some(5), false, true),
            (Some(5), Some(6), false, true),
            (Some(6), Some(5), true, false),
            (Some(5), Some(5), false, true),
        ];
        for (yes, no, opted_in, opted_out) in states {
            let consent = consent(yes, no);
            assert_eq!((consent.is_opted_in(), consent.is_opted_out()), (opted_in, opted_out), "{yes:?} {no:?}");
        }
    }

    #[test]
    fn a_patch_adds_and_takes_nothing_away() {
        let id = ContactId::new(UnixMillis(1));
        let text = |text: &str| Some(text.to_owned());
        let first = ContactPatch {
            name: text("Aisha"),
            attributes: [("city".to_owned(), "Ipoh".to_owned()), ("size".to_owned(), "M".to_owned())].into(),
            tags: ["vip".to_owned()].into(),
            ..ContactPatch::default()
        };
        let second = ContactPatch {
            email: text("a@example.com"),
            attributes: [("size".to_owned(), "L".to_owned())].into(),
            tags: ["march".to_owned()].into(),
            ..ContactPatch::default()
        };
        let contact = Contact::new(id, UnixMillis(1)).with(&first, UnixMillis(2)).unwrap();
        let contact = contact.with(&second, UnixMillis(3)).unwrap();
        assert_eq!((contact.name.as_deref(), contact.email.as_deref()), (Some("Aisha"), Some("a@example.com")));
        assert_eq!((&*contact.attributes["city"], &*contact.attributes["size"]), ("Ipoh", "L"));
        assert_eq!(contact.tags.len(), 2);
        assert_eq!(contact.with(&second, UnixMillis(9)).unwrap(), contact, "nothing new changes nothing");
    }

    #[test]
    fn a_contact_holds_only_so_much() {
        let tags = |from: usize, to: usize| ContactPatch {
            tags: (from..to).map(|n| n.to_string()).collect(),
            ..ContactPatch::default()
        };
        let full =
            Contact::new(ContactId::new(UnixMillis(1)), UnixMillis(1)).with(&tags(0, 50), UnixMillis(1)).unwrap();
        assert_eq!(full.with(&tags(50, 51), UnixMillis(1)), Err(TooMuch::Tags));
        assert_eq!(tags(0, 51).check(), Err(TooMuch::Tags));
        let long = ContactPatch { name: Some("x".repeat(257)), ..ContactPatch::default() };
        assert_eq!(long.check(), Err(TooMuch::Text));
    }

    #[test]
    fn nothing_personal_is_shown_by_debug() {
        let patch = ContactPatch { name: Some("Aisha".to_owned()), ..ContactPatch::default() };
        let contact = Contact::new(ContactId::new(UnixMillis(1)), UnixMillis(1)).with(&patch, UnixMillis(1)).unwrap();
        assert!(!format!("{patch:?} {contact:?}").contains("Aisha"));
    }

    #[test]
    fn a_contact_is_stored_in_this_shape() {
        let contact = Contact {
            phone: Some("+60123456789".parse().unwrap()),
            tags: ["vip".to_owned()].into(),
            ..Contact::new("ctc_01J00000000000000000000000".parse().unwrap(), UnixMillis(5))
        };
        assert_eq!(
            serde_json::to_string(&contact).unwrap(),
            r#"{"v":1,"id":"ctc_01J00000000000000000000000","phone":"+60123456789","attributes":{},"tags":["vip"],"revision":0,"created_at":5,"updated_at":5}"#
        );
    }
}
