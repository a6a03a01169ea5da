//! The right to call Meta: one worker at a time, never after a proof that Meta has the message, and nobody can take back
//! what another has learned.

use std::time::Duration;

use shared::attempt::claim::{After, CALL_TIMEOUT, Claim, Policy, Readiness, Release, Try, readiness};
use shared::attempt::{Attempt, AttemptKey, Evidence, Failure, Flag, Moment, Stage, Standing};
use shared::meta::client::Accepted;
use shared::store::{Claimed, Core, Told};
use shared::time::UnixMillis;

use crate::{NOW, Tables, at_once, attempt, attempt_key, moment};

const LONG_AFTER: UnixMillis = UnixMillis(NOW.0 + 3_600_000);

fn accepted(wamid: &str) -> Accepted {
    Accepted { wamid: wamid.to_owned(), wa_id: None, response: "{}".to_owned() }
}

fn released() -> Release {
    Release { not_before: NOW, code: 130_429 }
}

const LEAVE: Policy = Policy { resend_after: None, retry_before: None };

fn own_claim() -> Claim {
    Claim::for_slot(NOW, CALL_TIMEOUT)
}

fn nth(number: u16) -> Try {
    Try { number, after: if number <= 1 { After::Nothing } else { After::Release } }
}

async fn claim(core: &Core, key: &AttemptKey, number: u16) -> Claimed {
    core.claim(key, &attempt(number), nth(number), &own_claim()).await.unwrap()
}

async fn stored(core: &Core, key: &AttemptKey) -> Attempt {
    core.attempt(key).await.unwrap().unwrap()
}

fn told(number: u16) -> Option<Told<'static>> {
    Some(Told { number, wamid: Some("wamid.A"), pricing: None })
}

/// How many of twenty workers win the claim of this number.
async fn winners(tables: &Tables, key: AttemptKey, number: u16) -> usize {
    let claims = at_once(20, |_| {
        let core = tables.another_core();
        async move { claim(&core, &key, number).await }
    })
    .await;
    claims.into_iter().filter(|claimed| *claimed == Claimed::Won).count()
}

#[tokio::test]
async fn of_twenty_workers_one_wins_the_first_claim() {
    let tables = Tables::new().await;
    for seq in 0..5 {
        assert_eq!(winners(&tables, attempt_key(seq), 1).await, 1);
        assert_eq!(winners(&tables, attempt_key(seq), 1).await, 0, "and nobody after it");
    }
}

/// The SDK repeats a write whose answer was lost on the way.
#[tokio::test]
async fn a_claim_that_is_written_again_is_still_its_owners_and_nobody_elses() {
    let tables = Tables::new().await;
    let key = attempt_key(0);
    for number in [1, 2] {
        let own = own_claim();
        for _ in 0..2 {
            assert_eq!(tables.core.claim(&key, &attempt(number), nth(number), &own).await.unwrap(), Claimed::Won);
        }
        assert_eq!(claim(&tables.core, &key, number).await, Claimed::Lost);
        tables.core.release(&key, number, number, &released()).await.unwrap();
        assert_eq!(
            tables.core.claim(&key, &attempt(number), nth(number), &own).await.unwrap(),
            Claimed::Lost,
            "it was given back"
        );
    }
}

#[tokio::test]
async fn after_a_release_the_next_number_is_claimed_once() {
    let tables = Tables::new().await;
    let key = attempt_key(0);
    assert_eq!(winners(&tables, key, 1).await, 1);
    assert_eq!(winners(&tables, key, 2).await, 0, "not before the release");
    tables.core.release(&key, 1, 1, &released()).await.unwrap();
    assert_eq!(readiness(Some(&stored(&tables.core, &key).await), &LEAVE, NOW), Readiness::Free(nth(2)));
    assert_eq!(winners(&tables, key, 3).await, 0, "no number is left out");
    assert_eq!(winners(&tables, key, 2).await, 1);
    assert_eq!(winners(&tables, key, 2).await, 0);
    let row = stored(&tables.core, &key).await;
    assert_eq!(readiness(Some(&row), &LEAVE, NOW), Readiness::Later(own_claim().until));
    assert_eq!((row.number, row.released), (2, None));
}

#[tokio::test]
async fn a_status_between_claim_and_answer_settles_the_attempt() {
    let tables = Tables::new().await;
    let key = attempt_key(0);
    claim(&tables.core, &key, 1).await;
    tables.core.learn(&key, &[Evidence::Flag(Flag::Sent, moment(1))], told(1)).await.unwrap();
    assert_eq!(readiness(Some(&stored(&tables.core, &key).await), &LEAVE, LONG_AFTER), Readiness::Settled);

    tables.core.record_accepted(&key, 1, &accepted("wamid.A"), moment(0)).await.unwrap();
    let row = stored(&tables.core, &key).await;
    assert_eq!((row.accepted, row.wamid.as_deref()), (Some(moment(0)), Some("wamid.A")));
    assert_eq!(row.standing(), Standing::Reached(Stage::Sent));
}

#[tokio::test]
async fn a_proof_that_comes_after_a_release_keeps_everybody_from_sending() {
    let tables = Tables::new().await;
    let proofs = [Flag::Accepted, Flag::Sent, Flag::Delivered, Flag::Read, Flag::Clicked, Flag::Replied];
    for (seq, proof) in (0..).zip(proofs) {
        let key = attempt_key(seq);
        claim(&tables.core, &key, 1).await;
        tables.core.release(&key, 1, 1, &released()).await.unwrap();
        tables.core.learn(&key, &[Evidence::Flag(proof, moment(1))], None).await.unwrap();
        assert_eq!(claim(&tables.core, &key, 2).await, Claimed::Lost, "{}", proof.name());
    }
}

/// A worker that read the row before the failure came in still tries to claim.
#[tokio::test]
async fn a_failure_that_comes_after_a_release_keeps_everybody_from_sending() {
    let tables = Tables::new().await;
    let key = attempt_key(0);
    claim(&tables.core, &key, 1).await;
    tables.core.release(&key, 1, 1, &released()).await.unwrap();
    let Moment { at, seen } = moment(1);
    let failure = Failure { at, seen, code: 131_026, title: None, details: None };
    tables.core.learn(&key, &[Evidence::Failed(failure)], None).await.unwrap();
    assert_eq!(readiness(Some(&stored(&tables.core, &key).await), &LEAVE, LONG_AFTER), Readiness::Settled);
    assert_eq!(claim(&tables.core, &key, 2).await, Claimed::Lost);
}

#[tokio::test]
async fn an_accepted_attempt_never_becomes_unknown() {
    let tables = Tables::new().await;
    let key = attempt_key(0);
    claim(&tables.core, &key, 1).await;
    tables.core.record_accepted(&key, 1, &accepted("wamid.A"), moment(1)).await.unwrap();
    tables.core.mark_unknown(&key, 1, moment(20)).await.unwrap();
    assert_eq!(stored(&tables.core, &key).await.unknown, None);
}

#[tokio::test]
async fn an_answer_that_comes_late_resolves_an_unknown_and_is_kept_once() {
    let tables = Tables::new().await;
    let key = attempt_key(0);
    claim(&tables.core, &key, 1).await;
    tables.core.mark_unknown(&key, 1, moment(20)).await.unwrap();
    let row = stored(&tables.core, &key).await;
    assert_eq!((row.standing(), readiness(Some(&row), &LEAVE, LONG_AFTER)), (Standing::Unknown, Readiness::Settled));
    assert_eq!(claim(&tables.core, &key, 2).await, Claimed::Lost, "what is unknown is not sent again");

    tables.core.record_accepted(&key, 1, &accepted("wamid.A"), moment(21)).await.unwrap();
    tables.core.record_accepted(&key, 1, &accepted("wamid.B"), moment(22)).await.unwrap();
    let row = stored(&tables.core, &key).await;
    assert_eq!(row.standing(), Standing::Reached(Stage::Sent));
    assert_eq!((row.accepted, row.wamid.as_deref()), (Some(moment(21)), Some("wamid.A")));
}

#[tokio::test]
async fn the_first_time_of_becoming_unknown_is_kept() {
    let tables = Tables::new().await;
    let key = attempt_key(0);
    claim(&tables.core, &key, 1).await;
    at_once(8, |i| {
        let core = tables.another_core();
        async move { core.mark_unknown(&key, 1, moment(i64::try_from(i).unwrap())).await.unwrap() }
    })
    .await;
    let first = stored(&tables.core, &key).await.unknown;
    tables.core.mark_unknown(&key, 1, moment(99)).await.unwrap();
    assert!(first.is_some());
    assert_eq!(stored(&tables.core, &key).await.unknown, first);
}

#[tokio::test]
async fn a_worker_with_an_old_number_changes_nothing() {
    let tables = Tables::new().await;
    let key = attempt_key(0);
    claim(&tables.core, &key, 1).await;
    tables.core.release(&key, 1, 1, &released()).await.unwrap();
    claim(&tables.core, &key, 2).await;
    let before = stored(&tables.core, &key).await;

    tables.core.release(&key, 1, 1, &released()).await.unwrap();
    tables.core.mark_unknown(&key, 1, moment(20)).await.unwrap();
    assert_eq!(claim(&tables.core, &key, 2).await, Claimed::Lost);
    assert_eq!(claim(&tables.core, &key, 1).await, Claimed::Lost);
    assert!(stored(&tables.core, &key).await == before);
}

#[tokio::test]
async fn what_was_never_claimed_is_neither_released_nor_unknown_nor_accepted() {
    let tables = Tables::new().await;
    let key = attempt_key(0);
    tables.core.release(&key, 1, 1, &released()).await.unwrap();
    tables.core.mark_unknown(&key, 1, moment(1)).await.unwrap();
    tables.core.record_accepted(&key, 1, &accepted("wamid.A"), moment(1)).await.unwrap();
    assert!(tables.core.attempt(&key).await.unwrap().is_none());
    assert_eq!(claim(&tables.core, &key, 2).await, Claimed::Lost, "a second claim needs a first");
}

/// The wave of a crash: whatever the order of a release, a status and two claimers, at most one of them may send, and
/// none once the status is in.
#[tokio::test]
async fn a_release_a_status_and_claimers_at_once_leave_one_sender_at_most() {
    let tables = Tables::new().await;
    for seq in 0..20 {
        let key = attempt_key(seq);
        claim(&tables.core, &key, 1).await;
        let won = at_once(10, |i| {
            let core = tables.another_core();
            async move {
                match i {
                    0 => core.release(&key, 1, 1, &released()).await.map(|()| false).unwrap(),
                    1 => {
                        let sent = [Evidence::Flag(Flag::Sent, moment(1))];
                        core.learn(&key, &sent, None).await.map(|_| false).unwrap()
                    }
                    _ => claim(&core, &key, 2).await == Claimed::Won,
                }
            }
        })
        .await;
        assert!(won.into_iter().filter(|won| *won).count() <= 1);
        assert_eq!(claim(&tables.core, &key, 2).await, Claimed::Lost, "the status is in");
    }
}

#[tokio::test]
async fn an_unknown_attempt_that_is_sent_again_hears_no_more_of_its_first_try() {
    let tables = Tables::new().await;
    let key = attempt_key(0);
    claim(&tables.core, &key, 1).await;
    tables.core.mark_unknown(&key, 1, moment(20)).await.unwrap();
    let row = stored(&tables.core, &key).await;
    let resend = Policy { resend_after: Some(Duration::from_secs(60)), retry_before: None };
    let again = Try { number: 2, after: After::Unknown };
    assert_eq!(readiness(Some(&row), &resend, LONG_AFTER), Readiness::Free(again));
    assert_eq!(tables.core.claim(&key, &row, again, &own_claim()).await.unwrap(), Claimed::Won);
    assert_eq!(tables.core.claim(&key, &row, again, &own_claim()).await.unwrap(), Claimed::Lost, "another worker");

    let Moment { at, seen } = moment(30);
    let failed = Evidence::Failed(Failure { at, seen, code: 131_026, title: None, details: None });
    tables.core.learn(&key, &[failed], told(1)).await.unwrap();
    let row = stored(&tables.core, &key).await;
    assert_eq!((row.failed, row.unknown, row.wamid), (None, None, None));

    // What a person did proves that a message arrived, whichever it was.
    tables.core.learn(&key, &[Evidence::Flag(Flag::Read, moment(40))], told(1)).await.unwrap();
    assert_eq!(stored(&tables.core, &key).await.standing(), Standing::Reached(Stage::Read));
}

#[tokio::test]
async fn a_failure_that_is_tried_again_is_kept_and_its_repeats_change_nothing() {
    let tables = Tables::new().await;
    let key = attempt_key(0);
    claim(&tables.core, &key, 1).await;
    tables.core.record_accepted(&key, 1, &accepted("wamid.A"), moment(1)).await.unwrap();
    let Moment { at, seen } = moment(5);
    let failed = Evidence::Failed(Failure { at, seen, code: 131_000, title: None, details: None });
    tables.core.learn(&key, std::slice::from_ref(&failed), told(1)).await.unwrap();
    let row = stored(&tables.core, &key).await;
    let again = Try { number: 2, after: After::Failure };
    assert_eq!(tables.core.claim(&key, &row, again, &own_claim()).await.unwrap(), Claimed::Won);
    let row = stored(&tables.core, &key).await;
    assert_eq!((row.number, row.accepted, row.wamid.as_deref(), row.standing()), (2, None, None, Standing::Pending));
    assert_eq!(row.earlier.iter().map(|tried| (tried.number, tried.failed.code)).collect::<Vec<_>>(), [(1, 131_000)]);

    let sent = Evidence::Flag(Flag::Sent, moment(3));
    tables.core.learn(&key, &[failed, sent], told(1)).await.unwrap();
    assert!(stored(&tables.core, &key).await == row, "Meta repeats statuses for days");

    tables.core.record_accepted(&key, 2, &accepted("wamid.B"), moment(9)).await.unwrap();
    let row = stored(&tables.core, &key).await;
    assert_eq!((row.wamid.as_deref(), row.standing()), (Some("wamid.B"), Standing::Reached(Stage::Sent)));
}

#[tokio::test]
async fn who_has_arrived_is_not_sent_to_again_whatever_was_read_before() {
    let tables = Tables::new().await;
    let key = attempt_key(0);
    claim(&tables.core, &key, 1).await;
    let Moment { at, seen } = moment(5);
    let failed = Evidence::Failed(Failure { at, seen, code: 131_000, title: None, details: None });
    tables.core.learn(&key, &[failed], told(1)).await.unwrap();
    let row = stored(&tables.core, &key).await;
    tables.core.learn(&key, &[Evidence::Flag(Flag::Delivered, moment(6))], told(1)).await.unwrap();
    let again = Try { number: 2, after: After::Failure };
    assert_eq!(tables.core.claim(&key, &row, again, &own_claim()).await.unwrap(), Claimed::Lost);
}

#[tokio::test]
async fn a_skip_settles_who_was_not_sent_to_and_nobody_else() {
    let tables = Tables::new().await;
    let skip = shared::attempt::Skip { at: NOW, code: "opted_out".to_owned(), reason: "opted out".to_owned() };
    let (fresh, claimed) = (attempt_key(0), attempt_key(1));
    tables.core.skip(&fresh, &attempt(1), nth(1), &skip).await.unwrap();
    assert_eq!(stored(&tables.core, &fresh).await.standing(), Standing::Skipped);
    assert_eq!(claim(&tables.core, &fresh, 1).await, Claimed::Lost);

    claim(&tables.core, &claimed, 1).await;
    tables.core.skip(&claimed, &attempt(1), nth(2), &skip).await.unwrap();
    assert_eq!(stored(&tables.core, &claimed).await.skipped, None, "its message is on the way");
    tables.core.release(&claimed, 1, 1, &released()).await.unwrap();
    tables.core.skip(&claimed, &attempt(1), nth(2), &skip).await.unwrap();
    assert_eq!(stored(&tables.core, &claimed).await.standing(), Standing::Skipped, "it came back");
    assert_eq!(claim(&tables.core, &claimed, 2).await, Claimed::Lost);
}

/// A rule may refuse who failed before and was to be tried again: else nobody would ever be done with them.
#[tokio::test]
async fn a_skip_in_place_of_a_retry_settles_the_failure_as_it_was() {
    let tables = Tables::new().await;
    let skip = shared::attempt::Skip { at: NOW, code: "opted_out".to_owned(), reason: "opted out".to_owned() };
    let key = attempt_key(0);
    claim(&tables.core, &key, 1).await;
    let Moment { at, seen } = moment(5);
    let failed = Evidence::Failed(Failure { at, seen, code: 131_000, title: None, details: None });
    tables.core.learn(&key, &[failed], told(1)).await.unwrap();
    let row = stored(&tables.core, &key).await;
    let retry = Policy { resend_after: None, retry_before: Some(LONG_AFTER) };
    let again = Try { number: 2, after: After::Failure };
    assert_eq!(readiness(Some(&row), &retry, LONG_AFTER), Readiness::Free(again));
    tables.core.skip(&key, &row, again, &skip).await.unwrap();
    let row = stored(&tables.core, &key).await;
    assert_eq!((readiness(Some(&row), &retry, LONG_AFTER), row.standing()), (Readiness::Settled, Standing::Failed));
    assert_eq!(tables.core.claim(&key, &row, again, &own_claim()).await.unwrap(), Claimed::Lost);
}

#[tokio::test]
async fn a_row_is_born_with_its_person_or_learns_of_them_with_the_next_try_and_keeps_them() {
    let tables = Tables::new().await;
    let person = |n: u8| format!("ctc_01J0000000000000000000000{n}").parse().ok();
    let claim = async |seq: u32, number: u16, contact| {
        let row = Attempt { contact, ..attempt(number) };
        let claimed = tables.core.claim(&attempt_key(seq), &row, nth(number), &own_claim()).await.unwrap();
        assert_eq!(claimed, Claimed::Won);
        tables.core.release(&attempt_key(seq), number, 0, &released()).await.unwrap();
        stored(&tables.core, &attempt_key(seq)).await.contact
    };
    assert_eq!(claim(0, 1, person(1)).await, person(1));
    assert_eq!(claim(0, 2, person(2)).await, person(1));
    assert_eq!(claim(1, 1, None).await, None);
    assert_eq!(claim(1, 2, person(2)).await, person(2));
    assert_eq!(claim(1, 3, None).await, person(2));
    tables.engines.shutdown().await;
}
