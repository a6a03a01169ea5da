//! Phone number and account nodes: what a client reads about its numbers, subscriptions and past messages.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::graph::error::GraphError;
use crate::graph::{media, templates};
use crate::number::{NumberPolicy, NumberProfile};
use crate::world::World;

/// Fields of a phone number that are returned if no others are asked for.
const DEFAULT_FIELDS: &str =
    "verified_name,code_verification_status,display_phone_number,quality_rating,platform_type,throughput,id";
/// App id that the simulator pretends to be called by.
pub(crate) const APP_ID: &str = "670843887433847";

/// `?fields=`, and for media `?phone_number_id=`
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Fields {
    fields: Option<String>,
    phone_number_id: Option<String>,
}

/// `GET /{node}`: a media file, a template, a phone number or an account.
pub(crate) async fn read(
    State(world): State<Arc<World>>,
    Path((_version, node)): Path<(String, String)>,
    Query(query): Query<Fields>,
) -> Result<Json<Value>, GraphError> {
    if let Some(media) = media::describe(&world, &node, query.phone_number_id.as_deref()) {
        return Ok(Json(media));
    }
    if let Some(template) = templates::describe(&world, &node, query.fields.as_deref()) {
        return template.map(Json);
    }
    if let Some(number) = world.number(&node) {
        return Ok(Json(number_node(&world, &number, query.fields.as_deref())));
    }
    if is_account(&world, &node) {
        return Ok(Json(json!({ "id": node, "name": "Simulated Account", "currency": "USD", "timezone_id": "1" })));
    }
    Err(GraphError::missing_object("get", &node))
}

/// `POST /{node}`: an edit of a template, or a change of a number.
pub(crate) async fn edit(
    state: State<Arc<World>>,
    path: Path<(String, String)>,
    body: Bytes,
) -> Result<Json<Value>, GraphError> {
    let node = &path.0.1;
    if state.templates().get(node).is_some() {
        return templates::edit(&state, node, &body).map(Json);
    }
    change(state, path).await
}

/// `POST /{phone number id}`, `/register`, `/deregister`: accepted without effect.
pub(crate) async fn change(
    State(world): State<Arc<World>>,
    Path((_version, node)): Path<(String, String)>,
) -> Result<Json<Value>, GraphError> {
    world.number(&node).ok_or_else(|| GraphError::missing_object("post", &node))?;
    Ok(Json(json!({ "success": true })))
}

pub(crate) fn is_account(world: &World, id: &str) -> bool {
    id == world.config.waba_id || world.accounts().iter().any(|account| account == id)
}

fn number_node(world: &World, number: &NumberProfile, fields: Option<&str>) -> Value {
    let per_second = number.messages_per_second.unwrap_or(world.config.messages_per_second);
    let quality = world.standings().quality(&number.phone_number_id);
    let tier = world.tier(&number.waba_id);
    let all = json!({
        "verified_name": number.verified_name,
        "display_phone_number": number.pretty_number(),
        "quality_rating": quality,
        "throughput": { "level": if per_second >= 1_000 { "HIGH" } else { "STANDARD" } },
        "whatsapp_business_manager_messaging_limit": tier,
        "status": "CONNECTED",
        "platform_type": "CLOUD_API",
        "code_verification_status": "VERIFIED",
        "name_status": "APPROVED",
        "account_mode": "LIVE",
        "is_official_business_account": false,
        "is_on_biz_app": false,
        "webhook_configuration": { "application": world.config.webhook_url.as_str() },
        "health_status": {
            "can_send_message": "AVAILABLE",
            "entities": [{ "entity_type": "PHONE_NUMBER", "id": number.phone_number_id, "can_send_message": "AVAILABLE" }],
        },
        "id": number.phone_number_id,
    });
    let wanted: Vec<&str> = fields.unwrap_or(DEFAULT_FIELDS).split(',').map(str::trim).chain(["id"]).collect();
    let chosen: Map<String, Value> = all
        .as_object()
        .cloned()
        .unwrap_or_default()
        .into_iter()
        .filter(|(key, _)| wanted.contains(&key.as_str()))
        .collect();
    Value::Object(chosen)
}

/// `GET /{waba id}/phone_numbers`. If every number exists, those that have sent something are listed.
pub(crate) async fn phone_numbers(
    State(world): State<Arc<World>>,
    Path((_version, node)): Path<(String, String)>,
    Query(query): Query<Fields>,
) -> Result<Json<Value>, GraphError> {
    if !is_account(&world, &node) {
        return Err(GraphError::missing_object("get", &node));
    }
    let numbers: Vec<NumberProfile> = match &world.config.numbers {
        NumberPolicy::Listed(profiles) => profiles.iter().filter(|profile| profile.waba_id == node).cloned().collect(),
        NumberPolicy::Any => {
            let active = world.book().active_numbers();
            active.iter().filter_map(|id| world.number(id)).collect()
        }
    };
    let data: Vec<Value> = numbers.iter().map(|number| number_node(&world, number, query.fields.as_deref())).collect();
    Ok(Json(json!({ "data": data, "paging": { "cursors": { "before": "MAZDZD", "after": "MAZDZD" } } })))
}

/// `GET /{waba id}/subscribed_apps`
pub(crate) async fn subscribed_apps(
    State(world): State<Arc<World>>,
    Path((_version, node)): Path<(String, String)>,
) -> Result<Json<Value>, GraphError> {
    if !is_account(&world, &node) {
        return Err(GraphError::missing_object("get", &node));
    }
    let app = json!({ "link": "https://www.facebook.com/games/?app_id=".to_owned() + APP_ID, "name": "Simulated App", "id": APP_ID });
    Ok(Json(json!({ "data": [{ "whatsapp_business_api_data": app }] })))
}

/// `POST|DELETE /{waba id}/subscribed_apps`: the one webhook is always subscribed.
pub(crate) async fn subscribe(
    State(world): State<Arc<World>>,
    Path((_version, node)): Path<(String, String)>,
) -> Result<Json<Value>, GraphError> {
    if is_account(&world, &node) {
        Ok(Json(json!({ "success": true })))
    } else {
        Err(GraphError::missing_object("post", &node))
    }
}
