//! Conversions are read where they lie: all of a span and nothing else, in parts that follow each other.

use serde_json::json;
use shared::activity::feed::Position;
use shared::activity::{Content, Event, id_of, shard_of};
use shared::attempt::claim::{After, CALL_TIMEOUT, Claim, Try};
use shared::attempt::{Evidence, Flag, Seq, Shard};
use shared::store::FeedDay;
use shared::time::UnixMillis;

use crate::{NOW, Tables, WORKSPACE, attempt, attempt_key, campaign_id, moment};

/// What a page told at so many seconds from now; as large as an event may be, so that a part holds few.
fn told(second: i64, conversion: bool) -> Event {
    let at = UnixMillis(NOW.0 + second * 1_000);
    let properties = json!({"text": "x".repeat(30_000)}).to_string();
    let content = json!({"type": "custom", "name": "purchase", "source": "web", "conversion": conversion, "properties": properties});
    let content: Content = serde_json::from_value(content).unwrap();
    Event { v: 1, id: id_of(at, &["e", &second.to_string()]), at, seen: at, contact: None, variant: None, content }
}

#[tokio::test]
async fn the_conversions_of_a_span_are_read_in_parts_without_what_is_none() {
    let tables = Tables::new().await;
    let events: Vec<Event> = (0..600).map(|second| told(second, second % 3 != 0)).collect();
    for event in &events {
        tables.core.record_workspace_event(WORKSPACE, event).await.unwrap();
    }
    let (from, until) = (UnixMillis(NOW.0 + 100_000), UnixMillis(NOW.0 + 500_000));
    let day = FeedDay { workspace: WORKSPACE, account: None, date: NOW.date() };
    let mut parts = 0;
    for shard in FeedDay::shards() {
        let (mut after, before) = (Position::below(from), Position::below(until));
        let mut read = Vec::new();
        loop {
            let part = tables.core.conversions_of_partition(&day, shard, &after, &before).await.unwrap();
            read.extend(part.rows.into_iter().map(|event| event.at));
            parts += 1;
            let Some(up_to) = part.up_to else { break };
            assert!(up_to > after, "each part goes on");
            after = up_to;
        }
        let expected = events
            .iter()
            .enumerate()
            .filter(|(second, event)| (100..500).contains(second) && second % 3 != 0 && shard_of(event.id) == shard);
        assert_eq!(read, expected.map(|(_, event)| event.at).collect::<Vec<_>>());
    }
    assert!(parts > usize::from(shared::activity::SHARDS), "a partition had more than one part");
}

#[tokio::test]
async fn of_a_shard_those_attempts_are_read_that_were_closed_in_the_span() {
    let tables = Tables::new().await;
    for seq in 0..20 {
        let (key, claim) = (attempt_key(seq), Claim::for_slot(NOW, CALL_TIMEOUT));
        tables.core.claim(&key, &attempt(1), Try { number: 1, after: After::Nothing }, &claim).await.unwrap();
        let flag = if seq % 2 == 0 { Flag::Closed } else { Flag::Replied };
        tables.core.learn(&key, &[Evidence::Flag(flag, moment(i64::from(seq)))], None).await.unwrap();
    }
    let span = moment(4).at..moment(10).at;
    let read = tables.core.closed_attempts(WORKSPACE, campaign_id(), Shard(0), &span, None).await.unwrap();
    let closed: Vec<_> = read.rows.iter().map(|(key, attempt)| (key.seq, attempt.closed.unwrap().at)).collect();
    assert_eq!(closed, [4, 6, 8].map(|seq| (Seq(seq), moment(i64::from(seq)).at)));
    assert_eq!(read.up_to, None);
    let behind = tables.core.closed_attempts(WORKSPACE, campaign_id(), Shard(0), &span, Some(Seq(4))).await.unwrap();
    assert_eq!(behind.rows.iter().map(|(key, _)| key.seq).collect::<Vec<_>>(), [Seq(6), Seq(8)]);
}
