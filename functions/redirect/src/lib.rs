//! Follows a tracked link: the code is decoded, not looked up; the destination comes from a small cache of links; the click
//! is one queue message. It fails open: a person gets to the destination even when the click cannot be queued in time.

mod cache;
mod click;
mod destination;
mod look_up;
mod page;
mod password;
mod platform;
mod site;

use std::time::Duration;

use http::{HeaderValue, Method, StatusCode, header};
use lambda_http::{Body, Request, Response};
use shared::activity::Click;
use shared::config::{InvalidSettings, Settings};
use shared::link::click_id::ClickId;
use shared::link::code::{Code, KeyRing, LinkId, RecipientSeq};
use shared::link::domain::{DomainName, LinkDomain};
use shared::link::{Link, ShortLinks};
use shared::queue::Queue;
use shared::store::{Core, StoreError};
use shared::time::UnixMillis;
use url::Url;

use crate::cache::Cache;
use crate::look_up::{AliasKey, Found, follow};
use crate::page::Page;
use crate::password::{Tries, Verdict};

/// Rows kept at most; what is rarely followed then costs a read.
const MOST_LINKS: usize = 10_000;
const MOST_ALIASES: usize = 10_000;
const MOST_DOMAINS: usize = 1_000;

/// A link that need not exist: what is read at the start is of no interest.
const NOBODYS_LINK: LinkId = LinkId::MAX;

/// How long a click may take to be queued before the person goes on without it, unless a setting says otherwise.
const DEFAULT_PATIENCE_MS: u64 = 250;

/// What the function is told by its environment.
pub struct Config {
    core_table: String,
    events_queue_url: String,
    link_keys: KeyRing,
    link_base_url: Option<Url>,
    edge_secret: Option<String>,
    patience: Duration,
}

impl Config {
    /// Reads `CORE_TABLE`, `EVENTS_QUEUE_URL`, `LINK_KEYS` and, optionally, `LINK_BASE_URL`: on its host, and no other that is
    /// not a workspace's, are the deployment's own links (without it, on any), and `EDGE_SECRET`: what our own CloudFront
    /// distribution sends as `x-edge-secret`, so that its viewer headers can be believed. `CLICK_PATIENCE_MS` (250) is how long
    /// a click may take to be queued before the person goes on without it.
    ///
    /// # Errors
    /// With everything that is missing or malformed.
    pub fn read(mut settings: Settings) -> Result<Self, InvalidSettings> {
        let core_table = settings.required("CORE_TABLE");
        let events_queue_url = settings.required("EVENTS_QUEUE_URL");
        let link_keys = settings.required("LINK_KEYS");
        let link_base_url = settings.optional("LINK_BASE_URL");
        let edge_secret = settings.optional("EDGE_SECRET");
        let patience_ms = settings.or("CLICK_PATIENCE_MS", DEFAULT_PATIENCE_MS);
        settings.finish(|| {
            Some(Self {
                core_table: core_table?,
                events_queue_url: events_queue_url?,
                link_keys: link_keys?,
                link_base_url,
                edge_secret,
                patience: Duration::from_millis(patience_ms),
            })
        })
    }
}

/// What the handler works with.
pub struct Redirect {
    core: Core,
    events: Queue,
    links: ShortLinks,
    default_host: Option<String>,
    edge_secret: Option<String>,
    patience: Duration,
    rows: Cache<LinkId, Link>,
    aliases: Cache<AliasKey, LinkId>,
    domains: Cache<DomainName, LinkDomain>,
    tries: Tries,
}

impl Redirect {
    /// Connects the configuration with the clients.
    #[must_use]
    pub fn new(config: Config, dynamodb: aws_sdk_dynamodb::Client, sqs: aws_sdk_sqs::Client) -> Self {
        Self {
            core: Core::new(dynamodb, config.core_table),
            events: Queue::new(sqs, config.events_queue_url),
            links: ShortLinks::new("", config.link_keys),
            default_host: config.link_base_url.as_ref().and_then(Url::host_str).map(str::to_owned),
            edge_secret: config.edge_secret,
            patience: config.patience,
            rows: Cache::of(MOST_LINKS),
            aliases: Cache::of(MOST_ALIASES),
            domains: Cache::of(MOST_DOMAINS),
            tries: Tries::default(),
        }
    }

    /// Opens the connections to the table and the queue before the first click is handled, if they can be opened in the time
    /// that a click may take to be queued. Changes nothing.
    pub async fn warm_up(&self) {
        let calls = async { tokio::join!(self.core.link(NOBODYS_LINK), self.events.open_connection()) };
        shared::aws::warm_up(self.patience, calls).await;
    }
}

/// Answers one request.
pub async fn handle(redirect: &Redirect, request: Request) -> Response<Body> {
    let mut response = answer(redirect, &request).await.unwrap_or_else(|error| {
        tracing::error!(%error, "a link could not be looked up");
        Page::Unavailable.answer()
    });
    if request.method() == Method::HEAD {
        *response.body_mut() = Body::Empty;
    }
    response
}

async fn answer(redirect: &Redirect, request: &Request) -> Result<Response<Body>, StoreError> {
    let now = UnixMillis::now();
    if !matches!(*request.method(), Method::GET | Method::HEAD | Method::POST) {
        return Ok(Page::MethodNotAllowed.answer());
    }
    let end = request.uri().path().rsplit('/').next().unwrap_or_default();
    let Some(site) = site::of(redirect, request).await? else {
        return Ok(Page::NotFound.answer());
    };
    let (link, seq) = match follow(redirect, &site, end, now).await? {
        Found::Link(link, seq) => (link, seq),
        Found::Expired => return Ok(Page::Expired.answer()),
        Found::Nothing => return Ok(Page::NotFound.answer()),
    };
    let status = match (&link.password, request.method()) {
        (None, &Method::POST) => return Ok(Page::MethodNotAllowed.answer()),
        (None, _) => StatusCode::FOUND,
        (Some(hash), &Method::POST) => match redirect.tries.judge(link.id, hash, request.body()).await {
            // What was posted is not posted on.
            Verdict::Right => StatusCode::SEE_OTHER,
            Verdict::Wrong => return Ok(Page::WrongPassword.answer()),
            Verdict::TooMany(seconds) => return Ok(Page::TooManyPasswords(seconds).answer()),
        },
        (Some(_), _) => return Ok(Page::Password.answer()),
    };
    Ok(send_on(redirect, request, &link, seq, now, status, end).await)
}

/// Queues the click and leads to the destination.
async fn send_on(
    redirect: &Redirect,
    request: &Request,
    link: &Link,
    seq: RecipientSeq,
    now: UnixMillis,
    status: StatusCode,
    end: &str,
) -> Response<Body> {
    let click = click::of(redirect, request, link, seq, now);
    let stored = target(link, &click).unwrap_or(&link.url);
    let click_id = link.append_click_id.then(|| code_of(redirect, link, end)).flatten();
    let click_id = click_id.map(|code| ClickId { code, click: click.id });
    let query = request.uri().query().unwrap_or_default();
    let Some(location) = destination::of_click(stored, query, &link.utm, click_id) else {
        return Page::NotFound.answer();
    };
    let nobody_asked = click.prefetch;
    click::queue(redirect, click).await;
    if nobody_asked { wait_for_the_person() } else { lead(status, &location) }
}

/// The answer to a browser that fetches before anybody has tapped. With the destination in hand it would lead there by itself
/// at the tap, which we would never hear of; an error it throws away, and asks again (seen in Chromium 156, for prefetches
/// and prerenders). It is one of those that CloudFront does not keep when told so; a 503 it would answer the tap with
/// (Amazon CloudFront, "Control how long CloudFront caches errors").
fn wait_for_the_person() -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::NOT_IMPLEMENTED;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The destination for the visitor's system, if the link has one for it. Most links have none, and then nobody asks what the
/// system is.
fn target<'a>(link: &'a Link, click: &Click) -> Option<&'a str> {
    if link.targets.is_empty() {
        return None;
    }
    link.targets.of(platform::of(click.user_agent.as_deref(), click.hints_platform.as_deref()))
}

/// The code that was followed; behind an alias stands the link's shared one.
fn code_of(redirect: &Redirect, link: &Link, end: &str) -> Option<Code> {
    Code::parse(end).ok().or_else(|| redirect.links.shared_code(link))
}

fn lead(status: StatusCode, location: &str) -> Response<Body> {
    let Ok(location) = HeaderValue::from_str(location) else {
        return Page::NotFound.answer();
    };
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, location);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer-when-downgrade"));
    headers.insert("x-robots-tag", HeaderValue::from_static("noindex"));
    response
}
