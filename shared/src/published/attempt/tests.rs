//! Which events an attempt stands for, and that the same ones come of it in whatever order it was told.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::attempt::pricing::Pricing;
use crate::attempt::tests::{at, claimed};
use crate::attempt::{Evidence, Failure, Flag, Money, Seq, Shard};
use crate::id::WorkspaceId;
use crate::published::{Change, changes};

fn key() -> AttemptKey {
    AttemptKey {
        workspace: WorkspaceId::FIRST,
        campaign: "cmp_01J00000000000000000000000".parse().unwrap(),
        shard: Shard(3),
        seq: Seq(35),
    }
}

fn of(attempt: &Attempt) -> Vec<Published> {
    of_attempt(&key(), attempt)
}

fn flag(flag: Flag, seconds: i64) -> Evidence {
    Evidence::Flag(flag, at(seconds))
}

fn failure(code: i64, seconds: i64) -> Evidence {
    let Moment { at, seen } = at(seconds);
    Evidence::Failed(Failure { at, seen, code, title: Some("Undeliverable".into()), details: Some("secret".into()) })
}

/// What learning this, one after the other, publishes: type, second, whether it is new.
fn learned(mut attempt: Attempt, evidence: &[Evidence]) -> Vec<(String, i64, bool)> {
    let mut told = Vec::new();
    for evidence in evidence {
        let before = of(&attempt);
        attempt.learn(evidence);
        let published = changes(&before, of(&attempt));
        told.extend(published.into_iter().map(|change| {
            let new = change.is_new();
            (change.event.kind, change.event.at.seconds(), new)
        }));
    }
    told
}

fn told(expected: &[(&str, i64, bool)]) -> Vec<(String, i64, bool)> {
    expected.iter().map(|(kind, at, new)| ((*kind).to_owned(), *at, *new)).collect()
}

#[test]
fn a_claimed_attempt_stands_for_nothing_yet() {
    assert!(of(&claimed()).is_empty());
}

#[test]
fn each_stage_is_published_once_when_it_is_reached() {
    let way = [
        flag(Flag::Accepted, 1),
        flag(Flag::Sent, 1),
        flag(Flag::Delivered, 2),
        flag(Flag::Read, 3),
        flag(Flag::Clicked, 4),
    ];
    let expected = [
        ("message.sent", 1, true),
        ("message.delivered", 2, true),
        ("message.read", 3, true),
        ("message.clicked", 4, true),
    ];
    assert_eq!(learned(claimed(), &way), told(&expected));
}

#[test]
fn a_stage_that_only_a_later_one_proves_is_published_as_inferred_and_corrected_by_its_report() {
    let mut attempt = claimed();
    attempt.learn(&flag(Flag::Accepted, 1));
    attempt.learn(&flag(Flag::Replied, 9));
    let inferred = of(&attempt);
    let marks: BTreeMap<_, _> =
        inferred.iter().map(|event| (event.kind.as_str(), event.data.get("inferred"))).collect();
    let yes = Some(&Value::Bool(true));
    assert_eq!(
        marks,
        BTreeMap::from([
            ("message.sent", None),
            ("message.delivered", yes),
            ("message.read", yes),
            ("message.replied", None)
        ])
    );
    attempt.learn(&flag(Flag::Delivered, 4));
    let [Change { event, was }] = changes(&inferred, of(&attempt)).try_into().unwrap();
    assert_eq!((event.kind.as_str(), event.at.seconds(), was), ("message.delivered", 4, Some(at(9).at)));
    assert_eq!(event.data.get("inferred"), None);
    assert!(inferred.iter().any(|before| before.id == event.id));
}

#[test]
fn the_answer_to_the_send_counts_before_the_status() {
    let way = [flag(Flag::Sent, 4), flag(Flag::Accepted, 5)];
    assert_eq!(learned(claimed(), &way), told(&[("message.sent", 4, true), ("message.sent", 5, false)]));
    let way = [flag(Flag::Accepted, 5), flag(Flag::Sent, 4)];
    assert_eq!(learned(claimed(), &way), told(&[("message.sent", 5, true)]));
}

#[test]
fn an_earlier_time_is_the_same_event_told_better() {
    let way = [flag(Flag::Clicked, 9), flag(Flag::Clicked, 7), flag(Flag::Clicked, 8)];
    let clicks: Vec<_> = learned(claimed(), &way).into_iter().filter(|(kind, ..)| kind == "message.clicked").collect();
    assert_eq!(clicks, told(&[("message.clicked", 9, true), ("message.clicked", 7, false)]));
}

#[test]
fn a_failure_says_its_code_title_and_class() {
    let mut attempt = claimed();
    attempt.learn(&failure(131_026, 5));
    let [event] = of(&attempt).try_into().unwrap();
    let data = json!({"code": 131_026, "title": "Undeliverable", "class": "drop_recipient", "try": 1});
    assert_eq!((event.kind.as_str(), Value::Object(event.data)), ("message.failed", data));
}

#[test]
fn another_try_takes_nothing_back_and_has_events_of_its_own() {
    let mut first = claimed();
    first.learn(&flag(Flag::Accepted, 1));
    first.learn(&failure(131_000, 2));
    let second = Attempt { number: 2, superseded: 1, ..claimed() };
    assert!(changes(&of(&first), of(&second)).is_empty());
    let mut sent = second.clone();
    sent.learn(&flag(Flag::Accepted, 9));
    let [Change { event, was }] = changes(&of(&second), of(&sent)).try_into().unwrap();
    assert_eq!((event.kind.as_str(), &event.data["try"], was), ("message.sent", &json!(2), None));
    assert!(of(&first).iter().all(|before| before.id != event.id));
}

#[test]
fn who_is_not_sent_to_says_why_and_whether_something_was_tried_before() {
    let skip = Skip { at: at(3).at, code: "opted_out".into(), reason: "for people".into() };
    let [event] = of(&Attempt { number: 0, skipped: Some(skip.clone()), ..claimed() }).try_into().unwrap();
    assert_eq!((event.kind.as_str(), Value::Object(event.data)), ("message.skipped", json!({"code": "opted_out"})));
    let mut failed = claimed();
    failed.learn(&failure(131_000, 2));
    failed.skipped = Some(skip);
    let events = of(&failed);
    let event = events.iter().find(|event| event.kind == "message.skipped").unwrap();
    assert_eq!(Value::Object(event.data.clone()), json!({"code": "opted_out", "after": "failure"}));
}

#[test]
fn a_lost_answer_a_deal_and_an_opt_out_are_events_too() {
    let value = Some(Money { amount: 120.into(), currency: "MYR".into() });
    let mut attempt = Attempt { unknown: Some(at(2)), closed_value: value, ..claimed() };
    attempt.learn(&flag(Flag::Closed, 7));
    attempt.learn(&flag(Flag::OptedOut, 8));
    let events: BTreeMap<_, _> =
        of(&attempt).into_iter().map(|event| (event.kind.clone(), Value::Object(event.data))).collect();
    let expected = [
        ("message.closed", json!({"amount": 120, "currency": "MYR"})),
        ("message.opted_out", json!({})),
        ("message.unknown", json!({"try": 1})),
    ];
    assert_eq!(events, expected.map(|(kind, data)| (kind.to_owned(), data)).into());
}

#[test]
fn a_delivery_says_what_meta_told_of_its_price() {
    let pricing = Pricing { category: Some("marketing".into()), kind: Some("regular".into()), ..Pricing::default() };
    let mut attempt = Attempt { pricing: Some(pricing), ..claimed() };
    attempt.learn(&flag(Flag::Delivered, 2));
    let events = of(&attempt);
    let delivered = events.iter().find(|event| event.kind == "message.delivered").unwrap();
    assert_eq!(delivered.data["pricing"], json!({"category": "marketing", "type": "regular"}));
    assert!(events.iter().all(|event| event.kind == "message.delivered" || !event.data.contains_key("pricing")));
}

#[test]
fn nothing_personal_of_an_attempt_is_published() {
    let mut attempt = Attempt {
        name: Some("Aisha".into()),
        wamid: Some("wamid.60123456789".into()),
        response: Some(r#"{"wa_id":"60123456789"}"#.into()),
        contact: Some("ctc_01J00000000000000000000000".parse().unwrap()),
        ..claimed()
    };
    for evidence in Flag::ALL.map(|one| flag(one, 5)) {
        attempt.learn(&evidence);
    }
    attempt.learn(&failure(131_026, 5));
    for event in of(&attempt) {
        let json = serde_json::to_string(&event).unwrap();
        for word in ["60123456789", "Aisha", "secret"] {
            assert!(!json.contains(word), "{json}");
        }
        assert!(json.contains("ctc_01J00000000000000000000000"));
    }
}

#[test]
fn the_published_shape_is_pinned() {
    let mut attempt = claimed();
    attempt.learn(&flag(Flag::Accepted, 5));
    let [event] = of(&attempt).try_into().unwrap();
    let json = serde_json::to_string(&Published { id: "evt_01J00000000000000000000000".parse().unwrap(), ..event });
    assert_eq!(
        json.unwrap(),
        concat!(
            r#"{"id":"evt_01J00000000000000000000000","type":"message.sent","at":"1970-01-01T00:00:05.000Z","#,
            r#""seen":"1970-01-01T00:00:06.000Z","workspace":"wsp_00000000000000000000000001","#,
            r#""account":"acc_01J00000000000000000000000","campaign":"cmp_01J00000000000000000000000","#,
            r#""recipient":35,"variant":0,"data":{"try":1}}"#
        )
    );
}
