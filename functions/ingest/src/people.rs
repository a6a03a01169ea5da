//! The person whom an item concerns: their contact, which is made when they are met for the first time, and their name, which
//! is taken from WhatsApp when nobody has given them one.

use std::time::Duration;

use shared::activity::reported::CreatedReport;
use shared::activity::{self, Content};
use shared::contact::{ContactPatch, MAX_TEXT_CHARS};
use shared::id::{ContactId, WorkspaceId};
use shared::meta::webhook::{self, InboundMessage, Item, Redacted, SystemChange};
use shared::phone::{PhoneNumber, wa_id_variants};
use shared::store::{StoreError, Upserted};
use shared::time::UnixMillis;

use crate::effects::Effects;
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

/// The contacts whose row was seen lately: when it was made, and whether it has a name.
pub(crate) type Acquaintances = Remembered<ContactId, (UnixMillis, bool)>;

const KNOWN_FOR: Duration = Duration::from_secs(60);

/// The contact of a person who did something, made if there is none. Whatever dies on the way: the repeat of the same item
/// finds the contact that it has made by its time, and records again that it was created.
pub(crate) async fn meet(
    ingest: &Ingest,
    effects: &mut Effects,
    origin: &Origin<'_>,
    person: &Person<'_>,
    meeting: &Meeting<'_>,
) -> Result<Option<ContactId>, NotIngested> {
    let Some((workspace, _)) = origin.route else {
        return Ok(None);
    };
    // Not made from the number, or whoever knows the id could find the number by trying all.
    let fresh = ContactId::from_ulid(activity::id_of(meeting.at, &["contact", meeting.what]).ulid());
    let Some(contact) = contact_of(ingest, origin, person, Some(fresh), meeting.at).await? else {
        return Ok(None);
    };
    let known = ingest.people.get(&contact).filter(|(_, has_name)| *has_name || meeting.name.is_none());
    let created_at = match known {
        Some((created_at, _)) => created_at,
        None => {
            let (created_at, has_name) = row_of(ingest, workspace, contact, person, meeting).await?;
            ingest.people.put(contact, (created_at, has_name), KNOWN_FOR);
            created_at
        }
    };
    if created_at == meeting.at {
        let id = activity::id_of(created_at, &["contact created", &contact.to_string()]);
        let content = Content::ContactCreated(CreatedReport { source: meeting.by.to_owned() });
        effects.record(origin.route, origin.event(id, Some(contact), content));
    }
    Ok(Some(contact))
}

/// The contact of a person whom something concerns; nobody is made for it.
pub(crate) async fn known(
    ingest: &Ingest,
    origin: &Origin<'_>,
    person: &Person<'_>,
) -> Result<Option<ContactId>, NotIngested> {
    contact_of(ingest, origin, person, None, origin.seen).await.map_err(NotIngested::from)
}

/// Sees to it that the contact has a row and, if Meta tells one, a name; when it was made, and whether it has a name.
async fn row_of(
    ingest: &Ingest,
    workspace: WorkspaceId,
    contact: ContactId,
    person: &Person<'_>,
    meeting: &Meeting<'_>,
) -> Result<(UnixMillis, bool), StoreError> {
    let name = meeting.name.map(|name| name.trim().chars().take(MAX_TEXT_CHARS).collect::<String>());
    let name = name.filter(|name| !name.is_empty());
    let patch = match ingest.core.contact(workspace, contact).await? {
        Some(row) if row.name.is_some() || name.is_none() => return Ok((row.created_at, row.name.is_some())),
        Some(_) => ContactPatch { name, ..ContactPatch::default() },
        None => ContactPatch { phone: person.digits.and_then(number_of), name, ..ContactPatch::default() },
    };
    match ingest.core.upsert_contact(workspace, contact, &patch, None, meeting.at).await? {
        Upserted::Created(row) | Upserted::Updated(row) => Ok((row.created_at, row.name.is_some())),
        // Not for a name or a number, which take the place of what was there.
        Upserted::Refused(_) => Ok((meeting.at, true)),
    }
}

/// The number to write to, if these digits, in one of the forms that WhatsApp knows, are one.
fn number_of(digits: &str) -> Option<PhoneNumber> {
    wa_id_variants(digits).iter().find_map(|digits| format!("+{digits}").parse().ok())
}

async fn contact_of(
    ingest: &Ingest,
    origin: &Origin<'_>,
    person: &Person<'_>,
    fresh: Option<ContactId>,
    now: UnixMillis,
) -> Result<Option<ContactId>, StoreError> {
    let (Some((workspace, _)), Some(digits), Some(fresh)) = (origin.route, person.digits, fresh) else {
        return Ok(None);
    };
    ingest.core.contact_of_number(workspace, digits, fresh, now).await.map(Some)
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

/// A person has another number or user id: the contact stays theirs.
pub(crate) async fn moved(
    ingest: &Ingest,
    effects: &mut Effects,
    origin: &Origin<'_>,
    message: &InboundMessage,
    _change: &SystemChange,
) -> Result<Option<ContactId>, NotIngested> {
    let at = UnixMillis::from_seconds(message.timestamp_s);
    let before = Person::of(message.from.as_ref(), message.from_user_id.as_ref());
    let meeting = Meeting { at, by: "change", what: &message.wamid, name: None };
    meet(ingest, effects, origin, &before, &meeting).await
}
