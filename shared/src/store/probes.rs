//! Rows of probes: which accounts are to be looked at, who looks, and what was found on a day.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};

use super::expression::{Update, Updated};
use super::schema::TTL_ATTRIBUTE;
use super::{Consistency, Core, Item, StoreError, attribute, keys, number, read, read_or_skip};
use crate::account::Account;
use crate::health::probes::{Probes, SLOTS, Slot, Trouble};
use crate::id::{AccountId, WorkspaceId};
use crate::time::UnixMillis;

/// How long the findings of a day are kept.
const KEPT: Duration = Duration::from_secs(35 * 86_400);

/// The set of slots in which nothing was wrong.
const UP: &str = "up";

/// An account that is looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched {
    /// Version of the stored shape.
    pub v: u8,
    /// Whose it is.
    pub workspace: WorkspaceId,
    /// The account.
    pub account: AccountId,
    /// The last slot that somebody has taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<Slot>,
    /// What was last asked about the apps of its business account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apps: Option<AppsAsked>,
}

/// Whether an app is subscribed, as Meta said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppsAsked {
    /// When.
    pub at: UnixMillis,
    /// Whether there is one.
    pub subscribed: bool,
}

/// The row by which a new account comes on the list.
pub(super) fn watched(account: &Account) -> Watched {
    Watched { v: 1, workspace: account.workspace, account: account.id, slot: None, apps: None }
}

impl Core {
    /// Puts an account on the list of those that are looked at, for accounts that were created before there was one. A
    /// repeat changes nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn watch_account(&self, account: &Account) -> Result<(), StoreError> {
        self.put_new("probe", keys::probed(account.id), &watched(account), Item::new()).await.map(|_| ())
    }

    /// The accounts at which nobody has looked in this slot.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn accounts_to_probe(&self, slot: Slot) -> Result<Vec<Watched>, StoreError> {
        let items = self.query(keys::DUE_PK, keys::DUE_ACCOUNT_PREFIX, None, None, true).await?;
        let watched = items.into_iter().filter_map(|item| read_or_skip::<Watched>("probe", item));
        Ok(watched.filter(|watched| watched.slot.is_none_or(|last| last < slot)).collect())
    }

    /// Takes the slot for one caller; `None` when somebody else has it. Whoever dies after this leaves a slot in which
    /// nothing was found, which counts neither way.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn take_probe(&self, account: AccountId, slot: Slot) -> Result<Option<Watched>, StoreError> {
        let mut update = Update::default();
        update.set("slot", number(slot.0));
        update.only_if_present("pk");
        let (last, this) = (update.name("slot"), update.value(number(slot.0)));
        update.only_if(format!("attribute_not_exists({last}) OR {last} < {this}"));
        match self.update(keys::probed(account), update).await? {
            Updated::Done(item) => read("probe", item).map(Some),
            Updated::Refused(_) => Ok(None),
        }
    }

    /// Keeps what Meta said about apps, for the looks of the next hour.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn keep_apps(&self, account: AccountId, asked: AppsAsked) -> Result<(), StoreError> {
        let mut update = Update::default();
        update.set("apps", attribute("probe", &asked)?);
        update.only_if_present("pk");
        self.update(keys::probed(account), update).await.map(|_| ())
    }

    /// Notes what a look found; nothing is in order. A repeat changes nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn record_probe(
        &self,
        workspace: WorkspaceId,
        account: AccountId,
        slot: Slot,
        troubles: &[Trouble],
    ) -> Result<(), StoreError> {
        let mut update = Update::default();
        let begins_at = slot.begins_at();
        update.set_if_absent("v", number(1));
        update.set_if_absent(TTL_ATTRIBUTE, number(begins_at.plus(KEPT).seconds()));
        let this = AttributeValue::Ns(vec![slot.of_day().to_string()]);
        if troubles.is_empty() {
            update.add(UP, this.clone());
        }
        for trouble in troubles {
            update.add(trouble.name(), this.clone());
        }
        self.update(keys::probes(workspace, account, &begins_at.date()), update).await.map(|_| ())
    }

    /// What was found on the day of this moment and on the day before.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn probes(
        &self,
        workspace: WorkspaceId,
        account: AccountId,
        now: UnixMillis,
    ) -> Result<Probes, StoreError> {
        let today = Slot(Slot::of(now).0 - Slot::of(now).of_day());
        let mut probes = Probes::default();
        for first in [Slot(today.0 - SLOTS), today] {
            let key = keys::probes(workspace, account, &first.begins_at().date());
            let item = self.batch_get(vec![key], Consistency::Eventual).await?.pop().unwrap_or_default();
            for slot in slots(&item, UP) {
                probes.found(Slot(first.0 + slot), []);
            }
            for trouble in Trouble::ALL {
                for slot in slots(&item, trouble.name()) {
                    probes.found(Slot(first.0 + slot), [trouble]);
                }
            }
        }
        Ok(probes)
    }
}

fn slots(item: &Item, name: &str) -> Vec<i64> {
    match item.get(name) {
        Some(AttributeValue::Ns(slots)) => slots.iter().filter_map(|slot| slot.parse().ok()).collect(),
        _ => Vec::new(),
    }
}
