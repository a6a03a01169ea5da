//! `/v1/contacts`: the people a business writes to, and their word for or against messages.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};
use shared::contact::alias::Alias;
use shared::contact::{Consent, Contact, ContactPatch, TooMuch, Word};
use shared::http::auth::Caller;
use shared::http::params::Params;
use shared::http::problem::{FieldError, Problem};
use shared::http::{body, limit};
use shared::id::{ContactId, WorkspaceId};
use shared::phone::PhoneNumber;
use shared::store::{Evidence, Sighting, Upsert, Upserted};
use shared::time::UnixMillis;

use crate::Api;
use crate::idempotency::NewId;
use crate::view;

/// Longest name of a source of a consent, in characters.
const MAX_SOURCE_CHARS: usize = 256;

/// How we know of a word, unless the request says otherwise.
const DEFAULT_SOURCE: &str = "api";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewContact {
    phone: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    #[serde(default)]
    tags: BTreeSet<String>,
    #[serde(default)]
    persona: Option<String>,
    #[serde(default)]
    opt_in: Option<Given>,
}

/// A word that is given.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    #[serde(default)]
    source: Option<String>,
    #[serde(default, with = "shared::time::rfc3339::option")]
    at: Option<UnixMillis>,
}

/// Where a list goes on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Paging {
    limit: Option<String>,
    cursor: Option<ContactId>,
}

impl Given {
    /// The word, if it is one. A word from the future would outlast every later one.
    fn check(self, place: &str, now: UnixMillis, errors: &mut Vec<FieldError>) -> Word {
        let mut wrong =
            |name: &str, reason: String| errors.push(FieldError { pointer: format!("{place}/{name}"), reason });
        let source = self.source.unwrap_or_else(|| DEFAULT_SOURCE.to_owned());
        if !(1..=MAX_SOURCE_CHARS).contains(&source.chars().count()) {
            wrong("source", format!("must have 1 to {MAX_SOURCE_CHARS} characters"));
        }
        let at = self.at.unwrap_or(now);
        if at > now {
            wrong("at", "must not lie in the future".to_owned());
        }
        Word { at, source }
    }
}

/// `POST /v1/contacts`: makes a contact of this number or adds to the one there is.
pub(crate) async fn upsert(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Extension(NewId(id)): Extension<NewId>,
    payload: Bytes,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let new: NewContact = body::read(&payload)?;
    let now = UnixMillis::now();
    let mut errors = Vec::new();
    let phone = new.phone.parse::<PhoneNumber>().map_err(|reason| {
        errors.push(FieldError { pointer: "/phone".to_owned(), reason: reason.to_string() });
    });
    let word = new.opt_in.map(|given| given.check("/opt_in", now, &mut errors));
    let patch = ContactPatch {
        phone: phone.clone().ok(),
        name: new.name,
        email: new.email,
        attributes: new.attributes,
        tags: new.tags,
        persona: new.persona,
    };
    if let Err(reason) = patch.check() {
        errors.push(FieldError { pointer: place(reason).to_owned(), reason: reason.to_string() });
    }
    let (Ok(phone), true) = (phone, errors.is_empty()) else {
        return Err(Problem::all_invalid(errors));
    };
    let workspace = caller.workspace;
    let aliases = [Alias::from(&phone)];
    let sighting = Sighting { aliases: &aliases, evidence: Evidence::Told, source: DEFAULT_SOURCE, at: now };
    let upsert = Upsert { sighting, patch: &patch, fresh: ContactId::from_ulid(id), import: None };
    let upserted = api.core.upsert(workspace, &upsert).await?.map_or(Upserted::Missing, |(upserted, _)| upserted);
    let (status, contact) = match upserted {
        Upserted::Created(contact) => (StatusCode::CREATED, contact),
        Upserted::Updated(contact) => (StatusCode::OK, contact),
        Upserted::Refused(reason) => return Err(Problem::invalid(place(reason), reason.to_string())),
        Upserted::Missing => return Err(Problem::not_found("contact")),
    };
    if let Some(Word { at, source }) = word {
        api.core.opt_in(workspace, phone.digits(), &source, at).await?;
    }
    Ok((status, Json(shown(&api, workspace, &contact).await?)))
}

const fn place(reason: TooMuch) -> &'static str {
    match reason {
        TooMuch::Attributes | TooMuch::Value => "/attributes",
        TooMuch::Tags => "/tags",
        TooMuch::Text => "/",
    }
}

/// `GET /v1/contacts/{id}`.
pub(crate) async fn one(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let contact = find(&api, caller, &id).await?;
    Ok(Json(shown(&api, caller.workspace, &contact).await?))
}

/// `GET /v1/contacts`: newest first.
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Params(paging): Params<Paging>,
) -> Result<Json<Value>, Problem> {
    let limit = limit(paging.limit.as_deref())?;
    let listed = api.core.contacts(caller.workspace, paging.cursor, limit).await?;
    let next = view::next_cursor(&listed, |contact| contact.id.to_string());
    let digits: Vec<&str> = listed.rows.iter().filter_map(|one| Some(one.phone.as_ref()?.digits())).collect();
    let consents = api.core.consents(caller.workspace, &digits).await?;
    let contacts: Vec<Value> = listed.rows.iter().map(|contact| view_of(contact, &consents)).collect();
    Ok(Json(json!({"data": contacts, "next_cursor": next})))
}

/// `POST /v1/contacts/{id}/opt-in`.
pub(crate) async fn opt_in(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    payload: Bytes,
) -> Result<Json<Value>, Problem> {
    let (contact, phone, word) = word(&api, caller, &id, &payload).await?;
    api.core.opt_in(caller.workspace, phone.digits(), &word.source, word.at).await?;
    Ok(Json(shown(&api, caller.workspace, &contact).await?))
}

/// `POST /v1/contacts/{id}/opt-out`: from now on no message of any campaign goes to the contact's number.
pub(crate) async fn opt_out(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    payload: Bytes,
) -> Result<Json<Value>, Problem> {
    let (contact, phone, word) = word(&api, caller, &id, &payload).await?;
    api.core.opt_out(caller.workspace, phone.digits(), &word.source, word.at).await?;
    Ok(Json(shown(&api, caller.workspace, &contact).await?))
}

/// The contact, the number whose owner's word it is, and the word.
async fn word(api: &Api, caller: Caller, id: &str, payload: &Bytes) -> Result<(Contact, PhoneNumber, Word), Problem> {
    let given: Given = if payload.is_empty() { Given::default() } else { body::read(payload)? };
    let mut errors = Vec::new();
    let word = given.check("", UnixMillis::now(), &mut errors);
    if !errors.is_empty() {
        return Err(Problem::all_invalid(errors));
    }
    let contact = find(api, caller, id).await?;
    let phone = contact.phone.clone();
    let phone = phone.ok_or_else(|| Problem::conflict("the contact has no phone number to write to", None))?;
    Ok((contact, phone, word))
}

async fn find(api: &Api, caller: Caller, id: &str) -> Result<Contact, Problem> {
    let id = id.parse().map_err(|_| Problem::not_found("contact"))?;
    api.core.contact(caller.workspace, id).await?.ok_or_else(|| Problem::not_found("contact"))
}

async fn shown(api: &Api, workspace: WorkspaceId, contact: &Contact) -> Result<Value, Problem> {
    let digits: Vec<&str> = contact.phone.iter().map(PhoneNumber::digits).collect();
    Ok(view_of(contact, &api.core.consents(workspace, &digits).await?))
}

/// A contact with its consent.
fn view_of(contact: &Contact, consents: &HashMap<String, Consent>) -> Value {
    let consent = contact.phone.as_ref().and_then(|phone| consents.get(phone.digits()));
    json!({
        "id": contact.id,
        "phone": contact.phone,
        "name": contact.name,
        "email": contact.email,
        "attributes": contact.attributes,
        "tags": contact.tags,
        "persona": contact.persona,
        "opt_in": consent.and_then(|consent| consent.opt_in.as_ref()),
        "opt_out": consent.and_then(|consent| consent.opt_out.as_ref()),
        "opted_out": consent.is_some_and(Consent::is_opted_out),
        "created_at": contact.created_at.to_rfc3339(),
        "updated_at": contact.updated_at.to_rfc3339(),
    })
}
