//! All that is known of a person's way: where their events lie, and the attempts to reach them, under every number and
//! every contact that is theirs.

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt};
use shared::attempt::{Attempt, AttemptKey};
use shared::contact::alias::Kind;
use shared::http::problem::Problem;
use shared::id::{AccountId, ContactId, EventId, WorkspaceId};
use shared::journey::trace::Trace;
use shared::phone::wa_id_variants;
use shared::store::keys::Key;
use shared::store::{Core, StoreError};
use shared::time::UnixMillis;

/// Events of a person that are put in their order; each place takes about 300 bytes. Far above what people do.
const MOST_EVENTS: usize = 50_000;

/// Campaigns that have written to a person, for each form of each of their numbers.
const MOST_TOUCHES: usize = 1_000;

/// Events that are read whole for sessions and conversations.
const MOST_READ: usize = 10_000;

/// Reads at once.
const AT_ONCE: usize = 16;

/// Where an event lies: enough to put events in their order before any of them is read.
#[derive(Clone)]
pub(crate) struct EventPlace {
    /// When it happened.
    pub(crate) at: UnixMillis,
    /// Its id.
    pub(crate) id: EventId,
    /// Its row.
    pub(crate) key: Key,
}

impl EventPlace {
    fn read(key: Key) -> Option<Self> {
        let (at, id) = key.sk.split_once('#')?;
        Some(Self { at: UnixMillis(at.parse().ok()?), id: id.parse().ok()?, key })
    }
}

/// A person's way, as far as it is known.
pub(crate) struct Way {
    /// The contact that stands for the person.
    pub(crate) contact: ContactId,
    /// Under which ids their events are listed; its own first.
    pub(crate) contacts: Vec<ContactId>,
    /// Every form of every number that is or was theirs, digits only.
    pub(crate) numbers: BTreeSet<String>,
    /// Where their events lie, newest first.
    pub(crate) places: Vec<EventPlace>,
    /// The attempts to reach them.
    pub(crate) attempts: Vec<(AttemptKey, Attempt)>,
    /// Whether that is all there is.
    pub(crate) complete: bool,
}

/// Who a contact is: the id that stands for the person, all ids that are theirs, and every number that is or was.
async fn person(
    core: &Core,
    workspace: WorkspaceId,
    id: ContactId,
) -> Result<Option<(ContactId, Vec<ContactId>, BTreeSet<String>)>, StoreError> {
    let Some(family) = core.family_of(workspace, id).await? else { return Ok(None) };
    let given = family.members().filter_map(|contact| contact.phone.as_ref()).map(|phone| phone.digits().to_owned());
    let mut numbers: BTreeSet<String> = given.collect();
    for known in core.aliases_of(workspace, &family).await? {
        if known.alias.kind() == Kind::Phone {
            numbers.insert(known.alias.value().to_owned());
        }
    }
    Ok(Some((family.root.id, family.ids().collect(), numbers)))
}

impl Way {
    /// The way of the caller's contact of this id.
    pub(crate) async fn of(core: &Core, workspace: WorkspaceId, id: &str) -> Result<Self, Problem> {
        let id: ContactId = id.parse().map_err(|_| Problem::not_found("contact"))?;
        Self::of_contact(core, workspace, id).await?.ok_or_else(|| Problem::not_found("contact"))
    }

    /// The way of a contact; `None` when there is no such contact.
    pub(crate) async fn of_contact(
        core: &Core,
        workspace: WorkspaceId,
        id: ContactId,
    ) -> Result<Option<Self>, StoreError> {
        let Some((contact, contacts, numbers)) = person(core, workspace, id).await? else { return Ok(None) };
        let (mut places, mut complete) = (Vec::new(), true);
        for contact in &contacts {
            let found = core.events_of_contact(workspace, *contact, MOST_EVENTS).await?;
            complete &= found.len() < MOST_EVENTS;
            places.extend(found.into_iter().filter_map(EventPlace::read));
        }
        places.sort_by_key(|place| std::cmp::Reverse((place.at, place.id)));
        places.dedup_by_key(|place| place.id);

        let forms: BTreeSet<String> = numbers.iter().flat_map(|digits| wa_id_variants(digits)).collect();
        let mut keys: BTreeSet<AttemptKey> = BTreeSet::new();
        for digits in &forms {
            let touches = core.touches(workspace, digits, MOST_TOUCHES).await?;
            complete &= touches.len() < MOST_TOUCHES;
            keys.extend(touches.iter().map(|touch| touch.attempt(workspace)));
        }
        let attempts = futures::stream::iter(keys)
            .map(|key| async move { Ok::<_, StoreError>(core.attempt(&key).await?.map(|attempt| (key, attempt))) })
            .buffered(AT_ONCE)
            .try_collect::<Vec<_>>()
            .await?;
        // A number may have been somebody else's before or since.
        let theirs = attempts.into_iter().flatten().filter(|(_, attempt): &(AttemptKey, Attempt)| {
            attempt.contact.is_none_or(|contact| contacts.contains(&contact))
        });
        let attempts = theirs.collect();
        Ok(Some(Self { contact, contacts, numbers: forms, places, attempts, complete }))
    }

    /// What sessions and conversations are told from: the newest events, and what became of our messages. `false`: there
    /// are older ones.
    pub(crate) async fn traces(&self, core: &Core) -> Result<(Vec<Trace>, bool), Problem> {
        let newest = &self.places[..self.places.len().min(MOST_READ)];
        let mut traces: Vec<Trace> = Vec::new();
        for some in newest.chunks(1_000) {
            let events = core.events_at(some.iter().map(|place| place.key.clone()).collect()).await?;
            traces.extend(events.iter().map(|(_, account, event)| Trace::of(*account, event)));
        }
        traces.extend(self.attempts.iter().flat_map(|(key, attempt)| Trace::of_attempt(key, attempt)));
        Ok((traces, self.complete && newest.len() == self.places.len()))
    }
}

/// The traces of each account, in no order.
pub(crate) fn by_account(traces: Vec<Trace>) -> std::collections::BTreeMap<AccountId, Vec<Trace>> {
    let mut accounts: std::collections::BTreeMap<AccountId, Vec<Trace>> = std::collections::BTreeMap::new();
    for trace in traces {
        if let Some(account) = trace.account {
            accounts.entry(account).or_default().push(trace);
        }
    }
    accounts
}
