//! The command line: `serve` (also without a command) and `demo`, and what an operator does beside them.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use console::{Term, style};
use replay::Job;
use shared::blob::Bucket;
use shared::time::UnixMillis;
use tracing_subscriber::EnvFilter;
use url::Url;
use warehouse::{Compacted, Warehouse};

use crate::credentials::Credentials;
use crate::demo;
use crate::engines::{Engines, Storage};
use crate::operator::{quarantined, redrive_queue, replay_archive};
use crate::stack::{BUCKET, People, Stack, StackOptions};

/// Campaign and tracking engine for the WhatsApp Business Cloud API: the whole stack on this machine.
#[derive(Debug, Parser)]
#[command(name = "thirdtick", version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    options: Options,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start everything and wait (the default).
    Serve,
    /// Start everything, send a campaign to 250 simulated people, and show what becomes of it.
    Demo {
        /// End after the report instead of leaving everything up.
        #[arg(long)]
        exit: bool,
    },
    /// Make fresh tables of the archive and compare them with the live ones; `serve` must not run on the same data.
    Replay {
        /// Only what was taken in at this time (such as 2026-11-21T00:00:00Z) or later; the rest is copied.
        #[arg(long, value_parser = time)]
        from: Option<UnixMillis>,
        /// Only what was taken in before this time.
        #[arg(long, value_parser = time)]
        to: Option<UnixMillis>,
        /// What the names of the fresh tables begin with.
        #[arg(long, default_value = "replay")]
        into: String,
    },
    /// Put the dead letters of a queue back on it; `serve` must not run on the same data.
    Redrive {
        /// `events`, `dispatch` or `send`.
        #[arg(default_value = "events")]
        queue: String,
    },
    /// Merge the published events of a data folder that nothing else uses into their Parquet files, as a running stack does
    /// once a minute.
    Compact,
    /// Show what could not be taken in, from the stack that runs at --port.
    Quarantined {
        /// Try it again.
        #[arg(long)]
        replay: bool,
    },
}

fn time(text: &str) -> Result<UnixMillis, String> {
    let at: jiff::Timestamp = text.parse().map_err(|_| "expected a time such as 2026-11-21T00:00:00Z".to_owned())?;
    Ok(UnixMillis(at.as_millisecond()))
}

#[derive(Debug, Args)]
struct Options {
    /// Port of the API, the webhook and the links; 0 takes any free one.
    #[arg(long, default_value_t = 8080, global = true)]
    port: u16,
    /// Where everything is kept.
    #[arg(long, default_value = ".thirdtick", global = true)]
    data_dir: PathBuf,
    /// Keep nothing on disk.
    #[arg(long, global = true, conflicts_with = "data_dir")]
    memory: bool,
    /// A Graph API other than the built-in simulator, such as https://graph.facebook.com.
    #[arg(long, env = "META_GRAPH_URL", global = true)]
    graph_url: Option<Url>,
    /// Simulated people react so many times faster; never changes the sending rate.
    #[arg(long, default_value_t = 120.0, global = true)]
    speed: f64,
}

/// Runs a command until it ends or Ctrl-C.
///
/// # Errors
/// With what went wrong and what to do.
pub async fn run(cli: Cli) -> anyhow::Result<()> {
    let Options { port, data_dir, memory, graph_url, speed } = cli.options;
    let storage = if memory { Storage::Memory } else { Storage::Directory(data_dir.clone()) };
    let is_demo = matches!(cli.command, Some(Command::Demo { .. }));
    start_log((!memory).then_some(data_dir.as_path()), is_demo)?;
    let screen = Term::stdout();
    match cli.command {
        Some(Command::Replay { from, to, into }) => {
            let job = Job { from, to, ..Job::new(into) };
            let file = (!memory).then(|| data_dir.join("credentials.json"));
            let keys = Credentials::load(file.as_deref())?.link_keys;
            let equal =
                with_engines(storage, async |engines| replay_archive(engines, &keys, job, &screen).await).await?;
            anyhow::ensure!(equal, "the replayed tables differ from the live ones");
            return Ok(());
        }
        Some(Command::Redrive { queue }) => {
            return with_engines(storage, async |engines| redrive_queue(engines, &queue, &screen).await).await;
        }
        Some(Command::Quarantined { replay }) => return quarantined(port, &data_dir, replay, &screen).await,
        Some(Command::Compact) => return compact(storage, &screen).await,
        Some(Command::Serve | Command::Demo { .. }) | None => {}
    }
    let options = StackOptions { port, storage, graph_url, people: People { speed, ..People::default() } };
    let stack = Stack::start(options).await?;
    let ended = until_the_end(&stack, cli.command, &Term::stdout()).await;
    stack.shutdown().await;
    ended
}

/// Does something with the engines alone, and ends them.
async fn with_engines<T>(storage: Storage, work: impl AsyncFnOnce(&Engines) -> anyhow::Result<T>) -> anyhow::Result<T> {
    let engines = Engines::start(storage).await?;
    let outcome = work(&engines).await;
    engines.shutdown().await;
    outcome
}

async fn until_the_end(stack: &Stack, command: Option<Command>, screen: &Term) -> anyhow::Result<()> {
    if let Some(Command::Demo { exit }) = command {
        let interrupted = tokio::select! {
            shown = demo::run(stack, screen) => { shown?; false }
            () = ctrl_c() => true,
        };
        if exit || interrupted {
            return Ok(());
        }
    }
    introduce(stack, screen)?;
    ctrl_c().await;
    Ok(())
}

async fn compact(storage: Storage, screen: &Term) -> anyhow::Result<()> {
    let engines = Engines::start(storage).await?;
    let warehouse = Warehouse::new(Bucket::new(engines.s3(), BUCKET));
    let done = warehouse.compact(None).await;
    engines.shutdown().await;
    let Compacted { objects, events, files, .. } = done.context("not everything could be merged")?;
    screen.write_line(&format!("{events} events of {objects} staged objects merged; {files} files written"))?;
    Ok(())
}

async fn ctrl_c() {
    // Without a signal handler there is no clean way out; waiting for ever leaves the process to be killed, which loses
    // nothing.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn introduce(stack: &Stack, screen: &Term) -> anyhow::Result<()> {
    let base = stack.base_url();
    let simulator =
        stack.simulator_url().map_or_else(|| "none: messages go to the Graph API".to_owned(), |url| url.to_string());
    screen.write_line("")?;
    for (label, value) in [
        ("API", format!("{base}/v1")),
        ("Admin key", stack.admin_key().to_owned()),
        ("Webhook", format!("{base}/webhooks/meta")),
        ("Simulator", simulator),
    ] {
        screen.write_line(&format!("  {:<10} {value}", style(label).bold()))?;
    }
    screen.write_line("")?;
    screen.write_line(&format!("  {}", style("Ctrl-C ends it; the next start goes on where this one was.").dim()))?;
    Ok(())
}

/// The demo's screen is its own, so its log goes to a file; `serve` logs to standard error.
fn start_log(data_dir: Option<&Path>, is_demo: bool) -> anyhow::Result<()> {
    // The embedded database warns of every condition that does not hold, which is how conditional writes work.
    let filter = || EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,dynoxide=error"));
    let log = tracing_subscriber::fmt().with_env_filter(filter());
    match data_dir {
        Some(folder) if is_demo => {
            std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
            let path = folder.join("thirdtick.log");
            let file = std::fs::OpenOptions::new().create(true).append(true).open(&path);
            let file = file.with_context(|| format!("cannot write {}", path.display()))?;
            log.with_ansi(false).with_writer(std::sync::Mutex::new(file)).init();
        }
        None if is_demo && std::env::var_os("RUST_LOG").is_none() => {}
        _ => log.with_writer(std::io::stderr).init(),
    }
    Ok(())
}
