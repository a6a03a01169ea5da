//! Contacts that are the same person: one that stays, and those that were merged into it. What is known of the person is
//! the union, and the one that stays has the word where they differ.

use super::{Contact, MAX_ATTRIBUTES, MAX_TAGS};
use crate::id::ContactId;

/// A person's contacts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Family {
    /// The one that stays.
    pub root: Contact,
    /// Those merged into it, or into one of these, by id.
    pub absorbed: Vec<Contact>,
}

impl Family {
    /// All ids under which the person's events are listed, the root's first.
    pub fn ids(&self) -> impl Iterator<Item = ContactId> + '_ {
        self.members().map(|contact| contact.id)
    }

    /// All of them, the root first.
    pub fn members(&self) -> impl Iterator<Item = &Contact> + '_ {
        std::iter::once(&self.root).chain(&self.absorbed)
    }

    /// What is known of the person, under the root's id.
    #[must_use]
    pub fn person(&self) -> Contact {
        let mut person = self.root.clone();
        for other in &self.absorbed {
            person.phone = person.phone.or_else(|| other.phone.clone());
            person.name = person.name.or_else(|| other.name.clone());
            person.email = person.email.or_else(|| other.email.clone());
            person.persona = person.persona.or_else(|| other.persona.clone());
            for (name, value) in &other.attributes {
                if person.attributes.len() < MAX_ATTRIBUTES {
                    person.attributes.entry(name.clone()).or_insert_with(|| value.clone());
                }
            }
            let room = MAX_TAGS.saturating_sub(person.tags.len());
            person.tags.extend(other.tags.iter().take(room).cloned());
            person.created_at = person.created_at.min(other.created_at);
            person.updated_at = person.updated_at.max(other.updated_at);
        }
        person
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::UnixMillis;

    #[test]
    fn a_person_is_the_union_and_the_root_has_the_word() {
        let contact = |ms: i64, name: Option<&str>, email: Option<&str>, size: &str, tag: &str| Contact {
            name: name.map(ToOwned::to_owned),
            email: email.map(ToOwned::to_owned),
            attributes: [("size".to_owned(), size.to_owned())].into(),
            tags: [tag.to_owned()].into(),
            ..Contact::new(ContactId::new(UnixMillis(ms)), UnixMillis(ms))
        };
        let family = Family {
            root: contact(5, Some("Aisha"), None, "M", "vip"),
            absorbed: vec![contact(3, Some("A."), Some("a@example.com"), "L", "march")],
        };
        let person = family.person();
        assert_eq!((person.id, person.created_at), (family.root.id, UnixMillis(3)));
        assert_eq!((person.name.as_deref(), person.email.as_deref()), (Some("Aisha"), Some("a@example.com")));
        assert_eq!((&*person.attributes["size"], person.tags.len()), ("M", 2));
    }
}
