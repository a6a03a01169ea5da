//! `/v1/contacts`: the people a business writes to, and their word for or against messages.

pub(crate) mod change;
pub(crate) mod merging;
pub(crate) mod search;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};
use shared::contact::alias::{Alias, Rank};
use shared::contact::family::Family;
use shared::contact::{ContactPatch, TooMuch, Word};
use shared::http::auth::Caller;
use shared::http::body;
use shared::http::problem::{FieldError, Problem};
use shared::id::ContactId;
use shared::phone::PhoneNumber;
use shared::store::{Evidence, Known, Sighting, Upsert, Upserted};
use shared::time::UnixMillis;

use crate::Api;
use crate::idempotency::NewId;

/// Longest name of a source of a consent, in characters.
const MAX_SOURCE_CHARS: usize = 256;

/// How we know of a word, unless the request says otherwise.
const DEFAULT_SOURCE: &str = "api";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewContact {
    #[serde(default)]
    phone: Option<String>,
    #[serde(default)]
    bsuid: Option<String>,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    anonymous_id: Option<String>,
    #[serde(default)]
    name: Option<String>,
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

/// `POST /v1/contacts`: makes a contact of these identifiers or adds to the one there is. `conflicts` are contacts that
/// others of the identifiers belong to: they may be other people, so nothing was merged.
pub(crate) async fn upsert(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Extension(NewId(id)): Extension<NewId>,
    payload: Bytes,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let new: NewContact = body::read(&payload)?;
    let now = UnixMillis::now();
    let mut errors = Vec::new();
    let phone = new.phone.as_deref().and_then(|phone| {
        let refused =
            |reason: &dyn std::fmt::Display| FieldError { pointer: "/phone".to_owned(), reason: reason.to_string() };
        phone.parse::<PhoneNumber>().map_err(|reason| errors.push(refused(&reason))).ok()
    });
    let aliases = aliases(&new, phone.as_ref(), &mut errors);
    let word = new.opt_in.map(|given| given.check("/opt_in", now, &mut errors));
    let patch = ContactPatch {
        phone,
        name: new.name,
        email: new.email.map(|email| email.trim().to_owned()),
        attributes: new.attributes,
        tags: new.tags,
        persona: new.persona,
    };
    if let Err(reason) = patch.check() {
        errors.push(FieldError { pointer: place(reason).to_owned(), reason: reason.to_string() });
    }
    if !errors.is_empty() {
        return Err(Problem::all_invalid(errors));
    }
    // The number comes first, so it is the one that a word is given for.
    let speaker = aliases.iter().find(|alias| alias.kind().rank() == Rank::User);
    if word.is_some() && speaker.is_none() {
        return Err(Problem::invalid("/opt_in", "messages need a phone or a bsuid"));
    }
    let workspace = caller.workspace;
    let sighting = Sighting { aliases: &aliases, evidence: Evidence::Told, source: DEFAULT_SOURCE, at: now };
    let upsert = Upsert { sighting, patch: &patch, fresh: ContactId::from_ulid(id), import: None };
    let Some((upserted, conflicts)) = api.core.upsert(workspace, &upsert).await? else {
        return Err(Problem::invalid("/", "a contact needs a phone, bsuid, email or anonymous_id"));
    };
    let (status, contact) = match upserted {
        Upserted::Created(contact) => (StatusCode::CREATED, contact),
        Upserted::Updated(contact) => (StatusCode::OK, contact),
        Upserted::Refused(reason) => return Err(Problem::invalid(place(reason), reason.to_string())),
        Upserted::Missing => return Err(Problem::not_found("contact")),
    };
    if let (Some(Word { at, source }), Some(speaker)) = (word, speaker) {
        api.core.opt_in_by(workspace, speaker, &source, at).await?;
    }
    let (family, known) = find(&api, caller, contact.id).await?;
    let mut shown = view::whole(&api, caller, contact.id, &family, &known).await?;
    shown["conflicts"] = json!(conflicts);
    Ok((status, Json(shown)))
}

/// The identifiers of a request, the one that says most first.
fn aliases(new: &NewContact, phone: Option<&PhoneNumber>, errors: &mut Vec<FieldError>) -> Vec<Alias> {
    let mut aliases: Vec<Alias> = phone.map(Alias::from).into_iter().collect();
    let given = [
        ("/bsuid", new.bsuid.as_deref().map(Alias::bsuid)),
        ("/email", new.email.as_deref().map(Alias::email)),
        ("/anonymous_id", new.anonymous_id.as_deref().map(Alias::anon)),
    ];
    for (pointer, read) in given {
        match read {
            Some(Ok(alias)) => aliases.push(alias),
            Some(Err(reason)) => {
                errors.push(FieldError { pointer: pointer.to_owned(), reason: reason.to_string() });
            }
            None => {}
        }
    }
    aliases
}

const fn place(reason: TooMuch) -> &'static str {
    match reason {
        TooMuch::Attributes | TooMuch::Value => "/attributes",
        TooMuch::Tags => "/tags",
        TooMuch::Text => "/",
    }
}

/// `GET /v1/contacts/{id}`: the person. One that was merged into another is shown as that one, and `merged_into` names it.
pub(crate) async fn one(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let id = read_id(&id)?;
    shown(&api, caller, id).await
}

/// `DELETE /v1/contacts/{id}`: the person's contacts and identifiers go; a no stays with the number.
pub(crate) async fn delete(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let deleted = api.core.delete_contact(caller.workspace, read_id(&id)?, UnixMillis::now()).await?;
    if deleted { Ok(StatusCode::NO_CONTENT) } else { Err(Problem::not_found("contact")) }
}

/// `POST /v1/contacts/{id}/opt-in`: for the number to write to, or the user id of whoever hides theirs.
pub(crate) async fn opt_in(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    payload: Bytes,
) -> Result<Json<Value>, Problem> {
    let (id, word, mut speakers) = word(&api, caller, &id, &payload).await?;
    speakers.truncate(1);
    for speaker in speakers {
        api.core.opt_in_by(caller.workspace, &speaker, &word.source, word.at).await?;
    }
    shown(&api, caller, id).await
}

/// `POST /v1/contacts/{id}/opt-out`: from now on no message of any campaign goes to any of the contact's numbers.
pub(crate) async fn opt_out(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    payload: Bytes,
) -> Result<Json<Value>, Problem> {
    let (id, word, speakers) = word(&api, caller, &id, &payload).await?;
    for speaker in speakers {
        api.core.opt_out_by(caller.workspace, &speaker, &word.source, word.at).await?;
    }
    shown(&api, caller, id).await
}

/// The contact, the word, and the numbers and user ids that are the person's now, the number to write to first.
async fn word(api: &Api, caller: Caller, id: &str, payload: &Bytes) -> Result<(ContactId, Word, Vec<Alias>), Problem> {
    let given: Given = if payload.is_empty() { Given::default() } else { body::read(payload)? };
    let mut errors = Vec::new();
    let word = given.check("", UnixMillis::now(), &mut errors);
    if !errors.is_empty() {
        return Err(Problem::all_invalid(errors));
    }
    let id = read_id(id)?;
    let (family, known) = find(api, caller, id).await?;
    let number = family.person().phone.as_ref().map(Alias::from);
    let others = known.into_iter().filter(|known| known.until.is_none()).map(|known| known.alias);
    let others = others.filter(|alias| alias.kind().rank() == Rank::User && Some(alias) != number.as_ref());
    let mut speakers: Vec<Alias> = others.collect();
    speakers.splice(0..0, number);
    if speakers.is_empty() {
        return Err(Problem::conflict("the contact has no phone number or user id to write to", None));
    }
    Ok((id, word, speakers))
}

fn read_id(id: &str) -> Result<ContactId, Problem> {
    id.parse().map_err(|_| Problem::not_found("contact"))
}

/// A person and what they are known under.
async fn find(api: &Api, caller: Caller, id: ContactId) -> Result<(Family, Vec<Known>), Problem> {
    let family = api.core.family_of(caller.workspace, id).await?;
    let family = family.filter(|family| family.root.deleted_at.is_none());
    let family = family.ok_or_else(|| Problem::not_found("contact"))?;
    let known = api.core.aliases_of(caller.workspace, &family).await?;
    Ok((family, known))
}

async fn shown(api: &Api, caller: Caller, id: ContactId) -> Result<Json<Value>, Problem> {
    let (family, known) = find(api, caller, id).await?;
    Ok(Json(view::whole(api, caller, id, &family, &known).await?))
}
