//! One post: the request, and what its answer means.

use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use shared::outbound::{self, Client, NotAllowed, Target};
use shared::subscription::delivery::{Attempt, Delivery, Failure, MAX_RESPONSE_BYTES};
use shared::subscription::signing::SigningSecrets;
use shared::time::UnixMillis;

/// An answer is read to its end up to this length, so that its connection can be used again.
const READ_AT_MOST_BYTES: usize = 64 * 1_024;

/// What became of a post.
#[derive(Debug)]
pub(crate) struct Posted {
    pub(crate) attempt: Attempt,
    /// How long the receiver wants to be left alone.
    pub(crate) asked: Option<Duration>,
    /// The receiver wants nothing any more (410).
    pub(crate) gone: bool,
}

impl Posted {
    pub(crate) const fn arrived(&self) -> bool {
        self.attempt.error.is_none()
    }

    /// A try that made no request.
    pub(crate) const fn not_made(failure: Failure, at: UnixMillis) -> Self {
        let attempt = Attempt { at, duration_ms: 0, status: None, error: Some(failure), response: None };
        Self { attempt, asked: None, gone: false }
    }
}

/// Posts a delivery once.
pub(crate) async fn post(http: &Client, target: &Target, secrets: &SigningSecrets, delivery: &Delivery) -> Posted {
    let (at, begun) = (UnixMillis::now(), Instant::now());
    let id = delivery.id.to_string();
    let request = http
        .post(target)
        .header("webhook-id", &id)
        .header("webhook-timestamp", at.seconds().to_string())
        .header("webhook-signature", secrets.signature(&id, at, delivery.body.as_bytes()))
        .header(CONTENT_TYPE, "application/json")
        .body(delivery.body.clone());
    let mut posted = match request.send().await {
        Ok(response) => answered(response, at).await,
        Err(error) => Posted::not_made(failure(&error), at),
    };
    posted.attempt.duration_ms = u32::try_from(begun.elapsed().as_millis()).unwrap_or(u32::MAX);
    posted
}

async fn answered(mut response: Response, at: UnixMillis) -> Posted {
    let status = response.status();
    let asked = retry_after(response.headers(), at);
    let error = if status.is_success() {
        None
    } else if status.is_redirection() {
        Some(Failure::Redirect)
    } else {
        Some(Failure::Status)
    };
    let text = beginning(&mut response).await;
    let attempt = Attempt { at, duration_ms: 0, status: Some(status.as_u16()), error, response: text };
    Posted { attempt, asked, gone: status == StatusCode::GONE }
}

/// How the answer begins. What its status says holds even if the rest does not come.
async fn beginning(response: &mut Response) -> Option<String> {
    let (mut kept, mut read) = (Vec::new(), 0);
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = MAX_RESPONSE_BYTES.saturating_sub(kept.len());
        kept.extend_from_slice(chunk.get(..room.min(chunk.len())).unwrap_or_default());
        read += chunk.len();
        if read > READ_AT_MOST_BYTES {
            break;
        }
    }
    let text = String::from_utf8_lossy(&kept);
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// RFC 9110: seconds, or a date.
fn retry_after(headers: &HeaderMap, now: UnixMillis) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(UnixMillis(at.timestamp().as_millisecond()).since(now))
}

fn failure(error: &reqwest::Error) -> Failure {
    match outbound::forbidden(error) {
        Some(NotAllowed::Unresolved) => Failure::Connection,
        Some(_) => Failure::AddressNotAllowed,
        None if error.is_timeout() => Failure::Timeout,
        None if error.is_connect() => Failure::Connection,
        None => Failure::Interrupted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_read_in_seconds_or_as_a_date() {
        let wait = |text: &str| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
            retry_after(&headers, UnixMillis(1_790_000_000_000)).map(|wait| wait.as_secs())
        };
        assert_eq!(wait("120"), Some(120));
        assert_eq!(wait("Mon, 21 Sep 2026 14:14:20 GMT"), Some(60));
        assert_eq!(wait("Mon, 21 Sep 2026 14:00:00 GMT"), Some(0), "long ago");
        assert_eq!(wait("soon"), None);
        assert_eq!(retry_after(&HeaderMap::new(), UnixMillis(0)), None);
    }
}
