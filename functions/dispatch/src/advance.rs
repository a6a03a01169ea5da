//! One look at one campaign. Every step can be repeated and interrupted: a page is noted before it is enqueued, so a
//! crash in between leaves a page that the watchdog gives out again, and the sender's claims make a page that is given
//! out twice harmless.

use std::collections::BTreeMap;
use std::time::Duration;

use shared::account::DEFAULT_RATE;
use shared::campaign::{Campaign, PAGE_SIZE, PageNumber, Status};
use shared::id::{CampaignId, WorkspaceId};
use shared::queue::{QueueUnavailable, SendCommand};
use shared::store::{PageState, StoreError, Transition};
use shared::time::UnixMillis;

use crate::Dispatch;

/// Work that is kept enqueued, in time at the campaign's rate: enough to bridge the way through the queue, little
/// enough for a pause to be felt at once and for pages not to age in the queue.
const HORIZON: Duration = Duration::from_secs(10);

/// Pages that are out at least, so that small pages or a low rate do not leave the sender idle.
const FEWEST_PAGES_OUT: u32 = 2;

/// A page that was put off by more than this waits for a try to be repeated; less is the rate's own rhythm.
const PUT_OFF: Duration = Duration::from_secs(2);

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
    if campaign.status == Status::Scheduled && campaign.schedule.start_at.is_none_or(|start| start <= now) {
        let start = Transition {
            from: Status::Scheduled,
            to: Status::Running,
            reason: None,
            paused_by: None,
            at: now,
            due: Some(now),
        };
        if !dispatch.core.transition(workspace, id, &start).await? {
            return Ok(());
        }
        campaign.status = Status::Running;
    }
    if campaign.status != Status::Running {
        return Ok(());
    }
    let pages = Pages::read(dispatch, &campaign).await?;
    for (page, state) in pages.forgotten(now, forgotten_after) {
        if dispatch.core.enqueue_page_again(workspace, id, page, state.enqueued_at, now).await? {
            tracing::warn!(campaign = %id, page = page.0, "a page was out too long and is given out again");
            enqueue(dispatch, workspace, id, page).await?;
        }
    }
    let next_page = give_out(dispatch, &campaign, &pages, now).await?;
    let done_before = pages.done_before();
    if next_page > campaign.next_page || done_before > campaign.done_before {
        dispatch.core.advance_cursors(workspace, id, next_page, done_before).await?;
    }
    if campaign.planning.is_none() && done_before >= campaign.pages {
        let end = Transition {
            from: Status::Running,
            to: Status::Completed,
            reason: None,
            paused_by: None,
            at: now,
            due: None,
        };
        if dispatch.core.transition(workspace, id, &end).await? {
            tracing::info!(campaign = %id, recipients = campaign.recipients, "a campaign is complete");
        }
    }
    Ok(())
}

/// Gives out new pages until the horizon is full; the new cursor.
async fn give_out(
    dispatch: &Dispatch,
    campaign: &Campaign,
    pages: &Pages,
    now: UnixMillis,
) -> Result<u32, NotAdvanced> {
    let rate = campaign.rate(account_rate(dispatch, campaign).await?);
    let wanted = horizon_pages(rate);
    let (mut out, waiting) = (pages.busy(now), pages.waiting(now));
    let mut next = pages.next.max(campaign.next_page);
    while out < wanted && waiting < wanted * MOST_WAITING && next < campaign.pages {
        let page = PageNumber(next);
        if dispatch.core.enqueue_page(campaign.workspace, campaign.id, page, now).await? {
            enqueue(dispatch, campaign.workspace, campaign.id, page).await?;
        }
        next += 1;
        out += 1;
    }
    Ok(next)
}

async fn account_rate(dispatch: &Dispatch, campaign: &Campaign) -> Result<u32, StoreError> {
    let account = dispatch.core.account(campaign.workspace, campaign.account).await?;
    Ok(account.map_or(DEFAULT_RATE, |account| account.messages_per_second))
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

/// The pages that were given out, from the first that was not done at the last look.
struct Pages {
    from: u32,
    next: u32,
    states: BTreeMap<PageNumber, PageState>,
}

impl Pages {
    async fn read(dispatch: &Dispatch, campaign: &Campaign) -> Result<Self, StoreError> {
        let from = campaign.done_before;
        let states: BTreeMap<_, _> =
            dispatch.core.pages_from(campaign.workspace, campaign.id, PageNumber(from)).await?.into_iter().collect();
        let next = states.keys().next_back().map_or(from, |last| last.0 + 1);
        Ok(Self { from, next, states })
    }

    /// Pages that are with the sender and take up its rate.
    fn busy(&self, now: UnixMillis) -> u32 {
        self.count(|state| !is_put_off(state, now))
    }

    /// Pages that wait for a try to be repeated: they take up next to nothing of the rate.
    fn waiting(&self, now: UnixMillis) -> u32 {
        self.count(|state| is_put_off(state, now))
    }

    fn count(&self, counts: impl Fn(&PageState) -> bool) -> u32 {
        let counted = self.states.values().filter(|state| state.done_at.is_none() && counts(state)).count();
        u32::try_from(counted).unwrap_or(u32::MAX)
    }

    /// All pages before this one are done.
    fn done_before(&self) -> u32 {
        let mut done = self.from;
        while self.states.get(&PageNumber(done)).is_some_and(|state| state.done_at.is_some()) {
            done += 1;
        }
        done
    }

    fn forgotten(&self, now: UnixMillis, after: Duration) -> Vec<(PageNumber, &PageState)> {
        self.states
            .iter()
            .filter(|(_, state)| {
                let since = state.deferred_until.unwrap_or(state.enqueued_at).max(state.enqueued_at);
                state.done_at.is_none() && now.since(since) > after
            })
            .map(|(page, state)| (*page, state))
            .collect()
    }
}

fn is_put_off(state: &PageState, now: UnixMillis) -> bool {
    state.deferred_until.is_some_and(|until| until.since(now) > PUT_OFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages(from: u32, states: &[(u32, i64, Option<i64>, Option<i64>)]) -> Pages {
        let states: BTreeMap<_, _> = states
            .iter()
            .map(|(page, enqueued, deferred, done)| {
                let state = PageState {
                    v: 1,
                    enqueued_at: UnixMillis(*enqueued),
                    deferred_until: deferred.map(UnixMillis),
                    deferred_because: None,
                    done_at: done.map(UnixMillis),
                };
                (PageNumber(*page), state)
            })
            .collect();
        let next = states.keys().next_back().map_or(from, |last| last.0 + 1);
        Pages { from, next, states }
    }

    #[test]
    fn the_cursor_stops_at_the_first_page_that_is_not_done() {
        let pages = pages(3, &[(3, 0, None, Some(5)), (4, 0, None, None), (5, 0, None, Some(6))]);
        assert_eq!((pages.done_before(), pages.busy(UnixMillis(7)), pages.next), (4, 1, 6));
    }

    #[test]
    fn pages_that_wait_for_a_repeated_try_leave_room_for_others() {
        let pages = pages(0, &[(0, 0, Some(60_000), None), (1, 0, Some(1_000), None), (2, 0, None, None)]);
        assert_eq!((pages.busy(UnixMillis(0)), pages.waiting(UnixMillis(0))), (2, 1));
    }

    #[test]
    fn only_pages_that_nobody_put_off_are_forgotten() {
        let pages = pages(0, &[(0, 0, None, None), (1, 0, Some(900_000), None), (2, 0, None, Some(1))]);
        let forgotten: Vec<u32> =
            pages.forgotten(UnixMillis(121_000), Duration::from_secs(120)).iter().map(|(page, _)| page.0).collect();
        assert_eq!(forgotten, [0]);
    }

    #[test]
    fn the_horizon_is_ten_seconds_of_pages() {
        assert_eq!(horizon_pages(80), 8);
        assert_eq!(horizon_pages(1), 2);
        assert_eq!(horizon_pages(1_000), 100);
    }
}
