//! Meta's messaging limit: how many different people all numbers of a business portfolio together may write to in 24
//! hours (Meta, messaging limits). A campaign reserves its audience before it starts, so that two campaigns that each
//! fit do not run into the limit together.
//!
//! People are counted in hours, and an hour is forgotten when all of it is more than a day old: never too early.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::CampaignId;
use crate::time::UnixMillis;

const HOUR_MS: i64 = 3_600_000;

/// What is stored of a portfolio.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Version of the stored shape.
    pub v: u8,
    /// Grows with each write; a write is conditional on it.
    pub revision: u64,
    /// People first written to in each hour since 1970.
    #[serde(default)]
    pub hours: BTreeMap<i64, u32>,
    /// What campaigns have reserved and not used yet.
    #[serde(default)]
    pub reserved: BTreeMap<CampaignId, u32>,
}

impl State {
    /// People written to in the last 24 hours, at most 25.
    #[must_use]
    pub fn used(&self, now: UnixMillis) -> u32 {
        self.hours.range(oldest_that_counts(now)..).map(|(_, people)| people).sum()
    }

    /// People that may still be written to and are not reserved.
    #[must_use]
    pub fn free(&self, limit: u32, now: UnixMillis) -> u32 {
        let reserved: u32 = self.reserved.values().sum();
        limit.saturating_sub(self.used(now)).saturating_sub(reserved)
    }

    /// People that this campaign may still write to: its own reservation, and what is free.
    #[must_use]
    pub fn room_for(&self, campaign: CampaignId, limit: u32, now: UnixMillis) -> u32 {
        self.reserved.get(&campaign).copied().unwrap_or(0).saturating_add(self.free(limit, now))
    }

    /// Reserves up to `people` for a campaign, in place of what it had reserved; how many there was room for.
    pub fn reserve(&mut self, campaign: CampaignId, people: u32, limit: u32, now: UnixMillis) -> u32 {
        self.reserved.remove(&campaign);
        let room = people.min(self.free(limit, now));
        if room > 0 {
            self.reserved.insert(campaign, room);
        }
        room
    }

    /// Gives back what a campaign has reserved and does not need any more; `false` when that is nothing.
    pub fn release(&mut self, campaign: CampaignId) -> bool {
        self.reserved.remove(&campaign).is_some()
    }

    /// Takes up to `people`, from the campaign's reservation first.
    ///
    /// # Errors
    /// When there is no room for anybody: the time at which there will be.
    pub fn take(&mut self, campaign: CampaignId, people: u32, limit: u32, now: UnixMillis) -> Result<u32, UnixMillis> {
        let own = self.reserved.get(&campaign).copied().unwrap_or(0);
        let taken = people.min(self.room_for(campaign, limit, now));
        if taken == 0 && people > 0 {
            return Err(self.opens_at(now));
        }
        match own.saturating_sub(taken) {
            0 => self.reserved.remove(&campaign),
            left => self.reserved.insert(campaign, left),
        };
        if taken > 0 {
            *self.hours.entry(now.0.div_euclid(HOUR_MS)).or_default() += taken;
        }
        self.hours = self.hours.split_off(&oldest_that_counts(now));
        Ok(taken)
    }

    /// When the oldest people who count are forgotten.
    #[must_use]
    pub fn opens_at(&self, now: UnixMillis) -> UnixMillis {
        let oldest =
            self.hours.range(oldest_that_counts(now)..).find(|(_, people)| **people > 0).map(|(hour, _)| *hour);
        // All that counts is reserved by others: they send, or give back what they do not need.
        oldest.map_or(UnixMillis(now.0 + HOUR_MS), |hour| UnixMillis((hour + 25) * HOUR_MS))
    }
}

/// The oldest hour of which some part is less than a day ago.
const fn oldest_that_counts(now: UnixMillis) -> i64 {
    now.0.div_euclid(HOUR_MS) - 24
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn campaign(n: i64) -> CampaignId {
        CampaignId::from_ulid(ulid::Ulid::from_parts(u64::try_from(1_790_000_000_000 + n).unwrap(), 7))
    }

    #[test]
    fn a_reservation_keeps_others_out_until_it_is_used_or_given_back() {
        let (mut state, now) = (State::default(), UnixMillis(1_790_000_000_000));
        assert_eq!(state.reserve(campaign(1), 200, 250, now), 200);
        assert_eq!(state.reserve(campaign(2), 100, 250, now), 50);
        assert_eq!(state.take(campaign(2), 100, 250, now), Ok(50));
        assert!(state.take(campaign(2), 50, 250, now).is_err());
        assert_eq!(state.take(campaign(1), 100, 250, now), Ok(100));
        assert!(state.release(campaign(1)));
        assert_eq!(state.take(campaign(2), 500, 250, now), Ok(100));
        assert_eq!(state.used(now), 250);
    }

    #[test]
    fn people_are_forgotten_after_a_day() {
        let (mut state, now) = (State::default(), UnixMillis(1_790_000_000_000));
        assert_eq!(state.take(campaign(1), 250, 250, now), Ok(250));
        let opens = state.take(campaign(1), 1, 250, now).unwrap_err();
        assert!(opens.0 - now.0 >= 24 * HOUR_MS && opens.0 - now.0 <= 25 * HOUR_MS);
        assert!(state.take(campaign(1), 1, 250, UnixMillis(opens.0 - 1)).is_err());
        assert_eq!(state.take(campaign(1), 1, 250, opens), Ok(1));
    }

    proptest! {
        #[test]
        fn no_day_ever_holds_more_than_the_limit(
            limit in 1_u32..500,
            steps in prop::collection::vec((0_i64..7_200_000, 0_i64..4, 1_u32..120, any::<bool>()), 1..80),
        ) {
            let (mut state, mut now) = (State::default(), 1_790_000_000_000_i64);
            let mut taken: Vec<(i64, u32)> = Vec::new();
            for (pause, who, people, reserves) in steps {
                now += pause;
                if reserves {
                    state.reserve(campaign(who), people, limit, UnixMillis(now));
                } else if let Ok(n) = state.take(campaign(who), people, limit, UnixMillis(now)) {
                    taken.push((now, n));
                }
            }
            for (at, _) in &taken {
                let day: u32 =
                    taken.iter().filter(|(other, _)| (0..24 * HOUR_MS).contains(&(other - at))).map(|(_, n)| n).sum();
                prop_assert!(day <= limit, "{day} of {limit}");
            }
        }
    }
}
