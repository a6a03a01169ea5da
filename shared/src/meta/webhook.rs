//! The body of a webhook POST as typed events: every element of `entry × changes × items` becomes one [`Item`] of its
//! own.
//!
//! Meta extends these payloads several times a year and redelivers a whole batch if it is refused, so reading is
//! lenient. An item is [`Event::Malformed`] only if something is missing that it is useless without, and what is not
//! known is [`Event::Unknown`]; both keep their JSON. Any other member that cannot be read counts as absent. One bad
//! element never disturbs its siblings. The raw body remains the record: archive it first. What an event does to a
//! campaign is decided elsewhere, and so is [whether the body is Meta's](super::signature). Source: Meta, *WhatsApp
//! Cloud API webhooks* (Graph API v24).

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

#[macro_use]
mod open_enum;

mod account;
mod call;
mod coexistence;
mod contact;
mod content;
mod group;
mod message;
mod object;
mod redacted;
mod status;
mod template;
mod walk;

#[cfg(test)]
mod tests;

pub use account::{
    AccountAlert, AccountEvent, AccountUpdate, Ban, BanState, BusinessCapability, MessagingLimit, PhoneName,
    PhoneQuality, PhoneQualityEvent, PreferenceValue, Restriction, RestrictionKind, ReviewDecision, SecurityEvent,
    SecurityNotice, UserPreference, VolumeTier,
};
pub use call::{Call, CallDirection, CallEvent, CallState, CallStatus};
pub use coexistence::{
    AppContact, ContactAction, HandOver, HandOverKind, HistoryMessage, HistoryProgress, MessageEcho, Standby,
    StandbyEcho,
};
pub use contact::Contact;
pub use content::{
    CardPhone, ContactCard, Location, Media, MessageContent, Order, OrderItem, SystemChange, SystemKind,
};
pub use group::{
    GroupAction, GroupJoinRequest, GroupLifecycle, GroupParticipants, GroupSettings, GroupStatus, Participant,
    SettingOutcome,
};
pub use message::{Context, InboundMessage, MarketingLinkClick, Referral};
pub use redacted::Redacted;
pub use status::{
    Conversation, MessageStatus, MetaError, Pricing, PricingCategory, PricingModel, PricingType, StatusKind,
};
pub use template::{
    CategoryChange, QualityScore, TemplateButton, TemplateCategoryUpdate, TemplateComponentsUpdate, TemplateEvent,
    TemplateQualityUpdate, TemplateRef, TemplateStatusUpdate,
};

/// What one webhook POST contains, in its order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notification {
    /// The items; at most 1,000 as Meta documents it, though history may bring more.
    pub items: Vec<Item>,
}

/// One event and where it came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// The WhatsApp Business account (`entry.id`); for some fields the business portfolio.
    pub waba_id: Option<String>,
    /// The subscribed field (`messages`, `account_update`, …); empty if the change names none.
    pub field: String,
    /// When Meta made the entry, in seconds since 1970; absent on `messages`.
    pub entry_time: Option<i64>,
    /// Our number's id, by which to route.
    pub phone_number_id: Option<String>,
    /// Our number in digits.
    pub display_phone_number: Option<String>,
    /// The person concerned, found by phone number or user id among the contacts of the change.
    pub contact: Option<Contact>,
    /// What happened.
    pub event: Event,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "detail", rename_all = "snake_case")]
pub enum Event {
    /// A user wrote to us.
    Message(Box<InboundMessage>),
    /// The status of a message of ours.
    Status(Box<MessageStatus>),
    /// A problem of the account or app, without a message (`value.errors[]`).
    ValueError(MetaError),
    /// A link in a message of the Marketing Messages API was followed.
    LinkClick(MarketingLinkClick),
    /// A template was reviewed, paused, disabled or the like.
    TemplateStatus(Box<TemplateStatusUpdate>),
    /// A template's quality changed.
    TemplateQuality(TemplateQualityUpdate),
    /// A template's category changes.
    TemplateCategory(TemplateCategoryUpdate),
    /// A template was edited.
    TemplateComponents(Box<TemplateComponentsUpdate>),
    /// A change of the whole account: restriction, ban, tier, partner.
    AccountUpdate(Box<AccountUpdate>),
    /// A notice.
    AccountAlert(AccountAlert),
    /// The account was reviewed.
    AccountReview(ReviewDecision),
    /// The limits of the account changed.
    Capability(BusinessCapability),
    /// A number's throughput or quality changed.
    PhoneQuality(PhoneQuality),
    /// A display name was reviewed.
    PhoneName(PhoneName),
    /// A user stopped or resumed marketing messages.
    UserPreference(Box<UserPreference>),
    /// A number's two-step PIN.
    Security(SecurityNotice),
    /// A colleague wrote from the app.
    Echo(Box<MessageEcho>),
    /// The transfer of the app's history goes on.
    History(HistoryProgress),
    /// A message of the app's history.
    HistoryMessage(Box<HistoryMessage>),
    /// The app's address book changed (`smb_app_state_sync`).
    AppContact(Box<AppContact>),
    /// A call began or ended.
    Call(Box<Call>),
    /// The progress of a call of ours.
    CallStatus(Box<CallStatus>),
    /// A group was created or deleted.
    GroupLifecycle(Box<GroupLifecycle>),
    /// Members of a group came or went.
    GroupParticipants(Box<GroupParticipants>),
    /// Somebody asks to join a group.
    GroupJoinRequest(Box<GroupJoinRequest>),
    /// The settings of a group were changed.
    GroupSettings(Box<GroupSettings>),
    /// A group was suspended or released.
    GroupStatus(GroupStatus),
    /// Something in a conversation that another sender has.
    Standby(Box<Standby>),
    /// A conversation went from one sender of the number to another.
    HandOver(Box<HandOver>),
    /// Well-formed, but of a kind this version does not know. Count it.
    Unknown(UnknownEvent),
    /// Not readable as what it should be. Count it, and alert.
    Malformed(MalformedEvent),
}

impl Event {
    /// The name of the kind, for logs and metrics; the same as in the serialised form.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Message(_) => "message",
            Self::Status(_) => "status",
            Self::ValueError(_) => "value_error",
            Self::LinkClick(_) => "link_click",
            Self::TemplateStatus(_) => "template_status",
            Self::TemplateQuality(_) => "template_quality",
            Self::TemplateCategory(_) => "template_category",
            Self::TemplateComponents(_) => "template_components",
            Self::AccountUpdate(_) => "account_update",
            Self::AccountAlert(_) => "account_alert",
            Self::AccountReview(_) => "account_review",
            Self::Capability(_) => "capability",
            Self::PhoneQuality(_) => "phone_quality",
            Self::PhoneName(_) => "phone_name",
            Self::UserPreference(_) => "user_preference",
            Self::Security(_) => "security",
            Self::Echo(_) => "echo",
            Self::History(_) => "history",
            Self::HistoryMessage(_) => "history_message",
            Self::AppContact(_) => "app_contact",
            Self::Call(_) => "call",
            Self::CallStatus(_) => "call_status",
            Self::GroupLifecycle(_) => "group_lifecycle",
            Self::GroupParticipants(_) => "group_participants",
            Self::GroupJoinRequest(_) => "group_join_request",
            Self::GroupSettings(_) => "group_settings",
            Self::GroupStatus(_) => "group_status",
            Self::Standby(_) => "standby",
            Self::HandOver(_) => "hand_over",
            Self::Unknown(_) => "unknown",
            Self::Malformed(_) => "malformed",
        }
    }
}

/// Something of a kind this version does not know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnknownEvent {
    /// What is not known.
    pub reason: UnknownReason,
    /// Its JSON, exactly as received.
    pub raw: Redacted<String>,
}

impl UnknownEvent {
    fn new(reason: UnknownReason, raw: &RawValue) -> Self {
        Self { reason, raw: raw.get().to_owned().into() }
    }

    fn of_type(name: String, raw: &RawValue) -> Self {
        Self::new(UnknownReason::ItemType(name), raw)
    }
}

/// What is not known about an [`UnknownEvent`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownReason {
    /// The subscribed field; `raw` is the whole `value`.
    Field,
    /// A list under this key of `value`; `raw` is the list.
    Key(String),
    /// An item with this type; `raw` is the item.
    ItemType(String),
    /// A known field, but nothing in it; `raw` is the whole `value`.
    NoItems,
}

/// Something that is not readable as what it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MalformedEvent {
    /// Where it was: the key of the list it stood in, such as `entry`, `changes` or `statuses`; `value` for a whole
    /// change, `body` for everything.
    pub place: String,
    /// What is wrong with it. Names keys, never values, so it may be logged.
    pub reason: String,
    /// Its JSON, exactly as received.
    pub raw: Redacted<String>,
}

/// The body is no webhook notification at all. If the signature holds, archive it, count it and answer 200: Meta
/// would only send it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotANotification {
    /// Not JSON, or not UTF-8.
    #[error("the body is not JSON")]
    NotJson,
    /// JSON, but no object.
    #[error("the body is not a JSON object")]
    NotAnObject,
}

/// Reads the body of a webhook POST. Fails only if it is no JSON object; everything inside is kept, one way or another.
pub fn parse(body: &[u8]) -> Result<Notification, NotANotification> {
    let text = std::str::from_utf8(body).map_err(|_| NotANotification::NotJson)?;
    let Ok(object) = serde_json::from_str::<object::Object<'_>>(text) else {
        let is_json = serde_json::from_str::<&RawValue>(text).is_ok();
        return Err(if is_json { NotANotification::NotAnObject } else { NotANotification::NotJson });
    };
    Ok(Notification { items: walk::items(&object, text.trim()) })
}
