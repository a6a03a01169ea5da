//! What Meta accepts as a template: the limits of its content (Meta, template components and categories), checked before
//! Meta is called, so that every mistake is named at once. Meta's review decides the rest.

use std::time::Duration;

use serde_json::Value;

use super::definition::placeholders;
use super::{TemplateProblem, is_component};
use crate::time::UnixMillis;

const MAX_NAME_CHARS: usize = 512;
const MAX_HEADER_CHARS: usize = 60;
const MAX_BODY_CHARS: usize = 1_024;
const MAX_OFFER_BODY_CHARS: usize = 600;
const MAX_CARD_BODY_CHARS: usize = 160;
const MAX_FOOTER_CHARS: usize = 60;
const MAX_OFFER_CHARS: usize = 16;
const MAX_BUTTONS: usize = 10;
const MAX_CARD_BUTTONS: usize = 2;
const MAX_LABEL_CHARS: usize = 25;
const MAX_URL_CHARS: usize = 2_000;
const MAX_PHONE_CHARS: usize = 20;

/// An approved template can be edited once in 24 hours and ten times in 30 days (Meta, editing templates).
const EDIT_WINDOWS: [(Duration, usize, &str); 2] = [
    (Duration::from_secs(24 * 3_600), 1, "1 edit in 24 hours"),
    (Duration::from_secs(30 * 24 * 3_600), 10, "10 edits in 30 days"),
];

/// A template that is to be created or changed to.
#[derive(Clone, Copy, Debug)]
pub struct Proposal<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its language.
    pub language: &'a str,
    /// `MARKETING`, `UTILITY` or `AUTHENTICATION`.
    pub category: &'a str,
    /// Whether variables go by name.
    pub named: bool,
    /// Meta's components.
    pub components: &'a [Value],
    /// How long Meta tries to deliver; -1 for 30 days.
    pub ttl_s: Option<i64>,
}

/// Everything that is wrong with a proposal; pointers are relative to its JSON.
#[must_use]
pub fn check_proposal(proposal: &Proposal<'_>) -> Vec<TemplateProblem> {
    let mut check = Limits { named: proposal.named, problems: Vec::new() };
    let name = proposal.name;
    if name.is_empty()
        || name.len() > MAX_NAME_CHARS
        || !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    {
        check.wrong("/name", format!("must be 1 to {MAX_NAME_CHARS} of a–z, 0–9 and _"));
    }
    if !is_language(proposal.language) {
        check.wrong("/language", "must be a code such as en or en_US");
    }
    let ttl = match proposal.category {
        "MARKETING" => Some((43_200, 2_592_000)),
        "UTILITY" => Some((30, 43_200)),
        "AUTHENTICATION" => Some((30, 900)),
        _ => {
            check.wrong("/category", "must be MARKETING, UTILITY or AUTHENTICATION");
            None
        }
    };
    if let (Some((least, most)), Some(given)) = (ttl, proposal.ttl_s)
        && given != -1
        && !(least..=most).contains(&given)
    {
        check.wrong("/message_send_ttl_seconds", format!("must be {least} to {most} for this category, or -1"));
    }
    check.components(proposal);
    check.problems
}

/// `en`, `fil`, `en_US`, `zh_HK`.
fn is_language(code: &str) -> bool {
    let (language, country) =
        code.split_once('_').map_or((code, None), |(language, country)| (language, Some(country)));
    (2..=3).contains(&language.len())
        && language.bytes().all(|byte| byte.is_ascii_lowercase())
        && country.is_none_or(|country| {
            (2..=4).contains(&country.len()) && country.bytes().all(|b| b.is_ascii_alphanumeric())
        })
}

/// When an approved template may be edited again and which window is full; `None` when it may now.
#[must_use]
pub fn next_edit(edits: &[UnixMillis], now: UnixMillis) -> Option<(UnixMillis, &'static str)> {
    let blocked = EDIT_WINDOWS.iter().filter_map(|(window, most, name)| {
        let mut within: Vec<UnixMillis> =
            edits.iter().copied().filter(|at| now.since(*at) < *window && *at <= now).collect();
        within.sort();
        let first_that_counts = within.len().checked_sub(*most)?;
        Some((within[first_that_counts].plus(*window), *name))
    });
    blocked.max_by_key(|(until, _)| *until)
}

struct Limits {
    named: bool,
    problems: Vec<TemplateProblem>,
}

impl Limits {
    fn wrong(&mut self, pointer: impl Into<String>, reason: impl Into<String>) {
        self.problems.push(TemplateProblem { pointer: pointer.into(), reason: reason.into() });
    }

    fn components(&mut self, proposal: &Proposal<'_>) {
        let components = proposal.components;
        for kind in ["HEADER", "BODY", "FOOTER", "BUTTONS", "CAROUSEL", "LIMITED_TIME_OFFER"] {
            let mut found = components.iter().enumerate().filter(|(_, component)| is_component(component, kind));
            if let Some((second, _)) = found.nth(1) {
                self.wrong(format!("/components/{second}"), format!("there is a {kind} already"));
            }
        }
        if !components.iter().any(|component| is_component(component, "BODY")) {
            self.wrong("/components", "a template needs a BODY");
        }
        let is_offer = components.iter().any(|component| is_component(component, "LIMITED_TIME_OFFER"));
        for (index, component) in components.iter().enumerate() {
            let pointer = format!("/components/{index}");
            let most = if is_offer { MAX_OFFER_BODY_CHARS } else { MAX_BODY_CHARS };
            if is_component(component, "BODY") {
                // Meta writes the text of an authentication template.
                if proposal.category != "AUTHENTICATION" || component.get("text").is_some() {
                    self.body(component, most, &pointer);
                }
            } else if is_component(component, "HEADER") {
                self.header(component, &pointer);
            } else if is_component(component, "FOOTER") {
                // That of an authentication template is a number of minutes.
                if component.get("code_expiration_minutes").is_none() {
                    self.footer(component, &pointer);
                }
            } else if is_component(component, "BUTTONS") {
                self.buttons(component, MAX_BUTTONS, &pointer);
            } else if is_component(component, "LIMITED_TIME_OFFER") {
                let text = component["limited_time_offer"]["text"].as_str().unwrap_or_default();
                self.length(text, MAX_OFFER_CHARS, format!("{pointer}/limited_time_offer/text"));
            } else if is_component(component, "CAROUSEL") {
                self.carousel(component, &pointer);
            } else if component["type"].as_str().is_none() {
                self.wrong(format!("{pointer}/type"), "must be a type of component such as BODY");
            }
        }
    }

    fn length(&mut self, text: &str, most: usize, pointer: String) {
        let length = text.chars().count();
        if length == 0 || length > most {
            self.wrong(pointer, format!("must have 1 to {most} characters, not {length}"));
        }
    }

    fn header(&mut self, component: &Value, pointer: &str) {
        let format = component["format"].as_str().unwrap_or_default().to_ascii_uppercase();
        match format.as_str() {
            "TEXT" => {
                let (text, place) = (component["text"].as_str().unwrap_or_default(), format!("{pointer}/text"));
                self.length(text, MAX_HEADER_CHARS, place.clone());
                if placeholders(text).len() > 1 {
                    self.wrong(place, "a header has at most one variable");
                }
            }
            "IMAGE" | "VIDEO" | "DOCUMENT" | "LOCATION" | "GIF" | "PRODUCT" => {}
            _ => self.wrong(format!("{pointer}/format"), "must be TEXT, IMAGE, VIDEO, DOCUMENT or LOCATION"),
        }
    }

    fn body(&mut self, component: &Value, most: usize, pointer: &str) {
        let (text, place) = (component["text"].as_str().unwrap_or_default(), format!("{pointer}/text"));
        self.length(text, most, place.clone());
        let found = placeholders(text);
        let bare = text.trim();
        if !found.is_empty() && (bare.starts_with("{{") || bare.ends_with("}}")) {
            self.wrong(&place, "a variable must not stand at the beginning or the end");
        }
        if found.windows(2).any(|pair| text[pair[0].1.end..pair[1].1.start].trim().is_empty()) {
            self.wrong(&place, "two variables must not stand side by side");
        }
        let mut names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        if self.named {
            let fits = |name: &&str| {
                name.starts_with(|c: char| c.is_ascii_lowercase())
                    && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
            };
            if let Some(name) = names.iter().find(|name| !fits(name)) {
                self.wrong(place, format!("{{{{{name}}}}}: a named variable is made of a–z, 0–9 and _"));
            }
        } else if !(1..=names.len()).all(|n| names.contains(&n.to_string().as_str())) {
            let last = names.len();
            self.wrong(
                place,
                format!("variables by position are numbered from {{{{1}}}} to {{{{{last}}}}} without gaps"),
            );
        }
    }

    fn footer(&mut self, component: &Value, pointer: &str) {
        let (text, place) = (component["text"].as_str().unwrap_or_default(), format!("{pointer}/text"));
        self.length(text, MAX_FOOTER_CHARS, place.clone());
        if !placeholders(text).is_empty() {
            self.wrong(place, "a footer has no variables");
        }
    }

    fn buttons(&mut self, component: &Value, most: usize, pointer: &str) {
        let buttons = component["buttons"].as_array().map(Vec::as_slice).unwrap_or_default();
        if buttons.is_empty() || buttons.len() > most {
            self.wrong(format!("{pointer}/buttons"), format!("must be 1 to {most} buttons"));
        }
        for (kind, most) in [("URL", 2), ("PHONE_NUMBER", 1), ("COPY_CODE", 1)] {
            let found = buttons.iter().filter(|button| is_component(button, kind)).count();
            if found > most {
                self.wrong(format!("{pointer}/buttons"), format!("has {found} buttons of type {kind}; at most {most}"));
            }
        }
        let replies: Vec<usize> = (0..buttons.len()).filter(|at| is_component(&buttons[*at], "QUICK_REPLY")).collect();
        if replies.windows(2).any(|pair| pair[1] != pair[0] + 1) {
            self.wrong(format!("{pointer}/buttons"), "quick replies must stand together");
        }
        for (index, button) in buttons.iter().enumerate() {
            self.button(button, &format!("{pointer}/buttons/{index}"));
        }
    }

    fn button(&mut self, button: &Value, pointer: &str) {
        // Meta labels the buttons that copy a code by itself.
        if !is_component(button, "COPY_CODE") && !is_component(button, "OTP") {
            self.length(button["text"].as_str().unwrap_or_default(), MAX_LABEL_CHARS, format!("{pointer}/text"));
        }
        if is_component(button, "URL") {
            let (url, place) = (button["url"].as_str().unwrap_or_default(), format!("{pointer}/url"));
            self.length(url, MAX_URL_CHARS, place.clone());
            let found = placeholders(url);
            if found.len() > 1 || found.first().is_some_and(|(_, at)| at.end != url.len()) {
                self.wrong(place.clone(), "an address has at most one variable, at its end");
            }
            if !url.starts_with("https://") && !url.starts_with("http://") {
                self.wrong(place, "must begin with https:// or http://");
            }
        }
        if is_component(button, "PHONE_NUMBER") {
            let number = button["phone_number"].as_str().unwrap_or_default();
            self.length(number, MAX_PHONE_CHARS, format!("{pointer}/phone_number"));
        }
    }

    fn carousel(&mut self, component: &Value, pointer: &str) {
        let cards = component["cards"].as_array().map(Vec::as_slice).unwrap_or_default();
        if !(2..=10).contains(&cards.len()) {
            self.wrong(format!("{pointer}/cards"), format!("must be 2 to 10 cards, not {}", cards.len()));
        }
        for (index, card) in cards.iter().enumerate() {
            let components = card["components"].as_array().map(Vec::as_slice).unwrap_or_default();
            for (at, component) in components.iter().enumerate() {
                let pointer = format!("{pointer}/cards/{index}/components/{at}");
                if is_component(component, "BODY") {
                    self.body(component, MAX_CARD_BODY_CHARS, &pointer);
                } else if is_component(component, "HEADER") {
                    self.header(component, &pointer);
                } else if is_component(component, "BUTTONS") {
                    self.buttons(component, MAX_CARD_BUTTONS, &pointer);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(name: &str, category: &str, components: &Value, ttl_s: Option<i64>) -> Vec<(String, String)> {
        let components = components.as_array().unwrap();
        let proposal = Proposal { name, language: "en_US", category, named: false, components, ttl_s };
        check_proposal(&proposal).into_iter().map(|problem| (problem.pointer, problem.reason)).collect()
    }

    fn problems(components: &Value) -> Vec<(String, String)> {
        check("offer", "MARKETING", components, None)
    }

    #[test]
    fn a_template_within_the_limits_has_no_problem() {
        let components = json!([
            {"type": "HEADER", "format": "TEXT", "text": "For {{1}}"},
            {"type": "BODY", "text": "Hi {{1}}, your code is {{2}}. Enjoy!"},
            {"type": "FOOTER", "text": "Reply STOP"},
            {"type": "BUTTONS", "buttons": [
                {"type": "QUICK_REPLY", "text": "Yes"}, {"type": "QUICK_REPLY", "text": "No"},
                {"type": "URL", "text": "Open", "url": "https://go.example/{{1}}"}]}]);
        assert_eq!(problems(&components), []);
        let code = json!([{"type": "BODY", "add_security_recommendation": true},
            {"type": "FOOTER", "code_expiration_minutes": 5},
            {"type": "BUTTONS", "buttons": [{"type": "OTP", "otp_type": "COPY_CODE"}]}]);
        assert_eq!(check("code", "AUTHENTICATION", &code, Some(600)), []);
    }

    #[test]
    fn each_limit_is_named_at_its_place() {
        let body = |text: &str| json!([{"type": "BODY", "text": text}]);
        let buttons = |list: Value| json!([{"type": "BODY", "text": "Hi"}, {"type": "BUTTONS", "buttons": list}]);
        let reply = json!({"type": "QUICK_REPLY", "text": "Yes"});
        let url = |url: &str| json!({"type": "URL", "text": "Open", "url": url});
        for (components, pointer, reason) in [
            (json!([]), "/components", "needs a BODY"),
            (body(&"x".repeat(1_025)), "/components/0/text", "1 to 1024 characters, not 1025"),
            (body("{{1}} is here"), "/components/0/text", "beginning or the end"),
            (body("a {{1}} {{2}} b"), "/components/0/text", "side by side"),
            (body("a {{1}} b {{3}} c"), "/components/0/text", "from {{1}} to {{2}} without gaps"),
            (json!([{"type": "BODY", "text": "x"}, {"type": "BODY", "text": "y"}]), "/components/1", "BODY already"),
            (
                json!([{"type": "BODY", "text": "x"}, {"type": "FOOTER", "text": "For {{1}} x"}]),
                "/components/1/text",
                "no variables",
            ),
            (
                json!([{"type": "HEADER", "format": "TEXT", "text": "a {{1}} b {{2}}"}, {"type": "BODY", "text": "x"}]),
                "/components/0/text",
                "at most one variable",
            ),
            (buttons(json!([url("https://a.example/{{1}}/x")])), "/components/1/buttons/0/url", "at its end"),
            (
                buttons(json!([url("https://a"), url("https://b"), url("https://c")])),
                "/components/1/buttons",
                "at most 2",
            ),
            (buttons(json!([reply, url("https://a"), reply])), "/components/1/buttons", "stand together"),
            (
                buttons(json!([{"type": "QUICK_REPLY", "text": "x".repeat(26)}])),
                "/components/1/buttons/0/text",
                "1 to 25",
            ),
            (
                json!([{"type": "BODY", "text": "x"}, {"type": "CAROUSEL", "cards": [{}]}]),
                "/components/1/cards",
                "2 to 10",
            ),
        ] {
            let found = problems(&components);
            let fits = |(at, why): &(String, String)| at == pointer && why.contains(reason);
            assert!(found.iter().any(fits), "{pointer} {reason}: {found:?}");
        }
        let found = check("Offer!", "PROMOTION", &body("Hi"), None);
        assert_eq!(found.iter().map(|(at, _)| at.as_str()).collect::<Vec<_>>(), ["/name", "/category"]);
        assert_eq!(check("offer", "UTILITY", &body("Hi"), Some(29))[0].0, "/message_send_ttl_seconds");
    }

    #[test]
    fn an_approved_template_is_edited_once_a_day_and_ten_times_a_month() {
        const HOUR: i64 = 3_600_000;
        let now = UnixMillis(10_000 * HOUR);
        let ago = |hours: i64| UnixMillis(now.0 - hours * HOUR);
        assert_eq!(next_edit(&[], now), None);
        assert_eq!(next_edit(&[ago(25)], now), None);
        assert_eq!(next_edit(&[ago(4), ago(30)], now), Some((UnixMillis(now.0 + 20 * HOUR), "1 edit in 24 hours")));
        let monthly: Vec<UnixMillis> = (1..=10).map(|n| ago(n * 25)).collect();
        let (until, window) = next_edit(&monthly, now).unwrap();
        assert_eq!((until, window), (ago(250 - 720), "10 edits in 30 days"));
    }
}
