//! What Meta tells of a message's price: with its first statuses, once and for all (Meta, status messages object). What it
//! amounts to is [`crate::price`]'s.

use serde::{Deserialize, Serialize};

use crate::meta::webhook;

/// Meta's pricing of one message, in Meta's own words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pricing {
    /// The rate: `marketing`, `utility`, `service` …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// `regular`, or why it is free: `free_customer_service`, `free_entry_point` …
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Whether it is charged; Meta is about to drop this for the type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billable: Option<bool>,
    /// `PMP`: per message. `CBP`: per conversation, as before July 2025.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

impl Pricing {
    /// Whether Meta charges nothing for the message, even when it is delivered.
    #[must_use]
    pub fn is_free(&self) -> bool {
        match (self.kind.as_deref(), self.billable) {
            (Some(kind), _) => kind != "regular",
            (None, billable) => billable == Some(false),
        }
    }
}

impl From<&webhook::Pricing> for Pricing {
    fn from(told: &webhook::Pricing) -> Self {
        Self {
            category: told.category.as_ref().map(|category| category.as_str().to_owned()),
            kind: told.kind.as_ref().map(|kind| kind.as_str().to_owned()),
            billable: told.billable,
            model: told.model.as_ref().map(|model| model.as_str().to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pricing(json: &str) -> Pricing {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn the_type_says_whether_a_message_is_free_and_billable_only_without_one() {
        for (json, free) in [
            (r#"{"type":"regular","billable":false}"#, false),
            (r#"{"type":"free_customer_service","billable":true}"#, true),
            (r#"{"type":"free_of_tomorrow"}"#, true),
            (r#"{"billable":false}"#, true),
            (r#"{"category":"marketing"}"#, false),
        ] {
            assert_eq!(pricing(json).is_free(), free, "{json}");
        }
    }

    #[test]
    fn the_stored_shape_is_pinned() {
        let json = r#"{"category":"marketing","type":"regular","billable":true,"model":"PMP"}"#;
        assert_eq!(serde_json::to_string(&pricing(json)).unwrap(), json);
    }
}
