//! UTM parameters that a link adds to its destination: defaults, where neither the click nor the destination says it.

use serde::{Deserialize, Serialize};

/// Longest value of a UTM parameter, in characters.
pub const MAX_UTM_CHARS: usize = 256;

/// What a link adds to its destination where neither the click nor the destination says it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Utm {
    /// `utm_source`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// `utm_medium`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub medium: Option<String>,
    /// `utm_campaign`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub campaign: Option<String>,
    /// `utm_term`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub term: Option<String>,
    /// `utm_content`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// `utm_id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

impl Utm {
    /// Whether it adds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parameters().next().is_none()
    }

    /// The parameters with their values.
    pub fn parameters(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("utm_source", &self.source),
            ("utm_medium", &self.medium),
            ("utm_campaign", &self.campaign),
            ("utm_term", &self.term),
            ("utm_content", &self.content),
            ("utm_id", &self.id),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.as_deref()?)))
    }

    /// The names of those that are empty or too long, without `utm_`.
    #[must_use]
    pub fn faults(&self) -> Vec<&'static str> {
        let is_wrong = |value: &str| value.trim().is_empty() || value.chars().count() > MAX_UTM_CHARS;
        self.parameters().filter(|(_, value)| is_wrong(value)).map(|(name, _)| &name["utm_".len()..]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_given_is_added_and_stored() {
        let utm: Utm = serde_json::from_str(r#"{"source":"whatsapp","id":"7"}"#).unwrap();
        assert_eq!(utm.parameters().collect::<Vec<_>>(), [("utm_source", "whatsapp"), ("utm_id", "7")]);
        assert_eq!(serde_json::to_string(&utm).unwrap(), r#"{"source":"whatsapp","id":"7"}"#);
        assert!(Utm::default().is_empty() && !utm.is_empty());
        let wrong = Utm { medium: Some(" ".into()), term: Some("x".repeat(257)), ..utm };
        assert_eq!(wrong.faults(), ["medium", "term"]);
    }
}
