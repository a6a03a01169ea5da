//! What following a link costs: the redirect behind the local HTTP gateway, and in the same run a plain axum server that looks
//! its links up in SQLite and counts there, as self-hosted shorteners do; both under `oha`.
//!
//! Run by `scripts/bench-redirect`, which builds what it needs. It measures and asserts statuses only.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Path as Segments, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use local::drivers::{HttpGateway, Routes, from_http};
use local::engines::Engines;
use serde_json::{Value, json};
use shared::config::Settings;
use shared::link::{Link, ShortLinks};
use shared::store::{Core, schema};
use tokio::net::TcpListener;

use crate::support::{create_queue, memory};

pub(crate) const KEYS: &str = "1:000102030405060708090a0b0c0d0e0f";
const DESTINATION: &str = "https://shop.example/offer";

/// Links in either store: enough that neither is a single row.
const LINKS: u32 = 10_000;

fn link(id: u32) -> Link {
    let stored = json!({"v": 1, "id": id, "workspace": "wsp_00000000000000000000000001", "url": DESTINATION, "kid": 1,
        "recipients": 1_000_000, "shards": 32, "created_at": 0});
    serde_json::from_value(stored).unwrap()
}

/// The tables, a queue and a thousand links; the settings of the function.
pub(crate) async fn deployment(engines: &Engines) -> (BTreeMap<String, String>, Vec<Link>) {
    let client = engines.dynamodb();
    schema::create_missing(&client, "core", "rollup").await.unwrap();
    let core = Core::new(client, "core");
    let links: Vec<Link> = (1..=1_000).map(link).collect();
    for link in &links {
        assert!(core.create_link(link).await.unwrap());
    }
    let queue = create_queue(&engines.sqs(), "events", &[]).await;
    let settings = [("CORE_TABLE", "core"), ("EVENTS_QUEUE_URL", &queue), ("LINK_KEYS", KEYS)];
    (settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into(), links)
}

/// The redirect behind the gateway; an address of one of its links.
async fn ours(engines: &Engines) -> String {
    let (settings, links) = deployment(engines).await;
    let config = redirect::Config::read(Settings::from_values(settings)).unwrap();
    let redirect = Arc::new(redirect::Redirect::new(config, engines.dynamodb(), engines.sqs()));
    let function = from_http(lambda_http::service_fn(move |request| {
        let redirect = Arc::clone(&redirect);
        async move { Ok::<_, std::convert::Infallible>(redirect::handle(&redirect, request).await) }
    }));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let _gateway = HttpGateway::new(Routes::new().route("ANY", "/l/{code}", function)).start(listener);
    let code =
        ShortLinks::new("", KEYS.parse().unwrap()).of_recipient(&links[500], shared::attempt::Seq(7)).unwrap().code;
    format!("http://{address}/l/{code}")
}

/// What a plain shortener does: one select, one update of the counter, both on one connection.
fn follow(connection: &rusqlite::Connection, code: &str) -> Option<String> {
    let mut select = connection.prepare_cached("SELECT url FROM links WHERE code = ?1").ok()?;
    let url: String = select.query_row([code], |row| row.get(0)).ok()?;
    let mut count = connection.prepare_cached("UPDATE links SET hits = hits + 1 WHERE code = ?1").ok()?;
    count.execute([code]).ok()?;
    Some(url)
}

async fn redirect_by_sqlite(
    State(connection): State<Arc<Mutex<rusqlite::Connection>>>,
    Segments(code): Segments<String>,
) -> impl IntoResponse {
    let found = tokio::task::spawn_blocking(move || follow(&connection.lock().unwrap(), &code)).await.unwrap();
    match found {
        Some(url) => (StatusCode::FOUND, [(header::LOCATION, HeaderValue::from_str(&url).unwrap())]).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The plain server on a database file; an address of one of its links.
async fn plain(folder: &Path) -> String {
    let connection = rusqlite::Connection::open(folder.join("links.sqlite")).unwrap();
    connection.pragma_update(None, "journal_mode", "WAL").unwrap();
    connection.pragma_update(None, "synchronous", "NORMAL").unwrap();
    connection
        .execute("CREATE TABLE links (code TEXT PRIMARY KEY, url TEXT NOT NULL, hits INTEGER NOT NULL)", [])
        .unwrap();
    connection.execute_batch("BEGIN").unwrap();
    for n in 0..LINKS {
        let insert = "INSERT INTO links VALUES (?1, ?2, 0)";
        connection.execute(insert, (format!("code{n:06}"), DESTINATION)).unwrap();
    }
    connection.execute_batch("COMMIT").unwrap();
    let router = Router::new().route("/l/{code}", get(redirect_by_sqlite)).with_state(Arc::new(Mutex::new(connection)));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/l/code005000")
}

/// What `oha` says of an address.
#[derive(Clone, Copy)]
struct Load {
    per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
}

async fn load(oha: &str, url: &str, seconds: &str, connections: &str) -> Load {
    let mut run = tokio::process::Command::new(oha);
    run.args(["-z", &format!("{seconds}s"), "-c", connections, "-r", "0", "--no-tui", "--output-format", "json", url]);
    let output = run.stderr(Stdio::inherit()).output().await.unwrap();
    assert!(output.status.success());
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let statuses = said["statusCodeDistribution"].as_object().unwrap();
    assert_eq!(statuses.keys().collect::<Vec<_>>(), ["302"], "{statuses:?}");
    let ms = |name: &str| said["latencyPercentiles"][name].as_f64().unwrap() * 1_000.0;
    let per_second = said["summary"]["requestsPerSec"].as_f64().unwrap();
    Load { per_second, p50_ms: ms("p50"), p99_ms: ms("p99") }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: scripts/bench-redirect"]
async fn redirect_speed_beside_a_plain_server_on_sqlite() {
    let oha = std::env::var("OHA").expect("OHA names the load generator");
    let seconds = std::env::var("SECONDS_EACH").unwrap_or_else(|_| "10".to_owned());
    let engines = memory().await;
    let folder = tempfile::tempdir().unwrap();
    let (ours, plain) = (ours(&engines).await, plain(folder.path()).await);
    println!("| connections | server | requests/s | p50 ms | p99 ms |");
    println!("|---|---|---|---|---|");
    for connections in ["1", "50"] {
        // Each warms up first, and the two take turns.
        for url in [&ours, &plain] {
            load(&oha, url, "2", connections).await;
        }
        let (a, b) = (load(&oha, &ours, &seconds, connections).await, load(&oha, &plain, &seconds, connections).await);
        for (name, Load { per_second, p50_ms, p99_ms }) in [("redirect", a), ("axum + SQLite", b)] {
            println!("| {connections} | {name} | {per_second:.0} | {p50_ms:.2} | {p99_ms:.2} |");
        }
        let ratios = (a.per_second / b.per_second, a.p50_ms / b.p50_ms, a.p99_ms / b.p99_ms);
        println!("| {connections} | ratio | {:.2} | {:.2} | {:.2} |", ratios.0, ratios.1, ratios.2);
    }
}
