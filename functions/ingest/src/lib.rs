//! Turns what came in from outside into rows: every item of every notification, every click, each on its own, each as often
//! as it likes.
//!
//! The message itself is kept first: its batch becomes an object of the archive while it is worked out what it changes, and
//! rows are written once that object is there, so no row is without the body it came of. Only then is the batch
//! acknowledged. A crash before that leaves its messages on the queue: they are taken in again, into the same rows. A message
//! whose effects could not all be written goes back to its queue alone; what can never be written is quarantined.

mod account;
mod again;
mod alone;
mod app;
mod attribution;
mod call;
mod click;
mod collected;
mod consent;
mod effects;
mod group;
mod identity_of_item;
mod inbox;
mod intake;
mod media;
mod message;
mod names;
mod origin;
mod people;
mod remembered;
mod reply;
mod routes;
mod status;
mod templates;
mod told;
mod visitor;
mod webhook;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use futures::{FutureExt, StreamExt};
use shared::archive::{self, Line, ObjectName, Place, UnreadableLine};
use shared::aws::Clients;
use shared::blob::{BlobError, Bucket};
use shared::config::{InvalidSettings, Settings};
use shared::id::WorkspaceId;
use shared::link::ShortLinks;
use shared::link::code::KeyRing;
use shared::queue::{Inbound, Queue};
use shared::retention::Retention;
use shared::store::{Core, StoreError};
use visitors::place::{OpenError, Places, Source};

use crate::attribution::{Links, Sites};
use crate::consent::Rules;
use crate::inbox::Message;
use crate::people::Acquaintances;
use crate::remembered::Remembered;
use crate::routes::Routes;

/// Writes under way at once: enough to hide the table's latency, few enough to leave a small machine its breath.
const WRITES_AT_ONCE: usize = 32;

/// Before what failed for now is tried again within the invocation, besides the tries of the SDK: a short failure of a table
/// is over by then, and a longer one is for the queue to wait for.
const PAUSES: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(1)];

/// What the function is told by its environment.
pub struct Config {
    core_table: String,
    retention: Retention,
    bucket: String,
    city_db: Option<PathBuf>,
    network_db: Option<PathBuf>,
    send_queue_url: Option<String>,
    link_keys: KeyRing,
}

impl Config {
    /// Reads `CORE_TABLE`, `BUCKET`, `LINK_KEYS` and, optionally, `GEOIP_CITY_DB` and `GEOIP_ASN_DB`: databases of cities and of networks in MaxMind's
    /// format, and `SEND_QUEUE_URL`: without it nobody is answered, as it must be where what came in long ago is taken in again.
    ///
    /// # Errors
    /// With everything that is missing or malformed.
    pub fn read(mut settings: Settings) -> Result<Self, InvalidSettings> {
        let core_table = settings.required("CORE_TABLE");
        let retention = settings.or("RETENTION", Retention::default());
        let bucket = settings.required("BUCKET");
        let city_db: Option<String> = settings.optional("GEOIP_CITY_DB");
        let network_db: Option<String> = settings.optional("GEOIP_ASN_DB");
        let send_queue_url = settings.optional("SEND_QUEUE_URL");
        let link_keys = settings.required("LINK_KEYS");
        settings.finish(|| {
            Some(Self {
                core_table: core_table?,
                retention,
                bucket: bucket?,
                city_db: city_db.map(PathBuf::from),
                network_db: network_db.map(PathBuf::from),
                send_queue_url,
                link_keys: link_keys?,
            })
        })
    }
}

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
    sites: Sites,
    purpose: Purpose,
}

/// What lines are taken in for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// They have just come.
    Live,
    /// They came before: rows that follow from them are made again, and nothing else happens.
    Replay,
}

impl Ingest {
    /// Connects the configuration with the clients. A database of networks that is not there is done without: a layer of the
    /// city database alone has none.
    ///
    /// # Errors
    /// [`OpenError`]: a database of places cannot be used.
    pub fn new(config: Config, clients: &Clients) -> Result<Self, OpenError> {
        let source = |setting, path| Source { setting, path };
        let network_db = config.network_db.filter(|path| is_there(path));
        let places = Places::open(
            config.city_db.as_deref().map(|path| source("GEOIP_CITY_DB", path)),
            network_db.as_deref().map(|path| source("GEOIP_ASN_DB", path)),
        )?;
        Ok(Self {
            core: Core::new(clients.dynamodb.clone(), config.core_table).keeping(config.retention),
            bucket: Bucket::new(clients.s3.clone(), config.bucket),
            places,
            sender: config.send_queue_url.map(|url| Queue::new(clients.sqs.clone(), url)),
            routes: Routes::default(),
            people: Acquaintances::default(),
            rules: Remembered::default(),
            short_links: ShortLinks::new("", config.link_keys),
            links: Links::default(),
            sites: Sites::default(),
            purpose: Purpose::Live,
        })
    }

    /// Makes rows again in `core` of what is in the archive. `link_keys` are those that read the click ids of pages.
    #[must_use]
    pub fn for_replay(core: Core, bucket: Bucket, link_keys: KeyRing) -> Self {
        Self {
            core,
            bucket,
            places: Places::none(),
            sender: None,
            routes: Routes::default(),
            people: Acquaintances::default(),
            rules: Remembered::default(),
            short_links: ShortLinks::new("", link_keys),
            links: Links::default(),
            sites: Sites::default(),
            purpose: Purpose::Replay,
        }
    }

    /// Whether what is taken in happened before. Then nothing may come of it but rows that follow from it: what Meta told of
    /// accounts, templates and files is on their rows already, nobody is answered, and nothing is waited for.
    fn is_replay(&self) -> bool {
        self.purpose == Purpose::Replay
    }
}

/// Whether there is a file at this path; says so if there is none. What cannot be looked at is left to who opens it.
fn is_there(path: &Path) -> bool {
    let is_missing = matches!(path.try_exists(), Ok(false));
    if is_missing {
        tracing::warn!(path = %path.display(), "GEOIP_ASN_DB is not there; networks stay unknown");
    }
    !is_missing
}

/// Why a message's effects are not written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotIngested {
    /// It is no message of ours, or one of a later version.
    #[error("not a message of the events queue")]
    Unreadable(#[source] serde_json::Error),
    /// It is a message of ours, but none that brings anything from outside.
    #[error("not a message that the archive keeps")]
    NotALine,
    /// An object of the archive.
    #[error(transparent)]
    Archive(#[from] UnreadableLine),
    /// What it changes could not all be written now.
    #[error("a message of the archive could not be taken in again")]
    NotWritten,
    /// It answers a message whose id is not known yet.
    #[error("a reply quotes a message whose id has not come yet")]
    TooEarly,
    /// A mistake of ours, which it would run into again.
    #[error("taking it in panicked")]
    Panicked,
    /// The body that the message points to.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// A table.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl NotIngested {
    /// Whether it may be over in a moment.
    const fn is_brief(&self) -> bool {
        // Whatever a reply waits for is in another message, or in the one that is being worked on.
        !self.is_permanent() && !matches!(self, Self::TooEarly)
    }

    /// Whether it will come again with every try, until somebody mends something.
    const fn is_permanent(&self) -> bool {
        match self {
            Self::Unreadable(_) | Self::NotALine | Self::Archive(_) | Self::Panicked => true,
            Self::NotWritten | Self::TooEarly | Self::Blob(_) => false,
            Self::Store(error) => error.is_permanent(),
        }
    }
}

/// Takes in a batch. What failed is in the response, all else is written. Once `has_time` says no, what has not been begun goes
/// back as well, but something is always begun: a batch that outlasts its invocation would come again, and outlast the next.
pub async fn handle(ingest: &Ingest, batch: SqsEvent, has_time: impl Fn() -> bool) -> SqsBatchResponse {
    let (messages, unreadable) = inbox::read(batch.records);
    let mut failed = BTreeSet::from_iter(unreadable);
    let (again, messages): (Vec<Message>, Vec<Message>) =
        messages.into_iter().partition(|message| matches!(message.inbound, Inbound::Again(_)));
    let (mut is_first, mut put_off) = (true, 0);
    let mut may_begin = |messages: usize| {
        let may = std::mem::take(&mut is_first) || has_time();
        put_off += if may { 0 } else { messages };
        may
    };
    for portion in inbox::portions(messages) {
        if may_begin(portion.len()) {
            failed.extend(take_in(ingest, portion).await);
        } else {
            failed.extend(portion.into_iter().map(|message| message.id));
        }
    }
    for Message { id, inbound, .. } in again {
        if !may_begin(1) {
            failed.insert(id);
        } else if let Inbound::Again(again) = inbound
            && let Err(error) = again::take_in(ingest, again).await
        {
            tracing::error!(message = id, %error, "what was quarantined could not be tried again");
            failed.insert(id);
        }
    }
    if put_off > 0 {
        tracing::warn!(messages = put_off, "the invocation's time is short; messages go back to the queue");
    }
    let mut response = SqsBatchResponse::default();
    for id in failed {
        response.add_failure(id);
    }
    response
}

/// Takes in a part of a batch; the ids of the messages that have to come back.
async fn take_in(ingest: &Ingest, portion: Vec<Message>) -> BTreeSet<String> {
    let mut failed = BTreeSet::new();
    let mut lines = Vec::with_capacity(portion.len());
    let mut read = futures::stream::iter(portion)
        .map(|message| async move { (message.id.clone(), inbox::line(ingest, message).await) }.boxed())
        .buffered(WRITES_AT_ONCE);
    while let Some((id, line)) = read.next().await {
        match line {
            Ok(line) => lines.push(line),
            Err(error) => {
                tracing::error!(message = id, %error, "a message could not be read");
                failed.insert(id);
            }
        }
    }
    drop(read);
    for (name, lines) in inbox::objects(lines) {
        let placed = |line: &Line| (line.clone(), Place { object: name.clone(), message: line.message.clone() });
        let placed = lines.iter().map(placed).collect();
        let (kept, worked_out) = tokio::join!(keep(ingest, &name, lines), intake::work_out(ingest, placed));
        match kept {
            Ok(()) => failed.extend(intake::write(ingest, worked_out).await.failed),
            Err(error) => {
                tracing::error!(object = %name, %error, "messages could not be archived");
                failed.extend(worked_out.into_iter().map(|worked_out| worked_out.line.message));
            }
        }
    }
    failed
}

/// Writes an object of the archive.
async fn keep(ingest: &Ingest, name: &ObjectName, lines: Vec<Line>) -> Result<(), NotIngested> {
    // Megabytes of it are work for the processor, and the batch's reads go on meanwhile.
    let compressed = tokio::task::spawn_blocking(move || archive::compress(&lines)).await;
    let compressed = compressed.map_err(|_| NotIngested::Panicked)?.map_err(UnreadableLine::Compression)?;
    Ok(ingest.bucket.put(&name.key(), compressed, "application/zstd").await?)
}

/// Makes rows again of what is in the archive; the ids of the messages that have to be tried again.
pub async fn replay(ingest: &Ingest, lines: Vec<(Line, Place)>) -> BTreeSet<String> {
    let worked_out = intake::work_out(ingest, lines).await;
    intake::write(ingest, worked_out).await.failed
}

#[cfg(test)]
mod tests {
    use shared::aws::{BehaviorVersion, SdkConfig};

    use super::*;

    fn started(setting: &str) -> Result<Ingest, OpenError> {
        let settings = [
            ("CORE_TABLE", "core"),
            ("BUCKET", "bucket"),
            ("LINK_KEYS", "1:000102030405060708090a0b0c0d0e0f"),
            (setting, "/nowhere/at-all.mmdb"),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let config = Config::read(Settings::from_values(settings)).unwrap();
        Ingest::new(config, &Clients::new(&SdkConfig::builder().behavior_version(BehaviorVersion::latest()).build()))
    }

    #[test]
    fn a_missing_database_of_networks_is_done_without_and_one_of_cities_is_not() {
        assert!(started("GEOIP_ASN_DB").is_ok());
        assert!(started("GEOIP_CITY_DB").is_err());
    }
}
