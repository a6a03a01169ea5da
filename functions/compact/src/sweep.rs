//! Removing what is past its time: objects of the bucket that the rules of retention do not keep any longer. Rows have their
//! end in the table and need nobody.
//!
//! How old an object is stands in its key: the day or hour of its partition, or the id of what it belongs to. A partition goes
//! when all of it is older than the rule. Keys of dates sort by time, so a sweep lists from the oldest on and ends at the first
//! that stays: it costs what it removes. Removing twice is removing once, so a sweep may be cut off and repeated at will.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt};
use shared::archive::{self, ObjectName};
use shared::blob::BlobError;
use shared::retention::Kind;
use shared::time::UnixMillis;
use ulid::Ulid;
use warehouse::{FILES, Partition, STAGED};

use crate::Compact;

/// Objects that are removed at the same time.
const AT_ONCE: usize = 16;

/// Where items lie that were too long for their row of the feed, by day.
const KEPT: &str = "kept/";

/// How much longer those are kept than their rows, which DynamoDB removes some days after their end (AWS, "Time to live").
const AFTER_THE_ROW: Duration = Duration::from_secs(4 * 86_400);

/// A body lies here while its message is on a queue (7 days) or among the dead letters (14 days); as `template.yaml` has it.
const OVERFLOW: (&str, Duration) = ("overflow/", Duration::from_secs(30 * 86_400));

/// What is put here is read within the day; as `template.yaml` has it.
const UPLOADS: (&str, Duration) = ("uploads/", Duration::from_secs(2 * 86_400));

/// Exports of people, which can be fetched for an hour; as `template.yaml` has it.
const EXPORTS: (&str, Duration) = ("exports/", Duration::from_secs(86_400));

/// What a sweep has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swept {
    /// Objects that were removed, by kind.
    pub by_kind: BTreeMap<&'static str, usize>,
    /// Nothing is left that is past its time; if not, the time for the sweep was over.
    pub finished: bool,
}

impl Swept {
    /// Objects that were removed.
    #[must_use]
    pub fn removed(&self) -> usize {
        self.by_kind.values().sum()
    }
}

/// What is swept together.
struct Stretch {
    kind: &'static str,
    prefix: &'static str,
    /// Whether an object is past its time; `None` for what is none of ours, and stays.
    is_past: Past,
    /// Keys sort by time, so behind one that stays all do.
    in_order: bool,
}

type Past = Box<dyn Fn(&str) -> Option<bool> + Send + Sync>;

/// Removes what is past its time at `now`. Stops between two pieces once `until` is over.
///
/// # Errors
/// [`BlobError`]; what was removed until then is removed.
pub async fn run(compact: &Compact, now: UnixMillis, until: Option<Instant>) -> Result<Swept, BlobError> {
    let mut swept = Swept { by_kind: BTreeMap::new(), finished: true };
    for stretch in stretches(compact, now) {
        let Stretch { kind, prefix, is_past, in_order } = stretch;
        let mut after: Option<String> = None;
        loop {
            if until.is_some_and(|until| Instant::now() >= until) {
                swept.finished = false;
                return Ok(swept);
            }
            let keys = compact.bucket.keys(prefix, after.as_deref()).await?;
            let Some(last) = keys.last().cloned() else { break };
            let some_stay = keys.iter().any(|key| is_past(key) == Some(false));
            let past: Vec<String> = keys.into_iter().filter(|key| is_past(key) == Some(true)).collect();
            if !past.is_empty() {
                *swept.by_kind.entry(kind).or_default() += past.len();
            }
            futures::stream::iter(past)
                .map(|key| async move { compact.bucket.delete(&key).await })
                .buffer_unordered(AT_ONCE)
                .try_collect::<()>()
                .await?;
            if in_order && some_stay {
                break;
            }
            after = Some(last);
        }
    }
    Ok(swept)
}

/// What there is to sweep under the rules.
fn stretches(compact: &Compact, now: UnixMillis) -> Vec<Stretch> {
    let before = |kept: Duration| UnixMillis(now.0.saturating_sub(i64::try_from(kept.as_millis()).unwrap_or(i64::MAX)));
    let rule = |kind: Kind| compact.retention.of(kind).map(before);
    let mut stretches = Vec::new();
    let mut in_order = |kind: Kind, prefix: &'static str, is_past: Past| {
        stretches.push(Stretch { kind: kind.name(), prefix, is_past, in_order: true });
    };
    if let Some(oldest) = rule(Kind::Raw) {
        // The hour of that moment is not wholly older, and so is the first that stays.
        let first = ObjectName::keys_from(oldest);
        in_order(
            Kind::Raw,
            archive::PREFIX,
            Box::new(move |key| ObjectName::read_key(key).map(|_| key < first.as_str())),
        );
    }
    if let Some(oldest) = rule(Kind::Published) {
        for prefix in [STAGED, FILES] {
            let first = Partition::of(oldest);
            in_order(
                Kind::Published,
                prefix,
                Box::new(move |key| Partition::of_key(key).map(|partition| partition < first)),
            );
        }
    }
    // All of them are items of Meta's as they came, which the rule of messages is for.
    if let Some(kept) = compact.retention.of(Kind::Messages) {
        let first = day(KEPT, before(kept.saturating_add(AFTER_THE_ROW)));
        in_order(Kind::Messages, KEPT, Box::new(move |key| Some(key < first.as_str())));
    }
    if compact.sweeps_temporary {
        let (prefix, kept) = OVERFLOW;
        let first = day(prefix, before(kept));
        stretches.push(Stretch {
            kind: "overflow",
            prefix,
            is_past: Box::new(move |key| Some(key < first.as_str())),
            in_order: true,
        });
        for (kind, (prefix, kept)) in [("uploads", UPLOADS), ("exports", EXPORTS)] {
            let oldest = before(kept);
            let is_past: Past = Box::new(move |key| made_at(key).map(|at| at < oldest));
            stretches.push(Stretch { kind, prefix, is_past, in_order: false });
        }
    }
    stretches
}

/// What the keys of this day are not smaller than.
fn day(prefix: &str, at: UnixMillis) -> String {
    format!("{prefix}{}/", at.date())
}

/// When the thing was made whose id is the third part of a key, such as an upload's or an export's.
fn made_at(key: &str) -> Option<UnixMillis> {
    let (_, ulid) = key.split('/').nth(2)?.split_once('_')?;
    let ulid = Ulid::from_string(ulid).ok()?;
    Some(UnixMillis(i64::try_from(ulid.timestamp_ms()).unwrap_or(i64::MAX)))
}

#[cfg(test)]
mod tests {
    use shared::blob::key;
    use shared::id::{ExportId, UploadId, WorkspaceId};

    use super::*;

    #[test]
    fn the_age_of_uploads_and_exports_is_in_their_keys() {
        let at = UnixMillis(1_790_000_000_000);
        let workspace = WorkspaceId::FIRST;
        for key in [
            key::upload(workspace, UploadId::new(at)),
            key::export(workspace, ExportId::new(at)),
            key::export_part(workspace, ExportId::new(at), 3),
        ] {
            assert_eq!(made_at(&key), Some(at), "{key}");
        }
        assert_eq!(made_at("uploads/w/x"), None);
        assert!(day(KEPT, at) <= key::kept_event(&at.date(), "evt_01J00000000000000000000000".parse().unwrap()));
        assert!(key::overflow(&UnixMillis(at.0 - 86_400_000).date(), "~") < day("overflow/", at));
    }
}
