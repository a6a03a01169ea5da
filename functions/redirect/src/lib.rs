//! Follows a tracked link: the code is decoded, not looked up; the destination comes from a small cache of links; the click
//! is one queue message. It fails open: a person gets to the destination even when the click cannot be queued in time.

mod cache;
mod destination;
mod page;

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use lambda_http::request::RequestContext;
use lambda_http::{Body, Request, RequestExt, Response};
use shared::activity::Click;
use shared::aws::Clients;
use shared::config::{InvalidSettings, Settings};
use shared::http::viewer::Viewer;
use shared::id::EventId;
use shared::link::click_id::ClickId;
use shared::link::code::{Code, KeyRing, RecipientSeq};
use shared::link::{Link, ShortLinks, position};
use shared::queue::{Inbound, Queue};
use shared::store::{Core, StoreError};
use shared::time::UnixMillis;

use crate::cache::LinkCache;

/// How long the click may take to be queued before the person goes on without it.
const QUEUE_PATIENCE: Duration = Duration::from_millis(500);

/// What the function is told by its environment.
pub struct Config {
    core_table: String,
    events_queue_url: String,
    link_keys: KeyRing,
    edge_secret: Option<String>,
}

impl Config {
    /// Reads `CORE_TABLE`, `EVENTS_QUEUE_URL`, `LINK_KEYS` and, optionally, `EDGE_SECRET`: what our own CloudFront
    /// distribution sends as `x-edge-secret`, so that its viewer headers can be believed.
    ///
    /// # Errors
    /// With everything that is missing or malformed.
    pub fn read(mut settings: Settings) -> Result<Self, InvalidSettings> {
        let core_table = settings.required("CORE_TABLE");
        let events_queue_url = settings.required("EVENTS_QUEUE_URL");
        let link_keys = settings.required("LINK_KEYS");
        let edge_secret = settings.optional("EDGE_SECRET");
        settings.finish(|| {
            Some(Self {
                core_table: core_table?,
                events_queue_url: events_queue_url?,
                link_keys: link_keys?,
                edge_secret,
            })
        })
    }
}

/// What the handler works with.
pub struct Redirect {
    core: Core,
    events: Queue,
    links: ShortLinks,
    cache: LinkCache,
    edge_secret: Option<String>,
}

impl Redirect {
    /// Connects the configuration with the clients.
    #[must_use]
    pub fn new(config: Config, clients: &Clients) -> Self {
        Self {
            core: Core::new(clients.dynamodb.clone(), config.core_table),
            events: Queue::new(clients.sqs.clone(), config.events_queue_url),
            links: ShortLinks::new("", config.link_keys),
            cache: LinkCache::default(),
            edge_secret: config.edge_secret,
        }
    }
}

/// What a code leads to.
enum Found {
    Link(Arc<Link>, RecipientSeq),
    Expired,
    Nothing,
}

/// Answers one request.
pub async fn handle(redirect: &Redirect, request: Request) -> Response<Body> {
    let now = UnixMillis::now();
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return page::answer(StatusCode::METHOD_NOT_ALLOWED);
    }
    let last = request.uri().path().rsplit('/').next().unwrap_or_default();
    let Ok(code) = Code::parse(last) else {
        return page::answer(StatusCode::NOT_FOUND);
    };
    match look_up(redirect, &code, now).await {
        Ok(Found::Link(link, seq)) => {
            let click = click(redirect, &request, &link, seq, now);
            let click_id = link.append_click_id.then_some(ClickId { code, click: click.id });
            let query = request.uri().query().unwrap_or_default();
            let Some(location) = destination::of_click(&link.url, query, click_id) else {
                return page::answer(StatusCode::NOT_FOUND);
            };
            queue_click(redirect, click).await;
            found(&location)
        }
        Ok(Found::Expired) => page::answer(StatusCode::GONE),
        Ok(Found::Nothing) => page::answer(StatusCode::NOT_FOUND),
        Err(error) => {
            tracing::error!(%error, "a link could not be looked up");
            page::answer(StatusCode::SERVICE_UNAVAILABLE)
        }
    }
}

async fn look_up(redirect: &Redirect, code: &Code, now: UnixMillis) -> Result<Found, StoreError> {
    for reading in redirect.links.readings(code) {
        let Some(link) = redirect.cache.get(&redirect.core, reading.link).await? else {
            continue;
        };
        let genuine = link.kid == reading.kid && reading.seq.get() <= link.recipients && link.revoked_at.is_none();
        if !genuine {
            continue;
        }
        return Ok(match link.expires_at {
            Some(expiry) if expiry <= now => Found::Expired,
            _ => Found::Link(link, reading.seq),
        });
    }
    Ok(Found::Nothing)
}

fn click(redirect: &Redirect, request: &Request, link: &Link, seq: RecipientSeq, now: UnixMillis) -> Click {
    let headers = request.headers();
    let Viewer { ip, country, user_agent } = Viewer::of(headers, source_ip(request), redirect.edge_secret.as_deref());
    let shards = u32::from(link.shards.max(1));
    Click {
        id: EventId::new(now),
        link: link.id,
        workspace: link.workspace,
        account: link.account,
        campaign: link.campaign,
        recipient: position(seq).map(|seq| {
            let shard = u8::try_from(seq.0 % shards).unwrap_or(0);
            (shared::attempt::Shard(shard), seq)
        }),
        at: now,
        method: request.method().as_str().to_owned(),
        user_agent,
        ip,
        country,
        prefetch: is_prefetch(headers),
        visitor: None,
    }
}

fn source_ip(request: &Request) -> Option<String> {
    match request.request_context_ref()? {
        RequestContext::ApiGatewayV2(context) => context.http.source_ip.clone(),
        _ => None,
    }
}

/// Browsers say so when they fetch a page that nobody has asked for yet.
fn is_prefetch(headers: &HeaderMap) -> bool {
    ["sec-purpose", "purpose", "x-purpose", "x-moz"].into_iter().any(|name| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.contains("prefetch") || value.contains("preview") || value.contains("prerender"))
    })
}

/// Queues the click, or logs it for recovery: the person goes on either way. The log holds ids only.
async fn queue_click(redirect: &Redirect, click: Click) {
    let (id, campaign, link, recipient) = (click.id, click.campaign, click.link.get(), click.recipient);
    let message = Inbound::Click(Box::new(click));
    let queued = tokio::time::timeout(QUEUE_PATIENCE, redirect.events.send(&message, Duration::ZERO)).await;
    if !matches!(queued, Ok(Ok(()))) {
        let seq = recipient.map(|(_, seq)| seq.0);
        tracing::error!(click = %id, %campaign, link, seq, "a click could not be queued");
    }
}

fn found(location: &str) -> Response<Body> {
    let Ok(location) = HeaderValue::from_str(location) else {
        return page::answer(StatusCode::NOT_FOUND);
    };
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::FOUND;
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, location);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer-when-downgrade"));
    headers.insert("x-robots-tag", HeaderValue::from_static("noindex"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefetch_is_told_by_its_headers() {
        let headers = |name: &'static str, value: &'static str| {
            HeaderMap::from_iter([(header::HeaderName::from_static(name), HeaderValue::from_static(value))])
        };
        assert!(is_prefetch(&headers("sec-purpose", "prefetch;prerender")));
        assert!(is_prefetch(&headers("x-purpose", "preview")));
        assert!(!is_prefetch(&headers("sec-fetch-mode", "navigate")));
    }
}
