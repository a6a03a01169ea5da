//! Closing a deal with a recipient by hand.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};
use shared::attempt::{Evidence, Flag, Moment, Money};
use shared::http::auth::Caller;
use shared::http::body;
use shared::http::problem::Problem;
use shared::store::Learned;
use shared::time::UnixMillis;

use crate::Api;
use crate::campaigns::find;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Closing {
    #[serde(default)]
    value: Option<Money>,
    #[serde(default, with = "shared::time::rfc3339::option")]
    at: Option<UnixMillis>,
}

/// `POST /v1/campaigns/{id}/recipients/{phone}/close`. A repeat changes nothing.
pub(crate) async fn close(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path((id, phone)): Path<(String, String)>,
    payload: Bytes,
) -> Result<Json<Value>, Problem> {
    let closing = if payload.is_empty() { Closing::default() } else { body::read(&payload)? };
    let campaign = find(&api, caller, &id).await?;
    let not_sent_to = || Problem::not_found("recipient: this number is not in the campaign or was not sent to yet");
    let key = api.core.recipient_key(&campaign, &phone).await?.ok_or_else(not_sent_to)?;
    if let Some(value) = &closing.value {
        value.check().map_err(|wrong| Problem::invalid(format!("/value/{}", wrong.field()), wrong.to_string()))?;
        api.core.record_value(&key, value).await?;
    }
    let now = UnixMillis::now();
    let moment = Moment { at: closing.at.unwrap_or(now), seen: now };
    match api.core.learn(&key, &[Evidence::Flag(Flag::Closed, moment)], None).await? {
        Learned::News | Learned::Nothing => {
            Ok(Json(json!({"campaign_id": campaign.id, "closed_at": moment.at.to_rfc3339()})))
        }
        Learned::NoSuchAttempt => Err(not_sent_to()),
    }
}
