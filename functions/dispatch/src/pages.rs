//! The pages of a campaign that are out, as far as the sender and the watchdog have noted.

use std::collections::BTreeMap;
use std::time::Duration;

use shared::campaign::{Campaign, PageNumber};
use shared::store::{Core, PageState, StoreError};
use shared::time::UnixMillis;

/// A page that was put off by more than this waits for something; less is the rate's own rhythm.
const PUT_OFF: Duration = Duration::from_secs(2);

/// The pages that were given out in this round, from the first that was not done at the last look.
pub(crate) struct Pages {
    from: u32,
    /// The first page that was not given out.
    pub(crate) next: u32,
    states: BTreeMap<PageNumber, PageState>,
}

impl Pages {
    pub(crate) async fn read(core: &Core, campaign: &Campaign) -> Result<Self, StoreError> {
        let from = campaign.done_before;
        let states = core.pages_from(campaign.workspace, campaign.id, PageNumber(from)).await?;
        Ok(Self::of_round(from, campaign.round, states))
    }

    fn of_round(from: u32, round: u16, states: impl IntoIterator<Item = (PageNumber, PageState)>) -> Self {
        // What earlier rounds have left is given out again.
        let states: BTreeMap<_, _> = states.into_iter().filter(|(_, state)| state.round == round).collect();
        let next = states.keys().next_back().map_or(from, |last| last.0 + 1);
        Self { from, next, states }
    }

    /// Pages that are with the sender and take up its rate.
    pub(crate) fn busy(&self, now: UnixMillis) -> u32 {
        self.count(|state| !is_put_off(state, now) && !state.parked)
    }

    /// Pages that wait on the queue for a try to be repeated: they take up next to nothing of the rate.
    pub(crate) fn waiting(&self, now: UnixMillis) -> u32 {
        self.count(|state| is_put_off(state, now) && !state.parked)
    }

    /// Pages that were given out and are not done.
    pub(crate) fn out(&self) -> u32 {
        self.count(|_| true)
    }

    fn count(&self, counts: impl Fn(&PageState) -> bool) -> u32 {
        let counted = self.states.values().filter(|state| state.done_at.is_none() && counts(state)).count();
        u32::try_from(counted).unwrap_or(u32::MAX)
    }

    /// All pages before this one are done.
    pub(crate) fn done_before(&self) -> u32 {
        let mut done = self.from;
        while self.states.get(&PageNumber(done)).is_some_and(|state| state.done_at.is_some()) {
            done += 1;
        }
        done
    }

    /// Pages that were out too long, and parked ones whose time has come.
    pub(crate) fn to_give_out_again(&self, now: UnixMillis, after: Duration) -> Vec<(PageNumber, &PageState)> {
        self.states
            .iter()
            .filter(|(_, state)| {
                let since = state.deferred_until.unwrap_or(state.enqueued_at).max(state.enqueued_at);
                let patience = if state.parked { Duration::ZERO } else { after };
                state.done_at.is_none() && now >= since && now.since(since) >= patience
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

    const RUNNING: PageState = PageState {
        v: 1,
        enqueued_at: UnixMillis(0),
        deferred_until: None,
        deferred_because: None,
        parked: false,
        round: 0,
        done_at: None,
    };

    fn deferred(until: i64) -> PageState {
        PageState { deferred_until: Some(UnixMillis(until)), ..RUNNING }
    }

    fn done() -> PageState {
        PageState { done_at: Some(UnixMillis(5)), ..RUNNING }
    }

    fn pages(from: u32, states: impl IntoIterator<Item = (u32, PageState)>) -> Pages {
        Pages::of_round(from, 0, states.into_iter().map(|(page, state)| (PageNumber(page), state)))
    }

    fn again(pages: &Pages, now: i64) -> Vec<u32> {
        pages.to_give_out_again(UnixMillis(now), Duration::from_secs(120)).iter().map(|(page, _)| page.0).collect()
    }

    #[test]
    fn the_cursor_stops_at_the_first_page_that_is_not_done() {
        let pages = pages(3, [(3, done()), (4, RUNNING), (5, done())]);
        assert_eq!((pages.done_before(), pages.busy(UnixMillis(7)), pages.next), (4, 1, 6));
    }

    #[test]
    fn pages_that_wait_for_a_repeated_try_leave_room_for_others() {
        let pages = pages(0, [(0, deferred(60_000)), (1, deferred(1_000)), (2, RUNNING)]);
        assert_eq!((pages.busy(UnixMillis(0)), pages.waiting(UnixMillis(0))), (2, 1));
    }

    #[test]
    fn only_pages_that_nobody_put_off_are_forgotten() {
        let pages = pages(0, [(0, RUNNING), (1, deferred(900_000)), (2, done())]);
        assert_eq!(again(&pages, 121_000), [0]);
    }

    #[test]
    fn a_parked_page_is_given_out_when_its_time_has_come() {
        let pages = pages(0, [(0, PageState { parked: true, ..deferred(3_600_000) })]);
        assert_eq!(again(&pages, 3_599_999), [0_u32; 0]);
        assert_eq!(again(&pages, 3_600_000), [0]);
        assert_eq!(pages.waiting(UnixMillis(0)), 0, "parked pages keep nobody back");
    }

    #[test]
    fn what_an_earlier_round_has_done_is_to_be_done_again() {
        let next = PageState { round: 1, ..RUNNING };
        let states = [(0, next), (1, done()), (2, done())].map(|(page, state)| (PageNumber(page), state));
        let pages = Pages::of_round(0, 1, states);
        assert_eq!((pages.next, pages.done_before(), pages.busy(UnixMillis(1))), (1, 0, 1));
    }
}
