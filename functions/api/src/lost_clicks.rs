//! Taking in the clicks that `redirect` could not queue and wrote to its log.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
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

/// The most clicks of a request: their lines are 3 MB, and Lambda takes 6 MB with what escaping adds.
const MOST_CLICKS: usize = 2_500;

/// Clicks that are queued at once.
const AT_ONCE: usize = 16;

/// `POST /v1/events/lost-clicks`: lines of the log of `redirect`, of which those that hold clicks are taken in. A click keeps
/// its id, so one that is sent again changes nothing. One that the queue had taken all the same was judged with the address in
/// hand, which the log has not, and is left as it is.
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
    let own_clicks = own.len();
    let taken = AtomicUsize::new(0);
    stream::iter(own.into_iter().map(Ok))
        .try_for_each_concurrent(AT_ONCE, |click| {
            let (api, taken) = (Arc::clone(&api), &taken);
            async move {
                if api.core.event(click.workspace, click.account, click.id).await?.is_none() {
                    let queued = api.events.send(&Inbound::Click(Box::new(click)), Duration::ZERO).await;
                    queued.map_err(|error| Problem::unavailable(&error))?;
                    taken.fetch_add(1, Ordering::Relaxed);
                }
                Ok::<_, Problem>(())
            }
        })
        .await?;
    let taken = taken.into_inner();
    let answer = json!({
        "clicks": taken,
        "known": own_clicks - taken,
        "of_other_workspaces": found - own_clicks,
        "lines": count,
    });
    Ok((StatusCode::ACCEPTED, Json(answer)))
}
