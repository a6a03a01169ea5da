//! `Idempotency-Key` on every POST: the same key with the same request gets the stored reply, another request 422, one
//! that is still running 409. What a request creates has an id chosen with the key, so that a run after a crash creates
//! nothing twice.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};
use shared::http::auth::Caller;
use shared::http::problem::Problem;
use shared::id::ulid_at;
use shared::store::Idempotency;
use shared::time::UnixMillis;
use ulid::Ulid;

use crate::{Api, MAX_BODY_BYTES};

/// Longest reply that is kept for repeats (DynamoDB: 400 KB an item).
const MAX_KEPT_BYTES: usize = 300 * 1024;

/// The id of whatever the request creates.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NewId(pub(crate) Ulid);

/// Set by a handler on an answer that must not lie in the table, for there is a secret in it: a repeat runs the request again,
/// with the same id, and the handler answers the same.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NotKept;

/// Runs the request once, whatever number of times it is sent.
pub(crate) async fn repeat(State(api): State<Arc<Api>>, mut request: Request, next: Next) -> Result<Response, Problem> {
    let now = UnixMillis::now();
    let Some(key) = request.headers().get("idempotency-key") else {
        request.extensions_mut().insert(NewId(ulid_at(now)));
        return Ok(next.run(request).await);
    };
    let caller = *request.extensions().get::<Caller>().ok_or_else(Problem::unauthorized)?;
    let key_hash = hash(&[key.as_bytes()]);
    let (head, body) = request.into_parts();
    let body = to_bytes(body, MAX_BODY_BYTES).await.map_err(|_| Problem::too_large("a body has at most 10 MiB"))?;
    let content_type = head.headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let same = without_boundary(content_type, &body);
    let query = head.uri.query().unwrap_or_default();
    let request_hash = hash(&[head.method.as_str().as_bytes(), head.uri.path().as_bytes(), query.as_bytes(), &same]);

    let id = match api.core.begin_request(caller.workspace, &key_hash, &request_hash, now).await? {
        Idempotency::Run { id } => id,
        Idempotency::Replied { status, body } => return Ok(replay(status, body)),
        Idempotency::InProgress => {
            return Err(Problem::conflict("a request with this Idempotency-Key is still running", None));
        }
        Idempotency::OtherRequest => {
            return Err(Problem::invalid(
                "/Idempotency-Key",
                "the key was used with another request; use a new key for a new request",
            ));
        }
    };
    let mut request = Request::from_parts(head, Body::from(body));
    request.extensions_mut().insert(NewId(id));
    let response = next.run(request).await;
    keep(&api, caller, &key_hash, response).await
}

/// Keeps the reply, but for a failure on our side: then a repeat shall run the request again.
async fn keep(api: &Api, caller: Caller, key_hash: &str, response: Response) -> Result<Response, Problem> {
    let (head, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.map_err(|error| Problem::internal(&error))?;
    let may_be_kept =
        !head.status.is_server_error() && body.len() <= MAX_KEPT_BYTES && head.extensions.get::<NotKept>().is_none();
    let kept = std::str::from_utf8(&body).ok().filter(|_| may_be_kept);
    let written = match kept {
        Some(text) => api.core.end_request(caller.workspace, key_hash, head.status.as_u16(), text).await,
        None => api.core.abandon_request(caller.workspace, key_hash).await,
    };
    if let Err(error) = written {
        tracing::warn!(%error, "a reply could not be kept for repeats");
    }
    Ok(Response::from_parts(head, Body::from(body)))
}

fn replay(status: u16, body: String) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    let content_type = if status.is_success() { "application/json" } else { "application/problem+json" };
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert("idempotency-replayed", HeaderValue::from_static("true"));
    response
}

/// The body less a form's boundary, which clients choose anew for every request.
fn without_boundary(content_type: &[u8], body: &[u8]) -> Vec<u8> {
    let boundary = std::str::from_utf8(content_type)
        .ok()
        .and_then(|kind| kind.split_once("boundary="))
        .map(|(_, rest)| rest.split(';').next().unwrap_or_default().trim().trim_matches('"'))
        .filter(|boundary| !boundary.is_empty());
    let Some(boundary) = boundary.map(str::as_bytes) else {
        return body.to_vec();
    };
    let mut kept = Vec::with_capacity(body.len());
    let mut at = 0;
    while at < body.len() {
        if body[at..].starts_with(boundary) {
            at += boundary.len();
        } else {
            kept.push(body[at]);
            at += 1;
        }
    }
    kept
}

fn hash(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    hex::encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_sent_again_with_another_boundary_is_the_same_request() {
        let form = |boundary: &str| {
            let body = format!("--{boundary}\r\ncontent\r\n--{boundary}--");
            without_boundary(format!("multipart/form-data; boundary={boundary}").as_bytes(), body.as_bytes())
        };
        assert_eq!(form("abc"), form("xyz1"));
        assert_eq!(without_boundary(b"application/json", b"{}"), b"{}");
    }
}
