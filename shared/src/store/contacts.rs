//! Rows of contacts, of the identifiers they are known under, and of what they are found by. Consent lies on the rows of
//! identifiers.

mod consent;
mod family;
mod index;
mod moves;
mod removal;
mod resolve;
mod rows;

use std::time::Duration;

pub use self::family::{Merged, Unmerged};
pub use self::index::{Found, LookFor};
pub use self::moves::Move;
pub use self::resolve::{Evidence, Resolved, Sighting};
use self::rows::{change, too_many_writers};
use super::expression::Updated;
use super::{Consistency, Core, Listed, StoreError, keys, read_or_skip};
use crate::contact::alias::Alias;
use crate::contact::{Contact, ContactPatch, TooMuch};
use crate::id::{ContactId, ImportId, WorkspaceId};
use crate::time::UnixMillis;

/// An identifier that a person is or was known under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The identifier.
    pub alias: Alias,
    /// The contact it came to.
    pub contact: ContactId,
    /// Since when.
    pub at: UnixMillis,
    /// Until when, if it is somebody else's now or out of use.
    pub until: Option<UnixMillis>,
}

/// What is known of a person, to be added to their contact or to become one.
#[derive(Clone, Copy, Debug)]
pub struct Upsert<'a> {
    /// The identifiers, and where they come from.
    pub sighting: Sighting<'a>,
    /// What else is known.
    pub patch: &'a ContactPatch,
    /// The id of the contact if none is known.
    pub fresh: ContactId,
    /// The import that brings it.
    pub import: Option<ImportId>,
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
    /// There is no such contact.
    Missing,
}

/// Tries of a change that others get in the way of.
const TRIES: u32 = 30;

/// Gives way to those who are in the way of a change.
async fn pause(attempt: u32) {
    if attempt > 0 {
        let longest = u64::from(attempt.min(10)) * 8;
        tokio::time::sleep(Duration::from_millis(rand::random_range(1..=longest))).await;
    }
}

impl Core {
    /// Adds what is known of a person to the contact of their identifiers, or makes one, all in one transaction. Whoever
    /// adds something at the same time loses nothing. A contact that was made by this import counts as created however
    /// often its line is imported. Also the contacts of identifiers that stay with others ([`Resolved::conflicts`]); `None`
    /// without an identifier.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn upsert(
        &self,
        workspace: WorkspaceId,
        upsert: &Upsert<'_>,
    ) -> Result<Option<(Upserted, Vec<ContactId>)>, StoreError> {
        let Upsert { sighting, patch, fresh, import } = *upsert;
        let made = Contact { created_by: import, ..Contact::new(fresh, sighting.at) };
        let seed = match made.with(patch, sighting.at) {
            Ok(seed) => seed,
            Err(reason) => return Ok(Some((Upserted::Refused(reason), Vec::new()))),
        };
        for attempt in 0..TRIES {
            pause(attempt).await;
            let Some(resolved) = self.resolve(workspace, &sighting, &seed).await? else { return Ok(None) };
            let Resolved { contact, created, conflicts } = resolved;
            if created && contact == seed.id {
                return Ok(Some((Upserted::Created(seed), conflicts)));
            }
            match self.upsert_contact(workspace, contact, patch, import, sighting.at).await? {
                Upserted::Missing => {}
                // A request that is run again after it was cut off has made it.
                Upserted::Updated(contact) if contact.id == fresh => {
                    return Ok(Some((Upserted::Created(contact), conflicts)));
                }
                upserted => return Ok(Some((upserted, conflicts))),
            }
        }
        Err(too_many_writers())
    }

    /// Adds what a patch knows to a contact, or to the one that it was merged into. Whoever adds something at the same time
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
        let upserted = self.change_contact(workspace, id, |contact| contact.with(patch, now)).await?;
        Ok(match upserted {
            Upserted::Updated(contact) if import.is_some() && contact.created_by == import => {
                Upserted::Created(contact)
            }
            upserted => upserted,
        })
    }

    /// Changes a contact, or the one that it was merged into: what `change` makes of it is written if nobody else has
    /// written in between, else `change` is made again from what is there now. What it is found by changes with it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn change_contact(
        &self,
        workspace: WorkspaceId,
        id: ContactId,
        change: impl Fn(&Contact) -> Result<Contact, TooMuch>,
    ) -> Result<Upserted, StoreError> {
        for attempt in 0..TRIES {
            pause(attempt).await;
            let before = self.root_row(workspace, id).await?;
            if let Some(changed) = self.try_change(workspace, before, &change).await? {
                return Ok(changed);
            }
        }
        Err(too_many_writers())
    }

    /// [`Core::change_contact`] for this very contact, whatever it was merged into.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn change_member(
        &self,
        workspace: WorkspaceId,
        id: ContactId,
        change: impl Fn(&Contact) -> Result<Contact, TooMuch>,
    ) -> Result<Upserted, StoreError> {
        for attempt in 0..TRIES {
            pause(attempt).await;
            let before = self.contact(workspace, id).await?;
            if let Some(changed) = self.try_change(workspace, before, &change).await? {
                return Ok(changed);
            }
        }
        Err(too_many_writers())
    }

    /// One try of a change; `None` when somebody else has changed it in between.
    async fn try_change(
        &self,
        workspace: WorkspaceId,
        before: Option<Contact>,
        change: &impl Fn(&Contact) -> Result<Contact, TooMuch>,
    ) -> Result<Option<Upserted>, StoreError> {
        let Some(before) = before.filter(|contact| contact.deleted_at.is_none()) else {
            return Ok(Some(Upserted::Missing));
        };
        let next = match change(&before) {
            Ok(next) => next,
            Err(reason) => return Ok(Some(Upserted::Refused(reason))),
        };
        let written = next == before || self.replace_contact(workspace, &before, &next).await?;
        Ok(written.then_some(Upserted::Updated(next)))
    }

    /// Writes the contact and what it is found by; `false` when it has changed since it was read.
    async fn replace_contact(
        &self,
        workspace: WorkspaceId,
        before: &Contact,
        next: &Contact,
    ) -> Result<bool, StoreError> {
        self.index(workspace, Some(before), next).await?;
        let lost = self.unindex(workspace, before, next)?;
        if lost.is_empty() {
            let update = change(Some(before), next)?;
            return Ok(matches!(self.update(keys::contact(workspace, next.id), update).await?, Updated::Done(_)));
        }
        let mut parts = vec![self.contact_change(workspace, Some(before), next)?];
        parts.extend(lost);
        Ok(matches!(self.commit(parts).await?, rows::Committed::Yes))
    }

    /// A contact, as it was told us; see [`Core::family_of`] for the person.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn contact(&self, workspace: WorkspaceId, contact: ContactId) -> Result<Option<Contact>, StoreError> {
        self.get("contact", keys::contact(workspace, contact)).await
    }

    /// Those of these contacts that are there, in no order.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn contacts_by_id(
        &self,
        workspace: WorkspaceId,
        contacts: &[ContactId],
    ) -> Result<Vec<Contact>, StoreError> {
        let keys = contacts.iter().map(|id| keys::contact(workspace, *id)).collect();
        let items = self.batch_get(keys, Consistency::Strong).await?;
        Ok(items.into_iter().filter_map(|item| read_or_skip("contact", item)).collect())
    }

    /// A workspace's contacts, newest first, those older than `before` if given. Contacts that were merged into another are
    /// not among them, but for those of the last moment: the index lags behind the rows.
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
