//! `GET /v1/accounts/{id}/health`: how well a number does, each lost point with its cause and what to do, and what Meta has
//! told of it.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::{Extension, Json};
use serde_json::{Value, json};
use shared::account::Account;
use shared::activity::Event;
use shared::health::{DAYS, Health, Measured};
use shared::http::auth::Caller;
use shared::http::problem::Problem;
use shared::rollup::account_day::{Days, account_pk, sort_keys};
use shared::store::StoreError;
use shared::time::UnixMillis;

use crate::journey::contents;
use crate::{Analytics, span};

/// Notices that are shown, the newest ones.
const NOTICES: usize = 20;

/// The health of the caller's account of this id.
pub(crate) async fn of_account(
    State(analytics): State<Arc<Analytics>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let account = span::account(&analytics, caller, Some(&id)).await?;
    let now = UnixMillis::now();
    let (first, last) = sort_keys(UnixMillis(now.0 - i64::from(DAYS - 1) * 86_400_000), now);
    let pk = account_pk(account.workspace, account.id);
    let items = analytics.rollups.items_between(&pk, &first, &last).await?;
    let days = Days::of(items.iter().map(|item| (item.sk.as_str(), &item.counts)));
    let probes = analytics.core.probes(account.workspace, account.id, now).await?;
    let health = Health::of(&Measured { account: &account, days: &days, probes: &probes }, now);
    let latest = probes.latest_at(now).map(|at| {
        let troubles = probes.latest(now).into_iter().flatten().map(|trouble| trouble.name());
        json!({"at": at.to_rfc3339(), "troubles": troubles.collect::<Vec<_>>()})
    });
    let notices = notices(&analytics, &account).await?;
    Ok(Json(json!({
        "account_id": account.id,
        "as_of": now.to_rfc3339(),
        "score": health.score,
        "lost": health.lost,
        "figures": health.figures,
        "quality": account.quality,
        "status": account.status.name(),
        "status_reason": account.status_reason,
        "messaging_limit": account.messaging_limit,
        "latest_probe": latest,
        "notices": notices.iter().map(notice).collect::<Vec<_>>(),
    })))
}

/// What Meta has told of the account, newest first. What concerns the whole business account lies with one of its numbers.
async fn notices(analytics: &Analytics, account: &Account) -> Result<Vec<Event>, StoreError> {
    let mut notices = Vec::new();
    let mut numbers = analytics.core.accounts_of_waba(&account.waba_id).await?;
    if !numbers.contains(&(account.workspace, account.id)) {
        numbers.push((account.workspace, account.id));
    }
    for (workspace, number) in numbers.into_iter().filter(|(workspace, _)| *workspace == account.workspace) {
        notices.extend(analytics.core.notices(workspace, number, NOTICES).await?);
    }
    notices.sort_by_key(|event| std::cmp::Reverse((event.at, event.id)));
    notices.dedup_by_key(|event| event.id);
    notices.truncate(NOTICES);
    Ok(notices)
}

fn notice(event: &Event) -> Value {
    json!({
        "id": event.id,
        "type": event.content.kind(),
        "at": event.at.to_rfc3339(),
        "content": contents(&event.content),
    })
}
