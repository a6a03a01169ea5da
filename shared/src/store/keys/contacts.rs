//! Contacts, their other names, consent and conversations, and what operators did with them.

use super::{Key, phone_alias_pk, time_of};
use crate::attempt::Shard;
use crate::contact::alias::Alias;
use crate::id::{AccountId, AuditId, ContactId, ErasureId, ImportId, WorkspaceId};
use crate::phone::canonical_digits;

/// Which contact a number belongs to, and what its owner agreed to. All forms of a number
/// ([`wa_id_variants`](crate::phone::wa_id_variants)) have one row.
#[must_use]
pub fn phone_alias(workspace: WorkspaceId, digits: &str) -> Key {
    Key::new(phone_alias_pk(workspace, &canonical_digits(digits)), ALIAS)
}

/// Sort key of the row that tells whose an identifier is.
pub const ALIAS: &str = "ALIAS";

/// Whose an identifier is; a number's is [`phone_alias`].
#[must_use]
pub fn alias(workspace: WorkspaceId, alias: &Alias) -> Key {
    Key::new(format!("WS#{workspace}#ALIAS#{}", alias.tag()), ALIAS)
}

/// What the sort key of an identifier in its contact's partition starts with.
pub const CONTACT_ALIAS_PREFIX: &str = "ALIAS#";

/// An identifier among those of its contact.
#[must_use]
pub fn contact_alias(workspace: WorkspaceId, contact: ContactId, alias: &Alias) -> Key {
    Key::new(contact_pk(workspace, contact), format!("{CONTACT_ALIAS_PREFIX}{}", alias.tag()))
}

/// Partition of a contact and of what belongs to it.
#[must_use]
pub fn contact_pk(workspace: WorkspaceId, contact: ContactId) -> String {
    format!("WS#{workspace}#CONTACT#{contact}")
}

/// Partition of the contacts that have a word in their name that begins with this character. Sort keys are the word and
/// the contact.
#[must_use]
pub fn contacts_by_name_pk(workspace: WorkspaceId, initial: char) -> String {
    format!("WS#{workspace}#CONTACTS_BY_NAME#{initial}")
}

/// Partition of the contacts that have this tag. Sort keys are the contacts.
#[must_use]
pub fn contacts_by_tag_pk(workspace: WorkspaceId, shard: Shard, tag: &str) -> String {
    format!("WS#{workspace}#CONTACTS_BY_TAG#{:02}#{tag}", shard.0)
}

/// Partition of the contacts of this persona. Sort keys are the contacts.
#[must_use]
pub fn contacts_by_persona_pk(workspace: WorkspaceId, shard: Shard, persona: &str) -> String {
    format!("WS#{workspace}#CONTACTS_BY_PERSONA#{:02}#{persona}", shard.0)
}

/// A contact.
#[must_use]
pub fn contact(workspace: WorkspaceId, contact: ContactId) -> Key {
    Key::new(contact_pk(workspace, contact), "CONTACT")
}

/// What the sort key of a contact's conversation with an account starts with.
pub const CONVERSATION_PREFIX: &str = "CONVERSATION#";

/// A contact's conversation with an account.
#[must_use]
pub fn conversation(workspace: WorkspaceId, contact: ContactId, account: AccountId) -> Key {
    Key::new(self::contact(workspace, contact).pk, format!("{CONVERSATION_PREFIX}{account}"))
}

/// That a contact was told that their word for or against messages was heard: one row for each direction.
#[must_use]
pub fn confirmation(workspace: WorkspaceId, contact: ContactId, direction: &str) -> Key {
    Key::new(self::contact(workspace, contact).pk, format!("CONFIRMATION#{direction}"))
}

/// By which words a workspace's people say yes and no, and what they are answered.
#[must_use]
pub fn consent_settings(workspace: WorkspaceId) -> Key {
    Key::new(format!("WS#{workspace}#SETTINGS"), "CONSENT")
}

/// An import of contacts.
#[must_use]
pub fn import(workspace: WorkspaceId, import: ImportId) -> Key {
    Key::new(format!("WS#{workspace}#IMPORT#{import}"), "IMPORT")
}

/// A workspace's contacts in the index of lists.
#[must_use]
pub fn contact_list(workspace: WorkspaceId) -> String {
    format!("WS#{workspace}#CONTACTS")
}

/// Partition of a day of the audit log.
#[must_use]
pub fn audit_pk(workspace: WorkspaceId, date: &str) -> String {
    format!("WS#{workspace}#AUDIT#{date}")
}

/// An entry of the audit log.
#[must_use]
pub fn audit(workspace: WorkspaceId, entry: AuditId) -> Key {
    Key::new(audit_pk(workspace, &time_of(entry.ulid()).date()), entry.to_string())
}

/// Partition of the erasures of people, and of the pass that is made for them.
#[must_use]
pub fn erasures_pk(workspace: WorkspaceId) -> String {
    format!("WS#{workspace}#ERASURES")
}

/// An erasure.
#[must_use]
pub fn erasure(workspace: WorkspaceId, erasure: ErasureId) -> Key {
    Key::new(erasures_pk(workspace), erasure.to_string())
}

/// The pass that is made for all erasures that are not complete.
#[must_use]
pub fn erasure_pass(workspace: WorkspaceId) -> Key {
    Key::new(erasures_pk(workspace), "PASS")
}

/// The export of what is held about a contact's person; there is one at a time.
#[must_use]
pub fn export(workspace: WorkspaceId, contact: ContactId) -> Key {
    Key::new(format!("WS#{workspace}#EXPORT#{contact}"), "EXPORT")
}
