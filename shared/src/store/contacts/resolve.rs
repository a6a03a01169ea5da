//! Finding the contact of identifiers that were seen together, and linking those that were not known with it. What it
//! writes, it writes in one transaction that depends on all it has read; so of two who find the same person at once one
//! does it again, and whoever is cut off has written nothing or all. See ADR 8.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::TransactWriteItem;

use super::family::{Merged, event};
use super::rows::{AliasRow, Committed, StoredWord, too_many_writers};
use super::{Known, TRIES, pause};
use crate::activity::Content;
use crate::activity::reported::CreatedReport;
use crate::contact::Contact;
use crate::contact::alias::{Alias, Kind, Rank};
use crate::id::{ContactId, WorkspaceId};
use crate::store::{Core, StoreError};
use crate::time::UnixMillis;

/// So many pairs are remembered of a device or mailbox before the memory starts anew.
const MAX_LINKED: usize = 16;

/// Who says that identifiers belong to one person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// Meta, by naming them together: a number and a user id are one person, whatever we thought before.
    Meta,
    /// A web page, an operator, a file: a number and a user id that belong to different contacts stay apart.
    Told,
}

/// Identifiers of one person that were seen together.
#[derive(Clone, Copy, Debug)]
pub struct Sighting<'a> {
    /// In any order.
    pub aliases: &'a [Alias],
    /// Who says so.
    pub evidence: Evidence,
    /// In what they were seen, such as `message` or `import`: the source of `contact.created`.
    pub source: &'a str,
    /// When.
    pub at: UnixMillis,
}

/// Whose they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The contact of the identifier that says most. It may have been merged into another: [`Core::root_of`] tells.
    pub contact: ContactId,
    /// Whether it was made for them.
    pub created: bool,
    /// Contacts that others of the identifiers belong to, and that may be other people: each as it stays.
    pub conflicts: Vec<ContactId>,
}

/// An identifier with its row as it was read.
struct Seen<'a> {
    alias: &'a Alias,
    row: Option<AliasRow>,
    /// Whose it is, as far as that still counts.
    contact: Option<ContactId>,
    /// The contact that stays for it.
    root: Option<ContactId>,
    /// A number whose owner has taken another, and which somebody else has now.
    is_left: bool,
}

impl Seen<'_> {
    fn rank(&self) -> Rank {
        self.alias.kind().rank()
    }

    fn is_linked(&self, other: &Alias) -> bool {
        self.row.as_ref().is_some_and(|row| row.is_linked(other))
    }
}

/// What a row of an identifier becomes.
struct Turn {
    index: usize,
    row: AliasRow,
    /// Whose it was, if it changes hands.
    moved_from: Option<Option<ContactId>>,
}

/// What is to be done.
#[derive(Default)]
struct Plan {
    /// Whose they are; `None` makes a contact.
    subject: Option<ContactId>,
    /// Identifiers that become the subject's.
    link: Vec<usize>,
    /// Pairs with the first identifier of which nothing is left to do.
    settle: Vec<usize>,
    /// Identifiers that the subject uses now instead of somebody else.
    repoint: Vec<usize>,
    /// Contacts to be merged into the subject.
    merge: Vec<ContactId>,
    conflicts: Vec<ContactId>,
}

impl Core {
    /// The contact of identifiers that were seen together; one that is not known becomes the contact's, and if none is
    /// known a contact is made with the id `fresh`, and `contact.created` with it. `None` if there are no identifiers.
    ///
    /// Two contacts that meet through an identifier are merged unless both are known by something that says more than it
    /// does: then an anonymous id goes to whom it was last seen with, and an address stays where it is, which is a
    /// conflict. A number and a user id that Meta names together are always one person.
    ///
    /// One read when nothing is new.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn contact_of(
        &self,
        workspace: WorkspaceId,
        sighting: &Sighting<'_>,
        fresh: ContactId,
    ) -> Result<Option<Resolved>, StoreError> {
        self.resolve(workspace, sighting, &Contact::new(fresh, sighting.at)).await
    }

    /// The contact of the identifier that says most, of those that are known; nothing is written.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn owner_of(&self, workspace: WorkspaceId, aliases: &[Alias]) -> Result<Option<ContactId>, StoreError> {
        let rows = self.alias_rows(workspace, aliases).await?;
        let known = aliases.iter().zip(rows).filter_map(|(alias, row)| Some((alias.kind(), row?.contact?)));
        Ok(known.min_by_key(|(kind, _)| *kind).map(|(_, contact)| contact))
    }

    /// Makes an identifier a contact's, unless it belongs to one already: whose it is then. `None` when the contact is not
    /// there.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn claim_alias(
        &self,
        workspace: WorkspaceId,
        contact: ContactId,
        alias: &Alias,
        at: UnixMillis,
    ) -> Result<Option<Known>, StoreError> {
        let known = |contact| Some(Known { alias: alias.clone(), contact, at, until: None });
        for attempt in 0..TRIES {
            pause(attempt).await;
            let row = self.alias_rows(workspace, std::slice::from_ref(alias)).await?.into_iter().next().flatten();
            if let Some(owner) = row.as_ref().and_then(|row| row.contact) {
                return Ok(known(owner));
            }
            let stored = self.contact(workspace, contact).await?.filter(|contact| contact.deleted_at.is_none());
            let Some(stored) = stored else { return Ok(None) };
            let mut claimed = row.clone().unwrap_or_else(|| AliasRow::new(at));
            claimed.contact = Some(contact);
            let parts = vec![
                self.alias_change(workspace, alias, row.as_ref(), &claimed)?,
                self.mention(workspace, contact, alias, at, false)?,
                self.contact_change(workspace, Some(&stored), &stored)?,
            ];
            if matches!(self.commit(parts).await?, Committed::Yes) {
                return Ok(known(contact));
            }
        }
        Err(too_many_writers())
    }

    /// [`Core::contact_of`] that makes this contact if none is known.
    pub(super) async fn resolve(
        &self,
        workspace: WorkspaceId,
        sighting: &Sighting<'_>,
        seed: &Contact,
    ) -> Result<Option<Resolved>, StoreError> {
        let mut aliases: Vec<Alias> = sighting.aliases.to_vec();
        aliases.sort_by_cached_key(|alias| (alias.kind(), alias.value().to_owned()));
        aliases.dedup();
        if aliases.is_empty() {
            return Ok(None);
        }
        let mut undone = BTreeSet::new();
        for attempt in 0..TRIES {
            pause(attempt).await;
            let rows = self.alias_rows(workspace, &aliases).await?;
            if let Some(contact) = settled(&aliases, &rows) {
                return Ok(Some(Resolved { contact, created: false, conflicts: Vec::new() }));
            }
            let seen = self.what_counts(workspace, &aliases, rows, sighting.at).await?;
            if !self.share_words_of(workspace, &seen, sighting.evidence).await? {
                continue;
            }
            let plan = self.plan(workspace, &seen, sighting, &undone).await?;
            if let (Some(subject), false) = (plan.subject, plan.merge.is_empty()) {
                for from in plan.merge {
                    let reason = "identifiers seen together";
                    let merged = self.merge(workspace, from, subject, sighting.source, reason, sighting.at).await?;
                    if matches!(merged, Merged::Undone | Merged::Missing) {
                        undone.insert(from);
                    }
                }
                continue;
            }
            let Some((parts, contact, created)) = self.parts(workspace, &seen, &plan, sighting, seed).await? else {
                continue;
            };
            let conflicts = plan.conflicts;
            if parts.is_empty() {
                return Ok(Some(Resolved { contact, created: false, conflicts }));
            }
            if created {
                self.index(workspace, None, &Contact { id: contact, ..seed.clone() }).await?;
            }
            if matches!(self.commit(parts).await?, Committed::Yes) {
                return Ok(Some(Resolved { contact, created, conflicts }));
            }
        }
        Err(too_many_writers())
    }

    /// The rows with whose they are. Who is being deleted owns nothing any more; a number that its owner has left and that
    /// is seen with a user id they never had belongs to somebody else now.
    async fn what_counts<'a>(
        &self,
        workspace: WorkspaceId,
        aliases: &'a [Alias],
        rows: Vec<Option<AliasRow>>,
        at: UnixMillis,
    ) -> Result<Vec<Seen<'a>>, StoreError> {
        let user_id = aliases.iter().find(|alias| alias.kind() == Kind::Bsuid);
        let mut seen = Vec::with_capacity(aliases.len());
        for (alias, row) in aliases.iter().zip(rows) {
            let mut one = Seen { alias, row, contact: None, root: None, is_left: false };
            one.is_left = alias.kind() == Kind::Phone
                && one.row.as_ref().is_some_and(|row| row.until.is_some_and(|until| until < at))
                && user_id.is_some_and(|user_id| !one.is_linked(user_id));
            if let Some(id) = one.row.as_ref().and_then(|row| row.contact).filter(|_| !one.is_left) {
                let root = self.root_row(workspace, id).await?;
                if root.as_ref().is_none_or(|root| root.deleted_at.is_none()) {
                    one.contact = Some(id);
                    one.root = Some(root.map_or(id, |root| root.id));
                }
            }
            seen.push(one);
        }
        Ok(seen)
    }

    /// Before a number and a user id are linked each gets the words of the other; `false` when the rows have to be read
    /// again.
    async fn share_words_of(
        &self,
        workspace: WorkspaceId,
        seen: &[Seen<'_>],
        evidence: Evidence,
    ) -> Result<bool, StoreError> {
        let Some((first, others)) = seen.split_first() else { return Ok(true) };
        let mut shared = true;
        if first.rank() < Rank::User || first.is_left {
            return Ok(shared);
        }
        for other in others.iter().filter(|other| other.rank() == Rank::User) {
            let are_two = matches!((first.root, other.root), (Some(one), Some(other)) if one != other);
            if are_two && evidence == Evidence::Told {
                continue;
            }
            let (one, other) = ((first.alias, first.row.as_ref()), (other.alias, other.row.as_ref()));
            shared &= self.share_words(workspace, one, other).await?;
        }
        Ok(shared)
    }

    async fn plan(
        &self,
        workspace: WorkspaceId,
        seen: &[Seen<'_>],
        sighting: &Sighting<'_>,
        undone: &BTreeSet<ContactId>,
    ) -> Result<Plan, StoreError> {
        let Some((first, others)) = seen.split_first() else { return Ok(Plan::default()) };
        let mut plan = Plan { subject: first.contact, ..Plan::default() };
        let mut subject_root = first.root;
        if first.contact.is_none() {
            plan.link.push(0);
        }
        for (index, one) in others.iter().enumerate().map(|(index, one)| (index + 1, one)) {
            let (Some(owner), Some(root)) = (one.contact, one.root) else {
                plan.link.push(index);
                continue;
            };
            if one.is_linked(first.alias) && first.contact.is_some() {
                continue;
            }
            if subject_root == Some(root) {
                plan.settle.push(index);
                continue;
            }
            let may_be_two = if one.rank() == Rank::User && first.rank() == Rank::User {
                plan.subject.is_some() && sighting.evidence == Evidence::Told
            } else {
                let mut ours: BTreeSet<Rank> = plan.link.iter().map(|new| seen[*new].rank()).collect();
                if let Some(root) = subject_root {
                    ours.extend(self.ranks_of(workspace, root).await?);
                }
                let theirs = self.ranks_of(workspace, root).await?;
                ours.intersection(&theirs).any(|rank| *rank > one.rank())
            };
            match plan.subject {
                Some(_) if !may_be_two && undone.contains(&root) => plan.settle.push(index),
                Some(_) if !may_be_two => plan.merge.push(root),
                None if !may_be_two => {
                    (plan.subject, subject_root) = (Some(owner), Some(root));
                    plan.settle.push(index);
                }
                _ if one.alias.kind() == Kind::Anon => {
                    let last = one.row.as_ref().and_then(|row| row.since);
                    if last.is_none_or(|last| last < sighting.at) {
                        plan.repoint.push(index);
                    }
                }
                _ => plan.conflicts.push(root),
            }
        }
        Ok(plan)
    }

    /// What is to be written, whose they are then, and whether that contact is made by it; `None` when it has to be
    /// planned again.
    async fn parts(
        &self,
        workspace: WorkspaceId,
        seen: &[Seen<'_>],
        plan: &Plan,
        sighting: &Sighting<'_>,
        seed: &Contact,
    ) -> Result<Option<(Vec<TransactWriteItem>, ContactId, bool)>, StoreError> {
        let stored = match plan.subject {
            Some(subject) => self.contact(workspace, subject).await?,
            None => None,
        };
        if stored.as_ref().is_some_and(|contact| contact.deleted_at.is_some()) {
            return Ok(None);
        }
        let subject = plan.subject.unwrap_or(seed.id);
        let turns = turns(seen, plan, subject, sighting.at);
        let mut parts = Vec::with_capacity(2 * turns.len() + 2);
        let mut becomes = stored.clone().unwrap_or_else(|| Contact { id: subject, ..seed.clone() });
        let mut gains = false;
        for Turn { index, row, moved_from } in turns {
            let alias = seen[index].alias;
            parts.push(self.alias_change(workspace, alias, seen[index].row.as_ref(), &row)?);
            let Some(former) = moved_from else { continue };
            gains = true;
            parts.push(self.mention(workspace, subject, alias, sighting.at, false)?);
            if let Some(former) = former {
                parts.push(self.mention(workspace, former, alias, sighting.at, true)?);
            }
            match alias.kind() {
                Kind::Phone => becomes.phone = becomes.phone.or_else(|| alias.number()),
                Kind::Email => becomes.email = becomes.email.or_else(|| Some(alias.value().to_owned())),
                Kind::Bsuid | Kind::Anon => {}
            }
        }
        if parts.is_empty() {
            return Ok(Some((parts, subject, false)));
        }
        // The contact's row is part of it also when nothing is to be seen of it there: who merges or deletes it at the same
        // time has to look again.
        if gains || stored.is_none() {
            parts.push(self.contact_change(workspace, stored.as_ref(), &becomes)?);
        }
        if stored.is_none() {
            let content = Content::ContactCreated(CreatedReport { source: sighting.source.to_owned() });
            let created = event(becomes.created_at, subject, content, &[&subject.to_string()]);
            parts.push(self.event_in_transaction(workspace, &created)?);
        }
        Ok(Some((parts, subject, stored.is_none())))
    }
}

/// Whose they are, if nothing about them is new.
fn settled(aliases: &[Alias], rows: &[Option<AliasRow>]) -> Option<ContactId> {
    let (first, others) = aliases.split_first()?;
    let (first_row, other_rows) = rows.split_first()?;
    let contact = first_row.as_ref()?.contact?;
    let all = others.iter().zip(other_rows).all(|(alias, row)| {
        let Some(row) = row.as_ref().filter(|row| row.contact.is_some()) else { return false };
        let is_user = alias.kind().rank() == Rank::User;
        row.is_linked(first) || (row.contact == Some(contact) && !is_user)
    });
    all.then_some(contact)
}

/// What the rows become.
fn turns(seen: &[Seen<'_>], plan: &Plan, subject: ContactId, at: UnixMillis) -> Vec<Turn> {
    let Some((first, others)) = seen.split_first() else { return Vec::new() };
    let touched: BTreeSet<usize> = plan.link.iter().chain(&plan.settle).chain(&plan.repoint).copied().collect();
    // Between a number and a user id the link goes both ways.
    let partners: Vec<&Seen<'_>> = others
        .iter()
        .enumerate()
        .filter(|(index, one)| touched.contains(&(index + 1)) && one.rank() == Rank::User)
        .map(|(_, one)| one)
        .collect();
    let mut turns = Vec::new();
    for (index, one) in seen.iter().enumerate() {
        if !touched.contains(&index) && (index > 0 || partners.is_empty()) {
            continue;
        }
        let mut row = one.row.clone().unwrap_or_else(|| AliasRow::new(at));
        let former = row.contact;
        let moves = (plan.link.contains(&index) || plan.repoint.contains(&index)) && former != Some(subject);
        if moves {
            if former.is_some() {
                row = AliasRow { linked: BTreeSet::new(), until: None, moved_to: None, since: Some(at), ..row };
            }
            row.contact = Some(subject);
        }
        if one.is_left {
            // The former owner's yes is not the new one's. Their no stays: better silent than unwelcome.
            let theirs = |word: fn(&AliasRow) -> Option<StoredWord>| {
                partners.iter().filter_map(|partner| word(partner.row.as_ref()?)).max()
            };
            row.opt_in = theirs(|row| row.opt_in.clone());
            row.opt_out = row.opt_out.max(theirs(|row| row.opt_out.clone()));
        }
        if one.alias.kind() == Kind::Anon {
            row.since = row.since.max(Some(at));
        }
        if row.linked.len() >= MAX_LINKED && one.rank() < Rank::User {
            row.linked.clear();
        }
        if index > 0 {
            row.linked.insert(first.alias.tag());
        } else {
            row.linked.extend(partners.iter().map(|partner| partner.alias.tag()));
        }
        turns.push(Turn { index, row, moved_from: moves.then_some(former) });
    }
    turns
}
