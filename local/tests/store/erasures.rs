//! An erasure that was asked for is found until it is complete, however many others there are.

use shared::erasure::{Erasure, Person, Status};
use shared::id::{ErasureId, ulid_at};
use shared::time::UnixMillis;

use crate::{NOW, Tables, WORKSPACE};

fn erasure(number: i64, status: Status) -> Erasure {
    let asked_at = UnixMillis(NOW.0 + number);
    Erasure {
        v: 1,
        id: ErasureId::from_ulid(ulid_at(asked_at)),
        workspace: WORKSPACE,
        contacts: [].into(),
        person: (status != Status::Complete).then(Person::default),
        status,
        asked_at,
        completed_at: None,
        passes: Vec::new(),
        between: None,
    }
}

#[tokio::test]
async fn the_oldest_that_wait_come_first_whatever_is_complete() {
    let tables = Tables::new().await;
    let oldest = erasure(0, Status::Running);
    tables.core.ask_erasure(&oldest).await.unwrap();
    for number in 1..=1_100 {
        tables.core.ask_erasure(&erasure(number, Status::Complete)).await.unwrap();
    }
    let newest = erasure(1_101, Status::Pending);
    tables.core.ask_erasure(&newest).await.unwrap();
    let ids = |found: Vec<Erasure>| found.into_iter().map(|one| one.id).collect::<Vec<_>>();
    assert_eq!(ids(tables.core.erasures_under_way(WORKSPACE, 1_000).await.unwrap()), [oldest.id, newest.id]);
    assert_eq!(ids(tables.core.erasures_under_way(WORKSPACE, 1).await.unwrap()), [oldest.id]);
}

#[tokio::test]
async fn what_is_complete_stays_so_whatever_a_late_runner_writes() {
    let tables = Tables::new().await;
    let running = erasure(0, Status::Running);
    tables.core.ask_erasure(&running).await.unwrap();
    assert!(tables.core.put_erasure(&running).await.unwrap());
    let complete = Erasure { status: Status::Complete, person: None, ..running.clone() };
    assert!(tables.core.put_erasure(&complete).await.unwrap());
    assert!(!tables.core.put_erasure(&running).await.unwrap());
    let stored = tables.core.erasure(WORKSPACE, running.id).await.unwrap().unwrap();
    assert!(stored.status == Status::Complete && stored.person.is_none());
}
