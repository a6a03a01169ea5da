//! `PATCH /v1/contacts/{id}`: a JSON merge patch (RFC 7396): what is absent stays, `null` takes away, tags are replaced as a
//! whole. What is taken away is taken from all contacts that are the person.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::{Extension, Json};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use shared::contact::alias::{Alias, Kind};
use shared::contact::family::Family;
use shared::contact::{Contact, ContactPatch, TooMuch};
use shared::http::auth::Caller;
use shared::http::body;
use shared::http::problem::{FieldError, Problem};
use shared::id::{ContactId, WorkspaceId};
use shared::phone::PhoneNumber;
use shared::store::{Known, Upserted};
use shared::time::UnixMillis;

use super::{find, place, read_id, shown};
use crate::Api;

/// Absent, `null`, or a value.
type Change<T> = Option<Option<T>>;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Patch {
    #[serde(default, deserialize_with = "present")]
    phone: Change<String>,
    #[serde(default, deserialize_with = "present")]
    name: Change<String>,
    #[serde(default, deserialize_with = "present")]
    email: Change<String>,
    #[serde(default, deserialize_with = "present")]
    persona: Change<String>,
    #[serde(default, deserialize_with = "present")]
    tags: Change<BTreeSet<String>>,
    #[serde(default, deserialize_with = "present")]
    attributes: Change<BTreeMap<String, Option<String>>>,
}

/// What is there is a change, also `null`.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Change<T>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

impl Patch {
    /// What a contact holds after it.
    fn apply(&self, contact: &Contact, number: Option<&PhoneNumber>, now: UnixMillis) -> Result<Contact, TooMuch> {
        let mut next = self.without(contact);
        next.phone = number.cloned().or(next.phone);
        next.name = self.name.clone().flatten().or(next.name);
        next.email = self.email.clone().flatten().map(|email| email.trim().to_owned()).or(next.email);
        next.persona = self.persona.clone().flatten().or(next.persona);
        next.tags.extend(self.tags.iter().flatten().flatten().cloned());
        for (name, value) in self.attributes.iter().flatten().flatten() {
            if let Some(value) = value {
                next.attributes.insert(name.clone(), value.clone());
            }
        }
        // The limits of a contact are looked after where things are added to it.
        let mut next = next.with(&ContactPatch::default(), now)?;
        next.updated_at = if next == *contact { contact.updated_at } else { now };
        Ok(next)
    }

    /// What is left of a contact when it takes away what it takes away or replaces.
    fn without(&self, contact: &Contact) -> Contact {
        let mut left = contact.clone();
        for (change, field) in
            [(&self.name, &mut left.name), (&self.email, &mut left.email), (&self.persona, &mut left.persona)]
        {
            if change.is_some() {
                *field = None;
            }
        }
        match &self.tags {
            Some(Some(kept)) => left.tags.retain(|tag| kept.contains(tag)),
            Some(None) => left.tags.clear(),
            None => {}
        }
        match &self.attributes {
            Some(Some(changed)) => left.attributes.retain(|name, _| !changed.contains_key(name)),
            Some(None) => left.attributes.clear(),
            None => {}
        }
        left
    }

    fn check(&self) -> Result<Checked, Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut wrong = |pointer: &str, reason: String| errors.push(FieldError { pointer: pointer.to_owned(), reason });
        let mut checked = Checked::default();
        match self.phone.as_ref().map(|phone| phone.as_deref().map(str::parse::<PhoneNumber>)) {
            Some(Some(Ok(number))) => checked.number = Some(number),
            Some(Some(Err(reason))) => wrong("/phone", reason.to_string()),
            Some(None) => wrong("/phone", "a contact's number can be replaced, but not taken away".to_owned()),
            None => {}
        }
        match self.email.as_ref().and_then(|email| email.as_deref().map(Alias::email)) {
            Some(Ok(email)) => checked.email = Some(email),
            Some(Err(reason)) => wrong("/email", reason.to_string()),
            None => {}
        }
        let given = ContactPatch {
            name: self.name.clone().flatten(),
            persona: self.persona.clone().flatten(),
            tags: self.tags.clone().flatten().unwrap_or_default(),
            attributes: self
                .attributes
                .iter()
                .flatten()
                .flatten()
                .filter_map(|(name, value)| Some((name.clone(), value.clone()?)))
                .collect(),
            ..ContactPatch::default()
        };
        if let Err(reason) = given.check() {
            wrong(place(reason), reason.to_string());
        }
        if errors.is_empty() { Ok(checked) } else { Err(errors) }
    }
}

/// Identifiers that a patch gives.
#[derive(Default)]
struct Checked {
    number: Option<PhoneNumber>,
    email: Option<Alias>,
}

/// `PATCH /v1/contacts/{id}`.
pub(crate) async fn change(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    payload: Bytes,
) -> Result<Json<Value>, Problem> {
    let (id, patch): (ContactId, Patch) = (read_id(&id)?, body::read(&payload)?);
    let checked = patch.check().map_err(Problem::all_invalid)?;
    let (workspace, now) = (caller.workspace, UnixMillis::now());
    let (family, known) = find(&api, caller, id).await?;
    // Identifiers first: one that is somebody else's refuses the whole patch.
    if let Some(number) = &checked.number {
        claim(&api, workspace, &family, &Alias::from(number), "/phone", now).await?;
    }
    if let Some(email) = &checked.email {
        claim(&api, workspace, &family, email, "/email", now).await?;
    }
    for member in &family.absorbed {
        api.core.change_member(workspace, member.id, |contact| Ok(patch.without(contact))).await?;
    }
    let changed =
        api.core.change_contact(workspace, id, |contact| patch.apply(contact, checked.number.as_ref(), now)).await?;
    match changed {
        Upserted::Refused(reason) => return Err(Problem::invalid(place(reason), reason.to_string())),
        Upserted::Missing => return Err(Problem::not_found("contact")),
        Upserted::Created(_) | Upserted::Updated(_) => {}
    }
    if patch.email == Some(None) {
        for known in known.iter().filter(|known| known.alias.kind() == Kind::Email) {
            api.core.drop_alias(workspace, known).await?;
        }
    }
    shown(&api, caller, id).await
}

/// Makes an identifier the person's, unless it is somebody else's.
async fn claim(
    api: &Api,
    workspace: WorkspaceId,
    family: &Family,
    alias: &Alias,
    pointer: &str,
    now: UnixMillis,
) -> Result<(), Problem> {
    let owner = api.core.claim_alias(workspace, family.root.id, alias, now).await?;
    let owner = match owner {
        Some(Known { contact, .. }) => api.core.root_of(workspace, contact).await?,
        None => return Err(Problem::not_found("contact")),
    };
    if owner == family.root.id {
        return Ok(());
    }
    let detail = format!("{pointer} belongs to the contact {owner}; if they are one person, merge the two");
    Err(Problem::conflict(detail, Some(&owner.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patch(json: &str) -> Patch {
        serde_json::from_str(json).unwrap()
    }

    fn contact() -> Contact {
        Contact {
            name: Some("Aisha".to_owned()),
            tags: ["vip".to_owned(), "march".to_owned()].into(),
            attributes: [("city".to_owned(), "Ipoh".to_owned()), ("size".to_owned(), "M".to_owned())].into(),
            ..Contact::new(ContactId::new(UnixMillis(1)), UnixMillis(1))
        }
    }

    #[test]
    fn what_is_absent_stays_and_null_takes_away() {
        let change = patch(r#"{"name": null, "attributes": {"size": null, "city": "Kuala Lumpur"}}"#);
        let next = change.apply(&contact(), None, UnixMillis(9)).unwrap();
        assert_eq!((next.name, next.tags.len(), next.updated_at), (None, 2, UnixMillis(9)));
        assert_eq!(next.attributes, [("city".to_owned(), "Kuala Lumpur".to_owned())].into());
    }

    #[test]
    fn tags_are_replaced_as_a_whole() {
        let tags = |json: &str| patch(json).apply(&contact(), None, UnixMillis(9)).unwrap().tags;
        assert_eq!(tags(r#"{"tags": ["vip", "new"]}"#), ["vip".to_owned(), "new".to_owned()].into());
        assert!(tags(r#"{"tags": null}"#).is_empty());
    }

    #[test]
    fn a_patch_that_changes_nothing_leaves_the_time() {
        let same = patch(r#"{"name": "Aisha", "tags": ["vip", "march"]}"#);
        let known = contact();
        assert_eq!(same.apply(&known, None, UnixMillis(9)).unwrap(), known);
        assert!(patch(r#"{"phone": null}"#).check().is_err());
    }
}
