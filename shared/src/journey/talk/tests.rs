//! Talks told in any order, with their clocks.

use proptest::prelude::*;

use super::super::trace::tests::trace;
use super::*;

const DAY: i64 = 24 * 60;

fn talk(parts: &[(i64, Part)]) -> Talk {
    Talk::of((0..).zip(parts).map(|(number, (minute, part))| trace(*minute, part.clone(), number)))
}

fn minutes(took: Option<Duration>) -> Option<u64> {
    took.map(|took| took.as_secs() / 60)
}

fn waits(exchange: &Exchange) -> Vec<Option<u64>> {
    exchange.waits.iter().map(|wait| minutes(wait.took())).collect()
}

#[test]
fn the_clock_starts_with_the_first_of_a_run_and_only_a_human_stops_it() {
    let talk = talk(&[
        (0, Part::Wrote),
        (1, Part::Aside),
        (5, Part::Wrote),
        (9, Part::Answered),
        (12, Part::Answered),
        (20, Part::Acted),
        (30, Part::Wrote),
        (33, Part::Answered),
        (40, Part::Wrote),
    ]);
    assert_eq!(talk.standing, Some(Standing::WaitingForUs));
    let [one] = &talk.exchanges[..] else { panic!("{talk:?}") };
    assert_eq!(minutes(one.first_response()), Some(9));
    assert_eq!(waits(one), [Some(9), Some(3), None]);
    assert_eq!((one.received, one.answered), (4, 3));
}

#[test]
fn what_the_business_begins_has_no_first_response() {
    let talk = talk(&[(0, Part::Answered), (10, Part::Wrote), (14, Part::Answered)]);
    let [one] = &talk.exchanges[..] else { panic!("{talk:?}") };
    assert_eq!((one.opened_by, one.first_response(), one.resolution()), (Opener::Business, None, None));
    assert_eq!(waits(one), [Some(4)], "but an answer is an answer");
    assert_eq!(talk.standing, Some(Standing::WaitingForThem));
}

#[test]
fn of_several_ends_the_last_counts_unless_it_was_only_said_again() {
    let mut parts = vec![(0, Part::Wrote), (5, Part::Answered), (6, Part::Resolved), (7, Part::Resolved)];
    let once = talk(&parts);
    assert_eq!((minutes(once.exchanges[0].resolution()), once.exchanges[0].reopened), (Some(6), 0));
    assert_eq!(once.standing, Some(Standing::Resolved));
    parts.extend([(60, Part::Wrote), (61, Part::Answered)]);
    let reopened = talk(&parts);
    assert_eq!((reopened.exchanges[0].resolution(), reopened.exchanges[0].reopened), (None, 1));
    assert_eq!(reopened.standing, Some(Standing::WaitingForThem));
    parts.push((90, Part::Resolved));
    let again = talk(&parts);
    assert_eq!((minutes(again.exchanges[0].resolution()), again.exchanges[0].reopened), (Some(90), 1));
    assert_eq!(minutes(again.exchanges[0].first_response()), Some(5));
    parts.push((91, Part::Answered));
    assert_eq!(talk(&parts).standing, Some(Standing::Resolved), "a last word of the business opens nothing");
}

#[test]
fn a_run_that_is_resolved_without_an_answer_stays_unanswered() {
    let talk = talk(&[(0, Part::Wrote), (5, Part::Resolved), (9, Part::Answered)]);
    assert_eq!((waits(&talk.exchanges[0]), talk.exchanges[0].first_response()), (vec![None], None));
}

#[test]
fn after_a_week_of_silence_another_exchange_begins() {
    let week = 7 * DAY;
    let talk =
        talk(&[(0, Part::Wrote), (week, Part::Wrote), (2 * week + 1, Part::Wrote), (2 * week + 3, Part::Answered)]);
    let [first, second] = &talk.exchanges[..] else { panic!("{talk:?}") };
    assert_eq!((waits(first), waits(second)), (vec![None], vec![Some(2)]));
}

#[test]
fn the_last_assignment_is_the_one_that_holds() {
    let to = |name: &str| Part::Assigned { to: name.to_owned() };
    let given = talk(&[(0, Part::Wrote), (3, to("Ben")), (1, to("Ana"))]);
    assert_eq!(given.assigned.unwrap().to, "Ben");
    assert_eq!(given.exchanges[0].assigned.as_ref().unwrap().to, "Ben");
}

fn part() -> impl Strategy<Value = Part> {
    prop_oneof![
        4 => Just(Part::Wrote),
        3 => Just(Part::Answered),
        1 => Just(Part::Resolved),
        1 => Just(Part::Acted),
        2 => Just(Part::Aside),
        1 => "[ab]".prop_map(|to| Part::Assigned { to }),
    ]
}

fn told() -> impl Strategy<Value = Vec<Trace>> {
    // Some close together, some with days between them.
    let minute = prop_oneof![0..10_i64, 0..20 * DAY];
    prop::collection::vec((minute, part()), 0..30)
        .prop_map(|parts| (0..).zip(parts).map(|(number, (minute, part))| trace(minute, part, number)).collect())
}

proptest! {
    #[test]
    fn in_any_order_and_any_number_of_times_the_talk_is_the_same(
        (told, mixed) in told().prop_flat_map(|told| {
            let twice: Vec<Trace> = told.iter().chain(told.iter().step_by(2)).cloned().collect();
            (Just(told), Just(twice).prop_shuffle())
        })
    ) {
        prop_assert_eq!(Talk::of(told), Talk::of(mixed));
    }

    /// The row of a conversation holds three times only; it must say the same.
    #[test]
    fn the_standing_follows_from_the_last_times_alone(told in told()) {
        let last = |wanted: &Part| told.iter().filter(|trace| trace.part == *wanted).map(|trace| trace.at).max();
        let expected = Standing::of(last(&Part::Wrote), last(&Part::Answered), last(&Part::Resolved));
        prop_assert_eq!(Talk::of(told).standing, expected);
    }

    #[test]
    fn everything_that_was_said_is_in_one_exchange_and_no_wait_overlaps_another(told in told()) {
        let talk = Talk::of(told.clone());
        let count = |wanted: Part| told.iter().filter(|trace| trace.part == wanted).count();
        let sum = |of: &dyn Fn(&Exchange) -> u32| talk.exchanges.iter().map(|one| of(one) as usize).sum::<usize>();
        prop_assert_eq!(sum(&|one| one.received), count(Part::Wrote));
        prop_assert_eq!(sum(&|one| one.answered), count(Part::Answered));
        let waits: Vec<Wait> = talk.exchanges.iter().flat_map(|one| one.waits.clone()).collect();
        for pair in waits.windows(2) {
            prop_assert!(pair[0].until.unwrap_or(pair[0].from) <= pair[1].from);
        }
    }
}
