//! The simulator's own endpoints, which Meta does not have: the ledger, the faults and what Meta's own staff could do.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::{Value, json};

use crate::faults::Faults;
use crate::ledger::{Ledger, Totals};
use crate::operator::{ControlError, TemplateChange};
use crate::rate::{RateQuery, Rates};
use crate::standing::NumberChange;
use crate::world::World;

/// `GET /simulator/ledger`
pub(crate) async fn ledger(State(world): State<Arc<World>>) -> Json<Ledger> {
    Json(world.ledger())
}

/// `GET /simulator/totals`
pub(crate) async fn totals(State(world): State<Arc<World>>) -> Json<Totals> {
    Json(world.ledger().totals())
}

/// `GET /simulator/rate`
pub(crate) async fn rate(State(world): State<Arc<World>>, Query(query): Query<RateQuery>) -> Json<Rates> {
    let rates = world.book().rates(&query);
    Json(rates)
}

/// `GET /simulator/pending`
pub(crate) async fn pending(State(world): State<Arc<World>>) -> Json<Value> {
    Json(json!({ "pending": world.outstanding() }))
}

/// `POST /simulator/faults`; `{}` ends all faults.
pub(crate) async fn set_faults(State(world): State<Arc<World>>, Json(faults): Json<Faults>) -> Json<Faults> {
    world.faults().set(faults);
    Json(faults)
}

/// `POST /simulator/templates/{id or name}`
pub(crate) async fn change_templates(
    State(world): State<Arc<World>>,
    Path(template): Path<String>,
    Json(change): Json<TemplateChange>,
) -> Result<Json<Value>, ControlError> {
    let changed = world.change_templates(&template, &change)?;
    Ok(Json(json!({ "changed": changed })))
}

/// `POST /simulator/numbers/{phone number id}`
pub(crate) async fn change_number(
    State(world): State<Arc<World>>,
    Path(number): Path<String>,
    Json(change): Json<NumberChange>,
) -> Result<Json<NumberChange>, ControlError> {
    world.change_number(&number, &change)?;
    Ok(Json(change))
}

/// `POST /simulator/media/expire`
pub(crate) async fn expire_media(State(world): State<Arc<World>>) -> Json<Value> {
    Json(json!({ "expired": world.expire_media() }))
}

/// `POST /simulator/account/{waba id}`
pub(crate) async fn update_account(
    State(world): State<Arc<World>>,
    Path(account): Path<String>,
    Json(value): Json<Value>,
) -> Result<Json<Value>, ControlError> {
    world.update_account(&account, value.clone())?;
    Ok(Json(value))
}

impl IntoResponse for ControlError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::NoTemplate(_) | Self::NoNumber(_) | Self::NoAccount(_) => StatusCode::NOT_FOUND,
            Self::NoThroughput | Self::NoEvent => StatusCode::BAD_REQUEST,
        };
        (status, Json(json!({ "error": self.to_string() }))).into_response()
    }
}
