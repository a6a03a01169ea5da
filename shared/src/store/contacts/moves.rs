//! People who take another number or get another user id: the new one becomes theirs, the old one is kept with the time
//! until which it was, for what is still under way under it, and because somebody else will have it one day.

use super::family::Merged;
use super::rows::{AliasRow, Committed, too_many_writers};
use super::{Evidence, Resolved, Sighting, TRIES, pause};
use crate::contact::Contact;
use crate::contact::alias::{Alias, Kind, Rank};
use crate::id::{ContactId, WorkspaceId};
use crate::store::{Core, StoreError};
use crate::time::UnixMillis;

/// How far a number's way is followed to the one in use.
const MAX_MOVES: usize = 16;

/// A person's move from one identifier to another, as Meta tells it.
#[derive(Clone, Copy, Debug)]
pub struct Move<'a> {
    /// The number or user id that they had.
    pub old: &'a Alias,
    /// The one of the same kind that they have now.
    pub new: &'a Alias,
    /// What else they are known under from now on.
    pub also: &'a [Alias],
    /// In what it was told: the source of `contact.created` and of merges.
    pub source: &'a str,
    /// When it was.
    pub at: UnixMillis,
}

impl Core {
    /// Notes that a person has another number: it becomes their contact's, which is merged with the one that had it; the
    /// number to write to changes with it; and what they said for or against messages before goes along, so that a no stays
    /// a no. Words that come later and were given before go along as well. A repeat changes nothing, and moves of one
    /// person may come in any order. If nobody is known, the contact gets the id `fresh`. The contact that stays.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn change_number(
        &self,
        workspace: WorkspaceId,
        change: &Move<'_>,
        fresh: ContactId,
    ) -> Result<ContactId, StoreError> {
        let contact = self.move_alias(workspace, change, fresh).await?;
        let newest = self.newest(workspace, change.new).await?;
        let Some(number) = newest.number() else { return Ok(contact) };
        let left = |contact: &Contact| {
            contact
                .phone
                .as_ref()
                .is_none_or(|phone| Alias::from(phone) == *change.old || Alias::from(phone) == *change.new)
        };
        self.change_contact(workspace, contact, |contact| {
            let mut next = contact.clone();
            if left(contact) && contact.phone.as_ref().is_none_or(|phone| Alias::from(phone) != newest) {
                (next.phone, next.updated_at) = (Some(number.clone()), change.at);
            }
            Ok(next)
        })
        .await?;
        Ok(contact)
    }

    /// Notes that Meta gives a person another user id: it becomes their contact's, which is merged with the one that had
    /// it, and words for or against messages hold for both. The contact that stays.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn rotate_bsuid(
        &self,
        workspace: WorkspaceId,
        change: &Move<'_>,
        fresh: ContactId,
    ) -> Result<ContactId, StoreError> {
        self.move_alias(workspace, change, fresh).await
    }

    async fn move_alias(
        &self,
        workspace: WorkspaceId,
        change: &Move<'_>,
        fresh: ContactId,
    ) -> Result<ContactId, StoreError> {
        let Move { old, new, also, source, at } = *change;
        let sighting = |aliases| Sighting { aliases, evidence: Evidence::Meta, source, at };
        let now: Vec<Alias> = std::iter::once(new).chain(also).cloned().collect();
        let rows = self.alias_rows(workspace, std::slice::from_ref(old)).await?;
        let came_later = rows.first().and_then(Option::as_ref).is_some_and(|row| row.since > Some(at));
        if came_later || old == new {
            // Whoever has the old one now got it after this move, which says nothing about them.
            let resolved = self.contact_of(workspace, &sighting(&now), fresh).await?;
            return self.root_of(workspace, resolved.map_or(fresh, |resolved| resolved.contact)).await;
        }
        let theirs = self.contact_of(workspace, &sighting(std::slice::from_ref(old)), fresh).await?;
        let Some(Resolved { contact: theirs, .. }) = theirs else { return Ok(fresh) };
        self.hand_over(workspace, change, theirs).await?;
        let now = self.contact_of(workspace, &sighting(&now), fresh).await?;
        let now = now.map_or(theirs, |resolved| resolved.contact);
        // The new one may have had a contact: somebody wrote under it before the move was told.
        match self.merge(workspace, now, theirs, source, "a person's number or user id changed", at).await? {
            Merged::Done { root } | Merged::Already { root } => Ok(root),
            Merged::Undone | Merged::Missing => self.root_of(workspace, theirs).await,
        }
    }

    /// Marks the old one as left and makes the new one the contact's, unless it has one.
    async fn hand_over(&self, workspace: WorkspaceId, change: &Move<'_>, theirs: ContactId) -> Result<(), StoreError> {
        let Move { old, new, at, .. } = *change;
        let pair = [old.clone(), new.clone()];
        for attempt in 0..TRIES {
            pause(attempt).await;
            let mut rows = self.alias_rows(workspace, &pair).await?.into_iter();
            let (left, taken) = (rows.next().flatten(), rows.next().flatten());
            if !self.carry_words(workspace, change, left.as_ref(), taken.as_ref()).await? {
                continue;
            }
            let Some(before) = left else { return Ok(()) };
            let mut parts = Vec::new();
            let mut gone = before.clone();
            // They may have come back to it since: of two moves the later one holds.
            if gone.since.is_none_or(|since| since <= at) && gone.until.is_none_or(|until| until <= at) {
                (gone.until, gone.moved_to) = (Some(at), Some(new.tag()));
            }
            let mut come = taken.clone().unwrap_or_else(|| AliasRow::new(at));
            if come.since.is_none_or(|since| since < at) {
                come.since = Some(at);
            }
            if come.until.is_some_and(|until| until < at) {
                (come.until, come.moved_to) = (None, None);
            }
            if old.kind() == Kind::Bsuid {
                gone.linked.insert(new.tag());
                come.linked.insert(old.tag());
            }
            if come.contact.is_none() {
                come.contact = Some(theirs);
                parts.push(self.mention(workspace, theirs, new, at, false)?);
                if let Some(owner) = self.contact(workspace, theirs).await? {
                    parts.push(self.contact_change(workspace, Some(&owner), &owner)?);
                }
            }
            if gone != before {
                let owner = before.contact.unwrap_or(theirs);
                parts.push(self.alias_change(workspace, old, Some(&before), &gone)?);
                parts.push(self.mention(workspace, owner, old, gone.until.unwrap_or(at), gone.until.is_some())?);
            }
            let is_back = taken.as_ref().is_some_and(|taken| taken.until.is_some()) && come.until.is_none();
            if let Some(owner) = come.contact.filter(|_| is_back) {
                parts.push(self.mention(workspace, owner, new, at, false)?);
            }
            if taken.as_ref() != Some(&come) {
                parts.push(self.alias_change(workspace, new, taken.as_ref(), &come)?);
            }
            if parts.is_empty() || matches!(self.commit(parts).await?, Committed::Yes) {
                return Ok(());
            }
        }
        Err(too_many_writers())
    }

    /// Takes the words that were given before the move to the new one; a user id's two rows share all of them. `false` when
    /// the rows have to be read again.
    async fn carry_words(
        &self,
        workspace: WorkspaceId,
        change: &Move<'_>,
        left: Option<&AliasRow>,
        taken: Option<&AliasRow>,
    ) -> Result<bool, StoreError> {
        if change.old.kind().rank() < Rank::User {
            return Ok(true);
        }
        if change.old.kind() == Kind::Bsuid {
            return self.share_words(workspace, (change.old, left), (change.new, taken)).await;
        }
        self.carry_earlier_words(workspace, left, (change.new, taken), change.at).await
    }

    /// The number that this one's owner has now.
    async fn newest(&self, workspace: WorkspaceId, alias: &Alias) -> Result<Alias, StoreError> {
        let mut newest = alias.clone();
        for _ in 0..MAX_MOVES {
            let rows = self.alias_rows(workspace, std::slice::from_ref(&newest)).await?;
            let next = rows.into_iter().next().flatten().and_then(|row| Alias::of_tag(&row.moved_to?).ok());
            match next {
                Some(next) => newest = next,
                None => break,
            }
        }
        Ok(newest)
    }
}
