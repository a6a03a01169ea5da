//! The audit log, newest first.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};
use shared::audit::Entry;
use shared::http::auth::Caller;
use shared::http::limit;
use shared::http::params::Params;
use shared::http::problem::Problem;
use shared::id::AuditId;
use shared::store::keys;
use shared::time::UnixMillis;

use crate::Analytics;

/// How far back a list goes that does not say since when.
const LOOKS_BACK: Duration = Duration::from_secs(30 * 86_400);

/// The longest span of one list: a query a day.
const LONGEST: Duration = Duration::from_secs(400 * 86_400);

/// What a list is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    #[serde(default, with = "shared::time::rfc3339::option")]
    since: Option<UnixMillis>,
    limit: Option<String>,
    cursor: Option<String>,
}

/// `GET /v1/audit?since=&limit=&cursor=`.
pub(crate) async fn list(
    State(analytics): State<Arc<Analytics>>,
    Extension(caller): Extension<Caller>,
    Params(asked): Params<Asked>,
) -> Result<Json<Value>, Problem> {
    let most = limit(asked.limit.as_deref())?;
    let before: Option<AuditId> = match asked.cursor.as_deref() {
        Some(cursor) => Some(cursor.parse().map_err(|_| Problem::invalid("/cursor", "is no cursor of this list"))?),
        None => None,
    };
    let newest = before.map_or_else(UnixMillis::now, |id| keys::time_of(id.ulid()));
    let since = asked.since.unwrap_or_else(|| back(newest, LOOKS_BACK));
    if newest.since(since) > LONGEST {
        return Err(Problem::invalid("/since", "a list goes back 400 days at most; go on from its cursor"));
    }
    let mut entries: Vec<Entry> = Vec::new();
    let mut day = newest;
    while entries.len() <= most && day.date() >= since.date() {
        let before = before.filter(|id| keys::time_of(id.ulid()).date() == day.date());
        let wanted = most + 1 - entries.len();
        entries.extend(analytics.core.audit_of_day(caller.workspace, &day.date(), before, wanted).await?);
        day = back(day, Duration::from_secs(86_400));
    }
    entries.retain(|entry| keys::time_of(entry.id.ulid()) >= since);
    let more = entries.len() > most;
    entries.truncate(most);
    let next = entries.last().filter(|_| more).map(|entry| entry.id.to_string());
    let data: Vec<Value> = entries.iter().map(shown).collect();
    Ok(Json(json!({"data": data, "next_cursor": next})))
}

fn back(at: UnixMillis, by: Duration) -> UnixMillis {
    UnixMillis(at.0.saturating_sub(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
}

fn shown(entry: &Entry) -> Value {
    json!({
        "id": entry.id,
        "at": keys::time_of(entry.id.ulid()).to_rfc3339(),
        "actor": entry.actor,
        "method": entry.method,
        "route": entry.route,
        "targets": entry.targets,
        "status": entry.status,
        "answered_at": entry.answered_at.map(UnixMillis::to_rfc3339),
    })
}
