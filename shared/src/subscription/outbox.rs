//! From events to deliveries on their queue. Every step is a write under an id that follows from what happened, so a batch of
//! events that comes again, whole or in part, makes nothing new, and one that was cut off is completed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt};

use super::delivery::{Delivery, Status};
use super::parcel::{self, Parcel};
use super::{Webhook, matching};
use crate::id::{DeliveryId, WebhookId, WorkspaceId};
use crate::published::Published;
use crate::queue::{DeliverCommand, Queue, QueueUnavailable};
use crate::store::{Core, Recorded, StoreError};
use crate::time::UnixMillis;

/// How long a workspace's subscriptions are used before they are read again: after so long a new one gets its events.
const CACHED_FOR: Duration = Duration::from_secs(5);

/// Deliveries that are written at once.
const WRITES_AT_ONCE: usize = 16;

/// Where events go in and deliveries come out.
#[derive(Debug)]
pub struct Outbox {
    core: Core,
    queue: Queue,
    cache: Mutex<HashMap<WorkspaceId, Cached>>,
}

#[derive(Debug)]
struct Cached {
    read: Instant,
    webhooks: Arc<Vec<Webhook>>,
}

/// Not everything was recorded and queued: hand in the same events again.
#[derive(Debug, thiserror::Error)]
pub enum NotTaken {
    /// The table.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The queue.
    #[error(transparent)]
    Queue(#[from] QueueUnavailable),
}

impl Outbox {
    /// An outbox over the table, and the queue of `deliver`.
    #[must_use]
    pub fn new(core: Core, queue: Queue) -> Self {
        Self { core, queue, cache: Mutex::default() }
    }

    /// Records what of these events goes to which subscriptions, and queues it; how many deliveries were news. For
    /// `publish`: without subscriptions it costs one read in five seconds.
    ///
    /// # Errors
    /// [`NotTaken`]; the same events again complete what was cut off.
    pub async fn take(&self, events: &[Published], now: UnixMillis) -> Result<usize, NotTaken> {
        let workspaces: BTreeSet<WorkspaceId> = events.iter().map(|event| event.workspace).collect();
        let mut new = 0;
        for workspace in workspaces {
            let webhooks = self.webhooks(workspace).await?;
            let mut deliveries: BTreeMap<DeliveryId, Delivery> = BTreeMap::new();
            for (webhook, event) in matching(&webhooks, events) {
                match Delivery::new(webhook, event, now) {
                    Ok(delivery) => drop(deliveries.insert(delivery.id, delivery)),
                    Err(error) => tracing::error!(event = %event.id, %error, "an event cannot be written as JSON"),
                }
            }
            new += self.record(workspace, deliveries.into_values().collect(), now).await?;
        }
        Ok(new)
    }

    /// Records one event for one subscription whatever it wants, and queues it.
    ///
    /// # Errors
    /// [`NotTaken`].
    pub async fn deliver(&self, delivery: Delivery, now: UnixMillis) -> Result<(), NotTaken> {
        self.record(delivery.workspace, vec![delivery], now).await.map(|_| ())
    }

    /// Posts settled deliveries of one subscription again; how many. Those that are pending, or were replayed by somebody
    /// else in this moment, are left alone.
    ///
    /// # Errors
    /// [`NotTaken`].
    pub async fn replay(&self, deliveries: Vec<Delivery>, now: UnixMillis) -> Result<usize, NotTaken> {
        let settled: Vec<Delivery> =
            deliveries.into_iter().filter(|delivery| delivery.status != Status::Pending).collect();
        let mut replayed = 0;
        for part in settled.chunks(parcel::SIZE) {
            let Some(first) = part.first() else { continue };
            let ids = part.iter().map(|delivery| delivery.id).collect();
            let mut parcel = Parcel::later(first.workspace, first.webhook, ids, now, now);
            parcel.asked_at = Some(now);
            if self.core.replay_deliveries(part, &parcel, now).await? {
                self.ask(&parcel).await?;
                replayed += part.len();
            }
        }
        Ok(replayed)
    }

    async fn record(
        &self,
        workspace: WorkspaceId,
        deliveries: Vec<Delivery>,
        now: UnixMillis,
    ) -> Result<usize, NotTaken> {
        let recorded: Vec<(Delivery, Recorded)> = futures::stream::iter(deliveries)
            .map(|delivery| async {
                let recorded = self.core.record_delivery(&delivery).await?;
                Ok::<_, StoreError>((delivery, recorded))
            })
            .buffered(WRITES_AT_ONCE)
            .try_collect()
            .await?;
        let mut new = 0;
        let mut open: BTreeMap<WebhookId, Vec<DeliveryId>> = BTreeMap::new();
        for (delivery, recorded) in recorded {
            let is_open = match recorded {
                Recorded::New => {
                    new += 1;
                    true
                }
                // Perhaps of a run that died before it wrote the parcel. What was tried once has been in one.
                Recorded::There(there) => there.is_untried(),
            };
            if is_open {
                open.entry(delivery.webhook).or_default().push(delivery.id);
            }
        }
        for (webhook, ids) in open {
            for part in ids.chunks(parcel::SIZE) {
                let mut parcel = Parcel::at_once(workspace, webhook, part.to_vec(), now);
                parcel.asked_at = Some(now);
                self.core.open_parcel(&parcel).await?;
                self.ask(&parcel).await?;
            }
        }
        Ok(new)
    }

    async fn ask(&self, parcel: &Parcel) -> Result<(), QueueUnavailable> {
        self.queue.send(&DeliverCommand::Parcel { parcel: parcel.key() }, Duration::ZERO).await
    }

    async fn webhooks(&self, workspace: WorkspaceId) -> Result<Arc<Vec<Webhook>>, StoreError> {
        if let Some(cached) = self.cached(workspace) {
            return Ok(cached);
        }
        let mut webhooks = self.core.webhooks(workspace).await?;
        webhooks.retain(|webhook| webhook.enabled);
        let webhooks = Arc::new(webhooks);
        let cached = Cached { read: Instant::now(), webhooks: Arc::clone(&webhooks) };
        self.cache.lock().unwrap_or_else(PoisonError::into_inner).insert(workspace, cached);
        Ok(webhooks)
    }

    fn cached(&self, workspace: WorkspaceId) -> Option<Arc<Vec<Webhook>>> {
        let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache
            .get(&workspace)
            .filter(|cached| cached.read.elapsed() < CACHED_FOR)
            .map(|cached| Arc::clone(&cached.webhooks))
    }
}
