//! Everything that is held about a person, as one JSON document. Finding it is a job of `dispatch`, which has the rights to
//! look through the table and the bucket; here it is asked for, waited for and given out. The audit log has every request.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Path, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::{Value, json};
use shared::blob::key;
use shared::export::Export;
use shared::http::auth::Caller;
use shared::http::problem::Problem;
use shared::id::{ContactId, ExportId};
use shared::queue::DispatchCommand;
use shared::time::UnixMillis;

use crate::Api;

/// How long a request waits for the document: an HTTP API waits 30 s, and this function works 29.
const WAITS_FOR: Duration = Duration::from_secs(20);

/// From one look to the next.
const LOOKS_EVERY: Duration = Duration::from_millis(250);

/// The largest document that is the answer itself. Lambda answers with 6 MB, in which the document is a JSON text again:
/// escaping makes at most six bytes of one.
const MAX_ANSWER_BYTES: u64 = 1_000_000;

/// How long a large document can be fetched. On Lambda also no longer than the function's own credentials, some hours.
const VALID_FOR: Duration = Duration::from_secs(3_600);

/// When to ask again for what is not complete, in seconds.
const ASK_AGAIN_S: u64 = 5;

/// `GET /v1/contacts/{id}/export`: 200 with the document; 200 with `{url, expires_at, bytes}` when it is too large for an answer;
/// 202 while it is being made, and the next request goes on waiting.
pub(crate) async fn show(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(contact): Path<String>,
) -> Result<Response, Problem> {
    let missing = || Problem::not_found("contact");
    let contact: ContactId = contact.parse().map_err(|_| missing())?;
    let (workspace, now) = (caller.workspace, UnixMillis::now());
    let person = api.core.person_of(workspace, contact).await?.ok_or_else(missing)?;
    let fresh = Export::new(ExportId::new(now), workspace, contact, person, now);
    let mut export = api.core.begin_export(&fresh, now).await?;
    if export.completed_at.is_none() {
        let command = DispatchCommand::Export { workspace, contact };
        api.core.open_job(&command, now).await?;
        if let Err(error) = api.dispatch.send(&command, Duration::ZERO).await {
            tracing::warn!(%error, "an export waits for the watchdog");
        }
    }
    let begun = Instant::now();
    while export.completed_at.is_none() {
        if begun.elapsed() > WAITS_FOR {
            return Ok(not_yet(&export));
        }
        tokio::time::sleep(LOOKS_EVERY).await;
        // Gone when the person was erased meanwhile.
        export = api.core.export(workspace, contact).await?.ok_or_else(missing)?;
    }
    // Noted first: should the document not be there any more, the next request makes another one.
    api.core.give_export(workspace, contact, export.id, UnixMillis::now()).await?;
    given(&api, &export).await
}

async fn given(api: &Api, export: &Export) -> Result<Response, Problem> {
    let key = key::export(export.workspace, export.id);
    let bytes = export.bytes.unwrap_or(u64::MAX);
    let mut answer = if bytes <= MAX_ANSWER_BYTES {
        let body = api.bucket.get(&key).await?;
        ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
    } else {
        let expires_at = UnixMillis::now().plus(VALID_FOR);
        let url = api.bucket.download_url(&key, VALID_FOR).await?;
        Json(json!({"url": url, "expires_at": expires_at.to_rfc3339(), "bytes": bytes})).into_response()
    };
    answer.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(answer)
}

fn not_yet(export: &Export) -> Response {
    let body: Value = json!({"id": export.id, "status": "running", "asked_at": export.asked_at.to_rfc3339()});
    let mut answer = (StatusCode::ACCEPTED, Json(body)).into_response();
    answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(ASK_AGAIN_S));
    answer
}
