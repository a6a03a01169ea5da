//! The row that holds an account's rate, and the conditional write that reserves slots of it.

use std::time::Duration;

use super::expression::{Update, Updated};
use super::{Core, Item, StoreError, keys, number};
use crate::id::{AccountId, WorkspaceId};
use crate::throttle::{Rate, Refusal, Reserve, Slots, UnixMicros, refused, reserve};

/// What a reservation gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reservation {
    /// These slots are the caller's.
    Granted {
        /// When each message leaves.
        slots: Slots,
        /// The next free slot after them, to guess the next write by.
        next_free: UnixMicros,
    },
    /// The first free slot lies too far ahead; come back after this. Nothing was reserved.
    Wait(Duration),
}

/// How often a reservation is tried when others reserve at the same time.
const CONTENDERS: usize = 32;

impl Core {
    /// Reserves `n` slots of the account's rate: one conditional write, another when the guess was wrong.
    ///
    /// # Errors
    /// [`StoreError`]; slots may then be reserved and go unused.
    pub async fn reserve_slots(
        &self,
        workspace: WorkspaceId,
        account: AccountId,
        n: u32,
        rate: Rate,
        last_seen: Option<UnixMicros>,
        now: UnixMicros,
    ) -> Result<Reservation, StoreError> {
        let mut write = reserve(last_seen, now, n, rate);
        for _ in 0..CONTENDERS {
            match self.update(keys::throttle(workspace, account), reservation(write)).await? {
                Updated::Done(item) => {
                    let next_free = next_free(&item).unwrap_or(now);
                    return Ok(Reservation::Granted { slots: Slots::ending_at(next_free, n, rate), next_free });
                }
                Updated::Refused(item) => match refused(next_free(&item), now, n, rate) {
                    Refusal::Other(other) => write = other,
                    Refusal::TooFar(wait) => return Ok(Reservation::Wait(wait)),
                },
            }
        }
        Ok(Reservation::Wait(Duration::from_secs(1)))
    }
}

fn reservation(write: Reserve) -> Update {
    let mut update = Update::default();
    let next = update.name("next_us");
    match write {
        Reserve::FromNow { now, to } => {
            update.set("next_us", number(to.0));
            let now = update.value(number(now.0));
            update.only_if(format!("attribute_not_exists({next}) OR {next} <= {now}"));
        }
        Reserve::Behind { now, by, limit } => {
            update.add("next_us", number(by));
            let (now, limit) = (update.value(number(now.0)), update.value(number(limit.0)));
            update.only_if(format!("{next} > {now} AND {next} <= {limit}"));
        }
    }
    update
}

fn next_free(item: &Item) -> Option<UnixMicros> {
    item.get("next_us")?.as_n().ok()?.parse().ok().map(UnixMicros)
}
