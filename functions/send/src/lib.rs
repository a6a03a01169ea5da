//! Sends pages of recipients: reserves the page's slots of the account's rate, claims each recipient, calls Meta at the
//! slot's time, and records the answer. A crash at any line leaves a recipient unsent and free, or claimed and then
//! unknown, but never sent to twice.

mod breaker;
mod confirm;
mod context;
mod gate;
mod look;
mod media;
mod message;
mod outcome;
mod pacer;
mod page;
mod recipient;
mod stop;
mod turn;
mod unknown;

use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use futures::StreamExt;
use shared::attempt::claim::CALL_TIMEOUT;
use shared::aws::Clients;
use shared::blob::Bucket;
use shared::config::{InvalidSettings, Settings};
use shared::link::ShortLinks;
use shared::link::code::KeyRing;
use shared::media::MediaLibrary;
use shared::meta::client::{GraphClient, NoClient};
use shared::queue::{self, Queue, SendCommand};
use shared::retention::Retention;
use shared::secrets::Secrets;
use shared::store::Core;
use shared::time::UnixMillis;

use crate::breaker::Breaker;
use crate::confirm::Confirmed;
use crate::pacer::Pacer;
use crate::page::PageOutcome;

/// Pages of one batch that are sent at once.
const PAGES_AT_ONCE: usize = 4;

/// What the function is told by its environment.
pub struct Config {
    core_table: String,
    retention: Retention,
    bucket: String,
    send_queue_url: String,
    dispatch_queue_url: String,
    graph_url: String,
    graph_version: String,
    call_timeout: Duration,
    unknown_grace: Duration,
    link_base_url: String,
    link_keys: KeyRing,
}

/// How long an attempt stays unknown before Meta's history is asked and, if the campaign wants it, it is sent again:
/// long enough for the webhooks of a message that did arrive.
const DEFAULT_UNKNOWN_GRACE_S: u64 = 300;

impl Config {
    /// Reads `CORE_TABLE`, `BUCKET`, `SEND_QUEUE_URL`, `DISPATCH_QUEUE_URL`, `LINK_BASE_URL`, `LINK_KEYS` and, with
    /// Meta's own as default, `META_GRAPH_URL` and `META_GRAPH_VERSION`; `META_CALL_TIMEOUT_MS` (10,000) and
    /// `UNKNOWN_GRACE_S` (300) are for tests and for networks that are slower than usual.
    ///
    /// # Errors
    /// With everything that is missing or malformed.
    pub fn read(mut settings: Settings) -> Result<Self, InvalidSettings> {
        let core_table = settings.required("CORE_TABLE");
        let retention = settings.or("RETENTION", Retention::default());
        let bucket = settings.required("BUCKET");
        let send_queue_url = settings.required("SEND_QUEUE_URL");
        let dispatch_queue_url = settings.required("DISPATCH_QUEUE_URL");
        let link_base_url = settings.required("LINK_BASE_URL");
        let link_keys = settings.required("LINK_KEYS");
        let graph_url = settings.or("META_GRAPH_URL", "https://graph.facebook.com".to_owned());
        let graph_version = settings.or("META_GRAPH_VERSION", "v26.0".to_owned());
        let call_timeout_ms = settings.or("META_CALL_TIMEOUT_MS", u64::try_from(CALL_TIMEOUT.as_millis()).unwrap_or(0));
        let unknown_grace_s = settings.or("UNKNOWN_GRACE_S", DEFAULT_UNKNOWN_GRACE_S);
        settings.finish(|| {
            Some(Self {
                core_table: core_table?,
                retention,
                bucket: bucket?,
                send_queue_url: send_queue_url?,
                dispatch_queue_url: dispatch_queue_url?,
                graph_url,
                graph_version,
                call_timeout: Duration::from_millis(call_timeout_ms.max(1)),
                unknown_grace: Duration::from_secs(unknown_grace_s),
                link_base_url: link_base_url?,
                link_keys: link_keys?,
            })
        })
    }
}

/// What the handler works with.
pub struct Send {
    core: Core,
    bucket: Bucket,
    pages: Queue,
    dispatch: Queue,
    graph: GraphClient,
    media: MediaLibrary,
    links: ShortLinks,
    secrets: Secrets,
    breaker: Breaker,
    pacer: Pacer,
    call_timeout: Duration,
    unknown_grace: Duration,
}

impl Send {
    /// Connects the configuration with the clients.
    ///
    /// # Errors
    /// [`NoClient`].
    pub fn new(config: Config, clients: &Clients, secrets: Secrets) -> Result<Self, NoClient> {
        let graph = GraphClient::with_call_timeout(&config.graph_url, &config.graph_version, config.call_timeout)?;
        let core = Core::new(clients.dynamodb.clone(), config.core_table).keeping(config.retention);
        let bucket = Bucket::new(clients.s3.clone(), config.bucket);
        Ok(Self {
            media: MediaLibrary::new(core.clone(), bucket.clone(), graph.clone()),
            core,
            bucket,
            graph,
            pages: Queue::new(clients.sqs.clone(), config.send_queue_url),
            dispatch: Queue::new(clients.sqs.clone(), config.dispatch_queue_url),
            links: ShortLinks::new(&config.link_base_url, config.link_keys),
            secrets,
            breaker: Breaker::default(),
            pacer: Pacer::default(),
            call_timeout: config.call_timeout,
            unknown_grace: config.unknown_grace,
        })
    }
}

/// Sends a batch of pages. A page that is not finished comes back to the queue by itself.
pub async fn handle(send: &Send, batch: SqsEvent) -> SqsBatchResponse {
    let mut response = SqsBatchResponse::default();
    let unfinished: Vec<Option<String>> = futures::stream::iter(batch.records)
        .map(|message| one(send, message))
        .buffer_unordered(PAGES_AT_ONCE)
        .collect()
        .await;
    for id in unfinished.into_iter().flatten() {
        response.add_failure(id);
    }
    response
}

/// Sends one page; its message id when it has to come back.
async fn one(send: &Send, message: SqsMessage) -> Option<String> {
    let id = message.message_id.clone().unwrap_or_default();
    let command = match queue::read(message.body.as_deref()) {
        Ok(command) => command,
        Err(error) => {
            tracing::error!(message = id, %error, "not a message of the send queue");
            return Some(id);
        }
    };
    let (workspace, campaign, page) = match command {
        SendCommand::Page { workspace, campaign, page } => (workspace, campaign, page),
        SendCommand::Resolve { workspace, campaign, page } => {
            return match page::resolve(send, workspace, campaign, page).await {
                Ok(()) => None,
                Err(error) => {
                    tracing::error!(%campaign, page = page.0, %error, "unknown attempts could not be looked up");
                    Some(id)
                }
            };
        }
        SendCommand::Confirm { workspace, account, word } => {
            let waits = match confirm::send(send, workspace, account, word).await {
                Ok(Confirmed::Done) => return None,
                Ok(Confirmed::Later(until)) => {
                    send.pages.send(&command, until.since(UnixMillis::now()).max(SHORTEST_WAIT)).await
                }
                Err(error) => {
                    tracing::error!(%word, %error, "a word could not be answered");
                    return Some(id);
                }
            };
            return waits.is_err().then_some(id);
        }
    };
    match page::send(send, workspace, campaign, page).await {
        Ok(PageOutcome::Finished) => None,
        Ok(PageOutcome::Later(until, reason)) => {
            let delay = until.since(UnixMillis::now());
            tracing::info!(%campaign, page = page.0, delay_ms = delay.as_millis(), reason, "a page waits");
            // The page waits as a new message, not as a failure of this one: a wait says nothing about the page, and
            // failures are counted towards the dead-letter queue. What waits longer than a queue can hold is given out
            // by `dispatch` when its time has come.
            let parked = delay > queue::MAX_DELAY;
            let deferred = send.core.defer_page(workspace, campaign, page, until, &reason, parked).await;
            let waits = if parked { Ok(()) } else { send.pages.send(&command, delay).await };
            match (deferred, waits) {
                (Ok(()), Ok(())) => None,
                _ => Some(id),
            }
        }
        Err(error) => {
            tracing::error!(%campaign, page = page.0, %error, "a page could not be sent");
            Some(id)
        }
    }
}

/// A page waits at least so long before it is looked at again.
const SHORTEST_WAIT: Duration = Duration::from_millis(200);
