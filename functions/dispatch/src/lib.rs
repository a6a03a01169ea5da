//! Gives the sender its work: keeps a rolling horizon of pages enqueued, gives forgotten pages out again, and ends a
//! campaign when every page is done; reads audiences and imports that are too large for a request. Woken by commands (a
//! start, a finished page, a job) and, as a watchdog, by a schedule; so nothing depends on a queue message surviving. The
//! schedule also looks at every account once in five minutes.

mod advance;
mod erase;
mod export;
mod guard;
mod import;
mod pages;
mod plan;
mod probe;
mod signs;

use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use lambda_runtime::Error;
use serde_json::Value;
use shared::aws::Clients;
use shared::blob::Bucket;
use shared::blob::audience::NotLaid;
use shared::config::{InvalidSettings, Settings};
use shared::meta::client::{GraphClient, NoClient};
use shared::queue::{self, DispatchCommand, Queue, QueueUnavailable};
use shared::secrets::Secrets;
use shared::store::Core;
use shared::store::rollups::Rollups;
use shared::time::UnixMillis;

/// How long a page may be out before it counts as forgotten.
const DEFAULT_FORGOTTEN_AFTER_S: u64 = 120;

/// How long after it was asked for the last pass of an erasure begins at the soonest: by then what was under way when the
/// first began (a send, a notification on the queue, the stream) is where a pass can find it. A message that fails comes back for
/// an hour (the events queue tries 10 times every 6 minutes, the send queue 5 times every 12: `template.yaml`), and what it
/// leads to may take another.
const DEFAULT_ERASURE_SETTLES_AFTER_S: u64 = 7_200;

/// What the function is told by its environment.
pub struct Config {
    core_table: String,
    rollup_table: String,
    bucket: String,
    send_queue_url: String,
    dispatch_queue_url: String,
    forgotten_after: Duration,
    graph_url: String,
    graph_version: String,
    erasure_settles_after: Duration,
}

impl Config {
    /// Reads `CORE_TABLE`, `ROLLUP_TABLE`, `BUCKET`, `SEND_QUEUE_URL`, `DISPATCH_QUEUE_URL` and, optionally,
    /// `PAGE_FORGOTTEN_AFTER_S` (120), after which a silent job counts as forgotten as well, `ERASURE_SETTLES_AFTER_S`
    /// (7,200), `META_GRAPH_URL` and `META_GRAPH_VERSION`.
    ///
    /// # Errors
    /// With everything that is missing or malformed.
    pub fn read(mut settings: Settings) -> Result<Self, InvalidSettings> {
        let core_table = settings.required("CORE_TABLE");
        let rollup_table = settings.required("ROLLUP_TABLE");
        let bucket = settings.required("BUCKET");
        let send_queue_url = settings.required("SEND_QUEUE_URL");
        let dispatch_queue_url = settings.required("DISPATCH_QUEUE_URL");
        let erasure_settles_after_s = settings.or("ERASURE_SETTLES_AFTER_S", DEFAULT_ERASURE_SETTLES_AFTER_S);
        let forgotten_after_s = settings.or("PAGE_FORGOTTEN_AFTER_S", DEFAULT_FORGOTTEN_AFTER_S);
        let graph_url = settings.or("META_GRAPH_URL", "https://graph.facebook.com".to_owned());
        let graph_version = settings.or("META_GRAPH_VERSION", "v26.0".to_owned());
        settings.finish(|| {
            Some(Self {
                graph_url,
                graph_version,
                core_table: core_table?,
                rollup_table: rollup_table?,
                bucket: bucket?,
                send_queue_url: send_queue_url?,
                dispatch_queue_url: dispatch_queue_url?,
                forgotten_after: Duration::from_secs(forgotten_after_s),
                erasure_settles_after: Duration::from_secs(erasure_settles_after_s),
            })
        })
    }
}

/// What the handler works with.
pub struct Dispatch {
    core: Core,
    rollups: Rollups,
    bucket: Bucket,
    send: Queue,
    /// Its own queue, for what is left to another invocation.
    commands: Queue,
    forgotten_after: Duration,
    graph: GraphClient,
    secrets: Secrets,
    erasure_settles_after: Duration,
}

impl Dispatch {
    /// Connects the configuration with the clients.
    ///
    /// # Errors
    /// [`NoClient`].
    pub fn new(config: Config, clients: &Clients, secrets: Secrets) -> Result<Self, NoClient> {
        Ok(Self {
            graph: GraphClient::new(&config.graph_url, &config.graph_version)?,
            secrets,
            core: Core::new(clients.dynamodb.clone(), config.core_table),
            rollups: Rollups::new(clients.dynamodb.clone(), config.rollup_table),
            bucket: Bucket::new(clients.s3.clone(), config.bucket),
            send: Queue::new(clients.sqs.clone(), config.send_queue_url),
            commands: Queue::new(clients.sqs.clone(), config.dispatch_queue_url),
            forgotten_after: config.forgotten_after,
            erasure_settles_after: config.erasure_settles_after,
        })
    }
}

/// Answers one invocation: a batch of the dispatch queue, or the schedule.
///
/// # Errors
/// When the schedule's work failed; the next tick does it.
pub async fn handle(dispatch: &Dispatch, event: Value) -> Result<Value, Error> {
    if event.get("Records").is_some() {
        let batch: SqsEvent = serde_json::from_value(event)?;
        Ok(serde_json::to_value(commands(dispatch, batch).await)?)
    } else {
        let (ticked, ()) = tokio::join!(tick(dispatch), probe::run(dispatch, UnixMillis::now()));
        ticked.map(|()| Value::Null)
    }
}

/// Why a command was not carried out; it comes back.
#[derive(Debug, thiserror::Error)]
enum NotDone {
    #[error(transparent)]
    Advance(#[from] advance::NotAdvanced),
    #[error(transparent)]
    Plan(#[from] NotLaid),
    #[error(transparent)]
    Import(#[from] import::NotDone),
    #[error(transparent)]
    Erase(#[from] erase::NotDone),
    #[error(transparent)]
    Export(#[from] export::NotDone),
    #[error(transparent)]
    Queue(#[from] QueueUnavailable),
}

/// Carries out each command once, jobs last: those take minutes.
async fn commands(dispatch: &Dispatch, batch: SqsEvent) -> SqsBatchResponse {
    let mut response = SqsBatchResponse::default();
    let mut commands: Vec<(DispatchCommand, Vec<String>)> = Vec::new();
    for record in batch.records {
        let id = record.message_id.clone().unwrap_or_default();
        match queue::read(record.body.as_deref()) {
            Ok(command) => match commands.iter_mut().find(|(known, _)| *known == command) {
                Some((_, messages)) => messages.push(id),
                None => commands.push((command, vec![id])),
            },
            Err(error) => {
                tracing::error!(message = id, %error, "not a message of the dispatch queue");
                response.add_failure(id);
            }
        }
    }
    commands.sort_by_key(|(command, _)| command.is_job());
    let mut jobs = 0;
    for (command, messages) in commands {
        jobs += u32::from(command.is_job());
        // One job for one invocation: the others get invocations of their own.
        let done = if jobs > 1 { pass_on(dispatch, &command).await } else { carry_out(dispatch, &command).await };
        if let Err(error) = done {
            tracing::error!(?command, %error, "a command was not carried out");
            messages.into_iter().for_each(|id| response.add_failure(id));
        }
    }
    response
}

async fn carry_out(dispatch: &Dispatch, command: &DispatchCommand) -> Result<(), NotDone> {
    let (now, after) = (UnixMillis::now(), dispatch.forgotten_after);
    match *command {
        DispatchCommand::Advance { workspace, campaign } => {
            Ok(advance::campaign(dispatch, workspace, campaign, after, now).await?)
        }
        DispatchCommand::Resume { workspace, campaign } => {
            Ok(advance::campaign(dispatch, workspace, campaign, Duration::ZERO, now).await?)
        }
        DispatchCommand::Plan { workspace, campaign } => Ok(plan::run(dispatch, workspace, campaign).await?),
        DispatchCommand::Import { workspace, import } => Ok(import::run(dispatch, workspace, import).await?),
        DispatchCommand::Erase { workspace } => Ok(erase::run(dispatch, workspace).await?),
        DispatchCommand::Export { workspace, contact } => Ok(export::run(dispatch, workspace, contact).await?),
    }
}

async fn pass_on(dispatch: &Dispatch, command: &DispatchCommand) -> Result<(), NotDone> {
    Ok(dispatch.commands.send(command, Duration::ZERO).await?)
}

/// The watchdog: asks for jobs again of which nothing is heard, and looks at every campaign that is due.
async fn tick(dispatch: &Dispatch) -> Result<(), Error> {
    let now = UnixMillis::now();
    let before = UnixMillis(now.0 - i64::try_from(dispatch.forgotten_after.as_millis()).unwrap_or(i64::MAX));
    for job in dispatch.core.silent_jobs(before, now).await? {
        tracing::warn!(?job, "nothing was heard of a job, and it is asked for again");
        dispatch.commands.send(&job, Duration::ZERO).await?;
    }
    let mut failed = None;
    for (workspace, campaign) in dispatch.core.due_campaigns(now).await? {
        if let Err(error) = advance::campaign(dispatch, workspace, campaign, dispatch.forgotten_after, now).await {
            tracing::error!(%campaign, %error, "a campaign could not be advanced");
            failed = Some(error);
        }
    }
    failed.map_or(Ok(()), |error| Err(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_erasure_outlasts_the_retries_of_two_queues_unless_it_is_told_otherwise() {
        let settles_after = |more: Option<(&str, &str)>| {
            let names = ["CORE_TABLE", "ROLLUP_TABLE", "BUCKET", "SEND_QUEUE_URL", "DISPATCH_QUEUE_URL"];
            let given = names.into_iter().map(|name| (name, "x")).chain(more);
            let settings = Settings::from_values(given.map(|(name, value)| (name.to_owned(), value.to_owned())));
            Config::read(settings).unwrap().erasure_settles_after
        };
        assert!(settles_after(None) >= Duration::from_secs(360 * 10 + 720 * 5));
        assert_eq!(settles_after(Some(("ERASURE_SETTLES_AFTER_S", "3"))), Duration::from_secs(3));
    }
}
