//! Shares of conversions: what each model promises, and that credit always adds up.

use proptest::prelude::*;

use super::sums::Sums;
use super::worth::Worth;
use super::*;

const HOUR_MS: i64 = 3_600_000;
const CONVERTED: UnixMillis = UnixMillis(1_790_000_000_000);

fn campaign(number: u128) -> CampaignId {
    CampaignId::from_ulid(ulid::Ulid::from_parts(1_700_000_000_000, number))
}

/// So many hours before the conversion.
fn touchpoint(hours: i64, kind: TouchKind, of: u128) -> Touchpoint {
    let at = UnixMillis(CONVERTED.0 - hours * HOUR_MS);
    Touchpoint { at, kind, campaign: campaign(of), recipient: Some(Seq(1)), variant: Some(VariantIndex(0)) }
}

/// The parts of the campaigns 1, 2 and so on, first to last.
fn parts(touchpoints: &[Touchpoint], model: Model) -> Vec<u32> {
    credit(touchpoints.iter().copied(), CONVERTED, &Windows::default(), model).iter().map(|c| c.parts).collect()
}

#[test]
fn each_model_shares_a_conversion_out_as_its_name_says() {
    let way = [
        touchpoint(168, TouchKind::Click, 1),
        touchpoint(48, TouchKind::Reply, 2),
        touchpoint(12, TouchKind::Read, 3),
        touchpoint(0, TouchKind::Click, 4),
    ];
    assert_eq!(parts(&way, Model::Last), [0, 0, 0, 1_000_000]);
    assert_eq!(parts(&way, Model::First), [1_000_000, 0, 0, 0]);
    assert_eq!(parts(&way, Model::Linear), [250_000; 4]);
    assert_eq!(parts(&way, Model::Position), [400_000, 100_000, 100_000, 400_000]);
    assert_eq!(parts(&way[..3], Model::Position), [400_000, 200_000, 400_000]);
    assert_eq!(parts(&way[..2], Model::Position), [500_000, 500_000]);
    assert_eq!(parts(&way[..1], Model::Position), [1_000_000]);
    // As 2^-1 to 2^(-2/7) to 2^(-1/14) to 1.
    assert_eq!(parts(&way, Model::TimeDecay), [152_810, 250_711, 290_858, 305_621]);
}

#[test]
fn a_touchpoint_a_half_life_older_gets_half_as_much() {
    let way = [touchpoint(168, TouchKind::Click, 1), touchpoint(0, TouchKind::Click, 2)];
    assert_eq!(parts(&way, Model::TimeDecay), [333_333, 666_667]);
}

#[test]
fn a_window_ends_with_its_last_millisecond_and_nothing_counts_after_the_conversion() {
    let windows = Windows::default();
    for (kind, hours) in [(TouchKind::Click, 168), (TouchKind::Reply, 72), (TouchKind::Read, 24)] {
        let last = touchpoint(hours, kind, 1);
        let before = Touchpoint { at: UnixMillis(last.at.0 - 1), ..last };
        assert!(windows.cover(&last, CONVERTED) && !windows.cover(&before, CONVERTED), "{kind:?}");
    }
    assert!(!windows.cover(&touchpoint(0, TouchKind::Delivered, 1), CONVERTED), "off unless asked for");
    assert!(!windows.cover(&touchpoint(-1, TouchKind::Click, 1), CONVERTED));
    assert_eq!(windows.longest(), Duration::from_secs(168 * 3_600));
}

#[test]
fn of_what_happened_at_one_time_the_stronger_counts_as_the_last() {
    let at_once = |kind, of| touchpoint(1, kind, of);
    let same_second = [at_once(TouchKind::Click, 1), at_once(TouchKind::Read, 2), at_once(TouchKind::Reply, 3)];
    let order: Vec<_> = credit(same_second, CONVERTED, &Windows::default(), Model::Last)
        .iter()
        .map(|credit| (credit.touchpoint.kind, credit.parts))
        .collect();
    assert_eq!(order, [(TouchKind::Read, 0), (TouchKind::Reply, 0), (TouchKind::Click, WHOLE)]);
    let two_clicks = [at_once(TouchKind::Click, 2), at_once(TouchKind::Click, 1)];
    let last = credit(two_clicks, CONVERTED, &Windows::default(), Model::Last)[1].touchpoint.campaign;
    assert_eq!(last, campaign(2), "of equal ones the newer campaign");
}

#[test]
fn a_link_followed_again_at_once_is_one_touchpoint_and_after_another_campaigns_it_is_two() {
    let click = |minutes: i64, of| Touchpoint {
        at: UnixMillis(CONVERTED.0 - minutes * 60_000),
        ..touchpoint(0, TouchKind::Click, of)
    };
    assert_eq!(parts(&[click(60, 1), click(40, 1), click(20, 1)], Model::Linear), [WHOLE]);
    assert_eq!(parts(&[click(60, 1), click(29, 1)], Model::Linear), [500_000, 500_000]);
    assert_eq!(parts(&[click(60, 1), click(50, 2), click(40, 1)], Model::First), [WHOLE, 0, 0]);
}

#[test]
fn the_worth_of_a_conversion_is_shared_out_with_it_to_the_last_billionth() {
    let way = [1, 2, 3].map(|of| touchpoint(4 - i64::try_from(of).unwrap(), TouchKind::Click, of));
    let credits = credit(way, CONVERTED, &Windows::default(), Model::Linear);
    let mut sums = Sums::default();
    sums.add(&credits, Some(("MYR", Worth(10))));
    sums.add(&[], Some(("USD", Worth(5))));
    let worths: Vec<Worth> = (1..=3).map(|of| sums.of_campaign(campaign(of)).worths["MYR"]).collect();
    assert_eq!(worths.iter().map(|worth| worth.0).collect::<Vec<_>>(), [3, 3, 4]);
    assert_eq!((sums.unattributed.parts, sums.unattributed.worths["USD"]), (1_000_000, Worth(5)));
    assert_eq!((sums.total.parts, sums.total.touchpoints[&TouchKind::Click]), (2_000_000, 3));
}

fn any_touchpoint() -> impl Strategy<Value = Touchpoint> {
    // Few times and few campaigns, so that many fall together; some after the conversion, some beyond every window.
    let kinds = prop::sample::select(TouchKind::ALL.to_vec());
    (-2_i64..180, kinds, 0_u128..4, prop::option::of(0_u32..2)).prop_map(|(hours, kind, of, recipient)| Touchpoint {
        recipient: recipient.map(Seq),
        ..touchpoint(hours, kind, of)
    })
}

fn any_model() -> impl Strategy<Value = Model> {
    prop::sample::select(vec![Model::Last, Model::First, Model::Linear, Model::Position, Model::TimeDecay])
}

proptest! {
    #[test]
    fn credit_adds_up_to_one_and_only_what_lies_in_its_window_gets_any(
        touchpoints in prop::collection::vec(any_touchpoint(), 0..30),
        model in any_model(),
        delivered_h in 0_u64..100,
    ) {
        let windows = Windows { delivered: Duration::from_secs(delivered_h * 3_600), ..Windows::default() };
        let credits = credit(touchpoints.iter().copied(), CONVERTED, &windows, model);
        let any = touchpoints.iter().any(|touchpoint| windows.cover(touchpoint, CONVERTED));
        prop_assert_eq!(credits.iter().map(|credit| credit.parts).sum::<u32>(), if any { WHOLE } else { 0 });
        prop_assert_eq!(credits.is_empty(), !any, "no touchpoint, no attribution");
        for Credit { touchpoint, .. } in &credits {
            prop_assert!(windows.cover(touchpoint, CONVERTED) && touchpoints.contains(touchpoint));
        }
    }

    #[test]
    fn neither_the_order_nor_repeats_of_what_is_given_matter(
        (touchpoints, shuffled) in prop::collection::vec(any_touchpoint(), 0..30)
            .prop_flat_map(|all| (Just(all.clone()), Just([all.clone(), all].concat()).prop_shuffle())),
        model in any_model(),
    ) {
        let windows = Windows::default();
        prop_assert_eq!(
            credit(touchpoints, CONVERTED, &windows, model),
            credit(shuffled, CONVERTED, &windows, model)
        );
    }

    #[test]
    fn campaigns_and_the_unattributed_add_up_to_the_total(
        conversions in prop::collection::vec(
            (prop::collection::vec(any_touchpoint(), 0..8), prop::option::of((0_u128..1_000_000_000_000, 0_usize..2))),
            0..20,
        ),
        model in any_model(),
    ) {
        let mut sums = Sums::default();
        for (touchpoints, worth) in &conversions {
            let credits = credit(touchpoints.iter().copied(), CONVERTED, &Windows::default(), model);
            sums.add(&credits, worth.map(|(amount, currency)| (["MYR", "USD"][currency], Worth(amount))));
        }
        let mut all = sums.unattributed.clone();
        for id in sums.campaigns.keys() {
            all.merge(&sums.of_campaign(*id));
        }
        all.worths.retain(|_, worth| *worth > Worth(0));
        let mut total = sums.total.clone();
        total.worths.retain(|_, worth| *worth > Worth(0));
        prop_assert_eq!(total.parts, conversions.len() as u64 * u64::from(WHOLE));
        prop_assert_eq!(all, total);
    }
}
