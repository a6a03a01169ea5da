//! Gives the sender its work: keeps a rolling horizon of pages enqueued, gives forgotten pages out again, and ends a
//! campaign when every page is done. Woken by commands (a start, a finished page) and, as a watchdog, by a schedule; so
//! nothing depends on a queue message surviving.

mod advance;
mod guard;
mod pages;

use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use lambda_runtime::Error;
use serde_json::Value;
use shared::aws::Clients;
use shared::config::{InvalidSettings, Settings};
use shared::queue::{self, DispatchCommand, Queue};
use shared::store::Core;
use shared::store::rollups::Rollups;
use shared::time::UnixMillis;

/// How long a page may be out before it counts as forgotten.
const DEFAULT_FORGOTTEN_AFTER_S: u64 = 120;

/// What the function is told by its environment.
pub struct Config {
    core_table: String,
    rollup_table: String,
    send_queue_url: String,
    forgotten_after: Duration,
}

impl Config {
    /// Reads `CORE_TABLE`, `ROLLUP_TABLE`, `SEND_QUEUE_URL` and, optionally, `PAGE_FORGOTTEN_AFTER_S` (120).
    ///
    /// # Errors
    /// With everything that is missing or malformed.
    pub fn read(mut settings: Settings) -> Result<Self, InvalidSettings> {
        let core_table = settings.required("CORE_TABLE");
        let rollup_table = settings.required("ROLLUP_TABLE");
        let send_queue_url = settings.required("SEND_QUEUE_URL");
        let forgotten_after_s = settings.or("PAGE_FORGOTTEN_AFTER_S", DEFAULT_FORGOTTEN_AFTER_S);
        settings.finish(|| {
            Some(Self {
                core_table: core_table?,
                rollup_table: rollup_table?,
                send_queue_url: send_queue_url?,
                forgotten_after: Duration::from_secs(forgotten_after_s),
            })
        })
    }
}

/// What the handler works with.
pub struct Dispatch {
    core: Core,
    rollups: Rollups,
    send: Queue,
    forgotten_after: Duration,
}

impl Dispatch {
    /// Connects the configuration with the clients.
    #[must_use]
    pub fn new(config: Config, clients: &Clients) -> Self {
        Self {
            core: Core::new(clients.dynamodb.clone(), config.core_table),
            rollups: Rollups::new(clients.dynamodb.clone(), config.rollup_table),
            send: Queue::new(clients.sqs.clone(), config.send_queue_url),
            forgotten_after: config.forgotten_after,
        }
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
        tick(dispatch).await?;
        Ok(Value::Null)
    }
}

/// Looks at each campaign that a command names, once.
async fn commands(dispatch: &Dispatch, batch: SqsEvent) -> SqsBatchResponse {
    let now = UnixMillis::now();
    let mut response = SqsBatchResponse::default();
    let mut looked_at = Vec::new();
    for record in batch.records {
        let id = record.message_id.clone().unwrap_or_default();
        let command = match queue::read(record.body.as_deref()) {
            Ok(command) => command,
            Err(error) => {
                tracing::error!(message = id, %error, "not a message of the dispatch queue");
                response.add_failure(id);
                continue;
            }
        };
        let (workspace, campaign, forgotten_after) = match command {
            DispatchCommand::Advance { workspace, campaign } => (workspace, campaign, dispatch.forgotten_after),
            DispatchCommand::Resume { workspace, campaign } => (workspace, campaign, Duration::ZERO),
        };
        if looked_at.contains(&command) {
            continue;
        }
        match advance::campaign(dispatch, workspace, campaign, forgotten_after, now).await {
            Ok(()) => looked_at.push(command),
            Err(error) => {
                tracing::error!(%campaign, %error, "a campaign could not be advanced");
                response.add_failure(id);
            }
        }
    }
    response
}

/// The watchdog: looks at every campaign that is due.
async fn tick(dispatch: &Dispatch) -> Result<(), Error> {
    let now = UnixMillis::now();
    let mut failed = None;
    for (workspace, campaign) in dispatch.core.due_campaigns(now).await? {
        if let Err(error) = advance::campaign(dispatch, workspace, campaign, dispatch.forgotten_after, now).await {
            tracing::error!(%campaign, %error, "a campaign could not be advanced");
            failed = Some(error);
        }
    }
    failed.map_or(Ok(()), |error| Err(error.into()))
}
