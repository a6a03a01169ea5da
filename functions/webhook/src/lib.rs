//! Takes in Meta's notifications: checks who sent them, stores them durably, and says 200. What they mean is found out
//! later, by `ingest`, so that Meta never waits (its service level: median under 250 ms, under 1 % above 1 s).

use std::time::Duration;

use http::{Method, StatusCode};
use lambda_http::{Body, Request, RequestExt, Response};
use serde_json::value::RawValue;
use shared::aws::Clients;
use shared::blob::Bucket;
use shared::config::{InvalidSettings, Settings};
use shared::meta::signature::{self, AppSecret};
use shared::queue::Queue;
use shared::time::UnixMillis;
use subtle::ConstantTimeEq;

/// Largest body taken. Meta sends at most 3 MB (Meta, webhooks: 1,000 updates or 3 MB a POST).
pub const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

/// How long a start waits for the queue, without which no notification can be taken in.
const LONGEST_WARM_UP: Duration = Duration::from_secs(2);

/// What the function is told by its environment.
pub struct Config {
    app_secrets: Vec<AppSecret>,
    verify_token: String,
    events_queue_url: String,
    bucket: String,
}

impl Config {
    /// Reads `META_APP_SECRET` (a comma-separated list: two hold during a rotation), `META_VERIFY_TOKEN`,
    /// `EVENTS_QUEUE_URL` and `BUCKET`.
    ///
    /// # Errors
    /// With everything that is missing or malformed.
    pub fn read(mut settings: Settings) -> Result<Self, InvalidSettings> {
        let secrets: Option<String> = settings.required("META_APP_SECRET");
        let app_secrets: Vec<AppSecret> = secrets
            .as_deref()
            .unwrap_or_default()
            .split(',')
            .filter_map(|secret| AppSecret::new(secret.trim()).ok())
            .collect();
        if secrets.is_some() && app_secrets.is_empty() {
            settings.mistake("META_APP_SECRET", "holds no secret");
        }
        let verify_token = settings.required("META_VERIFY_TOKEN");
        let events_queue_url = settings.required("EVENTS_QUEUE_URL");
        let bucket = settings.required("BUCKET");
        settings.finish(|| {
            Some(Self {
                app_secrets,
                verify_token: verify_token?,
                events_queue_url: events_queue_url?,
                bucket: bucket?,
            })
        })
    }
}

/// What the handler works with.
pub struct Webhook {
    app_secrets: Vec<AppSecret>,
    verify_token: String,
    events: Queue,
    bucket: Bucket,
}

impl Webhook {
    /// Connects the configuration with the clients.
    #[must_use]
    pub fn new(config: Config, clients: &Clients) -> Self {
        Self {
            app_secrets: config.app_secrets,
            verify_token: config.verify_token,
            events: Queue::new(clients.sqs.clone(), config.events_queue_url),
            bucket: Bucket::new(clients.s3.clone(), config.bucket),
        }
    }

    /// Opens the connection to the queue before the first notification is handled. Changes nothing.
    pub async fn warm_up(&self) {
        shared::aws::warm_up(LONGEST_WARM_UP, self.events.open_connection()).await;
    }
}

/// Answers one request.
pub async fn handle(webhook: &Webhook, request: Request) -> Response<Body> {
    match *request.method() {
        Method::GET => handshake(webhook, &request),
        Method::POST => notification(webhook, request).await,
        _ => answer(StatusCode::METHOD_NOT_ALLOWED, "this address takes GET and POST"),
    }
}

/// Meta checks that the address is ours: the right token gets the bare challenge back.
fn handshake(webhook: &Webhook, request: &Request) -> Response<Body> {
    let query = request.query_string_parameters();
    let token = query.first("hub.verify_token").unwrap_or_default();
    let right: bool = token.as_bytes().ct_eq(webhook.verify_token.as_bytes()).into();
    match query.first("hub.challenge") {
        Some(challenge) if right && query.first("hub.mode") == Some("subscribe") => answer(StatusCode::OK, challenge),
        _ => answer(StatusCode::FORBIDDEN, "the verify token is wrong"),
    }
}

async fn notification(webhook: &Webhook, request: Request) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body: Vec<u8> = match body {
        Body::Text(text) => text.into_bytes(),
        Body::Binary(bytes) => bytes,
        _ => Vec::new(),
    };
    if body.len() > MAX_BODY_BYTES {
        return answer(StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 4 MiB");
    }
    let header = head.headers.get("x-hub-signature-256").map(http::HeaderValue::as_bytes);
    if let Err(error) = signature::verify(&body, header, &webhook.app_secrets) {
        tracing::warn!(%error, bytes = body.len(), "a notification was refused");
        return answer(StatusCode::UNAUTHORIZED, "the signature is missing or wrong");
    }
    let text = match String::from_utf8(body) {
        Ok(text) if serde_json::from_str::<&RawValue>(&text).is_ok() => text,
        _ => return answer(StatusCode::BAD_REQUEST, "the body is not JSON"),
    };
    match webhook.events.send_webhook(&webhook.bucket, text, UnixMillis::now()).await {
        Ok(()) => answer(StatusCode::OK, ""),
        Err(error) => {
            // 5xx makes Meta send it again: nothing is lost.
            tracing::error!(%error, "a notification could not be stored");
            answer(StatusCode::SERVICE_UNAVAILABLE, "the notification could not be stored; send it again")
        }
    }
}

fn answer(status: StatusCode, text: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_missing_settings_are_named_at_once() {
        let error = Config::read(Settings::from_values([("META_APP_SECRET".to_owned(), ",".to_owned())]));
        let names: Vec<_> = error.err().unwrap().mistakes.iter().map(|mistake| mistake.name).collect();
        assert_eq!(names, ["META_APP_SECRET", "META_VERIFY_TOKEN", "EVENTS_QUEUE_URL", "BUCKET"]);
    }
}
