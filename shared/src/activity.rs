//! The activity feed: immutable events, each written once under an id that follows from what happened, so that taking it
//! in again changes nothing.

pub mod click;
pub mod custom;
pub mod feed;
pub mod reported;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use ulid::Ulid;

pub use self::click::{Click, Visitor};
use self::custom::{AssignedReport, CustomReport, ResolvedReport, SentReport};
use self::reported::{
    AccountReport, CallReport, ConfirmationReport, ConsentReport, CreatedReport, EchoReport, GroupReport,
    HandOverReport, HistoryReport, ImportReport, MergeReport, MessageDetail, MetaClickReport, PersonReport,
    StatusReport, TemplateReport,
};
use crate::attempt::{Seq, Shard};
use crate::campaign::VariantIndex;
use crate::id::{CampaignId, ContactId, EventId, WebhookId};
use crate::link::code::LinkId;
use crate::retention::Kind;
use crate::time::UnixMillis;

/// Partitions a day of an account's events is spread over.
pub const SHARDS: u8 = 8;

/// The JSON of an item as it was kept.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// In the row itself.
    Inline(String),
    /// Too long for a row: the object at this key of the bucket.
    Object(String),
}

impl Kept {
    /// Bytes of the row that it takes.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Self::Inline(text) | Self::Object(text) => text.len(),
        }
    }

    /// Whether nothing is kept.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What an event of the feed says.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum Content {
    /// A tracked link was followed.
    #[serde(rename = "link.clicked")]
    LinkClicked {
        /// The link.
        link: LinkId,
        /// The campaign; a free link has none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        campaign: Option<CampaignId>,
        /// The recipient, if the code was their own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        recipient: Option<Seq>,
        /// A person or a machine.
        #[serde(flatten)]
        visitor: Visitor,
        /// ISO 3166 alpha-2; absent when unknown.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        country: Option<String>,
        /// The part of ISO 3166-2 after the country.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        region: Option<String>,
        /// In English.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        city: Option<String>,
        /// The host of the page that led to the link.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        referrer: Option<String>,
    },
    /// A person wrote to the account.
    #[serde(rename = "message.received")]
    MessageReceived {
        /// Meta's message id.
        wamid: String,
        /// The sender's `wa_id`; absent when they hide their number.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<String>,
        /// Meta's type, such as `text`.
        kind: String,
        /// The attempt it answers, if one can be told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        campaign: Option<CampaignId>,
        /// The recipient within that campaign.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        recipient: Option<Seq>,
        /// What else is known of it.
        #[serde(flatten)]
        detail: Box<MessageDetail>,
        /// The item as Meta sent it, for whoever needs its contents.
        raw: Kept,
    },
    /// The account wrote to a person by another way than Thirdtick.
    #[serde(rename = "message.echoed")]
    MessageEchoed(EchoReport),
    /// The status of a message that is none of our attempts.
    #[serde(rename = "message.status")]
    MessageStatus(StatusReport),
    /// A message of the time before the number was connected, in either direction: no live one.
    #[serde(rename = "message.imported")]
    MessageImported(ImportReport),
    /// The import of those goes on, or was refused.
    #[serde(rename = "history.progressed")]
    HistoryProgressed(HistoryReport),
    /// An entry of the WhatsApp Business app's address book changed.
    #[serde(rename = "contact.synced")]
    ContactSynced(PersonReport),
    /// A person has told WhatsApp which messages they want.
    #[serde(rename = "contact.preference_changed")]
    ContactPreferred(PersonReport),
    /// A person has another number, user id or identity key.
    #[serde(rename = "contact.changed")]
    ContactChanged(PersonReport),
    /// A person has become known.
    #[serde(rename = "contact.created")]
    ContactCreated(CreatedReport),
    /// Two contacts were found to be one person; the event is in the list of the one that stays.
    #[serde(rename = "contact.merged")]
    ContactMerged(MergeReport),
    /// That was undone.
    #[serde(rename = "contact.unmerged")]
    ContactUnmerged(MergeReport),
    /// A person wants no more messages.
    #[serde(rename = "contact.opted_out")]
    ContactOptedOut(ConsentReport),
    /// A person wants messages.
    #[serde(rename = "contact.opted_in")]
    ContactOptedIn(ConsentReport),
    /// A person was told that their word for or against messages was heard.
    #[serde(rename = "contact.consent_confirmed")]
    ConsentConfirmed(ConfirmationReport),
    /// A link in a message of Meta's Marketing Messages API was followed.
    #[serde(rename = "meta.link_clicked")]
    MetaLinkClicked(MetaClickReport),
    /// A conversation went from one sender of the number to another.
    #[serde(rename = "chat.handed_over")]
    ChatHandedOver(HandOverReport),
    /// A call was offered or taken.
    #[serde(rename = "call.connected")]
    CallConnected(CallReport),
    /// A call is over.
    #[serde(rename = "call.ended")]
    CallEnded(CallReport),
    /// The phone of somebody whom we call rings.
    #[serde(rename = "call.ringing")]
    CallRinging(CallReport),
    /// They have taken it.
    #[serde(rename = "call.accepted")]
    CallAccepted(CallReport),
    /// They have declined it.
    #[serde(rename = "call.rejected")]
    CallRejected(CallReport),
    /// Something else about a call, in a word of Meta's that this version does not know.
    #[serde(rename = "call.reported")]
    CallReported(CallReport),
    /// A group was created, or could not be.
    #[serde(rename = "group.created")]
    GroupCreated(GroupReport),
    /// A group was deleted, or could not be.
    #[serde(rename = "group.deleted")]
    GroupDeleted(GroupReport),
    /// Members of a group came or went.
    #[serde(rename = "group.participants_changed")]
    GroupParticipants(GroupReport),
    /// Somebody asks to join a group, or takes that back.
    #[serde(rename = "group.join_requested")]
    GroupJoinRequested(GroupReport),
    /// The settings of a group were changed, or could not be.
    #[serde(rename = "group.settings_changed")]
    GroupSettings(GroupReport),
    /// Meta has suspended a group.
    #[serde(rename = "group.suspended")]
    GroupSuspended(GroupReport),
    /// A suspended group may be used again.
    #[serde(rename = "group.released")]
    GroupReleased(GroupReport),
    /// A template was approved, rejected, paused, disabled or the like.
    #[serde(rename = "template.status_changed")]
    TemplateStatus(TemplateReport),
    /// People like a template more or less than before.
    #[serde(rename = "template.quality_changed")]
    TemplateQuality(TemplateReport),
    /// Meta has put a template into another category, or will.
    #[serde(rename = "template.category_changed")]
    TemplateCategory(TemplateReport),
    /// A template was edited.
    #[serde(rename = "template.components_changed")]
    TemplateComponents(TemplateReport),
    /// Meta forbids some actions for a while.
    #[serde(rename = "account.restricted")]
    AccountRestricted(AccountReport),
    /// Meta says that a policy was violated.
    #[serde(rename = "account.violated_policy")]
    AccountViolated(AccountReport),
    /// The business account was disabled or deleted, or will be.
    #[serde(rename = "account.disabled")]
    AccountDisabled(AccountReport),
    /// The business account is allowed again.
    #[serde(rename = "account.reinstated")]
    AccountReinstated(AccountReport),
    /// The number was disconnected, for instance because the app's phone changed.
    #[serde(rename = "account.offboarded")]
    AccountOffboarded(AccountReport),
    /// It is connected again.
    #[serde(rename = "account.reconnected")]
    AccountReconnected(AccountReport),
    /// Something else changed about the business account.
    #[serde(rename = "account.updated")]
    AccountUpdated(AccountReport),
    /// A notice of Meta's.
    #[serde(rename = "account.alerted")]
    AccountAlerted(AccountReport),
    /// Meta has reviewed the business account.
    #[serde(rename = "account.reviewed")]
    AccountReviewed(AccountReport),
    /// What the business account may do has changed.
    #[serde(rename = "account.limits_changed")]
    AccountLimits(AccountReport),
    /// The number's quality, limit or throughput changed.
    #[serde(rename = "account.quality_changed")]
    AccountQuality(AccountReport),
    /// Meta has reviewed the number's display name.
    #[serde(rename = "account.name_reviewed")]
    AccountName(AccountReport),
    /// The number's two-step PIN was changed, or somebody asked to remove it.
    #[serde(rename = "account.security_changed")]
    AccountSecurity(AccountReport),
    /// A problem of the account or app that belongs to no message.
    #[serde(rename = "account.error_reported")]
    AccountErred(AccountReport),
    /// An agent has a conversation, as another system tells.
    #[serde(rename = "chat.assigned")]
    ChatAssigned(AssignedReport),
    /// A conversation was settled, as another system tells.
    #[serde(rename = "chat.resolved")]
    ChatResolved(ResolvedReport),
    /// A message went to a person through another tool than Thirdtick.
    #[serde(rename = "message.sent")]
    MessageSent(SentReport),
    /// What a web page or a server tells in its own words.
    #[serde(rename = "custom")]
    Custom(Box<CustomReport>),
    /// Anything else that Meta reported: kept as it came, under the name of its field.
    #[serde(rename = "meta.reported")]
    MetaReported {
        /// Meta's field, such as `account_update`.
        field: String,
        /// What we took it for.
        kind: String,
        /// The item as Meta sent it.
        raw: Kept,
    },
    /// An item that could not be read; it can be taken in again after a fix.
    #[serde(rename = "meta.quarantined")]
    MetaQuarantined {
        /// Meta's field.
        field: String,
        /// Why.
        reason: String,
        /// The item as Meta sent it.
        raw: Kept,
    },
    /// A subscription to events was switched off, for nothing arrived any more.
    #[serde(rename = "webhook.disabled")]
    WebhookDisabled {
        /// The subscription.
        webhook: WebhookId,
        /// For people.
        reason: String,
    },
}

impl Content {
    /// Which rule of retention holds for it.
    #[must_use]
    pub const fn retained_as(&self) -> Kind {
        match self {
            Self::MessageReceived { .. }
            | Self::MessageEchoed(_)
            | Self::MessageImported(_)
            | Self::MetaReported { .. }
            | Self::MetaQuarantined { .. } => Kind::Messages,
            _ => Kind::Events,
        }
    }

    /// The campaign that it is put down to.
    #[must_use]
    pub fn campaign(&self) -> Option<CampaignId> {
        match self {
            Self::LinkClicked { campaign, .. } | Self::MessageReceived { campaign, .. } => *campaign,
            Self::Custom(report) => report.campaign,
            _ => None,
        }
    }

    /// The event's type as the feed shows it: for an event in its sender's words, the name that they gave it.
    #[must_use]
    pub const fn kind(&self) -> &str {
        match self {
            Self::LinkClicked { .. } => "link.clicked",
            Self::MessageReceived { .. } => "message.received",
            Self::MessageEchoed(_) => "message.echoed",
            Self::MessageStatus(_) => "message.status",
            Self::MessageImported(_) => "message.imported",
            Self::HistoryProgressed(_) => "history.progressed",
            Self::ContactSynced(_) => "contact.synced",
            Self::ContactPreferred(_) => "contact.preference_changed",
            Self::ContactChanged(_) => "contact.changed",
            Self::ContactCreated(_) => "contact.created",
            Self::ContactMerged(_) => "contact.merged",
            Self::ContactUnmerged(_) => "contact.unmerged",
            Self::ContactOptedOut(_) => "contact.opted_out",
            Self::ContactOptedIn(_) => "contact.opted_in",
            Self::ConsentConfirmed(_) => "contact.consent_confirmed",
            Self::MetaLinkClicked(_) => "meta.link_clicked",
            Self::ChatHandedOver(_) => "chat.handed_over",
            Self::CallConnected(_) => "call.connected",
            Self::CallEnded(_) => "call.ended",
            Self::CallRinging(_) => "call.ringing",
            Self::CallAccepted(_) => "call.accepted",
            Self::CallRejected(_) => "call.rejected",
            Self::CallReported(_) => "call.reported",
            Self::GroupCreated(_) => "group.created",
            Self::GroupDeleted(_) => "group.deleted",
            Self::GroupParticipants(_) => "group.participants_changed",
            Self::GroupJoinRequested(_) => "group.join_requested",
            Self::GroupSettings(_) => "group.settings_changed",
            Self::GroupSuspended(_) => "group.suspended",
            Self::GroupReleased(_) => "group.released",
            Self::TemplateStatus(_) => "template.status_changed",
            Self::TemplateQuality(_) => "template.quality_changed",
            Self::TemplateCategory(_) => "template.category_changed",
            Self::TemplateComponents(_) => "template.components_changed",
            Self::AccountRestricted(_) => "account.restricted",
            Self::AccountViolated(_) => "account.violated_policy",
            Self::AccountDisabled(_) => "account.disabled",
            Self::AccountReinstated(_) => "account.reinstated",
            Self::AccountOffboarded(_) => "account.offboarded",
            Self::AccountReconnected(_) => "account.reconnected",
            Self::AccountUpdated(_) => "account.updated",
            Self::AccountAlerted(_) => "account.alerted",
            Self::AccountReviewed(_) => "account.reviewed",
            Self::AccountLimits(_) => "account.limits_changed",
            Self::AccountQuality(_) => "account.quality_changed",
            Self::AccountName(_) => "account.name_reviewed",
            Self::AccountSecurity(_) => "account.security_changed",
            Self::AccountErred(_) => "account.error_reported",
            Self::ChatAssigned(_) => "chat.assigned",
            Self::ChatResolved(_) => "chat.resolved",
            Self::MessageSent(_) => "message.sent",
            Self::Custom(report) => report.name.as_str(),
            Self::MetaReported { .. } => "meta.reported",
            Self::MetaQuarantined { .. } => "meta.quarantined",
            Self::WebhookDisabled { .. } => "webhook.disabled",
        }
    }

    /// Whether it is a word of Meta's about the account or its templates, which people should see beside its health.
    #[must_use]
    pub fn is_notice(&self) -> bool {
        match self {
            // Of what this version has no type for, what concerns the account by its name.
            Self::MetaReported { field, .. } => {
                let topics =
                    ["account", "business", "message_template", "payment", "phone_number", "security", "template"];
                topics.iter().any(|topic| field.starts_with(topic))
            }
            content => content.kind().starts_with("account.") || content.kind().starts_with("template."),
        }
    }

    /// The item as it came in, where the event keeps it.
    pub const fn raw_mut(&mut self) -> Option<&mut Kept> {
        match self {
            Self::MessageReceived { raw, .. } | Self::MetaReported { raw, .. } | Self::MetaQuarantined { raw, .. } => {
                Some(raw)
            }
            Self::MessageEchoed(EchoReport { raw, .. }) => Some(raw),
            Self::MessageStatus(StatusReport { raw, .. }) => Some(raw),
            Self::MessageImported(ImportReport { raw, .. }) => Some(raw),
            Self::HistoryProgressed(HistoryReport { raw, .. }) => Some(raw),
            Self::ContactSynced(PersonReport { raw, .. })
            | Self::ContactPreferred(PersonReport { raw, .. })
            | Self::ContactChanged(PersonReport { raw, .. }) => Some(raw),
            Self::MetaLinkClicked(MetaClickReport { raw, .. }) => Some(raw),
            Self::ChatHandedOver(HandOverReport { raw, .. }) => Some(raw),
            Self::CallConnected(CallReport { raw, .. })
            | Self::CallEnded(CallReport { raw, .. })
            | Self::CallRinging(CallReport { raw, .. })
            | Self::CallAccepted(CallReport { raw, .. })
            | Self::CallRejected(CallReport { raw, .. })
            | Self::CallReported(CallReport { raw, .. }) => Some(raw),
            Self::GroupCreated(GroupReport { raw, .. })
            | Self::GroupDeleted(GroupReport { raw, .. })
            | Self::GroupParticipants(GroupReport { raw, .. })
            | Self::GroupJoinRequested(GroupReport { raw, .. })
            | Self::GroupSettings(GroupReport { raw, .. })
            | Self::GroupSuspended(GroupReport { raw, .. })
            | Self::GroupReleased(GroupReport { raw, .. }) => Some(raw),
            Self::TemplateStatus(TemplateReport { raw, .. })
            | Self::TemplateQuality(TemplateReport { raw, .. })
            | Self::TemplateCategory(TemplateReport { raw, .. })
            | Self::TemplateComponents(TemplateReport { raw, .. }) => Some(raw),
            Self::AccountRestricted(AccountReport { raw, .. })
            | Self::AccountViolated(AccountReport { raw, .. })
            | Self::AccountDisabled(AccountReport { raw, .. })
            | Self::AccountReinstated(AccountReport { raw, .. })
            | Self::AccountOffboarded(AccountReport { raw, .. })
            | Self::AccountReconnected(AccountReport { raw, .. })
            | Self::AccountUpdated(AccountReport { raw, .. })
            | Self::AccountAlerted(AccountReport { raw, .. })
            | Self::AccountReviewed(AccountReport { raw, .. })
            | Self::AccountLimits(AccountReport { raw, .. })
            | Self::AccountQuality(AccountReport { raw, .. })
            | Self::AccountName(AccountReport { raw, .. })
            | Self::AccountSecurity(AccountReport { raw, .. })
            | Self::AccountErred(AccountReport { raw, .. }) => Some(raw),
            _ => None,
        }
    }
}

/// An event of the feed.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Version of the stored shape.
    pub v: u8,
    /// Follows from what happened.
    pub id: EventId,
    /// When it happened.
    pub at: UnixMillis,
    /// When we took it in.
    pub seen: UnixMillis,
    /// The person it concerns, as known when it was taken in; who was merged with whom since is on the contacts' rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contact: Option<ContactId>,
    /// The variant of the campaign's message, where it matters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<VariantIndex>,
    /// What it says.
    #[serde(flatten)]
    pub content: Content,
}

impl std::fmt::Debug for Event {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Event({} {})", self.id, self.content.kind())
    }
}

/// The id of an event that carries no id of ours: the same for the same identity at the same time, whoever computes it.
/// `identity` is what makes the event unique, such as a wamid.
#[must_use]
pub fn id_of(at: UnixMillis, identity: &[&str]) -> EventId {
    let mut hash = Sha256::new();
    for part in identity {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let digest = hash.finalize();
    let mut random = [0_u8; 16];
    random.copy_from_slice(&digest[..16]);
    EventId::from_ulid(Ulid::from_parts(at.0.max(0).unsigned_abs(), u128::from_be_bytes(random)))
}

/// The partition an event goes to.
#[must_use]
pub fn shard_of(id: EventId) -> Shard {
    Shard(u8::try_from(id.ulid().random() % u128::from(SHARDS)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_happening_has_the_same_id() {
        let at = UnixMillis(1_790_000_000_000);
        assert_eq!(id_of(at, &["wamid.a", "text"]), id_of(at, &["wamid.a", "text"]));
        assert_ne!(id_of(at, &["wamid.a", "text"]), id_of(at, &["wamid.at", "ext"]));
    }

    #[test]
    fn a_stored_click_keeps_its_shape() {
        let event = Event {
            v: 1,
            id: id_of(UnixMillis(1), &["x"]),
            at: UnixMillis(1),
            seen: UnixMillis(2),
            contact: None,
            variant: None,
            content: Content::LinkClicked {
                link: LinkId::new(7).unwrap(),
                campaign: Some("cmp_01J00000000000000000000000".parse().unwrap()),
                recipient: Some(Seq(3)),
                visitor: Visitor::Machine { reason: "preview".to_owned() },
                country: None,
                region: None,
                city: None,
                referrer: None,
            },
        };
        let json = serde_json::to_value(&event).unwrap();
        assert_eq!(json["type"], "link.clicked");
        assert_eq!(json["visitor"], "machine");
        assert_eq!(serde_json::from_value::<Event>(json).unwrap(), event);
    }
}
