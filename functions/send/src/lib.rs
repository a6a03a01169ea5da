//! Sends pages of recipients: reserves the page's slots of the account's rate, claims each recipient, calls Meta at the
//! slot's time, and records the answer. A crash at any line leaves a recipient unsent and free, or claimed and then
//! unknown, but never sent to twice.

mod breaker;
mod context;
mod media;
mod outcome;
mod page;
mod recipient;

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use futures::StreamExt;
use shared::aws::Clients;
use shared::blob::Bucket;
use shared::config::{InvalidSettings, Settings};
use shared::id::AccountId;
use shared::link::ShortLinks;
use shared::link::code::KeyRing;
use shared::media::MediaLibrary;
use shared::meta::client::{GraphClient, NoClient};
use shared::queue::{self, Queue, SendCommand};
use shared::secrets::Secrets;
use shared::store::Core;
use shared::throttle::UnixMicros;
use shared::time::UnixMillis;

use crate::breaker::Breaker;
use crate::page::PageOutcome;

/// Pages of one batch that are sent at once.
const PAGES_AT_ONCE: usize = 4;

/// What the function is told by its environment.
pub struct Config {
    core_table: String,
    bucket: String,
    send_queue_url: String,
    dispatch_queue_url: String,
    graph_url: String,
    graph_version: String,
    link_base_url: String,
    link_keys: KeyRing,
}

impl Config {
    /// Reads `CORE_TABLE`, `BUCKET`, `SEND_QUEUE_URL`, `DISPATCH_QUEUE_URL`, `LINK_BASE_URL`, `LINK_KEYS` and, with
    /// Meta's own as default, `META_GRAPH_URL` and `META_GRAPH_VERSION`.
    ///
    /// # Errors
    /// With everything that is missing or malformed.
    pub fn read(mut settings: Settings) -> Result<Self, InvalidSettings> {
        let core_table = settings.required("CORE_TABLE");
        let bucket = settings.required("BUCKET");
        let send_queue_url = settings.required("SEND_QUEUE_URL");
        let dispatch_queue_url = settings.required("DISPATCH_QUEUE_URL");
        let link_base_url = settings.required("LINK_BASE_URL");
        let link_keys = settings.required("LINK_KEYS");
        let graph_url = settings.or("META_GRAPH_URL", "https://graph.facebook.com".to_owned());
        let graph_version = settings.or("META_GRAPH_VERSION", "v26.0".to_owned());
        settings.finish(|| {
            Some(Self {
                core_table: core_table?,
                bucket: bucket?,
                send_queue_url: send_queue_url?,
                dispatch_queue_url: dispatch_queue_url?,
                graph_url,
                graph_version,
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
    next_free: Mutex<HashMap<AccountId, UnixMicros>>,
}

impl Send {
    /// Connects the configuration with the clients.
    ///
    /// # Errors
    /// [`NoClient`].
    pub fn new(config: Config, clients: &Clients, secrets: Secrets) -> Result<Self, NoClient> {
        let core = Core::new(clients.dynamodb.clone(), config.core_table);
        let bucket = Bucket::new(clients.s3.clone(), config.bucket);
        let graph = GraphClient::new(&config.graph_url, &config.graph_version)?;
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
            next_free: Mutex::default(),
        })
    }

    /// The account's next free slot as last seen here: a guess, which saves a write when it is right.
    fn last_seen(&self, account: AccountId) -> Option<UnixMicros> {
        self.next_free.lock().unwrap_or_else(PoisonError::into_inner).get(&account).copied()
    }

    fn saw(&self, account: AccountId, next_free: UnixMicros) {
        self.next_free.lock().unwrap_or_else(PoisonError::into_inner).insert(account, next_free);
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
    let SendCommand::Page { workspace, campaign, page } = command;
    match page::send(send, workspace, campaign, page).await {
        Ok(PageOutcome::Finished) => None,
        Ok(PageOutcome::Later(delay, reason)) => {
            tracing::info!(%campaign, page = page.0, delay_ms = delay.as_millis(), reason, "a page waits");
            // The page waits as a new message, not as a failure of this one: a wait says nothing about the page, and
            // failures are counted towards the dead-letter queue.
            let until = UnixMillis::now().plus(delay);
            let deferred = send.core.defer_page(workspace, campaign, page, until, reason).await;
            let waits = send.pages.send(&command, delay.min(queue::MAX_DELAY)).await;
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
