//! Files are stored once, uploaded to Meta once, and not deleted while a campaign carries them.

use std::time::Duration;

use shared::id::{AccountId, CampaignId, MediaId};
use shared::media::{Media, MediaKind};
use shared::store::{Deletion, MetaClaim, Registered};
use shared::time::UnixMillis;

use crate::{NOW, Tables, WORKSPACE, account_id, at_once, campaign_id};

const DAY: Duration = Duration::from_secs(24 * 3_600);
const LEASE: Duration = Duration::from_secs(50);

fn media(sha256: &str) -> Media {
    Media {
        v: 1,
        id: MediaId::new(NOW),
        workspace: WORKSPACE,
        kind: MediaKind::Image,
        mime_type: "image/png".to_owned(),
        bytes: 3,
        sha256: sha256.to_owned(),
        file_name: None,
        campaigns: 0,
        created_at: NOW,
    }
}

async fn stored(tables: &Tables, sha256: &str) -> MediaId {
    let media = media(sha256);
    assert_eq!(tables.core.register_media(&media).await.unwrap(), Registered::New);
    media.id
}

#[tokio::test]
async fn of_the_same_bytes_stored_at_once_one_becomes_the_file_and_all_hear_of_it() {
    let tables = Tables::new().await;
    let contenders: Vec<Media> = (0..8).map(|_| media("ab")).collect();
    let outcomes = at_once(contenders.len(), |i| {
        let (core, media) = (tables.another_core(), contenders[i].clone());
        async move { core.register_media(&media).await.unwrap() }
    })
    .await;
    let winners: Vec<_> =
        contenders.iter().zip(&outcomes).filter(|(_, outcome)| **outcome == Registered::New).collect();
    assert_eq!(winners.len(), 1);
    let winner = winners[0].0;
    for outcome in outcomes.iter().filter(|outcome| **outcome != Registered::New) {
        assert_eq!(*outcome, Registered::There(winner.clone()));
    }
    assert_eq!(tables.core.media_list(WORKSPACE, None, 100).await.unwrap().rows, std::slice::from_ref(winner));
    // A run that is repeated after a crash finds its own row.
    assert_eq!(tables.core.register_media(winner).await.unwrap(), Registered::There(winner.clone()));
    stored(&tables, "cd").await;
    assert_eq!(tables.core.media_list(WORKSPACE, None, 100).await.unwrap().rows.len(), 2);
}

async fn claim(tables: &Tables, media: MediaId, holder: &str, now: UnixMillis) -> MetaClaim {
    tables.core.claim_meta_upload(WORKSPACE, media, account_id(), holder, LEASE, now).await.unwrap()
}

async fn keep(tables: &Tables, media: MediaId, holder: &str, id: &str, until: UnixMillis) {
    tables.core.keep_meta_upload(WORKSPACE, media, account_id(), holder, id, until).await.unwrap();
}

const WON: MetaClaim = MetaClaim::Won { until_then: None };

fn known(id: &str) -> MetaClaim {
    MetaClaim::Known(id.to_owned())
}

#[tokio::test]
async fn of_many_senders_one_uploads_and_the_others_get_its_id() {
    let tables = Tables::new().await;
    let id = stored(&tables, "ab").await;
    let claims = at_once(12, |i| {
        let core = tables.another_core();
        async move { core.claim_meta_upload(WORKSPACE, id, account_id(), &format!("h{i}"), LEASE, NOW).await.unwrap() }
    })
    .await;
    let winners: Vec<usize> = (0..12).filter(|i| claims[*i] == WON).collect();
    assert_eq!(winners.len(), 1);
    assert!(claims.iter().all(|claim| *claim == WON || *claim == MetaClaim::Busy(NOW.plus(LEASE))));
    // Its own write again, as after an answer that was lost.
    let holder = format!("h{}", winners[0]);
    assert_eq!(claim(&tables, id, &holder, NOW).await, WON);
    keep(&tables, id, &holder, "M1", NOW.plus(30 * DAY)).await;
    assert_eq!(claim(&tables, id, "late", NOW).await, known("M1"));
    // Another number has to upload for itself.
    let other = AccountId::new(NOW);
    let claimed = tables.core.claim_meta_upload(WORKSPACE, id, other, "x", LEASE, NOW).await.unwrap();
    assert_eq!(claimed, WON);
}

#[tokio::test]
async fn a_sender_that_dies_leaves_the_word_to_the_next_and_cannot_take_it_back() {
    let tables = Tables::new().await;
    let id = stored(&tables, "ab").await;
    assert_eq!(claim(&tables, id, "dead", NOW).await, WON);
    let later = NOW.plus(LEASE).plus(Duration::from_millis(1));
    assert_eq!(claim(&tables, id, "next", later).await, WON);
    keep(&tables, id, "dead", "OLD", later.plus(30 * DAY)).await;
    assert_eq!(claim(&tables, id, "third", later).await, MetaClaim::Busy(later.plus(LEASE)));
    // Whoever gives up leaves it at once.
    tables.core.release_meta_upload(WORKSPACE, id, account_id(), "next").await.unwrap();
    assert_eq!(claim(&tables, id, "third", later).await, WON);
}

#[tokio::test]
async fn an_id_is_renewed_in_its_last_day_and_works_meanwhile() {
    let tables = Tables::new().await;
    let id = stored(&tables, "ab").await;
    assert_eq!(claim(&tables, id, "a", NOW).await, WON);
    keep(&tables, id, "a", "M1", NOW.plus(30 * DAY)).await;
    let lasting = |at| tables.core.lasting_meta_upload(WORKSPACE, id, account_id(), at);
    assert_eq!(lasting(NOW.plus(28 * DAY)).await.unwrap().as_deref(), Some("M1"));
    let last_day = NOW.plus(29 * DAY + Duration::from_secs(1));
    assert_eq!(lasting(last_day).await.unwrap(), None);
    assert_eq!(claim(&tables, id, "b", last_day).await, MetaClaim::Won { until_then: Some("M1".to_owned()) });
    assert_eq!(claim(&tables, id, "c", last_day).await, known("M1"), "nobody waits for a renewal");
    keep(&tables, id, "b", "M2", last_day.plus(30 * DAY)).await;
    assert_eq!(claim(&tables, id, "c", last_day).await, known("M2"));
    assert_eq!(claim(&tables, id, "c", last_day.plus(31 * DAY)).await, WON, "an id that ran out is none");
}

#[tokio::test]
async fn an_id_that_meta_does_not_know_is_dropped_once_an_hour() {
    let tables = Tables::new().await;
    let id = stored(&tables, "ab").await;
    let forget = |meta_id: &'static str, at| tables.core.forget_meta_upload(WORKSPACE, id, account_id(), meta_id, at);
    assert_eq!(claim(&tables, id, "a", NOW).await, WON);
    keep(&tables, id, "a", "M1", NOW.plus(30 * DAY)).await;
    assert!(forget("M1", NOW).await.unwrap());
    assert!(forget("M1", NOW).await.unwrap(), "others whose messages had the old id may try again as well");
    assert_eq!(claim(&tables, id, "b", NOW).await, WON);
    keep(&tables, id, "b", "M2", NOW.plus(30 * DAY)).await;
    assert!(forget("M1", NOW).await.unwrap());
    assert!(!forget("M2", NOW.plus(Duration::from_secs(60))).await.unwrap(), "then it is not the id that is wrong");
    assert_eq!(claim(&tables, id, "c", NOW).await, known("M2"));
    assert!(forget("M2", NOW.plus(Duration::from_secs(3_601))).await.unwrap());
}

#[tokio::test]
async fn a_file_stays_while_a_campaign_may_carry_it() {
    let tables = Tables::new().await;
    let id = stored(&tables, "ab").await;
    let used = |campaign| tables.core.use_media(WORKSPACE, id, campaign, NOW);
    assert!(used(campaign_id()).await.unwrap());
    assert!(used(campaign_id()).await.unwrap(), "a repeat changes nothing");
    assert_eq!(tables.core.media(WORKSPACE, id).await.unwrap().unwrap().campaigns, 1);
    // The campaign has no row yet: it may be on its way.
    let delete = |at| tables.core.delete_media(WORKSPACE, id, at);
    assert_eq!(delete(NOW).await.unwrap(), Deletion::InUse(campaign_id()));
    // Its creation was cut off.
    let Deletion::Done(deleted) = delete(NOW.plus(DAY)).await.unwrap() else { panic!("it stays") };
    assert_eq!(deleted.id, id);
    assert_eq!(delete(NOW.plus(DAY)).await.unwrap(), Deletion::NoSuchMedia);
    assert!(!used(CampaignId::new(NOW)).await.unwrap(), "nobody can carry it any more");
    assert_eq!(tables.core.media_by_hash(WORKSPACE, "ab").await.unwrap(), None);
    stored(&tables, "ab").await;
}

#[tokio::test]
async fn of_a_deletion_and_a_use_at_once_never_both_succeed() {
    let tables = Tables::new().await;
    for round in 0..12 {
        let id = stored(&tables, &format!("{round}")).await;
        let (one, two) = (tables.another_core(), tables.another_core());
        let campaign = CampaignId::new(NOW);
        let (used, deleted) = tokio::join!(
            tokio::spawn(async move { one.use_media(WORKSPACE, id, campaign, NOW).await.unwrap() }),
            tokio::spawn(async move { two.delete_media(WORKSPACE, id, NOW).await.unwrap() }),
        );
        let (used, deleted) = (used.unwrap(), matches!(deleted.unwrap(), Deletion::Done(_)));
        assert!(used != deleted, "round {round}: used {used}, deleted {deleted}");
    }
}
