//! Rows of subscriptions to events and of the state of their endpoints. All subscriptions of a workspace lie together, so
//! that one query reads what an event is compared with.

use std::time::Duration;

use super::expression::Update;
use super::throttles::{Revise, Revised};
use super::{Core, Item, StoreError, keys, number, read, read_or_skip, unavailable, write};
use crate::id::{ParcelId, WebhookId, WorkspaceId};
use crate::subscription::Webhook;
use crate::subscription::endpoint::{Admission, Endpoint, Seen};
use crate::time::UnixMillis;

/// How often a change is tried when others change the subscription at the same time.
const CONTENDERS: u32 = 16;

impl Revised for Endpoint {
    const WHAT: &'static str = "endpoint";

    fn revision(&mut self) -> &mut u64 {
        &mut self.revision
    }

    fn version(&mut self) -> &mut u8 {
        &mut self.v
    }
}

impl Core {
    /// Writes a new subscription; `false` when there is one with this id, as after a repeated request.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn create_webhook(&self, webhook: &Webhook) -> Result<bool, StoreError> {
        let key = keys::webhook(webhook.workspace, webhook.id);
        self.put_new("webhook", key, webhook, Item::new()).await.map(|put| put.is_new())
    }

    /// A subscription.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn webhook(&self, workspace: WorkspaceId, webhook: WebhookId) -> Result<Option<Webhook>, StoreError> {
        self.get("webhook", keys::webhook(workspace, webhook)).await
    }

    /// All subscriptions of a workspace, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn webhooks(&self, workspace: WorkspaceId) -> Result<Vec<Webhook>, StoreError> {
        let items = self.query(&keys::webhooks_pk(workspace), keys::WEBHOOK_PREFIX, None, None, true).await?;
        Ok(items.into_iter().filter_map(|item| read_or_skip("webhook", item)).collect())
    }

    /// Changes a subscription: what `change` leaves of it is written if nobody else has written in between, else `change`
    /// is made again from what is there now. The subscription as it is then and what `change` returned; `None` when there
    /// is no such subscription.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn change_webhook<T>(
        &self,
        workspace: WorkspaceId,
        webhook: WebhookId,
        mut change: impl FnMut(&mut Webhook) -> T,
    ) -> Result<Option<(Webhook, T)>, StoreError> {
        let key = keys::webhook(workspace, webhook);
        let mut found = self.webhook(workspace, webhook).await?;
        for contender in 0..CONTENDERS {
            let Some(before) = found else { return Ok(None) };
            let mut after = before.clone();
            let outcome = change(&mut after);
            if after == before {
                return Ok(Some((before, outcome)));
            }
            after.revision = before.revision + 1;
            let mut same = Update::default();
            same.only_if_equal("revision", number(i64::try_from(before.revision).unwrap_or(i64::MAX)));
            match self.put_if(write("webhook", key.clone(), &after)?, same).await? {
                None => return Ok(Some((after, outcome))),
                Some(item) if item.is_empty() => return Ok(None),
                Some(item) => found = Some(read("webhook", item)?),
            }
            tokio::time::sleep(Duration::from_millis(u64::from(contender) * 2)).await;
        }
        Err(StoreError::Unavailable { operation: "PutItem", message: "too many writers on a webhook".to_owned() })
    }

    /// Deletes a subscription and its endpoint's state; `false` when there was none. Its deliveries stay until their time is
    /// over, and nobody can see them any more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn delete_webhook(&self, workspace: WorkspaceId, webhook: WebhookId) -> Result<bool, StoreError> {
        let mut was_there = false;
        for key in [keys::webhook(workspace, webhook), keys::endpoint(workspace, webhook)] {
            let deleted = self
                .client
                .delete_item()
                .table_name(&self.table)
                .set_key(Some(key.item()))
                .return_values(aws_sdk_dynamodb::types::ReturnValue::AllOld)
                .send()
                .await
                .map_err(|error| unavailable("DeleteItem", &error))?;
            was_there |= deleted.attributes.is_some_and(|item| !item.is_empty());
        }
        Ok(was_there)
    }

    /// The state of a subscription's endpoint.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn endpoint(&self, workspace: WorkspaceId, webhook: WebhookId) -> Result<Endpoint, StoreError> {
        Ok(self.get("endpoint", keys::endpoint(workspace, webhook)).await?.unwrap_or_default())
    }

    /// Asks for a place at the endpoint for a parcel.
    ///
    /// # Errors
    /// [`StoreError`]; a place may then be taken, which is free again when its time is over.
    pub async fn admit_parcel(
        &self,
        workspace: WorkspaceId,
        webhook: WebhookId,
        parcel: ParcelId,
        now: UnixMillis,
    ) -> Result<Admission, StoreError> {
        self.revise(keys::endpoint(workspace, webhook), |endpoint: &mut Endpoint| match endpoint.admit(parcel, now) {
            admitted @ (Admission::Go | Admission::Probe) => Revise::Write(admitted),
            refused => Revise::Leave(refused),
        })
        .await
    }

    /// Gives the place back and notes what was seen of the endpoint, as it is then.
    ///
    /// # Errors
    /// [`StoreError`]; the place is then free again when its time is over.
    pub async fn leave_endpoint(
        &self,
        workspace: WorkspaceId,
        webhook: WebhookId,
        parcel: ParcelId,
        seen: Seen,
        now: UnixMillis,
    ) -> Result<Endpoint, StoreError> {
        let roll: f64 = rand::random();
        self.revise(keys::endpoint(workspace, webhook), |endpoint: &mut Endpoint| {
            endpoint.done(parcel, seen, roll, now);
            Revise::Write(endpoint.clone())
        })
        .await
    }

    /// Forgets what is known of an endpoint: it has another address, or was mended.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn forgive_endpoint(&self, workspace: WorkspaceId, webhook: WebhookId) -> Result<(), StoreError> {
        self.revise(keys::endpoint(workspace, webhook), |endpoint: &mut Endpoint| {
            let running = std::mem::take(&mut endpoint.running);
            let succeeded_at = endpoint.succeeded_at;
            *endpoint =
                Endpoint { v: endpoint.v, revision: endpoint.revision, running, succeeded_at, ..Endpoint::default() };
            Revise::Write(())
        })
        .await
    }
}
