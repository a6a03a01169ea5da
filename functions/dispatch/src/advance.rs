//! One look at one campaign. Every step can be repeated and interrupted: a page is noted before it is enqueued, so a
//! crash in between leaves a page that the watchdog gives out again, and the sender's claims make a page that is given
//! out twice harmless.

use std::time::Duration;

use shared::account::{Account, DEFAULT_RATE};
use shared::campaign::{Campaign, PAGE_SIZE, PageNumber, PausedBy, Status};
use shared::id::{CampaignId, WorkspaceId};
use shared::queue::{QueueUnavailable, SendCommand};
use shared::store::{StoreError, Transition};
use shared::throttle::UnixMicros;
use shared::time::UnixMillis;

use crate::Dispatch;
use crate::guard::{self, Allowance, Forgiven, Reason, Verdict};
use crate::pages::Pages;

/// Work that is kept enqueued, in time at the campaign's rate: enough to bridge the way through the queue, little
/// enough for a pause to be felt at once and for pages not to age in the queue.
const HORIZON: Duration = Duration::from_secs(10);

/// Pages that are out at least, so that small pages or a low rate do not leave the sender idle.
const FEWEST_PAGES_OUT: u32 = 2;

/// Pages that may wait, as a multiple of those that are busy: beyond it something is wrong, and more pages would not
/// help.
const MOST_WAITING: u32 = 10;

/// Why a campaign could not be advanced; the next look does it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotAdvanced {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Queue(#[from] QueueUnavailable),
}

pub(crate) async fn campaign(
    dispatch: &Dispatch,
    workspace: WorkspaceId,
    id: CampaignId,
    forgotten_after: Duration,
    now: UnixMillis,
) -> Result<(), NotAdvanced> {
    let Some(mut campaign) = dispatch.core.campaign(workspace, id).await? else {
        return Ok(());
    };
    let account = dispatch.core.account(workspace, campaign.account).await?;
    if campaign.has_expired(now) && matches!(campaign.status, Status::Running | Status::Paused | Status::Scheduled) {
        let left = "the campaign's time is over; whoever had not been sent to by then was skipped";
        return end(dispatch, &campaign, account.as_ref(), Some(left.to_owned()), now).await;
    }
    let Some(forgotten_after) = wake(dispatch, &mut campaign, account.as_ref(), forgotten_after, now).await? else {
        return Ok(());
    };
    if let Some(reason) = campaign.planning.as_ref().and_then(|planning| planning.failed.as_ref()) {
        let reason = format!("the audience could not be read: {reason}");
        dispatch.core.transition(workspace, id, &paused(&campaign, reason, now)).await?;
        return Ok(());
    }
    let pages = Pages::read(&dispatch.core, &campaign).await?;
    let is_done = pages.done_before() >= campaign.pages && campaign.planning.is_none();
    let allowance = match guard::look(dispatch, &campaign).await? {
        Verdict::Pause(reason) if !is_done => return pause(dispatch, &campaign, reason, now).await,
        Verdict::Pause(_) => Allowance::default(),
        Verdict::GoOn(allowance) => allowance,
    };
    let wanted = wanted_pages(dispatch, &campaign, account.as_ref(), now).await?;
    let mut out = pages.busy(now);
    for (page, state) in pages.to_give_out_again(now, forgotten_after) {
        // Parked pages whose time has come are many at once; they come as fast as they are sent.
        if state.parked && out >= wanted {
            continue;
        }
        out += u32::from(state.parked);
        if dispatch.core.enqueue_page_again(workspace, id, page, state.enqueued_at, now).await? {
            if !state.parked {
                tracing::warn!(campaign = %id, page = page.0, "a page was out too long and is given out again");
            }
            enqueue(dispatch, workspace, id, page).await?;
        }
    }
    let next_page = give_out(dispatch, &campaign, &pages, &allowance, (out, wanted), now).await?;
    let done_before = pages.done_before();
    if next_page > campaign.next_page || done_before > campaign.done_before {
        dispatch.core.advance_cursors(workspace, id, campaign.round, next_page, done_before).await?;
    }
    if is_done {
        end(dispatch, &campaign, account.as_ref(), None, now).await?;
    }
    Ok(())
}

/// Lets a campaign run whose time has come or whose obstacle is gone. `None`: it does not run. Else after which time its
/// pages count as forgotten: at once when it was paused, for the sender has dropped them.
async fn wake(
    dispatch: &Dispatch,
    campaign: &mut Campaign,
    account: Option<&Account>,
    forgotten_after: Duration,
    now: UnixMillis,
) -> Result<Option<Duration>, StoreError> {
    let (from, forgotten_after) = match (campaign.status, campaign.paused_by) {
        (Status::Running, _) => return Ok(Some(forgotten_after)),
        (Status::Scheduled, _) if campaign.schedule.start_at.is_none_or(|start| start <= now) => {
            (Status::Scheduled, forgotten_after)
        }
        (Status::Paused, Some(PausedBy::Account)) => {
            let status = dispatch.core.campaign_follows(campaign.workspace, campaign.id, now).await?;
            campaign.status = status.unwrap_or(campaign.status);
            return Ok((campaign.status == Status::Running).then_some(Duration::ZERO));
        }
        (Status::Paused, Some(PausedBy::Template)) if templates_are_approved(dispatch, campaign, account).await? => {
            (Status::Paused, Duration::ZERO)
        }
        _ => return Ok(None),
    };
    let later = campaign.schedule.start_at.filter(|start| *start > now);
    let to = if later.is_some() { Status::Scheduled } else { Status::Running };
    let on = Transition { from, to, reason: None, paused_by: None, at: now, due: Some(later.unwrap_or(now)) };
    if !dispatch.core.transition(campaign.workspace, campaign.id, &on).await? {
        return Ok(None);
    }
    campaign.status = to;
    campaign.started_at = campaign.started_at.or(Some(now));
    Ok((to == Status::Running).then_some(forgotten_after))
}

/// Whether Meta has approved all templates of the campaign again.
async fn templates_are_approved(
    dispatch: &Dispatch,
    campaign: &Campaign,
    account: Option<&Account>,
) -> Result<bool, StoreError> {
    let Some(account) = account else { return Ok(false) };
    for variant in &campaign.variants {
        let Some(template) = variant.message.template() else { continue };
        let stored =
            dispatch.core.template(campaign.workspace, &account.waba_id, &template.name, &template.language).await?;
        if !stored.is_some_and(|stored| stored.may_be_sent()) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Pauses a campaign by its own figures. Paused first: a crash in between pauses it once more after the resume, and never
/// lets it run on.
async fn pause(dispatch: &Dispatch, campaign: &Campaign, reason: Reason, now: UnixMillis) -> Result<(), NotAdvanced> {
    let (workspace, id) = (campaign.workspace, campaign.id);
    if dispatch.core.transition(workspace, id, &paused(campaign, reason.text, now)).await? {
        match reason.forgiven {
            Forgiven::Failures(failed) => dispatch.core.forgive(workspace, id, failed).await?,
            Forgiven::Costs(renewals) => dispatch.core.renew_budget(workspace, id, renewals).await?,
        }
    }
    Ok(())
}

/// A pause that only somebody can end, or the campaign's own end.
fn paused(campaign: &Campaign, reason: String, now: UnixMillis) -> Transition {
    Transition {
        from: Status::Running,
        to: Status::Paused,
        reason: Some(reason),
        paused_by: Some(PausedBy::Errors),
        at: now,
        due: campaign.schedule.expires_at,
    }
}

/// The campaign is over: what it has reserved of the messaging limit is given back first, for after the transition nobody
/// looks at it again.
async fn end(
    dispatch: &Dispatch,
    campaign: &Campaign,
    account: Option<&Account>,
    reason: Option<String>,
    now: UnixMillis,
) -> Result<(), NotAdvanced> {
    let (workspace, id) = (campaign.workspace, campaign.id);
    if let Some(account) = account.filter(|account| account.people_per_day().is_some()) {
        dispatch.core.release_people(workspace, account.portfolio_name(), id).await?;
    }
    if dispatch.core.complete(campaign, reason.as_deref(), now).await? {
        tracing::info!(campaign = %id, recipients = campaign.recipients, "a campaign is complete");
    }
    Ok(())
}

/// How many pages of the campaign shall be with the sender.
async fn wanted_pages(
    dispatch: &Dispatch,
    campaign: &Campaign,
    account: Option<&Account>,
    now: UnixMillis,
) -> Result<u32, StoreError> {
    let rate = account.map_or(DEFAULT_RATE, |account| account.effective_rate().0);
    // Pages beyond the campaign's share of the rate would only keep the sender waiting.
    let throttle = dispatch.core.throttle_state(campaign.workspace, campaign.account).await?;
    let share = throttle.share_of(campaign.id, campaign.messages_per_second, rate, UnixMicros::from_millis(now));
    Ok(horizon_pages(share.rate))
}

/// Gives out new pages until the horizon is full; the new cursor.
async fn give_out(
    dispatch: &Dispatch,
    campaign: &Campaign,
    pages: &Pages,
    allowance: &Allowance,
    (mut out, wanted): (u32, u32),
    now: UnixMillis,
) -> Result<u32, NotAdvanced> {
    let waiting = pages.waiting(now);
    let mut next = pages.next.max(campaign.next_page);
    let mut allowed = allowance.more_pages(pages.out());
    while out < wanted && allowed > 0 && waiting < wanted * MOST_WAITING && next < campaign.pages {
        let page = PageNumber(next);
        if dispatch.core.enqueue_page(campaign.workspace, campaign.id, page, campaign.round, now).await? {
            enqueue(dispatch, campaign.workspace, campaign.id, page).await?;
        }
        next += 1;
        out += 1;
        allowed -= 1;
    }
    Ok(next)
}

async fn enqueue(
    dispatch: &Dispatch,
    workspace: WorkspaceId,
    campaign: CampaignId,
    page: PageNumber,
) -> Result<(), QueueUnavailable> {
    dispatch.send.send(&SendCommand::Page { workspace, campaign, page }, Duration::ZERO).await
}

fn horizon_pages(rate: u32) -> u32 {
    let messages = u64::from(rate) * HORIZON.as_secs();
    u32::try_from(messages.div_ceil(u64::from(PAGE_SIZE))).unwrap_or(u32::MAX).max(FEWEST_PAGES_OUT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_horizon_is_ten_seconds_of_pages() {
        assert_eq!(horizon_pages(80), 8);
        assert_eq!(horizon_pages(1), 2);
        assert_eq!(horizon_pages(1_000), 100);
    }
}
