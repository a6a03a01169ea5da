//! Looks at every account once in five minutes: whether Meta takes its token, whether its number may send, whether an app
//! hears of it, whether reports come. What is found goes into a row of the day; an answer that never came says nothing.
//!
//! A look costs one call of the number's node, and one more an hour for the subscriptions: 13 an hour for each number, of
//! the 200 an hour that Meta grants an app and a business account at least (Meta, rate limits).

use std::time::Duration;

use futures::StreamExt;
use shared::account::Account;
use shared::health::probes::{Slot, Trouble};
use shared::meta::error::ErrorClass;
use shared::meta::management::NotManaged;
use shared::meta::number::NumberUnknown;
use shared::rollup::account_day::{Days, account_pk, sort_keys};
use shared::secrets::{AccessToken, SecretError};
use shared::store::{AppsAsked, StoreError, Watched};
use shared::time::UnixMillis;

use crate::Dispatch;

/// Accounts that are looked at at the same time.
const AT_ONCE: usize = 16;

/// The looks of one invocation end after this. Those that were not begun are the next tick's.
const ENOUGH: Duration = Duration::from_secs(20);

/// How long what Meta said about subscriptions holds.
const APPS_HOLD: Duration = Duration::from_secs(3_600);

/// Looks at the accounts that nobody has looked at in this slot. It runs beside the watchdog's work and fails for itself:
/// what could not be looked at is looked at five minutes later.
pub(crate) async fn run(dispatch: &Dispatch, now: UnixMillis) {
    let slot = Slot::of(now);
    let accounts = match dispatch.core.accounts_to_probe(slot).await {
        Ok(accounts) => accounts,
        Err(error) => {
            tracing::error!(%error, "the accounts to look at could not be read");
            return;
        }
    };
    let looks = futures::stream::iter(accounts).for_each_concurrent(AT_ONCE, |watched| async move {
        if let Err(error) = one(dispatch, &watched, slot, now).await {
            tracing::error!(account = %watched.account, %error, "an account could not be looked at");
        }
    });
    if tokio::time::timeout(ENOUGH, looks).await.is_err() {
        tracing::warn!("the looks at accounts took too long and were broken off");
    }
}

#[derive(Debug, thiserror::Error)]
enum NotLooked {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Secrets(#[from] SecretError),
}

async fn one(dispatch: &Dispatch, watched: &Watched, slot: Slot, now: UnixMillis) -> Result<(), NotLooked> {
    // The slot is taken before Meta is called: two ticks at once call once, and a crash costs one look.
    let Some(watched) = dispatch.core.take_probe(watched.account, slot).await? else { return Ok(()) };
    let Some(account) = dispatch.core.account(watched.workspace, watched.account).await? else { return Ok(()) };
    let Some(troubles) = look(dispatch, &watched, &account, now).await? else { return Ok(()) };
    if !troubles.is_empty() {
        tracing::warn!(account = %account.id, ?troubles, "an account is not in order");
    }
    Ok(dispatch.core.record_probe(account.workspace, account.id, slot, &troubles).await?)
}

/// What is wrong with the account; `None` when nobody can tell.
async fn look(
    dispatch: &Dispatch,
    watched: &Watched,
    account: &Account,
    now: UnixMillis,
) -> Result<Option<Vec<Trouble>>, NotLooked> {
    let token = match dispatch.secrets.token_of(account).await {
        Ok(token) => token,
        Err(SecretError::Missing(_)) => return Ok(Some(vec![Trouble::Token])),
        Err(error) => return Err(error.into()),
    };
    let state = match dispatch.graph.number(&account.phone_number_id, &token).await {
        Ok(state) => state,
        Err(NumberUnknown::Refused(error)) => return Ok(of_refusal(error.class()).map(|trouble| vec![trouble])),
        Err(NumberUnknown::NoAnswer | NumberUnknown::Unreadable) => return Ok(None),
    };
    if state.is_news_to(account, now) {
        dispatch.core.change_account(account.workspace, account.id, |account| state.tell(account, now)).await?;
    }
    let mut troubles: Vec<Trouble> = Trouble::of_status(state.status.as_deref()).into_iter().collect();
    if !has_app(dispatch, watched, account, &token, now).await? {
        troubles.push(Trouble::App);
    }
    troubles.extend(Trouble::of_silence(&last_hours(dispatch, account, now).await?, now));
    Ok(Some(troubles))
}

/// What it says of the account that Meta refuses to show the number: what may pass says nothing.
fn of_refusal(class: ErrorClass) -> Option<Trouble> {
    match class {
        ErrorClass::Retry | ErrorClass::RetryAfterWindow => None,
        ErrorClass::PauseAccount => Some(Trouble::Token),
        ErrorClass::PauseTemplate | ErrorClass::DropRecipient | ErrorClass::OptOut | ErrorClass::Fix => {
            Some(Trouble::Number)
        }
    }
}

/// Whether an app is subscribed, as Meta said within the last hour; what cannot be asked counts as it was.
async fn has_app(
    dispatch: &Dispatch,
    watched: &Watched,
    account: &Account,
    token: &AccessToken,
    now: UnixMillis,
) -> Result<bool, StoreError> {
    if let Some(asked) = watched.apps.filter(|asked| asked.subscribed && now.since(asked.at) < APPS_HOLD) {
        return Ok(asked.subscribed);
    }
    match dispatch.graph.has_subscribed_app(&account.waba_id, token).await {
        Ok(subscribed) => {
            dispatch.core.keep_apps(account.id, AppsAsked { at: now, subscribed }).await?;
            Ok(subscribed)
        }
        Err(NotManaged::Refused { .. } | NotManaged::NoAnswer) => Ok(watched.apps.is_none_or(|asked| asked.subscribed)),
    }
}

/// The counters of the hours that silence is told from.
async fn last_hours(dispatch: &Dispatch, account: &Account, now: UnixMillis) -> Result<Days, StoreError> {
    let (first, last) = sort_keys(UnixMillis(now.0 - 3_600_000), now);
    let pk = account_pk(account.workspace, account.id);
    let items = dispatch.rollups.items_between(&pk, &first, &last).await?;
    Ok(Days::of(items.iter().map(|item| (item.sk.as_str(), &item.counts))))
}
