//! A span of time that a figure is asked for, and the account's events that have to be read for it.

use std::collections::HashMap;
use std::ops::Range;
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt};
use shared::account::Account;
use shared::activity::SHARDS;
use shared::attempt::Shard;
use shared::http::auth::Caller;
use shared::http::problem::Problem;
use shared::id::{AccountId, ContactId, WorkspaceId};
use shared::journey::trace::{Part, Trace};
use shared::store::{Core, StoreError};
use shared::time::UnixMillis;

use crate::Analytics;

/// The longest span that may be asked for.
const LONGEST: Duration = Duration::from_secs(31 * 86_400);

/// The span unless asked otherwise: so long until now.
const DEFAULT: Duration = Duration::from_secs(7 * 86_400);

/// Events that are read for one answer. A trace takes about 100 bytes.
const MOST_EVENTS: usize = 250_000;

/// How long may be read; an HTTP API waits 30 s.
const LONGEST_READ: Duration = Duration::from_secs(18);

const DAY_MS: i64 = 86_400_000;

/// Reads `from` and `to`: times, or days in UTC. `to` is not part of the span.
pub(crate) fn read(from: Option<&str>, to: Option<&str>, now: UnixMillis) -> Result<Range<UnixMillis>, Problem> {
    let to = to.map(|to| moment("/to", to)).transpose()?.unwrap_or(now);
    let from = from.map(|from| moment("/from", from)).transpose()?;
    let from = from.unwrap_or(UnixMillis(to.0 - i64::try_from(DEFAULT.as_millis()).unwrap_or(0)));
    if from >= to {
        return Err(Problem::invalid("/from", "must lie before to"));
    }
    if to.since(from) > LONGEST {
        return Err(Problem::invalid("/from", "must lie at most 31 days before to"));
    }
    Ok(from..to)
}

/// Reads a time, or a day in UTC; `pointer` names the parameter.
pub(crate) fn moment(pointer: &str, text: &str) -> Result<UnixMillis, Problem> {
    let whole = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    let at: Result<UnixMillis, _> =
        shared::time::rfc3339::deserialize(serde::de::value::StringDeserializer::<serde::de::value::Error>::new(whole));
    at.map_err(|_| Problem::invalid(pointer, "must be a day or a time, such as 2026-11-21 or 2026-11-21T09:30:00Z"))
}

/// The caller's account of this id, which must be told.
pub(crate) async fn account(analytics: &Analytics, caller: Caller, id: Option<&str>) -> Result<Account, Problem> {
    let id = id.ok_or_else(|| Problem::invalid("/account", "must be the id of an account"))?;
    let id: AccountId = id.parse().map_err(|_| Problem::not_found("account"))?;
    analytics.core.account(caller.workspace, id).await?.ok_or_else(|| Problem::not_found("account"))
}

/// What people did in a span, by contact as it was known when each event came in.
pub(crate) struct Gathered {
    /// The traces that matter, each person's in no order.
    pub(crate) people: HashMap<ContactId, Vec<Trace>>,
    /// All events before this moment were read. Later than the end of what was asked for when all were.
    pub(crate) until: UnixMillis,
}

/// Reads the account's events in this range, day by day, until there are too many or it takes too long. What `wanted`
/// refuses is not kept.
pub(crate) async fn gather(
    core: &Core,
    workspace: WorkspaceId,
    account: AccountId,
    range: &Range<UnixMillis>,
    now: UnixMillis,
    wanted: impl Fn(&Part) -> bool + Copy + Send,
) -> Result<Gathered, StoreError> {
    let begun = Instant::now();
    let mut people: HashMap<ContactId, Vec<Trace>> = HashMap::new();
    let mut read = 0;
    let end = range.end.min(UnixMillis(now.0 + DAY_MS));
    let mut day = UnixMillis(range.start.0 - range.start.0.rem_euclid(DAY_MS));
    while day < end {
        if read > MOST_EVENTS || begun.elapsed() > LONGEST_READ {
            return Ok(Gathered { people, until: day });
        }
        let date = day.date();
        let shards = futures::stream::iter(0..SHARDS)
            .map(|shard| day_of(core, workspace, account, &date, Shard(shard), wanted))
            .buffer_unordered(usize::from(SHARDS))
            .try_collect::<Vec<_>>()
            .await?;
        for (seen, found) in shards {
            read += seen;
            for (contact, trace) in found.into_iter().filter(|(_, trace)| range.contains(&trace.at)) {
                people.entry(contact).or_default().push(trace);
            }
        }
        day = UnixMillis(day.0 + DAY_MS);
    }
    Ok(Gathered { people, until: range.end })
}

/// One partition of a day: how many events it holds, and the traces among them that are wanted.
async fn day_of(
    core: &Core,
    workspace: WorkspaceId,
    account: AccountId,
    date: &str,
    shard: Shard,
    wanted: impl Fn(&Part) -> bool,
) -> Result<(usize, Vec<(ContactId, Trace)>), StoreError> {
    let (mut read, mut found, mut after) = (0, Vec::new(), None);
    loop {
        let (events, next) = core.events_of_day(workspace, account, date, shard, after.as_deref()).await?;
        read += events.len();
        found.extend(events.iter().filter_map(|event| {
            let contact = event.contact?;
            let trace = Trace::of(Some(account), event);
            wanted(&trace.part).then_some((contact, trace))
        }));
        after = next;
        if after.is_none() {
            return Ok((read, found));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_790_035_200_000);

    #[test]
    fn a_span_is_a_week_until_now_unless_told_and_a_month_at_most() {
        assert_eq!(read(None, None, NOW).unwrap(), UnixMillis(NOW.0 - 7 * DAY_MS)..NOW);
        let day = read(Some("2026-09-21"), Some("2026-09-22T00:00:00+08:00"), NOW).unwrap();
        assert_eq!(day, UnixMillis(NOW.0 - DAY_MS)..UnixMillis(NOW.0 - 8 * 3_600_000));
        for (from, to) in [("2026-09-21", "2026-09-21"), ("2026-08-01", "2026-09-02"), ("yesterday", "2026-09-21")] {
            assert!(read(Some(from), Some(to), NOW).is_err(), "{from} {to}");
        }
        assert!(read(Some("2026-08-01"), Some("2026-09-01"), NOW).is_ok());
    }
}
