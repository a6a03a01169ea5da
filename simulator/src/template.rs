//! Message templates as Meta holds them: what was approved, and the checks a send is put through.

use serde_json::Value;

/// A template that Meta has reviewed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Its name, `[a-z0-9_]`.
    pub name: String,
    /// Language code, as in `en_US`.
    pub language: String,
    /// Decides the price and what people may stop.
    pub category: TemplateCategory,
    /// Number of variables in the body.
    pub body_parameters: usize,
    /// URL of its button, with `{{1}}` where the send's parameter goes.
    pub button_url: Option<String>,
    /// Whether it may be sent.
    pub status: TemplateStatus,
}

/// Category of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TemplateCategory {
    /// Promotions.
    Marketing,
    /// Follow-ups on something the person did.
    Utility,
    /// One-time codes.
    Authentication,
}

impl TemplateCategory {
    /// As it is written in the `pricing` of a status.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Marketing => "marketing",
            Self::Utility => "utility",
            Self::Authentication => "authentication",
        }
    }
}

/// Whether a template may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TemplateStatus {
    /// It may.
    Approved,
    /// Paused for its quality: sends are refused with 132015.
    Paused,
    /// Disabled for good: sends are refused with 132016.
    Disabled,
}

/// Why a known template cannot be sent like this: an error code and its details.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TemplateRefusal {
    /// Meta's code of the 132000 family.
    pub(crate) code: i64,
    /// Text of `error_data.details`; `None` for the code's usual one.
    pub(crate) details: Option<String>,
}

/// Finds the template of a send among the approved ones and checks the send against it.
///
/// `Ok(None)` means that the catalogue is empty, so that anything goes.
pub(crate) fn check<'a>(
    catalogue: &'a [Template],
    name: &str,
    language: &str,
    components: &[Value],
) -> Result<Option<&'a Template>, TemplateRefusal> {
    if catalogue.is_empty() {
        return Ok(None);
    }
    let Some(template) = catalogue.iter().find(|t| t.name == name && t.language == language) else {
        let details = format!("template name ({name}) does not exist in {language}");
        return Err(TemplateRefusal { code: 132_001, details: Some(details) });
    };
    let given = components
        .iter()
        .find(|component| component["type"].as_str().is_some_and(|kind| kind.eq_ignore_ascii_case("body")))
        .and_then(|body| body["parameters"].as_array())
        .map_or(0, Vec::len);
    if given != template.body_parameters {
        let expected = template.body_parameters;
        let details = format!(
            "body: number of localizable_params ({given}) does not match the expected number of params ({expected})"
        );
        return Err(TemplateRefusal { code: 132_000, details: Some(details) });
    }
    match template.status {
        TemplateStatus::Approved => Ok(Some(template)),
        TemplateStatus::Paused => Err(TemplateRefusal { code: 132_015, details: None }),
        TemplateStatus::Disabled => Err(TemplateRefusal { code: 132_016, details: None }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn offer(status: TemplateStatus) -> Template {
        Template {
            name: "offer".to_owned(),
            language: "en_US".to_owned(),
            category: TemplateCategory::Marketing,
            body_parameters: 1,
            button_url: None,
            status,
        }
    }

    #[test]
    fn an_empty_catalogue_accepts_anything() {
        assert_eq!(check(&[], "whatever", "xx", &[]), Ok(None));
    }

    #[test]
    fn name_language_parameters_and_status_are_checked_in_that_order() {
        let body = [json!({"type": "body", "parameters": [{"type": "text", "text": "Ana"}]})];
        let paused = [offer(TemplateStatus::Paused)];
        let code = |language, components: &[Value]| check(&paused, "offer", language, components).map_err(|e| e.code);
        assert_eq!(code("en", &body), Err(132_001));
        assert_eq!(code("en_US", &[]), Err(132_000));
        assert_eq!(code("en_US", &body), Err(132_015));
        assert!(check(&[offer(TemplateStatus::Approved)], "offer", "en_US", &body).is_ok());
    }
}
