//! What the stored state of an account's rate tells of the near future, without reserving anything: the share a campaign
//! would get, and what it waits for. For people; the sender goes by [`State::reserve`] alone.

use super::share::{self, Want};
use super::{LEAD_MICROS, State, UnixMicros, Why};
use crate::id::CampaignId;
use crate::time::UnixMillis;

/// A campaign's part of the rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Messages a second; 0 while the account's rate does not give one to each campaign.
    pub rate: u32,
    /// Other campaigns that send now or wait to.
    pub others: usize,
}

impl State {
    /// The share of the rate that the campaign has, or would have if it sent now. `rate` is what the account may send.
    #[must_use]
    pub fn share_of(&self, campaign: CampaignId, ceiling: Option<u32>, rate: u32, now: UnixMicros) -> Share {
        let mut present = self.clone();
        present.forget_the_idle(campaign, now);
        let others = present.lanes.iter().filter(|lane| lane.campaign != campaign);
        let mut wants: Vec<Want> = others.map(|lane| Want { campaign: lane.campaign, ceiling: lane.ceiling }).collect();
        let others = wants.len();
        wants.push(Want { campaign, ceiling: ceiling.unwrap_or(u32::MAX) });
        Share { rate: share::fair(self.rate_at(rate, now), &wants, campaign), others }
    }

    /// What the campaign waits for that concerns the whole account, and until when: a rest, or other campaigns' slots.
    #[must_use]
    pub fn wait_of(&self, campaign: CampaignId, now: UnixMicros) -> Option<(UnixMillis, Why)> {
        if let Some(rest) = self.rest.as_ref().filter(|rest| UnixMicros::from_millis(rest.until) > now) {
            return Some((rest.until, Why::Rest(rest.because.clone())));
        }
        let mut present = self.clone();
        present.forget_the_idle(campaign, now);
        let waits = present.lane(campaign).is_some_and(|lane| lane.end().is_none());
        let others = present.lanes.iter().filter(|lane| lane.campaign != campaign);
        let first_free = others.filter_map(super::Lane::end).filter(|end| *end > now).min();
        let until = first_free.filter(|_| waits)?;
        Some((UnixMicros((until.0 - LEAD_MICROS).max(now.0)).to_millis(), Why::FairShare))
    }
}

#[cfg(test)]
mod tests {
    use super::super::window::Limits;
    use super::super::{Answer, Ask};
    use super::*;

    const NOW: UnixMicros = UnixMicros(1_790_000_000_000_000);

    fn campaign(n: i64) -> CampaignId {
        CampaignId::from_ulid(ulid::Ulid::from_parts(u64::try_from(1_790_000_000_000 + n).unwrap(), 7))
    }

    fn ask<'a>(limits: &'a Limits, n: i64) -> Ask<'a> {
        Ask { campaign: campaign(n), messages: 1_000, ceiling: None, rate: 80, limits }
    }

    #[test]
    fn a_campaign_alone_has_the_whole_rate_and_two_have_half_each() {
        let (mut state, limits) = (State::default(), Limits::default());
        assert_eq!(state.share_of(campaign(1), None, 80, NOW), Share { rate: 80, others: 0 });
        assert!(matches!(state.reserve(&ask(&limits, 1), NOW), Answer::Granted(_)));
        assert_eq!(state.share_of(campaign(1), None, 80, NOW), Share { rate: 80, others: 0 });
        assert_eq!(state.share_of(campaign(2), None, 80, NOW), Share { rate: 40, others: 1 });
        assert_eq!(state.share_of(campaign(2), Some(5), 80, NOW), Share { rate: 5, others: 1 });
        let later = UnixMicros(NOW.0 + 60_000_000);
        assert_eq!(
            state.share_of(campaign(2), None, 80, later),
            Share { rate: 80, others: 0 },
            "the other one is done"
        );
    }

    #[test]
    fn a_campaign_that_has_taken_its_place_waits_for_the_slots_of_the_others() {
        let (mut state, limits) = (State::default(), Limits::default());
        assert!(matches!(state.reserve(&ask(&limits, 1), NOW), Answer::Granted(_)));
        assert_eq!(state.wait_of(campaign(2), NOW), None, "it has not asked");
        let Answer::Wait(wait) = state.reserve(&ask(&limits, 2), NOW) else { panic!("the rate is taken") };
        let (until, why) = state.wait_of(campaign(2), NOW).unwrap();
        assert_eq!((until, why), (wait.until, Why::FairShare));
        assert_eq!(state.wait_of(campaign(1), NOW), None, "it sends");
    }

    #[test]
    fn a_rest_concerns_every_campaign_until_it_is_over() {
        let mut state = State::default();
        let until = UnixMillis(1_790_000_060_000);
        state.rest_until(until, "Meta asked for a pause");
        let why = Why::Rest("Meta asked for a pause".to_owned());
        assert_eq!(state.wait_of(campaign(1), NOW), Some((until, why)));
        assert_eq!(state.wait_of(campaign(1), UnixMicros::from_millis(until)), None);
    }
}
