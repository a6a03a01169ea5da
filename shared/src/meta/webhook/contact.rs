//! `value.contacts`: who the people in a change are. A contact belongs to the item that carries its phone number or
//! user id; the order of the two arrays means nothing.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::Redacted;
use super::object::Object;

/// What Meta tells about the person an item concerns. Everything is optional: a phone number may be hidden, a name
/// missing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// Phone number in digits, without `+`; absent when it may not be shared.
    pub wa_id: Option<Redacted<String>>,
    /// Business-scoped user id (`US.…`).
    pub user_id: Option<Redacted<String>>,
    /// User id in the scope of a parent portfolio, if enrolled.
    pub parent_user_id: Option<Redacted<String>>,
    /// The name the user chose for the profile.
    pub profile_name: Option<Redacted<String>>,
    /// The username, if the user adopted one.
    pub username: Option<Redacted<String>>,
    /// Changes when the user's identity key changes; present if the check is on for the number.
    pub identity_key_hash: Option<String>,
}

impl Contact {
    fn read(object: &Object<'_>) -> Self {
        let profile = object.object("profile");
        let of_profile = |key| profile.as_ref().and_then(|profile| profile.text(key));
        Self {
            wa_id: object.text("wa_id"),
            user_id: object.text("user_id"),
            parent_user_id: object.text("parent_user_id"),
            profile_name: of_profile("name"),
            username: of_profile("username"),
            identity_key_hash: object.text("identity_key_hash"),
        }
    }
}

/// The contacts of one change by phone number and by user id.
#[derive(Default)]
pub(super) struct ContactBook {
    contacts: Vec<Contact>,
    by_address: HashMap<String, usize>,
}

impl ContactBook {
    /// Reads `value.contacts`; what is no contact there is passed over, since no item depends on it.
    pub(super) fn read(value: &Object<'_>) -> Self {
        let contacts: Vec<Contact> = value.objects("contacts").iter().map(Contact::read).collect();
        let mut by_address = HashMap::with_capacity(2 * contacts.len());
        for (index, contact) in contacts.iter().enumerate() {
            for address in [&contact.wa_id, &contact.user_id].into_iter().flatten() {
                by_address.entry(address.to_string()).or_insert(index);
            }
        }
        Self { contacts, by_address }
    }

    /// The contact with the first of these addresses that is known.
    pub(super) fn find(&self, addresses: &[Option<&Redacted<String>>]) -> Option<Contact> {
        let index = addresses.iter().flatten().find_map(|address| self.by_address.get(address.as_str()))?;
        self.contacts.get(*index).cloned()
    }
}
