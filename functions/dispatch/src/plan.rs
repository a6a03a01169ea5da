//! The job of planning an audience that is too large for a request: its lines are read, its pages laid in the bucket, and
//! the campaign's row says how far it is. A run that dies is repeated from the first line and lays the same pages; should
//! two work at it, both lay the same, and one of them ends it.

use std::time::Duration;

use shared::blob::audience::{Laid, NotLaid, Progress, lay, lines_of};
use shared::campaign::planner::{Planner, Rules};
use shared::campaign::{Campaign, PAGE_SIZE, PausedBy, Planning, Status};
use shared::id::{CampaignId, WorkspaceId, ulid_at};
use shared::job::{Step, Watch};
use shared::price::Regions;
use shared::queue::DispatchCommand;
use shared::store::{StoreError, Taken, Transition};
use shared::time::UnixMillis;
use ulid::Ulid;

use crate::Dispatch;

/// A job that was begun more often than this ends before its time again and again: the audience is too large for a run.
const MOST_RUNS: u32 = 5;

/// Works on the job, unless somebody else does.
pub(crate) async fn run(dispatch: &Dispatch, workspace: WorkspaceId, id: CampaignId) -> Result<(), NotLaid> {
    let command = DispatchCommand::Plan { workspace, campaign: id };
    let runner = ulid_at(UnixMillis::now());
    let Taken::Ours { runs } = dispatch.core.take_job(&command, runner, UnixMillis::now()).await? else {
        return Ok(());
    };
    let campaign = dispatch.core.campaign(workspace, id).await?;
    let planning = campaign.as_ref().and_then(|campaign| campaign.planning.clone());
    let (Some(campaign), Some(planning)) = (campaign, planning.filter(|planning| planning.failed.is_none())) else {
        // Done before, or the request that opened the job died before it wrote the campaign.
        return Ok(dispatch.core.close_job(&command).await?);
    };
    if runs > MOST_RUNS {
        let reason = "the audience could not be read to its end within the time of a run: cut it into several";
        fail(dispatch, &campaign, reason).await?;
        return Ok(dispatch.core.close_job(&command).await?);
    }
    let mut watch = Watcher { dispatch, command, runner, reached: Progress::default(), ended: false };
    let laid = lay_pages(dispatch, &campaign, &planning, &mut watch).await;
    match laid {
        Ok(Laid { progress, first_skipped, .. }) if progress.planned == 0 => {
            let first = first_skipped.first();
            let first = first.map(|line| format!("; the first (line {}): {}", line.line, line.reason));
            let Progress { lines, .. } = progress;
            fail(dispatch, &campaign, &format!("none of {lines} lines can be sent to{}", first.unwrap_or_default()))
                .await?;
        }
        Ok(Laid { progress, regions, .. }) => finish(dispatch, &campaign, &progress, &regions).await?,
        // The campaign was cancelled: what is planned so far is its audience.
        Err(NotLaid::Stopped) if watch.ended => {
            finish(dispatch, &campaign, &watch.reached, &Regions::new()).await?;
        }
        Err(NotLaid::Stopped) => return Ok(()),
        Err(NotLaid::Lines(error)) if !error.is_temporary() => fail(dispatch, &campaign, &error.to_string()).await?,
        Err(error) => {
            dispatch.core.leave_job(&command, runner).await?;
            return Err(error);
        }
    }
    Ok(dispatch.core.close_job(&command).await?)
}

/// Notes how far a run is, and stops it when it is not needed.
struct Watcher<'a> {
    dispatch: &'a Dispatch,
    command: DispatchCommand,
    runner: Ulid,
    /// The last progress that was noted.
    reached: Progress,
    /// Nothing more will happen to the campaign.
    ended: bool,
}

impl Watch<Progress> for Watcher<'_> {
    async fn look(&mut self, progress: &Progress) -> Result<Step, StoreError> {
        let DispatchCommand::Plan { workspace, campaign } = self.command else {
            return Ok(Step::Stop);
        };
        let core = &self.dispatch.core;
        if !core.beat_job(&self.command, self.runner, UnixMillis::now()).await? {
            return Ok(Step::Stop);
        }
        let Some(campaign) = core.plan_on(workspace, campaign, progress).await? else {
            return Ok(Step::Stop);
        };
        self.reached = *progress;
        self.ended = campaign.status.is_final();
        if campaign.status == Status::Running {
            wake(self.dispatch, &campaign).await;
        }
        Ok(if self.ended { Step::Stop } else { Step::On })
    }
}

async fn lay_pages(
    dispatch: &Dispatch,
    campaign: &Campaign,
    planning: &Planning,
    watch: &mut Watcher<'_>,
) -> Result<Laid, NotLaid> {
    let (workspace, id) = (campaign.workspace, campaign.id);
    let lines = lines_of(&dispatch.core, &dispatch.bucket, workspace, &planning.source).await?;
    let rules = Rules { campaign: id, variants: campaign.variants.clone(), holdout_percent: campaign.holdout_percent };
    lay(&dispatch.bucket, (workspace, id), Planner::new(rules), lines, watch).await
}

/// The audience is whole. Links first: until the campaign's row says so, they take any code of theirs for genuine.
async fn finish(
    dispatch: &Dispatch,
    campaign: &Campaign,
    progress: &Progress,
    regions: &Regions,
) -> Result<(), StoreError> {
    for link in &campaign.links {
        dispatch.core.settle_link(link.id, progress.pages * PAGE_SIZE).await?;
    }
    if dispatch.core.planned(campaign.workspace, campaign.id, progress, regions).await? {
        let Progress { lines, planned, skipped, held_out, pages } = *progress;
        tracing::info!(campaign = %campaign.id, lines, planned, skipped, held_out, pages, "an audience is planned");
    }
    wake(dispatch, campaign).await;
    Ok(())
}

/// The audience cannot be planned, and no repeat helps. A campaign that was started early is paused.
async fn fail(dispatch: &Dispatch, campaign: &Campaign, reason: &str) -> Result<(), StoreError> {
    let (workspace, id) = (campaign.workspace, campaign.id);
    tracing::warn!(campaign = %id, reason, "an audience cannot be planned");
    dispatch.core.planning_failed(workspace, id, reason).await?;
    for from in [Status::Scheduled, Status::Running] {
        let pause = Transition {
            from,
            to: Status::Paused,
            reason: Some(format!("the audience could not be read: {reason}")),
            paused_by: Some(PausedBy::Errors),
            at: UnixMillis::now(),
            due: None,
        };
        dispatch.core.transition(workspace, id, &pause).await?;
    }
    Ok(())
}

/// Pages have come. When the queue does not take it, the watchdog's next tick does the same.
async fn wake(dispatch: &Dispatch, campaign: &Campaign) {
    let command = DispatchCommand::Advance { workspace: campaign.workspace, campaign: campaign.id };
    if let Err(error) = dispatch.commands.send(&command, Duration::ZERO).await {
        tracing::warn!(campaign = %campaign.id, %error, "dispatch could not be woken; its schedule will do it");
    }
}
