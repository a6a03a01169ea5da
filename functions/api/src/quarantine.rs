//! Trying again what was quarantined, after whatever was wrong has been mended.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};
use shared::archive::Place;
use shared::http::auth::Caller;
use shared::http::body;
use shared::http::problem::Problem;
use shared::id::{EventId, WorkspaceId};
use shared::queue::{Again, Inbound};
use shared::store::keys::Key;
use shared::time::UnixMillis;

use crate::Api;

/// Rows of the list that are read at a time.
const PAGE: usize = 100;

/// The most messages that one request asks for again; `more` tells that there are further ones.
const MOST_MESSAGES: usize = 500;

/// Rows that one queue message names; it has room for some thousand.
const ROWS_OF_A_MESSAGE: usize = 1_000;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// Which events; all when absent.
    #[serde(default)]
    ids: Option<BTreeSet<EventId>>,
    /// What names no account of ours, instead of what is the workspace's.
    #[serde(default)]
    unrouted: bool,
}

/// `POST /v1/events/quarantined/replay {ids?, unrouted?}`: asks `ingest` to take the messages in again that brought what is
/// quarantined. What is taken in then is resolved; what is not stays.
pub(crate) async fn replay(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    payload: Bytes,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let Wanted { ids, unrouted } = if payload.is_empty() { Wanted::default() } else { body::read(&payload)? };
    if unrouted && caller.workspace != WorkspaceId::FIRST {
        return Err(Problem::not_found("list"));
    }
    let workspace = Some(caller.workspace).filter(|_| !unrouted);
    let mut messages: BTreeMap<Place, Vec<Key>> = BTreeMap::new();
    let (mut events, mut not_in_the_archive) = (0, 0);
    let mut after: Option<Key> = None;
    let more = loop {
        let page = api.core.quarantined(workspace, after.as_ref(), PAGE).await?;
        for quarantined in page.rows {
            if ids.as_ref().is_some_and(|ids| !ids.contains(&quarantined.event.id)) {
                continue;
            }
            let Some(place) = quarantined.place else {
                not_in_the_archive += 1;
                continue;
            };
            events += 1;
            messages.entry(place).or_default().push(quarantined.row);
        }
        after = page.next;
        if after.is_none() || messages.len() >= MOST_MESSAGES {
            break after.is_some();
        }
    };
    let asked_at = UnixMillis::now();
    let count = messages.len();
    for (place, rows) in messages {
        for rows in rows.chunks(ROWS_OF_A_MESSAGE) {
            let again = Again { asked_at, place: place.clone(), quarantined: rows.to_vec() };
            let queued = api.events.send(&Inbound::Again(again), Duration::ZERO).await;
            queued.map_err(|error| Problem::unavailable(&error))?;
        }
    }
    let answer = json!({"events": events, "messages": count, "not_in_the_archive": not_in_the_archive, "more": more});
    Ok((StatusCode::ACCEPTED, Json(answer)))
}
