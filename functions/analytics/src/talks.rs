//! Conversations: of a contact, of an account, and how long answers take.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};
use shared::conversation::Conversation;
use shared::http::auth::Caller;
use shared::http::limit;
use shared::http::params::Params;
use shared::http::problem::Problem;
use shared::id::{AccountId, ContactId};
use shared::journey::responses::{Distribution, Responses, by_the_clock, to_be_read};
use shared::journey::sessions;
use shared::journey::talk::{Exchange, Standing, Talk, Wait};
use shared::journey::trace::Part;
use shared::time::UnixMillis;

use crate::journey::rules;
use crate::way::{Way, by_account};
use crate::{Analytics, span};

/// Exchanges of a contact and an account that are shown, the latest ones.
const SHOWN: usize = 20;

/// `GET /v1/contacts/{id}/conversations`: where the person stands with each number of the business.
pub(crate) async fn of_contact(
    State(analytics): State<Arc<Analytics>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let way = Way::of(&analytics.core, caller.workspace, &id).await?;
    let (traces, complete) = way.traces(&analytics.core).await?;
    let mut talks: BTreeMap<AccountId, Talk> =
        by_account(traces).into_iter().map(|(account, traces)| (account, Talk::of(traces))).collect();
    let mut rows: BTreeMap<AccountId, Vec<Conversation>> = BTreeMap::new();
    for contact in &way.contacts {
        for (account, row) in analytics.core.conversations(caller.workspace, *contact).await? {
            rows.entry(account).or_default().push(row);
        }
    }
    for account in rows.keys() {
        talks.entry(*account).or_default();
    }
    let now = UnixMillis::now();
    // An account that only sent campaigns has no conversation with them.
    talks.retain(|account, talk| talk.standing.is_some() || rows.contains_key(account));
    let data: Vec<Value> = talks
        .iter()
        .map(|(account, talk)| {
            let row = Conversation::joined(rows.remove(account).unwrap_or_default());
            view(*account, talk, &row, now)
        })
        .collect();
    Ok(Json(json!({"contact_id": way.contact, "complete": complete, "data": data})))
}

fn view(account: AccountId, talk: &Talk, row: &Conversation, now: UnixMillis) -> Value {
    let shown = talk.exchanges.len().min(SHOWN);
    let latest = talk.exchanges.last();
    json!({
        "account_id": account,
        "state": talk.standing,
        "reopened": latest.is_some_and(|exchange| exchange.reopened > 0 && exchange.resolved_at.is_none()),
        "assigned": talk.assigned,
        "waiting_since": waiting_since(talk).map(UnixMillis::to_rfc3339),
        "last_inbound_at": talk.wrote_at.max(row.last_inbound_at).map(UnixMillis::to_rfc3339),
        "window": {
            "open": row.is_open_at(now),
            "until": row.open_until().map(UnixMillis::to_rfc3339),
        },
        "reply_time": Distribution::of(talk.exchanges.iter().flat_map(|exchange| &exchange.waits).filter_map(Wait::took)),
        "exchanges": talk.exchanges[talk.exchanges.len() - shown..].iter().rev().map(exchange).collect::<Vec<_>>(),
    })
}

/// Since when the person waits for an answer.
fn waiting_since(talk: &Talk) -> Option<UnixMillis> {
    let waits = talk.standing == Some(Standing::WaitingForUs);
    let last = talk.exchanges.last()?.waits.last()?;
    Some(last.from).filter(|_| waits && last.until.is_none())
}

fn exchange(exchange: &Exchange) -> Value {
    let millis = |took: Option<Duration>| took.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
    let mut shown = json!(exchange);
    shown["first_response_ms"] = json!(millis(exchange.first_response()));
    shown["resolution_ms"] = json!(millis(exchange.resolution()));
    shown
}

/// Days that are looked through for one page of a list, newest first.
const DAYS_A_REQUEST: i64 = 31;

/// No conversation is older: a list that has come so far is at its end.
const OLDEST_DAYS: i64 = 3 * 366;

const DAY_MS: i64 = 86_400_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListAsked {
    account: Option<String>,
    state: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

/// Which conversations are wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    All,
    Open,
    Assigned,
    Standing(Standing),
}

impl Wanted {
    fn read(given: Option<&str>) -> Result<Self, Problem> {
        match given {
            None => Ok(Self::All),
            Some("open") => Ok(Self::Open),
            Some("assigned") => Ok(Self::Assigned),
            Some(name) => {
                let all = [Standing::WaitingForUs, Standing::WaitingForThem, Standing::Resolved];
                let known = all.into_iter().find(|standing| standing.name() == name).map(Self::Standing);
                known.ok_or_else(|| {
                    Problem::invalid("/state", "must be open, waiting_for_us, waiting_for_them, assigned or resolved")
                })
            }
        }
    }

    fn holds(self, row: &Conversation) -> bool {
        let standing = standing(row);
        match self {
            Self::All => true,
            Self::Open => standing.is_some_and(|standing| standing != Standing::Resolved),
            Self::Assigned => row.assigned.is_some() && standing != Some(Standing::Resolved),
            Self::Standing(wanted) => standing == Some(wanted),
        }
    }
}

/// Where a conversation stands by its row alone. There a call and a reaction of the person count as their word.
fn standing(row: &Conversation) -> Option<Standing> {
    Standing::of(row.last_inbound_at, row.last_outbound_at, row.resolved_at)
}

/// `GET /v1/conversations?account=&state=&cursor=&limit=`: the account's conversations, those first in which the person
/// wrote last. Without anything found in a month a page may be empty and go on all the same.
pub(crate) async fn of_account(
    State(analytics): State<Arc<Analytics>>,
    Extension(caller): Extension<Caller>,
    Params(asked): Params<ListAsked>,
) -> Result<Json<Value>, Problem> {
    let limit = limit(asked.limit.as_deref())?;
    let wanted = Wanted::read(asked.state.as_deref())?;
    let now = UnixMillis::now();
    let before = asked.cursor.as_deref().map(|text| {
        read_cursor(text).ok_or_else(|| Problem::invalid("/cursor", "must be the next_cursor of an earlier answer"))
    });
    let before = before.transpose()?;
    let account = span::account(&analytics, caller, asked.account.as_deref()).await?;
    // Clocks differ: somebody may have written a moment from now.
    let newest = before.map_or(now.0 + 3_600_000, |(at, _)| at.0);
    let mut day = newest - newest.rem_euclid(DAY_MS);
    let (oldest, last) = (now.0 - OLDEST_DAYS * DAY_MS, day - (DAYS_A_REQUEST - 1) * DAY_MS);
    let mut found: Vec<(ContactId, Conversation)> = Vec::new();
    let mut next = None;
    while day >= oldest {
        let rows = analytics.core.conversations_of_day(caller.workspace, account.id, &UnixMillis(day).date()).await?;
        let rows = rows.into_iter().filter(|(contact, row)| {
            wanted.holds(row)
                && before.is_none_or(|before| (row.last_inbound_at.unwrap_or_default(), Some(*contact)) < before)
        });
        found.extend(rows);
        if found.len() > limit {
            found.truncate(limit);
            next = found.last().and_then(|(contact, row)| Some(cursor(row.last_inbound_at?, Some(*contact))));
            break;
        }
        if day <= last {
            next = (day > oldest).then(|| cursor(UnixMillis(day - 1), None));
            break;
        }
        day -= DAY_MS;
    }
    let data: Vec<Value> = found.iter().map(|(contact, row)| row_view(*contact, row, now)).collect();
    Ok(Json(json!({"data": data, "next_cursor": next})))
}

/// Where a list goes on: below this conversation, or below everything of the millisecond after when there is none.
fn cursor(at: UnixMillis, contact: Option<ContactId>) -> String {
    contact.map_or_else(|| (at.0 + 1).to_string(), |contact| format!("{}-{contact}", at.0))
}

fn read_cursor(text: &str) -> Option<(UnixMillis, Option<ContactId>)> {
    match text.split_once('-') {
        None => Some((UnixMillis(text.parse().ok()?), None)),
        Some((at, contact)) => Some((UnixMillis(at.parse().ok()?), Some(contact.parse().ok()?))),
    }
}

fn row_view(contact: ContactId, row: &Conversation, now: UnixMillis) -> Value {
    let time = |at: Option<UnixMillis>| at.map(UnixMillis::to_rfc3339);
    json!({
        "contact_id": contact,
        "state": standing(row),
        "assigned": row.assigned.as_ref().map(|assigned| json!({"to": assigned.to, "at": assigned.at.to_rfc3339()})),
        "last_inbound_at": time(row.last_inbound_at),
        "last_outbound_at": time(row.last_outbound_at),
        "resolved_at": time(row.resolved_at),
        "window": {"open": row.is_open_at(now), "until": time(row.open_until())},
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    account: Option<String>,
    from: Option<String>,
    to: Option<String>,
}

/// `GET /v1/analytics/response-times?account=&from=&to=`.
pub(crate) async fn response_times(
    State(analytics): State<Arc<Analytics>>,
    Extension(caller): Extension<Caller>,
    Params(asked): Params<Asked>,
) -> Result<Json<Value>, Problem> {
    let now = UnixMillis::now();
    let asked_for = span::read(asked.from.as_deref(), asked.to.as_deref(), now)?;
    let account = span::account(&analytics, caller, asked.account.as_deref()).await?;
    let said = |part: &Part| matches!(part, Part::Wrote | Part::Answered | Part::Resolved);
    let range = to_be_read(&asked_for);
    let gathered = span::gather(&analytics.core, caller.workspace, account.id, &range, now, said).await?;
    let covered = covered(&asked_for, gathered.until);
    let talks: Vec<Talk> = gathered.people.into_values().map(Talk::of).collect();
    let responses = Responses::of(&talks, &covered, &by_the_clock);
    let mut answer = json!(responses);
    answer["account_id"] = json!(account.id);
    describe(&mut answer, &asked_for, &covered, gathered.until >= range.end);
    Ok(Json(answer))
}

/// What of the span was read.
fn covered(span: &Range<UnixMillis>, until: UnixMillis) -> Range<UnixMillis> {
    span.start..span.end.min(until).max(span.start)
}

fn describe(answer: &mut Value, span: &Range<UnixMillis>, covered: &Range<UnixMillis>, complete: bool) {
    answer["from"] = json!(span.start.to_rfc3339());
    answer["to"] = json!(span.end.to_rfc3339());
    answer["covered_until"] = json!(covered.end.to_rfc3339());
    answer["complete"] = json!(complete);
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SessionsAsked {
    account: Option<String>,
    from: Option<String>,
    to: Option<String>,
    gap_minutes: Option<String>,
}

/// `GET /v1/analytics/sessions?account=&from=&to=&gap_minutes=`: the sessions that began in the span, by day (UTC).
pub(crate) async fn account_sessions(
    State(analytics): State<Arc<Analytics>>,
    Extension(caller): Extension<Caller>,
    Params(asked): Params<SessionsAsked>,
) -> Result<Json<Value>, Problem> {
    let now = UnixMillis::now();
    let asked_for = span::read(asked.from.as_deref(), asked.to.as_deref(), now)?;
    let rules = rules(asked.gap_minutes.as_deref())?;
    let account = span::account(&analytics, caller, asked.account.as_deref()).await?;
    let (day, gap) = (ms(rules.longest), ms(rules.gap));
    // A session that began before is known by a pause; nobody goes on for a whole day without one.
    let range = UnixMillis(asked_for.start.0 - day)..UnixMillis(asked_for.end.0 + day + gap);
    let gathered = span::gather(&analytics.core, caller.workspace, account.id, &range, now, Part::prolongs).await?;
    let covered = covered(&asked_for, gathered.until);
    let (mut people, mut acts, mut lengths) = (0, 0_u64, Vec::new());
    let mut days: BTreeMap<String, u64> = BTreeMap::new();
    for (contact, traces) in gathered.people {
        let found = sessions::of(caller.workspace, contact, traces, rules);
        let mut found = found.into_iter().filter(|session| covered.contains(&session.started_at)).peekable();
        people += u64::from(found.peek().is_some());
        for session in found {
            *days.entry(session.started_at.date()).or_default() += 1;
            acts += u64::from(session.acts);
            lengths.push(session.length());
        }
    }
    let days: Vec<Value> = days.into_iter().map(|(date, n)| json!({"date": date, "sessions": n})).collect();
    let mut answer = json!({
        "account_id": account.id,
        "sessions": lengths.len(),
        "people": people,
        "acts": acts,
        "duration": Distribution::of(lengths),
        "days": days,
    });
    describe(&mut answer, &asked_for, &covered, gathered.until >= range.end);
    Ok(Json(answer))
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
