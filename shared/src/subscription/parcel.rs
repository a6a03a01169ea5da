//! Parcels: deliveries of one subscription that are posted together. A parcel is a row until all its deliveries are settled or
//! lie in other parcels; so whatever becomes of a queue message, somebody looks after each delivery. One that waits for
//! longer than a queue can hold it is only a row, found by its time.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use ulid::Ulid;

use crate::id::{DeliveryId, ParcelId, WebhookId, WorkspaceId, ulid_at};
use crate::time::UnixMillis;

/// Deliveries of a parcel. With their parcel they are one transaction (DynamoDB: 100 items).
pub const SIZE: usize = 50;

/// Partitions that parcels lie in.
pub const SHARDS: u8 = 8;

/// A parcel is kept no longer than its deliveries.
const KEPT_FOR: Duration = super::delivery::KEPT_FOR;

/// A parcel as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parcel {
    /// Version of the stored shape.
    pub v: u8,
    /// Which.
    pub id: ParcelId,
    /// Whose.
    pub workspace: WorkspaceId,
    /// The subscription.
    pub webhook: WebhookId,
    /// When it is posted; 0 for at once, so that a parcel that is made again has the same key.
    pub due_at: UnixMillis,
    /// What is in it.
    pub deliveries: Vec<DeliveryId>,
    /// When a queue message for it is there at the latest; absent when none was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_at: Option<UnixMillis>,
    /// Seconds since the epoch after which the row is deleted.
    pub expires_at: i64,
}

/// Where a parcel lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ParcelKey {
    /// Which.
    pub id: ParcelId,
    /// As in the row.
    pub due_at: UnixMillis,
}

impl Parcel {
    /// A parcel of deliveries that are posted at once. The same deliveries are the same parcel.
    #[must_use]
    pub fn at_once(workspace: WorkspaceId, webhook: WebhookId, deliveries: Vec<DeliveryId>, now: UnixMillis) -> Self {
        let mut hash = Sha256::new();
        for delivery in &deliveries {
            hash.update(delivery.ulid().to_bytes());
        }
        let mut random = [0_u8; 16];
        random.copy_from_slice(&hash.finalize()[..16]);
        let id = ParcelId::from_ulid(Ulid::from_parts(0, u128::from_be_bytes(random)));
        Self::new(id, workspace, webhook, deliveries, UnixMillis(0), now)
    }

    /// A parcel of deliveries that are posted at `due_at`.
    #[must_use]
    pub fn later(
        workspace: WorkspaceId,
        webhook: WebhookId,
        deliveries: Vec<DeliveryId>,
        due_at: UnixMillis,
        now: UnixMillis,
    ) -> Self {
        Self::new(ParcelId::from_ulid(ulid_at(now)), workspace, webhook, deliveries, due_at, now)
    }

    fn new(
        id: ParcelId,
        workspace: WorkspaceId,
        webhook: WebhookId,
        deliveries: Vec<DeliveryId>,
        due_at: UnixMillis,
        now: UnixMillis,
    ) -> Self {
        let expires_at = now.plus(KEPT_FOR).seconds();
        Self { v: 1, id, workspace, webhook, due_at, deliveries, asked_at: None, expires_at }
    }

    /// Where it lies.
    #[must_use]
    pub const fn key(&self) -> ParcelKey {
        ParcelKey { id: self.id, due_at: self.due_at }
    }
}

/// The partition of a parcel.
#[must_use]
pub fn shard(id: ParcelId) -> u8 {
    u8::try_from(id.ulid().random() % u128::from(SHARDS)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_deliveries_are_the_same_parcel() {
        let webhook = "whk_01J00000000000000000000000".parse().unwrap();
        let delivery = |n: u128| DeliveryId::from_ulid(Ulid::from_parts(1, n));
        let of = |deliveries, now| Parcel::at_once(WorkspaceId::FIRST, webhook, deliveries, UnixMillis(now)).key();
        assert_eq!(of(vec![delivery(1), delivery(2)], 5), of(vec![delivery(1), delivery(2)], 99_000));
        assert_ne!(of(vec![delivery(1), delivery(2)], 5), of(vec![delivery(1)], 5));
    }
}
