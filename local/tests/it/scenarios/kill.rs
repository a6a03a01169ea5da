//! `kill -9` in the middle of the demo, and a new start on the same data directory.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use local::api_client::ApiClient;
use local::engines::Storage;
use local::stack::{People, Stack, StackOptions};
use serde_json::Value;

use super::{counted, expected, is_taken_in, until};

fn demo(folder: &Path, port: u16) -> Child {
    Command::new(env!("CARGO_BIN_EXE_thirdtick"))
        .args(["demo", "--exit", "--speed", "3000", "--port", &port.to_string(), "--data-dir"])
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

/// Phones of the messages that the simulator took, from its journal: it outlives the process, as Meta does.
fn accepted(folder: &Path) -> Vec<String> {
    let journal = std::fs::read_to_string(folder.join("simulator.ndjson")).unwrap_or_default();
    let entries = journal.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    entries.filter_map(|entry| Some(entry["message"]["input"].as_str()?.to_owned())).collect()
}

fn wait_for(what: &str, limit: Duration, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < limit, "{what} did not come within {limit:?}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// Kills the demo when so many messages were accepted, starts it again, and lets it end.
fn killed_and_started_again(folder: &Path, at: usize) {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut killed = demo(folder, port);
    wait_for("the first messages", Duration::from_secs(60), || accepted(folder).len() >= at);
    killed.kill().unwrap();
    killed.wait().unwrap();
    let mut second = demo(folder, port);
    wait_for("the end of the second run", Duration::from_secs(120), || second.try_wait().unwrap().is_some());
    assert!(second.wait().unwrap().success());
}

/// What must hold after the second run, whenever the first one was killed.
async fn holds_together(folder: &Path) {
    let mut by_phone: BTreeMap<String, usize> = BTreeMap::new();
    for phone in accepted(folder) {
        *by_phone.entry(phone).or_default() += 1;
    }
    assert!(by_phone.values().all(|messages| *messages == 1), "somebody got two messages");

    let options = StackOptions {
        port: 0,
        storage: Storage::Directory(folder.to_owned()),
        graph_url: None,
        people: People { speed: 3_000.0, ..People::default() },
    };
    let stack = Stack::start(options).await.unwrap();
    let api = ApiClient::new(stack.base_url(), stack.admin_key());
    let campaigns = api.get("/v1/campaigns").await.unwrap();
    assert_eq!(campaigns["data"].as_array().unwrap().len(), 1, "the second run goes on with the first one's campaign");
    let id = campaigns["data"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(campaigns["data"][0]["status"], "completed");
    // What people did last may have been on its way when the second run ended.
    until("counters that equal the rows", Duration::from_secs(60), async || {
        let is_quiet = is_taken_in(&stack).await && counted(&stack, &id).await == expected(&stack, &id).await;
        is_quiet.then_some(Value::Null)
    })
    .await;

    let report = api.get(&format!("/v1/campaigns/{id}/report")).await.unwrap();
    let count = |name: &str| report[name].as_i64().unwrap();
    let stuck: i64 = report["stuck_at"].as_object().unwrap().values().map(|n| n.as_i64().unwrap()).sum();
    let closed = report["stages"]["closed"]["count"].as_i64().unwrap();
    assert_eq!(count("pending"), 0);
    assert_eq!(count("skipped") + count("unknown") + count("failed") + stuck + closed, 250);
    // Whom Meta has is known to us, whatever the kill has cut off: only claims whose call never began stay unknown.
    assert_eq!(i64::try_from(by_phone.len()).unwrap() + count("unknown"), 250);
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_it_sends_the_campaign_completes_and_nobody_gets_two_messages() {
    let folder = tempfile::tempdir().unwrap();
    killed_and_started_again(folder.path(), 60);
    holds_together(folder.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_people_react_nobody_is_written_to_again() {
    let folder = tempfile::tempdir().unwrap();
    killed_and_started_again(folder.path(), 250);
    holds_together(folder.path()).await;
    assert_eq!(accepted(folder.path()).len(), 250);
}
