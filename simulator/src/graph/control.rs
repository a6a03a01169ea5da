//! The simulator's own endpoints, which Meta does not have: the ledger and the faults.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use serde_json::{Value, json};

use crate::faults::Faults;
use crate::ledger::{Ledger, Totals};
use crate::rate::{RateQuery, Rates};
use crate::world::World;

/// `GET /simulator/ledger`
pub(crate) async fn ledger(State(world): State<Arc<World>>) -> Json<Ledger> {
    let ledger = world.book().ledger();
    Json(ledger)
}

/// `GET /simulator/totals`
pub(crate) async fn totals(State(world): State<Arc<World>>) -> Json<Totals> {
    let ledger = world.book().ledger();
    Json(ledger.totals())
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
