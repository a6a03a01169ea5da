//! Copies what does not follow from the archive.

use shared::store::keys::Key;

use crate::derived::without_events;
use crate::job::{Job, Phase};
use crate::{NotReplayed, Tables};

/// Rows of one step.
const ROWS: usize = 500;

pub(crate) async fn step(tables: &Tables, job: &mut Job, after: Option<Key>) -> Result<Phase, NotReplayed> {
    let part = tables.live_core.part(after.as_ref(), ROWS).await?;
    let kept: Vec<_> = part.items.into_iter().filter_map(|item| without_events(item, job)).collect();
    let copied = u64::try_from(kept.len()).unwrap_or(u64::MAX);
    tables.fresh_core.put(kept).await?;
    job.done.copied += copied;
    Ok(match part.next {
        after @ Some(_) => Phase::Copy { after },
        None => Phase::Feed { after: None },
    })
}
