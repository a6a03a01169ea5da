//! Delivery statuses of messages we sent (`value.statuses[]`), with their pricing and errors. What a status does to
//! an attempt is decided elsewhere. Source: Meta, *Cloud API webhooks, status messages object*; *Pricing*; *Error
//! codes*.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::object::{Fault, Object};
use super::{Event, Redacted, call};

open_enum! {
    /// What happened to a message. No order can be relied on, and `Delivered` is skipped when a message is read at
    /// once.
    pub enum StatusKind {
        /// Left Meta towards the user (one tick).
        Sent = "sent",
        /// On a device of the user (two ticks).
        Delivered = "delivered",
        /// Seen by the user; implies delivered.
        Read = "read",
        /// A voice message was listened to.
        Played = "played",
        /// Not delivered; `errors` say why. May follow `Sent`, and may even coexist with `Delivered`.
        Failed = "failed",
    }
}

open_enum! {
    /// How a message was priced.
    pub enum PricingModel {
        /// Per message, since July 2025.
        PerMessage = "PMP",
        /// Per conversation, in archives from before.
        PerConversation = "CBP",
    }
}

open_enum! {
    /// Whether and why a message is free. Meta announced to drop `billable` in favour of this.
    pub enum PricingType {
        /// Charged.
        Regular = "regular",
        /// Free: answered within the customer service window.
        FreeCustomerService = "free_customer_service",
        /// Free: within 72 hours of an answered click-to-WhatsApp ad.
        FreeEntryPoint = "free_entry_point",
        /// Free: within a group's customer service window.
        FreeGroupCustomerService = "free_group_customer_service",
    }
}

open_enum! {
    /// The rate a message was charged at.
    pub enum PricingCategory {
        /// Marketing template.
        Marketing = "marketing",
        /// Marketing template through the Marketing Messages API.
        MarketingLite = "marketing_lite",
        /// Utility template.
        Utility = "utility",
        /// Authentication template.
        Authentication = "authentication",
        /// Authentication template at the international rate.
        AuthenticationInternational = "authentication_international",
        /// Anything that is not a template.
        Service = "service",
        /// Free entry point.
        ReferralConversion = "referral_conversion",
        /// Marketing template to a group.
        GroupMarketing = "group_marketing",
        /// Utility template to a group.
        GroupUtility = "group_utility",
        /// Free-form message to a group.
        GroupService = "group_service",
        /// General-purpose AI assistants.
        GeneralPurposeAi = "general_purpose_ai",
    }
}

/// The status of one message for one recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageStatus {
    /// The message's id. It contains the phone number.
    pub wamid: Redacted<String>,
    /// What happened.
    pub status: StatusKind,
    /// When it happened, in seconds since 1970.
    pub timestamp_s: i64,
    /// Phone digits, or the group's id; absent for a user whose phone is hidden.
    pub recipient_id: Option<Redacted<String>>,
    /// The recipient's business-scoped user id.
    pub recipient_user_id: Option<Redacted<String>>,
    /// The recipient's user id in the scope of a parent portfolio.
    pub recipient_parent_user_id: Option<Redacted<String>>,
    /// `group` for a message to a group.
    pub recipient_type: Option<String>,
    /// Phone digits of the group's member that this status is about.
    pub participant_id: Option<Redacted<String>>,
    /// User id of the group's member that this status is about.
    pub participant_user_id: Option<Redacted<String>>,
    /// What we gave as `biz_opaque_callback_data` when sending, up to 512 characters.
    pub callback_data: Option<String>,
    /// On `sent`, and on one of `delivered` and `read`; never on `failed`.
    pub pricing: Option<Pricing>,
    /// The conversation the message was charged to; since v24 for free entry points only.
    pub conversation: Option<Conversation>,
    /// Why it failed.
    pub errors: Vec<MetaError>,
}

/// What a message costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pricing {
    /// Whether it is charged; to be dropped by Meta, so prefer `kind`.
    pub billable: Option<bool>,
    /// Per message or per conversation.
    pub model: Option<PricingModel>,
    /// The rate.
    pub category: Option<PricingCategory>,
    /// Charged, or free for which reason (`type` in Meta's words).
    pub kind: Option<PricingType>,
}

/// A conversation of the time when conversations were charged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversation {
    /// Its id.
    pub id: Option<String>,
    /// When it ends, in seconds since 1970; on `sent` only.
    pub expires_at_s: Option<i64>,
    /// What opened it.
    pub origin: Option<PricingCategory>,
}

/// An error as Meta reports it, in statuses, messages, groups and for a whole account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetaError {
    /// The number to act on (see Meta's table of error codes); absent only if it could not be read.
    pub code: Option<i64>,
    /// A short English text.
    pub title: Option<String>,
    /// Usually the same text again.
    pub message: Option<String>,
    /// A longer English text (`error_data.details`).
    pub details: Option<String>,
}

impl MetaError {
    pub(super) fn read(object: &Object<'_>) -> Self {
        Self {
            code: object.integer("code"),
            title: object.text("title"),
            message: object.text("message"),
            details: object.object("error_data").and_then(|data| data.text("details")),
        }
    }

    /// The `errors` member of any object.
    pub(super) fn read_all(object: &Object<'_>) -> Vec<Self> {
        object.objects("errors").iter().map(Self::read).collect()
    }
}

pub(super) fn read_status(object: &Object<'_>, raw: &RawValue) -> Result<Event, Fault> {
    if object.get("type").is_some_and(|kind| kind.get() == "\"call\"") {
        return call::read_call_status(object, raw);
    }
    message_status(object).map(|status| Event::Status(Box::new(status)))
}

pub(super) fn message_status(object: &Object<'_>) -> Result<MessageStatus, Fault> {
    let conversation = object.object("conversation");
    // Meta's group samples once put the pricing into the conversation.
    let pricing = object.object("pricing").or_else(|| conversation.as_ref()?.object("pricing"));
    // Meta's samples spell the key both ways.
    let participant_id = object.text("recipient_participant_id").or_else(|| object.text("participant_recipient_id"));
    Ok(MessageStatus {
        wamid: object.required_text("id")?,
        status: object.required_text("status")?,
        timestamp_s: object.required_timestamp("timestamp")?,
        recipient_id: object.text("recipient_id"),
        recipient_user_id: object.text("recipient_user_id"),
        recipient_parent_user_id: object.text("recipient_parent_user_id"),
        recipient_type: object.text("recipient_type"),
        participant_id,
        participant_user_id: object.text("recipient_participant_user_id"),
        callback_data: object.text("biz_opaque_callback_data"),
        pricing: pricing.as_ref().map(read_pricing),
        conversation: conversation.as_ref().map(read_conversation),
        errors: MetaError::read_all(object),
    })
}

pub(super) fn read_value_error(object: &Object<'_>, _raw: &RawValue) -> Result<Event, Fault> {
    Ok(Event::ValueError(MetaError::read(object)))
}

fn read_pricing(object: &Object<'_>) -> Pricing {
    Pricing {
        billable: object.flag("billable"),
        model: object.text("pricing_model"),
        category: object.text("category"),
        kind: object.text("type"),
    }
}

fn read_conversation(object: &Object<'_>) -> Conversation {
    Conversation {
        id: object.text("id"),
        expires_at_s: object.timestamp("expiration_timestamp"),
        origin: object.object("origin").and_then(|origin| origin.text("type")),
    }
}
