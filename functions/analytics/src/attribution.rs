//! `GET /v1/analytics/attribution`: which campaigns the conversions of a span of time are put down to, by a model and its
//! windows (`shared::attribution`). Conversions are looked for in the feeds and among closed attempts; then each buyer's way
//! is looked up. So an answer takes as long as there are buyers, and one that has too many is cut at a time from which the
//! next goes on.

mod found;
mod lift;
mod person;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use shared::activity::custom::Source;
use shared::attempt::{Attempt, Seq};
use shared::attribution::sums::{Sum, Sums};
use shared::attribution::worth::Worth;
use shared::attribution::{Model, TouchKind, Touchpoint, WHOLE, Windows, credit};
use shared::campaign::Campaign;
use shared::http::auth::Caller;
use shared::http::params::Params;
use shared::http::problem::Problem;
use shared::id::{AccountId, CampaignId, ContactId, EventId, WorkspaceId};
use shared::time::UnixMillis;

use self::found::{Conversion, Deadlines, Found, Told, whole_milliseconds};
use self::lift::Buyers;
use self::person::Person;
use crate::feed::all_accounts;
use crate::{Analytics, span};

/// How long conversions are looked for, of what an HTTP API waits (30 s).
const LONGEST_SEARCH: Duration = Duration::from_secs(9);

/// The same for closed attempts, which are looked for next; from the beginning on as well.
const LONGEST_SEARCH_OF_CLOSES: Duration = Duration::from_secs(12);

/// How long all of it may take before it is cut; the last buyers and the lift come on top.
const LONGEST: Duration = Duration::from_secs(18);

/// Buyers that are looked up between two looks at the clock.
const CONVERSIONS_AT_ONCE: usize = 64;

/// Campaigns of an answer whose lift is worked out, those with the most credit: each may read its list of the held-out.
const MOST_LIFTS: usize = 20;

/// The longest window that may be asked for: 90 days.
const LONGEST_WINDOW_H: u64 = 2_160;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    account: Option<String>,
    from: Option<String>,
    to: Option<String>,
    model: Option<String>,
    click_window_h: Option<String>,
    reply_window_h: Option<String>,
    read_window_h: Option<String>,
    delivered_window_h: Option<String>,
}

impl Asked {
    fn windows(&self) -> Result<Windows, Problem> {
        let Windows { click, reply, read, delivered } = Windows::default();
        Ok(Windows {
            click: window("/click_window_h", self.click_window_h.as_deref(), click)?,
            reply: window("/reply_window_h", self.reply_window_h.as_deref(), reply)?,
            read: window("/read_window_h", self.read_window_h.as_deref(), read)?,
            delivered: window("/delivered_window_h", self.delivered_window_h.as_deref(), delivered)?,
        })
    }

    fn model(&self) -> Result<Model, Problem> {
        let model = self.model.as_deref().map(str::parse::<Model>).transpose();
        Ok(model.map_err(|wrong| Problem::invalid("/model", wrong.to_string()))?.unwrap_or_default())
    }
}

/// Reads a window in hours; 0 is off.
fn window(pointer: &str, given: Option<&str>, default: Duration) -> Result<Duration, Problem> {
    let Some(given) = given else { return Ok(default) };
    let hours = given.parse::<u64>().ok().filter(|hours| *hours <= LONGEST_WINDOW_H);
    let wrong = || Problem::invalid(pointer, format!("must be a number of hours from 0 to {LONGEST_WINDOW_H}"));
    hours.map(|hours| Duration::from_secs(hours * 3_600)).ok_or_else(wrong)
}

/// What of a span was credited.
#[derive(Default)]
struct Credited {
    sums: Sums,
    by_hand: usize,
    people: BTreeMap<ContactId, Person>,
    /// When those that servers told of were, by the contact that the event named.
    told_by_servers: BTreeMap<ContactId, Vec<UnixMillis>>,
    /// Of all conversions before this moment.
    until: UnixMillis,
    campaigns: BTreeMap<CampaignId, Campaign>,
    /// Whether all closes until then were found, and all that the buyers did was read. If not, only a shorter span or a
    /// single account shows the rest.
    complete: bool,
}

/// `GET /v1/analytics/attribution?from=&to=&account=&model=&click_window_h=&reply_window_h=&read_window_h=
/// &delivered_window_h=`. With an account, what its feed and its attempts tell, what no account's feed holds, and only its own
/// campaigns are credited.
pub(crate) async fn attribution(
    State(analytics): State<Arc<Analytics>>,
    Extension(caller): Extension<Caller>,
    Params(asked): Params<Asked>,
) -> Result<Json<Value>, Problem> {
    let (begun, as_of) = (Instant::now(), UnixMillis::now());
    let span = span::read(asked.from.as_deref(), asked.to.as_deref(), as_of)?;
    let (windows, model) = (asked.windows()?, asked.model()?);
    let workspace = caller.workspace;
    let account = match &asked.account {
        Some(id) => Some(span::account(&analytics, caller, Some(id)).await?.id),
        None => None,
    };
    let accounts = match account {
        Some(account) => vec![None, Some(account)],
        None => all_accounts(&analytics, workspace).await?,
    };
    let deadlines = Deadlines { events: begun + LONGEST_SEARCH, closes: begun + LONGEST_SEARCH_OF_CLOSES };
    let found = found::find(&analytics, workspace, &accounts, &span, deadlines).await?;
    let rules = Rules { workspace, account, windows, model };
    let mut credited = credited(&analytics, &rules, found, &span, begun + LONGEST).await?;
    let ids: Vec<CampaignId> = credited.sums.campaigns.keys().copied().collect();
    load(&analytics, workspace, ids, &mut credited.campaigns).await?;
    let covered = span.start..credited.until;
    let campaigns = campaigns(&analytics, &credited, &covered).await?;
    let Sums { unattributed, total, .. } = &credited.sums;
    Ok(Json(json!({
        "as_of": as_of.to_rfc3339(),
        "from": span.start.to_rfc3339(),
        "to": span.end.to_rfc3339(),
        "covered_until": covered.end.to_rfc3339(),
        "truncated": covered.end < span.end || !credited.complete,
        "complete": credited.complete,
        "account_id": account,
        "model": model,
        "windows_h": hours_of(&windows),
        "closed_by_hand": credited.by_hand,
        "total": shown(total),
        "unattributed": {"conversions": conversions(unattributed), "value": unattributed.worths},
        "campaigns": campaigns,
    })))
}

/// By what conversions are put down to campaigns, and whose.
struct Rules {
    workspace: WorkspaceId,
    account: Option<AccountId>,
    windows: Windows,
    model: Model,
}

/// Looks the buyers up and credits each conversion, first to last, until all are or it takes too long.
async fn credited(
    analytics: &Analytics,
    rules: &Rules,
    found: Found,
    span: &Range<UnixMillis>,
    deadline: Instant,
) -> Result<Credited, Problem> {
    let Found { conversions, until, closes_complete } = found;
    let mut credited = Credited { until, complete: closes_complete, ..Credited::default() };
    let looks_back = i64::try_from(rules.windows.longest().as_millis()).unwrap_or(i64::MAX);
    let reach = UnixMillis(span.start.0.saturating_sub(looks_back))..until;
    let mut start = 0;
    while start < conversions.len() {
        if Instant::now() > deadline {
            credited.until = conversions[start].at;
            break;
        }
        let end = whole_milliseconds(&conversions, start, CONVERSIONS_AT_ONCE);
        let some = &conversions[start..end];
        let named = some.iter().flat_map(|conversion| [conversion.recipient.map(|(id, _)| id), clicked(conversion)]);
        load(analytics, rules.workspace, named.flatten().collect(), &mut credited.campaigns).await?;
        let attempts = found::attempts(&analytics.core, &credited.campaigns, some).await?;
        let unknown: BTreeSet<ContactId> = some.iter().filter_map(|conversion| conversion.contact).collect();
        let unknown = unknown.into_iter().filter(|contact| !credited.people.contains_key(contact)).collect();
        let people = person::people(&analytics.core, rules.workspace, rules.account, unknown, &reach).await?;
        credited.people.extend(people);
        for conversion in some {
            credited.take(rules, conversion, &attempts);
        }
        start = end;
    }
    credited.complete &= credited.people.values().all(|person| person.complete);
    Ok(credited)
}

/// The campaign whose link led to it.
fn clicked(conversion: &Conversion) -> Option<CampaignId> {
    match &conversion.told {
        Told::Event { click: Some((campaign, _)), .. } => Some(*campaign),
        _ => None,
    }
}

impl Credited {
    fn take(&mut self, rules: &Rules, conversion: &Conversion, attempts: &BTreeMap<(CampaignId, Seq), Attempt>) {
        let attempt = conversion.recipient.and_then(|key| attempts.get(&key));
        let mut touchpoints: Vec<Touchpoint> = Vec::new();
        if let Some(person) = conversion.contact.and_then(|contact| self.people.get(&contact)) {
            touchpoints.extend(&person.touchpoints);
        }
        match &conversion.told {
            Told::ByHand(closed) => {
                self.by_hand += 1;
                // Also of somebody who is no contact.
                touchpoints.extend(person::of_attempt(closed.0.campaign, closed.0.seq, &closed.1));
            }
            Told::Event { by, click } => {
                if let (Source::Server, Some(contact)) = (by, conversion.contact) {
                    self.told_by_servers.entry(contact).or_default().push(conversion.at);
                }
                touchpoints.extend(click.map(|(campaign, id)| own_click(conversion, campaign, id, attempt)));
            }
        }
        let credits = credit(touchpoints, conversion.at, &rules.windows, rules.model);
        let worth = found::worth(conversion, attempt);
        let worth = worth.as_ref().and_then(|money| Some((money.currency.as_str(), Worth::of(money)?)));
        self.sums.add(&credits, worth);
    }

    /// When people have bought as servers told, by the contact that stands for them.
    fn buyers(&self) -> Buyers<'_> {
        let mut buyers = Buyers::new();
        for (contact, times) in &self.told_by_servers {
            if let Some(person) = self.people.get(contact) {
                buyers.entry(person.contact).or_insert((person, Vec::new())).1.extend(times);
            }
        }
        buyers
    }
}

/// The click that the event itself names. It came before, whatever the clock of the visitor's device says; and it may be
/// another's than the buyer's, for links are passed on.
fn own_click(conversion: &Conversion, campaign: CampaignId, click: EventId, attempt: Option<&Attempt>) -> Touchpoint {
    let clicked = UnixMillis(i64::try_from(click.ulid().timestamp_ms()).unwrap_or(i64::MAX));
    Touchpoint {
        at: clicked.min(conversion.at),
        kind: TouchKind::Click,
        campaign,
        recipient: conversion.recipient.map(|(_, seq)| seq),
        variant: attempt.map(|attempt| attempt.variant),
    }
}

/// Reads campaigns that are not known yet; one that is gone is left out.
async fn load(
    analytics: &Analytics,
    workspace: WorkspaceId,
    wanted: Vec<CampaignId>,
    known: &mut BTreeMap<CampaignId, Campaign>,
) -> Result<(), Problem> {
    for id in wanted {
        if !known.contains_key(&id)
            && let Some(campaign) = analytics.core.campaign(workspace, id).await?
        {
            known.insert(id, campaign);
        }
    }
    Ok(())
}

/// What each campaign is credited with, most first, and its lift if it has a holdout.
async fn campaigns(
    analytics: &Analytics,
    credited: &Credited,
    covered: &Range<UnixMillis>,
) -> Result<Vec<Value>, Problem> {
    let mut sums: Vec<(CampaignId, Sum)> =
        credited.sums.campaigns.keys().map(|id| (*id, credited.sums.of_campaign(*id))).collect();
    sums.sort_by_key(|(id, sum)| (std::cmp::Reverse(sum.parts), *id));
    let buyers = credited.buyers();
    let (mut rows, mut lifts) = (Vec::new(), 0);
    for (id, sum) in sums {
        let campaign = credited.campaigns.get(&id);
        let mut row = shown(&sum);
        row["campaign_id"] = json!(id);
        row["name"] = json!(campaign.map(|campaign| &campaign.name));
        let variants = credited.sums.campaigns[&id].iter().map(|(variant, sum)| {
            let name = variant.and_then(|variant| campaign?.variants.get(usize::from(variant.0)));
            let mut row = shown(sum);
            row["name"] = json!(name.map(|variant| &variant.name));
            row
        });
        row["variants"] = variants.collect();
        if let Some(campaign) = campaign.filter(|_| lifts < MOST_LIFTS)
            && let Some(lift) = lift::of(analytics, campaign, &buyers, covered).await?
        {
            row["lift"] = json!(lift);
            lifts += 1;
        }
        rows.push(row);
    }
    Ok(rows)
}

/// A sum: conversions to a millionth, amounts as decimals by currency, touchpoints by kind.
fn shown(sum: &Sum) -> Value {
    let touchpoints = TouchKind::ALL.into_iter().map(|kind| {
        let n = sum.touchpoints.get(&kind).copied().unwrap_or(0);
        (kind.name().to_owned(), Value::from(n))
    });
    json!({
        "conversions": conversions(sum),
        "value": sum.worths,
        "touchpoints": touchpoints.collect::<Map<_, _>>(),
    })
}

/// Whole conversions as whole numbers.
#[allow(clippy::cast_precision_loss, reason = "millionths of at most a few thousand conversions")]
fn conversions(sum: &Sum) -> Value {
    let whole = u64::from(WHOLE);
    if sum.parts.is_multiple_of(whole) { json!(sum.parts / whole) } else { json!(sum.parts as f64 / f64::from(WHOLE)) }
}

fn hours_of(windows: &Windows) -> Value {
    let hours = |kind: TouchKind| (kind.name().to_owned(), Value::from(windows.of(kind).as_secs() / 3_600));
    Value::Object(TouchKind::ALL.into_iter().map(hours).collect())
}

#[cfg(test)]
mod tests;
