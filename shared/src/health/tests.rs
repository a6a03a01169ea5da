//! The score, by the formula and its borders.

use proptest::prelude::*;

use super::probes::Slot;
use super::*;
use crate::account::Pause;
use crate::account::sample::account;
use crate::rollup::Counts;

/// 2026-09-22T12:00:00Z.
const NOON: UnixMillis = UnixMillis(1_790_035_200_000 + 12 * 3_600_000);

fn days(counts: &[(&str, i64)]) -> Days {
    let counts: Counts = counts.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect();
    Days::of([("DAY#2026-09-22#cmp_a#00", &counts)])
}

fn rated(quality: Quality) -> Account {
    Account { quality, ..account() }
}

fn health(account: &Account, days: &Days, probes: &Probes) -> Health {
    Health::of(&Measured { account, days, probes }, NOON)
}

fn points(health: &Health) -> Vec<(Cause, f64)> {
    health.lost.iter().map(|loss| (loss.cause, loss.points)).collect()
}

#[test]
fn an_account_of_which_nothing_is_known_loses_a_quarter_for_its_quality_and_no_more() {
    let found = health(&rated(Quality::Unknown), &days(&[]), &Probes::default());
    assert_eq!((found.score, points(&found)), (91.25, vec![(Cause::Quality, 8.75)]));
    let found = health(&rated(Quality::Green), &days(&[]), &Probes::default());
    assert_eq!((found.score, found.lost), (100.0, vec![]));
}

#[test]
fn every_lost_point_has_its_figures() {
    let counted = days(&[
        ("sent", 970),
        ("sent.11", 970),
        ("refused", 30),
        ("failed", 40),
        ("error.131026", 30),
        ("error.131049", 10),
        ("delivered", 900),
        ("opted_out", 3),
        ("limited.10", 2),
    ]);
    let mut probes = Probes::default();
    let Slot(now) = Slot::of(NOON);
    probes.found(Slot(now), []);
    (1..10).for_each(|back| probes.found(Slot(now - back), []));
    (10..12).for_each(|back| probes.found(Slot(now - back), [Trouble::App]));
    let found = health(&rated(Quality::Yellow), &counted, &probes);
    let expected = [
        (Cause::Quality, 17.5),
        (Cause::Errors, 16.0),  // 4 % of 5 %
        (Cause::Limits, 6.19),  // 2 of 970, of 5 in 1,000
        (Cause::OptOuts, 5.0),  // a third of a percent, of one
        (Cause::Downtime, 2.5), // 2 of 12
    ];
    assert_eq!(points(&found), expected);
    assert_eq!(found.score, 52.81);
    let of = |cause: Cause| found.lost.iter().find(|loss| loss.cause == cause).unwrap();
    assert_eq!((of(Cause::Errors).numerator, of(Cause::Errors).denominator), (Some(40), Some(1_000)));
    assert!(of(Cause::Errors).says.contains("131026 (30), 131049 (10)"), "{}", of(Cause::Errors).says);
    assert!(of(Cause::Downtime).says.contains("no app is subscribed"), "{}", of(Cause::Downtime).says);
    assert!(found.lost.iter().all(|loss| !loss.says.is_empty() && !loss.action.is_empty()));
}

#[test]
fn whom_meta_bars_has_no_health_and_whom_the_operator_pauses_has() {
    let pause = |by| {
        let mut account = rated(Quality::Green);
        account.pause(&Pause { reason: "no more".to_owned(), until: None, by });
        health(&account, &days(&[]), &Probes::default())
    };
    let barred = pause(AccountPausedBy::Meta);
    assert_eq!((barred.score, points(&barred)), (0.0, vec![(Cause::Barred, 100.0)]));
    assert_eq!(barred.lost[0].says, "no more");
    assert_eq!(pause(AccountPausedBy::Operator).score, 100.0);

    let Slot(now) = Slot::of(NOON);
    let mut probes = Probes::default();
    probes.found(Slot(now - 3), [Trouble::Token]);
    assert_eq!(health(&rated(Quality::Green), &days(&[]), &probes).score, 0.0);
    probes.found(Slot(now - 2), []);
    assert_eq!(health(&rated(Quality::Green), &days(&[]), &probes).score, 92.5, "it is in order again");
}

proptest! {
    #[test]
    fn the_score_is_what_was_not_lost(
        counts in prop::collection::vec(0_i64..2_000, 7), quality in 0_usize..4, troubles in prop::collection::vec(0_usize..6, 0..20),
    ) {
        let names = ["sent", "sent.11", "refused", "failed", "delivered", "opted_out", "limited.11"];
        let counted: Vec<(&str, i64)> = names.into_iter().zip(counts).collect();
        let quality = [Quality::Unknown, Quality::Green, Quality::Yellow, Quality::Red][quality];
        let mut probes = Probes::default();
        for (back, trouble) in (0..).zip(troubles) {
            probes.found(Slot(Slot::of(NOON).0 - back), Trouble::ALL.get(trouble).copied());
        }
        let found = health(&rated(quality), &days(&counted), &probes);
        prop_assert!((0.0..=100.0).contains(&found.score), "{}", found.score);
        let lost: f64 = found.lost.iter().map(|loss| loss.points).sum();
        prop_assert!((found.score + lost - 100.0).abs() < 0.01);
        prop_assert!(found.lost.iter().all(|loss| loss.points > 0.0 || loss.cause == Cause::Barred));
    }
}
