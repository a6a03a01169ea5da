//! How long data is kept, as the deployment says.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Map, Value, json};
use shared::retention::Kind;

use crate::Api;

/// `GET /v1/settings/retention`: days by kind of data; `null` is kept for good.
pub(crate) async fn show(State(api): State<Arc<Api>>) -> Json<Value> {
    let days = |kind: Kind| api.core.retention().of(kind).map(|kept| kept.as_secs() / 86_400);
    let rules: Map<String, Value> =
        Kind::ALL.into_iter().map(|kind| (kind.name().to_owned(), json!(days(kind)))).collect();
    Json(json!({"days": rules, "changed_by": "the setting RETENTION of the deployment"}))
}
