//! The rows that hold what an account and a portfolio may send, and the conditional writes that reserve parts of it.
//!
//! A reservation reads the row and writes it back on condition that nobody else has written in between; whoever comes
//! second gets the newer row with the refusal and reserves behind. One write a page, unless two senders meet.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::expression::Update;
use super::{Core, Item, StoreError, keys, number, read, write};
use crate::id::{AccountId, CampaignId, WorkspaceId};
use crate::throttle::{self, Answer, Ask, UnixMicros, portfolio};
use crate::time::UnixMillis;

/// How often a reservation is tried when others reserve at the same time.
const CONTENDERS: u32 = 32;

/// A row that is read, changed and written back on condition that it is still the one that was read.
pub(super) trait Revised: Default + Serialize + DeserializeOwned + Sync {
    const WHAT: &'static str;
    fn revision(&mut self) -> &mut u64;
    fn version(&mut self) -> &mut u8;
}

impl Revised for throttle::State {
    const WHAT: &'static str = "throttle";

    fn revision(&mut self) -> &mut u64 {
        &mut self.revision
    }

    fn version(&mut self) -> &mut u8 {
        &mut self.v
    }
}

impl Revised for portfolio::State {
    const WHAT: &'static str = "portfolio";

    fn revision(&mut self) -> &mut u64 {
        &mut self.revision
    }

    fn version(&mut self) -> &mut u8 {
        &mut self.v
    }
}

/// What a change of such a row comes to.
pub(super) enum Revise<T> {
    /// Write it; the caller gets this.
    Write(T),
    /// There is nothing to write.
    Leave(T),
}

impl Core {
    /// Reserves slots of the account's rate: one conditional write a grant, none for most waits.
    ///
    /// # Errors
    /// [`StoreError`]; slots may then be reserved and go unused.
    pub async fn reserve_slots(
        &self,
        workspace: WorkspaceId,
        account: AccountId,
        ask: &Ask<'_>,
        now: UnixMicros,
    ) -> Result<Answer, StoreError> {
        self.revise(keys::throttle(workspace, account), |state: &mut throttle::State| match state.reserve(ask, now) {
            Answer::Wait(wait) if !wait.noted => Revise::Leave(Answer::Wait(wait)),
            answer => Revise::Write(answer),
        })
        .await
    }

    /// Meta has said "too fast": halves the account's rate, once for the messages that were on their way together.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn slow_down(
        &self,
        workspace: WorkspaceId,
        account: AccountId,
        rate: u32,
        now: UnixMicros,
    ) -> Result<(), StoreError> {
        self.revise(keys::throttle(workspace, account), |state: &mut throttle::State| {
            if state.too_fast(rate, now) { Revise::Write(()) } else { Revise::Leave(()) }
        })
        .await
    }

    /// Lets nothing of the account leave before `until`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn rest(
        &self,
        workspace: WorkspaceId,
        account: AccountId,
        until: UnixMillis,
        because: &str,
    ) -> Result<(), StoreError> {
        self.revise(keys::throttle(workspace, account), |state: &mut throttle::State| {
            if state.rest_until(until, because) { Revise::Write(()) } else { Revise::Leave(()) }
        })
        .await
    }

    /// What is stored of the account's rate.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn throttle_state(
        &self,
        workspace: WorkspaceId,
        account: AccountId,
    ) -> Result<throttle::State, StoreError> {
        Ok(self.get("throttle", keys::throttle(workspace, account)).await?.unwrap_or_default())
    }

    /// What is stored of a portfolio's messaging limit.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn portfolio_state(&self, workspace: WorkspaceId, name: &str) -> Result<portfolio::State, StoreError> {
        Ok(self.get("portfolio", keys::portfolio(workspace, name)).await?.unwrap_or_default())
    }

    /// Reserves up to `people` of the portfolio's limit for a campaign; how many there was room for.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn reserve_people(
        &self,
        workspace: WorkspaceId,
        portfolio: &str,
        campaign: CampaignId,
        people: u32,
        limit: u32,
        now: UnixMillis,
    ) -> Result<u32, StoreError> {
        self.revise(keys::portfolio(workspace, portfolio), |state: &mut portfolio::State| {
            Revise::Write(state.reserve(campaign, people, limit, now))
        })
        .await
    }

    /// Gives back what a campaign has reserved of the portfolio's limit.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn release_people(
        &self,
        workspace: WorkspaceId,
        portfolio: &str,
        campaign: CampaignId,
    ) -> Result<(), StoreError> {
        self.revise(keys::portfolio(workspace, portfolio), |state: &mut portfolio::State| {
            if state.release(campaign) { Revise::Write(()) } else { Revise::Leave(()) }
        })
        .await
    }

    /// Takes up to `people` of the portfolio's limit, the campaign's reservation first; `Err` inside: none before then.
    ///
    /// # Errors
    /// [`StoreError`]; people may then be counted who are not written to.
    pub async fn take_people(
        &self,
        workspace: WorkspaceId,
        portfolio: &str,
        campaign: CampaignId,
        people: u32,
        limit: u32,
        now: UnixMillis,
    ) -> Result<Result<u32, UnixMillis>, StoreError> {
        self.revise(keys::portfolio(workspace, portfolio), |state: &mut portfolio::State| {
            match state.take(campaign, people, limit, now) {
                Ok(taken) => Revise::Write(Ok(taken)),
                Err(until) => Revise::Leave(Err(until)),
            }
        })
        .await
    }

    pub(super) async fn revise<S: Revised, T>(
        &self,
        key: keys::Key,
        mut change: impl FnMut(&mut S) -> Revise<T>,
    ) -> Result<T, StoreError> {
        let mut found: Option<S> = self.get(S::WHAT, key.clone()).await?;
        for contender in 0..CONTENDERS {
            let is_new = found.is_none();
            let mut row = found.unwrap_or_default();
            let outcome = match change(&mut row) {
                Revise::Leave(outcome) => return Ok(outcome),
                Revise::Write(outcome) => outcome,
            };
            let read_at = *row.revision();
            (*row.revision(), *row.version()) = (read_at + 1, 1);
            match self.put_revised(key.clone(), &row, (!is_new).then_some(read_at)).await? {
                None => return Ok(outcome),
                Some(newer) => found = (!newer.is_empty()).then(|| read(S::WHAT, newer)).transpose()?,
            }
            // At random, so that those who met do not meet again.
            let longest_ms = 2_u64 << contender.min(6);
            tokio::time::sleep(Duration::from_millis(rand::random_range(0..longest_ms))).await;
        }
        Err(StoreError::Unavailable { operation: "PutItem", message: format!("too many writers on a {}", S::WHAT) })
    }

    /// Writes the row if the stored one has this revision (`None`: if there is none); else the stored one.
    async fn put_revised<S: Revised>(
        &self,
        key: keys::Key,
        row: &S,
        revision: Option<u64>,
    ) -> Result<Option<Item>, StoreError> {
        let item = write(S::WHAT, key, row)?;
        let mut condition = Update::default();
        match revision {
            Some(revision) => {
                condition.only_if_equal("revision", number(i64::try_from(revision).unwrap_or(i64::MAX)));
            }
            None => condition.only_if_absent("pk"),
        }
        self.put_if(item, condition).await
    }
}
