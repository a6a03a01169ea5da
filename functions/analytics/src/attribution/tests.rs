//! What is asked of attribution, and which touchpoints and conversions an answer is made of.

use shared::attempt::Money;

use super::*;

const AT: UnixMillis = UnixMillis(1_790_000_000_000);

fn asked(model: Option<&str>, click_window_h: Option<&str>) -> Asked {
    let text = |given: Option<&str>| given.map(str::to_owned);
    Asked {
        account: None,
        from: None,
        to: None,
        model: text(model),
        click_window_h: text(click_window_h),
        reply_window_h: None,
        read_window_h: None,
        delivered_window_h: Some("0".to_owned()),
    }
}

fn rules(model: Model) -> Rules {
    Rules { workspace: WorkspaceId::FIRST, account: None, windows: Windows::default(), model }
}

fn campaign_id() -> CampaignId {
    "cmp_01J00000000000000000000000".parse().unwrap()
}

fn another(number: u32) -> CampaignId {
    format!("cmp_01J0000000000000000000000{number}").parse().unwrap()
}

fn contact_id() -> ContactId {
    "ctc_01J00000000000000000000000".parse().unwrap()
}

/// A purchase for 10 MYR behind a click this many milliseconds before it.
fn purchase(clicked_before_ms: Option<i64>) -> Conversion {
    let click = clicked_before_ms.map(|ms| (campaign_id(), EventId::new(UnixMillis(AT.0 - ms))));
    Conversion {
        at: AT,
        value: Some(Money { amount: 10.into(), currency: "MYR".to_owned() }),
        contact: Some(contact_id()),
        recipient: click.map(|(campaign, _)| (campaign, Seq(3))),
        told: Told::Event { by: Source::Server, click },
    }
}

#[test]
fn models_and_windows_are_read_and_wrong_ones_are_named() {
    assert_eq!(asked(None, None).model().unwrap(), Model::Last);
    assert_eq!(asked(Some("time_decay"), None).model().unwrap(), Model::TimeDecay);
    assert!(asked(Some("Last"), None).model().is_err());
    assert_eq!(asked(None, None).windows().unwrap(), Windows::default());
    assert_eq!(asked(None, Some("2160")).windows().unwrap().click, Duration::from_secs(90 * 86_400));
    for wrong in ["2161", "-1", "1.5", ""] {
        assert!(asked(None, Some(wrong)).windows().is_err(), "{wrong}");
    }
    assert_eq!(hours_of(&Windows::default()), json!({"click": 168, "reply": 72, "read": 24, "delivered": 0}));
}

#[test]
fn the_click_that_an_event_names_counts_even_when_the_devices_clock_is_behind() {
    let mut credited = Credited::default();
    for clicked_before_ms in [60_000, -60_000] {
        credited.take(&rules(Model::Last), &purchase(Some(clicked_before_ms)), &BTreeMap::new());
    }
    let sum = credited.sums.of_campaign(campaign_id());
    assert_eq!(shown(&sum)["conversions"], 2);
    assert_eq!(shown(&sum)["value"], json!({"MYR": "20.00"}));
    assert_eq!(credited.sums.unattributed, Sum::default());
}

#[test]
fn who_buys_without_a_touchpoint_is_unattributed() {
    let mut credited = Credited::default();
    credited.take(&rules(Model::Linear), &purchase(None), &BTreeMap::new());
    assert_eq!(shown(&credited.sums.unattributed), shown(&credited.sums.total));
    assert_eq!(conversions(&credited.sums.total), json!(1));
}

#[test]
fn a_persons_touchpoints_share_what_they_bought() {
    let mut credited = Credited::default();
    let touchpoint = |minutes: i64, kind: TouchKind, of: u32| Touchpoint {
        at: UnixMillis(AT.0 - minutes * 60_000),
        kind,
        campaign: another(of),
        recipient: Some(Seq(0)),
        variant: None,
    };
    let person = Person {
        contact: contact_id(),
        touchpoints: vec![
            touchpoint(90, TouchKind::Read, 1),
            touchpoint(60, TouchKind::Reply, 2),
            touchpoint(30, TouchKind::Read, 3),
            touchpoint(-30, TouchKind::Click, 4),
        ],
        numbers: BTreeSet::new(),
        campaigns: BTreeSet::new(),
        complete: true,
    };
    credited.people.insert(contact_id(), person);
    credited.take(&rules(Model::Linear), &purchase(None), &BTreeMap::new());
    let of = |number| shown(&credited.sums.of_campaign(another(number)));
    assert_eq!((&of(1)["conversions"], &of(3)["conversions"]), (&json!(0.333_333), &json!(0.333_334)));
    assert_eq!(of(2)["value"], json!({"MYR": "3.33333"}));
    assert_eq!(of(4)["conversions"], 0, "a click after the purchase");
    assert_eq!(of(2)["touchpoints"], json!({"click": 0, "reply": 1, "read": 0, "delivered": 0}));
    assert_eq!(credited.buyers()[&contact_id()].1, [AT]);
}
