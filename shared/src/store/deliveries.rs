//! Rows of deliveries and of the parcels that they travel in. A delivery is written once, whatever number of times its event
//! comes; a parcel is given up only in the same transaction that writes those which take its place.

use aws_sdk_dynamodb::types::{Delete, Put as PutItem, TransactWriteItem};

use super::expression::{Update, Updated};
use super::media::is_refused;
use super::{
    Consistency, Core, Item, Put, StoreError, attribute, keys, number, read, read_or_skip, text, unavailable, write,
};
use crate::id::{DeliveryId, WebhookId, WorkspaceId};
use crate::subscription::delivery::{Attempt, Delivery, LIST_SHARDS, MAX_ATTEMPTS, Status, list_shard};
use crate::subscription::parcel::{Parcel, ParcelKey, SHARDS};
use crate::time::UnixMillis;

/// Whether a delivery is news.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It is.
    New,
    /// It was recorded before; as it is now.
    There(Box<Delivery>),
}

/// What a try means for its delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It has arrived.
    Arrived,
    /// It is tried again then.
    Again(UnixMillis),
    /// That was the last try.
    Exhausted,
}

impl Core {
    /// Writes a delivery if there is none for this event and subscription.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn record_delivery(&self, delivery: &Delivery) -> Result<Recorded, StoreError> {
        let Delivery { workspace, webhook, id, created_at, .. } = *delivery;
        let list = keys::delivery_list(workspace, webhook, &created_at.date(), list_shard(id));
        let more = Item::from([("list".to_owned(), text(&list))]);
        match self.put_new("delivery", keys::delivery(workspace, id), delivery, more).await? {
            Put::New => Ok(Recorded::New),
            Put::There(item) => Ok(Recorded::There(Box::new(read("delivery", item)?))),
        }
    }

    /// A delivery.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn delivery(&self, workspace: WorkspaceId, delivery: DeliveryId) -> Result<Option<Delivery>, StoreError> {
        self.get("delivery", keys::delivery(workspace, delivery)).await
    }

    /// Deliveries in the order of their ids; those that are not there, or cannot be read, are left out.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn deliveries(
        &self,
        workspace: WorkspaceId,
        deliveries: &[DeliveryId],
    ) -> Result<Vec<Delivery>, StoreError> {
        let keys = deliveries.iter().map(|id| keys::delivery(workspace, *id)).collect();
        let items = self.batch_get(keys, Consistency::Strong).await?;
        let mut found: Vec<Delivery> = items.into_iter().filter_map(|item| read_or_skip("delivery", item)).collect();
        found.sort_by_key(|delivery| delivery.id);
        Ok(found)
    }

    /// A subscription's deliveries that were recorded on a day (UTC), newest event first, those before `before` if given.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn deliveries_of_day(
        &self,
        workspace: WorkspaceId,
        webhook: WebhookId,
        date: &str,
        before: Option<DeliveryId>,
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError> {
        let shards = (0..LIST_SHARDS).map(|shard| async move {
            let list = keys::delivery_list(workspace, webhook, date, shard);
            let before = before.map_or_else(|| "~".to_owned(), |id| keys::delivery(workspace, id).pk);
            let found = self
                .client
                .query()
                .table_name(&self.table)
                .index_name(super::schema::LIST_INDEX)
                .key_condition_expression("#list = :list AND pk < :before")
                .expression_attribute_names("#list", "list")
                .expression_attribute_values(":list", text(&list))
                .expression_attribute_values(":before", text(&before))
                .scan_index_forward(false)
                .limit(i32::try_from(limit).unwrap_or(i32::MAX))
                .send()
                .await
                .map_err(|error| unavailable("Query", &error))?;
            Ok::<_, StoreError>(found.items.unwrap_or_default())
        });
        let mut pks: Vec<String> = futures::future::try_join_all(shards)
            .await?
            .into_iter()
            .flatten()
            .filter_map(|item| item.get("pk")?.as_s().ok().cloned())
            .collect();
        pks.sort_unstable_by(|a, b| b.cmp(a));
        pks.truncate(limit);
        let keys = pks.into_iter().map(|pk| keys::Key::new(pk, "DELIVERY")).collect();
        let items = self.batch_get(keys, Consistency::Strong).await?;
        let mut found: Vec<Delivery> = items.into_iter().filter_map(|item| read_or_skip("delivery", item)).collect();
        found.sort_by_key(|delivery| std::cmp::Reverse(delivery.id));
        Ok(found)
    }

    /// Notes a try and what it means; `false` when the delivery is settled, or was replayed since.
    ///
    /// # Errors
    /// [`StoreError`]; the delivery is then tried again.
    pub async fn note_attempt(
        &self,
        delivery: &Delivery,
        attempt: &Attempt,
        verdict: Verdict,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let mut update = Update::default();
        let written = attribute("delivery", attempt)?;
        if delivery.attempts.len() < MAX_ATTEMPTS {
            update.append("attempts", vec![written]);
        } else {
            let kept = delivery.attempts.iter().skip(delivery.attempts.len() + 1 - MAX_ATTEMPTS).chain([attempt]);
            update.set("attempts", attribute("delivery", &kept.collect::<Vec<_>>())?);
        }
        update.add("tries", number(1));
        match verdict {
            Verdict::Arrived => settle(&mut update, Status::Succeeded, now)?,
            Verdict::Exhausted => settle(&mut update, Status::Exhausted, now)?,
            Verdict::Again(at) => update.set("next_at", number(at.0)),
        }
        self.write_if_open(delivery, update).await
    }

    /// Gives a delivery up without another try; `false` when it is settled, or was replayed since.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn give_up_delivery(
        &self,
        delivery: &Delivery,
        status: Status,
        reason: &str,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let mut update = Update::default();
        settle(&mut update, status, now)?;
        update.set("reason", text(reason));
        self.write_if_open(delivery, update).await
    }

    async fn write_if_open(&self, delivery: &Delivery, mut update: Update) -> Result<bool, StoreError> {
        update.only_if_equal("round", number(i64::from(delivery.round)));
        update.only_if_equal("status", attribute("delivery", &Status::Pending)?);
        let key = keys::delivery(delivery.workspace, delivery.id);
        Ok(matches!(self.update(key, update).await?, Updated::Done(_)))
    }

    /// Opens settled deliveries again, in this parcel, all of them or none; `false` when one of them has changed since it was
    /// read, or the parcel is there already.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn replay_deliveries(
        &self,
        deliveries: &[Delivery],
        parcel: &Parcel,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let mut items = vec![self.put_parcel(parcel)?];
        for delivery in deliveries {
            let mut update = Update::default();
            update.set("status", attribute("delivery", &Status::Pending)?);
            update.set("round", number(i64::from(delivery.round) + 1));
            update.set("tries", number(0));
            update.set("since", number(now.0));
            update.set("expires_at", number(parcel.expires_at));
            for name in ["next_at", "settled_at", "reason"] {
                update.remove(name);
            }
            update.only_if_equal("round", number(i64::from(delivery.round)));
            update.only_if_equal("status", attribute("delivery", &delivery.status)?);
            items.push(update.in_transaction(&self.table, keys::delivery(delivery.workspace, delivery.id))?);
        }
        self.all_or_none(items).await
    }

    /// Writes a parcel; `false` when it is there already.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open_parcel(&self, parcel: &Parcel) -> Result<bool, StoreError> {
        self.put_new("parcel", keys::parcel(parcel.key()), parcel, Item::new()).await.map(|put| put.is_new())
    }

    /// A parcel; `None` when it is done, or others have taken its place.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn parcel(&self, key: ParcelKey) -> Result<Option<Parcel>, StoreError> {
        self.get("parcel", keys::parcel(key)).await
    }

    /// Gives a parcel up for those that take its place, all at once; `false` when somebody else has done so.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn replace_parcel(&self, old: ParcelKey, new: &[Parcel]) -> Result<bool, StoreError> {
        let delete = Delete::builder()
            .table_name(&self.table)
            .set_key(Some(keys::parcel(old).item()))
            .condition_expression("attribute_exists(pk)")
            .build()
            .map_err(built)?;
        let mut items = vec![TransactWriteItem::builder().delete(delete).build()];
        for parcel in new {
            items.push(self.put_parcel(parcel)?);
        }
        self.all_or_none(items).await
    }

    /// Notes when a queue message for a parcel is there at the latest; `false` when somebody else has asked for it, or it
    /// is gone. `before` is what the caller has read.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn ask_for_parcel(
        &self,
        key: ParcelKey,
        before: Option<UnixMillis>,
        at: UnixMillis,
    ) -> Result<bool, StoreError> {
        let mut update = Update::default();
        update.set("asked_at", number(at.0));
        update.only_if_present("pk");
        match before {
            Some(before) => update.only_if_equal("asked_at", number(before.0)),
            None => update.only_if_absent("asked_at"),
        }
        Ok(matches!(self.update(keys::parcel(key), update).await?, Updated::Done(_)))
    }

    /// Parcels that are due and of which no queue message is on its way since `asked_before`, at most `limit` of each
    /// partition, those that are longest due first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn forgotten_parcels(
        &self,
        asked_before: UnixMillis,
        limit: usize,
        now: UnixMillis,
    ) -> Result<Vec<Parcel>, StoreError> {
        let until = keys::parcels_until(UnixMillis(now.0.saturating_add(1)));
        let mut parcels = Vec::new();
        for shard in 0..SHARDS {
            let (mut found, mut start) = (Vec::new(), None);
            loop {
                let page = self
                    .client
                    .query()
                    .table_name(&self.table)
                    .key_condition_expression("pk = :pk AND sk < :until")
                    .filter_expression("attribute_not_exists(asked_at) OR asked_at < :before")
                    .expression_attribute_values(":pk", text(&keys::parcels_pk(shard)))
                    .expression_attribute_values(":until", text(&until))
                    .expression_attribute_values(":before", number(asked_before.0))
                    .consistent_read(true)
                    .set_exclusive_start_key(start.take())
                    .send()
                    .await
                    .map_err(|error| unavailable("Query", &error))?;
                found.extend(page.items.unwrap_or_default());
                start = page.last_evaluated_key;
                if start.is_none() || found.len() >= limit {
                    break;
                }
            }
            parcels.extend(found.into_iter().take(limit).filter_map(|item| read_or_skip("parcel", item)));
        }
        Ok(parcels)
    }

    fn put_parcel(&self, parcel: &Parcel) -> Result<TransactWriteItem, StoreError> {
        let put = PutItem::builder()
            .table_name(&self.table)
            .set_item(Some(write("parcel", keys::parcel(parcel.key()), parcel)?))
            .condition_expression("attribute_not_exists(pk)")
            .build()
            .map_err(built)?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// Writes all of them, or none when a condition does not hold.
    async fn all_or_none(&self, items: Vec<TransactWriteItem>) -> Result<bool, StoreError> {
        match self.client.transact_write_items().set_transact_items(Some(items)).send().await {
            Ok(_) => Ok(true),
            Err(error) if is_refused(error.as_service_error()) => Ok(false),
            Err(error) => Err(unavailable("TransactWriteItems", &error)),
        }
    }
}

fn settle(update: &mut Update, status: Status, now: UnixMillis) -> Result<(), StoreError> {
    update.set("status", attribute("delivery", &status)?);
    update.set("settled_at", number(now.0));
    update.remove("next_at");
    Ok(())
}

fn built(error: aws_sdk_dynamodb::error::BuildError) -> StoreError {
    StoreError::Unavailable { operation: "TransactWriteItems", message: error.to_string() }
}
