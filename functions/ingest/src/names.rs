//! Whom an event of a page or a server concerns, by the names that came with it.

use shared::contact::alias::Alias;
use shared::id::{ContactId, EventId, WorkspaceId};
use shared::phone::PhoneNumber;
use shared::store::{Evidence, Sighting, StoreError};
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

impl Names {
    /// What of them can be looked up. All were checked when they were taken in.
    fn aliases(&self) -> Vec<Alias> {
        let phone = self.phone.as_ref().map(Alias::from);
        let user_id = self.user_id.as_deref().and_then(|id| Alias::bsuid(id).ok());
        let email = self.email.as_deref().and_then(|address| Alias::email(address).ok());
        let anonymous_id = self.anonymous_id.as_deref().and_then(|id| Alias::anon(id).ok());
        [phone, user_id, email, anonymous_id].into_iter().flatten().collect()
    }
}

/// The contact of these names, made if there is none; `None` without a name. Names that belong to different people stay with
/// them: a page or a program says so, and not Meta. `source` is where it comes from, as in `contact.created`.
pub(crate) async fn contact_of(
    ingest: &Ingest,
    workspace: WorkspaceId,
    names: &Names,
    source: &str,
    event: EventId,
    at: UnixMillis,
) -> Result<Option<ContactId>, StoreError> {
    if names.id.is_some() {
        return Ok(names.id);
    }
    let aliases = names.aliases();
    let sighting = Sighting { aliases: &aliases, evidence: Evidence::Told, source, at };
    // The same for every run that takes the same event in.
    let fresh = ContactId::from_ulid(event.ulid());
    let resolved = ingest.core.contact_of(workspace, &sighting, fresh).await?;
    Ok(resolved.map(|resolved| resolved.contact))
}
