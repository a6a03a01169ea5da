//! `Core::learn` is `Attempt::learn` on a row: the same flags, the same times, the same answer whether it was news.

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use shared::attempt::claim::{After, CALL_TIMEOUT, Claim, Try};
use shared::attempt::pricing::Pricing;
use shared::attempt::{Attempt, AttemptKey, Evidence, Failure, Flag, Moment};
use shared::store::{Claimed, Consistency, Core, Learned, Told};

use crate::{NOW, Tables, at_once, attempt, attempt_key, moment};

/// Attempts that evidence is learned about in one test.
const ATTEMPTS: u32 = 40;

/// Any evidence, seen at any time: of the same report that comes twice the one that was seen first is kept.
fn any_evidence(rng: &mut StdRng) -> Evidence {
    let Moment { at, seen } = moment(rng.random_range(0..6));
    let seen = shared::time::UnixMillis(seen.0 + rng.random_range(0..3));
    if rng.random_ratio(1, 5) {
        let code = *[0, 131_026, 131_049].choose(rng).unwrap();
        return Evidence::Failed(Failure { at, seen, code, title: None, details: None });
    }
    Evidence::Flag(*Flag::ALL.choose(rng).unwrap(), Moment { at, seen })
}

/// Batches of evidence as `ingest` writes them.
fn any_batches(rng: &mut StdRng) -> Vec<Vec<Evidence>> {
    let batches = rng.random_range(1..8);
    (0..batches)
        .map(|_| {
            let pieces = rng.random_range(1..6);
            (0..pieces).map(|_| any_evidence(rng)).collect()
        })
        .collect()
}

async fn born(core: &Core, key: &AttemptKey) -> Attempt {
    let claim = Claim::for_slot(NOW, CALL_TIMEOUT);
    assert_eq!(
        core.claim(key, &attempt(1), Try { number: 1, after: After::Nothing }, &claim).await.unwrap(),
        Claimed::Won
    );
    Attempt { claim: Some(claim), ..attempt(1) }
}

fn told(wamid: &str) -> Option<Told<'_>> {
    Some(Told { number: 1, wamid: Some(wamid), pricing: None })
}

#[tokio::test]
async fn the_row_learns_what_the_attempt_learns_and_says_so() {
    let tables = Tables::new().await;
    let mut rng = StdRng::seed_from_u64(1);
    for seq in 0..ATTEMPTS {
        let key = attempt_key(seq);
        let mut expected = born(&tables.core, &key).await;
        for batch in any_batches(&mut rng) {
            let news = batch.iter().any(|evidence| expected.is_news(evidence));
            batch.iter().for_each(|evidence| expected.learn(evidence));
            let learned = tables.core.learn(&key, &batch, None).await.unwrap();
            assert_eq!(learned, if news { Learned::News } else { Learned::Nothing }, "{batch:?}");
            assert!(tables.core.attempt(&key).await.unwrap().unwrap() == expected, "after {batch:?}");
        }
    }
}

#[tokio::test]
async fn evidence_from_many_writers_at_once_ends_in_the_same_row_and_comes_again_as_nothing() {
    let tables = Tables::new().await;
    let mut rng = StdRng::seed_from_u64(2);
    for seq in 0..ATTEMPTS / 2 {
        let key = attempt_key(seq);
        let mut expected = born(&tables.core, &key).await;
        let mut batches = any_batches(&mut rng);
        batches.extend(batches.clone());
        batches.shuffle(&mut rng);
        batches.iter().flatten().for_each(|evidence| expected.learn(evidence));

        let learned = at_once(batches.len(), |i| {
            let (core, batch) = (tables.another_core(), batches[i].clone());
            async move { core.learn(&key, &batch, None).await.unwrap() }
        })
        .await;
        assert!(learned.contains(&Learned::News));
        assert!(tables.core.attempt(&key).await.unwrap().unwrap() == expected, "{batches:?}");
        for batch in &batches {
            assert_eq!(tables.core.learn(&key, batch, None).await.unwrap(), Learned::Nothing);
        }
    }
}

#[tokio::test]
async fn of_many_writers_of_one_flag_one_has_news() {
    let tables = Tables::new().await;
    let key = attempt_key(0);
    born(&tables.core, &key).await;
    let learned = at_once(20, |_| {
        let core = tables.another_core();
        async move { core.learn(&key, &[Evidence::Flag(Flag::Sent, moment(5))], None).await.unwrap() }
    })
    .await;
    assert_eq!(learned.iter().filter(|learned| **learned == Learned::News).count(), 1);
}

#[tokio::test]
async fn evidence_makes_no_row() {
    let tables = Tables::new().await;
    let key = attempt_key(0);
    let evidence = [Evidence::Flag(Flag::Read, moment(5))];
    assert_eq!(tables.core.learn(&key, &evidence, told("wamid.A")).await.unwrap(), Learned::NoSuchAttempt);
    assert!(tables.core.attempt(&key).await.unwrap().is_none());
}

#[tokio::test]
async fn a_message_id_fills_a_gap_and_replaces_nothing() {
    let tables = Tables::new().await;
    let key = attempt_key(0);
    born(&tables.core, &key).await;
    for (second, wamid) in [(5, "wamid.A"), (4, "wamid.B")] {
        let evidence = [Evidence::Flag(Flag::Sent, moment(second))];
        assert_eq!(tables.core.learn(&key, &evidence, told(wamid)).await.unwrap(), Learned::News);
    }
    assert_eq!(tables.core.attempt(&key).await.unwrap().unwrap().wamid.as_deref(), Some("wamid.A"));
}

#[tokio::test]
async fn attempts_read_together_are_those_that_exist() {
    let tables = Tables::new().await;
    for seq in (0..250).step_by(2) {
        born(&tables.core, &attempt_key(seq)).await;
    }
    let keys: Vec<AttemptKey> = (0..250).map(attempt_key).collect();
    let found = tables.core.attempts(&keys, Consistency::Eventual).await.unwrap();
    assert_eq!(found.len(), 125);
    assert!(found.keys().all(|seq| seq.0 % 2 == 0));
}

#[tokio::test]
async fn the_first_price_that_is_told_is_kept_and_a_try_that_is_over_tells_none() {
    let tables = Tables::new().await;
    let key = attempt_key(1);
    born(&tables.core, &key).await;
    let price = |category: &str| Pricing { category: Some(category.to_owned()), ..Pricing::default() };
    let (first, second) = (price("marketing"), price("utility"));
    let learn = async |flag, number, pricing| {
        let moment = Moment { at: NOW, seen: NOW };
        let told = Told { number, wamid: Some("wamid.A"), pricing };
        tables.core.learn(&key, &[Evidence::Flag(flag, moment)], Some(told)).await.unwrap();
        tables.core.attempt(&key).await.unwrap().unwrap().pricing
    };
    assert_eq!(learn(Flag::Accepted, 1, None).await, None);
    assert_eq!(learn(Flag::Sent, 1, Some(&first)).await, Some(first.clone()));
    assert_eq!(learn(Flag::Delivered, 1, Some(&second)).await, Some(first.clone()));
    assert_eq!(learn(Flag::Read, 1, Some(&second)).await, Some(first));

    let other = attempt_key(2);
    born(&tables.core, &other).await;
    tables.core.mark_unknown(&other, 1, Moment { at: NOW, seen: NOW }).await.unwrap();
    let unknown = tables.core.attempt(&other).await.unwrap().unwrap();
    let again = Try { number: 2, after: After::Unknown };
    let claim = Claim::for_slot(NOW, CALL_TIMEOUT);
    assert_eq!(tables.core.claim(&other, &unknown, again, &claim).await.unwrap(), Claimed::Won);
    let told = Told { number: 1, wamid: None, pricing: Some(&second) };
    let delivered = Evidence::Flag(Flag::Delivered, Moment { at: NOW, seen: NOW });
    tables.core.learn(&other, &[delivered], Some(told)).await.unwrap();
    let known = tables.core.attempt(&other).await.unwrap().unwrap();
    assert!(known.delivered.is_some() && known.pricing.is_none(), "it is the price of another try");
}
