//! `/v1/write-keys`: the publishable keys with which web pages report events.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};
use shared::collected::{MAX_ORIGINS, Origin, WriteKey};
use shared::http::auth::Caller;
use shared::http::params::Params;
use shared::http::problem::{FieldError, Problem};
use shared::http::{body, limit};
use shared::id::{AccountId, WriteKeyId};
use shared::time::UnixMillis;

use crate::Api;
use crate::create::MAX_NAME_CHARS;
use crate::idempotency::NewId;
use crate::view;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewKey {
    name: String,
    #[serde(default)]
    account_id: Option<AccountId>,
    #[serde(default)]
    allowed_origins: Vec<String>,
}

/// Where a list goes on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Paging {
    limit: Option<String>,
    cursor: Option<WriteKeyId>,
}

/// `POST /v1/write-keys`.
pub(crate) async fn create(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Extension(NewId(id)): Extension<NewId>,
    payload: Bytes,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let new: NewKey = body::read(&payload)?;
    let mut errors = Vec::new();
    let mut wrong = |pointer: String, reason: String| errors.push(FieldError { pointer, reason });
    let name = new.name.trim();
    if name.is_empty() || name.chars().count() > MAX_NAME_CHARS {
        wrong("/name".to_owned(), format!("must have 1 to {MAX_NAME_CHARS} characters"));
    }
    if new.allowed_origins.len() > MAX_ORIGINS {
        wrong("/allowed_origins".to_owned(), format!("must be at most {MAX_ORIGINS}"));
    }
    let mut allowed_origins = Vec::new();
    for (index, text) in new.allowed_origins.into_iter().enumerate() {
        match Origin::try_from(text) {
            Ok(origin) => allowed_origins.push(origin),
            Err(reason) => wrong(format!("/allowed_origins/{index}"), reason.to_string()),
        }
    }
    if let Some(account) = new.account_id
        && api.core.account(caller.workspace, account).await?.is_none()
    {
        wrong("/account_id".to_owned(), "there is no such account".to_owned());
    }
    if !errors.is_empty() {
        return Err(Problem::all_invalid(errors));
    }
    let key = WriteKey {
        v: 1,
        id: WriteKeyId::from_ulid(id),
        workspace: caller.workspace,
        name: name.to_owned(),
        account: new.account_id,
        allowed_origins,
        created_at: UnixMillis::now(),
        revoked_at: None,
    };
    let created = api.core.create_write_key(&key).await?;
    // An earlier run of this very request has made it.
    let stored = if created { None } else { api.core.write_key(key.id).await? };
    Ok((StatusCode::CREATED, Json(view_of(&stored.unwrap_or(key)))))
}

/// `GET /v1/write-keys`: newest first.
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Params(paging): Params<Paging>,
) -> Result<Json<Value>, Problem> {
    let limit = limit(paging.limit.as_deref())?;
    let listed = api.core.write_keys(caller.workspace, paging.cursor, limit).await?;
    let next = view::next_cursor(&listed, |key| key.id.to_string());
    let keys: Vec<Value> = listed.rows.iter().map(view_of).collect();
    Ok(Json(json!({"data": keys, "next_cursor": next})))
}

/// `DELETE /v1/write-keys/{key}`: pages that present it are refused, half a minute later at the latest.
pub(crate) async fn revoke(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let id = id.parse().map_err(|_| Problem::not_found("write key"))?;
    match api.core.revoke_write_key(caller.workspace, id, UnixMillis::now()).await? {
        Some(_) => Ok(StatusCode::NO_CONTENT),
        None => Err(Problem::not_found("write key")),
    }
}

/// A key is published in pages anyway, so it is shown whenever somebody looks.
fn view_of(key: &WriteKey) -> Value {
    json!({
        "key": key.id,
        "name": key.name,
        "account_id": key.account,
        "allowed_origins": key.allowed_origins,
        "created_at": key.created_at.to_rfc3339(),
        "revoked_at": key.revoked_at.map(UnixMillis::to_rfc3339),
    })
}
