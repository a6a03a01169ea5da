//! Rows of accounts, and the route from Meta's number id to an account.

use aws_sdk_dynamodb::types::{Put, TransactWriteItem};
use serde::{Deserialize, Serialize};

use super::{Core, Listed, StoreError, keys, text, unavailable, write};
use crate::account::Account;
use crate::id::{AccountId, WorkspaceId};

#[derive(Serialize, Deserialize)]
struct Route {
    v: u8,
    workspace: WorkspaceId,
    account: AccountId,
}

impl Core {
    /// Writes a new account together with the route of its number; `false` when the number is connected already.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn create_account(&self, account: &Account) -> Result<bool, StoreError> {
        let Account { workspace, id, .. } = *account;
        let mut row = write("account", keys::account(workspace, id), account)?;
        row.insert("list".to_owned(), text(&keys::account_list(workspace)));
        let route = Route { v: 1, workspace, account: id };
        let route = write("route", keys::number_route(&account.phone_number_id), &route)?;
        let mut transaction = self.client.transact_write_items();
        for item in [row, route] {
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
}
