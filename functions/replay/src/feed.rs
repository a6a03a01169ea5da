//! Takes the archive in again, object by object in the order of time.

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt};
use ingest::Ingest;
use shared::archive::{self, Line, ObjectName, PREFIX, Place};

use crate::job::{Job, Phase};
use crate::{NotReplayed, Replay, Tables};

/// Objects of one step: what they hold is taken in together, so that one attempt's statuses are one write.
const OBJECTS: usize = 50;

/// Objects that are fetched at once.
const FETCHED_AT_ONCE: usize = 8;

/// Bytes of messages that are taken in together; an object may have as many.
const TOGETHER_BYTES: usize = 16 * 1024 * 1024;

/// How often what could not be written is tried.
const TRIES: usize = 5;

pub(crate) async fn step(
    replay: &Replay,
    tables: &Tables,
    job: &mut Job,
    after: Option<String>,
) -> Result<Phase, NotReplayed> {
    let begin = after.or_else(|| job.from.map(ObjectName::keys_from));
    let keys = replay.bucket.list(PREFIX, begin.as_deref(), OBJECTS).await?;
    let is_over =
        |name: &ObjectName| job.to.is_some_and(|to| name.key() > ObjectName::keys_from(to) && !name.is_of_hour(to));
    let Some(last) = keys.last().cloned() else {
        return Ok(Phase::Count { after: None });
    };
    let names: Vec<ObjectName> = keys.iter().filter_map(|key| ObjectName::read_key(key)).collect();
    let all_over = !names.is_empty() && names.iter().all(is_over);
    if all_over {
        return Ok(Phase::Count { after: None });
    }
    let ingest = Ingest::for_replay(tables.core.clone(), replay.bucket.clone(), replay.link_keys.clone());
    let mut fetched = futures::stream::iter(names)
        .map(|name| async move { replay.bucket.get(&name.key()).await.map(|object| (name, object)) })
        .buffered(FETCHED_AT_ONCE);
    let mut together: Vec<(Line, Place)> = Vec::new();
    let mut bytes = 0;
    while let Some((name, object)) = fetched.try_next().await? {
        job.done.objects += 1;
        for line in archive::lines(&object)? {
            let line = line?;
            if !job.covers(line.received_at) {
                continue;
            }
            bytes += line.body.len();
            let place = Place { object: name.clone(), message: line.message.clone() };
            together.push((line, place));
            if bytes > TOGETHER_BYTES {
                job.done.messages += take_in(&ingest, std::mem::take(&mut together)).await?;
                bytes = 0;
            }
        }
    }
    job.done.messages += take_in(&ingest, together).await?;
    Ok(Phase::Feed { after: Some(last) })
}

async fn take_in(ingest: &Ingest, lines: Vec<(Line, Place)>) -> Result<u64, NotReplayed> {
    let count = u64::try_from(lines.len()).unwrap_or(u64::MAX);
    let mut left = lines;
    for _ in 0..TRIES {
        if left.is_empty() {
            return Ok(count);
        }
        let failed: BTreeSet<String> = ingest::replay(ingest, left.clone()).await;
        left.retain(|(line, _)| failed.contains(&line.message));
    }
    if left.is_empty() { Ok(count) } else { Err(NotReplayed::NotTakenIn(left.len())) }
}
