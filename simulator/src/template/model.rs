//! What a template is.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A template as its business wrote it, and what Meta thinks of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// Its name, `[a-z0-9_]`.
    pub name: String,
    /// Language code, as in `en_US`.
    pub language: String,
    /// Decides the price and what people may stop.
    pub category: TemplateCategory,
    /// How its variables are named.
    pub parameter_format: ParameterFormat,
    /// Header, body, footer and buttons in Meta's JSON. Without any, every send of it has the right shape.
    pub components: Vec<Value>,
    /// Whether it may be sent.
    pub status: TemplateStatus,
}

impl Template {
    /// An approved template with positional variables.
    #[must_use]
    pub fn new(name: &str, language: &str, category: TemplateCategory, components: Vec<Value>) -> Self {
        Self {
            name: name.to_owned(),
            language: language.to_owned(),
            category,
            parameter_format: ParameterFormat::Positional,
            components,
            status: TemplateStatus::Approved,
        }
    }

    /// An approved template with nothing but a body.
    #[must_use]
    pub fn text(name: &str, language: &str, category: TemplateCategory, body: &str) -> Self {
        Self::new(name, language, category, vec![json!({ "type": "BODY", "text": body })])
    }
}

/// What happens to a send whose template is not in the catalogue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TemplatePolicy {
    /// As long as [`crate::Config::templates`] is empty, any template of any shape exists and is a marketing template,
    /// except for the names that the catalogue holds.
    #[default]
    AnyUnlessListed,
    /// Only what is in the catalogue exists.
    CatalogueOnly,
}

/// How the variables of a template are named.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ParameterFormat {
    /// `{{1}}`, `{{2}}` and so on.
    #[default]
    Positional,
    /// `{{first_name}}`.
    Named,
}

/// Category of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
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
    pub(crate) fn as_price(self) -> &'static str {
        match self {
            Self::Marketing => "marketing",
            Self::Utility => "utility",
            Self::Authentication => "authentication",
        }
    }
}

/// Where a template is in its life ("Template status" of the Business Management API). Only approved ones can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum TemplateStatus {
    /// Under review: sends are refused with 132001.
    Pending,
    /// It may be sent.
    Approved,
    /// Failed its review: sends are refused with 132001.
    Rejected,
    /// Paused for its quality: sends are refused with 132015.
    Paused,
    /// Disabled for good: sends are refused with 132016.
    Disabled,
    /// A rejection is appealed.
    InAppeal,
    /// Going to be deleted when messages in flight have been delivered.
    PendingDeletion,
    /// Deleted.
    Deleted,
    /// The account has too many templates.
    LimitExceeded,
    /// Put away by the business.
    Archived,
}

impl TemplateStatus {
    /// As Meta writes it, which is also the `event` of the webhook that reports it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Approved => "APPROVED",
            Self::Rejected => "REJECTED",
            Self::Paused => "PAUSED",
            Self::Disabled => "DISABLED",
            Self::InAppeal => "IN_APPEAL",
            Self::PendingDeletion => "PENDING_DELETION",
            Self::Deleted => "DELETED",
            Self::LimitExceeded => "LIMIT_EXCEEDED",
            Self::Archived => "ARCHIVED",
        }
    }
}
