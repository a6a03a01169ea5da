//! When a campaign would be done: the sender's own arithmetic run ahead of time, on copies of the rows that it reserves
//! from.

use serde::Serialize;

use crate::account::{Account, AccountStatus};
use crate::campaign::Campaign;
use crate::local_time::hours::Hours;
use crate::local_time::zones::zones_of_region;
use crate::price::Regions;
use crate::throttle::{self, Answer, Ask, LEAD_MICROS, UnixMicros, Why, portfolio};
use crate::time::{UnixMillis, rfc3339};

/// What is known before a campaign starts.
#[derive(Clone, Copy)]
pub struct Outset<'a> {
    /// The campaign.
    pub campaign: &'a Campaign,
    /// Its account.
    pub account: &'a Account,
    /// The account's rate.
    pub state: &'a throttle::State,
    /// The portfolio's messaging limit.
    pub people: &'a portfolio::State,
    /// Who would get a message, by region.
    pub reachable: &'a Regions,
}

/// When a campaign would be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Eta {
    /// When the first message leaves; `None` when nobody can tell, or there is none.
    #[serde(with = "rfc3339::option")]
    pub starts_at: Option<UnixMillis>,
    /// From the first message to the last, in seconds.
    pub duration_s: Option<i64>,
    /// When the last message leaves.
    #[serde(with = "rfc3339::option")]
    pub finishes_at: Option<UnixMillis>,
    /// Messages a second while nothing keeps it waiting.
    pub rate: u32,
    /// What it waits for on the way, in order.
    pub waits: Vec<Wait>,
    /// People whose turn would not come before the campaign expires.
    pub expired: u32,
    /// What was taken into account, for people.
    pub considers: Vec<&'static str>,
}

/// Something that a campaign waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Wait {
    /// For people.
    pub reason: String,
    /// When that is over, the first time; `None` when nobody knows.
    #[serde(with = "rfc3339::option")]
    pub until: Option<UnixMillis>,
    /// How often it comes.
    pub times: u32,
}

/// The most looks at a region's clock, and of reservations, before it counts as too far away to tell.
const MOST_STEPS: usize = 400_000;

const CONSIDERS: [&str; 5] = [
    "the account's rate now, shared with the campaigns that send now for as long as this one takes",
    "the account's limits per minute, hour and day, with what is used of them",
    "the messaging limit of 24 hours, every recipient counted as somebody new",
    "the account's pause or rest, if its end is known",
    "local time and quiet hours by the region of each number",
];

/// Runs the campaign ahead.
#[must_use]
pub fn eta(outset: &Outset<'_>, now: UnixMillis) -> Eta {
    let Outset { campaign, account, state, .. } = *outset;
    let begun = campaign.started_at.unwrap_or_else(|| campaign.schedule.start_at.map_or(now, |start| start.max(now)));
    let mut run = Run::new(outset, begun, now);
    if let Some(start) = campaign.schedule.start_at.filter(|start| *start > now) {
        run.wait("the campaign waits for its time", start);
    }
    if account.status == AccountStatus::Paused {
        match account.paused_until {
            Some(until) => run.wait("the account is paused", until),
            None => {
                run.waits.push(Wait { reason: "the account is paused".to_owned(), until: None, times: 1 });
                return run.result(state, false);
            }
        }
    }
    let done = run.go(outset);
    run.result(state, done)
}

struct Run<'a> {
    campaign: &'a Campaign,
    hours: Hours,
    rate: u32,
    state: throttle::State,
    people: portfolio::State,
    left: Vec<(&'a str, u32)>,
    at: UnixMillis,
    first: Option<UnixMillis>,
    last: Option<UnixMillis>,
    waits: Vec<Wait>,
}

impl<'a> Run<'a> {
    fn new(outset: &Outset<'a>, begun: UnixMillis, now: UnixMillis) -> Self {
        let Outset { campaign, account, state, people, reachable } = *outset;
        let unhurt = throttle::State { slowed: None, ..state.clone() };
        let (allowed, _) = account.effective_rate();
        let share =
            unhurt.share_of(campaign.id, campaign.messages_per_second, allowed, UnixMicros::from_millis(now)).rate;
        Self {
            campaign,
            hours: Hours::of(&campaign.schedule, begun, account.safety.quiet_hours),
            rate: share.max(1),
            state: throttle::State { lanes: Vec::new(), ..state.clone() },
            people: people.clone(),
            left: reachable.iter().map(|(region, people)| (region.as_str(), *people)).collect(),
            at: now,
            first: None,
            last: None,
            waits: Vec::new(),
        }
    }

    /// Whether everybody has got their message, or the campaign's time is over.
    fn go(&mut self, outset: &Outset<'_>) -> bool {
        let limit = outset.account.people_per_day();
        let mut steps = 0;
        while steps < MOST_STEPS {
            self.left.retain(|(_, people)| *people > 0);
            if self.left.is_empty() || self.campaign.has_expired(self.at) {
                return true;
            }
            steps += if self.hours.are_all() { 1 } else { self.left.len() };
            let ready = match self.ready() {
                Ok(ready) => ready,
                Err((until, why)) => {
                    self.wait(why, until);
                    continue;
                }
            };
            let limits = outset.account.window_limits(self.at);
            let ask =
                Ask { campaign: self.campaign.id, messages: ready, ceiling: None, rate: self.rate, limits: &limits };
            let slots = match self.state.reserve(&ask, UnixMicros::from_millis(self.at)) {
                Answer::Granted(slots) => slots,
                Answer::Wait(wait) => {
                    match wait.why {
                        Why::Rate | Why::FairShare => self.at = wait.until.max(UnixMillis(self.at.0 + 1)),
                        why => self.wait(&why.sentence(), wait.until),
                    }
                    continue;
                }
            };
            let taken =
                limit.map_or(Ok(slots.len()), |limit| self.people.take(self.campaign.id, slots.len(), limit, self.at));
            match taken {
                Ok(people) => self.send(slots.first(people)),
                Err(until) => self.wait("the messaging limit of 24 hours is used up", until),
            }
        }
        false
    }

    /// How many people may be written to now; else the first moment at which somebody may, and what for.
    fn ready(&self) -> Result<u32, (UnixMillis, &'static str)> {
        if self.hours.are_all() {
            return Ok(self.left.iter().fold(0_u32, |sum, (_, people)| sum.saturating_add(*people)));
        }
        let waits =
            self.left.iter().map(|(region, people)| (self.hours.wait(zones_of_region(region), self.at), *people));
        let (mut ready, mut first) = (0_u32, None);
        for (wait, people) in waits {
            match wait {
                None => ready = ready.saturating_add(people),
                Some((until, why)) if first.is_none_or(|(other, _)| until < other) => first = Some((until, why)),
                Some(_) => {}
            }
        }
        match first {
            Some(first) if ready == 0 => Err(first),
            _ => Ok(ready),
        }
    }

    fn send(&mut self, reserved: throttle::Slots) {
        let end = self.campaign.schedule.expires_at;
        let in_time = reserved.iter().take_while(|slot| end.is_none_or(|end| slot.to_millis() < end)).count();
        let slots = reserved.first(u32::try_from(in_time).unwrap_or(u32::MAX));
        let mut n = slots.len();
        for (region, people) in &mut self.left {
            if !self.hours.are_all() && self.hours.wait(zones_of_region(region), self.at).is_some() {
                continue;
            }
            let sent = n.min(*people);
            (*people, n) = (*people - sent, n - sent);
        }
        if let Some(last) = slots.len().checked_sub(1) {
            self.first.get_or_insert(slots.at(0).to_millis());
            let last = slots.at(last);
            self.last = Some(last.to_millis());
            self.at = self.at.max(UnixMicros(last.0 - LEAD_MICROS).floor_millis());
        }
        if slots.len() < reserved.len() {
            self.at = end.map_or(self.at, |end| end.max(self.at));
        }
    }

    fn wait(&mut self, reason: &str, until: UnixMillis) {
        self.at = until.max(UnixMillis(self.at.0 + 1));
        match self.waits.iter_mut().find(|wait| wait.reason == reason) {
            Some(wait) => wait.times += 1,
            None => self.waits.push(Wait { reason: reason.to_owned(), until: Some(until), times: 1 }),
        }
    }

    fn result(self, state: &throttle::State, done: bool) -> Eta {
        let finishes_at = self.last.filter(|_| done);
        let duration = self.first.zip(finishes_at).map(|(first, last)| (last.0 - first.0).max(0));
        let expired = if done { self.left.iter().map(|(_, people)| people).sum() } else { 0 };
        let rate = state.rate_at(self.rate, UnixMicros::from_millis(self.at));
        Eta {
            starts_at: self.first,
            duration_s: duration.map(|ms| (ms + 999) / 1_000),
            finishes_at,
            rate,
            waits: self.waits,
            expired,
            considers: CONSIDERS.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Limits;
    use crate::account::sample::account;
    use crate::campaign::tests::campaign;

    /// 2026-09-22T00:00:00Z.
    const MIDNIGHT: UnixMillis = UnixMillis(1_790_035_200_000);

    fn fast() -> Account {
        Account { messages_per_second: 80, ..account() }
    }

    fn run(campaign: &Campaign, account: &Account, people: u32) -> Eta {
        let reachable = Regions::from([("MY".to_owned(), people)]);
        let (state, portfolio) = (throttle::State::default(), portfolio::State::default());
        let outset = Outset { campaign, account, state: &state, people: &portfolio, reachable: &reachable };
        eta(&outset, MIDNIGHT)
    }

    #[test]
    fn a_campaign_takes_as_long_as_its_rate_says() {
        let eta = run(&campaign(), &fast(), 8_001);
        // A second of the rate is 1.005 s long.
        assert_eq!((eta.starts_at, eta.duration_s, eta.rate), (Some(MIDNIGHT), Some(101), 80));
        assert_eq!((eta.waits, eta.expired), (vec![], 0));
        let slow = Campaign { messages_per_second: Some(8), ..campaign() };
        assert_eq!(run(&slow, &fast(), 801).duration_s, Some(101));
    }

    #[test]
    fn limits_make_it_wait_until_their_windows_open() {
        let limits = Limits { per_hour: Some(100), ..Limits::default() };
        let eta = run(&campaign(), &Account { limits, ..fast() }, 250);
        let wait = Wait {
            reason: "the account's limit per_hour is used up".to_owned(),
            until: Some(UnixMillis(MIDNIGHT.0 + 3_600_000)),
            times: 2,
        };
        assert_eq!(eta.waits, [wait]);
        let last = eta.finishes_at.unwrap().0 - MIDNIGHT.0;
        assert!((7_200_000..7_202_000).contains(&last), "{last}");
    }

    #[test]
    fn the_messaging_limit_makes_it_wait_for_a_day() {
        let account = Account { messaging_limit: Some(250), ..fast() };
        let eta = run(&campaign(), &account, 400);
        assert_eq!(eta.waits.len(), 1, "{:?}", eta.waits);
        assert!(eta.duration_s.unwrap() >= 86_400);
    }

    #[test]
    fn quiet_hours_and_local_time_are_those_of_the_recipients() {
        // Malaysia is eight hours ahead: 08:00 there.
        let mut quiet = campaign();
        quiet.schedule.quiet_hours = serde_json::from_str(r#"{"from":"07:00","to":"09:00"}"#).unwrap();
        assert_eq!(run(&quiet, &fast(), 10).starts_at, Some(UnixMillis(MIDNIGHT.0 + 3_600_000)));
        let mut noon = campaign();
        noon.schedule.local_time = Some("12:00".parse().unwrap());
        assert_eq!(run(&noon, &fast(), 10).starts_at, Some(UnixMillis(MIDNIGHT.0 + 4 * 3_600_000)));
    }

    #[test]
    fn whoever_is_left_when_the_time_is_over_is_told() {
        let mut short = campaign();
        short.schedule.expires_at = Some(UnixMillis(MIDNIGHT.0 + 50_000));
        let eta = run(&short, &fast(), 8_000);
        assert!((3_800..4_100).contains(&eta.expired), "{}", eta.expired);
    }

    #[test]
    fn a_pause_without_an_end_has_no_eta() {
        let paused = Account { status: AccountStatus::Paused, ..fast() };
        let eta = run(&campaign(), &paused, 10);
        assert_eq!((eta.finishes_at, eta.waits[0].until), (None, None));
        let until = UnixMillis(MIDNIGHT.0 + 60_000);
        let eta = run(&campaign(), &Account { paused_until: Some(until), ..paused }, 10);
        assert_eq!(eta.starts_at, Some(until));
    }
}
