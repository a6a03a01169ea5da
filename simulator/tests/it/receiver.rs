//! The other side: a webhook that keeps what it gets, a page that people click on, and a sender.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::routing::{any, get};
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};
use simulator::{Config, Running, Simulator};
use tokio::net::TcpListener;
use url::Url;

pub(crate) const SECRET: &str = "test_app_secret";
pub(crate) const NUMBER: &str = "107853902081447";

#[derive(Debug, Clone)]
pub(crate) struct Post {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) status: u16,
}

#[derive(Debug, Clone)]
pub(crate) struct Hit {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
}

#[derive(Debug, Default)]
pub(crate) struct Receiver {
    posts: Mutex<Vec<Post>>,
    hits: Mutex<Vec<Hit>>,
    /// POSTs to be answered with 500 before the first 200.
    pub(crate) fail_next: AtomicU32,
    /// Answers 500 as long as this is not 0.
    pub(crate) down: AtomicU32,
}

/// One status or message out of a webhook body.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) post: usize,
    pub(crate) value: Value,
}

impl Seen {
    pub(crate) fn id(&self) -> &str {
        self.value["id"].as_str().unwrap_or_default()
    }

    pub(crate) fn status(&self) -> &str {
        self.value["status"].as_str().unwrap_or_default()
    }
}

impl Receiver {
    pub(crate) async fn start() -> (Arc<Self>, Url) {
        let receiver = Arc::new(Self::default());
        let router = Router::new()
            .route("/webhook", get(handshake).post(take))
            .fallback(any(page))
            .with_state(Arc::clone(&receiver));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        (receiver, url.parse().expect("a URL"))
    }

    pub(crate) fn posts(&self) -> Vec<Post> {
        self.posts.lock().expect("not poisoned").clone()
    }

    pub(crate) fn hits(&self) -> Vec<Hit> {
        self.hits.lock().expect("not poisoned").clone()
    }

    fn seen(&self, array: &str) -> Vec<Seen> {
        let mut seen = Vec::new();
        for (post, taken) in self.posts().iter().enumerate().filter(|(_, taken)| taken.status == 200) {
            let body: Value = serde_json::from_slice(&taken.body).expect("JSON");
            for entry in body["entry"].as_array().expect("entries") {
                for change in entry["changes"].as_array().expect("changes") {
                    let values = change["value"][array].as_array().cloned().unwrap_or_default();
                    seen.extend(values.into_iter().map(|value| Seen { post, value }));
                }
            }
        }
        seen
    }

    /// Values of a field other than `messages`, in order of arrival.
    pub(crate) fn notices(&self, field: &str) -> Vec<Value> {
        let taken = self.posts().into_iter().filter(|taken| taken.status == 200);
        let bodies = taken.map(|taken| serde_json::from_slice::<Value>(&taken.body).expect("JSON"));
        let entries = bodies.flat_map(|body| body["entry"].as_array().cloned().expect("entries"));
        let changes = entries.flat_map(|entry| entry["changes"].as_array().cloned().expect("changes"));
        changes.filter(|change| change["field"] == field).map(|change| change["value"].clone()).collect()
    }

    pub(crate) fn statuses(&self) -> Vec<Seen> {
        self.seen("statuses")
    }

    pub(crate) fn messages(&self) -> Vec<Seen> {
        self.seen("messages")
    }

    /// Distinct (message, status) pairs by status.
    pub(crate) fn status_counts(&self) -> BTreeMap<String, usize> {
        let pairs: std::collections::BTreeSet<_> =
            self.statuses().iter().map(|seen| (seen.status().to_owned(), seen.id().to_owned())).collect();
        let mut counts = BTreeMap::new();
        for (status, _) in pairs {
            *counts.entry(status).or_default() += 1;
        }
        counts
    }
}

async fn handshake(Query(query): Query<BTreeMap<String, String>>) -> (StatusCode, String) {
    if query.get("hub.mode").is_some_and(|mode| mode == "subscribe")
        && query.get("hub.verify_token").is_some_and(|t| t == "verify")
    {
        (StatusCode::OK, query.get("hub.challenge").cloned().unwrap_or_default())
    } else {
        (StatusCode::FORBIDDEN, String::new())
    }
}

async fn take(State(receiver): State<Arc<Receiver>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let left = receiver.fail_next.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
    let fails = left.is_ok() || receiver.down.load(Ordering::SeqCst) != 0;
    let status = if fails { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK };
    receiver.posts.lock().expect("not poisoned").push(Post { headers, body, status: status.as_u16() });
    status
}

async fn page(
    State(receiver): State<Arc<Receiver>>,
    request: axum::extract::Request,
) -> (StatusCode, [(&'static str, &'static str); 1]) {
    let hit = Hit {
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        headers: request.headers().clone(),
    };
    receiver.hits.lock().expect("not poisoned").push(hit);
    (StatusCode::FOUND, [("location", "http://127.0.0.1:9/never")])
}

/// A configuration that is quick and has no surprises.
pub(crate) fn config(receiver: &Url) -> Config {
    let mut config = Config::new(receiver.join("webhook").expect("a path"), SECRET);
    config.speed = 20_000.0;
    config.messages_per_second = 100_000;
    config.preview_share = 0.0;
    config.delivery.early_sent_share = 0.0;
    config.delivery.window = Duration::from_millis(5);
    config
}

pub(crate) async fn simulator(config: Config) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    Simulator::start(listener, config).await.expect("starts")
}

pub(crate) fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().expect("a client")
}

pub(crate) fn text(to: &str, body: &str) -> Value {
    json!({ "messaging_product": "whatsapp", "to": to, "type": "text", "text": { "body": body } })
}

/// Sends a body and returns status and answer.
pub(crate) async fn send(
    running: &Running,
    client: &reqwest::Client,
    body: &Value,
) -> Result<(u16, Value), reqwest::Error> {
    let url = running.url().join(&format!("v24.0/{NUMBER}/messages")).expect("a path");
    let response = client.post(url).bearer_auth("EAAG").json(body).send().await?;
    let status = response.status().as_u16();
    Ok((status, response.json().await?))
}

/// Asks the Graph API (or the simulator itself) something and returns status and answer.
pub(crate) async fn call(running: &Running, method: Method, path: &str, body: Option<&Value>) -> (u16, Value) {
    let url = running.url().join(path).expect("a path");
    let request = client().request(method, url).bearer_auth("EAAG");
    let request = if let Some(body) = body { request.json(body) } else { request };
    let response = request.send().await.expect("an answer");
    (response.status().as_u16(), response.json().await.expect("JSON"))
}

/// Polls until something holds; fails the test after 20 s.
pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(20), "timed out waiting until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until nothing is outstanding.
pub(crate) async fn settled(running: &Running) {
    until("nothing is outstanding", || running.pending() == 0).await;
}
