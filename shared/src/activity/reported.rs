//! What Meta reports, as the columns of an event: what people ask for by, with the whole item beside it. Words of Meta's
//! (states, reasons, categories) are texts, for Meta adds to its lists at any time.

use serde::{Deserialize, Serialize};

use super::Kept;
use crate::id::ContactId;

/// What else is known of a message that a person wrote.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageDetail {
    /// The sender's business-scoped user id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_user_id: Option<String>,
    /// The group it was posted in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Another sender had the conversation: the message was not to us, and nothing of ours answers it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub standby: bool,
    /// Passed on from another chat.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forwarded: bool,
    /// The message that it quotes, reacts to, edits or deletes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// What the button or row stands for that was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
    /// The emoji of a reaction; absent when it was taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emoji: Option<String>,
    /// The ad or post that the person came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub referral: Option<ReferralReport>,
    /// What was ordered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<OrderReport>,
    /// Meta's code for what is missing of it, such as 131051: of a type that is not passed on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i64>,
}

/// A click-to-WhatsApp ad or post.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReferralReport {
    /// `ad` or `post`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_type: Option<String>,
    /// Meta's id of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_id: Option<String>,
    /// Its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_url: Option<String>,
    /// Its headline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub headline: Option<String>,
    /// The click's id, for conversion reports to Meta.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ctwa_clid: Option<String>,
}

/// A cart.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderReport {
    /// The catalogue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalog: Option<String>,
    /// Pieces in all.
    pub pieces: i64,
    /// The sum of all items as a decimal text; absent when a price is missing or they are in several currencies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<String>,
    /// ISO 4217.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
}

/// A message to a person that Thirdtick has not sent.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EchoReport {
    /// Meta's message id.
    pub wamid: String,
    /// The person's `wa_id`; absent when hidden.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Meta's type, such as `text`.
    pub kind: String,
    /// `app`: a colleague wrote in the WhatsApp Business app; `standby`: another sender that has the conversation.
    pub via: String,
    /// The item as Meta sent it.
    pub raw: Kept,
}

/// The status of a message that is none of our attempts.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusReport {
    /// Meta's message id.
    pub wamid: String,
    /// Meta's word, such as `delivered`.
    pub status: String,
    /// The recipient's `wa_id`, in a group the member's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// The group it was sent to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Another sender had the conversation.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub standby: bool,
    /// Why it failed, in Meta's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i64>,
    /// The category it was charged at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// The item as Meta sent it.
    pub raw: Kept,
}

/// A message of the time before the number was connected.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportReport {
    /// Meta's message id.
    pub wamid: String,
    /// `inbound` or `outbound`.
    pub direction: String,
    /// Meta's type, such as `text`.
    pub kind: String,
    /// Its status then, such as `READ`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// The item as Meta sent it.
    pub raw: Kept,
}

/// How far the import of the app's history is.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryReport {
    /// 0: the last day, 1: 90 days, 2: 180 days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<i64>,
    /// Percent done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<i64>,
    /// Why there is none, in Meta's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i64>,
    /// The item as Meta sent it.
    pub raw: Kept,
}

/// Something about a person that is no message: an entry of the app's address book, a preference, a new number or user id.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonReport {
    /// What happened, in Meta's word: `add`, `stop`, `user_changed_number`, ….
    pub event: String,
    /// What it concerns, such as `marketing_messages`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// The item as Meta sent it.
    pub raw: Kept,
}

/// A person's word for or against messages.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsentReport {
    /// How we know: `reply`, `whatsapp` (Meta told us), or what the operator says.
    pub source: String,
    /// The person's `wa_id`; absent when hidden.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Their business-scoped user id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_user_id: Option<String>,
    /// The message that says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wamid: Option<String>,
    /// The language of the keyword, as in the settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
}

/// A person has become known.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatedReport {
    /// By what: `message`, `echo`, `call`, `history`, `app`, `preference`, `import`, `api` ….
    pub source: String,
}

/// Two contacts became one, or two again.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MergeReport {
    /// The contact that bears the mark.
    pub from: ContactId,
    /// The contact that stays.
    pub into: ContactId,
    /// Who found that: `operator`, or what reported it, such as `message`.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// A person was told that their word was heard.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfirmationReport {
    /// `opt_out` or `opt_in`.
    pub direction: String,
    /// Meta's message id.
    pub wamid: String,
}

/// A link in a message of Meta's Marketing Messages API was followed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetaClickReport {
    /// `cta` for a button, `body` for a link in the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<String>,
    /// Also appended to the address that was opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub click_id: Option<String>,
    /// The product, for catalogue messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// The item as Meta sent it.
    pub raw: Kept,
}

/// A voice call.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallReport {
    /// Meta's id of the call.
    pub call: String,
    /// What happened, in Meta's word.
    pub event: String,
    /// `inbound` when the person called, `outbound` when we did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<String>,
    /// How it ended, such as `COMPLETED`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// How long it lasted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_s: Option<i64>,
    /// Why it failed, in Meta's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i64>,
    /// The item as Meta sent it.
    pub raw: Kept,
}

/// Something about a group.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupReport {
    /// The group; absent when it could not be made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// What the API call returned that asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// Members who came.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub added: usize,
    /// Members who went.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub removed: usize,
    /// `business` or `participant`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initiated_by: Option<String>,
    /// A request to join was taken back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub revoked: bool,
    /// Why it, or a part of it, failed, in Meta's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i64>,
    /// The item as Meta sent it.
    pub raw: Kept,
}

/// Something about a template.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateReport {
    /// Meta's id of it.
    pub template: String,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its language.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// What it is now, in Meta's word: a state, a quality, a category.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<String>,
    /// What it was before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The item as Meta sent it.
    pub raw: Kept,
}

/// Something about a business account or one of its numbers.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountReport {
    /// What happened, in Meta's word.
    pub event: String,
    /// Why, or what exactly: the violation, what is restricted, who asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How serious Meta takes it: `CRITICAL`, `WARNING` or `INFORMATIONAL`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// People that may be written to in 24 hours from now on; `unlimited` for no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<String>,
    /// Until when it holds, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
    /// Meta's number of an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<i64>,
    /// The item as Meta sent it.
    pub raw: Kept,
}

/// A conversation went from one sender of the number to another.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandOverReport {
    /// `control_passed` or `control_taken`.
    pub event: String,
    /// Whose it was, such as `ai_agent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// Whose it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<String>,
    /// The item as Meta sent it.
    pub raw: Kept,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(count: &usize) -> bool {
    *count == 0
}
