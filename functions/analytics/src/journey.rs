//! `GET /v1/contacts/{id}/journey`: everything that happened between a person and the business, one thing after the other,
//! and `GET /v1/contacts/{id}/sessions`.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use shared::activity::{Content, Event, Kept};
use shared::attempt::{Attempt, Flag};
use shared::http::auth::Caller;
use shared::http::limit;
use shared::http::params::Params;
use shared::http::problem::Problem;
use shared::id::{AccountId, CampaignId, ContactId, EventId, WorkspaceId};
use shared::journey::sessions::{self, LONGEST_GAP, Rules, SHORTEST_GAP, Session};
use shared::published::{self, Published};
use shared::time::UnixMillis;

use crate::Analytics;
use crate::way::{EventPlace, Way};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    limit: Option<String>,
    cursor: Option<String>,
    order: Option<String>,
}

/// The place of an entry. Of what happened at the same time a message of ours goes first, in the order of its way, for
/// Meta's times are whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    at: UnixMillis,
    rank: u8,
    id: EventId,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.at.0, self.rank, self.id)
    }
}

impl Place {
    fn read(text: &str) -> Option<Self> {
        let (at, rest) = text.split_once('-')?;
        let (rank, id) = rest.split_once('-')?;
        Some(Self { at: UnixMillis(at.parse().ok()?), rank: rank.parse().ok()?, id: id.parse().ok()? })
    }
}

/// An entry before it is read.
enum Entry<'a> {
    /// An event of the feed.
    Event(&'a EventPlace),
    /// Something that became of a message of ours.
    Step(Published, &'a Attempt),
}

/// How the step of a message ranks among those of its second.
fn rank(kind: &str) -> u8 {
    match kind {
        "message.sent" => 0,
        "message.delivered" => 1,
        "message.read" => 2,
        "message.failed" => 3,
        _ => 5,
    }
}

/// An event of the feed comes after the message it may answer and before what the operator does.
const RANK_OF_EVENTS: u8 = 4;

/// `GET /v1/contacts/{id}/journey?order=&cursor=&limit=`: from the first touch to the last, or back (`order=newest`).
pub(crate) async fn journey(
    State(analytics): State<Arc<Analytics>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Params(asked): Params<Asked>,
) -> Result<Json<Value>, Problem> {
    let limit = limit(asked.limit.as_deref())?;
    let newest_first = match asked.order.as_deref() {
        None | Some("oldest") => false,
        Some("newest") => true,
        Some(_) => return Err(Problem::invalid("/order", "must be oldest or newest")),
    };
    let after = asked.cursor.as_deref().map(|text| {
        Place::read(text).ok_or_else(|| Problem::invalid("/cursor", "must be the next_cursor of an earlier answer"))
    });
    let after = after.transpose()?;
    let way = Way::of(&analytics.core, caller.workspace, &id).await?;
    let mut entries = entries(&way);
    entries.sort_by_key(|(place, _)| *place);
    if newest_first {
        entries.reverse();
    }
    let behind = |place: &Place| after.is_none_or(|after| if newest_first { *place < after } else { *place > after });
    let start = entries.iter().position(|(place, _)| behind(place)).unwrap_or(entries.len());
    let page = &entries[start..entries.len().min(start + limit)];
    let more = start + page.len() < entries.len();
    let next = page.last().filter(|_| more).map(|(place, _)| place.to_string());
    let data = shown(&analytics, caller.workspace, page).await?;
    Ok(Json(json!({
        "contact_id": way.contact,
        "merged_contact_ids": &way.contacts[1..],
        "complete": way.complete,
        "data": data,
        "next_cursor": next,
    })))
}

/// All entries, in no order. The person's clicks and replies are events of the feed, and so no steps of a message.
fn entries(way: &Way) -> Vec<(Place, Entry<'_>)> {
    let events = way.places.iter().map(|place| {
        let entry = Entry::Event(place);
        (Place { at: place.at, rank: RANK_OF_EVENTS, id: place.id }, entry)
    });
    let steps = way.attempts.iter().flat_map(|(key, attempt)| {
        let steps = published::of_attempt(key, attempt).into_iter();
        let steps = steps.filter(|step| !matches!(step.kind.as_str(), "message.clicked" | "message.replied"));
        steps.map(move |step| {
            let place = Place { at: step.at, rank: rank(&step.kind), id: step.id };
            (place, Entry::Step(step, attempt))
        })
    });
    events.chain(steps).collect()
}

/// Reads the events of a page and shows all of it. An event that was deleted meanwhile is left out.
async fn shown(
    analytics: &Analytics,
    workspace: WorkspaceId,
    page: &[(Place, Entry<'_>)],
) -> Result<Vec<Value>, Problem> {
    let places = page.iter().filter_map(|(_, entry)| match entry {
        Entry::Event(place) => Some(place.key.clone()),
        Entry::Step(..) => None,
    });
    let read = analytics.core.events_at(places.collect()).await?;
    let events: HashMap<EventId, (Option<AccountId>, Event)> =
        read.into_iter().map(|(_, account, event)| (event.id, (account, event))).collect();
    let views: Vec<View> = page
        .iter()
        .filter_map(|(_, entry)| match entry {
            Entry::Event(place) => {
                let (account, event) = events.get(&place.id)?;
                Some(View::of_event(workspace, *account, event))
            }
            Entry::Step(step, attempt) => Some(View::of_step(step.clone(), attempt)),
        })
        .collect();
    let campaigns: BTreeSet<CampaignId> = views.iter().filter_map(|view| view.base.campaign).collect();
    let mut names = HashMap::new();
    for id in campaigns {
        names.insert(id, analytics.core.campaign(workspace, id).await?.map(|campaign| campaign.name));
    }
    Ok(views.into_iter().map(|view| view.into_json(&names)).collect())
}

/// An entry as it is shown: as it is published, and what a person of the business may see besides.
struct View {
    base: Published,
    more: Map<String, Value>,
}

impl View {
    fn of_step(step: Published, attempt: &Attempt) -> Self {
        let mut more = Map::new();
        if step.kind == "message.sent" {
            let flags = Flag::ALL.into_iter().filter_map(|flag| {
                let moment = attempt.flag(flag)?;
                Some((flag.name().to_owned(), Value::from(moment.at.to_rfc3339())))
            });
            more.insert("flags".to_owned(), Value::Object(flags.collect()));
            more.insert("wamid".to_owned(), json!(attempt.wamid));
        }
        Self { base: step, more }
    }

    fn of_event(workspace: WorkspaceId, account: Option<AccountId>, event: &Event) -> Self {
        let base = published::of_event(workspace, account, event);
        let mut more = Map::new();
        let mut content = event.content.clone();
        let message = matches!(content, Content::MessageReceived { .. } | Content::MessageEchoed(_));
        if let Some(raw) = content.raw_mut().filter(|_| message) {
            let shown = match raw {
                Kept::Inline(text) => serde_json::from_str(text).unwrap_or(Value::Null),
                // Longer than a row holds.
                Kept::Object(_) => json!({"too_long": true}),
            };
            more.insert("message".to_owned(), shown);
        }
        if let Content::MessageReceived { campaign: Some(campaign), recipient: Some(recipient), .. } = &event.content {
            more.insert("answers".to_owned(), json!({"campaign_id": campaign, "recipient": recipient}));
        }
        more.insert("content".to_owned(), contents(&event.content));
        Self { base, more }
    }

    fn into_json(self, names: &HashMap<CampaignId, Option<String>>) -> Value {
        let Self { base, more } = self;
        let campaign = base.campaign.map(|id| json!({"id": id, "name": names.get(&id)}));
        let mut shown = json!({
            "id": base.id,
            "type": base.kind,
            "at": base.at.to_rfc3339(),
            "seen": base.seen.to_rfc3339(),
            "account_id": base.account,
            "contact_id": base.contact,
            "campaign": campaign,
            "recipient": base.recipient,
            "data": base.data,
        });
        if let Some(shown) = shown.as_object_mut() {
            shown.extend(more);
        }
        shown
    }
}

/// What an event says, without the item as it came in.
pub(crate) fn contents(content: &Content) -> Value {
    let mut shown = serde_json::to_value(content).unwrap_or_default();
    if let Some(members) = shown.as_object_mut() {
        members.remove("type");
        members.remove("raw");
        // Kept as a text, so that a table does not change its numbers.
        let properties = members.get("properties").and_then(Value::as_str).map(serde_json::from_str::<Value>);
        if let Some(Ok(properties)) = properties {
            members.insert("properties".to_owned(), properties);
        }
    }
    shown
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SessionsAsked {
    limit: Option<String>,
    cursor: Option<String>,
    gap_minutes: Option<String>,
}

/// Reads the gap that ends a session.
pub(crate) fn rules(gap_minutes: Option<&str>) -> Result<Rules, Problem> {
    let Some(given) = gap_minutes else {
        return Ok(Rules::default());
    };
    let gap = given.parse().ok().map(|minutes: u16| Duration::from_secs(u64::from(minutes) * 60));
    match gap.filter(|gap| (SHORTEST_GAP..=LONGEST_GAP).contains(gap)) {
        Some(gap) => Ok(Rules { gap, ..Rules::default() }),
        None => Err(Problem::invalid("/gap_minutes", "must be a number from 1 to 475")),
    }
}

/// `GET /v1/contacts/{id}/sessions?gap_minutes=&cursor=&limit=`, newest first.
pub(crate) async fn list_sessions(
    State(analytics): State<Arc<Analytics>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Params(asked): Params<SessionsAsked>,
) -> Result<Json<Value>, Problem> {
    let limit = limit(asked.limit.as_deref())?;
    let rules = rules(asked.gap_minutes.as_deref())?;
    let before = asked.cursor.as_deref().map(str::parse::<i64>).transpose();
    let before = before.map_err(|_| Problem::invalid("/cursor", "must be the next_cursor of an earlier answer"))?;
    let way = Way::of(&analytics.core, caller.workspace, &id).await?;
    let (traces, complete) = way.traces(&analytics.core).await?;
    let mut found = sessions::of(caller.workspace, way.contact, traces, rules);
    found.reverse();
    found.retain(|session| before.is_none_or(|before| session.started_at.0 < before));
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|session| session.started_at.0.to_string());
    let data: Vec<Value> = found.iter().map(|session| view(way.contact, session)).collect();
    Ok(Json(json!({"data": data, "complete": complete, "next_cursor": next})))
}

fn view(contact: ContactId, session: &Session) -> Value {
    let mut shown = json!(session);
    shown["contact_id"] = json!(contact);
    shown["duration_ms"] = json!(u64::try_from(session.length().as_millis()).unwrap_or(u64::MAX));
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back() {
        let place =
            Place { at: UnixMillis(1_790_000_000_000), rank: 4, id: "evt_01J00000000000000000000000".parse().unwrap() };
        assert_eq!(Place::read(&place.to_string()), Some(place));
        for text in ["", "1", "1-2", "1-2-3", "x-2-evt_01J00000000000000000000000"] {
            assert_eq!(Place::read(text), None, "{text}");
        }
    }

    #[test]
    fn a_gap_is_from_a_minute_to_almost_eight_hours() {
        assert_eq!(rules(None).unwrap(), Rules::default());
        assert_eq!(rules(Some("475")).unwrap().gap, LONGEST_GAP);
        for wrong in ["0", "476", "-1", "x", ""] {
            assert!(rules(Some(wrong)).is_err(), "{wrong}");
        }
    }
}
