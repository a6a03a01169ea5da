//! Keys of web pages, ids that senders give their events, what conversions leave on an attempt, and the feed.

use shared::activity::custom::Source;
use shared::activity::feed::{Position, merge};
use shared::activity::{Content, Event, Kept, id_of};
use shared::attempt::claim::{After, CALL_TIMEOUT, Claim, Try};
use shared::attempt::{AttemptKey, Conversion, Money};
use shared::collected::WriteKey;
use shared::id::{EventId, WorkspaceId, WriteKeyId};
use shared::store::{Core, FeedDay};
use shared::time::UnixMillis;

use crate::{NOW, Tables, WORKSPACE, account_id, at_once, attempt, attempt_key};

fn later(ms: i64) -> UnixMillis {
    UnixMillis(NOW.0 + ms)
}

fn key(ms: i64) -> WriteKey {
    WriteKey {
        v: 1,
        id: WriteKeyId::new(later(ms)),
        workspace: WORKSPACE,
        name: "Shop".to_owned(),
        account: Some(account_id()),
        allowed_origins: vec!["https://shop.example".to_owned().try_into().unwrap()],
        created_at: later(ms),
        revoked_at: None,
    }
}

#[tokio::test]
async fn a_write_key_is_made_once_listed_and_revoked_by_its_workspace_alone() {
    let tables = Tables::new().await;
    let core = &tables.core;
    let (old, new) = (key(0), key(1));
    assert!(core.create_write_key(&old).await.unwrap());
    assert!(!core.create_write_key(&old).await.unwrap(), "the same request again");
    assert!(core.create_write_key(&new).await.unwrap());
    assert_eq!(core.write_key(old.id).await.unwrap(), Some(old.clone()));
    let listed = core.write_keys(WORKSPACE, None, 10).await.unwrap();
    assert_eq!(listed.rows.iter().map(|key| key.id).collect::<Vec<_>>(), [new.id, old.id]);

    let other = WorkspaceId::from_ulid(shared::id::ulid_at(NOW));
    assert_eq!(core.revoke_write_key(other, old.id, later(5)).await.unwrap(), None);
    assert_eq!(core.revoke_write_key(WORKSPACE, WriteKeyId::new(NOW), later(5)).await.unwrap(), None);
    for at in [5, 9] {
        let revoked = core.revoke_write_key(WORKSPACE, old.id, later(at)).await.unwrap().unwrap();
        assert_eq!(revoked.revoked_at, Some(later(5)), "the first revocation stays");
    }
}

#[tokio::test]
async fn the_first_time_told_with_an_id_is_the_events_whoever_tells_it_again() {
    let tables = Tables::new().await;
    let cores: Vec<Core> = (0..8).map(|_| tables.another_core()).collect();
    let told = at_once(8, |n| {
        let core = cores[n].clone();
        async move {
            let at = later(i64::try_from(n).unwrap());
            core.time_of_own_id(WORKSPACE, Source::Web, "order-1", at, NOW).await.unwrap()
        }
    })
    .await;
    assert!(told.iter().all(|at| *at == told[0]), "{told:?}");
    let again = tables.core.time_of_own_id(WORKSPACE, Source::Web, "order-1", later(99), NOW).await.unwrap();
    assert_eq!(again, told[0]);
    let of_server = tables.core.time_of_own_id(WORKSPACE, Source::Server, "order-1", later(99), NOW).await.unwrap();
    assert_eq!(of_server, later(99), "a page cannot use up a server's ids");
}

async fn born(core: &Core, key: &AttemptKey) {
    let claim = Claim::for_slot(NOW, CALL_TIMEOUT);
    core.claim(key, &attempt(1), Try { number: 1, after: After::Nothing }, &claim).await.unwrap();
}

fn worth(amount: u32) -> Money {
    Money { amount: amount.into(), currency: "MYR".to_owned() }
}

fn event(ms: i64, n: &str) -> EventId {
    id_of(later(ms), &[n])
}

#[tokio::test]
async fn an_attempt_keeps_the_earliest_conversion_in_any_order_and_the_operators_word_before_it() {
    let tables = Tables::new().await;
    let core = &tables.core;
    let conversions = [(5, 1, event(5, "a")), (3, 2, event(3, "b")), (9, 3, event(9, "c")), (3, 4, event(3, "d"))];
    let first = conversions.iter().map(|(at, amount, event)| (*at, *event, *amount)).min().unwrap();
    for (seq, order) in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2], [2, 0, 3, 1]].into_iter().enumerate() {
        let key = attempt_key(u32::try_from(seq).unwrap());
        born(core, &key).await;
        for index in order.into_iter().chain(order) {
            let (at, amount, event) = &conversions[index];
            core.record_conversion(&key, later(*at), *event, &worth(*amount)).await.unwrap();
        }
        let row = core.attempt(&key).await.unwrap().unwrap();
        assert_eq!(row.closed_value, Some(worth(first.2)));
        assert_eq!(row.closed_by, Some(Conversion { at: later(first.0), event: first.1 }));

        core.record_value(&key, &worth(70)).await.unwrap();
        core.record_value(&key, &worth(80)).await.unwrap();
        core.record_conversion(&key, later(1), event(1, "e"), &worth(9)).await.unwrap();
        let row = core.attempt(&key).await.unwrap().unwrap();
        assert_eq!((row.closed_value, row.closed_by), (Some(worth(70)), None));
    }
    let nobody = attempt_key(99);
    core.record_conversion(&nobody, NOW, event(0, "x"), &worth(1)).await.unwrap();
    assert!(core.attempt(&nobody).await.unwrap().is_none(), "no row is made of a conversion");
}

#[tokio::test]
async fn a_day_of_the_feed_is_read_from_all_its_partitions_between_two_places() {
    let tables = Tables::new().await;
    let core = &tables.core;
    let mut all = Vec::new();
    for n in 0..60 {
        let at = later(n / 3);
        let id = id_of(at, &[&n.to_string()]);
        let raw = Kept::Inline("{}".to_owned());
        let content = Content::MetaReported { field: "test".to_owned(), kind: "test".to_owned(), raw };
        let event = Event { v: 1, id, at, seen: at, contact: None, variant: None, content };
        core.record_event(Some((WORKSPACE, account_id())), &event).await.unwrap();
        all.push(Position::of(at, id));
    }
    all.sort();
    let day = FeedDay { workspace: WORKSPACE, account: Some(account_id()), date: NOW.date() };
    let from = Position::below(later(2));
    let mut before = Position::below(later(18));
    let expected: Vec<Position> = all.into_iter().rev().filter(|place| *place >= from && *place < before).collect();
    let mut read = Vec::new();
    loop {
        let mut parts = Vec::new();
        for shard in FeedDay::shards() {
            parts.push(core.events_of_partition(&day, shard, &from, &before, 2).await.unwrap());
        }
        let (items, end) = merge(parts);
        read.extend(items.into_iter().map(|(place, event)| {
            assert_eq!(place, Position::of(event.at, event.id));
            place
        }));
        match end {
            Some(end) => before = end,
            None => break,
        }
    }
    assert_eq!(read, expected);
}
