//! Reservations of an account's rate: disjoint however many reserve at once, never early, never faster than the rate; and
//! of a portfolio's people.

use shared::id::CampaignId;
use shared::throttle::{Answer, Ask, UnixMicros, window::Limits};
use shared::time::UnixMillis;

use crate::{NOW, Tables, WORKSPACE, account_id, at_once};

const START: UnixMicros = UnixMicros::from_millis(NOW);

/// Forty pages at once through three clients, each until it gets its slots; all of them, sorted.
async fn forty_pages_at_once(tables: &Tables, rate: u32, campaigns: &[CampaignId]) -> Vec<i64> {
    let cores = [tables.core.clone(), tables.another_core(), tables.another_core()];
    let reserved = at_once(40, |i| {
        let core = cores[i % 3].clone();
        let (messages, campaign) = (u32::try_from(i % 7 + 1).unwrap(), campaigns[i % campaigns.len()]);
        // Clocks that differ by milliseconds.
        let mut now = UnixMicros(START.0 + i64::try_from(i % 5).unwrap() * 1_000);
        async move {
            let (mut got, limits) = (Vec::new(), Limits::default());
            while got.is_empty() {
                let ask = Ask { campaign, messages, ceiling: None, rate, limits: &limits };
                match core.reserve_slots(WORKSPACE, account_id(), &ask, now).await.unwrap() {
                    Answer::Granted(slots) => got.extend(slots.iter().map(|slot| slot.0)),
                    Answer::Wait(wait) => now = UnixMicros::from_millis(wait.until),
                }
            }
            assert!(got.iter().all(|slot| *slot >= now.0), "a slot before now");
            got
        }
    })
    .await;
    let mut all: Vec<i64> = reserved.into_iter().flatten().collect();
    all.sort_unstable();
    all
}

#[tokio::test]
async fn slots_reserved_at_once_are_disjoint_and_spaced_at_the_rate() {
    // 75 does not divide a second: a slot is then a fraction of a microsecond long, and no rounding may add up.
    for rate in [10, 75, 1_000] {
        let tables = Tables::new().await;
        let slots = forty_pages_at_once(&tables, rate, &[CampaignId::new(NOW)]).await;
        assert_eq!(slots.len(), (0..40).map(|i| i % 7 + 1).sum::<usize>());
        let shortest = 1_000_000 / i64::from(rate);
        assert!(slots.windows(2).all(|pair| pair[1] - pair[0] >= shortest), "{rate}/s: {slots:?}");
    }
}

#[tokio::test]
async fn campaigns_that_reserve_at_once_share_the_rate_and_do_not_exceed_it() {
    let tables = Tables::new().await;
    let campaigns: Vec<CampaignId> = (0..3).map(|n| CampaignId::new(UnixMillis(NOW.0 + n))).collect();
    let slots = forty_pages_at_once(&tables, 30, &campaigns).await;
    let settled: Vec<i64> = slots.into_iter().filter(|slot| *slot > START.0 + 2_000_000).collect();
    assert!(settled.windows(31).all(|window| window[30] - window[0] >= 990_000), "{settled:?}");
}

#[tokio::test]
async fn a_reservation_writes_once_and_a_wait_not_at_all() {
    let tables = Tables::new().await;
    let (campaign, limits) = (CampaignId::new(NOW), Limits::default());
    let ask = Ask { campaign, messages: 100, ceiling: None, rate: 10, limits: &limits };
    let revision = async || tables.core.throttle_state(WORKSPACE, account_id()).await.unwrap().revision;
    for (expected, granted) in [(1, true), (1, false), (1, false)] {
        let answer = tables.core.reserve_slots(WORKSPACE, account_id(), &ask, START).await.unwrap();
        assert_eq!((matches!(answer, Answer::Granted(_)), revision().await), (granted, expected));
    }
}

#[tokio::test]
async fn too_fast_said_to_many_at_once_halves_the_rate_once() {
    let tables = Tables::new().await;
    at_once(10, |i| {
        let core = tables.another_core();
        let now = UnixMicros(START.0 + i64::try_from(i).unwrap() * 10_000);
        async move { core.slow_down(WORKSPACE, account_id(), 80, now).await.unwrap() }
    })
    .await;
    let state = tables.core.throttle_state(WORKSPACE, account_id()).await.unwrap();
    assert_eq!((state.revision, state.rate_at(80, UnixMicros(START.0 + 90_000))), (1, 40));
}

#[tokio::test]
async fn two_campaigns_that_reserve_people_at_once_never_get_more_than_the_limit() {
    let tables = Tables::new().await;
    let got = at_once(5, |i| {
        let core = tables.another_core();
        let campaign = CampaignId::new(UnixMillis(NOW.0 + i64::try_from(i).unwrap()));
        async move { core.reserve_people(WORKSPACE, "portfolio", campaign, 100, 250, NOW).await.unwrap() }
    })
    .await;
    assert_eq!(got.iter().sum::<u32>(), 250, "{got:?}");
    let taken = tables.core.take_people(WORKSPACE, "portfolio", CampaignId::new(NOW), 1, 250, NOW).await.unwrap();
    assert!(taken.is_err(), "all of it is reserved");
}
