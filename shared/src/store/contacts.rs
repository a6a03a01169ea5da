//! Rows of contacts and of the numbers they are known under. Consent lies on the number's row, so that the sender reads
//! it for a page of recipients with one call.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};

use super::expression::{Update, Updated};
use super::{Consistency, Core, Item, Listed, Put, StoreError, attribute, keys, number, read, text, write};
use crate::contact::{Consent, Contact, ContactPatch, TooMuch, Word};
use crate::id::{ContactId, ImportId, WorkspaceId};
use crate::time::UnixMillis;

/// What a number's row holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Alias {
    v: u8,
    contact: ContactId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    opt_in: Option<StoredWord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    opt_out: Option<StoredWord>,
    known_since: UnixMillis,
}

/// A [`Word`] with its time as a number, for conditions compare it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct StoredWord {
    at: UnixMillis,
    source: String,
}

impl From<StoredWord> for Word {
    fn from(StoredWord { at, source }: StoredWord) -> Self {
        Self { at, source }
    }
}

impl From<Alias> for Consent {
    fn from(alias: Alias) -> Self {
        let Alias { contact, opt_in, opt_out, known_since, .. } = alias;
        Self { contact: Some(contact), opt_in: opt_in.map(Word::from), opt_out: opt_out.map(Word::from), known_since }
    }
}

/// What became of a contact that was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upserted {
    /// It is new.
    Created(Contact),
    /// There was one, which now knows more, or the same as before.
    Updated(Contact),
    /// It cannot take that in; it is as it was.
    Refused(TooMuch),
}

/// Tries of a change that others get in the way of.
const TRIES: u32 = 20;

impl Core {
    /// What the owners of these numbers have agreed to, by the digits as given. A number that is not among them is not
    /// known to us. Any form of a number finds its owner; one call for each 100.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn consents(
        &self,
        workspace: WorkspaceId,
        digits: &[&str],
    ) -> Result<HashMap<String, Consent>, StoreError> {
        let mut wanted: HashMap<String, Vec<&str>> = HashMap::new();
        for given in digits {
            wanted.entry(keys::phone_alias(workspace, given).pk).or_default().push(given);
        }
        let keys = wanted.keys().map(|pk| keys::Key::new(pk.clone(), ALIAS)).collect();
        let mut consents = HashMap::new();
        // Strongly consistent: nobody may be written to whose no was answered a moment ago.
        for item in self.batch_get(keys, Consistency::Strong).await? {
            let pk = item.get("pk").and_then(|pk| pk.as_s().ok()).cloned().unwrap_or_default();
            let consent = Consent::from(read::<Alias>("alias", item)?);
            for given in wanted.get(&pk).into_iter().flatten() {
                consents.insert((*given).to_owned(), consent.clone());
            }
        }
        Ok(consents)
    }

    /// Notes that the owner of a number wants no messages. The latest no counts, in whatever order they come; a number
    /// that was not known becomes known, as that of a new contact.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn opt_out(
        &self,
        workspace: WorkspaceId,
        digits: &str,
        source: &str,
        at: UnixMillis,
    ) -> Result<(), StoreError> {
        self.record_word(workspace, digits, "opt_out", source, at).await
    }

    /// Notes that the owner of a number wants messages, as [`Core::opt_out`] does the contrary.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn opt_in(
        &self,
        workspace: WorkspaceId,
        digits: &str,
        source: &str,
        at: UnixMillis,
    ) -> Result<(), StoreError> {
        self.record_word(workspace, digits, "opt_in", source, at).await
    }

    async fn record_word(
        &self,
        workspace: WorkspaceId,
        digits: &str,
        kind: &'static str,
        source: &str,
        at: UnixMillis,
    ) -> Result<(), StoreError> {
        let mut update = known(ContactId::new(at), at)?;
        update.set(kind, attribute("alias", &StoredWord { at, source: source.to_owned() })?);
        let (word, time, from) = (update.name(kind), update.part(kind, "at"), update.part(kind, "source"));
        let (new_time, new_source) = (update.value(number(at.0)), update.value(text(source)));
        // Of two at the same time the greater source stays, so that every order ends in the same row.
        update.only_if(format!(
            "attribute_not_exists({word}) OR {time} < {new_time} OR ({time} = {new_time} AND {from} < {new_source})"
        ));
        self.update(keys::phone_alias(workspace, digits), update).await.map(|_| ())
    }

    /// The contact that a number belongs to; a number that was not known gets `fresh`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn contact_of_number(
        &self,
        workspace: WorkspaceId,
        digits: &str,
        fresh: ContactId,
        now: UnixMillis,
    ) -> Result<ContactId, StoreError> {
        let update = known(fresh, now)?;
        match self.update(keys::phone_alias(workspace, digits), update).await? {
            Updated::Done(item) | Updated::Refused(item) => Ok(read::<Alias>("alias", item)?.contact),
        }
    }

    /// Adds what a patch knows to a contact, which is made if there is none. Whoever adds something at the same time
    /// loses nothing. A contact that was made by this `import` counts as created however often its line is imported.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn upsert_contact(
        &self,
        workspace: WorkspaceId,
        id: ContactId,
        patch: &ContactPatch,
        import: Option<ImportId>,
        now: UnixMillis,
    ) -> Result<Upserted, StoreError> {
        let mut known = self.contact(workspace, id).await?;
        for _ in 0..TRIES {
            let before = known.take();
            let made = Contact { created_by: import, ..Contact::new(id, now) };
            let next = match before.as_ref().unwrap_or(&made).with(patch, now) {
                Ok(next) => next,
                Err(reason) => return Ok(Upserted::Refused(reason)),
            };
            let Some(before) = before else {
                let list = Item::from([("list".to_owned(), text(&keys::contact_list(workspace)))]);
                match self.put_new("contact", keys::contact(workspace, id), &next, list).await? {
                    Put::New => return Ok(Upserted::Created(next)),
                    Put::There(item) => known = Some(read("contact", item)?),
                }
                continue;
            };
            let ours = import.is_some() && before.created_by == import;
            let answer = if ours { Upserted::Created } else { Upserted::Updated };
            if next == before {
                return Ok(answer(before));
            }
            if self.replace_contact(workspace, &before, &next).await? {
                return Ok(answer(next));
            }
            known = self.contact(workspace, id).await?;
        }
        Err(StoreError::Unavailable {
            operation: "UpdateItem",
            message: "others keep changing this contact".to_owned(),
        })
    }

    /// Writes the contact; `false` when it has changed since it was read.
    async fn replace_contact(
        &self,
        workspace: WorkspaceId,
        before: &Contact,
        next: &Contact,
    ) -> Result<bool, StoreError> {
        let key = keys::contact(workspace, next.id);
        let next = Contact { revision: before.revision.wrapping_add(1), ..next.clone() };
        let mut update = Update::default();
        let row = write("contact", key.clone(), &next)?;
        for (name, value) in row.into_iter().filter(|(name, _)| name != "pk" && name != "sk") {
            update.set(&name, value);
        }
        update.only_if_equal("revision", AttributeValue::N(before.revision.to_string()));
        Ok(matches!(self.update(key, update).await?, Updated::Done(_)))
    }

    /// A contact.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn contact(&self, workspace: WorkspaceId, contact: ContactId) -> Result<Option<Contact>, StoreError> {
        self.get("contact", keys::contact(workspace, contact)).await
    }

    /// A workspace's contacts, newest first, those older than `before` if given.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn contacts(
        &self,
        workspace: WorkspaceId,
        before: Option<ContactId>,
        limit: usize,
    ) -> Result<Listed<Contact>, StoreError> {
        let before = before.map(|id| keys::contact(workspace, id));
        let list = keys::contact_list(workspace);
        self.listed("contact", &list, before, limit, |contact: &Contact| std::cmp::Reverse(contact.id)).await
    }
}

/// Sort key of a number's row.
const ALIAS: &str = "ALIAS";

/// Makes the number known, if it is not.
fn known(fresh: ContactId, now: UnixMillis) -> Result<Update, StoreError> {
    let mut update = Update::default();
    update.set_if_absent("v", number(1));
    update.set_if_absent("contact", attribute("alias", &fresh)?);
    update.set_if_absent("known_since", number(now.0));
    Ok(update)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_numbers_row_keeps_its_shape() {
        let word = |at| Some(StoredWord { at: UnixMillis(at), source: "reply".to_owned() });
        let alias = Alias {
            v: 1,
            contact: "ctc_01J00000000000000000000000".parse().unwrap(),
            opt_in: word(5),
            opt_out: word(6),
            known_since: UnixMillis(4),
        };
        assert_eq!(
            serde_json::to_string(&alias).unwrap(),
            r#"{"v":1,"contact":"ctc_01J00000000000000000000000","opt_in":{"at":5,"source":"reply"},"opt_out":{"at":6,"source":"reply"},"known_since":4}"#
        );
        let key = keys::phone_alias(WorkspaceId::FIRST, "5511987654321");
        assert_eq!(key, keys::phone_alias(WorkspaceId::FIRST, "551187654321"), "one row for all forms of a number");
        assert_eq!(key.sk, ALIAS);
    }
}
