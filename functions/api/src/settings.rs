//! `/v1/settings`: what holds for the whole workspace.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::{Extension, Json};
use serde_json::{Value, json};
use shared::consent::ConsentSettings;
use shared::http::auth::Caller;
use shared::http::body;
use shared::http::problem::{FieldError, Problem};

use crate::Api;

/// `GET /v1/settings/consent`: by which words people say that they want messages or none any more, and what they are
/// answered; the defaults where nothing was set.
pub(crate) async fn consent(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(view(&api.core.consent_settings(caller.workspace).await?)))
}

/// `PUT /v1/settings/consent`: replaces them. What the body leaves out is as in the defaults, so `{}` goes back to them.
pub(crate) async fn set_consent(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    body: Bytes,
) -> Result<Json<Value>, Problem> {
    let settings: ConsentSettings = body::read(&body)?;
    let errors: Vec<FieldError> =
        settings.check().into_iter().map(|fault| FieldError { pointer: fault.pointer, reason: fault.reason }).collect();
    if !errors.is_empty() {
        return Err(Problem::all_invalid(errors));
    }
    api.core.set_consent_settings(caller.workspace, &settings).await?;
    Ok(Json(view(&settings)))
}

fn view(settings: &ConsentSettings) -> Value {
    json!({
        "opt_out_keywords": settings.opt_out_keywords,
        "opt_in_keywords": settings.opt_in_keywords,
        "confirmation": settings.confirmation,
    })
}
