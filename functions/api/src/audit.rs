//! Every request that changes something is in the audit log: written down before it runs, so that nothing is done
//! unnoticed, and its answer after.

use std::sync::Arc;

use axum::extract::{MatchedPath, RawPathParams, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use shared::audit::{Entry, is_an_id};
use shared::http::auth::Caller;
use shared::http::problem::Problem;
use shared::id::AuditId;
use shared::time::UnixMillis;

use crate::Api;

/// Reads that show all that is held about a person are in the log as well.
const SHOWS_A_PERSON: &str = "/v1/contacts/{id}/export";

/// Writes the request down, runs it, and adds the answer.
pub(crate) async fn log(
    State(api): State<Arc<Api>>,
    params: RawPathParams,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned()).unwrap_or_default();
    let only_reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if only_reads && route != SHOWS_A_PERSON {
        return Ok(next.run(request).await);
    }
    let caller = *request.extensions().get::<Caller>().ok_or_else(Problem::unauthorized)?;
    let ids = params.iter().filter(|(_, value)| is_an_id(value));
    let entry = Entry {
        v: 1,
        id: AuditId::new(UnixMillis::now()),
        // There is one key, the administrator's.
        actor: "admin".to_owned(),
        method: request.method().to_string(),
        route,
        targets: ids.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        status: None,
        answered_at: None,
    };
    api.core.begin_audit(caller.workspace, &entry).await?;
    let response = next.run(request).await;
    let status = response.status().as_u16();
    if let Err(error) = api.core.end_audit(caller.workspace, entry.id, status, UnixMillis::now()).await {
        // What was done is in the log all the same; how it was answered is not.
        tracing::warn!(entry = %entry.id, %error, "the answer to a request could not be added to the audit log");
    }
    Ok(response)
}
