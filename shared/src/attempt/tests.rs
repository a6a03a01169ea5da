//! What holds of attempts, in whatever order things are learned.

use super::*;

/// An attempt that was claimed once and of which nothing else is known.
pub(crate) fn claimed() -> Attempt {
    let account = "acc_01J00000000000000000000000".parse().unwrap();
    Attempt::new("+60123456789".parse().unwrap(), account, VariantIndex(0), PageNumber(0))
}

pub(crate) fn at(seconds: i64) -> Moment {
    Moment { at: UnixMillis::from_seconds(seconds), seen: UnixMillis::from_seconds(seconds + 1) }
}

fn failure(code: i64, seconds: i64) -> Evidence {
    let Moment { at, seen } = at(seconds);
    Evidence::Failed(Failure { at, seen, code, title: None, details: None })
}

#[test]
fn read_proves_delivered() {
    let mut attempt = claimed();
    attempt.learn(&Evidence::Flag(Flag::Read, at(5)));
    assert_eq!(attempt.standing(), Standing::Reached(Stage::Read));
    assert!(attempt.reached(Stage::Delivered) && attempt.inferred(Stage::Delivered));
    assert!(!attempt.inferred(Stage::Read));
}

#[test]
fn a_reply_proves_delivery_and_an_open_but_no_click() {
    let mut attempt = claimed();
    attempt.learn(&Evidence::Flag(Flag::Replied, at(5)));
    assert!(attempt.inferred(Stage::Read) && attempt.inferred(Stage::Delivered) && attempt.inferred(Stage::Sent));
    assert!(!attempt.reached(Stage::Clicked));
}

#[test]
fn a_failure_after_delivery_does_not_lower_the_stage() {
    let mut attempt = claimed();
    attempt.learn(&Evidence::Flag(Flag::Delivered, at(5)));
    attempt.learn(&failure(131_026, 6));
    assert_eq!(attempt.standing(), Standing::Reached(Stage::Delivered));
    assert!(attempt.failed.is_some());
}

#[test]
fn a_failure_after_sent_is_a_failure() {
    let mut attempt = claimed();
    attempt.learn(&Evidence::Flag(Flag::Sent, at(5)));
    attempt.learn(&failure(131_049, 6));
    assert_eq!(attempt.standing(), Standing::Failed);
}

#[test]
fn any_status_resolves_an_unknown() {
    let mut attempt = claimed();
    attempt.unknown = Some(at(9));
    assert_eq!(attempt.standing(), Standing::Unknown);
    attempt.learn(&Evidence::Flag(Flag::Sent, at(5)));
    assert_eq!(attempt.standing(), Standing::Reached(Stage::Sent));
}

#[test]
fn the_earliest_time_is_kept_whatever_comes_first() {
    let (early, late) = (Evidence::Flag(Flag::Delivered, at(5)), Evidence::Flag(Flag::Delivered, at(8)));
    let (mut one, mut other) = (claimed(), claimed());
    one.learn(&early);
    one.learn(&late);
    other.learn(&late);
    other.learn(&early);
    assert_eq!(one.delivered, Some(at(5)));
    assert!(one == other);
}

#[test]
fn closing_proves_nothing_but_itself() {
    let mut attempt = claimed();
    attempt.learn(&Evidence::Flag(Flag::Closed, at(5)));
    assert_eq!(attempt.standing(), Standing::Reached(Stage::Closed));
    assert!(!attempt.reached(Stage::Sent));
}

#[test]
fn the_stored_shape_is_pinned() {
    let mut attempt = claimed();
    attempt.learn(&Evidence::Flag(Flag::Accepted, at(5)));
    assert_eq!(
        serde_json::to_string(&attempt).unwrap(),
        concat!(
            r#"{"v":1,"phone":"+60123456789","account":"acc_01J00000000000000000000000","variant":0,"page":0,"#,
            r#""number":1,"accepted":{"at":5000,"seen":6000}}"#
        )
    );
}
