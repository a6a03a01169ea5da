//! Turns what came in from outside into rows: every item of every notification, every click, each on its own, each as often
//! as it likes. A message whose effects could not all be written goes back to its queue alone.

mod account;
mod app;
mod attribution;
mod call;
mod click;
mod collected;
mod consent;
mod effects;
mod group;
mod media;
mod message;
mod names;
mod origin;
mod people;
mod place;
mod remembered;
mod reply;
mod routes;
mod status;
mod templates;
mod told;
mod visitor;
mod webhook;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use futures::StreamExt;
use shared::aws::Clients;
use shared::blob::{BlobError, Bucket};
use shared::config::{InvalidSettings, Settings};
use shared::id::WorkspaceId;
use shared::link::ShortLinks;
use shared::link::code::KeyRing;
use shared::queue::{self, Inbound, Queue};
use shared::store::{Core, StoreError};

use crate::attribution::Links;
use crate::consent::Rules;
use crate::effects::Effects;
use crate::people::Acquaintances;
use crate::place::Places;
use crate::remembered::Remembered;
use crate::routes::Routes;

/// Writes under way at once: enough to hide the table's latency, few enough to leave a small machine its breath.
const WRITES_AT_ONCE: usize = 32;

/// What the function is told by its environment.
pub struct Config {
    core_table: String,
    bucket: String,
    city_db: Option<PathBuf>,
    send_queue_url: Option<String>,
    link_keys: KeyRing,
}

impl Config {
    /// Reads `CORE_TABLE`, `BUCKET`, `LINK_KEYS` and, optionally, `GEOIP_CITY_DB`: a MaxMind city database, and `SEND_QUEUE_URL`: without
    /// it nobody is answered, as it must be where what came in long ago is taken in again.
    ///
    /// # Errors
    /// With everything that is missing or malformed.
    pub fn read(mut settings: Settings) -> Result<Self, InvalidSettings> {
        let core_table = settings.required("CORE_TABLE");
        let bucket = settings.required("BUCKET");
        let city_db: Option<String> = settings.optional("GEOIP_CITY_DB");
        let send_queue_url = settings.optional("SEND_QUEUE_URL");
        let link_keys = settings.required("LINK_KEYS");
        settings.finish(|| {
            Some(Self {
                core_table: core_table?,
                bucket: bucket?,
                city_db: city_db.map(PathBuf::from),
                send_queue_url,
                link_keys: link_keys?,
            })
        })
    }
}

/// The city database cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("GEOIP_CITY_DB: the city database cannot be read")]
pub struct NoCityDatabase(#[source] maxminddb::MaxMindDbError);

/// What the handler works with.
pub struct Ingest {
    core: Core,
    bucket: Bucket,
    places: Places,
    sender: Option<Queue>,
    routes: Routes,
    people: Acquaintances,
    rules: Remembered<WorkspaceId, Arc<Rules>>,
    short_links: ShortLinks,
    links: Links,
}

impl Ingest {
    /// Connects the configuration with the clients.
    ///
    /// # Errors
    /// [`NoCityDatabase`].
    pub fn new(config: Config, clients: &Clients) -> Result<Self, NoCityDatabase> {
        let places = match &config.city_db {
            Some(path) => Places::open(path).map_err(NoCityDatabase)?,
            None => Places::none(),
        };
        Ok(Self {
            core: Core::new(clients.dynamodb.clone(), config.core_table),
            bucket: Bucket::new(clients.s3.clone(), config.bucket),
            places,
            sender: config.send_queue_url.map(|url| Queue::new(clients.sqs.clone(), url)),
            routes: Routes::default(),
            people: Acquaintances::default(),
            rules: Remembered::default(),
            short_links: ShortLinks::new("", config.link_keys),
            links: Links::default(),
        })
    }
}

/// Why a message's effects are not written: it goes back to the queue.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotIngested {
    /// It is no message of ours; after some tries it lies in the dead-letter queue for people to look at.
    #[error("not a message of the events queue")]
    Unreadable(#[source] serde_json::Error),
    /// The object that it points to is such a message again.
    #[error("a message that points to one that points to another")]
    Nested,
    /// It answers a message whose id is not known yet.
    #[error("a reply quotes a message whose id has not come yet")]
    TooEarly,
    /// The body that the message points to.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// A table.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Takes in a batch. What failed is in the response, all else is written.
pub async fn handle(ingest: &Ingest, batch: SqsEvent) -> SqsBatchResponse {
    let mut response = SqsBatchResponse::default();
    let read: Vec<(String, Result<Effects, NotIngested>)> = futures::stream::iter(batch.records)
        .map(|record| async move {
            let id = record.message_id.clone().unwrap_or_default();
            (id, effects_of(ingest, record.body.as_deref()).await)
        })
        .buffered(WRITES_AT_ONCE)
        .collect()
        .await;

    // Effects on one attempt are written together whichever message they came in; each message remembers what it needs.
    let mut whole = Effects::default();
    let mut needs: BTreeMap<String, effects::Needs> = BTreeMap::new();
    for (id, effects) in read {
        match effects {
            Ok(effects) => {
                needs.insert(id, effects.needs());
                whole.merge(effects);
            }
            Err(error) => {
                tracing::error!(message = id, %error, "a message could not be taken in");
                response.add_failure(id);
            }
        }
    }
    let failed = whole.write(ingest).await;
    for (id, needs) in needs {
        if needs.meets(&failed) {
            response.add_failure(id);
        }
    }
    response
}

async fn effects_of(ingest: &Ingest, body: Option<&str>) -> Result<Effects, NotIngested> {
    let inbound = match queue::read(body).map_err(NotIngested::Unreadable)? {
        Inbound::Overflow { key, .. } => {
            serde_json::from_slice(&ingest.bucket.get(&key).await?).map_err(NotIngested::Unreadable)?
        }
        inbound => inbound,
    };
    match inbound {
        Inbound::MetaWebhook { received_at, body } => webhook::effects(ingest, body.as_bytes(), received_at).await,
        Inbound::MetaWebhookObject { received_at, key } => {
            let body = ingest.bucket.get(&key).await?;
            webhook::effects(ingest, &body, received_at).await
        }
        Inbound::Click(click) => Ok(click::effects(ingest, &click).await?),
        Inbound::Collected(collected) => collected::effects(ingest, &collected::enriched(ingest, *collected)).await,
        Inbound::Told(told) => told::effects(ingest, &told).await,
        Inbound::Overflow { .. } => Err(NotIngested::Nested),
    }
}
