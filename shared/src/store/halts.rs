//! Pausing accounts and bringing their campaigns in step: one place for the API, the sender, the webhooks and the watchdog.
//!
//! The account's row is written first, then each campaign. Whoever dies in between leaves campaigns out of step, and any
//! later call for the account or the campaign brings them in step: every step looks at what is there and writes only the
//! difference.

use super::{Consistency, Core, StoreError, keys, read_or_skip};
use crate::account::follow::in_step;
use crate::account::news::News;
use crate::account::{Account, AccountPausedBy, Pause};
use crate::campaign::{Campaign, Status};
use crate::id::{AccountId, CampaignId, WorkspaceId};
use crate::time::UnixMillis;

/// A campaign that has changed its state because its account did.
pub type Followed = (CampaignId, Status);

/// How often a campaign and its account are compared when others change them at the same time.
const LOOKS: usize = 8;

impl Core {
    /// Pauses an account; `false` when there is none, or a pause stands that this one does not hold against. Its
    /// campaigns are not touched: see [`Core::halt_account`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn pause_account(
        &self,
        workspace: WorkspaceId,
        account: AccountId,
        reason: &str,
        until: Option<UnixMillis>,
        by: AccountPausedBy,
    ) -> Result<bool, StoreError> {
        let pause = Pause { reason: reason.to_owned(), until, by };
        let changed = self.change_account(workspace, account, |account| account.pause(&pause)).await?;
        Ok(changed.is_some_and(|(_, paused)| paused))
    }

    /// Lets a paused account go on; `false` when it is not paused. Its campaigns are not touched: see
    /// [`Core::release_account`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn resume_account(&self, workspace: WorkspaceId, account: AccountId) -> Result<bool, StoreError> {
        let changed = self.change_account(workspace, account, Account::resume).await?;
        Ok(changed.is_some_and(|(_, resumed)| resumed))
    }

    /// The same when the end of its pause has come; `false` when not.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn resume_if_due(
        &self,
        workspace: WorkspaceId,
        account: AccountId,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let changed = self.change_account(workspace, account, |account| account.resume_if_due(now)).await?;
        Ok(changed.is_some_and(|(_, resumed)| resumed))
    }

    /// Pauses an account and its running campaigns. Can be repeated at any point; whether this call has paused it.
    ///
    /// # Errors
    /// [`StoreError`]; some campaigns may then still run, until the watchdog looks at them.
    pub async fn halt_account(
        &self,
        workspace: WorkspaceId,
        account: AccountId,
        reason: &str,
        until: Option<UnixMillis>,
        by: AccountPausedBy,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let paused = self.pause_account(workspace, account, reason, until, by).await?;
        // Also when it was paused before: whoever did that may have died before the campaigns.
        self.campaigns_follow(workspace, account, now).await?;
        Ok(paused)
    }

    /// Lets a paused account go on and its campaigns with it; those that have changed, of which the running ones are to
    /// be given to `dispatch`. `None` when it was not paused.
    ///
    /// # Errors
    /// [`StoreError`]; some campaigns may then still be paused, until the watchdog looks at them.
    pub async fn release_account(
        &self,
        workspace: WorkspaceId,
        account: AccountId,
        now: UnixMillis,
    ) -> Result<Option<Vec<Followed>>, StoreError> {
        let resumed = self.resume_account(workspace, account).await?;
        let followed = self.campaigns_follow(workspace, account, now).await?;
        Ok(resumed.then_some(followed))
    }

    /// Takes in what Meta tells about an account, and stops its campaigns or lets them go on when that follows.
    /// Repeats and older news change nothing.
    ///
    /// # Errors
    /// [`StoreError`]; telling it again does the rest.
    pub async fn tell_account(
        &self,
        workspace: WorkspaceId,
        account: AccountId,
        news: &[News],
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let changed = self.change_account(workspace, account, |account| {
            for news in news {
                account.hear(news, now);
            }
        });
        if changed.await?.is_some() && news.iter().any(|news| news.told.concerns_campaigns()) {
            self.campaigns_follow(workspace, account, now).await?;
        }
        Ok(())
    }

    /// Brings all campaigns of an account in step with it; those that have changed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn campaigns_follow(
        &self,
        workspace: WorkspaceId,
        account: AccountId,
        now: UnixMillis,
    ) -> Result<Vec<Followed>, StoreError> {
        // The watchdog's list holds every campaign that runs, and those that were paused with their account.
        let watched = self.due_campaigns(UnixMillis(i64::MAX)).await?;
        let keys = watched.into_iter().filter(|(whose, _)| *whose == workspace);
        let keys = keys.map(|(workspace, campaign)| keys::campaign(workspace, campaign)).collect();
        let campaigns = self.batch_get(keys, Consistency::Strong).await?;
        let mut followed = Vec::new();
        for campaign in campaigns.into_iter().filter_map(|item| read_or_skip::<Campaign>("campaign", item)) {
            if campaign.account == account
                && let Some(status) = self.campaign_follows(workspace, campaign.id, now).await?
            {
                followed.push((campaign.id, status));
            }
        }
        Ok(followed)
    }

    /// Brings one campaign in step with its account, which goes on first when the end of its pause has come. The
    /// campaign's new state; `None` when nothing was to be done.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn campaign_follows(
        &self,
        workspace: WorkspaceId,
        campaign: CampaignId,
        now: UnixMillis,
    ) -> Result<Option<Status>, StoreError> {
        let mut status = None;
        // The account is read after the campaign was written: if it has changed since, the next round sees it.
        for _ in 0..LOOKS {
            let Some(campaign) = self.campaign(workspace, campaign).await? else { return Ok(status) };
            let Some(account) = self.account(workspace, campaign.account).await? else { return Ok(status) };
            if account.pause_is_over(now) {
                self.resume_if_due(workspace, account.id, now).await?;
                continue;
            }
            let Some(change) = in_step(&account, &campaign, now) else { return Ok(status) };
            if self.transition(workspace, campaign.id, &change).await? {
                status = Some(change.to);
            }
        }
        Ok(status)
    }
}
