//! Reservations of an account's rate: disjoint however many reserve at once, never early, never faster than the rate.

use std::time::Duration;

use shared::store::Reservation;
use shared::throttle::{HORIZON, Rate, UnixMicros};

use crate::{NOW, Tables, WORKSPACE, account_id, at_once};

const START: UnixMicros = UnixMicros::from_millis(NOW);

/// When the messages of a reservation leave; none when it has to wait.
fn times(reservation: Reservation, n: u32) -> Vec<i64> {
    match reservation {
        Reservation::Granted { slots, .. } => (0..n).map(|i| slots.at(i).0).collect(),
        Reservation::Wait(_) => Vec::new(),
    }
}

/// Fifty reservations at once through three clients, and the times they got, sorted.
async fn fifty_at_once(tables: &Tables, rate: Rate) -> Vec<i64> {
    let cores = [tables.core.clone(), tables.another_core(), tables.another_core()];
    let reserved = at_once(50, |i| {
        let core = cores[i % 3].clone();
        // Different sizes, clocks that differ by milliseconds, and guesses from nothing and from long ago.
        let n = u32::try_from(i % 7 + 1).unwrap();
        let now = UnixMicros(START.0 + i64::try_from(i % 5).unwrap() * 1_000);
        let last_seen = (i % 2 == 0).then_some(UnixMicros(START.0 - 1));
        async move {
            let reservation = core.reserve_slots(WORKSPACE, account_id(), n, rate, last_seen, now).await.unwrap();
            let times = times(reservation, n);
            assert!(times.iter().all(|time| *time >= now.0), "a slot before now");
            times
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
    for rate in [50, 75, 1_000] {
        let tables = Tables::new().await;
        let slots = fifty_at_once(&tables, Rate::per_second(rate)).await;
        assert_eq!(slots.len(), (0..50).map(|i| i % 7 + 1).sum::<usize>());
        let shortest = 1_000_000 / i64::from(rate);
        assert!(slots.windows(2).all(|pair| pair[1] - pair[0] >= shortest), "{rate}/s: {slots:?}");
        let most = usize::try_from(rate).unwrap();
        assert!(slots.windows(most + 1).all(|window| window[most] - window[0] >= 1_000_000), "{rate}/s: {slots:?}");
    }
}

#[tokio::test]
async fn what_would_leave_too_late_waits_and_reserves_nothing() {
    let tables = Tables::new().await;
    let slots = fifty_at_once(&tables, Rate::per_second(10)).await;
    let last = *slots.last().unwrap();
    // 197 slots were asked for, 19.7 s of them; no reservation may begin after the horizon.
    assert!(slots.len() < 197);
    let latest_start = START.0 + 4_000 + i64::try_from(HORIZON.as_micros()).unwrap();
    assert!(last <= latest_start + 700_000, "a reservation that begins behind the horizon");

    let rate = Rate::per_second(10);
    let reserve = async |now| tables.core.reserve_slots(WORKSPACE, account_id(), 1, rate, None, now).await.unwrap();
    let Reservation::Wait(wait) = reserve(START).await else { panic!("the horizon is full") };
    let next_free = UnixMicros(last + 100_000);
    assert_eq!(wait, Duration::from_micros((next_free.0 - START.0).unsigned_abs()) - HORIZON);
    assert_eq!(reserve(START).await, Reservation::Wait(wait), "a refusal has reserved something");

    let after_the_wait = UnixMicros(START.0 + i64::try_from(wait.as_micros()).unwrap());
    assert_eq!(times(reserve(after_the_wait).await, 1), [next_free.0]);
}

#[tokio::test]
async fn an_idle_account_begins_now_and_not_where_it_stopped() {
    let tables = Tables::new().await;
    let rate = Rate::per_second(100);
    let later = UnixMicros(START.0 + 3_600_000_000);
    for (now, last_seen) in [(START, None), (later, Some(UnixMicros(later.0 + 5)))] {
        let reserved = tables.core.reserve_slots(WORKSPACE, account_id(), 10, rate, last_seen, now).await.unwrap();
        assert_eq!(times(reserved, 10)[0], now.0);
    }
}
