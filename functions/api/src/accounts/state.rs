//! Pausing an account and letting it go on, by hand. Its campaigns stop and go on with it.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::{Extension, Json};
use serde::Deserialize;
use shared::account::{AccountPausedBy, AccountStatus};
use shared::campaign::Status;
use shared::http::auth::Caller;
use shared::http::body;
use shared::http::problem::Problem;
use shared::id::WorkspaceId;
use shared::queue::DispatchCommand;
use shared::store::Followed;
use shared::time::UnixMillis;

use super::{MAX_TEXT_CHARS, find, wrong};
use crate::Api;
use crate::view::AccountView;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPause {
    #[serde(default)]
    reason: Option<String>,
    #[serde(default, with = "shared::time::rfc3339::option")]
    until: Option<UnixMillis>,
}

/// `POST /v1/accounts/{id}/pause`. The operator may make a pause of Meta's or after errors his own.
pub(crate) async fn pause(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    payload: Bytes,
) -> Result<Json<AccountView>, Problem> {
    let now = UnixMillis::now();
    let asked: Option<NewPause> = if payload.is_empty() { None } else { body::read(&payload)? };
    let NewPause { reason, until } = asked.unwrap_or_default();
    let mut errors = Vec::new();
    if reason.as_ref().is_some_and(|reason| reason.trim().is_empty() || reason.chars().count() > MAX_TEXT_CHARS) {
        errors.push(wrong("/reason", format!("must have 1 to {MAX_TEXT_CHARS} characters, or be left out")));
    }
    if until.is_some_and(|until| until <= now) {
        errors.push(wrong("/until", "must lie ahead"));
    }
    if !errors.is_empty() {
        return Err(Problem::all_invalid(errors));
    }
    let account = find(&api, caller, &id).await?;
    let reason = reason.as_deref().map_or("paused by the operator", str::trim);
    let by = AccountPausedBy::Operator;
    let paused = api.core.halt_account(account.workspace, account.id, reason, until, by, now).await?;
    if !paused {
        let detail = "pause is possible when the account is active, or paused by errors or by Meta";
        return Err(Problem::conflict(detail, Some(AccountStatus::Paused.name())));
    }
    Ok(Json(AccountView::from(&find(&api, caller, &id).await?)))
}

/// `POST /v1/accounts/{id}/resume`.
pub(crate) async fn resume(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<AccountView>, Problem> {
    let account = find(&api, caller, &id).await?;
    let Some(followed) = api.core.release_account(account.workspace, account.id, UnixMillis::now()).await? else {
        let detail = "resume is possible when the account is paused";
        return Err(Problem::conflict(detail, Some(AccountStatus::Active.name())));
    };
    wake(&api, account.workspace, &followed).await;
    Ok(Json(AccountView::from(&find(&api, caller, &id).await?)))
}

/// Gives campaigns that run again to `dispatch`. What its queue does not take, the watchdog's next tick finds.
pub(crate) async fn wake(api: &Api, workspace: WorkspaceId, followed: &[Followed]) {
    for (campaign, _) in followed.iter().filter(|(_, status)| *status == Status::Running) {
        let command = DispatchCommand::Resume { workspace, campaign: *campaign };
        if let Err(error) = api.dispatch.send(&command, Duration::ZERO).await {
            tracing::warn!(%campaign, %error, "dispatch could not be woken; its schedule will do it");
        }
    }
}
