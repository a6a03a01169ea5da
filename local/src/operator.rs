//! What an operator does beside `serve` and `demo`: replays the archive, puts dead letters back, looks after what was
//! quarantined.

use std::path::Path;
use std::time::Duration;

use anyhow::bail;
use comfy_table::Table;
use console::Term;
use indicatif::{ProgressBar, ProgressStyle};
use replay::{Job, Phase, Replay};
use serde_json::{Value, json};

use crate::api_client::ApiClient;
use crate::credentials::Credentials;
use crate::engines::Engines;
use crate::stack::{QUEUES, redrive, replayer};

/// Replays the archive into fresh tables and compares them with the live ones; `false` when they differ. Tables that an
/// earlier replay of the same name has left are dropped first.
///
/// # Errors
/// When it cannot be done to its end.
pub async fn replay_archive(engines: &Engines, link_keys: &str, mut job: Job, screen: &Term) -> anyhow::Result<bool> {
    let replay = replayer(engines, link_keys).await?;
    for table in [job.core_table(), job.rollup_table()] {
        // There may be none.
        drop(engines.dynamodb().delete_table().table_name(table).send().await);
    }
    let bar = ProgressBar::new_spinner();
    bar.set_style(ProgressStyle::with_template("  {spinner} {wide_msg}")?);
    bar.enable_steady_tick(Duration::from_millis(120));
    let done = to_the_end(&replay, &mut job, &bar).await;
    bar.finish_and_clear();
    done?;
    for line in compared(&job) {
        screen.write_line(&line)?;
    }
    Ok(job.comparison.is_equal())
}

async fn to_the_end(replay: &Replay, job: &mut Job, bar: &ProgressBar) -> anyhow::Result<()> {
    while job.phase != Phase::Ended {
        replay::step(replay, job).await?;
        let done = job.done;
        bar.set_message(format!(
            "{} rows copied, {} objects with {} messages taken in, {} counters, {} compared",
            done.copied, done.objects, done.messages, done.counters, done.compared
        ));
    }
    Ok(())
}

/// The comparison as people read it.
fn compared(job: &Job) -> Vec<String> {
    let mut table = Table::new();
    table.set_header(["", "kind", "equal", "different", "only live", "only replayed"]);
    let rows = job.comparison.rows.iter().map(|kind| ("rows", kind));
    let counters = job.comparison.counters.iter().map(|kind| ("counters", kind));
    for (what, (kind, differences)) in rows.chain(counters) {
        let numbers = [differences.equal, differences.different, differences.missing, differences.more];
        let cells = [what.to_owned(), kind.to_lowercase()].into_iter().chain(numbers.map(|n| n.to_string()));
        table.add_row(cells);
    }
    let mut lines = vec![String::new(), table.to_string()];
    lines.extend(job.comparison.named.iter().map(|named| format!("  {named}")));
    lines.push(format!("  {} messages of {} objects of the archive", job.done.messages, job.done.objects));
    lines
}

/// Puts the dead letters of a queue back on it.
///
/// # Errors
/// When there is no such queue.
pub async fn redrive_queue(engines: &Engines, queue: &str, screen: &Term) -> anyhow::Result<()> {
    if !QUEUES.contains(&queue) {
        bail!("there is no queue {queue}: it is one of {}", QUEUES.join(", "));
    }
    let moved = redrive(engines, queue).await?;
    screen
        .write_line(&format!("  {moved} messages are on the queue {queue} again; they are delivered when it runs"))?;
    Ok(())
}

/// Shows what is quarantined in the stack that runs at this port, or asks for it to be tried again.
///
/// # Errors
/// When nothing runs there.
pub async fn quarantined(port: u16, data_dir: &Path, again: bool, screen: &Term) -> anyhow::Result<()> {
    let credentials = Credentials::load(Some(&data_dir.join("credentials.json")))?;
    let api = ApiClient::new(&format!("http://127.0.0.1:{port}"), &credentials.admin_key);
    for unrouted in [false, true] {
        if again {
            let asked = api.post("/v1/events/quarantined/replay", &json!({"unrouted": unrouted})).await?;
            screen.write_line(&format!(
                "  {} events of {} messages are tried again",
                asked["events"], asked["messages"]
            ))?;
            continue;
        }
        let mut cursor = String::new();
        loop {
            let page = api.get(&format!("/v1/events/quarantined?unrouted={unrouted}&limit=200{cursor}")).await?;
            for event in page["data"].as_array().into_iter().flatten() {
                let part = |name: &str| event[name].as_str().unwrap_or("-").to_owned();
                screen.write_line(&format!(
                    "  {} {} {} {}",
                    part("seen"),
                    part("id"),
                    part("field"),
                    part("reason")
                ))?;
            }
            match &page["next_cursor"] {
                Value::String(next) => cursor = format!("&cursor={next}"),
                _ => break,
            }
        }
    }
    Ok(())
}
