//! Template management: the edge `message_templates` of an account and the template nodes, as in "Templates" of the
//! Business Management API.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use bytes::Bytes;
use http::Uri;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::graph::error::GraphError;
use crate::graph::request::required_text;
use crate::graph::{fields, nodes, paging};
use crate::template::{self, Filter, Held, NewTemplate, ParameterFormat, TemplateCategory, TemplateStatus};
use crate::world::World;

/// Fields that are returned if no others are asked for.
const DEFAULT_FIELDS: &str = "name,parameter_format,components,language,status,category,id";
const NODE_TYPE: &str = "WhatsAppMessageTemplate";
/// Language codes in which templates can be written ("Supported languages").
const LANGUAGES: &str = "af sq ar ar_EG ar_AE ar_LB ar_MA ar_QA az be_BY bn bn_IN bg ca zh_CN zh_HK zh_TW hr cs da prs_AF \
    nl nl_BE en en_GB en_US en_AE en_AU en_CA en_GH en_IE en_IN en_JM en_MY en_NZ en_QA en_SG en_UG en_ZA et fil fi fr fr_BE \
    fr_CA fr_CH fr_CI fr_MA ka de de_AT de_CH el gu ha he hi hu id ga it ja kn kk rw_RW ko ky_KG lo lv lt mk ms ml mr nb \
    ps_AF fa pl pt_BR pt_PT pa ro ru sr si_LK sk sl es es_AR es_CL es_CO es_CR es_DO es_EC es_HN es_MX es_PA es_PE es_ES \
    es_UY sw sv ta te th tr uk ur uz vi zu";

/// Query of a list or of a node.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct ListQuery {
    fields: Option<String>,
    limit: Option<String>,
    after: Option<String>,
    name: Option<String>,
    status: Option<String>,
    language: Option<String>,
    category: Option<String>,
}

/// `GET /{waba id}/message_templates`
pub(crate) async fn list(
    State(world): State<Arc<World>>,
    Path((_version, node)): Path<(String, String)>,
    uri: Uri,
    Query(query): Query<ListQuery>,
) -> Result<Json<Value>, GraphError> {
    if !nodes::is_account(&world, &node) {
        return Err(GraphError::missing_object("get", &node));
    }
    let wanted = fields::parse(query.fields.as_deref().unwrap_or(DEFAULT_FIELDS), NODE_TYPE, &template::FIELDS)?;
    let limit = paging::limit(query.limit.as_deref(), 1..=1_000)?;
    let before = query.after.as_deref().map_or(Ok(usize::MAX), paging::read_cursor)?;
    let filter = Filter { name: query.name, language: query.language, status: query.status, category: query.category };
    let catalogue = world.templates();
    let mut page: Vec<(usize, &Held)> = catalogue.list(&node, &filter, before).take(limit + 1).collect();
    let more = page.len() > limit;
    page.truncate(limit);
    let data: Vec<Value> = page.iter().map(|(_, held)| fields::choose(&held.node(), &wanted)).collect();
    let places: Vec<usize> = page.iter().map(|(place, _)| *place).collect();
    Ok(Json(json!({ "data": data, "paging": paging::paging(&places, more, world.url_of(&uri)) })))
}

/// A template node; `None` if there is no such template.
pub(crate) fn describe(world: &World, id: &str, wanted: Option<&str>) -> Option<Result<Value, GraphError>> {
    let node = world.templates().get(id)?.node();
    let wanted = fields::parse(wanted.unwrap_or(DEFAULT_FIELDS), NODE_TYPE, &template::FIELDS);
    Some(wanted.map(|wanted| fields::choose(&node, &wanted)))
}

/// `POST /{waba id}/message_templates`
pub(crate) async fn create(
    State(world): State<Arc<World>>,
    Path((_version, node)): Path<(String, String)>,
    body: Bytes,
) -> Result<Json<Value>, GraphError> {
    if !nodes::is_account(&world, &node) {
        return Err(GraphError::missing_object("post", &node));
    }
    let new = read_new(&object(&body)?)?;
    let held = {
        let mut catalogue = world.templates();
        let held = catalogue.create(&node, new, world.clock.now_ms())?;
        world.journal_template(&held);
        held
    };
    world.submit_for_review(&held);
    let template = &held.template;
    Ok(Json(json!({ "id": held.id.to_string(), "status": template.status, "category": template.category })))
}

/// `POST /{template id}`
pub(crate) fn edit(world: &World, id: &str, body: &[u8]) -> Result<Value, GraphError> {
    let missing = || GraphError::missing_object("post", id);
    let held = world.templates().get(id).cloned().ok_or_else(missing)?;
    let body = object(body)?;
    let category = match body.get("category") {
        Some(category) => Some(one_of::<TemplateCategory>("category", category, CATEGORIES)?),
        None => None,
    };
    let components = body.get("components").map(|_| read_components(&body)).transpose()?;
    let ttl = read_ttl(&body, category.unwrap_or(held.template.category))?;
    if category.is_none() && components.is_none() && ttl.is_none() {
        return Err(GraphError::invalid("One of category, components and message_send_ttl_seconds is required."));
    }
    let edited = {
        let mut catalogue = world.templates();
        let edited = catalogue.edit(held.id, category, components, ttl, world.clock.now_ms())?;
        world.journal_template(&edited);
        edited
    };
    world.submit_for_review(&edited);
    Ok(json!({ "success": true, "id": id, "name": edited.template.name, "category": edited.template.category }))
}

/// `POST /{template id}/unpause`
pub(crate) async fn unpause(
    State(world): State<Arc<World>>,
    Path((_version, node)): Path<(String, String)>,
) -> Result<Json<Value>, GraphError> {
    let found = world.templates().get(&node).map(|held| (held.id, held.template.status));
    match found {
        None => Err(GraphError::missing_object("post", &node)),
        Some((id, TemplateStatus::Paused)) => {
            world.set_template_status(id, TemplateStatus::Approved, Some("UNPAUSE"), None);
            Ok(Json(json!({ "success": true })))
        }
        Some(_) => Err(GraphError::invalid("Only a paused template can be unpaused.")),
    }
}

/// Query of a deletion.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct DeleteQuery {
    name: Option<String>,
    hsm_id: Option<String>,
    hsm_ids: Option<String>,
}

/// `DELETE /{waba id}/message_templates`: by `name` in all languages, one by `hsm_id` and `name`, or up to 100 by `hsm_ids`.
/// Messages in flight are delivered whatever becomes of their template, so there is no `PENDING_DELETION`.
pub(crate) async fn delete(
    State(world): State<Arc<World>>,
    Path((_version, node)): Path<(String, String)>,
    Query(query): Query<DeleteQuery>,
) -> Result<Json<Value>, GraphError> {
    if !nodes::is_account(&world, &node) {
        return Err(GraphError::missing_object("delete", &node));
    }
    let ids: Vec<u64> = match (query.name, query.hsm_id, query.hsm_ids) {
        (_, None, Some(list)) => {
            let list: Vec<Value> =
                serde_json::from_str(&list).map_err(|_| GraphError::invalid("Param hsm_ids must be an array."))?;
            if !(1..=100).contains(&list.len()) {
                return Err(GraphError::invalid("Param hsm_ids must have 1 to 100 ids."));
            }
            let text = |id: &Value| id.as_str().map_or_else(|| id.to_string(), str::to_owned);
            list.iter().flat_map(|id| world.templates().get(&text(id)).map(|held| held.id)).collect()
        }
        (Some(name), Some(id), _) => {
            let catalogue = world.templates();
            catalogue.get(&id).filter(|held| held.template.name == name).map(|held| held.id).into_iter().collect()
        }
        (Some(name), None, None) => world.templates().ids(&name, None),
        (None, _, _) => return Err(GraphError::invalid("The parameter name is required.")),
    };
    let mine: Vec<(u64, TemplateStatus)> = {
        let catalogue = world.templates();
        let held = ids.iter().filter_map(|id| catalogue.get(&id.to_string()));
        held.filter(|held| held.belongs_to(&node)).map(|held| (held.id, held.template.status)).collect()
    };
    if mine.is_empty() {
        return Err(GraphError::invalid("Message Template Not Found"));
    }
    if mine.iter().any(|(_, status)| *status == TemplateStatus::Disabled) {
        return Err(GraphError::invalid("A disabled template cannot be deleted."));
    }
    for (id, _) in mine {
        world.set_template_status(id, TemplateStatus::Deleted, None, None);
    }
    Ok(Json(json!({ "success": true })))
}

const CATEGORIES: &str = "UTILITY, MARKETING, AUTHENTICATION";

fn object(body: &[u8]) -> Result<Value, GraphError> {
    let body: Option<Value> = serde_json::from_slice(body).ok().filter(Value::is_object);
    body.ok_or_else(|| GraphError::invalid("The request body is not a JSON object."))
}

fn read_new(body: &Value) -> Result<NewTemplate, GraphError> {
    let required =
        |key: &str| body.get(key).ok_or_else(|| GraphError::invalid(format!("The parameter {key} is required.")));
    required("name")?;
    let name = required_text(body, "template", "name", 512)?;
    if !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_') {
        return Err(GraphError::invalid("Param name must have lowercase letters, digits and underscores only."));
    }
    let language = required("language")?.as_str().unwrap_or_default();
    if !LANGUAGES.split_whitespace().any(|known| known == language) {
        let known = LANGUAGES.split_whitespace().collect::<Vec<_>>().join(", ");
        return Err(GraphError::invalid(format!("Param language must be one of {{{known}}} - got \"{language}\".")));
    }
    let category = one_of::<TemplateCategory>("category", required("category")?, CATEGORIES)?;
    let parameter_format = match body.get("parameter_format") {
        Some(format) => one_of::<ParameterFormat>("parameter_format", format, "NAMED, POSITIONAL")?,
        None => ParameterFormat::default(),
    };
    required("components")?;
    Ok(NewTemplate {
        name: name.to_owned(),
        language: language.to_owned(),
        category,
        parameter_format,
        components: read_components(body)?,
        message_send_ttl_seconds: read_ttl(body, category)?,
    })
}

/// Reads one of Meta's constants, which it takes in any case.
fn one_of<T: DeserializeOwned>(key: &str, written: &Value, known: &str) -> Result<T, GraphError> {
    let constant = json!(written.as_str().unwrap_or_default().to_uppercase());
    serde_json::from_value(constant)
        .map_err(|_| GraphError::invalid(format!("Param {key} must be one of {{{known}}} - got {written}.")))
}

fn read_components(body: &Value) -> Result<Vec<Value>, GraphError> {
    let components = body["components"].as_array().filter(|components| components.iter().all(Value::is_object));
    components.cloned().ok_or_else(|| GraphError::invalid("Param components must be an array of objects."))
}

/// How long Meta tries to deliver a message of the template, with the range of its category; -1 is 30 days.
fn read_ttl(body: &Value, category: TemplateCategory) -> Result<Option<i64>, GraphError> {
    let Some(ttl) = body.get("message_send_ttl_seconds") else { return Ok(None) };
    let range = match category {
        TemplateCategory::Authentication => 30..=900,
        TemplateCategory::Utility => 30..=43_200,
        TemplateCategory::Marketing => 43_200..=2_592_000,
    };
    match ttl.as_i64() {
        Some(seconds) if seconds == -1 || range.contains(&seconds) => Ok(Some(seconds)),
        _ => {
            let (least, most) = (range.start(), range.end());
            let reason = format!("Param message_send_ttl_seconds must be -1 or from {least} to {most} seconds.");
            Err(GraphError::invalid(reason))
        }
    }
}
