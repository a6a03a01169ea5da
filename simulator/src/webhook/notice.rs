//! Values of the webhook fields that are not about messages: templates, numbers, accounts.

use serde_json::{Value, json};

use crate::standing::MessagingTier;
use crate::template::{Held, TemplateStatus};

/// `message_template_status_update`; `title` is that of `other_info`.
pub(crate) fn template_status(held: &Held, title: Option<&str>) -> Value {
    let template = &held.template;
    let mut value = json!({
        "event": template.status,
        "message_template_id": held.id,
        "message_template_name": template.name,
        "message_template_language": template.language,
        "reason": held.rejected_reason.as_deref().unwrap_or("NONE"),
        "message_template_category": template.category,
    });
    let title = match (title, template.status) {
        (Some(title), _) => Some(title),
        (None, TemplateStatus::Paused) => Some("FIRST_PAUSE"),
        (None, TemplateStatus::Disabled) => Some("DISABLED"),
        (None, _) => None,
    };
    if let Some(title) = title {
        let description = match title {
            "FIRST_PAUSE" => "Your WhatsApp message template has been paused for 3 hours because of low quality.",
            "SECOND_PAUSE" => "Your WhatsApp message template has been paused for 6 hours because of low quality.",
            "RATE_LIMITING_PAUSE" => "Your WhatsApp message template has been paused while its quality is assessed.",
            "UNPAUSE" => "Your WhatsApp message template can be sent again.",
            _ => "The status of your WhatsApp message template has changed.",
        };
        value["other_info"] = json!({ "title": title, "description": description });
    }
    if template.status == TemplateStatus::Rejected {
        value["rejection_info"] = json!({
            "reason": "The template does not follow the template guidelines.",
            "recommendation": "Change the text of the template and submit it again.",
        });
    }
    value
}

/// `phone_number_quality_update`
pub(crate) fn number_quality(display_phone_number: &str, event: &str, tier: MessagingTier) -> Value {
    json!({
        "display_phone_number": display_phone_number,
        "event": event,
        "max_daily_conversations_per_business": tier,
    })
}

/// `business_capability_update`
pub(crate) fn capability(tier: MessagingTier) -> Value {
    json!({
        "max_daily_conversations_per_business": tier.limit().map_or(-1, i64::from),
        "max_phone_numbers_per_waba": 25,
    })
}
