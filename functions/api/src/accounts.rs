//! `/v1/accounts`: business phone numbers. Connecting and looking at them is here; changing them in [`change`], pausing
//! them in [`state`], asking Meta about them in [`meta`], and what they may still send in [`quota`].

pub(crate) mod change;
pub(crate) mod meta;
pub(crate) mod quota;
pub(crate) mod state;

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::Value;
use shared::account::{Account, DEFAULT_RATE, DEFAULT_TIMEZONE, Limits, META_HIGHEST_RATE, NumberIdentity};
use shared::http::auth::Caller;
use shared::http::params::Params;
use shared::http::problem::{FieldError, Problem};
use shared::http::{body, limit};
use shared::id::AccountId;
use shared::safety::Safety;
use shared::secrets::AccessToken;
use shared::time::UnixMillis;

use crate::Api;
use crate::idempotency::NewId;
use crate::view::{self, AccountView};

/// Longest name, portfolio or number as people write it.
const MAX_TEXT_CHARS: usize = 256;

/// Longest access token: as much as a parameter of Parameter Store holds (AWS, standard parameters).
const MAX_TOKEN_BYTES: usize = 4_096;

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
    limits: Option<Limits>,
    #[serde(default)]
    safety: Option<Safety>,
    #[serde(default)]
    timezone: Option<String>,
    #[serde(default)]
    portfolio: Option<String>,
}

/// Where a list goes on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Paging {
    limit: Option<String>,
    cursor: Option<AccountId>,
}

/// `POST /v1/accounts`. Meta is asked about the number with its token; what it says is stored, and what is wrong with it
/// is a warning only, for Meta may be out of reach or the number not ready yet.
pub(crate) async fn create(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Extension(NewId(id)): Extension<NewId>,
    payload: Bytes,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let new: NewAccount = body::read(&payload)?;
    let token = AccessToken::new(&new.access_token);
    let mut errors = wrong_ids(&new);
    check_token(&token, &mut errors);
    let now = UnixMillis::now();
    let number = NumberIdentity {
        phone_number_id: new.phone_number_id,
        waba_id: new.waba_id,
        display_phone_number: new.display_phone_number.trim().to_owned(),
    };
    let mut account = Account {
        name: new.name.trim().to_owned(),
        messages_per_second: new.messages_per_second.unwrap_or(DEFAULT_RATE),
        limits: new.limits.unwrap_or_default(),
        safety: new.safety.unwrap_or_default(),
        timezone: new.timezone.unwrap_or_else(|| DEFAULT_TIMEZONE.to_owned()),
        portfolio: new.portfolio.map(|portfolio| portfolio.trim().to_owned()),
        ..Account::new(AccountId::from_ulid(id), caller.workspace, number, now)
    };
    check(&account, &mut errors);
    if !errors.is_empty() {
        return Err(Problem::all_invalid(errors));
    }
    // The token first: an account without one could not send, a token without an account is read by nobody.
    api.secrets.keep_token(caller.workspace, account.id, &token).await?;
    let warnings = meta::learn(&api, &mut account, &token, now).await;
    if !api.core.create_account(&account).await? {
        // A run that was cut off after its writes finds its own account.
        account = api
            .core
            .account(caller.workspace, account.id)
            .await?
            .ok_or_else(|| Problem::conflict("this phone_number_id is connected already", None))?;
    }
    Ok((StatusCode::CREATED, Json(meta::with_warnings(&account, &warnings)?)))
}

fn wrong_ids(new: &NewAccount) -> Vec<FieldError> {
    let digits = |text: &str| !text.is_empty() && text.len() <= 32 && text.bytes().all(|byte| byte.is_ascii_digit());
    let ids = [
        ("/phone_number_id", &new.phone_number_id, "must be Meta's id of the number: digits only"),
        ("/waba_id", &new.waba_id, "must be Meta's id of the WhatsApp Business Account: digits only"),
    ];
    ids.into_iter().filter(|(_, id, _)| !digits(id)).map(|(pointer, _, reason)| wrong(pointer, reason)).collect()
}

fn wrong(pointer: impl Into<String>, reason: impl Into<String>) -> FieldError {
    FieldError { pointer: pointer.into(), reason: reason.into() }
}

fn check_token(token: &AccessToken, errors: &mut Vec<FieldError>) {
    match token.expose().len() {
        0 => errors.push(wrong("/access_token", "must not be empty")),
        1..=MAX_TOKEN_BYTES => {}
        _ => errors.push(wrong("/access_token", "must have at most 4096 characters, as much as a parameter holds")),
    }
}

/// What is wrong with what an operator may set of an account.
fn check(account: &Account, errors: &mut Vec<FieldError>) {
    let portfolio = account.portfolio.as_ref();
    for (pointer, text) in [("/name", Some(&account.name)), ("/portfolio", portfolio)] {
        if text.is_some_and(String::is_empty) {
            errors.push(wrong(pointer, "must not be empty"));
        }
    }
    for (pointer, text) in [
        ("/name", Some(&account.name)),
        ("/display_phone_number", Some(&account.display_phone_number)),
        ("/portfolio", portfolio),
    ] {
        if text.is_some_and(|text| text.chars().count() > MAX_TEXT_CHARS) {
            errors.push(wrong(pointer, format!("must have at most {MAX_TEXT_CHARS} characters")));
        }
    }
    if !(1..=META_HIGHEST_RATE).contains(&account.messages_per_second) {
        errors.push(wrong("/messages_per_second", "must be from 1 to 1000, Meta's highest throughput"));
    }
    if jiff::tz::TimeZone::get(&account.timezone).is_err() {
        errors.push(wrong("/timezone", "must be an IANA time zone such as Asia/Kuala_Lumpur"));
    }
    errors.extend(account.limits.check().into_iter().map(|(at, reason)| wrong(format!("/limits{at}"), reason)));
    errors.extend(account.safety.check().into_iter().map(|(at, reason)| wrong(format!("/safety{at}"), reason)));
}

/// The caller's account of this id.
async fn find(api: &Api, caller: Caller, id: &str) -> Result<Account, Problem> {
    let id = id.parse().map_err(|_| Problem::not_found("account"))?;
    api.core.account(caller.workspace, id).await?.ok_or_else(|| Problem::not_found("account"))
}

/// `GET /v1/accounts/{id}`.
pub(crate) async fn one(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<AccountView>, Problem> {
    Ok(Json(AccountView::from(&find(&api, caller, &id).await?)))
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
