//! A campaign's state and the watchdog's list change together, its cursors only forward, and the list of campaigns pages
//! through every one of them once.

use shared::campaign::{Campaign, Category, Message, OnUnknown, PageNumber, PausedBy, Schedule, Status, Variant};
use shared::id::{CampaignId, WorkspaceId};
use shared::link::utm::Utm;
use shared::store::Transition;
use shared::time::UnixMillis;

use crate::{NOW, Tables, WORKSPACE, account_id, at_once};

const FAR: UnixMillis = UnixMillis(i64::MAX);

pub(crate) fn campaign(id: CampaignId, workspace: WorkspaceId) -> Campaign {
    Campaign {
        v: 1,
        id,
        workspace,
        account: account_id(),
        name: "Launch".to_owned(),
        tag: None,
        category: Category::Marketing,
        variants: vec![Variant { name: "A".to_owned(), weight: 1, message: Message::text("hi") }],
        schedule: Schedule::default(),
        messages_per_second: None,
        on_unknown: OnUnknown::Leave,
        holdout_percent: 0,
        error_threshold: None,
        forgiven: 0,
        budget: None,
        budget_renewals: 0,
        regions: std::collections::BTreeMap::new(),
        holdout: 0,
        planning: None,
        test_of: None,
        links: Vec::new(),
        append_click_id: false,
        utm: Utm::default(),
        recipients: 10,
        skipped: 0,
        pages: 1,
        shards: 1,
        status: Status::Draft,
        status_reason: None,
        paused_by: None,
        round: 0,
        retry_before: None,
        next_page: 0,
        done_before: 0,
        created_at: NOW,
        started_at: None,
        finished_at: None,
    }
}

/// A campaign made in this second.
pub(crate) fn id_at(second: i64) -> CampaignId {
    CampaignId::new(UnixMillis(NOW.0 + second * 1_000))
}

pub(crate) fn transition(from: Status, to: Status, at: UnixMillis) -> Transition {
    let due = (to == Status::Running).then_some(at);
    let paused = to == Status::Paused;
    let reason = paused.then(|| "by hand".to_owned());
    Transition { from, to, reason, paused_by: paused.then_some(PausedBy::Operator), at, due }
}

#[tokio::test]
async fn of_two_starts_at_once_one_wins() {
    let tables = Tables::new().await;
    for second in 0..10 {
        let id = id_at(second);
        tables.core.create_campaign(&campaign(id, WORKSPACE)).await.unwrap();
        let started = at_once(2, |i| {
            let core = tables.another_core();
            let at = UnixMillis(NOW.0 + i64::try_from(i).unwrap());
            async move {
                core.transition(WORKSPACE, id, &transition(Status::Draft, Status::Running, at)).await.unwrap()
            }
        })
        .await;
        assert_eq!(started.iter().filter(|won| **won).count(), 1);
        let winner = i64::try_from(started.iter().position(|won| *won).unwrap()).unwrap();
        let row = tables.core.campaign(WORKSPACE, id).await.unwrap().unwrap();
        assert_eq!((row.status, row.started_at), (Status::Running, Some(UnixMillis(NOW.0 + winner))));
    }
}

#[tokio::test]
async fn the_watchdog_knows_a_campaign_exactly_while_it_runs() {
    let tables = Tables::new().await;
    let id = id_at(0);
    tables.core.create_campaign(&campaign(id, WORKSPACE)).await.unwrap();
    let way = [
        (Status::Draft, Status::Running),
        (Status::Running, Status::Paused),
        (Status::Paused, Status::Running),
        (Status::Running, Status::Completed),
    ];
    assert_eq!(tables.core.due_campaigns(FAR).await.unwrap(), []);
    for (minute, (from, to)) in (0..).zip(way) {
        let at = UnixMillis(NOW.0 + minute * 60_000);
        assert!(tables.core.transition(WORKSPACE, id, &transition(from, to, at)).await.unwrap());
        assert!(!tables.core.transition(WORKSPACE, id, &transition(from, to, at)).await.unwrap(), "a repeat");
        let due = tables.core.due_campaigns(FAR).await.unwrap();
        assert_eq!(due, if to == Status::Running { vec![(WORKSPACE, id)] } else { vec![] }, "{to:?}");
        assert_eq!(tables.core.due_campaigns(UnixMillis(at.0 - 1)).await.unwrap(), [], "not before its time");
        let row = tables.core.campaign(WORKSPACE, id).await.unwrap().unwrap();
        assert_eq!(row.status_reason.is_some(), to == Status::Paused);
        assert_eq!((row.started_at, row.finished_at.is_some()), (Some(NOW), to == Status::Completed));
    }
}

#[tokio::test]
async fn a_refused_change_leaves_the_watchdogs_list_alone() {
    let tables = Tables::new().await;
    let id = id_at(0);
    tables.core.create_campaign(&campaign(id, WORKSPACE)).await.unwrap();
    let wrong = transition(Status::Paused, Status::Running, NOW);
    assert!(!tables.core.transition(WORKSPACE, id, &wrong).await.unwrap());
    let unknown = transition(Status::Draft, Status::Running, NOW);
    assert!(!tables.core.transition(WORKSPACE, id_at(1), &unknown).await.unwrap(), "a campaign that is not there");
    assert_eq!(tables.core.due_campaigns(FAR).await.unwrap(), []);
}

#[tokio::test]
async fn campaigns_are_listed_newest_first_page_by_page_each_once() {
    let tables = Tables::new().await;
    let other = WorkspaceId::new(NOW);
    let mut ids: Vec<CampaignId> = (0..23).map(id_at).collect();
    for n in 0..ids.len() {
        // Made in an order that is not theirs.
        let id = ids[n * 7 % ids.len()];
        assert!(tables.core.create_campaign(&campaign(id, WORKSPACE)).await.unwrap());
        assert!(!tables.core.create_campaign(&campaign(id, WORKSPACE)).await.unwrap(), "the same id again");
        tables.core.create_campaign(&campaign(CampaignId::new(NOW), other)).await.unwrap();
    }
    ids.reverse();
    for size in [1, 5, 23, 50] {
        let (mut listed, mut before) = (Vec::new(), None);
        loop {
            let page = tables.core.campaigns(WORKSPACE, before, size).await.unwrap();
            assert!(page.rows.len() <= size);
            listed.extend(page.rows.iter().map(|campaign| campaign.id));
            before = listed.last().copied();
            if !page.more {
                break;
            }
        }
        assert_eq!(listed, ids, "in pages of {size}");
    }
    let between = tables.core.campaigns(WORKSPACE, Some(id_at(5)), 2).await.unwrap().rows;
    assert!(between[0].id <= ids[ids.len() - 6], "a cursor need not be the id of a campaign");
}

#[tokio::test]
async fn cursors_never_move_back() {
    let tables = Tables::new().await;
    let id = id_at(0);
    tables.core.create_campaign(&campaign(id, WORKSPACE)).await.unwrap();
    let steps = [(3, 1), (9, 2), (5, 7), (2, 2), (8, 4)];
    at_once(steps.len(), |i| {
        let (core, (next_page, done_before)) = (tables.another_core(), steps[i]);
        async move { core.advance_cursors(WORKSPACE, id, 0, next_page, done_before).await.unwrap() }
    })
    .await;
    let row = tables.core.campaign(WORKSPACE, id).await.unwrap().unwrap();
    assert_eq!((row.next_page, row.done_before), (9, 7));
}

#[tokio::test]
async fn a_page_is_given_out_once_and_again_by_one_only() {
    let tables = Tables::new().await;
    let (id, page) = (id_at(0), PageNumber(0));
    let later = UnixMillis(NOW.0 + 60_000);
    let first = at_once(10, |_| {
        let core = tables.another_core();
        async move { core.enqueue_page(WORKSPACE, id, page, 0, NOW).await.unwrap() }
    });
    assert_eq!(first.await.into_iter().filter(|won| *won).count(), 1);
    let again = at_once(10, |_| {
        let core = tables.another_core();
        async move { core.enqueue_page_again(WORKSPACE, id, page, NOW, later).await.unwrap() }
    });
    assert_eq!(again.await.into_iter().filter(|won| *won).count(), 1);

    tables.core.finish_page(WORKSPACE, id, page, 0, later).await.unwrap();
    tables.core.defer_page(WORKSPACE, id, page, FAR, "late", false).await.unwrap();
    assert!(!tables.core.enqueue_page_again(WORKSPACE, id, page, later, FAR).await.unwrap(), "it is done");
    let pages = tables.core.pages_from(WORKSPACE, id, PageNumber(0)).await.unwrap();
    assert_eq!(pages.len(), 1);
    assert_eq!((pages[0].1.done_at, pages[0].1.deferred_until), (Some(later), None));
}

#[tokio::test]
async fn pages_come_in_order_from_the_one_that_is_asked_for() {
    let tables = Tables::new().await;
    let id = id_at(0);
    tables.core.create_campaign(&campaign(id, WORKSPACE)).await.unwrap();
    for n in [4, 0, 12, 2, 1, 3] {
        tables.core.enqueue_page(WORKSPACE, id, PageNumber(n), 0, NOW).await.unwrap();
    }
    for (from, expected) in [(0, vec![0, 1, 2, 3, 4, 12]), (2, vec![2, 3, 4, 12]), (5, vec![12]), (13, vec![])] {
        let pages = tables.core.pages_from(WORKSPACE, id, PageNumber(from)).await.unwrap();
        assert_eq!(pages.iter().map(|(page, _)| page.0).collect::<Vec<_>>(), expected, "from {from}");
    }
}

#[tokio::test]
async fn a_round_of_retries_begins_once_and_gives_every_page_out_again() {
    let tables = Tables::new().await;
    let (id, page) = (id_at(0), PageNumber(0));
    let done = Campaign { status: Status::Completed, next_page: 1, done_before: 1, ..campaign(id, WORKSPACE) };
    tables.core.create_campaign(&done).await.unwrap();
    assert!(tables.core.enqueue_page(WORKSPACE, id, page, 0, NOW).await.unwrap());
    tables.core.finish_page(WORKSPACE, id, page, 0, NOW).await.unwrap();

    let begun = at_once(4, |_| {
        let core = tables.another_core();
        async move { core.begin_round(WORKSPACE, id, Status::Completed, 1, NOW).await.unwrap() }
    })
    .await;
    assert_eq!(begun.into_iter().filter(|begun| *begun).count(), 1);
    let row = tables.core.campaign(WORKSPACE, id).await.unwrap().unwrap();
    assert_eq!((row.status, row.round, row.retry_before), (Status::Running, 1, Some(NOW)));
    assert_eq!((row.next_page, row.done_before, row.finished_at), (0, 0, None));

    tables.core.advance_cursors(WORKSPACE, id, 0, 1, 1).await.unwrap();
    let row = tables.core.campaign(WORKSPACE, id).await.unwrap().unwrap();
    assert_eq!(row.done_before, 0, "a look of the round before comes too late");
    assert!(!tables.core.enqueue_page(WORKSPACE, id, page, 0, NOW).await.unwrap());
    assert!(tables.core.enqueue_page(WORKSPACE, id, page, 1, NOW).await.unwrap());
    tables.core.finish_page(WORKSPACE, id, page, 0, NOW).await.unwrap();
    let pages = tables.core.pages_from(WORKSPACE, id, page).await.unwrap();
    assert_eq!((pages[0].1.round, pages[0].1.done_at), (1, None), "a sender of the round before comes too late");
}
