//! DynamoDB on SQLite: dynoxide, with what it leaves to its host: indexes on its stream records, time to live, and the
//! end of stream records after their 24 hours.

use std::{
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::Context as _;
use dynoxide::Database;
use rusqlite::Connection;
use tokio::{net::TcpListener, time::MissedTickBehavior};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// How often expired items are removed: seldom, and not at the start, for it reads every item of every table with a time to
/// live. AWS takes up to 48 hours.
const TTL_SWEEP: Duration = Duration::from_secs(15 * 60);

/// How often old stream records are removed; not at the start, so that consumers can catch up after a long stop.
const STREAM_TRIM: Duration = Duration::from_secs(3600);

/// DynamoDB keeps stream records for 24 hours.
const STREAM_RETENTION_SECONDS: i64 = 24 * 3600;

/// Records removed per transaction, so that a request never waits long.
const TRIM_BATCH: usize = 2_000;

/// Every write to a table with a stream asks for the highest sequence number, and every read of the stream for those
/// above one. dynoxide has no index for either and scans all records; these two make both a look-up.
const STREAM_INDEXES: &str = "
    CREATE INDEX IF NOT EXISTS local_stream_last
        ON _stream_records (table_name, CAST(sequence_number AS INTEGER));
    CREATE INDEX IF NOT EXISTS local_stream_order
        ON _stream_records (table_name, shard_id, CAST(sequence_number AS INTEGER));";

/// Records are removed oldest first; `id` grows with time, so only the head of the table is looked at.
const TRIM: &str = "
    DELETE FROM _stream_records
    WHERE created_at < ?1 AND id IN (SELECT id FROM _stream_records ORDER BY id LIMIT ?2)";

/// Serves the tables in `dynamodb.sqlite` under `directory`, or in memory without one.
pub(super) fn serve(
    listener: TcpListener,
    directory: Option<&Path>,
    stop: &CancellationToken,
    tasks: &TaskTracker,
) -> anyhow::Result<Database> {
    let path = match directory {
        Some(directory) => directory.join("dynamodb.sqlite").to_str().context("the path is not UTF-8")?.to_owned(),
        None => memory_name(),
    };
    let database = Database::new(&path).with_context(|| format!("cannot open {path}"))?;
    // No fsync, a larger cache: a killed process loses nothing by it, only a power failure does.
    database.enable_bulk_loading().context("cannot configure SQLite")?;
    let side = Connection::open(&path).with_context(|| format!("cannot open {path}"))?;
    side.busy_timeout(Duration::from_secs(5))?;
    side.execute_batch(STREAM_INDEXES).context("cannot index the stream records")?;

    spawn_ttl(database.clone(), stop, tasks);
    if directory.is_some() {
        side.execute_batch("PRAGMA synchronous = OFF")?;
        spawn_trim(side, stop, tasks);
    }
    let (stopped, served) = (stop.clone().cancelled_owned(), database.clone());
    tasks.spawn(async move {
        if let Err(error) = dynoxide::server::serve_with_shutdown(listener, served, stopped).await {
            tracing::error!(%error, "DynamoDB stopped");
        }
    });
    Ok(database)
}

/// A database in memory that two connections of this process can open, and no other engines of it.
fn memory_name() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("file:thirdtick-{}?mode=memory&cache=shared", COUNT.fetch_add(1, Ordering::Relaxed))
}

fn spawn_ttl(database: Database, stop: &CancellationToken, tasks: &TaskTracker) {
    let stop = stop.clone();
    tasks.spawn(async move {
        let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + TTL_SWEEP, TTL_SWEEP);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let database = database.clone();
            match tokio::task::spawn_blocking(move || database.sweep_ttl()).await {
                Ok(Ok(0)) => {}
                Ok(Ok(deleted)) => tracing::debug!(deleted, "expired items removed"),
                Ok(Err(error)) => tracing::warn!(%error, "expired items were not removed"),
                Err(error) => tracing::warn!(%error, "the removal of expired items broke off"),
            }
        }
    });
}

fn spawn_trim(side: Connection, stop: &CancellationToken, tasks: &TaskTracker) {
    let stop = stop.clone();
    tasks.spawn(async move {
        let mut side = side;
        let mut next = tokio::time::Instant::now() + STREAM_TRIM;
        while stop.run_until_cancelled(tokio::time::sleep_until(next)).await.is_some() {
            let trimmed = tokio::task::spawn_blocking(move || {
                let removed = trim(&side, unix_seconds() - STREAM_RETENTION_SECONDS);
                (side, removed)
            });
            let Ok((connection, removed)) = trimmed.await else { return };
            side = connection;
            let more = match removed {
                Ok(removed) => removed == TRIM_BATCH,
                Err(error) => {
                    tracing::warn!(%error, "old stream records were not removed");
                    false
                }
            };
            next = tokio::time::Instant::now() + if more { Duration::from_millis(20) } else { STREAM_TRIM };
        }
    });
}

fn trim(connection: &Connection, before: i64) -> rusqlite::Result<usize> {
    connection.execute(TRIM, rusqlite::params![before, TRIM_BATCH])
}

fn unix_seconds() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |elapsed| i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queries_on_stream_records_use_the_indexes() {
        let name = memory_name();
        let _database = Database::new(&name).unwrap();
        let side = Connection::open(&name).unwrap();
        side.execute_batch(STREAM_INDEXES).unwrap();
        let plan = |sql: &str| -> String {
            let mut statement = side.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let rows = statement.query_map([], |row| row.get::<_, String>(3)).unwrap();
            rows.map(Result::unwrap).collect::<Vec<_>>().join("; ")
        };
        let last = plan(
            "SELECT COALESCE(MAX(CAST(sequence_number AS INTEGER)), 0) + 1 FROM _stream_records WHERE table_name = 'T'",
        );
        assert!(last.contains("local_stream"), "{last}");
        let page = plan(
            "SELECT event_name FROM _stream_records WHERE table_name = 'T' AND shard_id = 's' \
             AND CAST(sequence_number AS INTEGER) > 5 ORDER BY CAST(sequence_number AS INTEGER) ASC LIMIT 10",
        );
        assert!(page.contains("local_stream_order") && !page.contains("TEMP B-TREE"), "{page}");
    }

    #[test]
    fn trimming_removes_only_old_records() {
        let name = memory_name();
        let _database = Database::new(&name).unwrap();
        let side = Connection::open(&name).unwrap();
        for (sequence, created_at) in [(1, 10), (2, 20), (3, 30)] {
            side.execute(
                "INSERT INTO _stream_records (table_name, event_name, keys_json, sequence_number, shard_id, created_at)
                 VALUES ('T', 'INSERT', '{}', ?1, 's', ?2)",
                rusqlite::params![sequence.to_string(), created_at],
            )
            .unwrap();
        }
        assert_eq!(trim(&side, 25).unwrap(), 2);
        assert_eq!(trim(&side, 25).unwrap(), 0);
    }
}
