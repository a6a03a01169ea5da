//! Opens links: as people do in their browsers, and as preview fetchers do. Redirects are not followed: what the
//! destination would show is nobody's business here.

use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, ACCEPT_LANGUAGE, HeaderMap, HeaderValue, USER_AGENT};
use http::{Method, StatusCode};
use tokio::sync::Semaphore;

use crate::person::Person;
use crate::plan::EventKind;
use crate::speech;
use crate::world::{EventKey, World};

/// Visits in flight at once.
const CONCURRENCY: usize = 32;
/// How often a person tries a page that does not open.
const ATTEMPTS: u32 = 30;
/// Meta's crawler, as its "Meta Web Crawlers" page gives it.
const CRAWLER_AGENT: &str = "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)";
/// An address of AS32934, from which the crawler comes.
const CRAWLER_IP: &str = "66.220.149.10";

/// The browsers of all people.
#[derive(Debug)]
pub(crate) struct Browser {
    client: reqwest::Client,
    visits: Semaphore,
}

/// One visit to one link.
struct Visit {
    link: String,
    method: Method,
    headers: HeaderMap,
    is_person: bool,
}

impl Browser {
    pub(crate) fn new() -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .tcp_nodelay(true)
            .timeout(Duration::from_secs(10))
            .build()?;
        Ok(Self { client, visits: Semaphore::new(CONCURRENCY) })
    }

    async fn open(&self, visit: &Visit) -> Option<StatusCode> {
        let _turn = self.visits.acquire().await.ok()?;
        let request = self.client.request(visit.method.clone(), &visit.link).headers(visit.headers.clone());
        match request.send().await {
            Ok(response) => {
                let status = response.status();
                let _ = response.bytes().await;
                Some(status)
            }
            Err(error) => {
                tracing::debug!(%error, "link did not open");
                None
            }
        }
    }
}

/// Starts the visit of a click or preview event.
pub(crate) fn visit(world: &Arc<World>, key: EventKey) {
    let Some(visit) = Visit::of(world, key) else {
        world.settle(1);
        return;
    };
    let world = Arc::clone(world);
    let tasks = world.tasks.clone();
    tasks.spawn(async move {
        tokio::select! {
            () = world.stop.cancelled() => {}
            () = open_until_answered(&world, key, &visit) => {}
        }
    });
}

/// A person whose page does not open tries again for a minute and a half; a machine does not.
async fn open_until_answered(world: &World, key: EventKey, visit: &Visit) {
    let attempts = if visit.is_person { ATTEMPTS } else { 1 };
    let mut last = None;
    for attempt in 1..=attempts {
        last = world.browser.open(visit).await;
        if last.is_some_and(|status| !status.is_server_error()) || attempt == attempts {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200 * u64::from(attempt)).min(Duration::from_secs(5))).await;
    }
    let answer = visit.is_person.then(|| last.map_or(0, |status| status.as_u16()));
    world.link_visited(key, answer);
}

impl Visit {
    fn of(world: &World, key: EventKey) -> Option<Self> {
        let record = world.book().message(key.message)?;
        let event = record.plan.events.get(key.event)?;
        let person = Person::at(world.config.seed, &record.address, &world.config.origins)?;
        match event.kind {
            EventKind::Click { link } => Some(Self {
                link: record.links.get(link)?.clone(),
                method: Method::GET,
                headers: person_headers(&person)?,
                is_person: true,
            }),
            EventKind::Preview { head, crawler } => Some(Self {
                link: record.links.first()?.clone(),
                method: if head { Method::HEAD } else { Method::GET },
                headers: machine_headers(&person, crawler)?,
                is_person: false,
            }),
            _ => None,
        }
    }
}

fn person_headers(person: &Person) -> Option<HeaderMap> {
    let accept = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8";
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, HeaderValue::from_str(&person.user_agent).ok()?);
    headers.insert(ACCEPT, HeaderValue::from_static(accept));
    headers.insert(ACCEPT_LANGUAGE, HeaderValue::from_static(speech::accept_language(person.language)));
    headers.insert("upgrade-insecure-requests", HeaderValue::from_static("1"));
    headers.insert("sec-fetch-mode", HeaderValue::from_static("navigate"));
    headers.insert("sec-fetch-dest", HeaderValue::from_static("document"));
    headers.insert("x-forwarded-for", HeaderValue::from_str(&person.ip.to_string()).ok()?);
    Some(headers)
}

fn machine_headers(person: &Person, crawler: bool) -> Option<HeaderMap> {
    let (agent, ip) = if crawler {
        (CRAWLER_AGENT, CRAWLER_IP.to_owned())
    } else {
        (person.device.preview_agent(), person.ip.to_string())
    };
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, HeaderValue::from_static(agent));
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert("x-forwarded-for", HeaderValue::from_str(&ip).ok()?);
    Some(headers)
}
