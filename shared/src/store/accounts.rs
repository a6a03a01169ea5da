//! Rows of accounts, and the routes to an account from what webhooks name: Meta's number id, or the id of the WhatsApp
//! Business Account, which several accounts may share.

use std::time::Duration;

use aws_sdk_dynamodb::types::{Put, TransactWriteItem};
use serde::{Deserialize, Serialize};

use super::expression::{Update, Updated};
use super::{Core, Item, Listed, StoreError, keys, number, read, read_or_skip, text, unavailable, write};
use crate::account::Account;
use crate::id::{AccountId, WorkspaceId};

#[derive(Serialize, Deserialize)]
struct Route {
    v: u8,
    workspace: WorkspaceId,
    account: AccountId,
}

impl Core {
    /// Writes a new account together with the routes to it, and puts it on the list of those that are looked at; `false` when the number is connected already.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn create_account(&self, account: &Account) -> Result<bool, StoreError> {
        let Account { workspace, id, .. } = *account;
        let mut row = write("account", keys::account(workspace, id), account)?;
        row.insert("list".to_owned(), text(&keys::account_list(workspace)));
        let route = Route { v: 1, workspace, account: id };
        let by_number = write("route", keys::number_route(&account.phone_number_id), &route)?;
        let by_waba = write("route", keys::waba_route(&account.waba_id, id), &route)?;
        let watched = write("probe", keys::probed(id), &super::probes::watched(account))?;
        let mut transaction = self.client.transact_write_items();
        for item in [row, by_number, by_waba, watched] {
            let put = Put::builder()
                .table_name(&self.table)
                .set_item(Some(item))
                .condition_expression("attribute_not_exists(pk)")
                .build()
                .map_err(|error| StoreError::Unavailable {
                    operation: "TransactWriteItems",
                    message: error.to_string(),
                })?;
            transaction = transaction.transact_items(TransactWriteItem::builder().put(put).build());
        }
        match transaction.send().await {
            Ok(_) => Ok(true),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_transaction_canceled_exception()) => {
                // Throttling cancels a transaction as well; only an existing row means that the number is taken.
                let taken = self.account_of_number(&account.phone_number_id).await?.is_some();
                if taken { Ok(false) } else { Err(unavailable("TransactWriteItems", &error)) }
            }
            Err(error) => Err(unavailable("TransactWriteItems", &error)),
        }
    }

    /// An account.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn account(&self, workspace: WorkspaceId, account: AccountId) -> Result<Option<Account>, StoreError> {
        self.get("account", keys::account(workspace, account)).await
    }

    /// A workspace's accounts, newest first, those older than `before` if given.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn accounts(
        &self,
        workspace: WorkspaceId,
        before: Option<AccountId>,
        limit: usize,
    ) -> Result<Listed<Account>, StoreError> {
        let before = before.map(|id| keys::account(workspace, id));
        let list = keys::account_list(workspace);
        self.listed("account", &list, before, limit, |account: &Account| std::cmp::Reverse(account.id)).await
    }

    /// Whose number this is.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn account_of_number(
        &self,
        phone_number_id: &str,
    ) -> Result<Option<(WorkspaceId, AccountId)>, StoreError> {
        let route: Option<Route> = self.get("route", keys::number_route(phone_number_id)).await?;
        Ok(route.map(|route| (route.workspace, route.account)))
    }
    /// The accounts whose numbers belong to this WhatsApp Business Account. An account of before these routes were
    /// written is missing until [`Core::route_waba`] was called for it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn accounts_of_waba(&self, waba_id: &str) -> Result<Vec<(WorkspaceId, AccountId)>, StoreError> {
        let items = self.query(&keys::waba_route_pk(waba_id), "", None, None, true).await?;
        let routes = items.into_iter().filter_map(|item| read_or_skip::<Route>("route", item));
        Ok(routes.map(|route| (route.workspace, route.account)).collect())
    }

    /// Writes the account's route from its WhatsApp Business Account, for accounts that were created without one. A
    /// repeat changes nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn route_waba(&self, account: &Account) -> Result<(), StoreError> {
        let Account { workspace, id, .. } = *account;
        let route = Route { v: 1, workspace, account: id };
        self.put_new("route", keys::waba_route(&account.waba_id, id), &route, Item::new()).await.map(|_| ())
    }
    /// Changes an account: what `change` leaves of it is written if nobody else has written in between, else `change` is
    /// made again from what is there now. Only the attributes that differ are written. The account as it is then and
    /// what `change` returned; `None` when there is no such account.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn change_account<T>(
        &self,
        workspace: WorkspaceId,
        account: AccountId,
        mut change: impl FnMut(&mut Account) -> T,
    ) -> Result<Option<(Account, T)>, StoreError> {
        let key = keys::account(workspace, account);
        let mut found = self.account(workspace, account).await?;
        for contender in 0..CONTENDERS {
            let Some(before) = found else { return Ok(None) };
            let mut after = before.clone();
            let outcome = change(&mut after);
            if after == before {
                return Ok(Some((before, outcome)));
            }
            after.revision = before.revision + 1;
            match self.update(key.clone(), difference(&before, &after)?).await? {
                Updated::Done(_) => return Ok(Some((after, outcome))),
                Updated::Refused(item) if item.is_empty() => return Ok(None),
                Updated::Refused(item) => found = Some(read("account", item)?),
            }
            tokio::time::sleep(Duration::from_millis(u64::from(contender.min(10)) * 2)).await;
        }
        Err(StoreError::Unavailable { operation: "UpdateItem", message: "too many writers on an account".to_owned() })
    }
}

/// How often a change is tried when others change the account at the same time.
const CONTENDERS: u32 = 32;

/// The update that makes one version of the row into the other, on condition that it still is the one.
fn difference(before: &Account, after: &Account) -> Result<Update, StoreError> {
    let item = |account: &Account| -> Result<Item, StoreError> {
        serde_dynamo::to_item(account).map_err(|source| StoreError::Damaged { what: "account", source })
    };
    let (old, new) = (item(before)?, item(after)?);
    let mut update = Update::default();
    for (name, value) in &new {
        if old.get(name) != Some(value) {
            update.set(name, value.clone());
        }
    }
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        update.remove(name);
    }
    update.only_if_present("pk");
    let (revision, read_at) = (update.name("revision"), i64::try_from(before.revision).unwrap_or(i64::MAX));
    let read_at = update.value(number(read_at));
    // A row of before there were revisions is at 0.
    let of_before = if before.revision == 0 { format!("attribute_not_exists({revision}) OR ") } else { String::new() };
    update.only_if(format!("{of_before}{revision} = {read_at}"));
    Ok(update)
}
