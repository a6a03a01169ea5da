//! `/v1/accounts`: business phone numbers.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::Value;
use shared::account::{Account, DEFAULT_RATE, META_HIGHEST_RATE, NumberIdentity};
use shared::http::auth::Caller;
use shared::http::params::Params;
use shared::http::problem::{FieldError, Problem};
use shared::http::{body, limit};
use shared::id::AccountId;
use shared::secrets::AccessToken;
use shared::time::UnixMillis;

use crate::Api;
use crate::idempotency::NewId;
use crate::view::{self, AccountView};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewAccount {
    name: String,
    phone_number_id: String,
    waba_id: String,
    display_phone_number: String,
    access_token: String,
    #[serde(default)]
    messages_per_second: Option<u32>,
    #[serde(default)]
    timezone: Option<String>,
}

/// Where a list goes on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Paging {
    limit: Option<String>,
    cursor: Option<AccountId>,
}

/// `POST /v1/accounts`.
pub(crate) async fn create(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Extension(NewId(id)): Extension<NewId>,
    payload: Bytes,
) -> Result<(StatusCode, Json<AccountView>), Problem> {
    let new: NewAccount = body::read(&payload)?;
    check(&new)?;
    let number = NumberIdentity {
        phone_number_id: new.phone_number_id,
        waba_id: new.waba_id,
        display_phone_number: new.display_phone_number,
    };
    let account = Account {
        name: new.name.trim().to_owned(),
        messages_per_second: new.messages_per_second.unwrap_or(DEFAULT_RATE),
        timezone: new.timezone.unwrap_or_else(|| "UTC".to_owned()),
        ..Account::new(AccountId::from_ulid(id), caller.workspace, number, UnixMillis::now())
    };
    // The token first: an account without one could not send, a token without an account is read by nobody.
    api.secrets.keep_token(caller.workspace, account.id, &AccessToken::new(&new.access_token)).await?;
    if !api.core.create_account(&account).await? {
        // A run that was cut off after its writes finds its own account.
        if let Some(ours) = api.core.account(caller.workspace, account.id).await? {
            return Ok((StatusCode::CREATED, Json(AccountView::from(&ours))));
        }
        return Err(Problem::conflict("this phone_number_id is connected already", None));
    }
    Ok((StatusCode::CREATED, Json(AccountView::from(&account))))
}

fn check(new: &NewAccount) -> Result<(), Problem> {
    let mut errors = Vec::new();
    let mut wrong = |pointer: &str, reason: &str| {
        errors.push(FieldError { pointer: pointer.to_owned(), reason: reason.to_owned() });
    };
    if new.name.trim().is_empty() {
        wrong("/name", "must not be empty");
    }
    for (pointer, text) in [("/name", &new.name), ("/display_phone_number", &new.display_phone_number)] {
        if text.chars().count() > 256 {
            wrong(pointer, "must have at most 256 characters");
        }
    }
    if new.access_token.len() > 4_096 {
        wrong("/access_token", "must have at most 4096 characters, as much as a parameter holds");
    }
    let digits = |text: &str| !text.is_empty() && text.len() <= 32 && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(&new.phone_number_id) {
        wrong("/phone_number_id", "must be Meta's id of the number: digits only");
    }
    if !digits(&new.waba_id) {
        wrong("/waba_id", "must be Meta's id of the WhatsApp Business Account: digits only");
    }
    if new.access_token.trim().is_empty() {
        wrong("/access_token", "must not be empty");
    }
    if !(1..=META_HIGHEST_RATE).contains(&new.messages_per_second.unwrap_or(DEFAULT_RATE)) {
        wrong("/messages_per_second", "must be from 1 to 1000, Meta's highest throughput");
    }
    if new.timezone.as_deref().is_some_and(|zone| jiff::tz::TimeZone::get(zone).is_err()) {
        wrong("/timezone", "must be an IANA time zone such as Asia/Kuala_Lumpur");
    }
    if errors.is_empty() { Ok(()) } else { Err(Problem::all_invalid(errors)) }
}

/// `GET /v1/accounts/{id}`.
pub(crate) async fn one(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<AccountView>, Problem> {
    let id = id.parse().map_err(|_| Problem::not_found("account"))?;
    let account = api.core.account(caller.workspace, id).await?.ok_or_else(|| Problem::not_found("account"))?;
    Ok(Json(AccountView::from(&account)))
}

/// `GET /v1/accounts`.
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Params(paging): Params<Paging>,
) -> Result<Json<Value>, Problem> {
    let limit = limit(paging.limit.as_deref())?;
    let listed = api.core.accounts(caller.workspace, paging.cursor, limit).await?;
    let next = view::next_cursor(&listed, |account| account.id.to_string());
    let accounts: Vec<AccountView> = listed.rows.iter().map(AccountView::from).collect();
    Ok(Json(serde_json::json!({"data": accounts, "next_cursor": next})))
}
