//! Asking Meta about a number and storing what it says.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::{Extension, Json};
use serde_json::{Value, json};
use shared::account::Account;
use shared::http::auth::Caller;
use shared::http::problem::Problem;
use shared::meta::number::NumberUnknown;
use shared::secrets::AccessToken;
use shared::time::UnixMillis;

use super::find;
use crate::Api;
use crate::view::AccountView;

/// `POST /v1/accounts/{id}/refresh`.
pub(crate) async fn refresh(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let account = find(&api, caller, &id).await?;
    // An account of before this route was written would not hear what Meta tells about its business account.
    api.core.route_waba(&account).await?;
    // Nor would anybody look at it.
    api.core.watch_account(&account).await?;
    let token = api.secrets.token_of(&account).await?;
    // Before the question: what a webhook tells while Meta answers is newer.
    let now = UnixMillis::now();
    let state = api.graph.number(&account.phone_number_id, &token).await.map_err(|error| match error {
        NumberUnknown::Refused(error) => Problem::refused_by_meta(&error),
        NumberUnknown::NoAnswer | NumberUnknown::Unreadable => Problem::unavailable(&error),
    })?;
    let told = api.core.change_account(account.workspace, account.id, |account| state.tell(account, now)).await?;
    let (account, ()) = told.ok_or_else(|| Problem::not_found("account"))?;
    let warnings: Vec<String> = state.warning().into_iter().collect();
    Ok(Json(with_warnings(&account, &warnings)?))
}

/// Asks Meta about a new account's number, and notes what it says; what is wrong, for people.
pub(super) async fn learn(api: &Api, account: &mut Account, token: &AccessToken, now: UnixMillis) -> Vec<String> {
    match api.graph.number(&account.phone_number_id, token).await {
        Ok(state) => {
            state.tell(account, now);
            state.warning().into_iter().collect()
        }
        Err(NumberUnknown::Refused(error)) => vec![format!(
            "Meta refuses the access token or the number with {}: {}; the account was created all the same",
            error.code, error.title
        )],
        Err(error @ (NumberUnknown::NoAnswer | NumberUnknown::Unreadable)) => {
            vec![format!("the access token could not be checked: {error}; refresh the account later")]
        }
    }
}

/// The account with what people should know at this moment.
pub(super) fn with_warnings(account: &Account, warnings: &[String]) -> Result<Value, Problem> {
    let shown = serde_json::to_value(AccountView::from(account));
    let mut shown = shown.map_err(|error| Problem::internal(&error))?;
    shown["warnings"] = json!(warnings);
    Ok(shown)
}
