//! What a campaign has achieved, read from counters, and who its recipients are, read from rows; people's journeys, sessions
//! and conversations, computed from their events; the health of accounts. Reads only.

mod attribution;
mod audit;
mod breakdown;
mod feed;
mod health;
mod journey;
mod people;
mod person;
mod quarantined;
mod report;
mod span;
mod talks;
mod way;

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Extension, Json, Router, middleware};
use shared::aws::Clients;
use shared::blob::Bucket;
use shared::campaign::Campaign;
use shared::config::{InvalidSettings, Settings};
use shared::http::auth::{ApiKeys, Caller, KeyHash, require_key};
use shared::http::problem::Problem;
use shared::rollup::contribution::{campaign_pk, view};
use shared::rollup::tally::Tally;
use shared::store::Core;
use shared::store::rollups::Rollups;
use shared::time::UnixMillis;

pub use crate::report::Report;

/// What the function is told by its environment.
pub struct Config {
    core_table: String,
    rollup_table: String,
    bucket: String,
    admin_key: KeyHash,
}

impl Config {
    /// Reads `CORE_TABLE`, `ROLLUP_TABLE`, `BUCKET` and `ADMIN_API_KEY_SHA256`.
    ///
    /// # Errors
    /// With everything that is missing or malformed.
    pub fn read(mut settings: Settings) -> Result<Self, InvalidSettings> {
        let core_table = settings.required("CORE_TABLE");
        let rollup_table = settings.required("ROLLUP_TABLE");
        let bucket = settings.required("BUCKET");
        let admin_key = settings.required("ADMIN_API_KEY_SHA256");
        settings.finish(|| {
            Some(Self { core_table: core_table?, rollup_table: rollup_table?, bucket: bucket?, admin_key: admin_key? })
        })
    }
}

/// What the handlers work with.
pub struct Analytics {
    core: Core,
    rollups: Rollups,
    bucket: Bucket,
    keys: ApiKeys,
}

impl Analytics {
    /// Connects the configuration with the clients.
    #[must_use]
    pub fn new(config: Config, clients: &Clients) -> Self {
        Self {
            core: Core::new(clients.dynamodb.clone(), config.core_table),
            rollups: Rollups::new(clients.dynamodb.clone(), config.rollup_table),
            bucket: Bucket::new(clients.s3.clone(), config.bucket),
            keys: ApiKeys::new(config.admin_key),
        }
    }
}

/// The routes of the reports.
pub fn router(analytics: Analytics) -> Router {
    let analytics = Arc::new(analytics);
    Router::new()
        .route("/v1/audit", get(audit::list))
        .route("/v1/campaigns/{id}/report", get(campaign_report))
        .route("/v1/campaigns/{id}/breakdown", get(breakdown::breakdown))
        .route("/v1/campaigns/{id}/timeseries", get(breakdown::timeseries))
        .route("/v1/campaigns/{id}/recipients", get(people::list))
        .route("/v1/campaigns/{id}/recipients/{phone}", get(people::one))
        .route("/v1/campaigns/{id}/recipients/{phone}/send-response", get(people::send_response))
        .route("/v1/events", get(feed::list))
        .route("/v1/contacts/{id}/journey", get(journey::journey))
        .route("/v1/contacts/{id}/sessions", get(journey::list_sessions))
        .route("/v1/contacts/{id}/conversations", get(talks::of_contact))
        .route("/v1/conversations", get(talks::of_account))
        .route("/v1/accounts/{id}/health", get(health::of_account))
        .route("/v1/analytics/attribution", get(attribution::attribution))
        .route("/v1/analytics/response-times", get(talks::response_times))
        .route("/v1/analytics/sessions", get(talks::account_sessions))
        .route("/v1/events/quarantined", get(quarantined::list))
        .route("/v1/events/unknown", get(quarantined::unknown))
        .layer(middleware::from_fn_with_state(analytics.keys.clone(), require_key))
        .fallback(async || Problem::not_found("path"))
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .with_state(analytics)
}

async fn find(analytics: &Analytics, caller: Caller, id: &str) -> Result<Campaign, Problem> {
    let id = id.parse().map_err(|_| Problem::not_found("campaign"))?;
    analytics.core.campaign(caller.workspace, id).await?.ok_or_else(|| Problem::not_found("campaign"))
}

/// `GET /v1/campaigns/{id}/report`: counters only, so it takes as long for a million recipients as for ten.
async fn campaign_report(
    State(analytics): State<Arc<Analytics>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Report>, Problem> {
    let campaign = find(&analytics, caller, &id).await?;
    let pk = campaign_pk(campaign.workspace, campaign.id);
    let mut items = Vec::new();
    for view in [view::TOTAL, view::DELAY, view::CLICK, view::VISIT] {
        items.extend(analytics.rollups.items(&pk, view).await?);
    }
    let tally = Tally::of(items.iter().map(|item| (item.sk.as_str(), &item.counts)));
    Ok(Json(Report::new(&campaign, &tally, UnixMillis::now())))
}
