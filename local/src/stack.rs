//! Putting the stack together: engines, tables, queues and the bucket (made where they are missing), the simulator, the
//! functions, and the drivers that invoke them as AWS would.

mod functions;
mod resources;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use shared::http::auth::KeyHash;
use shared::secrets::Secrets;
use simulator::{Behaviour, Delivery, Simulator};
use tokio::net::TcpListener;
use url::Url;

pub use self::resources::BUCKET;

use self::functions::{Functions, INGEST_TIMEOUT};
use self::resources::Resources;
use crate::credentials::Credentials;
use crate::drivers::{Checkpoint, HttpGateway, Mischief, Running, Schedule, SqsSource, StreamSource};
use crate::engines::{Calls, Engines, Faults, Storage};

/// How a stack is started.
#[derive(Debug)]
pub struct StackOptions {
    /// Port of the API, the webhook and the links; 0 takes any free one.
    pub port: u16,
    /// Where everything is kept.
    pub storage: Storage,
    /// A Graph API other than the built-in simulator.
    pub graph_url: Option<Url>,
    /// Who receives the messages when the simulator is built in.
    pub people: People,
}

/// The simulated people and how Meta reports what they do.
#[derive(Debug, Clone)]
pub struct People {
    /// They react so many times faster.
    pub speed: f64,
    /// The same seed, the same people.
    pub seed: u64,
    /// What they do.
    pub behaviour: Behaviour,
    /// How webhooks are delivered: repeated, out of order, in batches.
    pub delivery: Delivery,
    /// What the drivers do wrong on purpose.
    pub mischief: Mischief,
}

impl Default for People {
    fn default() -> Self {
        Self {
            speed: 120.0,
            seed: 1,
            behaviour: Behaviour::default(),
            delivery: Delivery::default(),
            mischief: Mischief::default(),
        }
    }
}

/// Everything, running.
pub struct Stack {
    base_url: String,
    credentials: Credentials,
    engines: Engines,
    resources: Resources,
    sources: Vec<Running>,
    gateway: Running,
    simulator: Option<simulator::Running>,
    speed: f64,
    graph_url: String,
    data_dir: Option<PathBuf>,
    /// Removed at the end: the city database of a stack that keeps nothing on disk.
    _scratch: Option<tempfile::TempDir>,
}

/// MaxMind's test database: the simulated people click from the networks it knows.
const TEST_CITY_DB: &[u8] = include_bytes!("../assets/geo/GeoLite2-City-Test.mmdb");

/// How often the watchdog looks: on AWS once a minute, here more often, for nobody wants to wait on one machine.
const TICK: Duration = Duration::from_secs(2);

/// How often published events are merged into their files: on AWS every quarter of an hour.
const COMPACTION: Duration = Duration::from_secs(60);

/// How often objects that are past their time are removed: as on AWS; the first time at the start.
const SWEEP: Duration = Duration::from_secs(86_400);

/// How long the publisher waits for more of the stream, so that it does not write an object for every change.
const PUBLISHED_TOGETHER: Duration = Duration::from_millis(500);

/// A page that was out so long is given out again. Longer than a page of 100 at one message a second takes in parts.
const PAGE_FORGOTTEN_AFTER_S: u64 = 30;

/// On one machine nothing is under way for longer than this.
const ERASURE_SETTLES_AFTER_S: u64 = 3;

impl Stack {
    /// Starts everything. What a killed process left in the data directory is taken up where it was.
    ///
    /// # Errors
    /// With what went wrong and what to do.
    pub async fn start(options: StackOptions) -> anyhow::Result<Self> {
        let StackOptions { port, storage, graph_url, people } = options;
        let listener = TcpListener::bind(("127.0.0.1", port))
            .await
            .with_context(|| format!("port {port} is taken: choose another with --port, or --port 0 for any"))?;
        let base_url = format!("http://{}", listener.local_addr()?);
        let data_dir = match &storage {
            Storage::Directory(folder) => Some(folder.clone()),
            Storage::Memory => None,
        };
        let engines = Engines::start(storage).await?;
        let credentials =
            Credentials::load(data_dir.as_ref().map(|folder| folder.join("credentials.json")).as_deref())?;
        let resources = Resources::create_missing(&engines).await?;
        // A process that is killed removes no temporary folder, so there is one only where nothing is to be kept.
        let scratch = match data_dir {
            Some(_) => None,
            None => Some(tempfile::tempdir().context("cannot make a temporary folder")?),
        };

        let simulator = match graph_url {
            Some(_) => None,
            None => Some(start_simulator(&people, &base_url, &credentials, data_dir.as_ref()).await?),
        };
        let graph_url = match (&graph_url, &simulator) {
            (Some(url), _) => url.to_string(),
            (None, Some(simulator)) => simulator.url().to_string(),
            (None, None) => anyhow::bail!("there is no Graph API to send to"),
        };
        let mut settings = resources.settings();
        settings.extend(settings_of(&credentials, &base_url, &graph_url));
        let folder = data_dir.as_deref().or(scratch.as_ref().map(tempfile::TempDir::path));
        if let Some(folder) = folder.filter(|_| simulator.is_some() && std::env::var_os("GEOIP_CITY_DB").is_none()) {
            let path = folder.join("test-city.mmdb");
            std::fs::write(&path, TEST_CITY_DB).with_context(|| format!("cannot write {}", path.display()))?;
            settings.insert("GEOIP_CITY_DB".to_owned(), path.display().to_string());
        }
        let secrets = match &data_dir {
            Some(folder) => Secrets::in_file(folder.join("secrets.json")),
            None => Secrets::in_memory(),
        };
        let calls = engines.calls(&people.mischief.faults);
        let functions = Functions::new(&settings, &calls.clients(), &secrets)?;
        let sources = start_sources(&calls, &resources, &functions, data_dir.as_ref(), &people.mischief).await?;
        let gateway = HttpGateway::new(functions.routes()).start(listener);
        let speed = people.speed;
        Ok(Self {
            base_url,
            credentials,
            engines,
            resources,
            sources,
            gateway,
            simulator,
            speed,
            graph_url,
            data_dir,
            _scratch: scratch,
        })
    }

    /// Where the API, the webhook and the links are, without a slash at its end.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The admin API key.
    #[must_use]
    pub fn admin_key(&self) -> &str {
        &self.credentials.admin_key
    }

    /// The secret that webhooks are signed with.
    #[must_use]
    pub fn app_secret(&self) -> &str {
        self.credentials.newest_app_secret()
    }

    /// The keys of tracked links.
    #[must_use]
    pub fn link_keys(&self) -> &str {
        &self.credentials.link_keys
    }

    /// Where the built-in simulator is.
    #[must_use]
    pub fn simulator_url(&self) -> Option<Url> {
        self.simulator.as_ref().map(simulator::Running::url)
    }

    /// The built-in simulator.
    #[must_use]
    pub const fn simulator(&self) -> Option<&simulator::Running> {
        self.simulator.as_ref()
    }

    /// Where everything is kept; `None` when nothing is.
    #[must_use]
    pub fn data_dir(&self) -> Option<&Path> {
        self.data_dir.as_deref()
    }

    /// How many times faster than in life the simulated people react.
    #[must_use]
    pub fn speed(&self) -> Option<f64> {
        self.simulator.as_ref().map(|_| self.speed)
    }

    /// Whether messages reach real people.
    #[must_use]
    pub fn sends_to_meta(&self) -> bool {
        let host = Url::parse(&self.graph_url).ok().and_then(|url| url.host_str().map(str::to_owned));
        host.is_some_and(|host| host == "facebook.com" || host.ends_with(".facebook.com"))
    }

    /// The embedded engines.
    #[must_use]
    pub const fn engines(&self) -> &Engines {
        &self.engines
    }

    /// The tables.
    #[must_use]
    pub fn tables(&self) -> (shared::store::Core, shared::store::rollups::Rollups) {
        self.resources.tables(&self.engines)
    }

    /// The files of published events.
    #[must_use]
    pub fn warehouse(&self) -> warehouse::Warehouse {
        self.resources.warehouse(&self.engines)
    }

    /// Ends everything in order: running invocations finish while the Graph API and the webhook are still there, then
    /// those end, then the engines.
    pub async fn shutdown(self) {
        for source in &self.sources {
            source.stop();
        }
        for source in self.sources {
            source.drain().await;
        }
        if let Some(simulator) = self.simulator {
            simulator.shutdown().await;
        }
        self.gateway.drain().await;
        self.engines.shutdown().await;
    }
}

/// What replays the archive of these engines into tables of its own; nothing else need run.
///
/// # Errors
/// When the tables or the bucket cannot be made, or these are no link keys.
pub async fn replayer(engines: &Engines, link_keys: &str) -> anyhow::Result<replay::Replay> {
    let resources = Resources::create_missing(engines).await?;
    let mut settings = resources.settings();
    settings.insert("LINK_KEYS".to_owned(), link_keys.to_owned());
    if let Ok(rules) = std::env::var("RETENTION") {
        settings.insert("RETENTION".to_owned(), rules);
    }
    let config = replay::Config::read(shared::config::Settings::from_values(settings))?;
    Ok(replay::Replay::new(config, &engines.calls(&Faults::default()).clients()))
}

/// The queues that have dead letters, as an operator calls them.
pub const QUEUES: [&str; 3] = ["events", "dispatch", "send"];

/// Puts the dead letters of a queue back on it. They are delivered when the stack runs.
///
/// # Errors
/// When there is no such queue.
pub async fn redrive(engines: &Engines, queue: &str) -> anyhow::Result<i64> {
    Resources::create_missing(engines).await?;
    let source = engines.queue_arn(&format!("thirdtick-{queue}-dead-letters"));
    let sqs = engines.sqs();
    sqs.start_message_move_task().source_arn(&source).send().await.context("the dead letters cannot be moved")?;
    let tasks = sqs.list_message_move_tasks().source_arn(&source).send().await?;
    Ok(tasks.results().first().map_or(0, |task| task.approximate_number_of_messages_moved()))
}

async fn start_simulator(
    people: &People,
    base_url: &str,
    credentials: &Credentials,
    data_dir: Option<&PathBuf>,
) -> anyhow::Result<simulator::Running> {
    let webhook = format!("{base_url}/webhooks/meta").parse().context("the webhook's address is not a URL")?;
    let mut config = simulator::Config::new(webhook, credentials.newest_app_secret());
    config.verify_token.clone_from(&credentials.verify_token);
    config.speed = people.speed;
    config.seed = people.seed;
    config.behaviour = people.behaviour.clone();
    config.delivery = people.delivery.clone();
    config.journal = data_dir.map(|folder| folder.join("simulator.ndjson"));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("no free port for the simulator")?;
    Simulator::start(listener, config).await.context("the simulator cannot start")
}

/// Settings of the functions that the environment may overrule.
fn settings_of(credentials: &Credentials, base_url: &str, graph_url: &str) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::from([
        ("META_APP_SECRET".to_owned(), credentials.app_secrets.clone()),
        ("META_VERIFY_TOKEN".to_owned(), credentials.verify_token.clone()),
        ("LINK_KEYS".to_owned(), credentials.link_keys.clone()),
        ("LINK_BASE_URL".to_owned(), format!("{base_url}/l")),
        ("ADMIN_API_KEY_SHA256".to_owned(), KeyHash::of(&credentials.admin_key).to_string()),
        ("PAGE_FORGOTTEN_AFTER_S".to_owned(), PAGE_FORGOTTEN_AFTER_S.to_string()),
        ("ERASURE_SETTLES_AFTER_S".to_owned(), ERASURE_SETTLES_AFTER_S.to_string()),
        // Here the queue shares a machine with everything else, and nobody is abroad.
        ("CLICK_PATIENCE_MS".to_owned(), 5_000.to_string()),
        // The embedded S3 has no lifecycle rules.
        ("SWEEP_TEMPORARY".to_owned(), true.to_string()),
        // Whoever runs the stack here may call what is here, such as n8n on this machine.
        ("DELIVER_ALLOW_PRIVATE".to_owned(), true.to_string()),
    ]);
    let more = [
        "META_GRAPH_VERSION",
        "LINK_BASE_URL",
        "GEOIP_CITY_DB",
        "GEOIP_ASN_DB",
        "EDGE_SECRET",
        "RETENTION",
        "DELIVER_ALLOW_PRIVATE",
        "LINKS_ALLOW_PRIVATE",
    ];
    for name in more {
        if let Ok(value) = std::env::var(name) {
            settings.insert(name.to_owned(), value);
        }
    }
    settings.insert("META_GRAPH_URL".to_owned(), graph_url.to_owned());
    settings
}

async fn start_sources(
    calls: &Calls,
    resources: &Resources,
    functions: &Functions,
    data_dir: Option<&PathBuf>,
    mischief: &Mischief,
) -> anyhow::Result<Vec<Running>> {
    let checkpoint = |name: &str| match data_dir {
        Some(folder) => Checkpoint::file(folder.join(name)),
        None => Ok(Checkpoint::memory()),
    };
    let queue = |url: &str, batch_size: usize, window: Duration, max_concurrency: usize| SqsSource {
        batch_size,
        window,
        max_concurrency,
        mischief: mischief.clone(),
        ..SqsSource::new(url)
    };
    // As in `template.yaml`, with the reasons.
    let events = SqsSource {
        function_timeout: INGEST_TIMEOUT,
        ..queue(&resources.events.url, 100, Duration::from_millis(50), 4)
    };
    let send =
        SqsSource { function_timeout: Duration::from_secs(120), ..queue(&resources.send.url, 1, Duration::ZERO, 16) };
    // Audiences and imports take minutes; other commands need not wait for them.
    let commands = SqsSource {
        function_timeout: Duration::from_secs(900),
        // A job that is cut off goes on at the next start.
        drain_within: Duration::from_secs(5),
        ..queue(&resources.dispatch.url, 10, Duration::from_millis(50), 4)
    };
    let parcels = SqsSource {
        function_timeout: Duration::from_secs(120),
        // What is cut off is posted again at the next start.
        drain_within: Duration::from_secs(5),
        ..queue(&resources.deliver.url, 10, Duration::ZERO, 8)
    };
    let counted = StreamSource {
        batch_size: 500,
        max_retries: None,
        mischief: mischief.clone(),
        ..StreamSource::new(&resources.stream_arn, checkpoint("rollup.checkpoint")?)
    };
    let published = StreamSource {
        batch_size: 1_000,
        window: PUBLISHED_TOGETHER,
        max_retries: None,
        mischief: mischief.clone(),
        ..StreamSource::new(&resources.stream_arn, checkpoint("publish.checkpoint")?)
    };
    // The more an hour holds the longer it takes to merge something into its file: a tenth of a processor is enough.
    let compaction =
        Schedule { function_timeout: Duration::from_secs(900), rest: 9, ..Schedule::new("compaction", COMPACTION) };
    let sweep = Schedule {
        detail: serde_json::json!({"task": "sweep"}),
        function_timeout: Duration::from_secs(900),
        ..Schedule::new("retention", SWEEP)
    };
    Ok(vec![
        events.start(calls.sqs(), Arc::clone(&functions.ingest)).await?,
        send.start(calls.sqs(), Arc::clone(&functions.send)).await?,
        commands.start(calls.sqs(), Arc::clone(&functions.dispatch)).await?,
        counted.start(calls.streams(), Arc::clone(&functions.rollup)).await?,
        published.start(calls.streams(), Arc::clone(&functions.publish)).await?,
        compaction.start(Arc::clone(&functions.compact)),
        sweep.start(Arc::clone(&functions.compact)),
        parcels.start(calls.sqs(), Arc::clone(&functions.deliver)).await?,
        Schedule::new("dispatch-watchdog", TICK).start(Arc::clone(&functions.dispatch)),
        Schedule::new("deliver-watchdog", TICK).start(Arc::clone(&functions.deliver)),
    ])
}
