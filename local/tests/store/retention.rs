//! A row gets the end that its kind's rule says when it is written, and keeps it through every change.

use shared::activity::{Content, Event, Kept, id_of};
use shared::attempt::claim::{After, CALL_TIMEOUT, Claim, Try};
use shared::attempt::{Evidence, Flag, Skip};
use shared::id::CampaignId;
use shared::store::{Touch, keys};

use crate::{NOW, Tables, WORKSPACE, account_id, attempt, attempt_key, campaign_id, moment};

const DAY: i64 = 86_400;

/// The end of the row at this key, in days from [`NOW`].
async fn ends_after(tables: &Tables, key: keys::Key) -> Option<i64> {
    let found = tables.engines.dynamodb().get_item().table_name("core").set_key(Some(key.item())).send().await.unwrap();
    let end = found.item.unwrap().get("expires_at")?.as_n().unwrap().parse::<i64>().unwrap();
    assert_eq!((end - NOW.seconds()) % DAY, 0);
    Some((end - NOW.seconds()) / DAY)
}

fn received() -> Event {
    let content = Content::MetaReported { field: "x".into(), kind: "x".into(), raw: Kept::Inline("{}".into()) };
    Event { v: 1, id: id_of(NOW, &["x"]), at: NOW, seen: NOW, contact: None, variant: None, content }
}

#[tokio::test]
async fn rows_end_when_their_kinds_rule_says_and_without_a_rule_never() {
    let tables = Tables::new().await;
    let core = tables.another_core().keeping("attempts=100,messages=30".parse().unwrap());
    let (first, second) = (attempt_key(1), attempt_key(2));
    let tried = Try { number: 1, after: After::Nothing };
    core.claim(&first, &attempt(1), tried, &Claim::for_slot(NOW, CALL_TIMEOUT)).await.unwrap();
    core.learn(&first, &[Evidence::Flag(Flag::Read, moment(5))], None).await.unwrap();
    let skip = Skip { at: NOW, code: "opted_out".into(), reason: "x".into() };
    core.skip(&second, &attempt(1), tried, &skip).await.unwrap();
    for key in [&first, &second] {
        assert_eq!(ends_after(&tables, keys::attempt(key)).await, Some(100));
    }

    let campaign: CampaignId = campaign_id();
    let touch =
        Touch { v: 1, campaign, account: account_id(), shard: first.shard, seq: first.seq, at: NOW, content: None };
    core.touch(WORKSPACE, "60123456789", &touch).await.unwrap();
    assert_eq!(ends_after(&tables, keys::touch(WORKSPACE, "60123456789", campaign)).await, Some(100));

    let route = Some((WORKSPACE, account_id()));
    let event = received();
    core.record_event(route, &event).await.unwrap();
    let key = keys::event(Some(WORKSPACE), Some(account_id()), event.id, event.at);
    assert_eq!(ends_after(&tables, key).await, Some(30));

    let third = attempt_key(3);
    tables.core.claim(&third, &attempt(1), tried, &Claim::for_slot(NOW, CALL_TIMEOUT)).await.unwrap();
    assert_eq!(ends_after(&tables, keys::attempt(&third)).await, None, "kept for good");
}
