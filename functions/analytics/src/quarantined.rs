//! What could not be taken in, and what this version does not know.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};
use shared::activity::{Content, Kept};
use shared::http::auth::Caller;
use shared::http::limit;
use shared::http::params::Params;
use shared::http::problem::Problem;
use shared::id::{AccountId, WorkspaceId};
use shared::rollup::contribution::{account_pk, view};
use shared::store::Quarantined;
use shared::store::keys::Key;

use crate::Analytics;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    limit: Option<String>,
    cursor: Option<String>,
    /// What names no account of ours, instead of what is the workspace's.
    #[serde(default)]
    unrouted: bool,
}

/// `GET /v1/events/quarantined?unrouted=&limit=&cursor=`: what is quarantined and not resolved, latest days first. What names
/// no account of ours is shown to the first workspace, whose key runs the instance.
pub(crate) async fn list(
    State(analytics): State<Arc<Analytics>>,
    Extension(caller): Extension<Caller>,
    Params(which): Params<Which>,
) -> Result<Json<Value>, Problem> {
    let limit = limit(which.limit.as_deref())?;
    let malformed = || Problem::invalid("/cursor", "is not a cursor of this list");
    let after = which.cursor.as_deref().map(|cursor| Key::from_cursor(cursor).ok_or_else(malformed)).transpose()?;
    if which.unrouted && caller.workspace != WorkspaceId::FIRST {
        return Err(Problem::not_found("list"));
    }
    let workspace = Some(caller.workspace).filter(|_| !which.unrouted);
    let page = analytics.core.quarantined(workspace, after.as_ref(), limit).await?;
    let data: Vec<Value> = page.rows.iter().map(shown).collect();
    Ok(Json(json!({"data": data, "next_cursor": page.next.as_ref().map(Key::cursor)})))
}

fn shown(quarantined: &Quarantined) -> Value {
    let Quarantined { account, event, place, .. } = quarantined;
    let (field, reason, raw) = match &event.content {
        Content::MetaQuarantined { field, reason, raw } => (field.as_str(), reason.as_str(), Some(raw)),
        _ => ("", "", None),
    };
    let raw = match raw {
        Some(Kept::Inline(text)) if !text.is_empty() => Some(text),
        _ => None,
    };
    json!({
        "id": event.id,
        "account_id": account,
        "field": field,
        "reason": reason,
        "at": event.at.to_rfc3339(),
        "seen": event.seen.to_rfc3339(),
        "raw": raw,
        "can_be_replayed": place.is_some(),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Of {
    account: AccountId,
}

/// `GET /v1/events/unknown?account=`: for each day and field, how many items were of a kind that this version does not know,
/// and how many were quarantined; latest day first.
pub(crate) async fn unknown(
    State(analytics): State<Arc<Analytics>>,
    Extension(caller): Extension<Caller>,
    Params(Of { account }): Params<Of>,
) -> Result<Json<Value>, Problem> {
    let found = analytics.core.account(caller.workspace, account).await?;
    found.ok_or_else(|| Problem::not_found("account"))?;
    let prefix = format!("{}#", view::UNKNOWN);
    let items = analytics.rollups.items(&account_pk(caller.workspace, account), &prefix).await?;
    // The day, then `unknown` or `quarantined`, then the field.
    let mut days: BTreeMap<String, BTreeMap<String, BTreeMap<String, i64>>> = BTreeMap::new();
    for item in items {
        let Some(date) = item.sk.split('#').nth(1) else { continue };
        let day = days.entry(date.to_owned()).or_default();
        for (name, n) in item.counts {
            if let Some((what, field)) = name.split_once('.') {
                *day.entry(what.to_owned()).or_default().entry(field.to_owned()).or_default() += n;
            }
        }
    }
    let data: Vec<Value> = days
        .into_iter()
        .rev()
        .map(|(date, counts)| {
            let sum = |what: &str| counts.get(what).map_or(0, |fields| fields.values().sum::<i64>());
            let fields = |what: &str| counts.get(what).cloned().unwrap_or_default();
            json!({
                "date": date,
                "unknown": sum("unknown"),
                "quarantined": sum("quarantined"),
                "unknown_by_field": fields("unknown"),
                "quarantined_by_field": fields("quarantined"),
            })
        })
        .collect();
    Ok(Json(json!({"account_id": account, "data": data})))
}
