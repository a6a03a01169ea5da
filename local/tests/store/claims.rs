//! The right to call Meta: one worker at a time, never after a proof that Meta has the message, and nobody can take back
//! what another has learned.

use shared::attempt::claim::{Claim, Readiness, Release, readiness};
use shared::attempt::{Attempt, AttemptKey, Evidence, Failure, Flag, Moment, Stage, Standing};
use shared::meta::client::Accepted;
use shared::store::{Claimed, Core};
use shared::time::UnixMillis;

use crate::{NOW, Tables, at_once, attempt, attempt_key, moment};

const LONG_AFTER: UnixMillis = UnixMillis(NOW.0 + 3_600_000);

fn accepted(wamid: &str) -> Accepted {
    Accepted { wamid: wamid.to_owned(), wa_id: None, response: "{}".to_owned() }
}

fn released() -> Release {
    Release { not_before: NOW, code: 130_429 }
}

async fn claim(core: &Core, key: &AttemptKey, number: u16) -> Claimed {
    core.claim(key, &attempt(number), &Claim::for_slot(NOW)).await.unwrap()
}

async fn stored(core: &Core, key: &AttemptKey) -> Attempt {
    core.attempt(key).await.unwrap().unwrap()
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
        let own = Claim::for_slot(NOW);
        for _ in 0..2 {
            assert_eq!(tables.core.claim(&key, &attempt(number), &own).await.unwrap(), Claimed::Won);
        }
        assert_eq!(claim(&tables.core, &key, number).await, Claimed::Lost);
        tables.core.release(&key, number, number, &released()).await.unwrap();
        assert_eq!(tables.core.claim(&key, &attempt(number), &own).await.unwrap(), Claimed::Lost, "it was given back");
    }
}

#[tokio::test]
async fn after_a_release_the_next_number_is_claimed_once() {
    let tables = Tables::new().await;
    let key = attempt_key(0);
    assert_eq!(winners(&tables, key, 1).await, 1);
    assert_eq!(winners(&tables, key, 2).await, 0, "not before the release");
    tables.core.release(&key, 1, 1, &released()).await.unwrap();
    assert_eq!(readiness(Some(&stored(&tables.core, &key).await), NOW), Readiness::Free { number: 2 });
    assert_eq!(winners(&tables, key, 3).await, 0, "no number is left out");
    assert_eq!(winners(&tables, key, 2).await, 1);
    assert_eq!(winners(&tables, key, 2).await, 0);
    let row = stored(&tables.core, &key).await;
    assert_eq!(readiness(Some(&row), NOW), Readiness::Later(Claim::for_slot(NOW).until));
    assert_eq!((row.number, row.released), (2, None));
}

#[tokio::test]
async fn a_status_between_claim_and_answer_settles_the_attempt() {
    let tables = Tables::new().await;
    let key = attempt_key(0);
    claim(&tables.core, &key, 1).await;
    tables.core.learn(&key, &[Evidence::Flag(Flag::Sent, moment(1))], Some("wamid.A")).await.unwrap();
    assert_eq!(readiness(Some(&stored(&tables.core, &key).await), LONG_AFTER), Readiness::Settled);

    tables.core.record_accepted(&key, &accepted("wamid.A"), moment(0)).await.unwrap();
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
    assert_eq!(readiness(Some(&stored(&tables.core, &key).await), LONG_AFTER), Readiness::Settled);
    assert_eq!(claim(&tables.core, &key, 2).await, Claimed::Lost);
}

#[tokio::test]
async fn an_accepted_attempt_never_becomes_unknown() {
    let tables = Tables::new().await;
    let key = attempt_key(0);
    claim(&tables.core, &key, 1).await;
    tables.core.record_accepted(&key, &accepted("wamid.A"), moment(1)).await.unwrap();
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
    assert_eq!((row.standing(), readiness(Some(&row), LONG_AFTER)), (Standing::Unknown, Readiness::Settled));
    assert_eq!(claim(&tables.core, &key, 2).await, Claimed::Lost, "what is unknown is not sent again");

    tables.core.record_accepted(&key, &accepted("wamid.A"), moment(21)).await.unwrap();
    tables.core.record_accepted(&key, &accepted("wamid.B"), moment(22)).await.unwrap();
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
    tables.core.record_accepted(&key, &accepted("wamid.A"), moment(1)).await.unwrap();
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
