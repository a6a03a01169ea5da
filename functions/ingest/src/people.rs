//! The person whom an item concerns: their contact, which is made when they are met for the first time, and their name, which
//! is taken from WhatsApp when nobody has given them one.

use std::time::Duration;

use shared::activity;
use shared::contact::alias::Alias;
use shared::contact::{Contact, ContactPatch, MAX_TEXT_CHARS};
use shared::id::{ContactId, WorkspaceId};
use shared::meta::webhook::{self, InboundMessage, Item, Redacted, SystemChange};
use shared::store::{Evidence, Move, Sighting, StoreError};
use shared::time::UnixMillis;

use crate::origin::Origin;
use crate::remembered::Remembered;
use crate::{Ingest, NotIngested};

/// How a notification names a person; not shown by any `Debug`.
#[derive(Clone, Copy, Default)]
pub(crate) struct Person<'a> {
    /// The `wa_id`, unless hidden.
    pub(crate) digits: Option<&'a str>,
    /// The business-scoped user id.
    pub(crate) user_id: Option<&'a str>,
}

impl<'a> Person<'a> {
    pub(crate) fn of(digits: Option<&'a Redacted<String>>, user_id: Option<&'a Redacted<String>>) -> Self {
        Self { digits: digits.map(|digits| digits.as_str()), user_id: user_id.map(|id| id.as_str()) }
    }

    /// With what the contact that Meta sent along knows beside. It was found by one of the person's addresses, so the other
    /// one is theirs too.
    pub(crate) fn completed_by(self, contact: Option<&'a webhook::Contact>) -> Self {
        let known =
            contact.map(|contact| Self::of(contact.wa_id.as_ref(), contact.user_id.as_ref())).unwrap_or_default();
        Self { digits: self.digits.or(known.digits), user_id: self.user_id.or(known.user_id) }
    }

    fn number(&self) -> Option<Alias> {
        self.digits.and_then(|digits| Alias::phone(digits).ok())
    }

    fn bsuid(&self) -> Option<Alias> {
        self.user_id.and_then(|id| Alias::bsuid(id).ok())
    }

    /// What they are known under.
    pub(crate) fn aliases(&self) -> Vec<Alias> {
        self.number().into_iter().chain(self.bsuid()).collect()
    }

    /// Tells them from others, within ids of events.
    pub(crate) fn identity(&self) -> &'a str {
        self.digits.or(self.user_id).unwrap_or_default()
    }
}

/// The name that Meta sent along.
pub(crate) fn name_of(item: &Item) -> Option<&str> {
    let contact = item.contact.as_ref()?;
    contact.profile_name.as_ref().map(|name| name.as_str())
}

/// What brings a person to us.
pub(crate) struct Meeting<'a> {
    /// When it happened.
    pub(crate) at: UnixMillis,
    /// What it is, as in the event `contact.created`.
    pub(crate) by: &'static str,
    /// Tells it from other meetings, such as a wamid.
    pub(crate) what: &'a str,
    /// What WhatsApp calls the person.
    pub(crate) name: Option<&'a str>,
}

impl Meeting<'_> {
    /// The id of a contact that is made for it. Not from the number, or whoever knows the id could find the number by trying
    /// all.
    fn fresh(&self) -> ContactId {
        ContactId::from_ulid(activity::id_of(self.at, &["contact", self.what]).ulid())
    }
}

/// The contacts that were seen lately to have a name: nothing is to be added to them.
pub(crate) type Acquaintances = Remembered<ContactId, ()>;

const KNOWN_FOR: Duration = Duration::from_secs(60);

/// The contact of a person who did something, made if there is none, with the name that WhatsApp knows if they have no other.
pub(crate) async fn meet(
    ingest: &Ingest,
    origin: &Origin<'_>,
    person: &Person<'_>,
    meeting: &Meeting<'_>,
) -> Result<Option<ContactId>, NotIngested> {
    let Some((workspace, _)) = origin.route else {
        return Ok(None);
    };
    let aliases = person.aliases();
    let sighting = Sighting { aliases: &aliases, evidence: Evidence::Meta, source: meeting.by, at: meeting.at };
    let Some(resolved) = ingest.core.contact_of(workspace, &sighting, meeting.fresh()).await? else {
        return Ok(None);
    };
    if let Some(name) = meeting.name {
        name_if_unnamed(ingest, workspace, resolved.contact, name, meeting.at).await?;
    }
    Ok(Some(resolved.contact))
}

async fn name_if_unnamed(
    ingest: &Ingest,
    workspace: WorkspaceId,
    contact: ContactId,
    name: &str,
    at: UnixMillis,
) -> Result<(), StoreError> {
    let name: String = name.trim().chars().take(MAX_TEXT_CHARS).collect();
    if name.is_empty() || ingest.people.get(&contact).is_some() {
        return Ok(());
    }
    let patch = ContactPatch { name: Some(name), ..ContactPatch::default() };
    let named = |row: &Contact| if row.name.is_some() { Ok(row.clone()) } else { row.with(&patch, at) };
    ingest.core.change_contact(workspace, contact, named).await?;
    ingest.people.put(contact, (), KNOWN_FOR);
    Ok(())
}

/// The contact of a person whom something concerns; nobody is made for it.
pub(crate) async fn known(
    ingest: &Ingest,
    origin: &Origin<'_>,
    person: &Person<'_>,
) -> Result<Option<ContactId>, NotIngested> {
    let Some((workspace, _)) = origin.route else {
        return Ok(None);
    };
    for alias in person.aliases() {
        let found = ingest.core.consent_of(workspace, &alias).await?;
        if let Some(contact) = found.and_then(|found| found.contact) {
            return Ok(Some(contact));
        }
    }
    Ok(None)
}

/// The numbers that a person is written to under: the one that they write from, else the one that their contact has.
pub(crate) async fn numbers_of(
    ingest: &Ingest,
    workspace: WorkspaceId,
    person: &Person<'_>,
    contact: Option<ContactId>,
) -> Result<Vec<String>, StoreError> {
    if let Some(digits) = person.digits {
        return Ok(vec![digits.to_owned()]);
    }
    let Some(contact) = contact else {
        return Ok(Vec::new());
    };
    let row = ingest.core.contact(workspace, contact).await?;
    Ok(row.and_then(|row| row.phone).map(|phone| phone.digits().to_owned()).into_iter().collect())
}

/// A person has another number or user id: the contact stays theirs. It is done at once, for each of its writes may be
/// repeated and come in any order.
pub(crate) async fn moved(
    ingest: &Ingest,
    origin: &Origin<'_>,
    message: &InboundMessage,
    change: &SystemChange,
) -> Result<Option<ContactId>, NotIngested> {
    let at = UnixMillis::from_seconds(message.timestamp_s);
    let meeting = Meeting { at, by: "change", what: &message.wamid, name: None };
    let before = Person::of(message.from.as_ref(), change.previous_user_id.as_ref().or(message.from_user_id.as_ref()));
    let after = Person::of(change.wa_id.as_ref(), change.user_id.as_ref());
    let Some((workspace, _)) = origin.route else {
        return Ok(None);
    };
    let pair = |old: Option<Alias>, new: Option<Alias>| old.zip(new).filter(|(old, new)| old != new);
    let numbers = pair(before.number(), after.number());
    let user_ids = pair(before.bsuid(), after.bsuid());
    let mut contact = None;
    if let Some((old, new)) = &user_ids {
        let change = Move { old, new, also: &[], source: meeting.by, at };
        contact = Some(ingest.core.rotate_bsuid(workspace, &change, meeting.fresh()).await?);
    }
    if let Some((old, new)) = &numbers {
        let also: Vec<Alias> = after.bsuid().into_iter().collect();
        let change = Move { old, new, also: &also, source: meeting.by, at };
        contact = Some(ingest.core.change_number(workspace, &change, meeting.fresh()).await?);
    }
    match contact {
        Some(contact) => Ok(Some(contact)),
        // Only the identity key changed, or Meta does not tell what was before: it concerns whoever it names.
        None => {
            let named = Person { digits: before.digits.or(after.digits), user_id: after.user_id.or(before.user_id) };
            meet(ingest, origin, &named, &meeting).await
        }
    }
}
