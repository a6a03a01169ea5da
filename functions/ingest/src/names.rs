//! Whom an event of a page or a server concerns, by the names that came with it.

use shared::id::{ContactId, EventId, WorkspaceId};
use shared::phone::PhoneNumber;
use shared::store::StoreError;
use shared::time::UnixMillis;
use shared::told::Person;

use crate::Ingest;

/// The names of one person. Personal, so it has no `Debug`.
#[derive(Clone, Default)]
pub(crate) struct Names {
    /// Our id of the contact: then nothing else has to be looked up.
    pub(crate) id: Option<ContactId>,
    pub(crate) phone: Option<PhoneNumber>,
    pub(crate) user_id: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) anonymous_id: Option<String>,
}

impl From<&Person> for Names {
    fn from(person: &Person) -> Self {
        let Person { id, phone, user_id, email, anonymous_id } = person.clone();
        Self { id, phone, user_id, email, anonymous_id }
    }
}

/// The contact of these names, made if there is none; `None` without a name. `source` is where it comes from, as in
/// `contact.created`.
pub(crate) async fn contact_of(
    ingest: &Ingest,
    workspace: WorkspaceId,
    names: &Names,
    _source: &str,
    event: EventId,
    at: UnixMillis,
) -> Result<Option<ContactId>, StoreError> {
    if names.id.is_some() {
        return Ok(names.id);
    }
    let Some(phone) = &names.phone else {
        return Ok(None);
    };
    let fresh = ContactId::from_ulid(event.ulid());
    ingest.core.contact_of_number(workspace, phone.digits(), fresh, at).await.map(Some)
}
