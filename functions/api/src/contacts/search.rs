//! `GET /v1/contacts`: the newest, or those that are looked for. An identifier finds its owner with one read; a name by the
//! beginnings of its words, a tag and a persona by rows of their own: no search reads more contacts than it shows, but for
//! those that a second criterion leaves out.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};
use shared::contact::alias::Alias;
use shared::contact::family::Family;
use shared::contact::words::{matches, words};
use shared::contact::{Contact, MAX_TEXT_CHARS};
use shared::http::auth::Caller;
use shared::http::limit;
use shared::http::params::Params;
use shared::http::problem::Problem;
use shared::id::{ContactId, WorkspaceId};
use shared::phone::PhoneNumber;
use shared::store::{LookFor, StoreError};

use super::view;
use crate::Api;

/// So many times the rows of a page are read before a page that is not full is answered, with where to go on.
const READS_A_PAGE: usize = 5;

/// What is looked for; all of it must hold.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    /// A phone number, e-mail address, user id or contact id, or the beginnings of words of a name.
    q: Option<String>,
    tag: Option<String>,
    persona: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

/// What a contact has to have besides what it was found by.
#[derive(Default)]
struct Criteria {
    words: Vec<String>,
    tag: Option<String>,
    persona: Option<String>,
}

impl Criteria {
    fn hold_for(&self, contact: &Contact) -> bool {
        self.tag.as_ref().is_none_or(|tag| contact.tags.contains(tag))
            && (self.persona.is_none() || self.persona == contact.persona)
            && (self.words.is_empty() || contact.name.as_deref().is_some_and(|name| matches(name, &self.words)))
    }
}

/// `GET /v1/contacts?q=&tag=&persona=&limit=&cursor=`.
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Params(asked): Params<Asked>,
) -> Result<Json<Value>, Problem> {
    let limit = limit(asked.limit.as_deref())?;
    let workspace = caller.workspace;
    for (name, text) in [("/q", &asked.q), ("/tag", &asked.tag), ("/persona", &asked.persona)] {
        if text.as_ref().is_some_and(|text| text.trim().is_empty() || text.chars().count() > MAX_TEXT_CHARS) {
            return Err(Problem::invalid(name, format!("must have 1 to {MAX_TEXT_CHARS} characters")));
        }
    }
    let mut criteria = Criteria { words: Vec::new(), tag: asked.tag, persona: asked.persona };
    let (people, next) = match asked.q.as_deref().map(str::trim) {
        Some(q) => match owner(&api, workspace, q).await? {
            Identified::By(owner) => (one(&api, workspace, owner, &criteria).await?, None),
            Identified::No => {
                criteria.words = words(q);
                let Some(longest) = criteria.words.iter().max_by_key(|word| word.chars().count()).cloned() else {
                    return Err(Problem::invalid("/q", "has no letter or digit to look for"));
                };
                found(&api, workspace, &LookFor::Word(longest), &criteria, asked.cursor, limit).await?
            }
        },
        None => match (criteria.tag.clone(), criteria.persona.clone()) {
            (Some(tag), _) => found(&api, workspace, &LookFor::Tag(tag), &criteria, asked.cursor, limit).await?,
            (None, Some(persona)) => {
                found(&api, workspace, &LookFor::Persona(persona), &criteria, asked.cursor, limit).await?
            }
            (None, None) => newest(&api, workspace, asked.cursor, limit).await?,
        },
    };
    let digits: Vec<&str> = people.iter().filter_map(|one| Some(one.phone.as_ref()?.digits())).collect();
    let consents = api.core.consents(workspace, &digits).await?;
    let contacts: Vec<Value> = people.iter().map(|person| view::short(person, &consents)).collect();
    Ok(Json(json!({"data": contacts, "next_cursor": next})))
}

/// Whether a text is an identifier, and whose.
enum Identified {
    By(Option<ContactId>),
    No,
}

async fn owner(api: &Api, workspace: WorkspaceId, q: &str) -> Result<Identified, StoreError> {
    if let Ok(contact) = q.parse::<ContactId>() {
        return Ok(Identified::By(Some(contact)));
    }
    let number = q.parse::<PhoneNumber>().ok().map(|number| Alias::from(&number)).ok_or(());
    let alias = number.or_else(|()| Alias::phone(q)).or_else(|_| Alias::email(q)).or_else(|_| Alias::bsuid(q));
    match alias {
        Ok(alias) => Ok(Identified::By(api.core.owner_of(workspace, &[alias]).await?)),
        Err(_) => Ok(Identified::No),
    }
}

async fn one(
    api: &Api,
    workspace: WorkspaceId,
    contact: Option<ContactId>,
    criteria: &Criteria,
) -> Result<Vec<Contact>, StoreError> {
    let Some(contact) = contact else { return Ok(Vec::new()) };
    let family = api.core.family_of(workspace, contact).await?;
    let family = family.filter(|family| family.root.deleted_at.is_none());
    Ok(family.map(|family| family.person()).filter(|person| criteria.hold_for(person)).into_iter().collect())
}

async fn newest(
    api: &Api,
    workspace: WorkspaceId,
    cursor: Option<String>,
    limit: usize,
) -> Result<(Vec<Contact>, Option<String>), Problem> {
    let before = cursor.map(|cursor| cursor.parse::<ContactId>()).transpose();
    let before = before.map_err(|error| Problem::invalid("/cursor", error.to_string()))?;
    let listed = api.core.contacts(workspace, before, limit).await?;
    let next = crate::view::next_cursor(&listed, |contact| contact.id.to_string());
    let mut people = Vec::with_capacity(listed.rows.len());
    for contact in listed.rows {
        // The index lags behind the rows.
        if contact.merged_into.is_some() || contact.deleted_at.is_some() {
            continue;
        }
        people.extend(family_of(api, workspace, contact).await?.map(|family| family.person()));
    }
    Ok((people, next))
}

/// A page of people who are found so, and where to go on.
async fn found(
    api: &Api,
    workspace: WorkspaceId,
    look_for: &LookFor,
    criteria: &Criteria,
    cursor: Option<String>,
    limit: usize,
) -> Result<(Vec<Contact>, Option<String>), Problem> {
    let (mut people, mut after) = (Vec::new(), cursor);
    for _ in 0..READS_A_PAGE {
        let page = api.core.find_contacts(workspace, look_for, after.as_deref(), limit).await?;
        let ids: Vec<ContactId> = page.contacts.iter().map(|(id, _)| *id).collect();
        let rows = api.core.contacts_by_id(workspace, &ids).await?;
        let mut rows: HashMap<ContactId, Contact> = rows.into_iter().map(|row| (row.id, row)).collect();
        for (id, place) in page.contacts {
            after = Some(place);
            // Twice on a page: by two words of the name that begin alike.
            let Some(contact) = rows.remove(&id).filter(|contact| contact.deleted_at.is_none()) else { continue };
            let Some(family) = family_of(api, workspace, contact).await? else { continue };
            if shows(&family, id, look_for, criteria) {
                people.push(family.person());
            }
            if people.len() == limit {
                return Ok((people, after));
            }
        }
        if !page.more {
            return Ok((people, None));
        }
    }
    Ok((people, after))
}

/// Whether the person is to be shown for this contact of theirs: of several that are found the first one counts, so that
/// nobody is shown twice. A row that is left from what a contact was finds nobody.
fn shows(family: &Family, found: ContactId, look_for: &LookFor, criteria: &Criteria) -> bool {
    let is_found = |contact: &&Contact| match look_for {
        LookFor::Word(word) => contact.name.as_deref().is_some_and(|name| matches(name, std::slice::from_ref(word))),
        LookFor::Tag(tag) => contact.tags.contains(tag),
        LookFor::Persona(persona) => contact.persona.as_ref() == Some(persona),
    };
    family.members().find(is_found).is_some_and(|first| first.id == found)
        && (criteria.hold_for(&family.person()) || family.members().any(|member| criteria.hold_for(member)))
}

/// The person of a contact whose row was read; most are alone.
async fn family_of(api: &Api, workspace: WorkspaceId, contact: Contact) -> Result<Option<Family>, StoreError> {
    if contact.merged_into.is_none() && contact.absorbed.is_empty() {
        return Ok(Some(Family { root: contact, absorbed: Vec::new() }));
    }
    api.core.family_of(workspace, contact.id).await
}
