//! Changes to message templates: review, pauses, quality, category, text. A paused template must stop its campaigns;
//! that is decided elsewhere. Source: Meta, *WhatsApp Business Account webhooks* (`message_template_*`,
//! `template_category_update`).

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::object::{Fault, Object};
use super::{Event, UnknownEvent};

/// Which template a change is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateRef {
    /// Meta's id of the template in one language.
    pub id: String,
    /// Its name.
    pub name: Option<String>,
    /// Its language with an underscore (`en_US`); Meta also writes `en-US`.
    pub language: Option<String>,
}

open_enum! {
    /// What happened to a template.
    pub enum TemplateEvent {
        /// May be sent.
        Approved = "APPROVED",
        /// Archived.
        Archived = "ARCHIVED",
        /// Taken out of the archive.
        Unarchived = "UNARCHIVED",
        /// Deleted.
        Deleted = "DELETED",
        /// Disabled for good after repeated pauses or a violation.
        Disabled = "DISABLED",
        /// Quality fell; to be disabled unless it improves.
        Flagged = "FLAGGED",
        /// A rejection is being appealed.
        InAppeal = "IN_APPEAL",
        /// The account has no room for another template.
        LimitExceeded = "LIMIT_EXCEEDED",
        /// Cannot be edited for now.
        Locked = "LOCKED",
        /// Not to be sent for 3 or 6 hours because of low quality.
        Paused = "PAUSED",
        /// Under review.
        Pending = "PENDING",
        /// About to be deleted.
        PendingDeletion = "PENDING_DELETION",
        /// No longer flagged or disabled.
        Reinstated = "REINSTATED",
        /// Not approved.
        Rejected = "REJECTED",
    }
}

open_enum! {
    /// A template's quality as users' reactions make it.
    pub enum QualityScore {
        /// High.
        Green = "GREEN",
        /// Medium.
        Yellow = "YELLOW",
        /// Low; pauses are near.
        Red = "RED",
        /// Not rated yet.
        Unknown = "UNKNOWN",
    }
}

/// A template was reviewed, paused, disabled or the like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateStatusUpdate {
    /// Which template.
    pub template: TemplateRef,
    /// What happened.
    pub event: TemplateEvent,
    /// Why, in Meta's word; `None` also where Meta writes `NONE`.
    pub reason: Option<String>,
    /// `MARKETING`, `UTILITY` or `AUTHENTICATION`.
    pub category: Option<String>,
    /// For pauses: `FIRST_PAUSE`, `SECOND_PAUSE`, `RATE_LIMITING_PAUSE`, `UNPAUSE` or `DISABLED`.
    pub title: Option<String>,
    /// An English sentence on that.
    pub description: Option<String>,
    /// What is wrong with a rejected template.
    pub rejection_reason: Option<String>,
    /// What to do about it.
    pub recommendation: Option<String>,
    /// When it was or will be disabled, as an English date.
    pub disable_date: Option<String>,
}

/// A template's quality changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateQualityUpdate {
    /// Which template.
    pub template: TemplateRef,
    /// Quality until now.
    pub previous: Option<QualityScore>,
    /// Quality from now on.
    pub new: QualityScore,
}

/// A template's category, and with it its price, changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateCategoryUpdate {
    /// Which template.
    pub template: TemplateRef,
    /// From what to what, and whether already.
    pub change: CategoryChange,
}

/// Whether a category has changed or is going to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CategoryChange {
    /// Announced. Meta names the current category `new_category` here.
    Impending {
        /// The category until then.
        current: Option<String>,
        /// The category from then on.
        next: String,
        /// When, in seconds since 1970.
        at_s: Option<i64>,
    },
    /// Done.
    Completed {
        /// The category before.
        previous: Option<String>,
        /// The category now.
        new: String,
    },
}

/// A template's text or buttons were edited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateComponentsUpdate {
    /// Which template.
    pub template: TemplateRef,
    /// Text of the header.
    pub title: Option<String>,
    /// Text of the body.
    pub body: Option<String>,
    /// Text of the footer.
    pub footer: Option<String>,
    /// The buttons in order.
    pub buttons: Vec<TemplateButton>,
}

/// A button of an edited template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateButton {
    /// `URL`, `PHONE_NUMBER`, `QUICK_REPLY`, …
    pub kind: Option<String>,
    /// The label.
    pub text: Option<String>,
    /// The address with its placeholder.
    pub url: Option<String>,
    /// The number to call.
    pub phone_number: Option<String>,
}

fn template_ref(value: &Object<'_>) -> Result<TemplateRef, Fault> {
    Ok(TemplateRef {
        id: value.required_text("message_template_id")?,
        name: value.text("message_template_name"),
        language: value.text("message_template_language").map(|language: String| language.replace('-', "_")),
    })
}

/// `message_template_status_update`. A sample of Meta's carries a quality update under this name, so the keys decide.
pub(super) fn read_status_update(value: &Object<'_>, raw: &RawValue) -> Result<Event, Fault> {
    if value.get("event").is_none() && value.get("new_quality_score").is_some() {
        return read_quality_update(value, raw);
    }
    let other = value.object("other_info");
    let rejection = value.object("rejection_info");
    Ok(Event::TemplateStatus(Box::new(TemplateStatusUpdate {
        template: template_ref(value)?,
        event: value.required_text("event")?,
        reason: value.text("reason").filter(|reason| reason != "NONE"),
        category: value.text("message_template_category"),
        title: other.as_ref().and_then(|other| other.text("title")),
        description: other.as_ref().and_then(|other| other.text("description")),
        rejection_reason: rejection.as_ref().and_then(|rejection| rejection.text("reason")),
        recommendation: rejection.as_ref().and_then(|rejection| rejection.text("recommendation")),
        disable_date: value.object("disable_info").and_then(|info| info.text("disable_date")),
    })))
}

/// `message_template_quality_update`.
pub(super) fn read_quality_update(value: &Object<'_>, _raw: &RawValue) -> Result<Event, Fault> {
    Ok(Event::TemplateQuality(TemplateQualityUpdate {
        template: template_ref(value)?,
        previous: value.text("previous_quality_score"),
        new: value.required_text("new_quality_score")?,
    }))
}

/// `template_category_update`.
pub(super) fn read_category_update(value: &Object<'_>, raw: &RawValue) -> Result<Event, Fault> {
    let change = if let Some(next) = value.text("correct_category") {
        let (current, at_s) = (value.text("new_category"), value.timestamp("category_update_timestamp"));
        CategoryChange::Impending { current, next, at_s }
    } else if let Some(new) = value.text("new_category") {
        CategoryChange::Completed { previous: value.text("previous_category"), new }
    } else {
        return Ok(Event::Unknown(UnknownEvent::of_type(String::new(), raw)));
    };
    Ok(Event::TemplateCategory(TemplateCategoryUpdate { template: template_ref(value)?, change }))
}

/// `message_template_components_update`.
pub(super) fn read_components_update(value: &Object<'_>, _raw: &RawValue) -> Result<Event, Fault> {
    let button = |button: &Object<'_>| TemplateButton {
        kind: button.text("message_template_button_type"),
        text: button.text("message_template_button_text"),
        url: button.text("message_template_button_url"),
        phone_number: button.text("message_template_button_phone_number"),
    };
    Ok(Event::TemplateComponents(Box::new(TemplateComponentsUpdate {
        template: template_ref(value)?,
        title: value.text("message_template_title"),
        body: value.text("message_template_element"),
        footer: value.text("message_template_footer"),
        buttons: value.objects("message_template_buttons").iter().map(button).collect(),
    })))
}
