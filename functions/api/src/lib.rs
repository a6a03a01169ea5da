//! The API that operators and their programs write through: accounts, contacts, campaigns, and what can be done to them.
//! Reports are read from `analytics`.

mod accounts;
mod audience;
mod audit;
mod campaigns;
mod close;
mod contacts;
mod create;
mod draft;
mod duplicate;
mod erasures;
mod events;
mod exports;
mod idempotency;
mod imports;
mod lifecycle;
mod link_domains;
mod links;
mod lost_clicks;
mod media;
mod outlook;
mod preflight;
mod quarantine;
mod reservation;
mod retention;
mod settings;
mod templates;
mod terms;
mod uploads;
mod view;
mod webhooks;
mod write_keys;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::routing::{delete, get, post};
use axum::{Json, Router, middleware};
use shared::aws::Clients;
use shared::blob::Bucket;
use shared::config::{InvalidSettings, Settings};
use shared::http::auth::{ApiKeys, KeyHash, require_key};
use shared::http::problem::Problem;
use shared::link::ShortLinks;
use shared::link::code::KeyRing;
use shared::link::destination::Networks;
use shared::meta::client::{GraphClient, NoClient};
use shared::outbound::Rules;
use shared::queue::Queue;
use shared::retention::Retention;
use shared::secrets::Secrets;
use shared::store::Core;
use shared::store::rollups::Rollups;
use shared::subscription::outbox::Outbox;
use url::Url;

/// Largest body taken: API Gateway takes 10 MB, Lambda 6 MB.
const MAX_BODY_BYTES: usize = 10 * 1024 * 1024;

/// What the function is told by its environment.
pub struct Config {
    core_table: String,
    retention: Retention,
    rollup_table: String,
    bucket: String,
    dispatch_queue_url: String,
    events_queue_url: String,
    deliver_queue_url: String,
    rules: Rules,
    networks: Networks,
    link_base_url: Url,
    link_keys: KeyRing,
    admin_key: KeyHash,
    graph_url: String,
    graph_version: String,
}

impl Config {
    /// Reads `CORE_TABLE`, `ROLLUP_TABLE`, `BUCKET`, `DISPATCH_QUEUE_URL`, `EVENTS_QUEUE_URL`, `DELIVER_QUEUE_URL`, `LINK_BASE_URL`, `LINK_KEYS`,
    /// `ADMIN_API_KEY_SHA256` and, with Meta's own as default, `META_GRAPH_URL` and `META_GRAPH_VERSION`;
    /// `DELIVER_ALLOW_PRIVATE` (`false`) says whether webhooks may be on one's own network, `LINKS_ALLOW_PRIVATE` (`false`)
    /// whether links may lead there.
    ///
    /// # Errors
    /// With everything that is missing or malformed.
    pub fn read(mut settings: Settings) -> Result<Self, InvalidSettings> {
        let core_table = settings.required("CORE_TABLE");
        let retention = settings.or("RETENTION", Retention::default());
        let rollup_table = settings.required("ROLLUP_TABLE");
        let bucket = settings.required("BUCKET");
        let dispatch_queue_url = settings.required("DISPATCH_QUEUE_URL");
        let events_queue_url = settings.required("EVENTS_QUEUE_URL");
        let deliver_queue_url = settings.required("DELIVER_QUEUE_URL");
        let allow_private = settings.or("DELIVER_ALLOW_PRIVATE", false);
        let links_allow_private = settings.or("LINKS_ALLOW_PRIVATE", false);
        let link_base_url = settings.required("LINK_BASE_URL");
        let link_keys = settings.required("LINK_KEYS");
        let admin_key = settings.required("ADMIN_API_KEY_SHA256");
        let graph_url = settings.or("META_GRAPH_URL", "https://graph.facebook.com".to_owned());
        let graph_version = settings.or("META_GRAPH_VERSION", "v26.0".to_owned());
        settings.finish(|| {
            Some(Self {
                core_table: core_table?,
                retention,
                rollup_table: rollup_table?,
                bucket: bucket?,
                dispatch_queue_url: dispatch_queue_url?,
                events_queue_url: events_queue_url?,
                deliver_queue_url: deliver_queue_url?,
                rules: Rules::from_setting(allow_private),
                networks: Networks::from_setting(links_allow_private),
                link_base_url: link_base_url?,
                link_keys: link_keys?,
                admin_key: admin_key?,
                graph_url,
                graph_version,
            })
        })
    }
}

/// What the handlers work with.
pub struct Api {
    core: Core,
    rollups: Rollups,
    bucket: Bucket,
    dispatch: Queue,
    events: Queue,
    outbox: Outbox,
    rules: Rules,
    links: ShortLinks,
    /// The host of the deployment's own short links.
    link_host: Option<String>,
    networks: Networks,
    graph: GraphClient,
    secrets: Secrets,
    keys: ApiKeys,
}

impl Api {
    /// Connects the configuration with the clients.
    ///
    /// # Errors
    /// [`NoClient`].
    pub fn new(config: Config, clients: &Clients, secrets: Secrets) -> Result<Self, NoClient> {
        let core = Core::new(clients.dynamodb.clone(), config.core_table).keeping(config.retention);
        let deliver = Queue::new(clients.sqs.clone(), config.deliver_queue_url);
        Ok(Self {
            outbox: Outbox::new(core.clone(), deliver),
            rules: config.rules,
            core,
            rollups: Rollups::new(clients.dynamodb.clone(), config.rollup_table),
            bucket: Bucket::new(clients.s3.clone(), config.bucket),
            dispatch: Queue::new(clients.sqs.clone(), config.dispatch_queue_url),
            events: Queue::new(clients.sqs.clone(), config.events_queue_url),
            links: ShortLinks::new(config.link_base_url.as_str(), config.link_keys),
            link_host: config.link_base_url.host_str().map(str::to_owned),
            networks: config.networks,
            graph: GraphClient::new(&config.graph_url, &config.graph_version)?,
            secrets,
            keys: ApiKeys::new(config.admin_key),
        })
    }
}

/// The routes of the API.
pub fn router(api: Api) -> Router {
    let api = Arc::new(api);
    let keys = api.keys.clone();
    let writes = Router::new()
        .route("/v1/accounts", post(accounts::create))
        .route("/v1/accounts/{id}/pause", post(accounts::state::pause))
        .route("/v1/accounts/{id}/resume", post(accounts::state::resume))
        .route("/v1/accounts/{id}/refresh", post(accounts::meta::refresh))
        .route("/v1/campaigns", post(campaigns::create))
        .route("/v1/campaigns/{id}/start", post(lifecycle::start))
        .route("/v1/campaigns/{id}/pause", post(lifecycle::pause))
        .route("/v1/campaigns/{id}/resume", post(lifecycle::resume))
        .route("/v1/campaigns/{id}/cancel", post(lifecycle::cancel))
        .route("/v1/campaigns/{id}/retry-failed", post(lifecycle::retry_failed))
        .route("/v1/campaigns/{id}/revoke-links", post(links::revoke_of_campaign))
        .route("/v1/campaigns/{id}/duplicate", post(duplicate::duplicate))
        .route("/v1/campaigns/{id}/test", post(duplicate::test))
        .route("/v1/campaigns/{id}/recipients/{phone}/close", post(close::close))
        .route("/v1/accounts/{id}/templates", post(templates::create))
        .route("/v1/accounts/{id}/templates/{template}/unpause", post(templates::unpause))
        .route("/v1/audiences/uploads", post(uploads::create))
        .route("/v1/contacts", post(contacts::upsert))
        .route("/v1/contacts/import", post(imports::create))
        .route("/v1/contacts/{id}/opt-in", post(contacts::opt_in))
        .route("/v1/contacts/{id}/opt-out", post(contacts::opt_out))
        .route("/v1/contacts/{id}/merge", post(contacts::merging::merge))
        .route("/v1/contacts/{id}/unmerge", post(contacts::merging::unmerge))
        .route("/v1/events/quarantined/replay", post(quarantine::replay))
        .route("/v1/events/lost-clicks", post(lost_clicks::take_in))
        .route("/v1/contacts/{id}/erase", post(erasures::create))
        .route("/v1/events", post(events::tell))
        .route("/v1/media", post(media::create))
        .route("/v1/media/uploads", post(media::expect_upload))
        .route("/v1/links", post(links::create::create))
        .route("/v1/links/{id}/revoke", post(links::revoke))
        .route("/v1/link-domains", post(link_domains::add))
        .route("/v1/link-domains/{domain}/check", post(link_domains::check))
        .route("/v1/write-keys", post(write_keys::create))
        .route("/v1/webhooks", post(webhooks::create))
        .route("/v1/webhooks/{id}/rotate-secret", post(webhooks::rotate))
        .route("/v1/webhooks/{id}/test", post(webhooks::test))
        .route("/v1/webhooks/{id}/replay", post(webhooks::deliveries::replay))
        .route("/v1/webhooks/{id}/deliveries/{delivery}/replay", post(webhooks::deliveries::replay_one))
        .layer(middleware::from_fn_with_state(Arc::clone(&api), idempotency::repeat));
    let reads = Router::new()
        .route("/v1/accounts", get(accounts::list))
        .route("/v1/accounts/{id}", get(accounts::one).patch(accounts::change::change))
        .route("/v1/accounts/{id}/quota", get(accounts::quota::show))
        .route("/v1/campaigns", get(campaigns::list))
        .route("/v1/campaigns/{id}", get(campaigns::one))
        .route("/v1/campaigns/{id}/preflight", get(preflight::show))
        .route("/v1/accounts/{id}/templates", get(templates::list))
        .route(
            "/v1/accounts/{id}/templates/{template}",
            get(templates::one).patch(templates::edit).delete(templates::delete),
        )
        .route("/v1/contacts", get(contacts::search::list))
        .route("/v1/contacts/{id}", get(contacts::one).patch(contacts::change::change).delete(contacts::delete))
        .route("/v1/contacts/{id}/export", get(exports::show))
        .route("/v1/contacts/imports/{id}", get(imports::one))
        .route("/v1/contacts/imports/{id}/rejects", get(imports::rejects))
        .route("/v1/settings/consent", get(settings::consent).put(settings::set_consent))
        .route("/v1/erasures", get(erasures::list))
        .route("/v1/erasures/{id}", get(erasures::one))
        .route("/v1/settings/retention", get(retention::show))
        .route("/v1/media", get(media::list))
        .route("/v1/media/{id}", get(media::one).delete(media::delete))
        .route("/v1/links", get(links::list))
        .route("/v1/links/{id}", get(links::one).delete(links::delete))
        .route("/v1/links/{id}/stats", get(links::stats))
        .route("/v1/links/{id}/qr.svg", get(links::qr::svg))
        .route("/v1/links/{id}/qr.png", get(links::qr::png))
        .route("/v1/link-domains", get(link_domains::list))
        .route("/v1/link-domains/{domain}", get(link_domains::one).delete(link_domains::remove))
        .route("/v1/write-keys", get(write_keys::list))
        .route("/v1/write-keys/{key}", delete(write_keys::revoke))
        .route("/v1/webhooks", get(webhooks::list))
        .route("/v1/webhooks/{id}", get(webhooks::one).patch(webhooks::change).delete(webhooks::delete))
        .route("/v1/webhooks/{id}/deliveries", get(webhooks::deliveries::list))
        .route("/v1/webhooks/{id}/deliveries/{delivery}", get(webhooks::deliveries::one));
    Router::new()
        .merge(writes)
        .merge(reads)
        .layer(middleware::from_fn_with_state(Arc::clone(&api), audit::log))
        .layer(middleware::from_fn_with_state(keys, require_key))
        .route("/health", get(health))
        .fallback(async || Problem::not_found("path"))
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(api)
}

async fn health() -> Json<serde_json::Value> {
    Json(serde_json::json!({"status": "ok", "version": env!("CARGO_PKG_VERSION")}))
}
