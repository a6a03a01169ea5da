//! Merging contacts that are one person, and undoing it. A merge is two marks and an event in one transaction; identifiers
//! and events stay with the contact they came to, and readers follow the marks. See ADR 8.

use std::collections::BTreeSet;

use super::rows::{Committed, too_many_writers};
use super::{TRIES, pause};
use crate::activity::reported::MergeReport;
use crate::activity::{Content, Event, id_of};
use crate::contact::alias::{Alias, Rank};
use crate::contact::family::Family;
use crate::contact::{Contact, MergedInto};
use crate::id::{ContactId, WorkspaceId};
use crate::store::{Core, StoreError, keys, read};
use crate::time::UnixMillis;

/// What became of a merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merged {
    /// They are one now, under this contact.
    Done {
        /// The contact that stays.
        root: ContactId,
    },
    /// They were one already, under this contact.
    Already {
        /// The contact that stays.
        root: ContactId,
    },
    /// This very merge was done and undone since: a repeat of it does not count.
    Undone,
    /// One of the two is not there, or is being deleted.
    Missing,
}

/// What became of undoing a merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmerged {
    /// The contact is one of its own again.
    Done,
    /// It is not merged into the other.
    NotMerged,
    /// This very undoing was done, and they were merged again since: a repeat of it does not count.
    Redone,
}

/// Marks that are followed one after the other, more than any person's contacts have.
const MAX_DEPTH: usize = 64;

impl Core {
    /// The contact that stays for this one: itself, unless it was merged into another.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn root_of(&self, workspace: WorkspaceId, contact: ContactId) -> Result<ContactId, StoreError> {
        Ok(self.root_row(workspace, contact).await?.map_or(contact, |root| root.id))
    }

    /// The row of [`Core::root_of`]; `None` when it is not there.
    pub(super) async fn root_row(
        &self,
        workspace: WorkspaceId,
        contact: ContactId,
    ) -> Result<Option<Contact>, StoreError> {
        let mut found = self.contact(workspace, contact).await?;
        for _ in 0..MAX_DEPTH {
            let Some(MergedInto { into, .. }) = found.as_ref().and_then(|contact| contact.merged_into) else { break };
            found = self.contact(workspace, into).await?;
        }
        Ok(found)
    }

    /// The contact that stays for this one, and all that were merged into it; `None` when there is no such contact. While
    /// somebody merges or undoes at the same time it may show the state before or after.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn family_of(&self, workspace: WorkspaceId, contact: ContactId) -> Result<Option<Family>, StoreError> {
        let Some(root) = self.root_row(workspace, contact).await? else { return Ok(None) };
        let mut absorbed: Vec<Contact> = Vec::new();
        let mut wanted: Vec<ContactId> = root.absorbed.iter().copied().collect();
        let mut seen: BTreeSet<ContactId> = BTreeSet::from([root.id]);
        while !wanted.is_empty() {
            wanted.retain(|id| seen.insert(*id));
            let found = self.contacts_by_id(workspace, &wanted).await?;
            wanted = found.iter().flat_map(|contact| contact.absorbed.iter().copied()).collect();
            absorbed.extend(found);
        }
        absorbed.sort_by_key(|contact| contact.id);
        Ok(Some(Family { root, absorbed }))
    }

    /// The identifiers of a person: each with the contact it came to, since when, and until when it was theirs if it is not
    /// any more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn aliases_of(&self, workspace: WorkspaceId, family: &Family) -> Result<Vec<super::Known>, StoreError> {
        let mut known = Vec::new();
        for contact in family.ids() {
            known.extend(self.aliases_of_contact(workspace, contact).await?);
        }
        Ok(known)
    }

    pub(super) async fn aliases_of_contact(
        &self,
        workspace: WorkspaceId,
        contact: ContactId,
    ) -> Result<Vec<super::Known>, StoreError> {
        let pk = keys::contact_pk(workspace, contact);
        let items = self.query(&pk, keys::CONTACT_ALIAS_PREFIX, None, None, true).await?;
        let mut known = Vec::new();
        for item in items {
            let sk = item.get("sk").and_then(|sk| sk.as_s().ok()).cloned().unwrap_or_default();
            let Ok(alias) = Alias::of_tag(sk.strip_prefix(keys::CONTACT_ALIAS_PREFIX).unwrap_or_default()) else {
                continue;
            };
            let super::rows::Mention { at, until, .. } = read("alias", item)?;
            known.push(super::Known { alias, contact, at, until });
        }
        Ok(known)
    }

    /// By what a person is known besides devices.
    pub(super) async fn ranks_of(
        &self,
        workspace: WorkspaceId,
        contact: ContactId,
    ) -> Result<BTreeSet<Rank>, StoreError> {
        let Some(family) = self.family_of(workspace, contact).await? else { return Ok(BTreeSet::new()) };
        let known = self.aliases_of(workspace, &family).await?;
        Ok(known.into_iter().map(|known| known.alias.kind().rank()).collect())
    }

    /// Notes that two contacts are one person: the one that stays for `from` is merged into the one that stays for `into`.
    /// Of two merges against each other one counts. A repeat changes nothing, also after it was undone: a merge is what is
    /// found at this time about these two. `by` and `reason` say who found it and why; they name nobody.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn merge(
        &self,
        workspace: WorkspaceId,
        from: ContactId,
        into: ContactId,
        by: &str,
        reason: &str,
        at: UnixMillis,
    ) -> Result<Merged, StoreError> {
        for attempt in 0..TRIES {
            pause(attempt).await;
            let child = self.root_row(workspace, from).await?.filter(|contact| contact.deleted_at.is_none());
            let root = self.root_row(workspace, into).await?.filter(|contact| contact.deleted_at.is_none());
            let (Some(child), Some(root)) = (child, root) else { return Ok(Merged::Missing) };
            if child.id == root.id {
                return Ok(Merged::Already { root: root.id });
            }
            let marked =
                Contact { merged_into: Some(MergedInto { into: root.id, at }), updated_at: at, ..child.clone() };
            let mut grown = Contact { updated_at: at, ..root.clone() };
            grown.absorbed.insert(child.id);
            let report = MergeReport { from: child.id, into: root.id, by: by.to_owned(), reason: reason.to_owned() };
            let event = event(at, root.id, Content::ContactMerged(report), &[&from.to_string(), &into.to_string()]);
            let parts = vec![
                self.contact_change(workspace, Some(&child), &marked)?,
                self.contact_change(workspace, Some(&root), &grown)?,
                self.event_in_transaction(workspace, &event)?,
            ];
            match self.commit(parts).await? {
                Committed::Yes => return Ok(Merged::Done { root: root.id }),
                Committed::Refused(refused) if refused == [false, false, true] => return Ok(Merged::Undone),
                Committed::Refused(_) => {}
            }
        }
        Err(too_many_writers())
    }

    /// Undoes a merge: `from`, with whatever was merged into it before, is a person of its own again. What was learned in
    /// between stays where it came to.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn unmerge(
        &self,
        workspace: WorkspaceId,
        from: ContactId,
        by: &str,
        reason: &str,
        at: UnixMillis,
    ) -> Result<Unmerged, StoreError> {
        for attempt in 0..TRIES {
            pause(attempt).await;
            let Some(child) = self.contact(workspace, from).await? else { return Ok(Unmerged::NotMerged) };
            let Some(MergedInto { into, .. }) = child.merged_into else { return Ok(Unmerged::NotMerged) };
            let Some(parent) = self.contact(workspace, into).await? else { return Ok(Unmerged::NotMerged) };
            let freed = Contact { merged_into: None, updated_at: at, ..child.clone() };
            let mut less = Contact { updated_at: at, ..parent.clone() };
            less.absorbed.remove(&from);
            let report = MergeReport { from, into, by: by.to_owned(), reason: reason.to_owned() };
            let event = event(at, into, Content::ContactUnmerged(report), &[&from.to_string(), &into.to_string()]);
            let parts = vec![
                self.contact_change(workspace, Some(&child), &freed)?,
                self.contact_change(workspace, Some(&parent), &less)?,
                self.event_in_transaction(workspace, &event)?,
            ];
            match self.commit(parts).await? {
                Committed::Yes => return Ok(Unmerged::Done),
                Committed::Refused(refused) if refused == [false, false, true] => return Ok(Unmerged::Redone),
                Committed::Refused(_) => {}
            }
        }
        Err(too_many_writers())
    }
}

/// An event of a contact whose id follows from what happened to whom.
pub(super) fn event(at: UnixMillis, contact: ContactId, content: Content, about: &[&str]) -> Event {
    let identity: Vec<&str> = std::iter::once(content.kind()).chain(about.iter().copied()).collect();
    let id = id_of(at, &identity);
    Event { v: 1, id, at, seen: at, contact: Some(contact), variant: None, content }
}
