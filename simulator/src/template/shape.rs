//! What a template expects of a send: its variables, its header and its buttons, read from Meta's component JSON.

use serde_json::Value;

use crate::template::model::{ParameterFormat, Template, TemplateCategory};

/// Expectations of one template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shape<'a> {
    pub(crate) header: Header<'a>,
    pub(crate) body: Slots<'a>,
    pub(crate) body_text: &'a str,
    pub(crate) buttons: Vec<Button<'a>>,
    /// Cards of its carousel, 0 without one.
    pub(crate) cards: usize,
}

/// What goes into the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Header<'a> {
    Absent,
    Text(Slots<'a>, &'a str),
    /// `IMAGE`, `VIDEO`, `DOCUMENT` or `LOCATION`: the send brings it.
    Brought(&'a str),
}

/// The variables of a text, each once, in order of appearance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slots<'a> {
    pub(crate) format: ParameterFormat,
    pub(crate) names: Vec<&'a str>,
}

/// A button, as far as a send is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Button<'a> {
    /// Opens a URL; with a variable, the send completes it.
    Url(&'a str),
    /// Carries a one-time code, which a send gives like a URL's suffix.
    Otp,
    /// Copies a coupon code that the send brings.
    CopyCode,
    /// Takes an optional payload.
    QuickReply,
    /// Anything else takes an optional parameter.
    Other(&'a str),
}

impl<'a> Shape<'a> {
    /// The shape of a template.
    pub(crate) fn of(template: &'a Template) -> Self {
        let component = |kind: &str| template.components.iter().find(|component| is(component, kind));
        let slots = |text| Slots { format: template.parameter_format, names: variables(text) };
        let header = match component("HEADER") {
            None => Header::Absent,
            Some(header) => match header["format"].as_str() {
                None => Header::Text(slots(text_of(header)), text_of(header)),
                Some(format) if format.eq_ignore_ascii_case("TEXT") => {
                    Header::Text(slots(text_of(header)), text_of(header))
                }
                Some(format) => Header::Brought(format),
            },
        };
        let body_text = component("BODY").map_or("", text_of);
        let body = match (template.category, body_text) {
            // The body of an authentication template is Meta's own and takes the code.
            (TemplateCategory::Authentication, "") => Slots { format: ParameterFormat::Positional, names: vec!["1"] },
            _ => slots(body_text),
        };
        let buttons = component("BUTTONS").and_then(|buttons| buttons["buttons"].as_array());
        let cards = component("CAROUSEL").and_then(|carousel| carousel["cards"].as_array());
        Self {
            header,
            body,
            body_text,
            buttons: buttons.into_iter().flatten().map(Button::of).collect(),
            cards: cards.map_or(0, Vec::len),
        }
    }
}

impl<'a> Button<'a> {
    fn of(button: &'a Value) -> Self {
        match button["type"].as_str().unwrap_or_default() {
            kind if kind.eq_ignore_ascii_case("URL") => Self::Url(button["url"].as_str().unwrap_or_default()),
            kind if kind.eq_ignore_ascii_case("OTP") => Self::Otp,
            kind if kind.eq_ignore_ascii_case("COPY_CODE") => Self::CopyCode,
            kind if kind.eq_ignore_ascii_case("QUICK_REPLY") => Self::QuickReply,
            kind => Self::Other(kind),
        }
    }

    /// As Meta's error texts name it, the `sub_type` with which a send refers to it, and whether that must be there.
    pub(crate) fn expectation(&self) -> (&'a str, &'a str, bool) {
        match self {
            Self::Url(url) => ("Url", "url", url.contains("{{")),
            Self::Otp => ("Url", "url", true),
            Self::CopyCode => ("CopyCode", "copy_code", true),
            Self::QuickReply => ("QuickReply", "quick_reply", false),
            Self::Other(kind) => (kind, kind, false),
        }
    }
}

/// Whether a component is of a type, which Meta writes in capitals in templates and in small letters in sends.
pub(crate) fn is(component: &Value, kind: &str) -> bool {
    component["type"].as_str().is_some_and(|written| written.eq_ignore_ascii_case(kind))
}

/// The text of a component.
pub(crate) fn text_of(component: &Value) -> &str {
    component["text"].as_str().unwrap_or_default()
}

/// The names in `{{..}}`, each once, in order of appearance.
pub(crate) fn variables(text: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let pieces = text.split("{{").skip(1).filter_map(|piece| piece.split_once("}}"));
    for (name, _) in pieces {
        let name = name.trim();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn variables_are_found_once_each_and_in_order() {
        assert_eq!(variables("a {{2}} b {{ 1 }} c {{2}} d {{"), ["2", "1"]);
    }

    #[test]
    fn headers_and_buttons_are_read_whatever_the_case() {
        let components = vec![
            json!({"type": "header", "format": "IMAGE"}),
            json!({"type": "BODY", "text": "Hi {{name}}!"}),
            json!({"type": "buttons", "buttons": [
                {"type": "quick_reply", "text": "Yes"}, {"type": "URL", "url": "https://a.example/{{1}}"}]}),
        ];
        let mut template = Template::new("t", "en", TemplateCategory::Marketing, components);
        template.parameter_format = ParameterFormat::Named;
        let shape = Shape::of(&template);
        assert_eq!(shape.header, Header::Brought("IMAGE"));
        assert_eq!(shape.body, Slots { format: ParameterFormat::Named, names: vec!["name"] });
        assert_eq!(shape.buttons, [Button::QuickReply, Button::Url("https://a.example/{{1}}")]);
    }
}
