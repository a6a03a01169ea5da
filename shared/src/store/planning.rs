//! The row of a campaign whose audience is being planned: its counts only grow, and it is planned once however many runs
//! work on it.

use super::expression::{Update, Updated};
use super::{Core, StoreError, attribute, keys, number, read, text};
use crate::blob::audience::Progress;
use crate::campaign::Campaign;
use crate::id::{CampaignId, WorkspaceId};
use crate::price::Regions;

impl Core {
    /// Notes how far the audience is planned; a run that repeats an earlier one changes nothing until it is further. The
    /// campaign as it is now, or `None` when it is planned already.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn plan_on(
        &self,
        workspace: WorkspaceId,
        campaign: CampaignId,
        progress: &Progress,
    ) -> Result<Option<Campaign>, StoreError> {
        let mut update = counts(progress);
        let lines = update.part("planning", "lines");
        let read_so_far = update.value(number(i64::try_from(progress.lines).unwrap_or(i64::MAX)));
        update.set_part("planning", "lines", number(i64::try_from(progress.lines).unwrap_or(i64::MAX)));
        update.only_if(format!("{lines} < {read_so_far}"));
        let item = match self.update(keys::campaign(workspace, campaign), update).await? {
            Updated::Done(item) | Updated::Refused(item) => item,
        };
        let campaign: Option<Campaign> = if item.is_empty() { None } else { Some(read("campaign", item)?) };
        Ok(campaign.filter(|campaign| campaign.planning.is_some()))
    }

    /// Notes that the whole audience is planned, and where its recipients are, if that was counted; `false` when it was
    /// before.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn planned(
        &self,
        workspace: WorkspaceId,
        campaign: CampaignId,
        progress: &Progress,
        regions: &Regions,
    ) -> Result<bool, StoreError> {
        let mut update = counts(progress);
        if !regions.is_empty() {
            update.set("regions", attribute("campaign", regions)?);
        }
        update.remove("planning");
        update.only_if_present("planning");
        Ok(matches!(self.update(keys::campaign(workspace, campaign), update).await?, Updated::Done(_)))
    }

    /// Notes why the audience cannot be planned; `false` when it is planned already.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn planning_failed(
        &self,
        workspace: WorkspaceId,
        campaign: CampaignId,
        reason: &str,
    ) -> Result<bool, StoreError> {
        let mut update = Update::default();
        update.set_part("planning", "failed", text(reason));
        update.only_if_present("planning");
        Ok(matches!(self.update(keys::campaign(workspace, campaign), update).await?, Updated::Done(_)))
    }
}

fn counts(progress: &Progress) -> Update {
    let Progress { planned, skipped, held_out, pages, .. } = *progress;
    let mut update = Update::default();
    let recipients = i64::from(planned) + i64::from(skipped) + i64::from(held_out);
    update.set("recipients", number(recipients));
    update.set("skipped", number(i64::from(skipped)));
    update.set("holdout", number(i64::from(held_out)));
    update.set("pages", number(i64::from(pages)));
    update
}
