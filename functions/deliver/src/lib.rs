//! Posts events to those who have subscribed. Woken by parcels of deliveries on its queue and, as a watchdog, by a schedule,
//! which asks for parcels again that are due and of which nothing was heard. A delivery that was cut off is posted again
//! under the same id; none is left out.

mod parcel;
mod post;
mod sweep;

use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use lambda_runtime::Error;
use serde_json::Value;
use shared::aws::Clients;
use shared::config::{InvalidSettings, Settings};
use shared::outbound::{Client, Rules};
use shared::queue::{self, DeliverCommand, Queue};
use shared::secrets::Secrets;
use shared::store::Core;
use shared::subscription::ladder::Ladder;

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a post may take in all, unless the environment says otherwise. The Standard Webhooks specification suggests 15 to
/// 30 seconds; whoever needs longer should answer first and work then.
const DEFAULT_TIMEOUT_MS: u64 = 15_000;

/// How long a parcel may be due, with a queue message on its way, before it counts as forgotten.
const DEFAULT_FORGOTTEN_AFTER_S: u64 = 120;

/// What the function is told by its environment.
pub struct Config {
    core_table: String,
    deliver_queue_url: String,
    rules: Rules,
    timeout: Duration,
    ladder: Ladder,
    forgotten_after: Duration,
}

impl Config {
    /// Reads `CORE_TABLE`, `DELIVER_QUEUE_URL` and, optionally, `DELIVER_ALLOW_PRIVATE` (`false`: whether one's own network
    /// may be called), `DELIVER_TIMEOUT_MS` (15,000), `DELIVER_RETRY_DELAYS_S` (those of the Standard Webhooks
    /// specification) and `PARCEL_FORGOTTEN_AFTER_S` (120).
    ///
    /// # Errors
    /// With everything that is missing or malformed.
    pub fn read(mut settings: Settings) -> Result<Self, InvalidSettings> {
        let core_table = settings.required("CORE_TABLE");
        let deliver_queue_url = settings.required("DELIVER_QUEUE_URL");
        let allow_private = settings.or("DELIVER_ALLOW_PRIVATE", false);
        let timeout_ms = settings.or("DELIVER_TIMEOUT_MS", DEFAULT_TIMEOUT_MS);
        let ladder = settings.or("DELIVER_RETRY_DELAYS_S", Ladder::default());
        let forgotten_after_s = settings.or("PARCEL_FORGOTTEN_AFTER_S", DEFAULT_FORGOTTEN_AFTER_S);
        settings.finish(|| {
            Some(Self {
                core_table: core_table?,
                deliver_queue_url: deliver_queue_url?,
                rules: Rules::from_setting(allow_private),
                timeout: Duration::from_millis(timeout_ms.max(1)),
                ladder,
                forgotten_after: Duration::from_secs(forgotten_after_s),
            })
        })
    }
}

/// What the handler works with.
pub struct Deliver {
    core: Core,
    parcels: Queue,
    secrets: Secrets,
    rules: Rules,
    http: Client,
    ladder: Ladder,
    forgotten_after: Duration,
}

/// No HTTP client could be built: no trust store, for instance.
#[derive(Debug, thiserror::Error)]
#[error("no HTTP client can be made")]
pub struct NoClient(#[from] reqwest::Error);

impl Deliver {
    /// Connects the configuration with the clients.
    ///
    /// # Errors
    /// [`NoClient`].
    pub fn new(config: Config, clients: &Clients, secrets: Secrets) -> Result<Self, NoClient> {
        Ok(Self {
            core: Core::new(clients.dynamodb.clone(), config.core_table),
            parcels: Queue::new(clients.sqs.clone(), config.deliver_queue_url),
            secrets,
            rules: config.rules,
            http: config.rules.client(CONNECT_TIMEOUT, config.timeout)?,
            ladder: config.ladder,
            forgotten_after: config.forgotten_after,
        })
    }
}

/// Answers one invocation: a batch of the queue, or the schedule.
///
/// # Errors
/// When the schedule's work failed; the next tick does it.
pub async fn handle(deliver: &Deliver, event: Value) -> Result<Value, Error> {
    if event.get("Records").is_some() {
        let batch: SqsEvent = serde_json::from_value(event)?;
        Ok(serde_json::to_value(parcels(deliver, batch).await)?)
    } else {
        sweep::tick(deliver).await?;
        Ok(Value::Null)
    }
}

/// Posts the parcels of a batch side by side, so that a slow one holds up no other.
async fn parcels(deliver: &Deliver, batch: SqsEvent) -> SqsBatchResponse {
    let mut response = SqsBatchResponse::default();
    let unfinished = futures::future::join_all(batch.records.into_iter().map(|message| one(deliver, message))).await;
    for id in unfinished.into_iter().flatten() {
        response.add_failure(id);
    }
    response
}

/// Posts one parcel; its message id when it has to come back.
async fn one(deliver: &Deliver, message: SqsMessage) -> Option<String> {
    let id = message.message_id.clone().unwrap_or_default();
    let DeliverCommand::Parcel { parcel } = match queue::read(message.body.as_deref()) {
        Ok(command) => command,
        Err(error) => {
            tracing::error!(message = id, %error, "not a message of the queue of deliveries");
            return Some(id);
        }
    };
    match parcel::run(deliver, parcel).await {
        Ok(()) => None,
        Err(error) => {
            tracing::error!(parcel = %parcel.id, %error, "a parcel could not be posted");
            Some(id)
        }
    }
}
