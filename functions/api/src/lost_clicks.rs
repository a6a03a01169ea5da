//! Taking in the clicks that `redirect` could not queue and wrote to its log.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use futures::stream::{self, TryStreamExt as _};
use serde_json::{Value, json};
use shared::activity::Click;
use shared::http::auth::Caller;
use shared::http::problem::Problem;
use shared::id::EventId;
use shared::link::lost;
use shared::queue::Inbound;

use crate::Api;

/// The most clicks of a request: queueing them takes a few seconds, and API Gateway waits 30.
const MOST_CLICKS: usize = 5_000;

/// Clicks that are queued at once.
const AT_ONCE: usize = 16;

/// `POST /v1/events/lost-clicks`: lines of the log of `redirect`, of which those that hold clicks are taken in. A click keeps
/// its id, so one that was counted already, or that is sent again, changes nothing.
pub(crate) async fn take_in(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    lines: String,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let count = lines.lines().filter(|line| !line.trim().is_empty()).count();
    let clicks: HashMap<EventId, Click> = lines.lines().filter_map(lost::read).map(|click| (click.id, click)).collect();
    let (found, all) = (clicks.len(), clicks.into_values());
    let own: Vec<Click> = all.filter(|click| click.workspace == caller.workspace).collect();
    if own.len() > MOST_CLICKS {
        return Err(Problem::too_large(format!("a request takes {MOST_CLICKS} clicks: send the lines in parts")));
    }
    let clicks = own.len();
    stream::iter(own.into_iter().map(Ok))
        .try_for_each_concurrent(AT_ONCE, |click| {
            let api = Arc::clone(&api);
            async move { api.events.send(&Inbound::Click(Box::new(click)), Duration::ZERO).await }
        })
        .await
        .map_err(|error| Problem::unavailable(&error))?;
    let answer = json!({"clicks": clicks, "of_other_workspaces": found - clicks, "lines": count});
    Ok((StatusCode::ACCEPTED, Json(answer)))
}
