//! `/v1/webhooks/{id}/deliveries`: what became of each event that a webhook wanted, and sending them again.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};
use shared::http::auth::Caller;
use shared::http::params::Params;
use shared::http::problem::Problem;
use shared::http::{body, limit};
use shared::id::DeliveryId;
use shared::subscription::Webhook;
use shared::subscription::delivery::{Delivery, KEPT_FOR, Status};
use shared::subscription::outbox::NotTaken;
use shared::time::{UnixMillis, rfc3339};

use super::find;
use crate::Api;

/// Rows that one request looks at; it then answers with what it has and where to go on.
const LOOKS_AT: usize = 1_000;

/// Days of the list that one request looks at.
const LOOKS_AT_DAYS: usize = 40;

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// What a list or a replay is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wanted {
    limit: Option<String>,
    cursor: Option<String>,
    status: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Replay {
    #[serde(with = "rfc3339")]
    since: UnixMillis,
    #[serde(default, with = "rfc3339::option")]
    until: Option<UnixMillis>,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    cursor: Option<String>,
}

/// Which deliveries are meant: `failed` stands for all that were given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Filter {
    Any,
    One(Status),
    GivenUp,
}

impl Filter {
    fn read(text: Option<&str>, absent: Self) -> Result<Self, Problem> {
        Ok(match text {
            None => absent,
            Some("all") => Self::Any,
            Some("pending") => Self::One(Status::Pending),
            Some("succeeded") => Self::One(Status::Succeeded),
            Some("exhausted") => Self::One(Status::Exhausted),
            Some("failed") => Self::GivenUp,
            Some(_) => {
                let reason = "must be pending, succeeded, failed (all that were given up), exhausted or all";
                return Err(Problem::invalid("/status", reason));
            }
        })
    }

    const fn takes(self, status: Status) -> bool {
        match (self, status) {
            (Self::Any, _) => true,
            (Self::GivenUp, status) => matches!(status, Status::Failed | Status::Exhausted),
            (Self::One(Status::Succeeded), Status::Succeeded)
            | (Self::One(Status::Pending), Status::Pending)
            | (Self::One(Status::Exhausted), Status::Exhausted)
            | (Self::One(Status::Failed), Status::Failed) => true,
            (Self::One(_), _) => false,
        }
    }
}

/// Where a list goes on: a day of recording, and the delivery after which.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    day: UnixMillis,
    before: Option<DeliveryId>,
}

impl Place {
    fn read(text: &str) -> Result<Self, Problem> {
        let wrong = || Problem::invalid("/cursor", "must be a next_cursor of this list");
        let (day, before) = text.split_once('.').ok_or_else(wrong)?;
        let day = UnixMillis(day.parse::<i64>().map_err(|_| wrong())?.saturating_mul(86_400_000));
        let before = match before {
            "" => None,
            id => Some(id.parse().map_err(|_| wrong())?),
        };
        Ok(Self { day, before })
    }

    fn write(&self) -> String {
        let before = self.before.map(|id| id.to_string()).unwrap_or_default();
        format!("{}.{before}", self.day.0.div_euclid(86_400_000))
    }

    /// The day before.
    fn earlier(&self) -> Self {
        Self { day: UnixMillis(self.day.0 - 86_400_000), before: None }
    }
}

/// Deliveries from a place on, at most `limit`, with where to go on.
async fn walk(
    api: &Api,
    webhook: &Webhook,
    place: Place,
    oldest: UnixMillis,
    limit: usize,
    takes: impl Fn(&Delivery) -> bool,
) -> Result<(Vec<Delivery>, Option<Place>), Problem> {
    let (mut found, mut place, mut seen, mut days) = (Vec::new(), place, 0, 0);
    // The first moment of the day, for a day counts whole.
    while place.day.plus(DAY) > oldest {
        if found.len() >= limit || seen >= LOOKS_AT || days >= LOOKS_AT_DAYS {
            return Ok((found, Some(place)));
        }
        let most = (limit - found.len()).max(50).min(LOOKS_AT - seen);
        let date = place.day.date();
        let day = api.core.deliveries_of_day(webhook.workspace, webhook.id, &date, place.before, most).await?;
        seen += day.len();
        let is_last = day.len() < most;
        for delivery in day {
            place.before = Some(delivery.id);
            if takes(&delivery) {
                found.push(delivery);
                if found.len() >= limit {
                    return Ok((found, Some(place)));
                }
            }
        }
        if is_last {
            place = place.earlier();
            days += 1;
        }
    }
    Ok((found, None))
}

/// The place where a list begins, and the earliest time of which it knows.
fn bounds(webhook: &Webhook, cursor: Option<&str>, until: UnixMillis) -> Result<(Place, UnixMillis), Problem> {
    let oldest = UnixMillis(UnixMillis::now().0.saturating_sub(i64::try_from(KEPT_FOR.as_millis()).unwrap_or(0)));
    let place = match cursor {
        Some(cursor) => Place::read(cursor)?,
        None => Place { day: UnixMillis(until.0.div_euclid(86_400_000).saturating_mul(86_400_000)), before: None },
    };
    Ok((place, oldest.max(webhook.created_at)))
}

/// What a list shows.
pub(crate) fn summary(delivery: &Delivery) -> Value {
    json!({
        "id": delivery.id,
        "event_id": delivery.event,
        "type": delivery.kind,
        "status": delivery.status,
        "reason": delivery.reason,
        "created_at": delivery.created_at.to_rfc3339(),
        "next_attempt_at": delivery.next_at.map(UnixMillis::to_rfc3339),
        "settled_at": delivery.settled_at.map(UnixMillis::to_rfc3339),
        "attempts": delivery.attempts,
    })
}

/// `GET /v1/webhooks/{id}/deliveries`: newest first, of at most 30 days. A page may have fewer rows than asked for, or none,
/// and still a `next_cursor`.
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Params(wanted): Params<Wanted>,
) -> Result<Json<Value>, Problem> {
    let webhook = find(&api, caller, &id).await?;
    let (limit, filter) = (limit(wanted.limit.as_deref())?, Filter::read(wanted.status.as_deref(), Filter::Any)?);
    let (place, oldest) = bounds(&webhook, wanted.cursor.as_deref(), UnixMillis::now())?;
    let (found, next) = walk(&api, &webhook, place, oldest, limit, |delivery| filter.takes(delivery.status)).await?;
    let shown: Vec<Value> = found.iter().map(summary).collect();
    Ok(Json(json!({"data": shown, "next_cursor": next.map(|place| place.write())})))
}

/// The webhook's delivery of this id.
async fn of_webhook(api: &Api, webhook: &Webhook, id: &str) -> Result<Delivery, Problem> {
    let missing = || Problem::not_found("delivery");
    let id: DeliveryId = id.parse().map_err(|_| missing())?;
    let found = api.core.delivery(webhook.workspace, id).await?;
    found.filter(|delivery| delivery.webhook == webhook.id).ok_or_else(missing)
}

/// `GET /v1/webhooks/{id}/deliveries/{delivery}`: with what is posted.
pub(crate) async fn one(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path((id, delivery)): Path<(String, String)>,
) -> Result<Json<Value>, Problem> {
    let webhook = find(&api, caller, &id).await?;
    let delivery = of_webhook(&api, &webhook, &delivery).await?;
    let mut shown = summary(&delivery);
    shown["payload"] = serde_json::from_str(&delivery.body).map_err(|error| Problem::internal(&error))?;
    Ok(Json(shown))
}

/// `POST /v1/webhooks/{id}/deliveries/{delivery}/replay`: posts it again, with the same `webhook-id`; 202.
pub(crate) async fn replay_one(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path((id, delivery)): Path<(String, String)>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let webhook = enabled(find(&api, caller, &id).await?)?;
    let delivery = of_webhook(&api, &webhook, &delivery).await?;
    let id = delivery.id;
    if delivery.status == Status::Pending {
        return Err(Problem::conflict("the delivery is on its way", Some("pending")));
    }
    api.outbox.replay(vec![delivery], UnixMillis::now()).await.map_err(not_taken)?;
    let delivery = of_webhook(&api, &webhook, &id.to_string()).await?;
    Ok((StatusCode::ACCEPTED, Json(summary(&delivery))))
}

/// `POST /v1/webhooks/{id}/replay`: posts again what was given up since a time (or what else `status` names); 202 with how
/// many, and where to go on when there are more than one request takes.
pub(crate) async fn replay(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    payload: Bytes,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let wanted: Replay = body::read(&payload)?;
    let webhook = enabled(find(&api, caller, &id).await?)?;
    let filter = Filter::read(wanted.status.as_deref(), Filter::GivenUp)?;
    let now = UnixMillis::now();
    let until = wanted.until.unwrap_or(now);
    let (place, oldest) = bounds(&webhook, wanted.cursor.as_deref(), until.min(now))?;
    let takes = |delivery: &Delivery| {
        delivery.status != Status::Pending
            && filter.takes(delivery.status)
            && (wanted.since..=until).contains(&delivery.created_at)
    };
    let (found, next) = walk(&api, &webhook, place, oldest.max(wanted.since), LOOKS_AT, takes).await?;
    let replayed = api.outbox.replay(found, now).await.map_err(not_taken)?;
    let next = next.map(|place| place.write());
    Ok((StatusCode::ACCEPTED, Json(json!({"replayed": replayed, "next_cursor": next}))))
}

fn enabled(webhook: Webhook) -> Result<Webhook, Problem> {
    if webhook.enabled { Ok(webhook) } else { Err(Problem::conflict("the webhook is disabled", Some("disabled"))) }
}

pub(crate) fn not_taken(error: NotTaken) -> Problem {
    match error {
        NotTaken::Store(error) => error.into(),
        NotTaken::Queue(error) => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_survives_its_text_and_goes_back_by_days() {
        let id = "dlv_01J00000000000000000000000".parse().unwrap();
        for place in [
            Place { day: UnixMillis(20_700 * 86_400_000), before: None },
            Place { day: UnixMillis(20_700 * 86_400_000), before: Some(id) },
        ] {
            assert_eq!(Place::read(&place.write()).unwrap(), place);
        }
        let earlier = Place { day: UnixMillis(86_400_000), before: Some(id) }.earlier();
        assert_eq!(earlier, Place { day: UnixMillis(0), before: None });
        for text in ["", "x", "1", "1.dlv_x", "x.dlv_01J00000000000000000000000"] {
            assert!(Place::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn failed_means_all_that_were_given_up() {
        let takes = |text: &str, status| Filter::read(Some(text), Filter::Any).unwrap().takes(status);
        for status in [Status::Failed, Status::Exhausted] {
            assert!(takes("failed", status) && takes("all", status) && !takes("pending", status));
        }
        assert!(!takes("failed", Status::Succeeded) && takes("succeeded", Status::Succeeded));
        assert!(!takes("exhausted", Status::Failed));
        assert!(Filter::read(Some("lost"), Filter::Any).is_err());
    }
}
