//! What contacts are found by: a small row for each word of the name, each tag and the persona, under whose partition the
//! contacts lie in order. A row is written before the contact says so, and taken away in one transaction with the contact's
//! change: so none is ever missing, and one too many, left by somebody who was cut off, is seen through by whoever reads
//! the contact.

use aws_sdk_dynamodb::types::{Delete, TransactWriteItem};
use futures::{StreamExt, TryStreamExt};
use serde::Serialize;

use crate::attempt::Shard;
use crate::contact::Contact;
use crate::contact::words::words;
use crate::id::{ContactId, WorkspaceId};
use crate::store::{Core, Item, StoreError, keys, unavailable, write};

/// Partitions that the contacts of one tag or persona are spread over: an import writes a thousand a second, which is what
/// one partition takes (DynamoDB, 1,000 write units a second).
const SHARDS: u8 = 8;

/// Partitions read at once.
const AT_ONCE: usize = 8;

/// What contacts are looked for by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookFor {
    /// A word of the name begins so; as [`words`] writes it. By word, then by age.
    Word(String),
    /// They have this tag. Newest first.
    Tag(String),
    /// They are of this persona. Newest first.
    Persona(String),
}

/// Contacts that may be those looked for: each has to be read to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Their ids, each with where to go on after it.
    pub contacts: Vec<(ContactId, String)>,
    /// Whether there may be more.
    pub more: bool,
}

#[derive(Serialize)]
struct Entry {
    v: u8,
}

impl Core {
    /// Contacts that may be those looked for, after `after` if given, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn find_contacts(
        &self,
        workspace: WorkspaceId,
        look_for: &LookFor,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Found, StoreError> {
        let of_shard: Box<dyn Fn(Shard) -> String + Send + Sync> = match look_for {
            LookFor::Word(word) => {
                let Some(initial) = word.chars().next() else { return Ok(Found::default()) };
                let pk = keys::contacts_by_name_pk(workspace, initial);
                let items = self.query(&pk, word, after, Some(limit), true).await?;
                let more = items.len() >= limit;
                let found = items.iter().filter_map(|item| {
                    let sk = item.get("sk")?.as_s().ok()?;
                    Some((sk.rsplit_once('#')?.1.parse().ok()?, sk.clone()))
                });
                return Ok(Found { contacts: found.collect(), more });
            }
            LookFor::Tag(tag) => {
                let tag = tag.clone();
                Box::new(move |shard| keys::contacts_by_tag_pk(workspace, shard, &tag))
            }
            LookFor::Persona(persona) => {
                let persona = persona.clone();
                Box::new(move |shard| keys::contacts_by_persona_pk(workspace, shard, &persona))
            }
        };
        let partitions: Vec<String> = (0..SHARDS).map(|shard| of_shard(Shard(shard))).collect();
        let pages: Vec<Vec<Item>> = futures::stream::iter(partitions)
            .map(|pk| async move { self.query(&pk, "", after, Some(limit), false).await })
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
        let sort_keys = pages.iter().flatten().filter_map(|item| item.get("sk")?.as_s().ok().cloned());
        let mut sort_keys: Vec<String> = sort_keys.collect();
        sort_keys.sort_unstable_by(|a, b| b.cmp(a));
        let more = sort_keys.len() >= limit;
        sort_keys.truncate(limit);
        let found = sort_keys.into_iter().filter_map(|sk| Some((sk.parse().ok()?, sk)));
        Ok(Found { contacts: found.collect(), more })
    }

    /// Writes what the contact will be found by and was not before; has to be done again whenever the contact was changed
    /// by somebody else since it was read.
    pub(super) async fn index(
        &self,
        workspace: WorkspaceId,
        before: Option<&Contact>,
        next: &Contact,
    ) -> Result<(), StoreError> {
        let known = before.map(|before| entries(workspace, before)).unwrap_or_default();
        let mut new = entries(workspace, next);
        new.retain(|key| !known.contains(key));
        // One after the other: they are few, and whoever imports has many contacts under way.
        for key in new {
            let item = write("index entry", key, &Entry { v: 1 })?;
            let put = self.client.put_item().table_name(&self.table).set_item(Some(item)).send().await;
            put.map_err(|error| unavailable("PutItem", &error))?;
        }
        Ok(())
    }

    /// Takes away what the contact is not found by any more, as parts of the transaction that changes it.
    pub(super) fn unindex(
        &self,
        workspace: WorkspaceId,
        before: &Contact,
        next: &Contact,
    ) -> Result<Vec<TransactWriteItem>, StoreError> {
        let kept = entries(workspace, next);
        entries(workspace, before).into_iter().filter(|key| !kept.contains(key)).map(|key| self.delete(key)).collect()
    }

    /// Takes away all that the contact is found by.
    pub(super) fn unindex_all(
        &self,
        workspace: WorkspaceId,
        contact: &Contact,
    ) -> Result<Vec<TransactWriteItem>, StoreError> {
        entries(workspace, contact).into_iter().map(|key| self.delete(key)).collect()
    }

    pub(super) fn delete(&self, key: keys::Key) -> Result<TransactWriteItem, StoreError> {
        let delete =
            Delete::builder().table_name(&self.table).set_key(Some(key.item())).build().map_err(|error| {
                StoreError::Unavailable { operation: "TransactWriteItems", message: error.to_string() }
            })?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }
}

/// The keys of the rows that a contact is found by.
fn entries(workspace: WorkspaceId, contact: &Contact) -> Vec<keys::Key> {
    let id = contact.id;
    let shard = Shard(u8::try_from(id.ulid().random() % u128::from(SHARDS)).unwrap_or(0));
    let mut entries = Vec::new();
    for word in contact.name.as_deref().map(words).unwrap_or_default() {
        if let Some(initial) = word.chars().next() {
            entries.push(keys::Key::new(keys::contacts_by_name_pk(workspace, initial), format!("{word}#{id}")));
        }
    }
    for tag in &contact.tags {
        entries.push(keys::Key::new(keys::contacts_by_tag_pk(workspace, shard, tag), id.to_string()));
    }
    if let Some(persona) = &contact.persona {
        entries.push(keys::Key::new(keys::contacts_by_persona_pk(workspace, shard, persona), id.to_string()));
    }
    entries
}
