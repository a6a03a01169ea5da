//! `/v1/campaigns`: creating, listing, and looking at one with its progress.

use std::sync::Arc;

use axum::extract::{FromRequest, Path, Request, State};
use axum::http::{StatusCode, header};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};
use shared::campaign::{Campaign, PageNumber, Status};
use shared::http::auth::Caller;
use shared::http::params::Params;
use shared::http::problem::Problem;
use shared::http::{body, limit};
use shared::id::CampaignId;
use shared::rollup::contribution::{campaign_pk, hour_of, view as views};
use shared::rollup::tally::{Tally, accepted_in_last_minute};
use shared::rollup::unsent::Unsent;
use shared::store::PageState;
use shared::time::UnixMillis;

use crate::Api;
use crate::audience;
use crate::create::{self, NewCampaign};
use crate::draft;
use crate::idempotency::NewId;
use crate::outlook::{self, Pace};
use crate::view::{self, CampaignView};

/// Where a list goes on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Paging {
    limit: Option<String>,
    cursor: Option<CampaignId>,
}

/// `POST /v1/campaigns`: JSON, or a form with the parts `campaign` (JSON) and `audience` (CSV).
pub(crate) async fn create(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Extension(NewId(id)): Extension<NewId>,
    request: Request,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (definition, csv) = match kind.split(';').next().unwrap_or_default().trim() {
        "multipart/form-data" => {
            let [definition, csv] = audience::read_form(request, ["campaign", "audience"]).await?;
            let missing = || Problem::invalid("/campaign", "the form needs this part: the definition as JSON");
            (definition.ok_or_else(missing)?, csv)
        }
        "" | "application/json" => {
            let bytes = axum::body::Bytes::from_request(request, &()).await;
            (bytes.map_err(|_| Problem::too_large("a body has at most 10 MiB"))?, None)
        }
        _ => {
            return Err(Problem::unsupported_media_type(
                "send application/json, or multipart/form-data with the parts campaign (JSON) and audience (CSV)",
            ));
        }
    };
    let mut new: NewCampaign = body::read(&definition)?;
    let field = new.audience.take();
    let draft = create::draft(caller.workspace, CampaignId::from_ulid(id), new)?;
    let audience = audience::of(&api, caller.workspace, id, field, csv).await?;
    let created = draft::create(&api, draft, audience).await?;
    Ok((StatusCode::CREATED, Json(created)))
}

/// `GET /v1/campaigns`.
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Params(paging): Params<Paging>,
) -> Result<Json<Value>, Problem> {
    let limit = limit(paging.limit.as_deref())?;
    let listed = api.core.campaigns(caller.workspace, paging.cursor, limit).await?;
    let next = view::next_cursor(&listed, |campaign| campaign.id.to_string());
    let campaigns: Vec<CampaignView<'_>> = listed.rows.iter().map(CampaignView::from).collect();
    Ok(Json(json!({"data": campaigns, "next_cursor": next})))
}

/// `GET /v1/campaigns/{id}`.
pub(crate) async fn one(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let campaign = find(&api, caller, &id).await?;
    Ok(Json(shown(&api, &campaign).await?))
}

/// The caller's campaign of this id.
pub(crate) async fn find(api: &Api, caller: Caller, id: &str) -> Result<Campaign, Problem> {
    let id = id.parse().map_err(|_| Problem::not_found("campaign"))?;
    api.core.campaign(caller.workspace, id).await?.ok_or_else(|| Problem::not_found("campaign"))
}

/// What is counted of the campaign's attempts.
pub(crate) async fn tally(api: &Api, campaign: &Campaign) -> Result<Tally, Problem> {
    let totals = api.rollups.items(&campaign_pk(campaign.workspace, campaign.id), views::TOTAL).await?;
    Ok(Tally::of(totals.iter().map(|item| (item.sk.as_str(), &item.counts))))
}

/// The campaign with its progress.
pub(crate) async fn shown(api: &Api, campaign: &Campaign) -> Result<Value, Problem> {
    let now = UnixMillis::now();
    let pk = campaign_pk(campaign.workspace, campaign.id);
    let tally = tally(api, campaign).await?.all();
    let mut minutes = Vec::new();
    let (this_hour, last_hour) = (hour_of(now), hour_of(UnixMillis(now.0 - 60_000)));
    for hour in [Some(&this_hour), Some(&last_hour).filter(|last| **last != this_hour)].into_iter().flatten() {
        minutes.extend(api.rollups.items(&pk, &format!("{}#{hour}", views::MINUTE)).await?);
    }
    let actual = accepted_in_last_minute(minutes.iter().map(|item| (item.sk.as_str(), &item.counts)), now);
    let account = api.core.account(campaign.workspace, campaign.account).await?;
    let state = api.core.throttle_state(campaign.workspace, campaign.account).await?;
    let pace = Pace::of(campaign, account.as_ref(), &state, now);
    let (pages_done, pages) = pages(api, campaign).await?;
    let waiting = outlook::waiting(campaign, account.as_ref(), &state, &pages, now);
    let unsent = Unsent::of(campaign, &tally);
    let left = i64::from(campaign.planned()) - tally.count("claimed") - tally.count("skipped");
    let eta = pace.eta(left, now).filter(|_| campaign.status == Status::Running).map(UnixMillis::to_rfc3339);

    let mut shown = serde_json::to_value(CampaignView::from(campaign)).map_err(|error| Problem::internal(&error))?;
    shown["progress"] = json!({
        "total": campaign.recipients,
        "pages_done": pages_done,
        "claimed": tally.count("claimed"),
        "accepted": tally.count("accepted"),
        "skipped": unsent.skipped,
        "holdout": campaign.holdout,
        "failed": tally.count("failed"),
        "unknown": tally.count("unknown"),
    });
    shown["rate"] = pace.shown(actual);
    shown["eta"] = json!(eta);
    shown["waiting"] = waiting;
    Ok(shown)
}

/// Pages done, and those that are not, as far as they were given out.
async fn pages(api: &Api, campaign: &Campaign) -> Result<(u32, Vec<PageState>), Problem> {
    if campaign.status == Status::Scheduled {
        return Ok((0, Vec::new()));
    }
    let from = PageNumber(campaign.done_before);
    let states = api.core.pages_from(campaign.workspace, campaign.id, from).await?;
    let this_round = states.into_iter().map(|(_, state)| state).filter(|state| state.round == campaign.round);
    let (done, left): (Vec<_>, Vec<_>) = this_round.partition(|state| state.done_at.is_some());
    Ok((campaign.done_before + u32::try_from(done.len()).unwrap_or(0), left))
}
