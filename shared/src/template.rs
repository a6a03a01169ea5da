//! Message templates as Meta holds them: our stored copy, which may send and which may not, and how Meta's notifications
//! change it. What a template expects of a message is in [`definition`] and [`check`], what Meta accepts as a template in
//! [`limits`]. Rows are in `crate::store`, calls in `crate::meta::management`.

pub mod check;
pub mod definition;
pub mod limits;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub use self::check::{ButtonLink, TemplateLink, Tracking, button_links, check_parameters, trackable_links};
pub use self::definition::Definition;
use crate::campaign::{Campaign, Message};
use crate::meta::webhook::{CategoryChange, Event, TemplateComponentsUpdate, TemplateEvent, TemplateRef};
use crate::time::UnixMillis;

/// A place in a template or in what fills it that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateProblem {
    /// JSON pointer, relative to what was checked.
    pub pointer: String,
    /// What is wrong there.
    pub reason: String,
}

/// A language code in Meta's spelling: `en_US`, which people and Meta itself also write `en-US`.
#[must_use]
pub fn language_code(language: &str) -> String {
    language.trim().replace('-', "_")
}

/// Where a template stands (Meta, template status). Meta adds to these, so any text is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum TemplateStatus {
    /// Under review.
    Pending,
    /// May be sent.
    Approved,
    /// Not approved.
    Rejected,
    /// Not to be sent for some hours, for its quality.
    Paused,
    /// Never to be sent again.
    Disabled,
    /// A rejection is being appealed.
    InAppeal,
    /// About to be deleted.
    PendingDeletion,
    /// Gone.
    Deleted,
    /// The account has no room for another template.
    LimitExceeded,
    /// Put away.
    Archived,
    /// Not known: Meta has told something else about it only.
    #[default]
    Unknown,
    /// A status of tomorrow.
    Other(String),
}

impl TemplateStatus {
    /// Meta's word for it.
    #[must_use]
    pub fn as_str(&self) -> &str {
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
            Self::Unknown => "UNKNOWN",
            Self::Other(text) => text,
        }
    }

    /// Whether Meta refuses every message with it, so that its campaigns stop.
    #[must_use]
    pub const fn stops_campaigns(&self) -> bool {
        matches!(
            self,
            Self::Rejected | Self::Paused | Self::Disabled | Self::PendingDeletion | Self::Deleted | Self::Archived
        )
    }

    /// Whether it can be edited (Meta, editing templates).
    #[must_use]
    pub const fn is_editable(&self) -> bool {
        matches!(self, Self::Approved | Self::Rejected | Self::Paused)
    }

    /// The status after an event; `None` when the event leaves it as it is.
    #[must_use]
    pub fn after(event: &TemplateEvent) -> Option<Self> {
        Some(match event {
            TemplateEvent::Approved | TemplateEvent::Reinstated | TemplateEvent::Unarchived => Self::Approved,
            TemplateEvent::Archived => Self::Archived,
            TemplateEvent::Deleted => Self::Deleted,
            TemplateEvent::Disabled => Self::Disabled,
            TemplateEvent::InAppeal => Self::InAppeal,
            TemplateEvent::LimitExceeded => Self::LimitExceeded,
            TemplateEvent::Paused => Self::Paused,
            TemplateEvent::Pending => Self::Pending,
            TemplateEvent::PendingDeletion => Self::PendingDeletion,
            TemplateEvent::Rejected => Self::Rejected,
            // A warning, a lock on editing, and what this version does not know.
            TemplateEvent::Flagged | TemplateEvent::Locked | TemplateEvent::Other(_) => return None,
        })
    }
}

impl From<String> for TemplateStatus {
    fn from(text: String) -> Self {
        match text.to_ascii_uppercase().as_str() {
            "PENDING" => Self::Pending,
            "APPROVED" => Self::Approved,
            "REJECTED" => Self::Rejected,
            "PAUSED" => Self::Paused,
            "DISABLED" => Self::Disabled,
            "IN_APPEAL" => Self::InAppeal,
            "PENDING_DELETION" => Self::PendingDeletion,
            "DELETED" => Self::Deleted,
            "LIMIT_EXCEEDED" => Self::LimitExceeded,
            "ARCHIVED" => Self::Archived,
            "UNKNOWN" => Self::Unknown,
            _ => Self::Other(text),
        }
    }
}

impl From<TemplateStatus> for String {
    fn from(status: TemplateStatus) -> Self {
        status.as_str().to_owned()
    }
}

/// A template as Meta's management API gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedTemplate {
    /// Meta's id of the template in this language.
    pub meta_id: String,
    /// Its name.
    pub name: String,
    /// Its language, as in `en_US`.
    pub language: String,
    /// Where it stands.
    pub status: TemplateStatus,
    /// `MARKETING`, `UTILITY` or `AUTHENTICATION`.
    pub category: Option<String>,
    /// `GREEN`, `YELLOW`, `RED` or `UNKNOWN`.
    pub quality: Option<String>,
    /// `POSITIONAL` or `NAMED`.
    pub parameter_format: Option<String>,
    /// Meta's components.
    pub components: Vec<Value>,
    /// Why it was rejected.
    pub rejected_reason: Option<String>,
}

/// Our copy of a template. Each part carries the time of the news that made it, so that older news cannot undo it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredTemplate {
    /// Version of the stored shape.
    pub v: u8,
    /// Its name.
    pub name: String,
    /// Its language, as in `en_US`.
    pub language: String,
    /// Meta's id of the template in this language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meta_id: Option<String>,
    /// Where it stands.
    #[serde(default)]
    pub status: TemplateStatus,
    /// Meta's word for why, such as `FIRST_PAUSE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_title: Option<String>,
    /// Meta's sentence on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_description: Option<String>,
    /// When it came to stand there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_at: Option<UnixMillis>,
    /// `MARKETING`, `UTILITY` or `AUTHENTICATION`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// The category that Meta has announced to give it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_category: Option<String>,
    /// When the category was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category_at: Option<UnixMillis>,
    /// `GREEN`, `YELLOW`, `RED` or `UNKNOWN`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<String>,
    /// When the quality was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality_at: Option<UnixMillis>,
    /// `POSITIONAL` or `NAMED`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameter_format: Option<String>,
    /// Meta's components; absent until they were read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub components: Option<Vec<Value>>,
    /// When the components were told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub components_at: Option<UnixMillis>,
    /// Why it was rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejected_reason: Option<String>,
    /// When we have edited it, in the last 30 days.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub edits: Vec<UnixMillis>,
    /// When it was last read from Meta.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_at: Option<UnixMillis>,
}

impl StoredTemplate {
    /// Whether Meta lets messages with it through, as far as is known.
    #[must_use]
    pub const fn may_be_sent(&self) -> bool {
        matches!(self.status, TemplateStatus::Approved | TemplateStatus::Other(_))
    }

    /// What it expects of a message; `None` until its components were read.
    #[must_use]
    pub fn definition(&self) -> Option<Definition> {
        self.components.as_deref().map(|components| Definition::read(components, self.parameter_format.as_deref()))
    }

    /// Why no message with it gets through, in words for people; `None` when Meta has not said so.
    #[must_use]
    pub fn obstacle(&self) -> Option<String> {
        if !self.status.stops_campaigns() {
            return None;
        }
        let Self { name, language, status, status_title, status_description, rejected_reason, .. } = self;
        let because = [status_title, status_description, rejected_reason]
            .into_iter()
            .flatten()
            .filter(|text| !text.is_empty() && *text != "NONE")
            .map(String::as_str)
            .collect::<Vec<_>>();
        let because = if because.is_empty() { String::new() } else { format!(" ({})", because.join(": ")) };
        let what_to_do = match status {
            TemplateStatus::Paused => {
                "the campaign goes on when Meta approves it again; improve what people complain about"
            }
            TemplateStatus::Rejected => "correct the template; the campaign goes on when Meta approves it",
            _ => "choose another template for a new campaign",
        };
        Some(format!("the template {name} ({language}) is {} at Meta{because}: {what_to_do}", status.as_str()))
    }
}

/// Why a campaign cannot go on for now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateObstacle {
    /// The template's name.
    pub name: String,
    /// Its language.
    pub language: String,
    /// Where it stands.
    pub status: TemplateStatus,
    /// The whole in words for people, with what to do.
    pub reason: String,
}

/// The templates of a campaign's messages: name and language, each once.
#[must_use]
pub fn templates_of(campaign: &Campaign) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for variant in &campaign.variants {
        if let Message::Template { template } = &variant.message {
            let named = (template.name.clone(), language_code(&template.language));
            if !found.contains(&named) {
                found.push(named);
            }
        }
    }
    found
}

/// News of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateChange {
    /// It stands elsewhere.
    Status {
        /// Where.
        status: TemplateStatus,
        /// Meta's word for why.
        title: Option<String>,
        /// Meta's sentence on it.
        description: Option<String>,
        /// Why it was rejected.
        rejected_reason: Option<String>,
    },
    /// Its quality.
    Quality(String),
    /// Its category.
    Category {
        /// Now; `None` when Meta tells the next one only.
        current: Option<String>,
        /// Announced.
        next: Option<String>,
    },
    /// Its text or buttons were edited.
    Components(TemplateComponentsUpdate),
}

impl TemplateChange {
    /// The news that a notification brings, and of which template.
    #[must_use]
    pub fn of(event: &Event) -> Option<(&TemplateRef, Self)> {
        match event {
            Event::TemplateStatus(update) => {
                let status = TemplateStatus::after(&update.event)?;
                let is_rejected = status == TemplateStatus::Rejected;
                let rejected = update.rejection_reason.clone().or_else(|| update.reason.clone());
                let change = Self::Status {
                    status,
                    title: update.title.clone(),
                    description: update.description.clone().or_else(|| update.recommendation.clone()),
                    rejected_reason: rejected.filter(|_| is_rejected),
                };
                Some((&update.template, change))
            }
            Event::TemplateQuality(update) => Some((&update.template, Self::Quality(update.new.as_str().to_owned()))),
            Event::TemplateCategory(update) => {
                let change = match &update.change {
                    CategoryChange::Impending { current, next, .. } => {
                        Self::Category { current: current.clone(), next: Some(next.clone()) }
                    }
                    CategoryChange::Completed { new, .. } => Self::Category { current: Some(new.clone()), next: None },
                };
                Some((&update.template, change))
            }
            Event::TemplateComponents(update) => Some((&update.template, Self::Components(update.as_ref().clone()))),
            _ => None,
        }
    }
}

/// The components after an edit that Meta has told of. Meta names texts and buttons only: a header with media, examples and
/// cards stay as they were.
#[must_use]
pub fn edited_components(components: &[Value], update: &TemplateComponentsUpdate) -> Vec<Value> {
    let mut edited = components.to_vec();
    for (kind, text) in [("HEADER", &update.title), ("BODY", &update.body), ("FOOTER", &update.footer)] {
        let Some(text) = text else { continue };
        match edited.iter_mut().find(|component| is_component(component, kind)) {
            Some(component) => component["text"] = json!(text),
            None if kind == "HEADER" => edited.insert(0, json!({"type": kind, "format": "TEXT", "text": text})),
            None => edited.push(json!({"type": kind, "text": text})),
        }
    }
    if !update.buttons.is_empty() {
        let buttons: Vec<Value> = update
            .buttons
            .iter()
            .map(|button| {
                let mut written = serde_json::Map::new();
                for (name, value) in [
                    ("type", &button.kind),
                    ("text", &button.text),
                    ("url", &button.url),
                    ("phone_number", &button.phone_number),
                ] {
                    written.extend(value.clone().map(|value| (name.to_owned(), Value::String(value))));
                }
                Value::Object(written)
            })
            .collect();
        match edited.iter_mut().find(|component| is_component(component, "BUTTONS")) {
            Some(component) => component["buttons"] = Value::Array(buttons),
            None => edited.push(json!({"type": "BUTTONS", "buttons": buttons})),
        }
    }
    edited
}

/// Whether a component is of this type; Meta and people write types in either case.
pub(crate) fn is_component(component: &Value, kind: &str) -> bool {
    component["type"].as_str().is_some_and(|found| found.eq_ignore_ascii_case(kind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meta::webhook;

    fn news(sample: &str) -> (String, TemplateChange) {
        let path = format!("{}/tests/webhooks/{sample}.json", env!("CARGO_MANIFEST_DIR"));
        let notification = webhook::parse(&std::fs::read(path).unwrap()).unwrap();
        let (template, change) = TemplateChange::of(&notification.items[0].event).unwrap();
        (template.name.clone().unwrap(), change)
    }

    #[test]
    fn a_pause_says_which_template_and_what_to_do() {
        let (name, change) = news("template-status-paused");
        let TemplateChange::Status { status, title, description, .. } = change else { panic!("no status") };
        let stored = StoredTemplate {
            v: 1,
            name,
            language: "en_US".to_owned(),
            status,
            status_title: title,
            status_description: description,
            ..StoredTemplate::default()
        };
        assert_eq!(
            stored.obstacle().unwrap(),
            "the template workshop_reminder (en_US) is PAUSED at Meta (FIRST_PAUSE: Paused for 3 hours because of low \
             quality.): the campaign goes on when Meta approves it again; improve what people complain about"
        );
    }

    #[test]
    fn every_sample_of_a_template_notification_is_news() {
        assert!(matches!(
            news("template-status-approved").1,
            TemplateChange::Status { status: TemplateStatus::Approved, .. }
        ));
        let TemplateChange::Status { status, rejected_reason, .. } = news("template-status-rejected").1 else {
            panic!("no status")
        };
        assert!(status == TemplateStatus::Rejected && rejected_reason.is_some());
        assert!(matches!(news("template-quality").1, TemplateChange::Quality(_)));
        let TemplateChange::Category { next, .. } = news("template-category-impending").1 else {
            panic!("no category")
        };
        assert!(next.is_some());
        let TemplateChange::Category { next, current } = news("template-category-completed").1 else {
            panic!("no category")
        };
        assert!(next.is_none() && current.is_some());
    }

    #[test]
    fn an_edit_changes_the_texts_and_leaves_the_rest() {
        let (_, TemplateChange::Components(update)) = news("template-components") else { panic!("no components") };
        let before = [json!({"type": "HEADER", "format": "IMAGE"}), json!({"type": "BODY", "text": "old"})];
        let update = TemplateComponentsUpdate { title: None, body: Some("new {{1}}".to_owned()), ..update };
        let after = edited_components(&before, &update);
        assert_eq!(after[0], before[0]);
        assert_eq!(after[1], json!({"type": "BODY", "text": "new {{1}}"}));
    }

    #[test]
    fn a_status_of_tomorrow_is_kept_and_stops_nothing() {
        let status: TemplateStatus = serde_json::from_str("\"SUSPENDED\"").unwrap();
        assert_eq!(serde_json::to_string(&status).unwrap(), "\"SUSPENDED\"");
        assert!(!status.stops_campaigns());
        assert_eq!(language_code("en-US"), "en_US");
    }
}
