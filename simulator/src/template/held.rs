//! A template in the catalogue: its id, its state and what has been done to it, and the node by which Graph shows it.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::template::model::{Template, TemplateStatus};

/// Fields of a template node that exist.
pub(crate) const FIELDS: [&str; 16] = [
    "id",
    "name",
    "status",
    "category",
    "language",
    "components",
    "parameter_format",
    "quality_score",
    "rejected_reason",
    "previous_category",
    "correct_category",
    "sub_category",
    "message_send_ttl_seconds",
    "cta_url_link_tracking_opted_out",
    "last_updated_time",
    "library_template_name",
];

/// A template in the catalogue, as it is journalled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Held {
    /// Graph node id.
    pub(crate) id: u64,
    /// Account that owns it; `None` for one of the configuration, which every account has.
    pub(crate) waba_id: Option<String>,
    pub(crate) template: Template,
    /// Why it was rejected.
    pub(crate) rejected_reason: Option<String>,
    pub(crate) message_send_ttl_seconds: Option<i64>,
    /// When it was edited while approved, in Unix milliseconds.
    pub(crate) edits_ms: Vec<u64>,
    /// Unix milliseconds.
    pub(crate) updated_ms: u64,
    /// Counts its submissions; a review is of one of them.
    pub(crate) revision: u64,
    /// Whether the current revision waits for its review.
    pub(crate) under_review: bool,
    /// It has been approved at some time, so that its name is locked when it is deleted.
    pub(crate) was_approved: bool,
}

impl Held {
    pub(crate) fn is_deleted(&self) -> bool {
        matches!(self.template.status, TemplateStatus::Deleted)
    }

    /// Whether an account has it, deleted or not.
    pub(crate) fn belongs_to(&self, waba_id: &str) -> bool {
        self.waba_id.as_deref().is_none_or(|owner| owner == waba_id)
    }

    /// Every field of its Graph node.
    pub(crate) fn node(&self) -> Value {
        let mut node = json!({
            "id": self.id.to_string(),
            "name": self.template.name,
            "status": self.template.status,
            "category": self.template.category,
            "language": self.template.language,
            "components": self.template.components,
            "parameter_format": self.template.parameter_format,
            "quality_score": { "score": "UNKNOWN", "date": self.updated_ms / 1_000 },
            "rejected_reason": self.rejected_reason.as_deref().unwrap_or("NONE"),
            "last_updated_time": self.updated_ms / 1_000,
        });
        if let Some(seconds) = self.message_send_ttl_seconds {
            node["message_send_ttl_seconds"] = json!(seconds);
        }
        node
    }
}
