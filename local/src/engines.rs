//! Real AWS-compatible services inside this process: DynamoDB (dynoxide on SQLite), SQS (rustack, made durable by a
//! journal) and S3 (s3s on a folder), each on its own loopback port and reached through the ordinary AWS SDKs.
//!
//! What lives here is only starting, stopping and repairing the engines; nobody outside knows that they are local.

mod calls;
mod dynamodb;
mod faults;
mod journal;
mod listen;
mod lock;
mod queues;
mod s3;
mod sqs;

use std::{fmt, path::PathBuf, time::Duration};

use anyhow::Context as _;
use dynoxide::Database;
use tokio::{net::TcpListener, runtime::Runtime};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::lock::DirectoryLock;
pub use self::{calls::Calls, faults::Faults};

/// The region that every engine answers for.
pub const REGION: &str = "us-east-1";

/// The account number in the engines' ARNs.
pub const ACCOUNT: &str = "000000000000";

/// The engines check that requests are signed, not by whom: both halves of the credentials are this word.
const CREDENTIAL: &str = "local";

/// Where the engines keep what they are given.
#[derive(Debug, Clone)]
pub enum Storage {
    /// Nothing outlives the engines. (S3 uses a temporary folder, removed when they stop.)
    Memory,
    /// Everything an engine has acknowledged survives the death of the process, in this folder, which is created if it
    /// does not exist. Loss of power may cost the last moments: nothing is synced to the disk.
    Directory(PathBuf),
}

/// The running engines. Dropping them stops them at once; [`Engines::shutdown`] lets running requests finish.
pub struct Engines {
    calls: Calls,
    stop: CancellationToken,
    tasks: TaskTracker,
    database: Database,
    // SQLite works on the calling thread, so the engines have their own threads and never hold up a handler.
    threads: Threads,
    // Dropped after the threads: the folder is released and the temporary one removed only when nothing uses it.
    _lock: Option<DirectoryLock>,
    _temporary: Option<tempfile::TempDir>,
}

impl Engines {
    /// Starts the three engines on free loopback ports and restores what they held.
    ///
    /// # Errors
    ///
    /// The folder cannot be used, is in use by another process, or holds something that cannot be read.
    pub async fn start(storage: Storage) -> anyhow::Result<Self> {
        let (directory, lock, temporary) = match storage {
            Storage::Memory => (None, None, Some(tempfile::tempdir().context("cannot create a temporary folder")?)),
            Storage::Directory(path) => {
                std::fs::create_dir_all(&path)
                    .with_context(|| format!("cannot create the data folder {}", path.display()))?;
                let lock = DirectoryLock::acquire(&path)?;
                (Some(path), Some(lock), None)
            }
        };
        let s3_folder = match (&directory, &temporary) {
            (Some(path), _) => path.join("s3"),
            (None, Some(temporary)) => temporary.path().to_owned(),
            (None, None) => anyhow::bail!("the engines have no folder to work in"),
        };

        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("engines")
            .enable_all()
            .build()
            .context("cannot start the engines' threads")?;
        let stop = CancellationToken::new();
        let tasks = TaskTracker::new();
        let serving = runtime.spawn(serve(directory, s3_folder, stop.clone(), tasks.clone()));
        let threads = Threads(Some(runtime));
        let served = serving.await.context("the engines did not start")??;
        Ok(Self {
            calls: Calls::new(served.dynamodb, served.sqs, served.s3),
            database: served.database,
            stop,
            tasks,
            threads,
            _lock: lock,
            _temporary: temporary,
        })
    }

    /// The endpoint of DynamoDB and of DynamoDB Streams.
    #[must_use]
    pub fn dynamodb_url(&self) -> &str {
        &self.calls.dynamodb_url
    }

    /// The endpoint of SQS. Queue URLs begin with it, so they change with every start: look them up by name.
    #[must_use]
    pub fn sqs_url(&self) -> &str {
        &self.calls.sqs_url
    }

    /// The endpoint of S3; only path-style addresses work.
    #[must_use]
    pub fn s3_url(&self) -> &str {
        &self.calls.s3_url
    }

    /// The ARN of a queue in these engines.
    #[must_use]
    pub fn queue_arn(&self, name: &str) -> String {
        format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{name}")
    }

    /// A client of DynamoDB. Retries are off: an engine on the loopback either answers or has a bug worth seeing.
    #[must_use]
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        self.calls.dynamodb()
    }

    /// A client of DynamoDB Streams.
    #[must_use]
    pub fn streams(&self) -> aws_sdk_dynamodbstreams::Client {
        self.calls.streams()
    }

    /// A client of SQS.
    #[must_use]
    pub fn sqs(&self) -> aws_sdk_sqs::Client {
        self.calls.sqs()
    }

    /// A client of S3 with path-style addresses.
    #[must_use]
    pub fn s3(&self) -> aws_sdk_s3::Client {
        self.calls.s3()
    }

    /// Clients that see the engines fail, and retry as they would on Lambda; without faults the ordinary ones.
    #[must_use]
    pub fn calls(&self, faults: &Faults) -> Calls {
        if *faults == Faults::default() { self.calls.clone() } else { self.calls.with_faults(faults) }
    }

    /// Removes the expired items of all tables now and returns how many they were; each leaves a stream record. The
    /// engine also does it by itself from time to time.
    ///
    /// # Errors
    ///
    /// The database cannot be written.
    pub async fn expire_items(&self) -> anyhow::Result<usize> {
        let database = self.database.clone();
        let swept = tokio::task::spawn_blocking(move || database.sweep_ttl()).await;
        swept.context("the removal of expired items broke off")?.context("expired items were not removed")
    }

    /// Stops listening, lets the requests that are running finish (for at most two seconds) and closes the files.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(Duration::from_secs(2), self.tasks.wait()).await.is_err() {
            tracing::warn!("the engines were stopped with requests still running");
        }
        if let Some(runtime) = self.threads.0.take() {
            // Waiting for the threads blocks, and here they may own files that the caller wants to reopen next.
            let stopped = tokio::task::spawn_blocking(move || runtime.shutdown_timeout(Duration::from_secs(2))).await;
            if let Err(error) = stopped {
                tracing::warn!(%error, "the engines' threads did not stop");
            }
        }
    }
}

impl fmt::Debug for Engines {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Engines")
            .field("dynamodb_url", &self.calls.dynamodb_url)
            .field("sqs_url", &self.calls.sqs_url)
            .field("s3_url", &self.calls.s3_url)
            .finish_non_exhaustive()
    }
}

impl Drop for Engines {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A runtime that may be dropped where blocking is not allowed; what runs on it then ends at its next pause.
#[derive(Debug)]
struct Threads(Option<Runtime>);

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

struct Served {
    database: Database,
    dynamodb: String,
    sqs: String,
    s3: String,
}

/// Opens the stores and puts the three servers on the runtime this runs on.
async fn serve(
    directory: Option<PathBuf>,
    s3_folder: PathBuf,
    stop: CancellationToken,
    tasks: TaskTracker,
) -> anyhow::Result<Served> {
    let (listener, dynamodb) = bind()?;
    let database = dynamodb::serve(listener, directory.as_deref(), &stop, &tasks).context("cannot start DynamoDB")?;
    let (listener, sqs) = bind()?;
    let journal = directory.as_deref().map(|path| path.join("sqs.journal"));
    sqs::serve(listener, journal, &stop, &tasks).await.context("cannot start SQS")?;
    let (listener, s3) = bind()?;
    s3::serve(listener, &s3_folder, &stop, &tasks).context("cannot start S3")?;
    Ok(Served { database, dynamodb, sqs, s3 })
}

fn bind() -> anyhow::Result<(TcpListener, String)> {
    let listener = listen::loopback().context("cannot listen on the loopback interface")?;
    let url = format!("http://{}", listener.local_addr()?);
    Ok((listener, url))
}
