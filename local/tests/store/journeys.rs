//! What is read for journeys and figures: a contact's events, an account's notices, days and conversations.

use shared::activity::{Content, Event, Kept, id_of};
use shared::attempt::Shard;
use shared::conversation::Happened;
use shared::id::ContactId;
use shared::rollup::account_day::{Days, account_pk, sort_keys};
use shared::rollup::{Contribution, CounterKey, Counts, SequenceNumber, updates};
use shared::time::UnixMillis;

use crate::{NOW, Tables, WORKSPACE, account_id};

const DAY_MS: i64 = 86_400_000;

/// Meta's report of this field, on a day.
fn reported(day: i64, field: &str, contact: Option<ContactId>) -> Event {
    let at = UnixMillis(NOW.0 + day * DAY_MS);
    let raw = Kept::Inline("{}".to_owned());
    let content = Content::MetaReported { field: field.to_owned(), kind: "x".to_owned(), raw };
    let id = id_of(at, &[field, &day.to_string()]);
    Event { v: 1, id, at, seen: at, contact, variant: None, content }
}

#[tokio::test]
async fn notices_are_the_newest_of_what_concerns_the_account_and_no_person() {
    let tables = Tables::new().await;
    let contact = ContactId::new(NOW);
    for day in 0..30 {
        for event in [
            reported(day, "account_update", None),
            reported(day, "history", None),
            reported(day, "account_settings_update", Some(contact)),
        ] {
            tables.core.record_event(Some((WORKSPACE, account_id())), &event).await.unwrap();
            tables.core.record_event(Some((WORKSPACE, account_id())), &event).await.unwrap();
        }
    }
    let notices = tables.core.notices(WORKSPACE, account_id(), 20).await.unwrap();
    let days: Vec<i64> = notices.iter().map(|event| (event.at.0 - NOW.0) / DAY_MS).collect();
    assert_eq!(days, (10..30).rev().collect::<Vec<_>>());
    assert!(notices.iter().all(|event| event.contact.is_none()));
    let places = tables.core.events_of_contact(WORKSPACE, contact, 100).await.unwrap();
    assert_eq!(places.len(), 30);
}

#[tokio::test]
async fn a_day_of_an_account_is_read_whole() {
    let tables = Tables::new().await;
    let mut written: Vec<_> = (0..200).map(|n| reported(0, &format!("history_{n}"), None)).collect();
    written.push(reported(1, "history", None));
    for event in &written {
        tables.core.record_event(Some((WORKSPACE, account_id())), event).await.unwrap();
    }
    let mut read = Vec::new();
    for shard in (0..shared::activity::SHARDS).map(Shard) {
        let (events, next) =
            tables.core.events_of_day(WORKSPACE, account_id(), &NOW.date(), shard, None).await.unwrap();
        assert_eq!(next, None);
        read.extend(events.into_iter().map(|event| event.id));
    }
    let mut expected: Vec<_> = written[..200].iter().map(|event| event.id).collect();
    read.sort();
    expected.sort();
    assert_eq!(read, expected);
}

#[tokio::test]
async fn a_conversation_is_in_the_list_of_the_day_on_which_the_person_last_wrote() {
    let tables = Tables::new().await;
    let contacts: Vec<ContactId> = (0..3).map(|n| ContactId::new(UnixMillis(NOW.0 + n))).collect();
    let wrote = |hour: i64| Happened { inbound_at: Some(UnixMillis(NOW.0 + hour * 3_600_000)), ..Happened::default() };
    let answered = Happened { outbound_at: Some(UnixMillis(NOW.0 + 3 * DAY_MS)), ..Happened::default() };
    // Late news of an earlier word does not bring a conversation back to its day.
    for (contact, happened) in [
        (0, wrote(1)),
        (0, wrote(26)),
        (0, wrote(2)),
        (1, wrote(3)),
        (1, answered.clone()),
        (2, answered.clone()),
        (2, wrote(4)),
    ] {
        tables.core.note_conversation(WORKSPACE, contacts[contact], account_id(), happened).await.unwrap();
    }
    let of_day = async |day: i64| {
        let date = UnixMillis(NOW.0 + day * DAY_MS).date();
        let rows = tables.core.conversations_of_day(WORKSPACE, account_id(), &date).await.unwrap();
        rows.into_iter().map(|(contact, _)| contact).collect::<Vec<_>>()
    };
    assert_eq!(of_day(0).await, [contacts[2], contacts[1]]);
    assert_eq!(of_day(1).await, [contacts[0]]);
    assert_eq!(of_day(3).await, [] as [ContactId; 0], "what the business writes moves nothing");
}

#[tokio::test]
async fn the_days_of_an_account_are_read_from_the_first_to_the_last() {
    let tables = Tables::new().await;
    let pk = account_pk(WORKSPACE, account_id());
    let items = (0..10).map(|day| {
        let date = UnixMillis(NOW.0 + day * DAY_MS).date();
        let key = CounterKey { pk: pk.clone(), sk: format!("DAY#{date}#cmp_01J00000000000000000000000#00") };
        (key, Counts::from([("sent".to_owned(), 1 << day)]))
    });
    let contribution: Contribution = items.collect();
    for update in updates([(SequenceNumber::new("1"), contribution)]) {
        tables.rollups.apply(update).await.unwrap();
    }
    let (first, last) = sort_keys(UnixMillis(NOW.0 + 2 * DAY_MS), UnixMillis(NOW.0 + 4 * DAY_MS));
    let items = tables.rollups.items_between(&pk, &first, &last).await.unwrap();
    let days = Days::of(items.iter().map(|item| (item.sk.as_str(), &item.counts)));
    assert_eq!(days.count("sent"), 0b11100);
}
