//! The message of a variant as the operator writes it, with `{{variables}}` and links to be filled per recipient.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::render::{self, Fields, Filled, Unfilled};

/// A message in the API's shape. Its `Debug` shows the type only, never the text.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Message {
    /// Free-form text; the recipient's service window must be open.
    Text {
        /// The text.
        text: Text,
    },
    /// An approved template.
    Template {
        /// Which, and its parameters.
        template: Template,
    },
    /// Buttons, lists and the like, in Meta's shape; the recipient's service window must be open.
    Interactive {
        /// Meta's `interactive` object with placeholders in its texts.
        interactive: Value,
    },
}

/// The body of a text message.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// At most 4,096 characters once filled (Meta, text messages).
    pub body: String,
    /// Whether WhatsApp shows a preview of the first link. Off by default: previews make machines follow it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub preview_url: bool,
}

/// A template and what fills it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// The template's name.
    pub name: String,
    /// Its language, such as `en_US`.
    pub language: String,
    /// Meta's components with placeholders; a parameter `{"type":"link","url":…}` becomes the recipient's short link.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<Value>,
}

/// Why a variant's message cannot be used at all; each names the place in the message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Nothing to send.
    #[error("the text is empty")]
    EmptyText,
    /// A placeholder is not closed or has no name.
    #[error("a placeholder is not well formed: write {{{{name}}}} or {{{{name|default}}}}")]
    MalformedPlaceholder,
    /// A link parameter without an http(s) address.
    #[error("a link parameter needs an http or https address without user name and password")]
    NotALink,
}

/// Longest text body (Meta, text messages).
pub const MAX_TEXT_CHARS: usize = 4_096;

impl Message {
    /// A plain text message.
    #[must_use]
    pub fn text(body: &str) -> Self {
        Self::Text { text: Text { body: body.to_owned(), preview_url: false } }
    }

    /// Meta's name of the type.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Text { .. } => "text",
            Self::Template { .. } => "template",
            Self::Interactive { .. } => "interactive",
        }
    }

    /// The destinations that can be tracked, each once, in the order in which they stand in the message.
    ///
    /// # Errors
    /// [`Unusable`] when the message cannot be sent to anybody.
    pub fn links(&self) -> Result<Vec<String>, Unusable> {
        let mut found = Vec::new();
        match self {
            Self::Text { text } => {
                if text.body.trim().is_empty() {
                    return Err(Unusable::EmptyText);
                }
                collect_text(&text.body, &mut found)?;
            }
            Self::Template { template } => {
                for component in &template.components {
                    collect_template(component, &mut found)?;
                }
            }
            Self::Interactive { interactive } => collect_interactive(interactive, &mut found)?,
        }
        let mut unique: Vec<String> = Vec::new();
        for url in found {
            if !unique.contains(&url) {
                unique.push(url);
            }
        }
        Ok(unique)
    }

    /// The part of Meta's send body that carries the message, filled for one recipient: `{"type":…, <type>:{…}}`.
    ///
    /// # Errors
    /// [`Unfilled`]: this recipient must be skipped, with this reason.
    pub fn fill(&self, fields: &Fields<'_>) -> Result<Value, Unfilled> {
        Ok(match self {
            Self::Text { text } => {
                let body = render::fill(&text.body, fields)?;
                let length = body.chars().count();
                if length > MAX_TEXT_CHARS {
                    return Err(Unfilled::TooLong { length, limit: MAX_TEXT_CHARS });
                }
                serde_json::json!({"type": "text", "text": {"body": body, "preview_url": text.preview_url}})
            }
            Self::Template { template } => {
                let components = template.components.iter().map(|c| fill_template(c, fields, false)).collect::<Result<
                    Vec<_>,
                    _,
                >>(
                )?;
                let mut filled = serde_json::json!({
                    "name": template.name,
                    "language": {"code": template.language},
                });
                if !components.is_empty() {
                    filled["components"] = Value::Array(components);
                }
                serde_json::json!({"type": "template", "template": filled})
            }
            Self::Interactive { interactive } => {
                let filled = fill_strings(interactive, fields)?;
                serde_json::json!({"type": "interactive", "interactive": filled})
            }
        })
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({})", self.kind())
    }
}

fn collect_text(text: &str, found: &mut Vec<String>) -> Result<(), Unusable> {
    found.extend(render::links(text).map_err(|_| Unusable::MalformedPlaceholder)?);
    Ok(())
}

/// Texts of an approved template cannot be changed, so only its `link` parameters are tracked.
fn collect_template(component: &Value, found: &mut Vec<String>) -> Result<(), Unusable> {
    match component {
        Value::Object(map) if map.get("type").and_then(Value::as_str) == Some("link") => {
            let url = map.get("url").and_then(Value::as_str).unwrap_or_default();
            if !render::is_trackable(url) {
                return Err(Unusable::NotALink);
            }
            found.push(url.to_owned());
            Ok(())
        }
        Value::Object(map) => map.values().try_for_each(|value| collect_template(value, found)),
        Value::Array(list) => list.iter().try_for_each(|value| collect_template(value, found)),
        Value::String(text) => render::check(text).map_err(|_| Unusable::MalformedPlaceholder),
        _ => Ok(()),
    }
}

fn collect_interactive(value: &Value, found: &mut Vec<String>) -> Result<(), Unusable> {
    match value {
        Value::Object(map) => map.values().try_for_each(|value| collect_interactive(value, found)),
        Value::Array(list) => list.iter().try_for_each(|value| collect_interactive(value, found)),
        Value::String(text) => collect_text(text, found),
        _ => Ok(()),
    }
}

/// A URL button's variable is the suffix of an approved address, so inside such a button the code alone is filled in;
/// anywhere else it is the whole short link.
fn fill_template(value: &Value, fields: &Fields<'_>, inside_url_button: bool) -> Result<Value, Unfilled> {
    match value {
        Value::Object(map) if map.get("type").and_then(Value::as_str) == Some("link") => {
            let url = map.get("url").and_then(Value::as_str).unwrap_or_default();
            let text = match (fields.link)(url) {
                Some(Filled { code, .. }) if inside_url_button => code,
                Some(Filled { short_url, .. }) => short_url,
                None => url.to_owned(),
            };
            let mut parameter = serde_json::json!({"type": "text", "text": text});
            if let Some(name) = map.get("parameter_name") {
                parameter["parameter_name"] = name.clone();
            }
            Ok(parameter)
        }
        Value::Object(map) => {
            let sub_type = map.get("sub_type").and_then(Value::as_str);
            let inside_url_button = inside_url_button || sub_type.is_some_and(|s| s.eq_ignore_ascii_case("url"));
            map.iter()
                .map(|(key, value)| Ok((key.clone(), fill_template(value, fields, inside_url_button)?)))
                .collect::<Result<serde_json::Map<_, _>, Unfilled>>()
                .map(Value::Object)
        }
        Value::Array(list) => {
            let filled = list.iter().map(|value| fill_template(value, fields, inside_url_button));
            filled.collect::<Result<Vec<_>, _>>().map(Value::Array)
        }
        Value::String(text) => render::fill_without_links(text, fields).map(Value::String),
        other => Ok(other.clone()),
    }
}

fn fill_strings(value: &Value, fields: &Fields<'_>) -> Result<Value, Unfilled> {
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| Ok((key.clone(), fill_strings(value, fields)?)))
            .collect::<Result<serde_json::Map<_, _>, Unfilled>>()
            .map(Value::Object),
        Value::Array(list) => {
            list.iter().map(|v| fill_strings(v, fields)).collect::<Result<Vec<_>, _>>().map(Value::Array)
        }
        Value::String(text) => render::fill(text, fields).map(Value::String),
        other => Ok(other.clone()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn link(url: &str) -> Option<Filled> {
        url.starts_with("https://shop")
            .then(|| Filled { code: "c0de".to_owned(), short_url: "https://go.example/c0de".to_owned() })
    }

    fn fill(message: &Message, variables: &[(&str, &str)]) -> Result<Value, Unfilled> {
        let variables: BTreeMap<String, String> =
            variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        message.fill(&Fields { variables: &variables, name: None, link: &link })
    }

    #[test]
    fn a_text_gets_the_name_and_the_recipients_own_link() {
        let message = Message::text("Hi {{first_name}}, see https://shop.example/offer.");
        assert_eq!(message.links().unwrap(), ["https://shop.example/offer"]);
        let filled = fill(&message, &[("first_name", "Aïcha")]).unwrap();
        assert_eq!(filled["text"]["body"], "Hi Aïcha, see https://go.example/c0de.");
    }

    #[test]
    fn a_template_button_gets_the_code_and_its_body_the_whole_link() {
        let message: Message = serde_json::from_value(serde_json::json!({
            "type": "template",
            "template": {"name": "offer", "language": "en_US", "components": [
                {"type": "body", "parameters": [
                    {"type": "text", "text": "{{first_name}}"}, {"type": "link", "url": "https://shop.example/a"}]},
                {"type": "button", "sub_type": "url", "index": "0", "parameters": [
                    {"type": "link", "url": "https://shop.example/b"}]}]}
        }))
        .unwrap();
        assert_eq!(message.links().unwrap(), ["https://shop.example/a", "https://shop.example/b"]);
        let filled = fill(&message, &[("first_name", "Wei")]).unwrap();
        let components = &filled["template"]["components"];
        assert_eq!(components[0]["parameters"][0]["text"], "Wei");
        assert_eq!(
            components[0]["parameters"][1],
            serde_json::json!({"type": "text", "text": "https://go.example/c0de"})
        );
        assert_eq!(components[1]["parameters"][0], serde_json::json!({"type": "text", "text": "c0de"}));
    }

    #[test]
    fn a_missing_variable_and_a_text_too_long_skip_the_recipient() {
        let message = Message::text("Hi {{first_name}}");
        assert_eq!(fill(&message, &[]).unwrap_err(), Unfilled::MissingVariable("first_name".to_owned()));
        let long = "x".repeat(4_100);
        assert!(matches!(fill(&message, &[("first_name", &long)]), Err(Unfilled::TooLong { .. })));
    }

    #[test]
    fn a_message_that_nobody_can_get_is_refused() {
        assert_eq!(Message::text("  ").links(), Err(Unusable::EmptyText));
        assert_eq!(Message::text("Hi {{first_name").links(), Err(Unusable::MalformedPlaceholder));
    }

    #[test]
    fn a_debug_never_shows_the_text() {
        assert_eq!(format!("{:?}", Message::text("secret")), "Message(text)");
    }
}
