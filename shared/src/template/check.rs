//! Whether what fills a template fits its definition, and which of its links can be tracked. Meta refuses a message that
//! does not fit with 132000 or 132012, and with it the whole campaign; here it is found before the start.

use serde_json::Value;

use super::definition::{Button, Definition, Header, Part};
use super::{TemplateProblem, is_component};
use crate::campaign::message::Template;
use crate::campaign::render;

/// Longest coupon code: 15 on Meta's coupon pages, 20 on newer ones; the shorter is safe.
const MAX_COUPON_CHARS: usize = 15;

/// Everything that does not fit; pointers are relative to the message's `template`.
#[must_use]
pub fn check_parameters(definition: &Definition, template: &Template) -> Vec<TemplateProblem> {
    let mut check = Check { named: definition.named, problems: Vec::new() };
    check.part(&definition.main, &template.components, "", &["carousel", "limited_time_offer"]);
    check.cards(definition, &template.components);
    let has_expiry = template.components.iter().any(|component| is_component(component, "limited_time_offer"));
    if definition.expires && !has_expiry {
        check.wrong("/components", "the template needs a component limited_time_offer with the time of its end");
    }
    check.problems
}

struct Check {
    named: bool,
    problems: Vec<TemplateProblem>,
}

impl Check {
    fn wrong(&mut self, pointer: impl Into<String>, reason: impl Into<String>) {
        self.problems.push(TemplateProblem { pointer: pointer.into(), reason: reason.into() });
    }

    /// Header, body and buttons of the template or of a card. `base` is where the part stands; `others` are the further
    /// types that may stand there.
    fn part(&mut self, part: &Part, components: &[Value], base: &str, others: &[&str]) {
        let (mut header, mut body, mut buttons) = (None, None, Vec::new());
        for (index, component) in components.iter().enumerate() {
            let pointer = format!("{base}/components/{index}");
            let kind = component["type"].as_str().unwrap_or_default().to_ascii_lowercase();
            let twice = match kind.as_str() {
                "header" => header.replace((component, pointer.clone())).is_some(),
                "body" => body.replace((component, pointer.clone())).is_some(),
                "button" => {
                    buttons.push((component, pointer.clone()));
                    false
                }
                _ if others.contains(&kind.as_str()) => false,
                _ => {
                    self.wrong(format!("{pointer}/type"), "must be header, body or button");
                    false
                }
            };
            if twice {
                self.wrong(pointer, format!("there is a {kind} already"));
            }
        }
        self.header(&part.header, header, base);
        self.texts("body", &part.body, body, base);
        self.buttons(&part.buttons, &buttons, base);
    }

    fn header(&mut self, expected: &Header, given: Option<(&Value, String)>, base: &str) {
        let kind = match expected {
            Header::None => return self.texts("header", &[], given, base),
            Header::Text { variables, .. } => return self.texts("header", variables, given, base),
            // Meta checks what this version does not know.
            Header::Other(_) => return,
            Header::Media(kind) => kind.as_str(),
            Header::Location => "location",
        };
        let Some((component, pointer)) = given else {
            return self.wrong(format!("{base}/components"), format!("the header needs a parameter of type {kind}"));
        };
        let parameters = parameters(component);
        match parameters {
            [parameter] if parameter["type"] == kind => {
                let file = &parameter[kind];
                let sources = ["id", "link", "media_id"].iter().filter(|name| file.get(**name).is_some()).count();
                if kind != "location" && sources != 1 {
                    let reason = "name the file by exactly one of media_id, id and link";
                    self.wrong(format!("{pointer}/parameters/0/{kind}"), reason);
                }
            }
            [_] => self
                .wrong(format!("{pointer}/parameters/0/type"), format!("must be {kind}, as the template's header is")),
            _ => self.wrong(format!("{pointer}/parameters"), format!("must be one parameter of type {kind}")),
        }
    }

    /// The text parameters of a header or body.
    fn texts(&mut self, what: &str, expected: &[String], given: Option<(&Value, String)>, base: &str) {
        let Some((component, pointer)) = given else {
            if !expected.is_empty() {
                let reason = format!("the {what} needs {}", count(expected.len()));
                self.wrong(format!("{base}/components"), reason);
            }
            return;
        };
        let (given, pointer) = (parameters(component), format!("{pointer}/parameters"));
        if given.len() != expected.len() {
            let reason = format!("the template's {what} has {}, not {}", count(expected.len()), given.len());
            self.wrong(&pointer, reason);
        }
        for (index, parameter) in given.iter().enumerate() {
            self.text(parameter, &format!("{pointer}/{index}"));
            let name = parameter["parameter_name"].as_str();
            match name {
                Some(name) if self.named && !expected.iter().any(|known| known == name) => {
                    let reason =
                        format!("the template's {what} has no variable of this name, but {}", expected.join(", "));
                    self.wrong(format!("{pointer}/{index}/parameter_name"), reason);
                }
                Some(name) if self.named => {
                    let before = &given[..index];
                    if before.iter().any(|earlier| earlier["parameter_name"] == name) {
                        self.wrong(format!("{pointer}/{index}/parameter_name"), "is given already");
                    }
                }
                None if self.named => {
                    let reason = "the template's variables go by name: add parameter_name";
                    self.wrong(format!("{pointer}/{index}"), reason);
                }
                Some(_) => {
                    let reason = "the template's variables go by position: leave parameter_name out";
                    self.wrong(format!("{pointer}/{index}/parameter_name"), reason);
                }
                None => {}
            }
        }
    }

    /// One text parameter. Of a text with placeholders only what stands around them can be checked here.
    fn text(&mut self, parameter: &Value, pointer: &str) {
        match parameter["type"].as_str() {
            Some("text") => match parameter["text"].as_str() {
                None => self.wrong(format!("{pointer}/text"), "must be a text"),
                Some("") => self.wrong(format!("{pointer}/text"), "must not be empty"),
                Some(text) if text.contains(['\n', '\t']) || text.contains("     ") => {
                    let reason = "must not have line breaks, tabs or more than four spaces in a row";
                    self.wrong(format!("{pointer}/text"), reason);
                }
                Some(_) => {}
            },
            Some("link" | "currency" | "date_time") => {}
            _ => self.wrong(format!("{pointer}/type"), "must be text, link, currency or date_time"),
        }
    }

    fn buttons(&mut self, expected: &[Button], given: &[(&Value, String)], base: &str) {
        let mut seen = Vec::new();
        for (component, pointer) in given {
            let Some(index) = index_of(component) else {
                self.wrong(format!("{pointer}/index"), "must be the button's position, from 0");
                continue;
            };
            if seen.contains(&index) {
                self.wrong(format!("{pointer}/index"), "this button is given already");
            }
            seen.push(index);
            let Some(button) = expected.get(index) else {
                let reason = format!("the template has {} buttons; the first is 0", expected.len());
                self.wrong(format!("{pointer}/index"), reason);
                continue;
            };
            let sub_type = component["sub_type"].as_str().unwrap_or_default().to_ascii_lowercase();
            match button.sub_type() {
                None => {
                    self.wrong(pointer, "this button takes no parameter: its address or number is approved as it is");
                }
                // One-time codes are passed on under either name.
                Some(wanted) if wanted != sub_type && !(*button == Button::OneTimeCode && sub_type == "otp") => {
                    let shown = format!("must be {wanted}, as the template's button {index} is");
                    self.wrong(format!("{pointer}/sub_type"), shown);
                }
                Some(_) => self.button(button, parameters(component), &format!("{pointer}/parameters")),
            }
        }
        for (index, button) in expected.iter().enumerate() {
            if button.is_required() && !seen.contains(&index) {
                let sub_type = button.sub_type().unwrap_or_default();
                let reason = format!("button {index} ({sub_type}) needs a parameter");
                self.wrong(format!("{base}/components"), reason);
            }
        }
    }

    fn button(&mut self, button: &Button, given: &[Value], pointer: &str) {
        let [parameter] = given else {
            return self.wrong(pointer, "a button takes exactly one parameter");
        };
        let kind = parameter["type"].as_str().unwrap_or_default();
        let place = format!("{pointer}/0");
        match button {
            Button::Url { .. } | Button::OneTimeCode => match kind {
                "link" if *button != Button::OneTimeCode => {}
                "text" => self.text(parameter, &place),
                _ => self.wrong(format!("{place}/type"), "must be text or link"),
            },
            Button::QuickReply if kind != "payload" || !parameter["payload"].is_string() => {
                self.wrong(place, "must be {\"type\":\"payload\",\"payload\":…}");
            }
            Button::CopyCode => match parameter["coupon_code"].as_str() {
                Some(code) if kind == "coupon_code" => {
                    let literal = !code.contains("{{");
                    let fits = code.chars().count() <= MAX_COUPON_CHARS && code.chars().all(char::is_alphanumeric);
                    if literal && (!fits || code.is_empty()) {
                        let reason = format!("must be 1 to {MAX_COUPON_CHARS} letters and digits");
                        self.wrong(format!("{place}/coupon_code"), reason);
                    }
                }
                _ => self.wrong(place, "must be {\"type\":\"coupon_code\",\"coupon_code\":…}"),
            },
            Button::Flow | Button::Catalog if kind != "action" => {
                self.wrong(format!("{place}/type"), "must be action");
            }
            _ => {}
        }
    }

    fn cards(&mut self, definition: &Definition, components: &[Value]) {
        let found = components.iter().enumerate().find(|(_, component)| is_component(component, "carousel"));
        let expected = &definition.cards;
        match found {
            None if expected.is_empty() => {}
            None => self.wrong("/components", format!("the template's carousel needs {} cards", expected.len())),
            Some((index, _)) if expected.is_empty() => {
                self.wrong(format!("/components/{index}"), "the template has no carousel");
            }
            Some((index, carousel)) => {
                let given = carousel["cards"].as_array().map(Vec::as_slice).unwrap_or_default();
                let pointer = format!("/components/{index}/cards");
                if given.len() != expected.len() {
                    let reason = format!("the template has {} cards, not {}", expected.len(), given.len());
                    self.wrong(&pointer, reason);
                }
                for (position, card) in given.iter().enumerate() {
                    let at = card["card_index"].as_u64().and_then(|at| usize::try_from(at).ok()).unwrap_or(position);
                    let components = card["components"].as_array().map(Vec::as_slice).unwrap_or_default();
                    if let Some(part) = expected.get(at) {
                        self.part(part, components, &format!("{pointer}/{position}"), &[]);
                    }
                }
            }
        }
    }
}

fn count(variables: usize) -> String {
    match variables {
        0 => "no parameter".to_owned(),
        1 => "1 parameter".to_owned(),
        n => format!("{n} parameters"),
    }
}

fn parameters(component: &Value) -> &[Value] {
    component["parameters"].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// A button's position, which Meta takes as a text or as a number.
fn index_of(component: &Value) -> Option<usize> {
    match &component["index"] {
        Value::String(text) => text.parse().ok(),
        Value::Number(number) => usize::try_from(number.as_u64()?).ok(),
        _ => None,
    }
}

/// A link of a template as people will see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateLink {
    /// Where it stands: `header`, `body`, `button 0`, `card 1 button 0`.
    pub place: String,
    /// The address: the destination of a tracked link, else as approved.
    pub url: String,
    /// Whether it can be tracked.
    pub tracking: Tracking,
}

/// Whether a link of a template can be tracked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tracking {
    /// Each recipient gets a short link of their own.
    Tracked,
    /// It cannot, for this reason.
    NotTracked(String),
}

/// The links of a template and which of them can be tracked. An approved text cannot be changed: only a variable of the
/// text and the variable suffix of a URL button can carry a recipient's own link. `link_base` is where short links live,
/// such as `https://go.example`.
#[must_use]
pub fn trackable_links(definition: &Definition, template: &Template, link_base: &str) -> Vec<TemplateLink> {
    let mut links = part_links(&definition.main, &template.components, "", link_base);
    let carousel = template.components.iter().find(|component| is_component(component, "carousel"));
    let cards = carousel.and_then(|carousel| carousel["cards"].as_array()).map(Vec::as_slice).unwrap_or_default();
    for (index, part) in definition.cards.iter().enumerate() {
        let card = cards.get(index).and_then(|card| card["components"].as_array());
        let components = card.map(Vec::as_slice).unwrap_or_default();
        links.extend(part_links(part, components, &format!("card {index} "), link_base));
    }
    links
}

fn part_links(part: &Part, components: &[Value], prefix: &str, link_base: &str) -> Vec<TemplateLink> {
    let mut links = Vec::new();
    let fixed = || Tracking::NotTracked("it is part of the approved text, which cannot be changed".to_owned());
    let mut texts = vec![("body", part.text.as_str())];
    if let Header::Text { text, .. } = &part.header {
        texts.insert(0, ("header", text));
    }
    for (place, text) in texts {
        for url in render::links(text).unwrap_or_default() {
            links.push(TemplateLink { place: format!("{prefix}{place}"), url, tracking: fixed() });
        }
        let given = components.iter().find(|component| is_component(component, place));
        for url in given.map(parameters).unwrap_or_default().iter().filter_map(link_of) {
            let place = format!("{prefix}{place}");
            links.push(TemplateLink { place, url: url.to_owned(), tracking: Tracking::Tracked });
        }
    }
    for (index, button) in part.buttons.iter().enumerate() {
        let Button::Url { url } = button else { continue };
        let given =
            components.iter().find(|component| is_component(component, "button") && index_of(component) == Some(index));
        let link = given.and_then(|component| parameters(component).first()).and_then(link_of);
        let (url, tracking) = match (button.url_prefix(), link) {
            (None, _) => (url.as_str(), Tracking::NotTracked("its address has no variable".to_owned())),
            (Some(_), None) => {
                let reason = "its suffix is a text: give {\"type\":\"link\",\"url\":…} to track it".to_owned();
                (url.as_str(), Tracking::NotTracked(reason))
            }
            (Some(before), Some(link)) if before.trim_end_matches('/') != link_base.trim_end_matches('/') => {
                let reason = format!(
                    "its approved address begins with {before}, but short links live at {link_base}: unless that address \
                     leads there, the link is broken"
                );
                (link, Tracking::NotTracked(reason))
            }
            (Some(_), Some(link)) => (link, Tracking::Tracked),
        };
        links.push(TemplateLink { place: format!("{prefix}button {index}"), url: url.to_owned(), tracking });
    }
    links
}

/// A link whose code becomes the suffix of a URL button's approved address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ButtonLink {
    /// JSON pointer to its parameter, relative to the template.
    pub pointer: String,
    /// What stands before the code, in the approved address.
    pub before: String,
}

/// The links of a template that stand behind an approved address. A code means something on one domain only, so theirs must
/// be made for the domain that the address is on.
#[must_use]
pub fn button_links(definition: &Definition, template: &Template) -> Vec<ButtonLink> {
    let mut found = part_button_links(&definition.main, &template.components, "");
    let carousel = template.components.iter().enumerate().find(|(_, component)| is_component(component, "carousel"));
    let Some((place, carousel)) = carousel else { return found };
    let cards = carousel["cards"].as_array().map(Vec::as_slice).unwrap_or_default();
    for (index, (part, card)) in definition.cards.iter().zip(cards).enumerate() {
        let components = card["components"].as_array().map(Vec::as_slice).unwrap_or_default();
        found.extend(part_button_links(part, components, &format!("/components/{place}/cards/{index}")));
    }
    found
}

fn part_button_links(part: &Part, components: &[Value], prefix: &str) -> Vec<ButtonLink> {
    let links = components.iter().enumerate().filter_map(|(place, component)| {
        let index = index_of(component).filter(|_| is_component(component, "button"))?;
        let before = part.buttons.get(index)?.url_prefix()?.to_owned();
        parameters(component).first().and_then(link_of)?;
        Some(ButtonLink { pointer: format!("{prefix}/components/{place}/parameters/0"), before })
    });
    links.collect()
}

fn link_of(parameter: &Value) -> Option<&str> {
    parameter["url"].as_str().filter(|_| parameter["type"] == "link")
}

#[cfg(test)]
mod tests;
