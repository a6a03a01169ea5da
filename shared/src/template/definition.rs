//! What a template expects: its variables, its media, its buttons and cards, as its approved components tell (Meta, template
//! components).

use serde_json::Value;

use super::is_component;
use crate::media::MediaKind;

/// What a template expects of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Definition {
    /// Whether variables go by name rather than by position.
    pub named: bool,
    /// Header, body and buttons.
    pub main: Part,
    /// The cards of a carousel.
    pub cards: Vec<Part>,
    /// Whether an expiry has to be given with it (limited-time offers).
    pub expires: bool,
}

/// Header, body and buttons: of a template, or of a card of its carousel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// What stands above the text.
    pub header: Header,
    /// The text as approved.
    pub text: String,
    /// The variables of the text, in their order, each once.
    pub body: Vec<String>,
    /// The buttons in their order.
    pub buttons: Vec<Button>,
}

/// What stands above a template's text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Header {
    /// Nothing.
    #[default]
    None,
    /// A line of text with these variables, at most one.
    Text {
        /// As approved.
        text: String,
        /// Its variables.
        variables: Vec<String>,
    },
    /// A file, chosen with each message.
    Media(MediaKind),
    /// A place, chosen with each message.
    Location,
    /// A kind that this version does not know.
    Other(String),
}

/// A button of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Button {
    /// Opens an address; with a variable at its end when it has one.
    Url {
        /// As approved.
        url: String,
    },
    /// Answers with its label, or with a payload chosen with the message.
    QuickReply,
    /// Copies a code, chosen with the message.
    CopyCode,
    /// Passes on a one-time code, chosen with the message.
    OneTimeCode,
    /// Opens a form.
    Flow,
    /// Shows a catalogue, or products of it.
    Catalog,
    /// Calls a number.
    Phone,
    /// Anything else; nothing is expected for it.
    Other,
}

impl Button {
    /// What stands before the variable of an address; `None` when it has none.
    #[must_use]
    pub fn url_prefix(&self) -> Option<&str> {
        match self {
            Self::Url { url } => url.split_once("{{").map(|(prefix, _)| prefix),
            _ => None,
        }
    }

    /// Meta's `sub_type` of a parameter for it; `None` when it takes none.
    #[must_use]
    pub fn sub_type(&self) -> Option<&'static str> {
        match self {
            Self::Url { .. } => self.url_prefix().map(|_| "url"),
            Self::OneTimeCode => Some("url"),
            Self::QuickReply => Some("quick_reply"),
            Self::CopyCode => Some("copy_code"),
            Self::Flow => Some("flow"),
            Self::Catalog => Some("catalog"),
            Self::Phone | Self::Other => None,
        }
    }

    /// Whether a message without a parameter for it is refused.
    #[must_use]
    pub fn is_required(&self) -> bool {
        matches!(self, Self::OneTimeCode | Self::CopyCode) || self.url_prefix().is_some()
    }
}

impl Definition {
    /// Reads Meta's components. What this version does not know is left out: Meta checks it when a message is sent.
    #[must_use]
    pub fn read(components: &[Value], parameter_format: Option<&str>) -> Self {
        let carousel = components.iter().find(|component| is_component(component, "CAROUSEL"));
        let cards = carousel.and_then(|carousel| carousel["cards"].as_array());
        let cards = cards.map(Vec::as_slice).unwrap_or_default();
        let of_card = |card: &Value| Part::read(card["components"].as_array().map(Vec::as_slice).unwrap_or_default());
        let main = Part::read(components);
        let by_name = main.body.iter().any(|name| name.parse::<u32>().is_err());
        Self {
            named: parameter_format.map_or(by_name, |format| format.eq_ignore_ascii_case("NAMED")),
            main,
            cards: cards.iter().map(of_card).collect(),
            expires: components.iter().any(|component| {
                is_component(component, "LIMITED_TIME_OFFER")
                    && component["limited_time_offer"]["has_expiration"].as_bool().unwrap_or(true)
            }),
        }
    }
}

impl Part {
    fn read(components: &[Value]) -> Self {
        let mut part = Self::default();
        for component in components {
            let text = component["text"].as_str().unwrap_or_default();
            if is_component(component, "HEADER") {
                part.header = header(component, text);
            } else if is_component(component, "BODY") {
                // Meta writes the text of an authentication template itself; it has the code in it.
                part.body = if component.get("text").is_none() { vec!["1".to_owned()] } else { variables(text) };
                part.text = text.to_owned();
            } else if is_component(component, "BUTTONS") {
                let buttons = component["buttons"].as_array().map(Vec::as_slice).unwrap_or_default();
                part.buttons = buttons.iter().map(button).collect();
            }
        }
        part
    }
}

fn header(component: &Value, text: &str) -> Header {
    let format = component["format"].as_str().unwrap_or("TEXT").to_ascii_uppercase();
    match format.as_str() {
        "TEXT" => Header::Text { text: text.to_owned(), variables: variables(text) },
        "IMAGE" => Header::Media(MediaKind::Image),
        "VIDEO" => Header::Media(MediaKind::Video),
        "DOCUMENT" => Header::Media(MediaKind::Document),
        "LOCATION" => Header::Location,
        _ => Header::Other(format),
    }
}

fn button(button: &Value) -> Button {
    match button["type"].as_str().unwrap_or_default().to_ascii_uppercase().as_str() {
        "URL" => Button::Url { url: button["url"].as_str().unwrap_or_default().to_owned() },
        "QUICK_REPLY" => Button::QuickReply,
        "COPY_CODE" => Button::CopyCode,
        "OTP" => Button::OneTimeCode,
        "FLOW" => Button::Flow,
        "CATALOG" | "MPM" | "SPM" => Button::Catalog,
        "PHONE_NUMBER" => Button::Phone,
        _ => Button::Other,
    }
}

/// The names within `{{…}}`, in their order, each once.
#[must_use]
pub fn variables(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for (name, _) in placeholders(text) {
        if !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

/// Every `{{…}}` of a text: the name within, and where it stands.
pub(super) fn placeholders(text: &str) -> Vec<(String, std::ops::Range<usize>)> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(open) = text[from..].find("{{").map(|at| from + at) {
        let Some(close) = text[open..].find("}}").map(|at| open + at) else { break };
        found.push((text[open + 2..close].trim().to_owned(), open..close + 2));
        from = close + 2;
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn variables_media_and_buttons_are_found() {
        let components = [
            json!({"type": "HEADER", "format": "IMAGE", "example": {"header_handle": ["4::…"]}}),
            json!({"type": "BODY", "text": "Hi {{1}}, {{2}} for {{1}}"}),
            json!({"type": "FOOTER", "text": "Reply STOP"}),
            json!({"type": "BUTTONS", "buttons": [
                {"type": "QUICK_REPLY", "text": "Yes"},
                {"type": "URL", "text": "Open", "url": "https://go.example/{{1}}"},
                {"type": "URL", "text": "Site", "url": "https://shop.example"},
                {"type": "COPY_CODE", "text": "Copy"}, {"type": "PHONE_NUMBER", "text": "Call"}]}),
        ];
        let definition = Definition::read(&components, Some("POSITIONAL"));
        assert_eq!(definition.main.header, Header::Media(MediaKind::Image));
        assert_eq!(definition.main.body, ["1", "2"]);
        let required: Vec<bool> = definition.main.buttons.iter().map(Button::is_required).collect();
        assert_eq!(required, [false, true, false, true, false]);
        assert_eq!(definition.main.buttons[1].url_prefix(), Some("https://go.example/"));
        assert!(!definition.named && definition.cards.is_empty() && !definition.expires);
    }

    #[test]
    fn named_variables_and_an_authentication_template_are_told() {
        assert!(Definition::read(&[json!({"type": "body", "text": "Hi {{first_name}}"})], None).named);
        let code = [
            json!({"type": "BODY", "add_security_recommendation": true}),
            json!({"type": "BUTTONS", "buttons": [{"type": "OTP", "otp_type": "COPY_CODE"}]}),
        ];
        let definition = Definition::read(&code, None);
        assert_eq!((definition.main.body.len(), definition.main.buttons[0].sub_type()), (1, Some("url")));
    }

    #[test]
    fn the_cards_of_a_carousel_are_parts_of_their_own() {
        let card = json!({"components": [
            {"type": "HEADER", "format": "VIDEO"}, {"type": "BODY", "text": "{{1}}!"},
            {"type": "BUTTONS", "buttons": [{"type": "URL", "url": "https://go.example/{{1}}"}]}]});
        let components = [json!({"type": "BODY", "text": "See"}), json!({"type": "CAROUSEL", "cards": [card, card]})];
        let definition = Definition::read(&components, None);
        assert_eq!(definition.cards.len(), 2);
        assert_eq!((definition.cards[1].body.len(), definition.cards[1].buttons.len()), (1, 1));
    }
}
