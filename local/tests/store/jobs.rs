//! A job has one runner at a time, and is never forgotten while it is not done.

use shared::id::ulid_at;
use shared::queue::DispatchCommand;
use shared::store::Taken;
use shared::time::UnixMillis;

use crate::{NOW, Tables, WORKSPACE, at_once, campaign_id};

fn job() -> DispatchCommand {
    DispatchCommand::Plan { workspace: WORKSPACE, campaign: campaign_id() }
}

fn after(seconds: i64) -> UnixMillis {
    UnixMillis(NOW.0 + seconds * 1_000)
}

#[tokio::test]
async fn of_many_runners_one_has_the_job_until_it_is_dead() {
    let tables = Tables::new().await;
    tables.core.open_job(&job(), NOW).await.unwrap();
    let taken = at_once(8, |_| {
        let core = tables.another_core();
        async move { core.take_job(&job(), ulid_at(NOW), NOW).await.unwrap() }
    })
    .await;
    assert_eq!(taken.iter().filter(|taken| matches!(taken, Taken::Ours { runs: 1 })).count(), 1);
    assert_eq!(taken.iter().filter(|taken| **taken == Taken::Busy).count(), 7);

    let second = ulid_at(after(1));
    assert_eq!(tables.core.take_job(&job(), second, after(29)).await.unwrap(), Taken::Busy);
    assert_eq!(tables.core.take_job(&job(), second, after(31)).await.unwrap(), Taken::Ours { runs: 2 });
    assert!(tables.core.beat_job(&job(), second, after(60)).await.unwrap());
    let third = ulid_at(after(2));
    assert_eq!(tables.core.take_job(&job(), third, after(80)).await.unwrap(), Taken::Busy, "it gave a sign of life");
    assert!(!tables.core.beat_job(&job(), third, after(80)).await.unwrap());

    tables.core.leave_job(&job(), third).await.unwrap();
    assert_eq!(tables.core.take_job(&job(), third, after(80)).await.unwrap(), Taken::Busy, "it was not the third's");
    tables.core.leave_job(&job(), second).await.unwrap();
    assert_eq!(tables.core.take_job(&job(), third, after(80)).await.unwrap(), Taken::Ours { runs: 3 });

    tables.core.close_job(&job()).await.unwrap();
    tables.core.close_job(&job()).await.unwrap();
    assert_eq!(tables.core.take_job(&job(), second, after(99)).await.unwrap(), Taken::Done);
    assert!(!tables.core.beat_job(&job(), third, after(99)).await.unwrap());
}

#[tokio::test]
async fn a_silent_job_is_asked_for_again_by_one() {
    let tables = Tables::new().await;
    tables.core.open_job(&job(), NOW).await.unwrap();
    tables.core.open_job(&job(), after(500)).await.unwrap();
    assert_eq!(tables.core.silent_jobs(NOW, after(60)).await.unwrap(), [], "not silent yet");
    let asked = at_once(6, |_| {
        let core = tables.another_core();
        async move { core.silent_jobs(after(1), after(120)).await.unwrap() }
    })
    .await;
    assert_eq!(asked.concat(), [job()]);
    assert_eq!(tables.core.silent_jobs(after(1), after(121)).await.unwrap(), []);
    assert_eq!(tables.core.due_campaigns(UnixMillis(i64::MAX)).await.unwrap(), [], "a job is no campaign that runs");
}
