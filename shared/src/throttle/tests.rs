//! What holds of reservations, whoever asks when.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const START: UnixMicros = UnixMicros(1_790_000_000_000_000);
const FREE: Limits = Limits {
    per_minute: None,
    per_hour: None,
    per_day: None,
    day: window::Day { start: UnixMillis(1_789_948_800_000), end: UnixMillis(1_790_035_200_000) },
};

fn campaign(n: i64) -> CampaignId {
    CampaignId::from_ulid(ulid::Ulid::from_parts(u64::try_from(1_780_000_000_000 + n).unwrap(), 7))
}

fn ask(n: i64, messages: u32, rate: u32, limits: &Limits) -> Ask<'_> {
    Ask { campaign: campaign(n), messages, ceiling: None, rate, limits }
}

fn granted(answer: &Answer) -> Slots {
    match answer {
        Answer::Granted(slots) => *slots,
        Answer::Wait(wait) => panic!("waits: {wait:?}"),
    }
}

fn waits(answer: &Answer) -> &Wait {
    match answer {
        Answer::Granted(_) => panic!("was granted"),
        Answer::Wait(wait) => wait,
    }
}

/// Lets campaigns send page after page, each whenever it may, for `seconds`; the slots each of them got.
fn run(
    state: &mut State,
    campaigns: &[(i64, Option<u32>, UnixMicros)],
    rate: u32,
    seconds: i64,
) -> BTreeMap<i64, Vec<i64>> {
    let mut slots: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    let mut next: BTreeMap<i64, UnixMicros> = campaigns.iter().map(|(n, _, from)| (*n, *from)).collect();
    let end = UnixMicros(START.0 + seconds * 1_000_000);
    while let Some((&n, &now)) = next.iter().min_by_key(|(_, at)| **at).filter(|(_, at)| **at < end) {
        let ceiling = campaigns.iter().find(|(id, ..)| *id == n).and_then(|(_, ceiling, _)| *ceiling);
        let asked = Ask { campaign: campaign(n), messages: 100, ceiling, rate, limits: &FREE };
        let again = match state.reserve(&asked, now) {
            Answer::Granted(got) => {
                slots.entry(n).or_default().extend(got.iter().map(|slot| slot.0));
                now
            }
            Answer::Wait(wait) => UnixMicros::from_millis(wait.until).max(UnixMicros(now.0 + 1_000)),
        };
        next.insert(n, again);
    }
    slots
}

fn most_in_a_second(slots: impl IntoIterator<Item = i64>) -> usize {
    let mut slots: Vec<i64> = slots.into_iter().collect();
    slots.sort_unstable();
    let mut first = 0;
    let mut most = 0;
    for last in 0..slots.len() {
        while slots[last] - slots[first] >= 1_000_000 {
            first += 1;
        }
        most = most.max(last - first + 1);
    }
    most
}

fn mean_from_30_to_90_s(slots: &[i64]) -> f64 {
    let span = START.0 + 30_000_000..START.0 + 90_000_000;
    slots.iter().filter(|slot| span.contains(*slot)).count() as f64 / 60.0
}

#[test]
fn pages_follow_each_other_at_the_rate() {
    let mut state = State::default();
    let slots = run(&mut state, &[(1, None, START)], 75, 60);
    let sent = &slots[&1];
    assert!(sent.windows(2).all(|pair| (13_399..=13_401).contains(&(pair[1] - pair[0]))));
    assert_eq!(most_in_a_second(sent.iter().copied()), 75);
}

#[test]
fn a_page_is_not_reserved_long_before_its_time() {
    let mut state = State::default();
    granted(&state.reserve(&ask(1, 100, 10, &FREE), START));
    let wait = waits(&state.reserve(&ask(1, 100, 10, &FREE), START)).clone();
    assert_eq!(wait.why, Why::Rate);
    assert!(!wait.noted);
    granted(&state.reserve(&ask(1, 100, 10, &FREE), UnixMicros::from_millis(wait.until)));
}

#[test]
fn an_idle_account_does_not_save_up_slots() {
    let mut state = State::default();
    granted(&state.reserve(&ask(1, 100, 100, &FREE), START));
    let later = UnixMicros(START.0 + 3_600_000_000);
    assert_eq!(granted(&state.reserve(&ask(1, 1, 100, &FREE), later)).at(0), later);
}

#[test]
fn three_campaigns_get_a_third_each_and_the_account_its_whole_rate() {
    let mut state = State::default();
    let all = [(1, None, START), (2, None, START), (3, None, START)];
    let slots = run(&mut state, &all, 75, 120);
    for n in 1..=3 {
        let per_second = mean_from_30_to_90_s(&slots[&n]);
        assert!((24.5..=25.3).contains(&per_second), "campaign {n}: {per_second}/s");
    }
    assert!(most_in_a_second(slots.values().flatten().copied().filter(|slot| *slot > START.0 + 30_000_000)) <= 75);
}

#[test]
fn a_campaign_that_joins_gets_its_share_within_seconds() {
    let mut state = State::default();
    let joins = UnixMicros(START.0 + 20_000_000);
    let slots = run(&mut state, &[(1, None, START), (2, None, joins)], 80, 60);
    let first = slots[&2][0] - joins.0;
    assert!(first < 5_000_000, "{first} µs");
}

#[test]
fn what_a_finished_campaign_leaves_is_used_within_seconds() {
    let mut state = State::default();
    run(&mut state, &[(1, None, START), (2, None, START)], 80, 20);
    let later = UnixMicros(START.0 + 26_000_000);
    let slots = run(&mut state, &[(1, None, later)], 80, 60);
    let in_a_second = slots[&1].iter().filter(|slot| (0..1_000_000).contains(&(**slot - later.0 - 5_000_000))).count();
    assert!(in_a_second >= 79, "{in_a_second}");
}

#[test]
fn a_slow_campaign_does_not_slow_a_fast_one() {
    let mut state = State::default();
    let slots = run(&mut state, &[(1, Some(5), START), (2, None, START)], 80, 100);
    let (slow, fast) = (mean_from_30_to_90_s(&slots[&1]), mean_from_30_to_90_s(&slots[&2]));
    assert!((4.8..=5.1).contains(&slow), "{slow}");
    assert!((74.0..=75.1).contains(&fast), "{fast}");
}

#[test]
fn a_window_that_is_used_up_says_when_it_opens() {
    let mut state = State::default();
    let limits = Limits { per_minute: Some(120), ..FREE };
    let mut now = START;
    let mut sent = 0;
    let wait = loop {
        match state.reserve(&ask(1, 100, 80, &limits), now) {
            Answer::Granted(slots) => sent += slots.len(),
            Answer::Wait(Wait { why: Why::Rate, until, .. }) => now = UnixMicros::from_millis(until),
            Answer::Wait(wait) => break wait,
        }
    };
    assert_eq!(sent, 120);
    assert_eq!(wait.why, Why::Window(window::Kind::Minute));
    assert_eq!(wait.until.0 % 60_000, 0);
    assert_eq!(granted(&state.reserve(&ask(1, 100, 80, &limits), UnixMicros::from_millis(wait.until))).len(), 100);
}

/// A campaign that lags behind by the lead of a reservation must not find the old window empty.
#[test]
fn a_window_that_another_campaign_has_left_is_closed() {
    let limits = Limits { per_minute: Some(100), ..FREE };
    let next_minute = limits.window(window::Kind::Minute, START.floor_millis()).1;
    let mut windows = Windows::default();
    windows.count(&limits, START, 100);
    windows.count(&limits, UnixMicros::from_millis(next_minute), 5);
    let before = UnixMicros(UnixMicros::from_millis(next_minute).0 - 1_000_000);
    let room = windows.room(&limits, before, Rate::per_second(80), 50);
    assert_eq!(room, Err((window::Kind::Minute, next_minute)));
}

#[test]
fn too_fast_halves_the_rate_once_and_it_comes_back() {
    let mut state = State::default();
    assert!(state.too_fast(80, START));
    assert!(!state.too_fast(80, UnixMicros(START.0 + 1_000_000)), "messages on their way are told the same");
    assert_eq!(state.rate_at(80, START), 40);
    assert_eq!(state.rate_at(80, UnixMicros(START.0 + 15_000_000)), 60);
    assert_eq!(state.rate_at(80, UnixMicros(START.0 + 60_000_000)), 80);
    assert!(state.too_fast(80, UnixMicros(START.0 + 15_000_000)));
    assert_eq!(state.rate_at(80, UnixMicros(START.0 + 15_000_000)), 30);
}

#[test]
fn a_rest_holds_everybody_and_says_why() {
    let mut state = State::default();
    let until = UnixMillis(START.floor_millis().0 + 60_000);
    assert!(state.rest_until(until, "Meta moves the number"));
    assert!(!state.rest_until(UnixMillis(until.0 - 1), "shorter"));
    let wait = waits(&state.reserve(&ask(1, 10, 80, &FREE), START)).clone();
    assert_eq!((wait.until, wait.why), (until, Why::Rest("Meta moves the number".to_owned())));
    granted(&state.reserve(&ask(1, 10, 80, &FREE), UnixMicros::from_millis(until)));
}

#[test]
fn the_stored_shape_is_pinned() {
    let mut state = State { v: 1, ..State::default() };
    granted(&state.reserve(&ask(1, 100, 100, &FREE), START));
    assert_eq!(
        serde_json::to_string(&state).unwrap(),
        format!(
            concat!(
                r#"{{"v":1,"revision":0,"lanes":[{{"campaign":"{}","ceiling":4294967295,"asked_at":1790000000000000,"#,
                r#""stretches":[{{"until":1790000001005000,"rate":100}}]}}],"windows":{{"#,
                r#""minute":{{"start":1789999980000,"used":100}},"hour":{{"start":1789999200000,"used":100}},"#,
                r#""day":{{"start":1789948800000,"used":100}}}}}}"#
            ),
            campaign(1)
        )
    );
}

proptest! {
    #[test]
    fn campaigns_together_never_hold_more_than_the_rate(
        rate in 1_u32..300,
        steps in prop::collection::vec((0_i64..1_500_000, 0_i64..5, 1_u32..101, prop::option::of(1_u32..200)), 1..120),
    ) {
        let (mut state, mut now) = (State::default(), START);
        let mut held: Vec<(i64, i64, u32)> = Vec::new();
        for (pause, who, messages, ceiling) in steps {
            now = UnixMicros(now.0 + pause);
            let asked = Ask { campaign: campaign(who), messages, ceiling, rate, limits: &FREE };
            if let Answer::Granted(slots) = state.reserve(&asked, now) {
                prop_assert!(slots.at(0) >= now);
                let end = slots.at(slots.len());
                let speed = (f64::from(slots.len()) * 1_005_000.0 / (end.0 - slots.at(0).0) as f64).round() as u32;
                held.push((slots.at(0).0, end.0, speed));
            }
        }
        for (moment, ..) in &held {
            let together: u32 =
                held.iter().filter(|(from, to, _)| from <= moment && moment < to).map(|(.., speed)| speed).sum();
            prop_assert!(together <= rate, "{together} of {rate}");
        }
    }
}
