//! The checks that a template send is put through against the template's shape, and the links in the finished message.
//! Codes are those of Meta's error codes page; detail texts are those seen in the field where one is known.

use serde_json::Value;

use crate::link;
use crate::template::model::{ParameterFormat, Template};
use crate::template::shape::{Button, Header, Shape, Slots, is};

/// Longest body with its variables filled in, in characters.
const MAX_BODY_CHARS: usize = 1_024;
/// Longest coupon code; newer pages allow 20, the coupon pages 15.
const MAX_COUPON_CHARS: usize = 15;

/// Why a known template cannot be sent like this: an error code and its details.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TemplateRefusal {
    /// Meta's code, mostly of the 132000 family.
    pub(crate) code: i64,
    /// Text of `error_data.details`; `None` for the code's usual one.
    pub(crate) details: Option<String>,
}

/// A template with its variables filled in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filled {
    /// What a person could open: the buttons' links first, then those in the texts.
    pub(crate) links: Vec<String>,
}

impl TemplateRefusal {
    pub(crate) fn new(code: i64, details: impl Into<String>) -> Self {
        Self { code, details: Some(details.into()) }
    }
}

/// Fills in a template with the components of a send. `None` if the template is of any shape.
pub(crate) fn fill(template: &Template, components: &[Value]) -> Result<Option<Filled>, TemplateRefusal> {
    if template.components.is_empty() {
        return Ok(None);
    }
    let shape = Shape::of(template);
    let header = parameters(components, "header");
    let body = parameters(components, "body");
    let mut texts = Vec::new();
    match &shape.header {
        Header::Absent => check_count("header", header.len(), 0)?,
        Header::Text(slots, text) => {
            check_slots("header", slots, header)?;
            texts.push(fill_in(text, slots, header));
        }
        Header::Brought(format) => check_brought(format, header)?,
    }
    check_slots("body", &shape.body, body)?;
    let filled = fill_in(shape.body_text, &shape.body, body);
    if filled.chars().count() > MAX_BODY_CHARS {
        return Err(TemplateRefusal { code: 132_005, details: None });
    }
    texts.push(filled);
    check_carousel(&shape, components)?;
    let mut links = buttons(&shape, components)?;
    links.extend(texts.iter().flat_map(|text| link::links_in(text)));
    Ok(Some(Filled { links }))
}

fn parameters<'a>(components: &'a [Value], kind: &str) -> &'a [Value] {
    let component = components.iter().find(|component| is(component, kind));
    component.and_then(|component| component["parameters"].as_array()).map_or(&[], Vec::as_slice)
}

fn check_count(owner: &str, given: usize, expected: usize) -> Result<(), TemplateRefusal> {
    if given == expected {
        return Ok(());
    }
    let details = format!(
        "{owner}: number of localizable_params ({given}) does not match the expected number of params ({expected})"
    );
    Err(TemplateRefusal::new(132_000, details))
}

fn mismatch(owner: &str, expected: &str, received: &str) -> TemplateRefusal {
    TemplateRefusal::new(132_012, format!("{owner}: Format mismatch, expected {expected}, received {received}"))
}

fn kind_of(parameter: Option<&Value>) -> String {
    parameter.and_then(|parameter| parameter["type"].as_str()).unwrap_or("unknown").to_uppercase()
}

fn check_slots(owner: &str, slots: &Slots<'_>, given: &[Value]) -> Result<(), TemplateRefusal> {
    check_count(owner, given.len(), slots.names.len())?;
    for parameter in given {
        let kind = kind_of(Some(parameter));
        if !["TEXT", "CURRENCY", "DATE_TIME"].contains(&kind.as_str()) {
            return Err(mismatch(owner, "TEXT", &kind));
        }
        match (slots.format, parameter["parameter_name"].as_str()) {
            (ParameterFormat::Positional, None) => {}
            (ParameterFormat::Positional, Some(_)) => return Err(mismatch(owner, "POSITIONAL", "NAMED")),
            (ParameterFormat::Named, None) => return Err(mismatch(owner, "NAMED", "POSITIONAL")),
            (ParameterFormat::Named, Some(name)) if slots.names.contains(&name) => {}
            (ParameterFormat::Named, Some(name)) => {
                let details = format!("{owner}: parameter_name ({name}) is not in the template");
                return Err(TemplateRefusal::new(132_012, details));
            }
        }
    }
    // As many as expected, all of them known: one that is missing means that another is there twice.
    let given_name = |name: &&str| given.iter().any(|parameter| parameter["parameter_name"] == **name);
    match slots.names.iter().find(|name| slots.format == ParameterFormat::Named && !given_name(name)) {
        Some(name) => Err(TemplateRefusal::new(132_012, format!("{owner}: parameter_name ({name}) is missing"))),
        None => Ok(()),
    }
}

/// A header that the send brings: media or a place.
fn check_brought(format: &str, given: &[Value]) -> Result<(), TemplateRefusal> {
    let received = kind_of(given.first());
    if !received.eq_ignore_ascii_case(format) {
        return Err(mismatch("header", &format.to_uppercase(), &received));
    }
    check_count("header", given.len(), 1)
}

fn check_carousel(shape: &Shape<'_>, components: &[Value]) -> Result<(), TemplateRefusal> {
    let given = components.iter().find(|component| is(component, "carousel"));
    let given = given.and_then(|carousel| carousel["cards"].as_array()).map_or(0, Vec::len);
    if given == shape.cards {
        return Ok(());
    }
    Err(TemplateRefusal::new(132_012, format!("carousel: expected {} cards, received {given}", shape.cards)))
}

/// Checks what the send says of each button and gives the links of those that open one.
fn buttons(shape: &Shape<'_>, components: &[Value]) -> Result<Vec<String>, TemplateRefusal> {
    let given: Vec<&Value> = components.iter().filter(|component| is(component, "button")).collect();
    for component in &given {
        let known = index(component).and_then(|index| shape.buttons.get(index));
        let sub_type = component["sub_type"].as_str().unwrap_or_default();
        if known.is_none_or(|button| !button.expectation().1.eq_ignore_ascii_case(sub_type)) {
            let details = format!("buttons: there is no button of type {sub_type} at index {}", component["index"]);
            return Err(TemplateRefusal::new(132_018, details));
        }
    }
    let mut links = Vec::new();
    for (place, button) in shape.buttons.iter().enumerate() {
        let component = given.iter().find(|component| index(component) == Some(place));
        let parameter = component.and_then(|component| component["parameters"].get(0));
        let (name, _, required) = button.expectation();
        if required && parameter.is_none() {
            let details = format!("buttons: Button at index {place} of type {name} requires a parameter");
            return Err(TemplateRefusal::new(131_008, details));
        }
        let too_many = || format!("buttons: Button at index {place} of type {name} takes no parameter");
        match (button, parameter) {
            (Button::Url(url), None) => links.push((*url).to_owned()),
            (Button::Url(url), Some(parameter)) if required => {
                let suffix = parameter["text"].as_str().unwrap_or_default();
                links.push(complete(url, suffix));
            }
            (Button::Url(_), Some(_)) => return Err(TemplateRefusal::new(132_018, too_many())),
            (Button::CopyCode, Some(parameter)) => check_coupon(place, parameter)?,
            _ => {}
        }
    }
    links.retain(|link| link::is_link(link));
    Ok(links)
}

fn index(component: &Value) -> Option<usize> {
    match &component["index"] {
        Value::String(text) => text.parse().ok(),
        number => number.as_u64().and_then(|number| usize::try_from(number).ok()),
    }
}

/// A URL with its one variable, which is at the end, filled in.
fn complete(url: &str, suffix: &str) -> String {
    match url.split_once("{{") {
        // A send that gives a whole URL where a suffix belongs is taken at its word, as a person would tap on it.
        Some((base, _)) if !link::is_link(suffix) => format!("{base}{suffix}"),
        _ => suffix.to_owned(),
    }
}

fn check_coupon(place: usize, parameter: &Value) -> Result<(), TemplateRefusal> {
    let code = parameter["coupon_code"].as_str().unwrap_or_default();
    let valid = (1..=MAX_COUPON_CHARS).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if valid && parameter["type"] == "coupon_code" {
        return Ok(());
    }
    let details = format!("buttons: coupon_code at index {place} must be 1 to {MAX_COUPON_CHARS} letters and digits");
    Err(TemplateRefusal::new(132_018, details))
}

fn fill_in(text: &str, slots: &Slots<'_>, given: &[Value]) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut pieces = text.split("{{");
    filled.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        match piece.split_once("}}") {
            Some((name, rest)) => {
                filled.push_str(value(name.trim(), slots, given).unwrap_or_default());
                filled.push_str(rest);
            }
            None => filled.push_str(piece),
        }
    }
    filled
}

fn value<'a>(name: &str, slots: &Slots<'_>, given: &'a [Value]) -> Option<&'a str> {
    let parameter = match slots.format {
        ParameterFormat::Named => given.iter().find(|parameter| parameter["parameter_name"] == name),
        ParameterFormat::Positional => name.parse::<usize>().ok().and_then(|n| given.get(n.checked_sub(1)?)),
    }?;
    let written = parameter["text"].as_str();
    written.or_else(|| parameter[parameter["type"].as_str()?]["fallback_value"].as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::template::model::TemplateCategory;

    fn code(template: &Template, components: Value) -> Result<Vec<String>, i64> {
        let components = components.as_array().cloned().expect("an array");
        fill(template, &components).map(|filled| filled.expect("a shape").links).map_err(|refusal| refusal.code)
    }

    fn template(components: Value) -> Template {
        let components = components.as_array().cloned().expect("an array");
        Template::new("offer", "en_US", TemplateCategory::Marketing, components)
    }

    fn body(texts: &[&str]) -> Value {
        let parameters: Vec<Value> = texts.iter().map(|text| json!({"type": "text", "text": text})).collect();
        json!({"type": "body", "parameters": parameters})
    }

    #[test]
    fn the_number_of_body_parameters_must_be_right_and_the_details_say_what_is_wrong() {
        let template = Template::text("offer", "en_US", TemplateCategory::Marketing, "Hi {{1}}, {{2}} is yours.");
        assert_eq!(code(&template, json!([body(&["Ana", "it"])])), Ok(vec![]));
        let refusal = fill(&template, &[body(&["Ana"])]).expect_err("one is missing");
        let details = "body: number of localizable_params (1) does not match the expected number of params (2)";
        assert_eq!(refusal, TemplateRefusal::new(132_000, details));
        assert_eq!(code(&template, json!([])), Err(132_000));
    }

    #[test]
    fn named_variables_want_names_and_positional_ones_none() {
        let mut named = Template::text("offer", "en_US", TemplateCategory::Marketing, "Hi {{who}} at {{link}} now.");
        let given = |a: &str, b: &str| {
            json!([{"type": "body", "parameters": [
                {"type": "text", "parameter_name": a, "text": "https://a.example/1"},
                {"type": "text", "parameter_name": b, "text": "Ana"}]}])
        };
        assert_eq!(code(&named, given("link", "who")), Err(132_012));
        named.parameter_format = ParameterFormat::Named;
        assert_eq!(code(&named, given("link", "who")), Ok(vec!["https://a.example/1".to_owned()]));
        assert_eq!(code(&named, given("link", "link")), Err(132_012));
        assert_eq!(code(&named, given("link", "whom")), Err(132_012));
        assert_eq!(code(&named, json!([body(&["a", "b"])])), Err(132_012));
    }

    #[test]
    fn a_media_header_must_be_brought_and_be_of_its_kind() {
        let template = template(json!([{"type": "HEADER", "format": "IMAGE"}, {"type": "BODY", "text": "Hi"}]));
        let header = |kind: &str| json!([{"type": "header", "parameters": [{"type": kind, kind: {"id": "1"}}]}]);
        assert_eq!(code(&template, header("image")), Ok(vec![]));
        assert_eq!(code(&template, header("video")), Err(132_012));
        let refusal = fill(&template, &[]).expect_err("no header");
        let details = "header: Format mismatch, expected IMAGE, received UNKNOWN";
        assert_eq!(refusal, TemplateRefusal::new(132_012, details));
    }

    #[test]
    fn url_buttons_are_completed_and_static_ones_open_as_they_are() {
        let template = template(json!([{"type": "BODY", "text": "Hi"}, {"type": "BUTTONS", "buttons": [
            {"type": "QUICK_REPLY", "text": "No"},
            {"type": "URL", "text": "Go", "url": "https://go.example/{{1}}"},
            {"type": "URL", "text": "Terms", "url": "https://terms.example/"}]}]));
        let button = |index: &str, sub_type: &str| {
            json!([{"type": "button", "sub_type": sub_type, "index": index,
                "parameters": [{"type": "text", "text": "Ab12"}]}])
        };
        let links = ["https://go.example/Ab12", "https://terms.example/"].map(str::to_owned).to_vec();
        assert_eq!(code(&template, button("1", "URL")), Ok(links));
        assert_eq!(code(&template, json!([])), Err(131_008));
        assert_eq!(code(&template, button("0", "url")), Err(132_018));
        assert_eq!(code(&template, button("9", "url")), Err(132_018));
    }

    #[test]
    fn coupon_codes_are_required_and_short() {
        let template = template(json!([{"type": "BODY", "text": "Hi"},
            {"type": "BUTTONS", "buttons": [{"type": "COPY_CODE", "example": "A"}]}]));
        let coupon = |code: &str| {
            json!([{"type": "button", "sub_type": "copy_code", "index": 0,
                "parameters": [{"type": "coupon_code", "coupon_code": code}]}])
        };
        assert_eq!(code(&template, coupon("SAVE20")), Ok(vec![]));
        assert_eq!(code(&template, coupon("SAVE20SAVE20SAVE20")), Err(132_018));
        assert_eq!(code(&template, json!([])), Err(131_008));
    }

    #[test]
    fn a_filled_body_may_not_be_too_long() {
        let template = Template::text("offer", "en_US", TemplateCategory::Marketing, "Hi {{1}}.");
        assert_eq!(code(&template, json!([body(&[&"x".repeat(1_020)])])), Ok(vec![]));
        assert_eq!(code(&template, json!([body(&[&"x".repeat(1_021)])])), Err(132_005));
    }
}
