//! `GET /v1/events`: the feed of a workspace, newest first: what happened, not what became of each message of a campaign,
//! which is in the campaign's recipients. Whoever may read it may read who wrote and what; everybody else is named by the id
//! of their contact.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use futures::{StreamExt, TryStreamExt};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use shared::activity::feed::{Part, Position, merge};
use shared::activity::{Content, Event, Kept};
use shared::attempt::Shard;
use shared::http::auth::Caller;
use shared::http::limit;
use shared::http::params::Params;
use shared::http::problem::Problem;
use shared::id::{AccountId, CampaignId, ContactId, WorkspaceId};
use shared::store::{FeedDay, StoreError, keys};
use shared::time::UnixMillis;

use crate::{Analytics, find};

/// How far back the feed goes unless `since` says otherwise.
const DAYS: i64 = 30;

const DAY_MS: i64 = 86_400_000;

/// Times of others may lie ahead of ours by this.
const CLOCKS_DIFFER_MS: i64 = 3_600_000;

/// Queries for one page of the feed: a day of an account is 8. A rare filter then goes on with the cursor.
const QUERIES_A_REQUEST: usize = 480;

/// Queries under way at once.
const QUERIES_AT_ONCE: usize = 24;

/// Events read of a partition at a time.
const CHUNK: usize = 50;

/// Accounts of a workspace whose feeds are read together.
const ACCOUNTS: usize = 50;

/// Events of one person that are looked through.
const EVENTS_OF_A_CONTACT: usize = 10_000;

/// What is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    account: Option<AccountId>,
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default, with = "shared::time::rfc3339::option")]
    since: Option<UnixMillis>,
    #[serde(default, with = "shared::time::rfc3339::option")]
    until: Option<UnixMillis>,
    contact: Option<ContactId>,
    campaign: Option<CampaignId>,
    cursor: Option<String>,
    limit: Option<String>,
    raw: Option<bool>,
}

/// Which events are wanted.
struct Wanted {
    kinds: Vec<Pattern>,
    campaign: Option<CampaignId>,
    contacts: Option<BTreeSet<ContactId>>,
}

/// A type, or with `*` at its end everything that begins so.
#[derive(Debug, PartialEq, Eq)]
enum Pattern {
    One(String),
    Begins(String),
}

/// An event with its place in the feed and the account it is of.
type Listed = (Position, (Option<AccountId>, Event));

/// The feed between two places.
struct Stretch {
    from: Position,
    before: Position,
    limit: usize,
}

impl Pattern {
    fn read(text: &str) -> Result<Vec<Self>, Problem> {
        let patterns = text.split(',').map(str::trim).map(|one| match one.strip_suffix('*') {
            Some(start) if !start.contains('*') => Ok(Self::Begins(start.to_owned())),
            None if !one.is_empty() && !one.contains('*') => Ok(Self::One(one.to_owned())),
            _ => Err(Problem::invalid(
                "/type",
                "must be types such as message.received or message.*, separated by commas",
            )),
        });
        patterns.collect()
    }

    fn fits(&self, kind: &str) -> bool {
        match self {
            Self::One(name) => name == kind,
            Self::Begins(start) => kind.starts_with(start.as_str()),
        }
    }
}

impl Wanted {
    fn wants(&self, event: &Event) -> bool {
        let kind = event.content.kind();
        (self.kinds.is_empty() || self.kinds.iter().any(|pattern| pattern.fits(kind)))
            && self.campaign.is_none_or(|campaign| event.content.campaign() == Some(campaign))
            && self.contacts.as_ref().is_none_or(|contacts| event.contact.is_some_and(|id| contacts.contains(&id)))
    }
}

/// `GET /v1/events`.
pub(crate) async fn list(
    State(analytics): State<Arc<Analytics>>,
    Extension(caller): Extension<Caller>,
    Params(asked): Params<Asked>,
) -> Result<Json<Value>, Problem> {
    let limit = limit(asked.limit.as_deref())?;
    let now = UnixMillis::now();
    let kinds = asked.kind.as_deref().map(Pattern::read).transpose()?.unwrap_or_default();
    let until = asked.until.unwrap_or(UnixMillis(now.0.saturating_add(CLOCKS_DIFFER_MS)));
    let mut since = asked.since.unwrap_or(UnixMillis(until.0.min(now.0).saturating_sub(DAYS * DAY_MS)));
    let workspace = caller.workspace;
    let mut accounts = match asked.account {
        None => None,
        Some(account) if analytics.core.account(workspace, account).await?.is_some() => Some(vec![Some(account)]),
        Some(_) => return Err(Problem::invalid("/account", "there is no such account")),
    };
    if let Some(id) = asked.campaign {
        let campaign = find(&analytics, caller, &id.to_string()).await?;
        // Its events are in its account's feed, and there is none from before it was made.
        if asked.since.is_none() {
            since = campaign.created_at;
        }
        let others = asked.account.is_some_and(|account| account != campaign.account);
        accounts = Some(if others { Vec::new() } else { vec![Some(campaign.account)] });
    }
    let mut before = Position::below(until);
    if let Some(cursor) = &asked.cursor {
        let goes_on = Position::read_cursor(cursor);
        let wrong = || Problem::invalid("/cursor", "must be the next_cursor of an earlier answer");
        before = goes_on.ok_or_else(wrong)?.min(before);
    }
    let stretch = Stretch { from: Position::below(since), before, limit };
    let mut wanted = Wanted { kinds, campaign: asked.campaign, contacts: None };
    let (events, next) = match asked.contact {
        Some(contact) => {
            let of_account = asked.account;
            of_contact(&analytics, workspace, contact, of_account, &mut wanted, &stretch).await?
        }
        None => {
            let accounts = match accounts {
                Some(accounts) => accounts,
                None => all_accounts(&analytics, workspace).await?,
            };
            of_accounts(&analytics, workspace, &accounts, &wanted, &stretch).await?
        }
    };
    let with_raw = asked.raw.unwrap_or(false);
    let data: Vec<Value> = events.iter().map(|(_, (account, event))| shown(*account, event, with_raw)).collect();
    Ok(Json(json!({"data": data, "next_cursor": next.map(|next| next.cursor())})))
}

/// The workspace's own events and those of all of its accounts.
pub(crate) async fn all_accounts(
    analytics: &Analytics,
    workspace: WorkspaceId,
) -> Result<Vec<Option<AccountId>>, Problem> {
    let listed = analytics.core.accounts(workspace, None, ACCOUNTS).await?;
    if listed.more {
        return Err(Problem::invalid(
            "/account",
            format!("must be given in a workspace of more than {ACCOUNTS} accounts"),
        ));
    }
    Ok(std::iter::once(None).chain(listed.rows.iter().map(|account| Some(account.id))).collect())
}

/// Walks back day by day until there is a page, or enough was looked through for one request.
async fn of_accounts(
    analytics: &Analytics,
    workspace: WorkspaceId,
    accounts: &[Option<AccountId>],
    wanted: &Wanted,
    stretch: &Stretch,
) -> Result<(Vec<Listed>, Option<Position>), Problem> {
    let mut found: Vec<Listed> = Vec::new();
    let mut before = stretch.before.clone();
    let mut queries = 0;
    while before > stretch.from {
        if queries >= QUERIES_A_REQUEST {
            return Ok((found, Some(before)));
        }
        // The last millisecond below: at midnight it is the day before's.
        let at = UnixMillis(if before == Position::below(before.at()) { before.at().0 - 1 } else { before.at().0 });
        let day_begins = UnixMillis(at.0 - at.0.rem_euclid(DAY_MS));
        let from = Position::below(day_begins).max(stretch.from.clone());
        let mut asked: Vec<(FeedDay, Shard)> = Vec::new();
        for account in accounts {
            let day = FeedDay { workspace, account: *account, date: at.date() };
            asked.extend(FeedDay::shards().map(|shard| (day.clone(), shard)));
        }
        let range = (&from, &before);
        let parts: Vec<Part<(Option<AccountId>, Event)>> = futures::stream::iter(asked)
            .map(|(day, shard)| async move {
                let part = analytics.core.events_of_partition(&day, shard, range.0, range.1, CHUNK).await?;
                let items = part.items.into_iter().map(|(position, event)| (position, (day.account, event)));
                Ok::<_, StoreError>(Part { items: items.collect(), known_from: part.known_from })
            })
            .buffer_unordered(QUERIES_AT_ONCE)
            .try_collect()
            .await?;
        queries += parts.len().max(1);
        let (items, known_from) = merge(parts);
        for (position, (account, event)) in items {
            if !wanted.wants(&event) {
                continue;
            }
            found.push((position.clone(), (account, event)));
            if found.len() == stretch.limit {
                return Ok((found, Some(position)));
            }
        }
        before = known_from.unwrap_or(from);
    }
    Ok((found, None))
}

/// The events of a person, under whatever contacts they are known.
async fn of_contact(
    analytics: &Analytics,
    workspace: WorkspaceId,
    contact: ContactId,
    account: Option<AccountId>,
    wanted: &mut Wanted,
    stretch: &Stretch,
) -> Result<(Vec<Listed>, Option<Position>), Problem> {
    let family = analytics.core.family_of(workspace, contact).await?;
    let contacts: BTreeSet<ContactId> = match &family {
        Some(family) => family.ids().collect(),
        None => BTreeSet::from([contact]),
    };
    let mut places: Vec<keys::Key> = Vec::new();
    for id in &contacts {
        places.extend(analytics.core.events_of_contact(workspace, *id, EVENTS_OF_A_CONTACT).await?);
    }
    wanted.contacts = Some(contacts);
    places.retain(|key| {
        let position = Position::read(&key.sk);
        let of_account = account.is_none() || keys::account_of_event(&key.pk) == account;
        of_account && position >= stretch.from && position < stretch.before
    });
    places.sort_by(|one, other| other.sk.cmp(&one.sk));
    let mut found: Vec<Listed> = Vec::new();
    for part in places.chunks(stretch.limit.max(CHUNK)) {
        for (position, account, event) in analytics.core.events_at(part.to_vec()).await? {
            if !wanted.wants(&event) {
                continue;
            }
            found.push((position.clone(), (account, event)));
            if found.len() == stretch.limit {
                return Ok((found, Some(position)));
            }
        }
    }
    Ok((found, None))
}

/// An event as the feed shows it: what every event has, and under `data` what its type tells.
fn shown(account: Option<AccountId>, event: &Event, with_raw: bool) -> Value {
    let mut data = match serde_json::to_value(&event.content) {
        Ok(Value::Object(data)) => data,
        _ => Map::new(),
    };
    let campaign = data.remove("campaign");
    let recipient = data.remove("recipient");
    let raw = data.remove("raw").and_then(|raw| serde_json::from_value::<Kept>(raw).ok()).map(|raw| match raw {
        Kept::Inline(text) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        Kept::Object(_) => Value::Null,
    });
    data.remove("type");
    match &event.content {
        Content::Custom(report) => {
            data.remove("name");
            data.insert("properties".to_owned(), Value::Object(report.properties.map().clone()));
        }
        Content::MessageReceived { .. } => {
            data.insert("text".to_owned(), raw.as_ref().and_then(text_of).unwrap_or_default());
        }
        _ => {}
    }
    if let (true, Some(raw)) = (with_raw, raw) {
        data.insert("raw".to_owned(), raw);
    }
    json!({
        "id": event.id,
        "type": event.content.kind(),
        "at": event.at.to_rfc3339(),
        "seen_at": event.seen.to_rfc3339(),
        "account_id": account,
        "contact_id": event.contact,
        "campaign_id": campaign,
        "recipient": recipient,
        "data": data,
    })
}

/// What a person wrote: the text, a caption, or the words on the button that they pressed.
fn text_of(raw: &Value) -> Option<Value> {
    ["body", "caption", "text", "title"]
        .into_iter()
        .find_map(|name| raw["content"].get(name).filter(|text| text.is_string()).cloned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_asked_for_by_name_or_by_how_they_begin() {
        let patterns = Pattern::read("message.*, purchase").unwrap();
        let fits = |kind: &str| patterns.iter().any(|pattern| pattern.fits(kind));
        assert!(fits("message.received") && fits("purchase"));
        assert!(!fits("message") && !fits("purchased") && !fits("link.clicked"));
        assert!(Pattern::read("*").unwrap()[0].fits("anything"));
        for wrong in ["", "a,", "a*b", "*a", "a**"] {
            assert!(Pattern::read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_message_is_shown_with_its_text_and_without_metas_json() {
        let content = json!({
            "type": "message.received", "wamid": "wamid.A", "from": "60123456789", "kind": "text",
            "campaign": "cmp_01J00000000000000000000000", "recipient": 3,
            "raw": {"inline": r#"{"content":{"type":"text","body":"Hello"}}"#},
        });
        let event = Event {
            v: 1,
            id: shared::activity::id_of(UnixMillis(5), &["x"]),
            at: UnixMillis(5),
            seen: UnixMillis(6),
            contact: None,
            variant: None,
            content: serde_json::from_value(content).unwrap(),
        };
        let plain = shown(None, &event, false);
        assert_eq!((&plain["type"], &plain["data"]["text"]), (&json!("message.received"), &json!("Hello")));
        assert_eq!((&plain["campaign_id"], &plain["recipient"]), (&json!("cmp_01J00000000000000000000000"), &json!(3)));
        assert!(plain["data"].get("raw").is_none() && plain["data"].get("type").is_none());
        assert_eq!(shown(None, &event, true)["data"]["raw"]["content"]["body"], "Hello");
    }
}
