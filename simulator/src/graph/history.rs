//! `message_history`: what Meta has accepted from a number and what has become of it. It is how a sender whose answer got
//! lost finds out that its message was accepted after all: by the recipient's digits inside the message ids.
//! Shapes and the range of `limit` are those of Meta's OpenAPI description (v23, `message_history`).

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::book::Book;
use crate::errors;
use crate::graph::error::GraphError;
use crate::graph::fields::{self, Field};
use crate::graph::nodes::APP_ID;
use crate::graph::paging;
use crate::ledger::StatusSeen;
use crate::world::World;

/// Fields of a history node.
const FIELDS: [&str; 3] = ["id", "message_id", "events"];
/// Entries on one page.
const LIMITS: std::ops::RangeInclusive<usize> = 25..=100;
/// First digit of the id of a history node; the message's number follows.
const NODE_PREFIX: char = '9';

/// Query of a history.
#[derive(Debug, Deserialize)]
pub(crate) struct HistoryQuery {
    message_id: Option<String>,
    fields: Option<String>,
    limit: Option<String>,
    after: Option<String>,
}

/// `GET /{phone number id}/message_history`: one message if `message_id` is given, otherwise all, newest first.
pub(crate) async fn read(
    State(world): State<Arc<World>>,
    Path((_version, node)): Path<(String, String)>,
    uri: http::Uri,
    Query(query): Query<HistoryQuery>,
) -> Result<Json<Value>, GraphError> {
    world.number(&node).ok_or_else(|| GraphError::missing_object("get", &node))?;
    let wanted = match &query.fields {
        Some(text) => Some(fields::parse(text, "WhatsAppMessageHistory", &FIELDS)?),
        None => None,
    };
    let limit = paging::limit(query.limit.as_deref(), LIMITS)?;
    let before = query.after.as_deref().map_or(Ok(usize::MAX), paging::read_cursor)?;
    let book = world.book();
    if let Some(wamid) = query.message_id {
        let number = book.by_wamid(&wamid);
        let number = number.filter(|n| book.message(*n).is_some_and(|record| record.phone_number_id == node));
        let Some(entry) = number.and_then(|number| entry(&world, &book, number, wanted.as_deref())) else {
            return Ok(Json(json!({ "data": [] })));
        };
        return Ok(Json(json!({ "data": [entry], "paging": {} })));
    }
    // One more than a page tells whether there is another page.
    let mut numbers = book.newest(&node, before, limit + 1);
    let more = numbers.len() > limit;
    numbers.truncate(limit);
    let data: Vec<Value> =
        numbers.iter().filter_map(|number| entry(&world, &book, *number, wanted.as_deref())).collect();
    Ok(Json(json!({ "data": data, "paging": paging::paging(&numbers, more, world.url_of(&uri)) })))
}

/// `GET /{history id}/events`
pub(crate) async fn events(
    State(world): State<Arc<World>>,
    Path((_version, node)): Path<(String, String)>,
) -> Result<Json<Value>, GraphError> {
    let book = world.book();
    let number = node.strip_prefix(NODE_PREFIX).and_then(|digits| digits.parse().ok());
    let entry = number.and_then(|number| entry(&world, &book, number, None)).filter(|entry| entry["id"] == node);
    let entry = entry.ok_or_else(|| GraphError::missing_object("get", &node))?;
    Ok(Json(json!({ "data": entry["events"]["data"], "paging": {} })))
}

/// A history node. An accepted message without any status yet has an empty list of events.
fn entry(world: &World, book: &Book, number: usize, wanted: Option<&[Field]>) -> Option<Value> {
    let record = book.message(number)?;
    let event = |(n, seen): (usize, &StatusSeen)| {
        let mut event = json!({
            "id": format!("{number}{n:02}"),
            "delivery_status": seen.status.to_uppercase(),
            "timestamp": seen.timestamp,
            "webhook_update_state": if seen.acknowledged { "SUCCESS" } else { "PENDING" },
            "application": { "id": APP_ID },
            "webhook_uri": world.config.webhook_url.as_str(),
        });
        if let ("failed", Some(code)) = (seen.status.as_str(), record.plan.truth.failed) {
            event["error_description"] = json!(errors::catalogue(code).details);
        }
        event
    };
    let events: Vec<Value> = book.history(number).iter().enumerate().map(event).collect();
    let id = format!("{NODE_PREFIX}{number:012}");
    let entry = json!({ "id": id, "message_id": record.wamid, "events": { "data": events } });
    Some(wanted.map_or_else(|| entry.clone(), |wanted| fields::choose(&entry, wanted)))
}
