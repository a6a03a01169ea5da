//! Outbound webhooks and their deliveries.

use super::Key;
use crate::id::{DeliveryId, WebhookId, WorkspaceId};
use crate::subscription::parcel::{self, ParcelKey};
use crate::time::UnixMillis;

/// Partition of a workspace's subscriptions to events.
#[must_use]
pub fn webhooks_pk(workspace: WorkspaceId) -> String {
    format!("WS#{workspace}#WEBHOOKS")
}

/// What a subscription's sort key starts with.
pub const WEBHOOK_PREFIX: &str = "WEBHOOK#";

/// A subscription.
#[must_use]
pub fn webhook(workspace: WorkspaceId, webhook: WebhookId) -> Key {
    Key::new(webhooks_pk(workspace), format!("{WEBHOOK_PREFIX}{webhook}"))
}

/// The state of a subscription's endpoint.
#[must_use]
pub fn endpoint(workspace: WorkspaceId, webhook: WebhookId) -> Key {
    Key::new(webhooks_pk(workspace), format!("ENDPOINT#{webhook}"))
}

/// An event on its way to a subscription. Each has a partition of its own, so that no subscription is bound to what one
/// partition can take.
#[must_use]
pub fn delivery(workspace: WorkspaceId, delivery: DeliveryId) -> Key {
    Key::new(format!("WS#{workspace}#DELIVERY#{delivery}"), "DELIVERY")
}

/// A part of a subscription's deliveries that were recorded on a day, in the index of lists.
#[must_use]
pub fn delivery_list(workspace: WorkspaceId, webhook: WebhookId, date: &str, shard: u8) -> String {
    format!("WS#{workspace}#WEBHOOK#{webhook}#DELIVERIES#{date}#{shard:02}")
}

/// Partition of parcels of deliveries, in the order of their times.
#[must_use]
pub fn parcels_pk(shard: u8) -> String {
    format!("DUE_PARCELS#{shard:02}")
}

/// A parcel of deliveries.
#[must_use]
pub fn parcel(key: ParcelKey) -> Key {
    Key::new(parcels_pk(parcel::shard(key.id)), format!("{}{}", parcels_until(key.due_at), key.id))
}

/// What the sort keys of parcels of this time start with, and are greater than those of earlier ones.
#[must_use]
pub fn parcels_until(due_at: UnixMillis) -> String {
    format!("{:015}#", due_at.0)
}
