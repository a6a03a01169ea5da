//! `/v1/links`: free links, which belong to no campaign: for a QR code, a static button, a page. And what can be done to every
//! link: look at it, count its clicks, print it, revoke it.

pub(crate) mod create;
pub(crate) mod qr;

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use shared::http::auth::Caller;
use shared::http::limit;
use shared::http::params::Params;
use shared::http::problem::Problem;
use shared::id::{TrackedLinkId, WorkspaceId};
use shared::link::Link;
use shared::rollup::contribution::{link_pk, view as views};
use shared::rollup::tally::Tally;
use shared::time::UnixMillis;

use crate::{Api, view};

/// Where a list goes on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Paging {
    limit: Option<String>,
    cursor: Option<TrackedLinkId>,
}

/// `GET /v1/links`: the free links, newest first, revoked ones too.
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Params(paging): Params<Paging>,
) -> Result<Json<Value>, Problem> {
    let limit = limit(paging.limit.as_deref())?;
    let listed = api.core.free_links(caller.workspace, paging.cursor, limit).await?;
    let next = view::next_cursor(&listed, |link| link.public_id().to_string());
    let links: Vec<Value> = listed.rows.iter().map(|link| view_of(&api, link)).collect();
    Ok(Json(json!({"data": links, "next_cursor": next})))
}

/// `GET /v1/links/{id}`.
pub(crate) async fn one(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(view_of(&api, &find(&api, caller.workspace, &id).await?)))
}

/// `POST /v1/links/{id}/revoke`: it answers 404 a minute later at the latest, and never leads anywhere again.
pub(crate) async fn revoke(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let link = find(&api, caller.workspace, &id).await?;
    let revoked = api.core.revoke_link(caller.workspace, link.id, UnixMillis::now()).await?;
    Ok(Json(view_of(&api, &revoked.ok_or_else(|| Problem::not_found("link"))?)))
}

/// `DELETE /v1/links/{id}`: the same. The row stays: its number and its alias must not become another link's.
pub(crate) async fn delete(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let link = find(&api, caller.workspace, &id).await?;
    api.core.revoke_link(caller.workspace, link.id, UnixMillis::now()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /v1/campaigns/{id}/revoke-links`: every link of every recipient. Messages that leave afterwards carry links that lead
/// nowhere, so a campaign that runs is paused first.
pub(crate) async fn revoke_of_campaign(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let not_found = || Problem::not_found("campaign");
    let id = id.parse().map_err(|_| not_found())?;
    let campaign = api.core.campaign(caller.workspace, id).await?.ok_or_else(not_found)?;
    let now = UnixMillis::now();
    let mut links = Vec::new();
    for link in &campaign.links {
        // One that is revoked keeps its time, so a run after a crash does the rest.
        links.extend(api.core.revoke_link(caller.workspace, link.id, now).await?);
    }
    let links: Vec<Value> = links.iter().map(|link| view_of(&api, link)).collect();
    Ok(Json(json!({"campaign_id": campaign.id, "revoked": links.len(), "links": links})))
}

/// `GET /v1/links/{id}/stats`: from counters. `human` leaves out repeats within 30 seconds; `unique` counts recipients, and of
/// a shared code the visitors of each day, told apart by network and user agent.
pub(crate) async fn stats(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let link = find(&api, caller.workspace, &id).await?;
    let pk = link_pk(link.workspace, link.id);
    let mut items = api.rollups.items(&pk, views::CLICK).await?;
    items.extend(api.rollups.items(&pk, views::VISIT).await?);
    let tally = Tally::of(items.iter().map(|item| (item.sk.as_str(), &item.counts)));
    let counted = |dimension: &str| -> Map<String, Value> {
        tally.clicks_by(dimension).into_iter().map(|(name, n)| (name, n.into())).collect()
    };
    Ok(Json(json!({
        "clicks": {"raw": tally.clicks("raw"), "human": tally.clicks("human"), "unique": tally.clicks("unique")},
        "excluded": counted("machine"),
        "by": {
            "device": counted("device"),
            "os": counted("os"),
            "browser": counted("browser"),
            "country": counted("country"),
            "region": counted("region"),
            "city": counted("city"),
            "referrer": counted("referrer"),
            "hour": counted("hour"),
        },
    })))
}

async fn find(api: &Api, workspace: WorkspaceId, id: &str) -> Result<Link, Problem> {
    let not_found = || Problem::not_found("link");
    let id = id.parse().map_err(|_| not_found())?;
    api.core.link_of(workspace, id).await?.ok_or_else(not_found)
}

/// A link as the API shows it. `code` and `short_url` are null when its key was dropped from `LINK_KEYS`.
fn view_of(api: &Api, link: &Link) -> Value {
    json!({
        "id": link.public_id(),
        "code": api.links.shared_code(link).map(|code| code.to_string()),
        "short_url": api.links.shared_url(link),
        "url": link.url,
        "targets": link.targets,
        "utm": link.utm,
        "domain": link.domain,
        "alias": link.alias,
        "account_id": link.account,
        "campaign_id": link.campaign,
        "has_password": link.password.is_some(),
        "expires_at": link.valid_until.map(UnixMillis::to_rfc3339),
        "revoked_at": link.revoked_at.map(UnixMillis::to_rfc3339),
        "created_at": link.created_at.to_rfc3339(),
    })
}
