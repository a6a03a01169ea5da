//! Interactive messages: buttons, lists and link buttons, with Meta's limits on each.

use std::collections::HashSet;

use serde_json::Value;

use crate::graph::error::GraphError;
use crate::graph::request::{missing, required_text};
use crate::link;

/// Checks an interactive payload and gives the links in it, the link button's first.
pub(crate) fn links(payload: &Value) -> Result<Vec<String>, GraphError> {
    let kind = required_text(payload, "interactive", "type", 64)?;
    let action = payload.get("action").ok_or_else(|| missing("Parameter interactive['action'] is required"))?;
    let mut links = match kind {
        "button" => buttons(action)?,
        "list" => list(action)?,
        "cta_url" => link_button(action)?,
        _ => Vec::new(),
    };
    match payload.get("body") {
        Some(body) => {
            let max = if kind == "list" { 4_096 } else { 1_024 };
            links.extend(link::links_in(required_text(body, "interactive['body']", "text", max)?));
        }
        None if matches!(kind, "button" | "list" | "cta_url" | "flow") => {
            return Err(missing("Parameter interactive['body'] is required"));
        }
        None => {}
    }
    if let Some(footer) = payload.get("footer") {
        required_text(footer, "interactive['footer']", "text", 60)?;
    }
    Ok(links)
}

fn buttons(action: &Value) -> Result<Vec<String>, GraphError> {
    let buttons = action["buttons"].as_array().map_or(&[][..], Vec::as_slice);
    if !(1..=3).contains(&buttons.len()) {
        return Err(GraphError::detailed(
            131_009,
            "Invalid buttons count. Min allowed buttons: 1, Max allowed buttons: 3",
        ));
    }
    let mut ids = HashSet::new();
    for button in buttons {
        let reply = button.get("reply").ok_or_else(|| missing("Parameter buttons['reply'] is required"))?;
        required_text(reply, "buttons['reply']", "title", 20)?;
        if !ids.insert(required_text(reply, "buttons['reply']", "id", 256)?) {
            return Err(GraphError::detailed(131_009, "Duplicated button id"));
        }
    }
    Ok(Vec::new())
}

fn list(action: &Value) -> Result<Vec<String>, GraphError> {
    required_text(action, "interactive['action']", "button", 20)?;
    let sections = action["sections"].as_array().map_or(&[][..], Vec::as_slice);
    if !(1..=10).contains(&sections.len()) {
        return Err(GraphError::detailed(
            131_009,
            "Invalid sections count. Min allowed sections: 1, Max allowed sections: 10",
        ));
    }
    let mut rows = 0;
    for section in sections {
        if sections.len() > 1 || section.get("title").is_some() {
            required_text(section, "sections", "title", 24)?;
        }
        for row in section["rows"].as_array().into_iter().flatten() {
            rows += 1;
            required_text(row, "rows", "id", 200)?;
            required_text(row, "rows", "title", 24)?;
            if row.get("description").is_some() {
                required_text(row, "rows", "description", 72)?;
            }
        }
    }
    if !(1..=10).contains(&rows) {
        return Err(GraphError::detailed(131_009, "Total row count exceed max allowed count: 10"));
    }
    Ok(Vec::new())
}

fn link_button(action: &Value) -> Result<Vec<String>, GraphError> {
    let parameters =
        action.get("parameters").ok_or_else(|| missing("Parameter interactive['action']['parameters'] is required"))?;
    required_text(parameters, "parameters", "display_text", 20)?;
    let url = required_text(parameters, "parameters", "url", 2_000)?;
    if !link::is_link(url) {
        return Err(GraphError::detailed(131_009, "Param parameters['url'] is not a valid URL"));
    }
    Ok(vec![url.to_owned()])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn link_buttons_and_bodies_yield_links() {
        let payload = json!({ "type": "cta_url", "body": { "text": "or https://b.example" },
            "action": { "name": "cta_url", "parameters": { "display_text": "Open", "url": "https://a.example/x" } } });
        assert_eq!(links(&payload), Ok(vec!["https://a.example/x".to_owned(), "https://b.example".to_owned()]));
    }

    #[test]
    fn four_buttons_or_two_alike_are_refused() {
        let payload = |ids: &[&str]| {
            let buttons: Vec<_> =
                ids.iter().map(|id| json!({ "type": "reply", "reply": { "id": id, "title": "T" } })).collect();
            json!({ "type": "button", "body": { "text": "b" }, "action": { "buttons": buttons } })
        };
        assert!(links(&payload(&["a", "b", "c"])).is_ok());
        assert_eq!(links(&payload(&["a", "b", "c", "d"])).map_err(|error| error.code), Err(131_009));
        assert_eq!(links(&payload(&["a", "a"])).map_err(|error| error.code), Err(131_009));
    }
}
