//! What Meta checks of a template's text before it even reviews it. Limits are those of the "Components" and "Create
//! templates" pages of the Business Management API; subcodes those of the error codes page and, for missing examples, of
//! the field. Rules without a published subcode are refused with a bare 100.

use serde_json::Value;

use crate::graph::error::GraphError;
use crate::template::model::{ParameterFormat, TemplateCategory};
use crate::template::shape::{is, text_of, variables};

const COMPONENTS: [&str; 7] =
    ["HEADER", "BODY", "FOOTER", "BUTTONS", "CAROUSEL", "LIMITED_TIME_OFFER", "CALL_PERMISSION_REQUEST"];
const HEADER_FORMATS: [&str; 5] = ["TEXT", "IMAGE", "VIDEO", "DOCUMENT", "LOCATION"];
const BUTTONS: [&str; 12] = [
    "QUICK_REPLY",
    "URL",
    "PHONE_NUMBER",
    "COPY_CODE",
    "OTP",
    "FLOW",
    "CATALOG",
    "MPM",
    "SPM",
    "VOICE_CALL",
    "APP",
    "ORDER_DETAILS",
];

/// A text is too long.
const TOO_LONG: i64 = 2_388_040;
const WRONG_HEADER: i64 = 2_388_047;
const WRONG_BODY: i64 = 2_388_072;
const WRONG_FOOTER: i64 = 2_388_073;
const NO_EXAMPLE: i64 = 2_388_043;
const TOO_MANY_VARIABLES: i64 = 2_388_293;
const VARIABLE_AT_AN_END: i64 = 2_388_299;

/// Checks the components of a template.
pub(crate) fn check(
    category: TemplateCategory,
    format: ParameterFormat,
    components: &[Value],
) -> Result<(), GraphError> {
    if let Some(other) = components.iter().find(|component| !COMPONENTS.iter().any(|kind| is(component, kind))) {
        let known = COMPONENTS.join(", ");
        return Err(GraphError::invalid(format!(
            "Param components['type'] must be one of {{{known}}} - got {}.",
            other["type"]
        )));
    }
    let component = |kind: &str| components.iter().find(|component| is(component, kind));
    if let Some(twice) = COMPONENTS.iter().find(|kind| components.iter().filter(|c| is(c, kind)).count() > 1) {
        return Err(GraphError::invalid(format!("Param components has more than one {twice}.")));
    }
    if let Some(header) = component("HEADER") {
        check_header(header, format)?;
    }
    let limited = component("LIMITED_TIME_OFFER");
    if let Some(offer) = limited {
        at_most("LIMITED_TIME_OFFER", offer["limited_time_offer"]["text"].as_str().unwrap_or_default(), 16)?;
    }
    match component("BODY") {
        None => return Err(GraphError::invalid("Param components must have a BODY.")),
        // Meta writes the body of these.
        Some(_) if category == TemplateCategory::Authentication => {}
        Some(body) => check_body(body, format, if limited.is_some() { 600 } else { 1_024 })?,
    }
    if let Some(footer) = component("FOOTER") {
        at_most("FOOTER", text_of(footer), 60)?;
        if !variables(text_of(footer)).is_empty() {
            return Err(GraphError::management(
                WRONG_FOOTER,
                "Message footer format is incorrect",
                "The footer can't have any variables.",
            ));
        }
    }
    if let Some(buttons) = component("BUTTONS") {
        check_buttons(buttons["buttons"].as_array().map_or(&[], Vec::as_slice), 10)?;
    }
    component("CAROUSEL").map_or(Ok(()), |carousel| check_carousel(carousel, format))
}

fn at_most(kind: &str, text: &str, max: usize) -> Result<(), GraphError> {
    if text.chars().count() <= max {
        return Ok(());
    }
    let message = format!("The text of component {kind} can't be longer than {max} characters.");
    Err(GraphError::management(TOO_LONG, "Character Limit Exceeded", message))
}

fn no_example(kind: &str) -> GraphError {
    GraphError::management(
        NO_EXAMPLE,
        "Message template \"components\" param is missing expected field(s)",
        format!("component of type {kind} is missing expected field(s) (example)"),
    )
}

fn check_header(header: &Value, format: ParameterFormat) -> Result<(), GraphError> {
    let written = header["format"].as_str().unwrap_or_default().to_uppercase();
    let example = &header["example"];
    match written.as_str() {
        "TEXT" => {
            let text = text_of(header);
            let wrong =
                |message: &str| GraphError::management(WRONG_HEADER, "Message header format is incorrect", message);
            if text.is_empty() || text.contains(['\n', '*', '_', '~']) {
                return Err(wrong("The header must have text without new lines or formatting characters."));
            }
            at_most("HEADER", text, 60)?;
            let names = variables(text);
            if names.len() > 1 || !named_right(&names, format) {
                return Err(wrong("The header can have one variable at most, in the template's parameter format."));
            }
            if names.is_empty()
                || has_items(&example["header_text"], 1)
                || named_examples(&example["header_text_named_params"], &names)
            {
                Ok(())
            } else {
                Err(no_example("HEADER"))
            }
        }
        "LOCATION" => Ok(()),
        "IMAGE" | "VIDEO" | "DOCUMENT" if has_items(&example["header_handle"], 1) => Ok(()),
        "IMAGE" | "VIDEO" | "DOCUMENT" => Err(no_example("HEADER")),
        other => {
            let known = HEADER_FORMATS.join(", ");
            Err(GraphError::invalid(format!(
                "Param components['format'] must be one of {{{known}}} - got \"{other}\"."
            )))
        }
    }
}

fn has_items(example: &Value, count: usize) -> bool {
    example.as_array().is_some_and(|items| items.len() >= count)
}

fn named_examples(examples: &Value, names: &[&str]) -> bool {
    let examples = examples.as_array().map_or(&[][..], Vec::as_slice);
    names.iter().all(|name| examples.iter().any(|example| example["param_name"] == **name))
}

/// Positional variables count from 1 without a gap; named ones are small letters, digits and underscores.
fn named_right(names: &[&str], format: ParameterFormat) -> bool {
    match format {
        ParameterFormat::Positional => (1..=names.len()).all(|n| names.contains(&n.to_string().as_str())),
        ParameterFormat::Named => names.iter().all(|name| {
            let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
            name.bytes().all(allowed) && name.bytes().next().is_some_and(|first| !first.is_ascii_digit())
        }),
    }
}

fn check_body(body: &Value, format: ParameterFormat, max: usize) -> Result<(), GraphError> {
    let text = text_of(body).trim();
    let wrong = |message: &str| GraphError::management(WRONG_BODY, "Message body format is incorrect", message);
    if text.is_empty() {
        return Err(wrong("The body must have text."));
    }
    at_most("BODY", text, max)?;
    let names = variables(text);
    if names.is_empty() {
        return Ok(());
    }
    if !named_right(&names, format) {
        return Err(wrong("Variables must be numbered from 1 without a gap, or named if parameter_format says so."));
    }
    if text.starts_with("{{") || text.ends_with("}}") {
        return Err(GraphError::management(
            VARIABLE_AT_AN_END,
            "Leading or trailing params not allowed",
            "Variables can't be at the start or end of the template.",
        ));
    }
    let between = text.split("}}").skip(1).any(|rest| rest.trim_start().starts_with("{{"));
    if between {
        return Err(wrong("Variables can't be next to each other."));
    }
    // Meta publishes no ratio: this one refuses only what no reviewer would take.
    let other_words = text.split_whitespace().filter(|word| !word.contains("{{")).count();
    if other_words < names.len() {
        return Err(GraphError::management(
            TOO_MANY_VARIABLES,
            "Parameter words ratio exceeds limit",
            "This template has too many variables for its length.",
        ));
    }
    let example = &body["example"];
    if has_items(&example["body_text"][0], names.len()) || named_examples(&example["body_text_named_params"], &names) {
        Ok(())
    } else {
        Err(no_example("BODY"))
    }
}

fn check_buttons(buttons: &[Value], most: usize) -> Result<(), GraphError> {
    if !(1..=most).contains(&buttons.len()) {
        return Err(GraphError::invalid(format!("Param buttons must have 1 to {most} buttons.")));
    }
    let count = |kind: &str| buttons.iter().filter(|button| is(button, kind)).count();
    for (kind, most) in [("URL", 2), ("PHONE_NUMBER", 1), ("COPY_CODE", 1), ("QUICK_REPLY", 10)] {
        if count(kind) > most {
            return Err(GraphError::invalid(format!("Param buttons can have at most {most} buttons of type {kind}.")));
        }
    }
    let groups = buttons.chunk_by(|a, b| is(a, "QUICK_REPLY") == is(b, "QUICK_REPLY"));
    if groups.filter(|group| is(&group[0], "QUICK_REPLY")).count() > 1 {
        return Err(GraphError::invalid("Param buttons must have its quick replies next to each other."));
    }
    buttons.iter().try_for_each(check_button)
}

fn check_button(button: &Value) -> Result<(), GraphError> {
    let Some(kind) = BUTTONS.iter().find(|kind| is(button, kind)) else {
        let known = BUTTONS.join(", ");
        return Err(GraphError::invalid(format!(
            "Param buttons['type'] must be one of {{{known}}} - got {}.",
            button["type"]
        )));
    };
    at_most("BUTTONS", text_of(button), 25)?;
    if text_of(button).is_empty() && !["COPY_CODE", "OTP", "APP"].contains(kind) {
        return Err(GraphError::invalid("Param buttons['text'] is required."));
    }
    match *kind {
        "URL" => {
            let url = button["url"].as_str().unwrap_or_default();
            at_most("BUTTONS", url, 2_000)?;
            let names = variables(url);
            if url.is_empty() || names.len() > 1 || (names.len() == 1 && !url.ends_with("}}")) {
                return Err(GraphError::invalid(
                    "Param buttons['url'] must be a URL with at most one variable, at its end.",
                ));
            }
            let has_example = button["example"].is_string() || has_items(&button["example"], 1);
            if names.is_empty() || has_example { Ok(()) } else { Err(no_example("BUTTONS")) }
        }
        "PHONE_NUMBER" => at_most("BUTTONS", button["phone_number"].as_str().unwrap_or_default(), 20),
        "COPY_CODE" if button["example"].is_null() => Err(no_example("BUTTONS")),
        _ => Ok(()),
    }
}

fn check_carousel(carousel: &Value, format: ParameterFormat) -> Result<(), GraphError> {
    let cards = carousel["cards"].as_array().map_or(&[][..], Vec::as_slice);
    if !(2..=10).contains(&cards.len()) {
        return Err(GraphError::invalid("Param cards must have 2 to 10 cards."));
    }
    for card in cards {
        let components = card["components"].as_array().map_or(&[][..], Vec::as_slice);
        for component in components {
            if is(component, "BODY") {
                check_body(component, format, 160)?;
            } else if is(component, "BUTTONS") {
                check_buttons(component["buttons"].as_array().map_or(&[], Vec::as_slice), 2)?;
            } else if is(component, "HEADER") {
                check_header(component, format)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn subcode(components: Value) -> Result<(), Option<i64>> {
        subcode_in(ParameterFormat::Positional, components)
    }

    fn subcode_in(format: ParameterFormat, components: Value) -> Result<(), Option<i64>> {
        let components = components.as_array().cloned().expect("an array");
        check(TemplateCategory::Marketing, format, &components).map_err(|error| error.subcode)
    }

    #[test]
    fn a_whole_template_passes() {
        let components = json!([
            {"type": "HEADER", "format": "TEXT", "text": "For {{1}}", "example": {"header_text": ["Ana"]}},
            {"type": "BODY", "text": "Hi {{1}}, {{2}} is yours.", "example": {"body_text": [["Ana", "it"]]}},
            {"type": "FOOTER", "text": "Reply STOP to opt out"},
            {"type": "BUTTONS", "buttons": [
                {"type": "QUICK_REPLY", "text": "No"},
                {"type": "URL", "text": "Go", "url": "https://a.example/{{1}}", "example": ["https://a.example/x"]},
                {"type": "PHONE_NUMBER", "text": "Call", "phone_number": "+15550001111"},
                {"type": "COPY_CODE", "example": "SAVE20"}]}]);
        assert_eq!(subcode(components), Ok(()));
    }

    #[test]
    fn texts_have_metas_limits_and_subcodes() {
        let with = |text: String| json!([{"type": "BODY", "text": text, "example": {"body_text": [["a", "b", "c"]]}}]);
        let cases = [
            (with("x".repeat(1_025)), Some(TOO_LONG)),
            (with("{{1}} is here".into()), Some(VARIABLE_AT_AN_END)),
            (with("Here is {{1}}".into()), Some(VARIABLE_AT_AN_END)),
            (with("Hi {{1}} {{2}} and bye".into()), Some(WRONG_BODY)),
            (with("Hi {{1}} and {{3}} bye".into()), Some(WRONG_BODY)),
            (with("Hi {{name}} bye".into()), Some(WRONG_BODY)),
            (with("Hi {{1}}, {{2}}, {{3}}.".into()), Some(TOO_MANY_VARIABLES)),
            (json!([{"type": "BODY", "text": "Hi {{1}} bye"}]), Some(NO_EXAMPLE)),
            (json!([{"type": "BODY", "text": "a"}, {"type": "FOOTER", "text": "f {{1}}"}]), Some(WRONG_FOOTER)),
            (
                json!([{"type": "BODY", "text": "a"}, {"type": "HEADER", "format": "TEXT", "text": "a\nb"}]),
                Some(WRONG_HEADER),
            ),
            (json!([{"type": "BODY", "text": "a"}, {"type": "HEADER", "format": "IMAGE"}]), Some(NO_EXAMPLE)),
            (json!([{"type": "FOOTER", "text": "a"}]), None),
            (json!([{"type": "BODY", "text": "a"}, {"type": "BODY", "text": "b"}]), None),
        ];
        for (components, expected) in cases {
            assert_eq!(subcode(components.clone()), Err(expected), "{components}");
        }
    }

    #[test]
    fn buttons_have_metas_limits() {
        let with = |buttons: Value| json!([{"type": "BODY", "text": "a"}, {"type": "BUTTONS", "buttons": buttons}]);
        let reply = json!({"type": "QUICK_REPLY", "text": "Yes"});
        let url = |url: &str| json!({"type": "URL", "text": "Go", "url": url, "example": ["x"]});
        assert_eq!(subcode(with(json!([reply, url("https://a.example"), reply]))), Err(None));
        assert_eq!(subcode(with(json!([url("https://a.example/{{1}}/x")]))), Err(None));
        assert_eq!(subcode(with(json!([url("a"), url("b"), url("c")]))), Err(None));
        assert_eq!(subcode(with(json!([{"type": "QUICK_REPLY", "text": "x".repeat(26)}]))), Err(Some(TOO_LONG)));
        assert_eq!(subcode(with(json!([reply, reply, url("https://a.example/{{1}}")]))), Ok(()));
    }

    #[test]
    fn named_variables_need_their_format_and_named_examples() {
        let components = json!([{"type": "BODY", "text": "Hi {{first_name}}, bye",
            "example": {"body_text_named_params": [{"param_name": "first_name", "example": "Ana"}]}}]);
        assert_eq!(subcode_in(ParameterFormat::Named, components.clone()), Ok(()));
        assert_eq!(subcode(components), Err(Some(WRONG_BODY)));
    }
}
