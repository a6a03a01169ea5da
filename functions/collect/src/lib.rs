//! Takes in what web pages report, and serves the script with which they do it. Anybody can call it: the key that a page
//! presents is written in the page, says whose the events are and opens nothing else. What is answered with 202 is durable;
//! what it means is found out later, by `ingest`.

mod keys;
mod parse;
mod script;

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{Extensions, HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use lambda_http::RequestExt;
use lambda_http::request::RequestContext;
use serde::Serialize;
use shared::aws::Clients;
use shared::blob::Bucket;
use shared::collected::{Collected, WriteKey};
use shared::config::{InvalidSettings, Settings};
use shared::http::problem::Problem;
use shared::http::viewer::Viewer;
use shared::id::ulid_at;
use shared::queue::{Inbound, Queue};
use shared::store::Core;
use shared::time::UnixMillis;

use crate::keys::{Keys, Known};
pub use crate::parse::{Given, MAX_BODY_BYTES, MAX_EVENTS, Refusal, Remark, Report, parse};

/// What the function is told by its environment.
pub struct Config {
    core_table: String,
    events_queue_url: String,
    bucket: String,
    edge_secret: Option<String>,
}

impl Config {
    /// Reads `CORE_TABLE`, `EVENTS_QUEUE_URL`, `BUCKET` and, optionally, `EDGE_SECRET`: what our own CloudFront distribution
    /// sends as `x-edge-secret`, so that its viewer headers can be believed.
    ///
    /// # Errors
    /// With everything that is missing or malformed.
    pub fn read(mut settings: Settings) -> Result<Self, InvalidSettings> {
        let core_table = settings.required("CORE_TABLE");
        let events_queue_url = settings.required("EVENTS_QUEUE_URL");
        let bucket = settings.required("BUCKET");
        let edge_secret = settings.optional("EDGE_SECRET");
        settings.finish(|| {
            Some(Self { core_table: core_table?, events_queue_url: events_queue_url?, bucket: bucket?, edge_secret })
        })
    }
}

/// What the handlers work with.
pub struct Collect {
    core: Core,
    events: Queue,
    bucket: Bucket,
    keys: Keys,
    edge_secret: Option<String>,
}

impl Collect {
    /// Connects the configuration with the clients.
    #[must_use]
    pub fn new(config: Config, clients: &Clients) -> Self {
        Self {
            core: Core::new(clients.dynamodb.clone(), config.core_table),
            events: Queue::new(clients.sqs.clone(), config.events_queue_url),
            bucket: Bucket::new(clients.s3.clone(), config.bucket),
            keys: Keys::default(),
            edge_secret: config.edge_secret,
        }
    }
}

/// The routes of web pages.
pub fn router(collect: Collect) -> Router {
    Router::new()
        .route("/collect", post(take_in).options(preflight).layer(middleware::map_response(for_any_page)))
        .route("/tt.js", get(script::serve))
        .fallback(async || Problem::not_found("path"))
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        // One byte more than is taken, so that what is too large is told so by us.
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES + 1))
        .with_state(Arc::new(collect))
}

/// Pages of any origin may read the answer: it says nothing but what became of their events. Which origins a key is taken
/// from is checked by [`WriteKey::takes`].
async fn for_any_page(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// `OPTIONS /collect`: a page that sends JSON as such asks first. Our script does not, for it sends text.
async fn preflight() -> impl IntoResponse {
    let headers = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "POST"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "content-type"),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
    ];
    (StatusCode::NO_CONTENT, headers)
}

/// What became of a request's events.
#[derive(Serialize)]
struct Answer {
    accepted: usize,
    rejected: Vec<Remark>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Remark>,
}

/// `POST /collect`.
async fn take_in(
    State(collect): State<Arc<Collect>>,
    headers: HeaderMap,
    extensions: Extensions,
    body: Bytes,
) -> Result<(StatusCode, Json<Answer>), Problem> {
    let report = parse(&body).map_err(|refusal| match refusal {
        Refusal::TooLarge => Problem::too_large(refusal.to_string()),
        Refusal::Malformed(_) => Problem::malformed(refusal.to_string()),
        Refusal::TooMany => Problem::invalid("/events", refusal.to_string()),
    })?;
    let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
    let key = key(&collect, &report.write_key, origin).await?;
    let now = UnixMillis::now();
    let answer = Answer { accepted: report.events.len(), rejected: report.rejected, warnings: report.warnings };
    if !report.events.is_empty() {
        let viewer = Viewer::of(&headers, source_ip(&extensions), collect.edge_secret.as_deref());
        let collected = Collected {
            id: ulid_at(now),
            received_at: now,
            key: key.id,
            workspace: key.workspace,
            account: key.account,
            user_agent: viewer.user_agent,
            ip: viewer.ip,
            country: viewer.country,
            visitor: None,
            events: report.events.into_iter().map(|event| Some(event.taken_at(now))).collect(),
        };
        let message = Inbound::Collected(Box::new(collected));
        // Anything but a 2xx makes the page send them again, with the same ids.
        collect.events.send_inbound(&collect.bucket, &message, now).await?;
    }
    Ok((StatusCode::ACCEPTED, Json(answer)))
}

async fn key(collect: &Collect, given: &str, origin: Option<&str>) -> Result<Arc<WriteKey>, Problem> {
    let unknown = || Problem::unknown_key("write_key: there is no such key; make one with POST /v1/write-keys");
    let id = given.parse().map_err(|_| unknown())?;
    match collect.keys.get(&collect.core, id).await? {
        Known::Unknown => Err(unknown()),
        Known::Busy => Err(Problem::too_many(
            "too many keys that do not exist were presented; try again",
            "write_keys",
            Some(std::time::Duration::from_secs(30)),
        )),
        Known::Key(key) if key.revoked_at.is_some() => Err(Problem::forbidden("write_key: the key was revoked")),
        Known::Key(key) if !key.takes(origin) => {
            Err(Problem::forbidden("write_key: the key is not taken from pages of this origin"))
        }
        Known::Key(key) => Ok(key),
    }
}

fn source_ip(extensions: &Extensions) -> Option<String> {
    match extensions.request_context_ref()? {
        RequestContext::ApiGatewayV2(context) => context.http.source_ip.clone(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_missing_settings_are_named_at_once() {
        let error = Config::read(Settings::from_values([])).err().unwrap();
        let names: Vec<_> = error.mistakes.iter().map(|mistake| mistake.name).collect();
        assert_eq!(names, ["CORE_TABLE", "EVENTS_QUEUE_URL", "BUCKET"]);
    }
}
