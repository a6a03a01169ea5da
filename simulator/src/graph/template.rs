//! The template payload of a send request.

use serde_json::Value;

use crate::graph::error::GraphError;
use crate::graph::request::{Content, MAX_CAPTION_CHARS, Surroundings, media_source, missing, required_text};
use crate::link;
use crate::template::{self, TemplateRefusal};

impl From<TemplateRefusal> for GraphError {
    fn from(refusal: TemplateRefusal) -> Self {
        match refusal.details {
            Some(details) => Self::detailed(refusal.code, details),
            None => Self::coded(refusal.code),
        }
    }
}

/// Checks the payload in Meta's order (schema, template, parameters, state of the template) and reads it.
pub(crate) fn content(payload: &Value, around: &Surroundings<'_>) -> Result<Content, GraphError> {
    let name = required_text(payload, "template", "name", 512)?;
    let language = payload.get("language").ok_or_else(|| missing("Parameter template['language'] is required"))?;
    let language = required_text(language, "template['language']", "code", 16)?;
    let components = match payload.get("components") {
        None | Some(Value::Null) => &[][..],
        Some(Value::Array(components)) => components,
        Some(_) => return Err(GraphError::invalid("Param template['components'] must be an array.")),
    };
    let known = around.templates.find(around.waba_id, name, language)?;
    let filled = known.map_or(Ok(None), |known| template::fill(known, components))?;
    let mut links = Vec::new();
    for component in components {
        let kind = required_text(component, "template['components']", "type", 64)?.to_ascii_lowercase();
        if kind == "button" {
            required_text(component, "template['components']", "sub_type", 64)?;
            if component.get("index").is_none() {
                return Err(missing("Parameter template['components']['index'] is required for a button"));
            }
        }
        for parameter in component["parameters"].as_array().into_iter().flatten() {
            links.extend(parameter_links(parameter, around)?);
        }
    }
    match known.map(|known| known.status) {
        Some(template::TemplateStatus::Paused) => return Err(GraphError::coded(132_015)),
        Some(template::TemplateStatus::Disabled) => return Err(GraphError::coded(132_016)),
        _ => {}
    }
    let category = known.map_or("marketing", |template| template.category.as_price());
    Ok(Content { category, links: filled.map_or(links, |filled| filled.links) })
}

/// Checks a parameter and gives the links in it.
fn parameter_links(parameter: &Value, around: &Surroundings<'_>) -> Result<Vec<String>, GraphError> {
    let kind = required_text(parameter, "template['components']['parameters']", "type", 64)?;
    match kind {
        "text" => {
            let text = required_text(parameter, "template['components']['parameters']", "text", MAX_CAPTION_CHARS)?;
            if text.contains(['\n', '\t']) || text.contains("     ") {
                return Err(GraphError::coded(132_018));
            }
            Ok(link::links_in(text))
        }
        "image" | "video" | "document" => {
            let payload = parameter.get(kind).ok_or_else(|| {
                let expected = kind.to_uppercase();
                GraphError::detailed(132_012, format!("header: Format mismatch, expected {expected}, received UNKNOWN"))
            })?;
            media_source(payload, kind, around)?;
            Ok(Vec::new())
        }
        _ => Ok(Vec::new()),
    }
}
