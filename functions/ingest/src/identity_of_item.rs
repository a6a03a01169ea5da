//! When an item happened that bears no time: part of its identity, so it must be the same for every repeat, on whatever day
//! Meta sends it. Without any time of Meta's the first day on which we saw the item is written down and found again.

use serde_json::Value;
use shared::activity;
use shared::meta::webhook::{Event, Item, MalformedEvent, UnknownEvent};
use shared::time::UnixMillis;

use crate::origin::json;
use crate::routes::Route;
use crate::{Ingest, NotIngested};

/// A time of Meta's lies between these, or is none: WhatsApp did not exist before 2009, and a time of 2100 is a mistake.
const PLAUSIBLE_S: std::ops::Range<i64> = 1_230_768_000..4_102_444_800;

/// What stands for the time of an item if Meta tells none: a time within what we do not understand, else the start of the
/// day on which the item was first seen. What has a time is not looked up.
pub(crate) async fn first(
    ingest: &Ingest,
    route: Route,
    item: &Item,
    received_at: UnixMillis,
) -> Result<UnixMillis, NotIngested> {
    if item.entry_time.is_some() || has_own_time(&item.event) {
        return Ok(received_at);
    }
    let written;
    let raw = match &item.event {
        Event::Unknown(UnknownEvent { raw, .. }) | Event::Malformed(MalformedEvent { raw, .. }) => raw.as_str(),
        event => {
            written = json(event);
            &written
        }
    };
    if let Some(seconds) = own_time(raw).filter(|seconds| PLAUSIBLE_S.contains(seconds)) {
        return Ok(UnixMillis::from_seconds(seconds));
    }
    let number = item.phone_number_id.as_deref().unwrap_or_default();
    let waba = item.waba_id.as_deref().unwrap_or_default();
    first_day(ingest, route, &[&item.field, waba, number, raw], received_at).await
}

/// The start of the day on which something was first seen; `identity` is what makes it the same.
pub(crate) async fn first_day(
    ingest: &Ingest,
    route: Route,
    identity: &[&str],
    received_at: UnixMillis,
) -> Result<UnixMillis, NotIngested> {
    let (workspace, account) = route.unzip();
    let name = activity::id_of(UnixMillis(0), identity).to_string();
    Ok(ingest.core.first_seen(workspace, account, &name, received_at).await?)
}

/// Whether an event of this kind cannot be read without its time.
const fn has_own_time(event: &Event) -> bool {
    matches!(
        event,
        Event::Message(_)
            | Event::Status(_)
            | Event::Standby(_)
            | Event::Echo(_)
            | Event::HistoryMessage(_)
            | Event::Call(_)
            | Event::CallStatus(_)
            | Event::GroupLifecycle(_)
            | Event::GroupParticipants(_)
            | Event::GroupJoinRequest(_)
            | Event::GroupSettings(_)
            | Event::GroupStatus(_)
    )
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
