//! The body of a send request: Meta's schema checks, and what the simulator needs to know of a valid message.
//! Limits are those of the Cloud API's message reference; lengths are counted in characters.

use serde_json::Value;

use crate::graph::error::GraphError;
use crate::graph::media::Presence;
use crate::graph::{interactive, template};
use crate::identity::{self, Address};
use crate::link;
use crate::template::Catalogue;

const MAX_TEXT_CHARS: usize = 4_096;
pub(crate) const MAX_CAPTION_CHARS: usize = 1_024;
const MAX_CALLBACK_CHARS: usize = 512;
/// Message types that the Cloud API knows.
const TYPES: [&str; 11] = [
    "audio",
    "contacts",
    "document",
    "image",
    "interactive",
    "location",
    "reaction",
    "sticker",
    "template",
    "text",
    "video",
];

/// A valid request.
#[derive(Debug)]
pub(crate) enum Request {
    /// A read receipt, with or without a typing indicator.
    MarkRead,
    /// A message.
    Send(Box<Outgoing>),
}

/// A valid message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outgoing {
    pub(crate) address: Address,
    /// The recipient as written.
    pub(crate) input: String,
    pub(crate) message_type: String,
    /// Pricing category.
    pub(crate) category: String,
    pub(crate) links: Vec<String>,
    pub(crate) callback_data: Option<String>,
}

/// What a request is checked against besides Meta's schema.
pub(crate) struct Surroundings<'a> {
    /// Account of the sending number.
    pub(crate) waba_id: &'a str,
    pub(crate) templates: &'a Catalogue,
    pub(crate) media: &'a dyn Fn(&str) -> Presence,
}

/// What a payload amounts to.
pub(crate) struct Content {
    pub(crate) category: &'static str,
    pub(crate) links: Vec<String>,
}

impl Content {
    fn service(links: Vec<String>) -> Self {
        Self { category: "service", links }
    }
}

/// Checks a body and reads it.
pub(crate) fn parse(body: &[u8], around: &Surroundings<'_>) -> Result<Request, GraphError> {
    let body: Value =
        serde_json::from_slice(body).map_err(|_| GraphError::detailed(100, "The request body is not valid JSON."))?;
    match body.get("messaging_product").map(Value::as_str) {
        None | Some(None) => return Err(GraphError::invalid("The parameter messaging_product is required.")),
        Some(Some(product)) if product.eq_ignore_ascii_case("whatsapp") => {}
        Some(Some(other)) => {
            return Err(GraphError::invalid(format!(
                "Param messaging_product must be one of {{WHATSAPP}} - got \"{other}\"."
            )));
        }
    }
    if body.get("status").is_some() {
        return mark_read(&body);
    }
    let (address, input) = recipient(&body)?;
    let message_type = match body.get("type") {
        None => "text",
        Some(Value::String(name)) if TYPES.contains(&name.as_str()) => name,
        Some(other) => {
            let known = TYPES.map(str::to_uppercase).join(", ");
            return Err(GraphError::invalid(format!("Param type must be one of {{{known}}} - got {other}.")));
        }
    };
    let payload = body
        .get(message_type)
        .ok_or_else(|| missing(format!("Parameter '{message_type}' is mandatory for type '{message_type}'")))?;
    let content = content(message_type, payload, around)?;
    if let Some(context) = body.get("context") {
        required_text(context, "context", "message_id", 512)?;
    }
    let callback_data = match body.get("biz_opaque_callback_data") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => {
            at_most(text, "biz_opaque_callback_data", MAX_CALLBACK_CHARS)?;
            Some(text.clone())
        }
        Some(_) => return Err(GraphError::invalid("Param biz_opaque_callback_data must be a string.")),
    };
    Ok(Request::Send(Box::new(Outgoing {
        address,
        input,
        message_type: message_type.to_owned(),
        category: content.category.to_owned(),
        links: content.links,
        callback_data,
    })))
}

fn mark_read(body: &Value) -> Result<Request, GraphError> {
    if body["status"] != "read" {
        return Err(GraphError::invalid(format!("Param status must be one of {{READ}} - got {}.", body["status"])));
    }
    let id = body["message_id"].as_str().ok_or_else(|| GraphError::invalid("The parameter message_id is required."))?;
    if !id.starts_with("wamid.") {
        return Err(GraphError::detailed(131_009, "message_id is not a valid WhatsApp message id"));
    }
    if body.get("typing_indicator").is_some_and(|typing| typing["type"] != "text") {
        return Err(GraphError::invalid("Param typing_indicator['type'] must be one of {TEXT}."));
    }
    Ok(Request::MarkRead)
}

fn recipient(body: &Value) -> Result<(Address, String), GraphError> {
    match body.get("recipient_type").map(|kind| kind.as_str().unwrap_or_default()) {
        None | Some("individual") => {}
        Some("group") => return Err(GraphError::coded(131_041)),
        Some(other) => {
            let reason = format!("Param recipient_type must be one of {{INDIVIDUAL, GROUP}} - got \"{other}\".");
            return Err(GraphError::invalid(reason));
        }
    }
    let to = match body.get("to") {
        Some(Value::String(to)) => Some(to.clone()),
        Some(Value::Number(to)) => Some(to.to_string()),
        _ => None,
    };
    // A phone wins over a user id if both are given.
    match (to.filter(|to| !to.is_empty()), body.get("recipient").and_then(Value::as_str)) {
        (Some(to), _) => match identity::phone_digits(&to) {
            Some(digits) => Ok((Address::Phone(identity::wa_id(&digits)), to)),
            None => Err(GraphError::detailed(131_009, "Param to is not a valid WhatsApp phone number")),
        },
        (None, Some(id)) if identity::is_user_id(id) => Ok((Address::UserId(id.to_owned()), id.to_owned())),
        (None, Some(_)) => Err(GraphError::detailed(131_009, "Param recipient is not a valid user id")),
        (None, None) => Err(GraphError::invalid("The parameter to is required.")),
    }
}

fn content(message_type: &str, payload: &Value, around: &Surroundings<'_>) -> Result<Content, GraphError> {
    match message_type {
        "text" => {
            known_keys(payload, "text", &["body", "preview_url"])?;
            let body = required_text(payload, "text", "body", MAX_TEXT_CHARS)?;
            Ok(Content::service(link::links_in(body)))
        }
        "image" | "video" => media_content(payload, message_type, &["id", "link", "caption"], around),
        "document" => media_content(payload, message_type, &["id", "link", "caption", "filename"], around),
        "audio" => media_content(payload, message_type, &["id", "link", "voice"], around),
        "sticker" => media_content(payload, message_type, &["id", "link"], around),
        "interactive" => Ok(Content::service(interactive::links(payload)?)),
        "template" => template::content(payload, around),
        "reaction" => {
            required_text(payload, "reaction", "message_id", 512)?;
            Ok(Content::service(Vec::new()))
        }
        "location" => match ["latitude", "longitude"].iter().find(|key| payload.get(**key).is_none()) {
            Some(key) => Err(missing(format!("Parameter location['{key}'] is required"))),
            None => Ok(Content::service(Vec::new())),
        },
        _ => match payload.as_array() {
            Some(cards) if (1..=257).contains(&cards.len()) => Ok(Content::service(Vec::new())),
            _ => Err(GraphError::invalid("Param contacts must be an array of 1 to 257 contacts.")),
        },
    }
}

fn media_content(
    payload: &Value,
    owner: &str,
    keys: &[&str],
    around: &Surroundings<'_>,
) -> Result<Content, GraphError> {
    known_keys(payload, owner, keys)?;
    media_source(payload, owner, around)?;
    let caption = match payload.get("caption") {
        None => "",
        Some(Value::String(caption)) => caption,
        Some(_) => return Err(GraphError::invalid(format!("Param {owner}['caption'] must be a string."))),
    };
    at_most(caption, &format!("{owner}['caption']"), MAX_CAPTION_CHARS)?;
    Ok(Content::service(link::links_in(caption)))
}

pub(crate) fn media_source(payload: &Value, owner: &str, around: &Surroundings<'_>) -> Result<(), GraphError> {
    let id = match payload.get("id") {
        Some(Value::String(id)) => Some(id.clone()),
        Some(Value::Number(id)) => Some(id.to_string()),
        _ => None,
    };
    match (id, payload.get("link").and_then(Value::as_str)) {
        (Some(id), None) => match (around.media)(&id) {
            Presence::Present => Ok(()),
            // Which code Meta has for a file that was there once is not documented; 131053 is the one for media trouble.
            Presence::Expired => Err(GraphError::detailed(131_053, format!("Media id {id} has expired"))),
            Presence::Unknown => {
                let reason =
                    format!("Param {owner}['id'] is not a valid whatsapp business account media attachment ID");
                Err(GraphError::invalid(reason))
            }
        },
        (None, Some(link)) if link::is_link(link) => Ok(()),
        (None, Some(_)) => Err(GraphError::invalid(format!("Param {owner}['link'] is not a valid URI."))),
        (Some(_), Some(_)) => {
            Err(GraphError::invalid(format!("Exactly one of {owner}['id'] and {owner}['link'] is allowed.")))
        }
        (None, None) => Err(missing(format!("One of {owner}['id'] and {owner}['link'] is required"))),
    }
}

/// 131008 with its details.
pub(crate) fn missing(details: impl Into<String>) -> GraphError {
    GraphError::detailed(131_008, details)
}

/// A required, non-empty text of at most `max` characters.
pub(crate) fn required_text<'a>(of: &'a Value, owner: &str, key: &str, max: usize) -> Result<&'a str, GraphError> {
    match of.get(key) {
        None | Some(Value::Null) => Err(missing(format!("Parameter {owner}['{key}'] is required"))),
        Some(Value::String(text)) if text.is_empty() => {
            Err(GraphError::invalid(format!("Param {owner}['{key}'] must be at least 1 characters long.")))
        }
        Some(Value::String(text)) => {
            at_most(text, &format!("{owner}['{key}']"), max)?;
            Ok(text)
        }
        Some(_) => Err(GraphError::invalid(format!("Param {owner}['{key}'] must be a string."))),
    }
}

/// Refuses a text of more than `max` characters.
pub(crate) fn at_most(text: &str, name: &str, max: usize) -> Result<(), GraphError> {
    if text.chars().count() > max {
        return Err(GraphError::invalid(format!("Param {name} must be at most {max} characters long.")));
    }
    Ok(())
}

fn known_keys(payload: &Value, owner: &str, keys: &[&str]) -> Result<(), GraphError> {
    let Some(object) = payload.as_object() else {
        return Err(GraphError::invalid(format!("Param {owner} must be a JSON object.")));
    };
    match object.keys().find(|key| !keys.contains(&key.as_str())) {
        Some(key) => Err(GraphError::invalid(format!("Unexpected key \"{key}\" on param \"{owner}\"."))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::Config;
    use crate::template::{Template, TemplateCategory};

    fn config(templates: Vec<Template>) -> Config {
        let url = "http://127.0.0.1:1/".parse().expect("a literal URL");
        Config { templates, ..Config::new(url, "secret") }
    }

    fn presence(id: &str) -> Presence {
        match id {
            "77" => Presence::Present,
            "79" => Presence::Expired,
            _ => Presence::Unknown,
        }
    }

    fn parse_json(body: &Value) -> Result<Outgoing, i64> {
        let catalogue = Catalogue::new(&config(Vec::new()), 0);
        let around = Surroundings { waba_id: "1", templates: &catalogue, media: &presence };
        match parse(body.to_string().as_bytes(), &around) {
            Ok(Request::Send(outgoing)) => Ok(*outgoing),
            Ok(Request::MarkRead) => Err(0),
            Err(error) => Err(error.code),
        }
    }

    fn message(extra: Value) -> Value {
        let mut body = json!({ "messaging_product": "whatsapp", "to": "+1 650-555-1234" });
        for (key, value) in extra.as_object().cloned().unwrap_or_default() {
            body[key] = value;
        }
        body
    }

    #[test]
    fn a_text_is_read_with_its_link_and_callback_data() {
        let text = json!({ "text": { "body": "see https://a.example/x." }, "biz_opaque_callback_data": "cb" });
        let outgoing = parse_json(&message(text)).expect("valid");
        assert_eq!(outgoing.address, Address::Phone("16505551234".to_owned()));
        assert_eq!(outgoing.links, ["https://a.example/x"]);
        assert_eq!(outgoing.callback_data.as_deref(), Some("cb"));
        assert_eq!((outgoing.message_type.as_str(), outgoing.category.as_str()), ("text", "service"));
    }

    #[test]
    fn schema_errors_have_metas_codes() {
        let long = "x".repeat(4_097);
        let cases = [
            (json!({ "to": "1650555123" }), 100),
            (message(json!({ "type": "poll", "poll": {} })), 100),
            (message(json!({ "type": "text" })), 131_008),
            (message(json!({ "text": { "body": "" } })), 100),
            (message(json!({ "text": { "body": long } })), 100),
            (message(json!({ "text": { "body": "a", "bold": true } })), 100),
            (message(json!({ "to": "nobody", "text": { "body": "a" } })), 131_009),
            (message(json!({ "text": { "body": "a" }, "biz_opaque_callback_data": "x".repeat(513) })), 100),
            (message(json!({ "type": "image", "image": { "id": "78" } })), 100),
            (message(json!({ "type": "image", "image": { "id": "79" } })), 131_053),
            (message(json!({ "type": "audio", "audio": { "id": "77", "caption": "no" } })), 100),
            (message(json!({ "type": "template", "template": { "name": "a" } })), 131_008),
        ];
        for (body, code) in cases {
            assert_eq!(parse_json(&body), Err(code), "{body}");
        }
        assert!(parse_json(&message(json!({ "type": "image", "image": { "id": "77" } }))).is_ok());
    }

    #[test]
    fn templates_yield_the_links_of_their_parameters_and_buttons() {
        let components = vec![
            json!({ "type": "BODY", "text": "Hi {{1}}, https://shop.example is open." }),
            json!({ "type": "BUTTONS", "buttons": [{ "type": "URL", "text": "Go", "url": "https://go.example/{{1}}" }] }),
        ];
        let template = Template::new("offer", "en_US", TemplateCategory::Utility, components);
        let catalogue = Catalogue::new(&config(vec![template]), 0);
        let body = message(
            json!({ "type": "template", "template": { "name": "offer", "language": { "code": "en_US" }, "components": [
            { "type": "body", "parameters": [{ "type": "text", "text": "Ana" }] },
            { "type": "button", "sub_type": "url", "index": "0", "parameters": [{ "type": "text", "text": "Ab12" }] },
        ] } }),
        );
        let around = Surroundings { waba_id: "1", templates: &catalogue, media: &presence };
        let Ok(Request::Send(outgoing)) = parse(body.to_string().as_bytes(), &around) else { panic!("valid") };
        assert_eq!(outgoing.links, ["https://go.example/Ab12", "https://shop.example"]);
        assert_eq!(outgoing.category, "utility");
    }

    #[test]
    fn user_ids_address_people_without_a_phone() {
        let body = json!({ "messaging_product": "whatsapp", "recipient": "US.2018", "text": { "body": "a" } });
        assert_eq!(parse_json(&body).map(|outgoing| outgoing.address), Ok(Address::UserId("US.2018".to_owned())));
    }

    #[test]
    fn read_receipts_and_typing_need_a_message_id() {
        let receipt = json!({ "messaging_product": "whatsapp", "status": "read", "message_id": "wamid.A", "typing_indicator": { "type": "text" } });
        assert_eq!(parse_json(&receipt), Err(0));
        assert_eq!(parse_json(&json!({ "messaging_product": "whatsapp", "status": "read" })), Err(100));
    }
}
