//! The account's rate as data: who may send how many messages when, and what a sender waits for.
//!
//! A sender reserves the slots of a whole page in one conditional write of the account's [`State`] and then lets its
//! messages leave at their own slots, in parallel, so the time that Meta takes to answer never lowers the rate. Campaigns
//! that send at once share the rate fairly (see [`share`]); minutes, hours and days are counted beside it (see [`window`]).
//! Times are whole microseconds, so that no rounding adds up. Nothing here knows a clock or a table.

pub mod outlook;
pub mod portfolio;
pub mod share;
mod slots;
pub mod window;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::share::Want;
pub use self::slots::{Rate, Slots, UnixMicros};
use self::window::{Limits, Windows};
use crate::id::CampaignId;
use crate::time::UnixMillis;

/// How far ahead of its first slot a page is reserved: enough to read the page and write its claims, little enough for
/// a campaign that begins or ends to be felt by the others at once.
pub const LEAD_MICROS: i64 = 1_500_000;

/// A campaign that has asked in vain keeps its place among those that share the rate for this long.
const PLACE_KEPT_MICROS: i64 = 20_000_000;

/// A campaign whose slots have all passed gives up its share after this: as long as a page may take to come through the
/// queue.
const IDLE_AFTER_MICROS: i64 = 2_000_000;

/// The most time one reservation covers, so that a pause or a new campaign is felt soon; fewer than [`FEWEST`] messages
/// are not reserved, if there are as many.
const LONGEST_MICROS: i64 = 20_000_000;

/// The fewest messages of a page that are reserved at once, however slow: the limiter's writes stay below 0.02 a message.
const FEWEST: u32 = 50;

/// How long after a reservation its last slot can lie: 50 messages at one a second, begun [`LEAD_MICROS`] later.
pub const LONGEST_RESERVATION: Duration = Duration::from_secs(52);

/// How long a sender waits for its slots by itself; a page whose turn comes later goes back to the queue with the reason.
///
/// A little more than the work that `dispatch` keeps out (10 s), so that a campaign that has its account to itself never
/// waits in the queue.
pub const LONGEST_WAIT: Duration = Duration::from_secs(12);

/// Messages that were on their way when Meta said "too fast" are told the same; for this long that is no news.
const SAME_NEWS_MICROS: i64 = 4_000_000;

/// After being told "too fast" (Meta, error 130429) the rate is halved and comes back in this time, evenly.
const RECOVERY_S: i64 = 60;

/// Stands for the replies to people's words among the campaigns that share an account's rate.
pub const REPLIES: CampaignId = CampaignId::from_ulid(ulid::Ulid::nil());

/// What is stored of an account's rate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Version of the stored shape.
    pub v: u8,
    /// Grows with each write; a write is conditional on it.
    pub revision: u64,
    /// The campaigns that send now or wait to.
    #[serde(default)]
    pub lanes: Vec<Lane>,
    /// Messages of this minute, hour and day.
    #[serde(default)]
    pub windows: Windows,
    /// Meta has said "too fast".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slowed: Option<Slowed>,
    /// Nothing leaves before this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rest: Option<Rest>,
}

/// One campaign's part of the rate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lane {
    /// The campaign.
    pub campaign: CampaignId,
    /// Its own ceiling, messages a second.
    pub ceiling: u32,
    /// When it last asked.
    pub asked_at: UnixMicros,
    /// Its reserved stretches of time, one after the other.
    #[serde(default)]
    pub stretches: Vec<Stretch>,
}

/// A stretch of time in which a campaign sends at one rate; it begins where the one before ends, or earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch {
    /// Its end: the first moment that is free again.
    pub until: UnixMicros,
    /// Messages a second.
    pub rate: u32,
}

/// The rate that Meta has forced on us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slowed {
    /// Messages a second right after.
    pub to: u32,
    /// When.
    pub at: UnixMicros,
}

/// A rest of the whole account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rest {
    /// Its end.
    pub until: UnixMillis,
    /// Why, for people.
    pub because: String,
}

/// What a sender asks for.
#[derive(Clone, Debug)]
pub struct Ask<'a> {
    /// The campaign.
    pub campaign: CampaignId,
    /// Messages that are ready to leave.
    pub messages: u32,
    /// The campaign's own ceiling, messages a second.
    pub ceiling: Option<u32>,
    /// What the account may send, messages a second.
    pub rate: u32,
    /// The account's limits.
    pub limits: &'a Limits,
}

/// What a sender gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// These slots.
    Granted(Slots),
    /// Nothing yet.
    Wait(Wait),
}

/// A wait, with its reason and its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wait {
    /// When to ask again.
    pub until: UnixMillis,
    /// What for.
    pub why: Why,
    /// Whether the state has changed all the same and must be written: the campaign has taken its place among the others.
    pub noted: bool,
}

/// What a sender waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The next slots of the rate.
    Rate,
    /// Other campaigns of the same account have reserved the rate; this one gets its share next.
    FairShare,
    /// A window of the account's limits is used up.
    Window(window::Kind),
    /// The account rests.
    Rest(String),
}

impl Why {
    /// For people.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::Rate => "the account's rate is used up".to_owned(),
            Self::FairShare => "other campaigns of this account are sending; this one gets its share next".to_owned(),
            Self::Window(kind) => format!("the account's limit {} is used up", kind.limit_name()),
            Self::Rest(because) => because.clone(),
        }
    }
}

impl State {
    /// The rate that holds now: the account's, or less while Meta's "too fast" is being made good.
    #[must_use]
    pub fn rate_at(&self, rate: u32, now: UnixMicros) -> u32 {
        let Some(Slowed { to, at }) = self.slowed else {
            return rate.max(1);
        };
        let back = i64::from(rate) * (now.0 - at.0).max(0) / (RECOVERY_S * 1_000_000);
        let recovered = i64::from(to).saturating_add(back);
        u32::try_from(recovered).unwrap_or(u32::MAX).min(rate).max(1)
    }

    /// Meta has said "too fast": halves the rate. `false` when that is no news.
    pub fn too_fast(&mut self, rate: u32, now: UnixMicros) -> bool {
        if self.slowed.is_some_and(|slowed| now.0 - slowed.at.0 < SAME_NEWS_MICROS) {
            return false;
        }
        self.slowed = Some(Slowed { to: (self.rate_at(rate, now) / 2).max(1), at: now });
        true
    }

    /// Lets nothing leave before `until`; a longer rest stays. `false` when that is no news.
    pub fn rest_until(&mut self, until: UnixMillis, because: &str) -> bool {
        if self.rest.as_ref().is_some_and(|rest| rest.until >= until) {
            return false;
        }
        self.rest = Some(Rest { until, because: because.to_owned() });
        true
    }

    /// Reserves slots, or says what to wait for. The state must be written after a grant, and after a wait that is noted.
    pub fn reserve(&mut self, ask: &Ask<'_>, now: UnixMicros) -> Answer {
        self.forget_the_idle(ask.campaign, now);
        let wait = |until: UnixMillis, why| Answer::Wait(Wait { until, why, noted: false });
        if let Some(rest) = self.rest.as_ref().filter(|rest| UnixMicros::from_millis(rest.until) > now) {
            return wait(rest.until, Why::Rest(rest.because.clone()));
        }
        let next = self.lane(ask.campaign).and_then(Lane::end).unwrap_or(now).max(now);
        if next.0 > now.0 + LEAD_MICROS {
            return wait(UnixMicros(next.0 - LEAD_MICROS).to_millis(), Why::Rate);
        }
        let (rate, start) = match self.share_and_start(ask, next, now) {
            Some((rate, start)) if start.0 <= now.0 + LEAD_MICROS => (rate, start),
            Some((_, start)) => return self.take_place(ask, UnixMicros(start.0 - LEAD_MICROS), now),
            None => return self.take_place(ask, UnixMicros(now.0 + 1_000_000), now),
        };
        let pace = Rate::per_second(rate);
        let longest = pace.messages_in(LONGEST_MICROS).max(FEWEST);
        let n = match self.windows.room(ask.limits, start, pace, ask.messages.min(longest).max(1)) {
            Ok(n) => n,
            Err((kind, until)) => return wait(until, Why::Window(kind)),
        };
        self.windows.count(ask.limits, start, n);
        let until = UnixMicros(start.0 + pace.span_micros(n));
        let lane = self.lane_mut(ask, now);
        lane.stretches.retain(|stretch| stretch.until > now);
        match lane.stretches.last_mut() {
            Some(last) if last.rate == rate && last.until == start => last.until = until,
            _ => lane.stretches.push(Stretch { until, rate }),
        }
        Answer::Granted(Slots::starting_at(start, n, pace))
    }

    /// The campaign's share of the rate, and the first moment from which the others leave it free.
    fn share_and_start(&self, ask: &Ask<'_>, next: UnixMicros, now: UnixMicros) -> Option<(u32, UnixMicros)> {
        let total = self.rate_at(ask.rate, now);
        let others: Vec<&Lane> = self.lanes.iter().filter(|lane| lane.campaign != ask.campaign).collect();
        let ceiling = ask.ceiling.unwrap_or(u32::MAX);
        let mut wants: Vec<Want> =
            others.iter().map(|lane| Want { campaign: lane.campaign, ceiling: lane.ceiling }).collect();
        wants.push(Want { campaign: ask.campaign, ceiling });
        let share = share::fair(total, &wants, ask.campaign);
        if share == 0 {
            return None;
        }
        let mut moments: Vec<UnixMicros> = others
            .iter()
            .flat_map(|lane| lane.stretches.iter().map(|stretch| stretch.until))
            .filter(|until| *until > next)
            .collect();
        moments.push(next);
        moments.sort_unstable();
        let free_at = |moment: UnixMicros| {
            let held: u32 = others.iter().map(|lane| lane.rate_from(moment)).sum();
            total.saturating_sub(held)
        };
        moments.into_iter().find(|moment| free_at(*moment) >= share).map(|start| (share, start))
    }

    /// Notes that the campaign wants its share, so that the others leave it room.
    fn take_place(&mut self, ask: &Ask<'_>, until: UnixMicros, now: UnixMicros) -> Answer {
        let known = self.lane(ask.campaign).is_some_and(|lane| now.0 - lane.asked_at.0 < PLACE_KEPT_MICROS / 2);
        if !known {
            self.lane_mut(ask, now);
        }
        Answer::Wait(Wait { until: until.to_millis(), why: Why::FairShare, noted: !known })
    }

    fn forget_the_idle(&mut self, asking: CampaignId, now: UnixMicros) {
        self.lanes.retain(|lane| {
            let sends = lane.end().is_some_and(|end| end.0 + IDLE_AFTER_MICROS > now.0);
            let waits = lane.stretches.is_empty() && lane.asked_at.0 + PLACE_KEPT_MICROS > now.0;
            lane.campaign == asking || sends || waits
        });
    }

    fn lane(&self, campaign: CampaignId) -> Option<&Lane> {
        self.lanes.iter().find(|lane| lane.campaign == campaign)
    }

    fn lane_mut(&mut self, ask: &Ask<'_>, now: UnixMicros) -> &mut Lane {
        let ceiling = ask.ceiling.unwrap_or(u32::MAX);
        let at = self.lanes.iter().position(|lane| lane.campaign == ask.campaign).unwrap_or_else(|| {
            self.lanes.push(Lane { campaign: ask.campaign, ceiling, asked_at: now, stretches: Vec::new() });
            self.lanes.len() - 1
        });
        let lane = &mut self.lanes[at];
        (lane.ceiling, lane.asked_at) = (ceiling, now);
        lane
    }
}

impl Lane {
    /// When its last reserved slot has passed.
    #[must_use]
    pub fn end(&self) -> Option<UnixMicros> {
        self.stretches.iter().map(|stretch| stretch.until).max()
    }

    /// The highest rate it holds from `moment` on.
    fn rate_from(&self, moment: UnixMicros) -> u32 {
        self.stretches.iter().filter(|stretch| stretch.until > moment).map(|stretch| stretch.rate).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
