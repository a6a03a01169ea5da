//! Whose a notification is: the account of the number, or the accounts of the business account, that it names.

use std::sync::Arc;
use std::time::Duration;

use shared::id::{AccountId, WorkspaceId};
use shared::meta::webhook::Item;
use shared::store::{Core, StoreError};

use crate::remembered::Remembered;

/// Whose an event is; `None` when it names no account of ours.
pub(crate) type Route = Option<(WorkspaceId, AccountId)>;

/// A number stays its account's, and a business account seldom gets another number.
const KNOWN_FOR: Duration = Duration::from_secs(10);

/// A number that is nobody's may be connected any moment; this only spares a notification from asking for each item.
const UNKNOWN_FOR: Duration = Duration::from_millis(500);

/// The routes that were asked for lately.
#[derive(Default)]
pub(crate) struct Routes {
    numbers: Remembered<String, Route>,
    wabas: Remembered<String, Arc<[(WorkspaceId, AccountId)]>>,
}

impl Routes {
    /// The account of the number that the item names.
    pub(crate) async fn of(&self, core: &Core, item: &Item) -> Result<Route, StoreError> {
        let Some(number) = item.phone_number_id.as_deref() else {
            return Ok(None);
        };
        if let Some(route) = self.numbers.get(number) {
            return Ok(route);
        }
        let route = core.account_of_number(number).await?;
        let lasts = if route.is_some() { KNOWN_FOR } else { UNKNOWN_FOR };
        self.numbers.put(number.to_owned(), route, lasts);
        Ok(route)
    }

    /// The accounts whose numbers belong to the item's WhatsApp Business Account.
    pub(crate) async fn of_waba(
        &self,
        core: &Core,
        item: &Item,
    ) -> Result<Arc<[(WorkspaceId, AccountId)]>, StoreError> {
        let Some(waba) = item.waba_id.as_deref() else {
            return Ok(Arc::default());
        };
        if let Some(accounts) = self.wabas.get(waba) {
            return Ok(accounts);
        }
        let accounts: Arc<[_]> = core.accounts_of_waba(waba).await?.into();
        let lasts = if accounts.is_empty() { UNKNOWN_FOR } else { KNOWN_FOR };
        self.wabas.put(waba.to_owned(), Arc::clone(&accounts), lasts);
        Ok(accounts)
    }
}
