//! When an item happened that bears no id: part of its identity, so it must be the same for every repeat, on whatever day
//! Meta sends it. Meta's own time is taken where there is one; without any, the first day on which we saw the item is
//! written down and found again.

use serde_json::Value;
use shared::activity;
use shared::time::UnixMillis;

use crate::routes::Route;
use crate::{Ingest, NotIngested};

/// A time of Meta's lies between these, or is none: WhatsApp did not exist before 2009, and a time of 2100 is a mistake.
const PLAUSIBLE_S: std::ops::Range<i64> = 1_230_768_000..4_102_444_800;

/// When an item happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dated {
    /// Names its events: Meta's time, else the start of the day on which it was first seen.
    pub(crate) id: UnixMillis,
    /// As near as can be told, and the same for every repeat: Meta's time, else the moment at which it was first seen.
    pub(crate) at: UnixMillis,
}

/// The item's time: that of its entry, else its own, else the start of the day on which it was first seen. `identity` is
/// what makes the item the same.
pub(crate) async fn time(
    ingest: &Ingest,
    route: Route,
    entry_time: Option<i64>,
    raw: &str,
    identity: &[&str],
    received_at: UnixMillis,
) -> Result<UnixMillis, NotIngested> {
    Ok(dated(ingest, route, entry_time, raw, identity, received_at).await?.id)
}

/// The same, with the moment of the item.
pub(crate) async fn dated(
    ingest: &Ingest,
    route: Route,
    entry_time: Option<i64>,
    raw: &str,
    identity: &[&str],
    received_at: UnixMillis,
) -> Result<Dated, NotIngested> {
    if let Some(seconds) = entry_time.or_else(|| own_time(raw)).filter(|seconds| PLAUSIBLE_S.contains(seconds)) {
        let at = UnixMillis::from_seconds(seconds);
        return Ok(Dated { id: at, at });
    }
    let (workspace, account) = route.unzip();
    let name = activity::id_of(UnixMillis(0), identity).to_string();
    let first = ingest.core.first_seen(workspace, account, &name, received_at).await?;
    Ok(Dated { id: first.day, at: first.at })
}

/// Seconds since 1970 as the item tells them: Meta's `timestamp`, or our form of it.
fn own_time(raw: &str) -> Option<i64> {
    let item: Value = serde_json::from_str(raw).ok()?;
    let at = |value: &Value| value.as_i64().or_else(|| value.as_str()?.parse().ok());
    [&item, &item["detail"]].into_iter().find_map(|of| at(&of["timestamp"]).or_else(|| at(&of["timestamp_s"])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_items_own_time_is_found_in_metas_form_and_in_ours() {
        assert_eq!(own_time(r#"{"timestamp":"1790000000"}"#), Some(1_790_000_000));
        assert_eq!(own_time(r#"{"timestamp":1790000000}"#), Some(1_790_000_000));
        assert_eq!(own_time(r#"{"kind":"call","detail":{"timestamp_s":1790000000}}"#), Some(1_790_000_000));
        for without in ["{}", "[]", "no json", r#"{"timestamp":"soon"}"#, r#"{"timestamp":null}"#] {
            assert_eq!(own_time(without), None, "{without}");
        }
    }
}
