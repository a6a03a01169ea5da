//! Changes to a business account or one of its numbers: restrictions, bans, limits, reviews, names; and users'
//! marketing preferences. Source: Meta, *WhatsApp Business Account webhooks* (`account_*`,
//! `business_capability_update`, `phone_number_*`, `security`, `user_preferences`).

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::object::{Fault, Object};
use super::{Event, Redacted};

open_enum! {
    /// What happened to an account.
    pub enum AccountEvent {
        /// Deleted.
        Deleted = "ACCOUNT_DELETED",
        /// Some actions are forbidden for a while.
        Restriction = "ACCOUNT_RESTRICTION",
        /// A policy was violated.
        Violation = "ACCOUNT_VIOLATION",
        /// Banned, about to be banned, or reinstated.
        DisabledUpdate = "DISABLED_UPDATE",
        /// Disconnected because the app's device changed; normally back in minutes.
        Offboarded = "ACCOUNT_OFFBOARDED",
        /// Connected again.
        Reconnected = "ACCOUNT_RECONNECTED",
        /// Shared with a partner.
        PartnerAdded = "PARTNER_ADDED",
        /// No longer shared with a partner.
        PartnerRemoved = "PARTNER_REMOVED",
        /// A partner's app was installed.
        PartnerAppInstalled = "PARTNER_APP_INSTALLED",
        /// A partner's app was removed.
        PartnerAppUninstalled = "PARTNER_APP_UNINSTALLED",
        /// A pricing tier was reached.
        VolumeTierUpdate = "VOLUME_BASED_PRICING_TIER_UPDATE",
        /// Whether the international authentication rate applies.
        AuthInternationalEligibility = "AUTH_INTL_PRICE_ELIGIBILITY_UPDATE",
        /// The business moved to another country.
        PrimaryLocationUpdate = "BUSINESS_PRIMARY_LOCATION_COUNTRY_UPDATE",
    }
}

open_enum! {
    /// An action that is forbidden.
    pub enum RestrictionKind {
        /// No messages that open a conversation: campaigns must stop.
        BusinessInitiatedMessaging = "RESTRICTED_BIZ_INITIATED_MESSAGING",
        /// No answers to users either.
        UserInitiatedMessaging = "RESTRICTED_USER_INITIATED_MESSAGING",
        /// No further phone numbers.
        AddPhoneNumber = "RESTRICTED_ADD_PHONE_NUMBER_ACTION",
    }
}

open_enum! {
    /// Where a ban stands.
    pub enum BanState {
        /// Banned.
        Disabled = "DISABLE",
        /// To be banned on the date given.
        Scheduled = "SCHEDULE_FOR_DISABLE",
        /// No longer banned.
        Reinstated = "REINSTATE",
    }
}

/// A change of a whole account (`account_update`). Rare, so the JSON is kept with it: there are more blocks than the
/// ones read here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountUpdate {
    /// What happened.
    pub event: AccountEvent,
    /// What is forbidden, and until when.
    pub restrictions: Vec<Restriction>,
    /// The policy violated, in Meta's word.
    pub violation: Option<String>,
    /// The state of a ban.
    pub ban: Option<Ban>,
    /// The pricing tier reached.
    pub volume_tier: Option<VolumeTier>,
    /// The account shared or unshared.
    pub partner_waba_id: Option<String>,
    /// The business's new country.
    pub country: Option<String>,
    /// The JSON of the change.
    pub raw: Redacted<String>,
}

/// One forbidden action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restriction {
    /// Which.
    pub kind: RestrictionKind,
    /// Until when, in seconds since 1970; without end if absent.
    pub expires_at_s: Option<i64>,
}

/// A ban of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ban {
    /// Where it stands.
    pub state: BanState,
    /// Since or from when, as an English date (`September 24, 2026`).
    pub date: Option<String>,
}

/// A volume-based pricing tier. May be announced repeatedly; the smallest `reached_at_s` holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeTier {
    /// When it was reached, in seconds since 1970.
    pub reached_at_s: Option<i64>,
    /// `UTILITY` or `AUTHENTICATION`.
    pub category: Option<String>,
    /// Messages per month, `from:to`.
    pub tier: Option<String>,
    /// The month it applies to, `2026-09`.
    pub effective_month: Option<String>,
    /// Country or region.
    pub region: Option<String>,
}

/// A notice about an account, portfolio or number (`account_alerts`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountAlert {
    /// `BUSINESS`, `PHONE_NUMBER`, …
    pub entity_type: Option<String>,
    /// Its id.
    pub entity_id: Option<String>,
    /// What the notice is about.
    pub kind: String,
    /// `CRITICAL`, `WARNING` or `INFORMATIONAL`.
    pub severity: Option<String>,
    /// `ACTIVE` or `NONE`.
    pub status: Option<String>,
    /// An English sentence.
    pub description: Option<String>,
}

open_enum! {
    /// The outcome of a review of an account or display name.
    pub enum ReviewDecision {
        /// Accepted.
        Approved = "APPROVED",
        /// Not accepted.
        Rejected = "REJECTED",
        /// Under way.
        Pending = "PENDING",
        /// Put off.
        Deferred = "DEFERRED",
    }
}

/// How many different people may be written to first within 24 hours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessagingLimit {
    /// So many.
    Recipients(u32),
    /// As many as one likes.
    Unlimited,
    /// Not determined yet.
    NotSet,
    /// A text this version does not know.
    Other(String),
}

impl MessagingLimit {
    /// Meta writes a number (-1 for no limit) in one place and a tier in another.
    #[must_use]
    pub fn of(text: String) -> Self {
        match text.as_str() {
            "-1" | "TIER_UNLIMITED" => Self::Unlimited,
            "TIER_NOT_SET" => Self::NotSet,
            plain => {
                let digits = plain.strip_prefix("TIER_").unwrap_or(plain);
                let (digits, unit) = digits.strip_suffix('K').map_or((digits, 1), |digits| (digits, 1_000));
                let count = digits.parse().ok().and_then(|count: u32| count.checked_mul(unit));
                count.map_or_else(|| Self::Other(plain.to_owned()), Self::Recipients)
            }
        }
    }
}

/// What the account may do (`business_capability_update`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BusinessCapability {
    /// The messaging limit of the portfolio.
    pub messaging_limit: Option<MessagingLimit>,
    /// Phone numbers the portfolio may have.
    pub max_phone_numbers_per_business: Option<i64>,
    /// Phone numbers the account may have.
    pub max_phone_numbers_per_waba: Option<i64>,
}

open_enum! {
    /// What happened to a number's throughput, limit or quality.
    pub enum PhoneQualityEvent {
        /// Newly connected.
        Onboarding = "ONBOARDING",
        /// May send 1,000 messages per second from now on.
        ThroughputUpgrade = "THROUGHPUT_UPGRADE",
        /// Limit raised (until 2026).
        Upgrade = "UPGRADE",
        /// Limit lowered (until 2026).
        Downgrade = "DOWNGRADE",
        /// Quality is low (until 2026).
        Flagged = "FLAGGED",
        /// Quality is no longer low (until 2026).
        Unflagged = "UNFLAGGED",
    }
}

/// A number's throughput, limit or quality changed (`phone_number_quality_update`). The number is the item's
/// `display_phone_number`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhoneQuality {
    /// What happened.
    pub event: PhoneQualityEvent,
    /// The limit from now on.
    pub limit: Option<MessagingLimit>,
    /// The limit until now (until 2026).
    pub previous_limit: Option<MessagingLimit>,
}

/// A display name was reviewed (`phone_number_name_update`). The number is the item's `display_phone_number`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhoneName {
    /// The outcome.
    pub decision: ReviewDecision,
    /// The name asked for.
    pub requested_name: Option<String>,
    /// Why not.
    pub rejection_reason: Option<String>,
}

open_enum! {
    /// What happened to a number's two-step PIN.
    pub enum SecurityEvent {
        /// Changed.
        PinChanged = "PIN_CHANGED",
        /// Somebody asked to remove it.
        PinResetRequest = "PIN_RESET_REQUEST",
        /// Removed.
        PinRequestSuccess = "PIN_REQUEST_SUCCESS",
    }
}

/// A number's two-step PIN (`security`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityNotice {
    /// What happened.
    pub event: SecurityEvent,
    /// Facebook id of who asked.
    pub requester: Option<Redacted<String>>,
}

open_enum! {
    /// What a user chose about marketing messages.
    pub enum PreferenceValue {
        /// No more of them.
        Stop = "stop",
        /// Allowed again.
        Resume = "resume",
        /// Signed up on a form of Meta's.
        Signup = "signup",
    }
}

/// A user's choice about marketing messages (`user_preferences`). It holds for the user id, not for the parent's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserPreference {
    /// Phone digits, unless hidden.
    pub wa_id: Option<Redacted<String>>,
    /// Business-scoped user id.
    pub user_id: Option<Redacted<String>>,
    /// `marketing_messages`.
    pub category: Option<String>,
    /// The choice.
    pub value: PreferenceValue,
    /// An English sentence.
    pub detail: Option<String>,
    /// When, in seconds since 1970. Optional, because a stop must not be lost for want of its time.
    pub timestamp_s: Option<i64>,
    /// The form signed up on.
    pub signup_id: Option<String>,
}

pub(super) fn read_account_update(value: &Object<'_>, raw: &RawValue) -> Result<Event, Fault> {
    let restriction = |info: &Object<'_>| {
        Some(Restriction { kind: info.text("restriction_type")?, expires_at_s: info.timestamp("expiration") })
    };
    let ban = |info: Object<'_>| Some(Ban { state: info.text("waba_ban_state")?, date: info.text("waba_ban_date") });
    Ok(Event::AccountUpdate(Box::new(AccountUpdate {
        event: value.required_text("event")?,
        restrictions: value.objects("restriction_info").iter().filter_map(restriction).collect(),
        violation: value.object("violation_info").and_then(|info| info.text("violation_type")),
        ban: value.object("ban_info").and_then(ban),
        volume_tier: value.object("volume_tier_info").as_ref().map(read_volume_tier),
        partner_waba_id: value.object("waba_info").and_then(|info| info.text("waba_id")),
        country: value.text("country"),
        raw: raw.get().to_owned().into(),
    })))
}

fn read_volume_tier(info: &Object<'_>) -> VolumeTier {
    VolumeTier {
        reached_at_s: info.timestamp("tier_update_time"),
        category: info.text("pricing_category"),
        tier: info.text("tier"),
        effective_month: info.text("effective_month"),
        region: info.text("region"),
    }
}

pub(super) fn read_account_alert(value: &Object<'_>, _raw: &RawValue) -> Result<Event, Fault> {
    let nested = value.object("alert_info");
    // Older notices have these keys one level higher.
    let info = nested.as_ref().unwrap_or(value);
    Ok(Event::AccountAlert(AccountAlert {
        entity_type: value.text("entity_type"),
        entity_id: value.text("entity_id"),
        kind: info.required_text("alert_type")?,
        severity: info.text("alert_severity"),
        status: info.text("alert_status"),
        description: info.text("alert_description"),
    }))
}

pub(super) fn read_account_review(value: &Object<'_>, _raw: &RawValue) -> Result<Event, Fault> {
    value.required_text("decision").map(Event::AccountReview)
}

pub(super) fn read_capability(value: &Object<'_>, _raw: &RawValue) -> Result<Event, Fault> {
    let limit =
        value.text("max_daily_conversations_per_business").or_else(|| value.text("max_daily_conversation_per_phone"));
    Ok(Event::Capability(BusinessCapability {
        messaging_limit: limit.map(MessagingLimit::of),
        max_phone_numbers_per_business: value.integer("max_phone_numbers_per_business"),
        max_phone_numbers_per_waba: value.integer("max_phone_numbers_per_waba"),
    }))
}

pub(super) fn read_phone_quality(value: &Object<'_>, _raw: &RawValue) -> Result<Event, Fault> {
    let limit = value.text("max_daily_conversations_per_business").or_else(|| value.text("current_limit"));
    Ok(Event::PhoneQuality(PhoneQuality {
        event: value.required_text("event")?,
        limit: limit.map(MessagingLimit::of),
        previous_limit: value.text("old_limit").map(MessagingLimit::of),
    }))
}

pub(super) fn read_phone_name(value: &Object<'_>, _raw: &RawValue) -> Result<Event, Fault> {
    Ok(Event::PhoneName(PhoneName {
        decision: value.required_text("decision")?,
        requested_name: value.text("requested_verified_name"),
        rejection_reason: value.text("rejection_reason").filter(|reason| reason != "NONE"),
    }))
}

pub(super) fn read_security(value: &Object<'_>, _raw: &RawValue) -> Result<Event, Fault> {
    Ok(Event::Security(SecurityNotice { event: value.required_text("event")?, requester: value.text("requester") }))
}

pub(super) fn read_preference(object: &Object<'_>, _raw: &RawValue) -> Result<Event, Fault> {
    let (wa_id, user_id) = (object.text("wa_id"), object.text("user_id"));
    if wa_id.is_none() && user_id.is_none() {
        return Err(Fault::Missing("wa_id"));
    }
    Ok(Event::UserPreference(Box::new(UserPreference {
        wa_id,
        user_id,
        category: object.text("category"),
        value: object.required_text("value")?,
        detail: object.text("detail"),
        timestamp_s: object.timestamp("timestamp"),
        signup_id: object.text("signup_id"),
    })))
}
