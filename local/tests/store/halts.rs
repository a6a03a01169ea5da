//! An account and its campaigns stop and go on together, whoever dies, repeats or is late.

use shared::account::news::{News, Told};
use shared::account::{Account, AccountPausedBy, AccountStatus, Quality};
use shared::campaign::{Campaign, PausedBy, Status};
use shared::id::CampaignId;
use shared::store::Core;
use shared::time::UnixMillis;

use crate::accounts::account;
use crate::campaigns::{campaign, id_at, transition};
use crate::{NOW, Tables, WORKSPACE, at_once};

const LATER: UnixMillis = UnixMillis(NOW.0 + 60_000);

/// An account with this many running campaigns.
async fn sending(core: &Core, campaigns: i64) -> (Account, Vec<CampaignId>) {
    let account = account("106540352242922");
    core.create_account(&account).await.unwrap();
    let mut ids = Vec::new();
    for second in 0..campaigns {
        let id = id_at(second);
        core.create_campaign(&Campaign { account: account.id, ..campaign(id, WORKSPACE) }).await.unwrap();
        core.transition(WORKSPACE, id, &transition(Status::Draft, Status::Running, NOW)).await.unwrap();
        ids.push(id);
    }
    (account, ids)
}

async fn status(core: &Core, id: CampaignId) -> (Status, Option<PausedBy>) {
    let campaign = core.campaign(WORKSPACE, id).await.unwrap().unwrap();
    (campaign.status, campaign.paused_by)
}

const STOPPED: (Status, Option<PausedBy>) = (Status::Paused, Some(PausedBy::Account));

#[tokio::test]
async fn campaigns_stop_and_go_on_with_their_account_and_no_others() {
    let tables = Tables::new().await;
    let core = &tables.core;
    let (account, ids) = sending(core, 3).await;
    // One that the operator has paused, and one of another account.
    core.transition(WORKSPACE, ids[2], &transition(Status::Running, Status::Paused, NOW)).await.unwrap();
    let elsewhere = id_at(10);
    core.create_campaign(&campaign(elsewhere, WORKSPACE)).await.unwrap();
    core.transition(WORKSPACE, elsewhere, &transition(Status::Draft, Status::Running, NOW)).await.unwrap();

    for paused in [true, false] {
        let by = AccountPausedBy::Errors;
        let now_paused = core.halt_account(WORKSPACE, account.id, "no money", Some(LATER), by, NOW).await.unwrap();
        assert_eq!(now_paused, paused, "only the first of two pauses it");
        assert_eq!([status(core, ids[0]).await, status(core, ids[1]).await], [STOPPED, STOPPED]);
    }
    let reason = core.campaign(WORKSPACE, ids[0]).await.unwrap().unwrap().status_reason;
    assert_eq!(reason.as_deref(), Some("the account is paused: no money"));
    assert_eq!(status(core, ids[2]).await, (Status::Paused, Some(PausedBy::Operator)));
    assert_eq!(status(core, elsewhere).await, (Status::Running, None));
    // The watchdog keeps them, to be looked at when the account may go on.
    assert_eq!(core.due_campaigns(LATER).await.unwrap().len(), 3);
    assert_eq!(core.due_campaigns(UnixMillis(LATER.0 - 1)).await.unwrap(), [(WORKSPACE, elsewhere)]);

    let mut on = core.release_account(WORKSPACE, account.id, NOW).await.unwrap().unwrap();
    on.sort_unstable();
    assert_eq!(on, [(ids[0], Status::Running), (ids[1], Status::Running)]);
    assert_eq!(status(core, ids[2]).await, (Status::Paused, Some(PausedBy::Operator)));
    assert_eq!(core.release_account(WORKSPACE, account.id, NOW).await.unwrap(), None);
}

#[tokio::test]
async fn a_halt_or_a_release_that_died_in_the_middle_is_brought_to_its_end() {
    let tables = Tables::new().await;
    let core = &tables.core;
    let (account, ids) = sending(core, 2).await;
    // Only the account's row was written.
    assert!(core.pause_account(WORKSPACE, account.id, "stop", None, AccountPausedBy::Errors).await.unwrap());
    assert_eq!(core.campaign_follows(WORKSPACE, ids[0], NOW).await.unwrap(), Some(Status::Paused), "the watchdog");
    assert_eq!(core.campaign_follows(WORKSPACE, ids[0], NOW).await.unwrap(), None, "a repeat");
    let repeat = core.halt_account(WORKSPACE, account.id, "stop", None, AccountPausedBy::Errors, NOW).await.unwrap();
    assert!(!repeat);
    assert_eq!(status(core, ids[1]).await, STOPPED);

    assert!(core.resume_account(WORKSPACE, account.id).await.unwrap());
    assert!(!core.resume_account(WORKSPACE, account.id).await.unwrap());
    assert_eq!(core.campaign_follows(WORKSPACE, ids[0], NOW).await.unwrap(), Some(Status::Running));
    let rest = core.campaigns_follow(WORKSPACE, account.id, NOW).await.unwrap();
    assert_eq!(rest, [(ids[1], Status::Running)]);
}

#[tokio::test]
async fn a_pause_ends_by_itself_at_its_time_for_whoever_looks_first() {
    let tables = Tables::new().await;
    let core = &tables.core;
    let (account, ids) = sending(core, 1).await;
    core.halt_account(WORKSPACE, account.id, "rest", Some(LATER), AccountPausedBy::Errors, NOW).await.unwrap();
    let early = UnixMillis(LATER.0 - 1);
    assert!(!core.resume_if_due(WORKSPACE, account.id, early).await.unwrap());
    assert_eq!(core.campaign_follows(WORKSPACE, ids[0], early).await.unwrap(), None);
    let resumed = at_once(5, |_| {
        let core = tables.another_core();
        let id = ids[0];
        async move { core.campaign_follows(WORKSPACE, id, LATER).await.unwrap() }
    });
    let won = resumed.await.into_iter().flatten().collect::<Vec<_>>();
    assert_eq!(won, [Status::Running]);
    assert_eq!(core.account(WORKSPACE, account.id).await.unwrap().unwrap().status, AccountStatus::Active);
}

#[tokio::test]
async fn pauses_and_resumes_at_once_leave_campaigns_in_step() {
    let tables = Tables::new().await;
    let (account, ids) = sending(&tables.core, 2).await;
    for _ in 0..5 {
        at_once(8, |i| {
            let (core, id) = (tables.another_core(), account.id);
            async move {
                if i % 2 == 0 {
                    core.halt_account(WORKSPACE, id, "stop", None, AccountPausedBy::Errors, NOW).await.unwrap();
                } else {
                    core.release_account(WORKSPACE, id, NOW).await.unwrap();
                }
            }
        })
        .await;
        let account = tables.core.account(WORKSPACE, account.id).await.unwrap().unwrap();
        let expected = match account.status {
            AccountStatus::Active => (Status::Running, None),
            AccountStatus::Paused => STOPPED,
        };
        for id in &ids {
            assert_eq!(status(&tables.core, *id).await, expected);
        }
    }
}

#[tokio::test]
async fn changes_of_an_account_at_once_do_not_undo_each_other() {
    let tables = Tables::new().await;
    let (account, _) = sending(&tables.core, 0).await;
    at_once(8, |i| {
        let (core, id) = (tables.another_core(), account.id);
        let limit = u32::try_from(i).unwrap() + 1;
        async move {
            core.change_account(WORKSPACE, id, |account| match i % 4 {
                0 => account.name = "New".to_owned(),
                1 => account.limits.per_day = Some(limit),
                2 => account.timezone = "Asia/Tokyo".to_owned(),
                _ => account.messages_per_second += 1,
            })
            .await
            .unwrap()
            .unwrap()
        }
    })
    .await;
    let now = tables.core.account(WORKSPACE, account.id).await.unwrap().unwrap();
    assert_eq!((now.name.as_str(), now.timezone.as_str()), ("New", "Asia/Tokyo"));
    assert!(matches!(now.limits.per_day, Some(2 | 6)));
    assert_eq!(now.messages_per_second, account.messages_per_second + 2, "an addition was made twice, and not lost");
    assert!(tables.core.accounts(WORKSPACE, None, 9).await.unwrap().rows.contains(&now), "it is still listed");
    let nobody = tables.core.change_account(WORKSPACE, crate::account_id(), |account| account.resume()).await;
    assert_eq!(nobody.unwrap(), None);
}

#[tokio::test]
async fn what_meta_tells_is_taken_once_and_a_restriction_stops_the_campaigns() {
    let tables = Tables::new().await;
    let core = &tables.core;
    let (account, ids) = sending(core, 1).await;
    let restricted = Told::Restricted { reason: "restricted".to_owned(), until: Some(LATER) };
    let news = [News { at: NOW, told: Told::Quality(Quality::Red) }, News { at: NOW, told: restricted }];
    core.tell_account(WORKSPACE, account.id, &news, NOW).await.unwrap();
    assert_eq!(status(core, ids[0]).await, STOPPED);
    core.release_account(WORKSPACE, account.id, NOW).await.unwrap();
    let before = core.account(WORKSPACE, account.id).await.unwrap();
    core.tell_account(WORKSPACE, account.id, &news, NOW).await.unwrap();
    assert_eq!(core.account(WORKSPACE, account.id).await.unwrap(), before, "a repeat");
    assert_eq!(status(core, ids[0]).await, (Status::Running, None));
    assert_eq!(before.unwrap().quality, Quality::Red);
}
