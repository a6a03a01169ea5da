//! `POST /v1/events`: what the operator's servers tell: one event, or up to 500. Each is looked at on its own and every
//! mistake is named; if there is one nothing is taken, for a program can mend its request. What is answered with 202 is
//! durable.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use shared::activity::custom::{
    AssignedReport, EventName, MAX_OWN_ID_CHARS, Properties, ResolvedReport, SentReport, email, is_anonymous_id,
    is_own_id,
};
use shared::attempt::Money;
use shared::http::auth::Caller;
use shared::http::body;
use shared::http::problem::{FieldError, Problem};
use shared::id::{AccountId, ContactId};
use shared::phone::PhoneNumber;
use shared::queue::Inbound;
use shared::time::UnixMillis;
use shared::told::{Fact, OwnFact, Person, ToldEvent, ToldEvents};

use crate::Api;
use crate::idempotency::NewId;

/// Most events of a request.
const MAX_EVENTS: usize = 500;

/// Largest body: 500 events of usual size with room to spare; Lambda takes 6 MB.
const MAX_BODY_BYTES: usize = 5 * 1024 * 1024;

/// Longest name of an agent and of an outcome, longest id of a message or person, in characters.
const MAX_TEXT_CHARS: usize = 256;

/// A server's clock may be ahead of ours by this.
const CLOCKS_DIFFER_MS: i64 = 5 * 60 * 1_000;

/// Accounts of a workspace that are looked through for the one that is meant.
const ACCOUNTS: usize = 200;

/// 2009-01-01: there was no WhatsApp before.
const EARLIEST: UnixMillis = UnixMillis(1_230_768_000_000);

#[derive(Deserialize)]
struct Probe {
    #[serde(default)]
    events: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Many<'a> {
    #[serde(borrow)]
    events: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    #[serde(default)]
    id: Option<String>,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default, with = "shared::time::rfc3339::option")]
    time: Option<UnixMillis>,
    #[serde(default)]
    account: Option<AccountId>,
    #[serde(default)]
    contact: Option<GivenPerson>,
    #[serde(default)]
    click_id: Option<String>,
    #[serde(default)]
    conversion: Option<bool>,
    #[serde(default)]
    value: Option<Money>,
    #[serde(default)]
    data: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GivenPerson {
    #[serde(default)]
    id: Option<ContactId>,
    #[serde(default)]
    phone: Option<String>,
    #[serde(default)]
    user_id: Option<String>,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    anonymous_id: Option<String>,
}

/// What is wrong with one event.
struct Wrong<'a> {
    place: &'a str,
    errors: &'a mut Vec<FieldError>,
}

impl Wrong<'_> {
    fn say(&mut self, field: &str, reason: impl Into<String>) {
        self.errors.push(FieldError { pointer: format!("{}{field}", self.place), reason: reason.into() });
    }
}

/// `POST /v1/events`.
pub(crate) async fn tell(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Extension(NewId(id)): Extension<NewId>,
    payload: Bytes,
) -> Result<(StatusCode, Json<Value>), Problem> {
    if payload.len() > MAX_BODY_BYTES {
        return Err(Problem::too_large(format!("a request has at most {} MiB", MAX_BODY_BYTES / (1024 * 1024))));
    }
    let probe: Probe = body::read_slice(&payload)?;
    let given: Vec<(String, &RawValue)> = match probe.events {
        None => vec![(String::new(), body::read_slice(&payload)?)],
        Some(_) => {
            let Many { events } = body::read_slice(&payload)?;
            events.into_iter().enumerate().map(|(index, event)| (format!("/events/{index}"), event)).collect()
        }
    };
    if !(1..=MAX_EVENTS).contains(&given.len()) {
        return Err(Problem::invalid("/events", format!("must be 1 to {MAX_EVENTS}")));
    }
    // The time of a request that is run again is the time of its first run: what has no time of its own is the same event.
    let now = UnixMillis(i64::try_from(id.timestamp_ms()).unwrap_or(i64::MAX));
    let mut errors = Vec::new();
    let events: Vec<(String, Option<ToldEvent>)> = given
        .into_iter()
        .map(|(place, json)| {
            let event = event(json, now, &mut Wrong { place: &place, errors: &mut errors });
            (place, event)
        })
        .collect();
    let events = with_accounts(&api, caller, events, &mut errors).await?;
    if !errors.is_empty() {
        return Err(Problem::all_invalid(errors));
    }
    let accepted = events.len();
    let told = ToldEvents {
        id,
        received_at: now,
        workspace: caller.workspace,
        events: events.into_iter().map(Some).collect(),
    };
    api.events.send_inbound(&api.bucket, &Inbound::Told(Box::new(told)), now).await?;
    Ok((StatusCode::ACCEPTED, Json(json!({"accepted": accepted}))))
}

fn event(json: &RawValue, now: UnixMillis, wrong: &mut Wrong<'_>) -> Option<ToldEvent> {
    let given: Given = match body::part(json, wrong.place) {
        Ok(given) => given,
        Err(error) => {
            wrong.errors.push(error);
            return None;
        }
    };
    let before = wrong.errors.len();
    if given.id.as_deref().is_some_and(|id| !is_own_id(id)) {
        wrong.say("/id", format!("must have 1 to {MAX_OWN_ID_CHARS} printable characters"));
    }
    let at = given.time.unwrap_or(now);
    if at < EARLIEST || at.0 > now.0.saturating_add(CLOCKS_DIFFER_MS) {
        wrong.say("/time", "must lie between 2009 and now");
    }
    if given.click_id.as_deref().is_some_and(|text| !is_text(text)) {
        wrong.say("/click_id", too_long());
    }
    if let Some(Err(error)) = given.value.as_ref().map(Money::check) {
        wrong.say(&format!("/value/{}", error.field()), error.to_string());
    }
    let contact = given.contact.and_then(|contact| person(contact, wrong));
    let fact = match given.kind.as_str() {
        "chat.assigned" => assigned(given.data, wrong),
        "chat.resolved" => resolved(given.data, wrong),
        "message.sent" => sent(given.data, wrong),
        name => own(name, given.conversion, given.value.clone(), given.data, wrong),
    };
    let of_a_conversation = !matches!(fact, Some(Fact::Own(_)));
    if of_a_conversation && (given.value.is_some() || given.conversion.is_some()) {
        wrong.say("/type", "value and conversion belong to events of your own names");
    }
    let needs_contact = of_a_conversation || given.kind.starts_with("message.") || given.kind.starts_with("contact.");
    if needs_contact && contact.is_none() && wrong.errors.len() == before {
        wrong.say("/contact", "must be given for this type: phone, user_id, email, anonymous_id or id");
    }
    if wrong.errors.len() > before {
        return None;
    }
    Some(ToldEvent { id: given.id, at, account: given.account, contact, click_id: given.click_id, fact: fact? })
}

fn person(given: GivenPerson, wrong: &mut Wrong<'_>) -> Option<Person> {
    let phone = given.phone.and_then(|text| {
        let read = text.parse::<PhoneNumber>();
        read.map_err(|reason| wrong.say("/contact/phone", reason.to_string())).ok()
    });
    let email = given.email.and_then(|text| {
        let read = email(&text);
        if read.is_none() {
            wrong.say("/contact/email", "is no e-mail address");
        }
        read
    });
    if given.user_id.as_deref().is_some_and(|text| !is_text(text)) {
        wrong.say("/contact/user_id", too_long());
    }
    if given.anonymous_id.as_deref().is_some_and(|text| !is_anonymous_id(text)) {
        wrong.say("/contact/anonymous_id", "must have 1 to 128 letters, digits and any of - . _ :");
    }
    let person = Person { id: given.id, phone, user_id: given.user_id, email, anonymous_id: given.anonymous_id };
    (person != Person::default()).then_some(person)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Assigned {
    agent: String,
    #[serde(default)]
    previous: Option<String>,
}

fn assigned(data: Option<Map<String, Value>>, wrong: &mut Wrong<'_>) -> Option<Fact> {
    let Assigned { agent, previous } = typed(data, wrong)?;
    let fits = texts([("/data/agent", Some(&agent)), ("/data/previous", previous.as_ref())], wrong);
    fits.then_some(Fact::Assigned(AssignedReport { agent, previous }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Resolved {
    #[serde(default)]
    agent: Option<String>,
    #[serde(default)]
    outcome: Option<String>,
}

fn resolved(data: Option<Map<String, Value>>, wrong: &mut Wrong<'_>) -> Option<Fact> {
    let Resolved { agent, outcome } = typed(data, wrong)?;
    let fits = texts([("/data/agent", agent.as_ref()), ("/data/outcome", outcome.as_ref())], wrong);
    fits.then_some(Fact::Resolved(ResolvedReport { agent, outcome }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent {
    #[serde(default)]
    agent: Option<String>,
    #[serde(default)]
    wamid: Option<String>,
    #[serde(default)]
    bot: bool,
}

fn sent(data: Option<Map<String, Value>>, wrong: &mut Wrong<'_>) -> Option<Fact> {
    let Sent { agent, wamid, bot } = typed(data, wrong)?;
    let fits = texts([("/data/agent", agent.as_ref()), ("/data/wamid", wamid.as_ref())], wrong);
    fits.then_some(Fact::Sent(SentReport { agent, wamid, bot }))
}

/// An event in the sender's own words, or one of those of ours that others may tell of.
fn own(
    name: &str,
    conversion: Option<bool>,
    value: Option<Money>,
    data: Option<Map<String, Value>>,
    wrong: &mut Wrong<'_>,
) -> Option<Fact> {
    let others_tell = name.starts_with("message.") || name == "contact.created";
    let read = if others_tell { EventName::any(name) } else { EventName::own(name) };
    let name = read.map_err(|reason| wrong.say("/type", reason.to_string())).ok();
    let properties = Properties::new(data.unwrap_or_default());
    let properties = properties.map_err(|reason| wrong.say("/data", reason.to_string())).ok();
    let conversion = conversion.unwrap_or(value.is_some());
    Some(Fact::Own(OwnFact { name: name?, conversion, value, properties: properties? }))
}

fn typed<T: serde::de::DeserializeOwned>(data: Option<Map<String, Value>>, wrong: &mut Wrong<'_>) -> Option<T> {
    let json = serde_json::value::to_raw_value(&data.unwrap_or_default()).ok()?;
    match body::part(&json, &format!("{}/data", wrong.place)) {
        Ok(read) => Some(read),
        Err(error) => {
            wrong.errors.push(error);
            None
        }
    }
}

fn texts<const N: usize>(fields: [(&str, Option<&String>); N], wrong: &mut Wrong<'_>) -> bool {
    let mut fits = true;
    for (field, text) in fields {
        if text.is_some_and(|text| !is_text(text)) {
            wrong.say(field, too_long());
            fits = false;
        }
    }
    fits
}

fn is_text(text: &str) -> bool {
    (1..=MAX_TEXT_CHARS).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

fn too_long() -> String {
    format!("must have 1 to {MAX_TEXT_CHARS} printable characters")
}

/// The events, each of a conversation with its account: the one that it names, else the workspace's only one.
async fn with_accounts(
    api: &Api,
    caller: Caller,
    events: Vec<(String, Option<ToldEvent>)>,
    errors: &mut Vec<FieldError>,
) -> Result<Vec<ToldEvent>, Problem> {
    let needs_one = |event: &ToldEvent| !matches!(event.fact, Fact::Own(_));
    let asked = events.iter().filter_map(|(_, event)| event.as_ref());
    if !asked.clone().any(|event| event.account.is_some() || needs_one(event)) {
        return Ok(events.into_iter().filter_map(|(_, event)| event).collect());
    }
    let listed = api.core.accounts(caller.workspace, None, ACCOUNTS).await?;
    let known: BTreeSet<AccountId> = listed.rows.iter().map(|account| account.id).collect();
    let only = known.first().copied().filter(|_| known.len() == 1 && !listed.more);
    let mut taken = Vec::new();
    for (place, event) in events {
        let Some(mut event) = event else { continue };
        let needs_one = needs_one(&event);
        match event.account {
            Some(account) if known.contains(&account) => {}
            Some(account) if listed.more && api.core.account(caller.workspace, account).await?.is_some() => {}
            Some(_) => Wrong { place: &place, errors }.say("/account", "there is no such account"),
            None if needs_one && only.is_none() => {
                Wrong { place: &place, errors }
                    .say("/account", "must be given: the workspace has not exactly one account");
            }
            None if needs_one => event.account = only,
            None => {}
        }
        taken.push(event);
    }
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_790_000_000_000);

    fn read(json: &str) -> Result<ToldEvent, Vec<FieldError>> {
        let raw: &RawValue = serde_json::from_str(json).unwrap();
        let mut errors = Vec::new();
        event(raw, NOW, &mut Wrong { place: "/events/3", errors: &mut errors }).ok_or(errors)
    }

    fn pointers(json: &str) -> Vec<String> {
        read(json).err().unwrap().into_iter().map(|error| error.pointer).collect()
    }

    #[test]
    fn each_mistake_is_named_with_its_place() {
        assert_eq!(pointers(r#"{"type":"x","typ":1}"#), ["/events/3/typ"]);
        assert_eq!(pointers(r#"{}"#), ["/events/3"]);
        assert_eq!(pointers(r#"7"#), ["/events/3"]);
        assert_eq!(
            pointers(
                r#"{"type":"chat.resolved","id":"","time":"1999-01-01T00:00:00Z","contact":{"phone":"12"},"data":{"x":1}}"#
            ),
            ["/events/3/id", "/events/3/time", "/events/3/contact/phone", "/events/3/data/x"]
        );
        assert_eq!(
            pointers(r#"{"type":"chat.assigned","contact":{"phone":"+60123456789"},"data":{}}"#),
            ["/events/3/data"]
        );
        assert_eq!(pointers(r#"{"type":"chat.assigned","data":{"agent":"kim"}}"#), ["/events/3/contact"]);
        assert_eq!(pointers(r#"{"type":"message.sent","contact":{}}"#), ["/events/3/contact"]);
        assert_eq!(pointers(r#"{"type":"account.disabled"}"#), ["/events/3/type"]);
        assert_eq!(pointers(r#"{"type":"a","value":{"amount":-1,"currency":"MYR"}}"#), ["/events/3/value/amount"]);
        let error = read(r#"{"type":"a","contact":{"phone":60123456789}}"#).err().unwrap();
        assert!(!error[0].reason.contains("6012"), "{}", error[0].reason);
    }

    #[test]
    fn what_is_told_is_what_happened() {
        let told =
            read(r#"{"type":"message.sent","contact":{"email":"A@Shop.example"},"data":{"agent":"kim"}}"#).unwrap();
        assert!(matches!(told.fact, Fact::Sent(SentReport { bot: false, .. })));
        assert_eq!((told.at, told.contact.unwrap().email.unwrap().as_str()), (NOW, "a@shop.example"));
        let told = read(r#"{"type":"order refunded","time":"2026-09-20T14:13:20Z","data":{"order":7}}"#).unwrap();
        assert_eq!(told.at, UnixMillis(NOW.0 - 86_400_000));
        let Fact::Own(own) = told.fact else { panic!("not in own words") };
        assert_eq!((own.name.as_str(), own.properties.map()["order"].as_i64()), ("order refunded", Some(7)));
        assert!(read(r#"{"type":"contact.created","contact":{"id":"ctc_01J00000000000000000000000"}}"#).is_ok());
    }
}
