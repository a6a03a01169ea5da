//! Messages users sent us (`value.messages[]` of the `messages` field). What to do about one (a reply, an opt-out, a
//! conversion) is decided elsewhere. Source: Meta, *Cloud API webhooks, messages object*.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::content::{MessageContent, read_content};
use super::object::{Fault, Object};
use super::{Event, MetaError, Redacted, UnknownEvent};

/// A message from a user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InboundMessage {
    /// The message's id, by which duplicates are known. It contains the phone number.
    pub wamid: Redacted<String>,
    /// The sender's phone digits; absent for a user whose phone is hidden.
    pub from: Option<Redacted<String>>,
    /// The sender's business-scoped user id.
    pub from_user_id: Option<Redacted<String>>,
    /// The sender's user id in the scope of a parent portfolio.
    pub from_parent_user_id: Option<Redacted<String>>,
    /// When it was written, in seconds since 1970; several messages may share a second.
    pub timestamp_s: i64,
    /// The group it was posted in, if any.
    pub group_id: Option<String>,
    /// What it says.
    pub content: MessageContent,
    /// What it refers to.
    pub context: Option<Context>,
    /// The ad or post the user came from.
    pub referral: Option<Referral>,
    /// Why parts of it are missing.
    pub errors: Vec<MetaError>,
}

/// What a message refers to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Context {
    /// Author of the message replied to; our own number if it quotes us.
    pub from: Option<Redacted<String>>,
    /// Id of the message replied to.
    pub id: Option<Redacted<String>>,
    /// Passed on from another chat.
    pub forwarded: bool,
    /// Passed on more than five times.
    pub frequently_forwarded: bool,
    /// The product asked about.
    pub product_retailer_id: Option<String>,
    /// The catalogue of that product.
    pub catalog_id: Option<String>,
}

/// The click-to-WhatsApp ad or post a first message came from. Nothing in it is certain to be there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Referral {
    /// Address of the ad or post.
    pub source_url: Option<String>,
    /// Its id.
    pub source_id: Option<String>,
    /// `ad` or `post`.
    pub source_type: Option<String>,
    /// Its headline.
    pub headline: Option<String>,
    /// Its text.
    pub body: Option<String>,
    /// `image` or `video`.
    pub media_type: Option<String>,
    /// The click's id, for conversion reports to Meta; it stands for one person.
    pub ctwa_clid: Option<Redacted<String>>,
}

/// A user followed a link in a message sent through the Marketing Messages API (`value.user_actions[]`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarketingLinkClick {
    /// When, in seconds since 1970.
    pub timestamp_s: i64,
    /// `cta` for a button, `body` for a link in the text.
    pub component: Option<String>,
    /// Also appended to the address that was opened.
    pub click_id: Option<String>,
    /// What we gave when sending.
    pub tracking_token: Option<String>,
    /// The product, for catalogue messages.
    pub product_id: Option<String>,
}

pub(super) fn read_inbound(object: &Object<'_>, raw: &RawValue) -> Result<Event, Fault> {
    inbound_message(object, raw).map(|message| Event::Message(Box::new(message)))
}

pub(super) fn inbound_message(object: &Object<'_>, raw: &RawValue) -> Result<InboundMessage, Fault> {
    Ok(InboundMessage {
        wamid: object.required_text("id")?,
        from: object.text("from"),
        from_user_id: object.text("from_user_id"),
        from_parent_user_id: object.text("from_parent_user_id"),
        timestamp_s: object.required_timestamp("timestamp")?,
        group_id: object.text("group_id"),
        content: read_content(object, raw),
        context: object.object("context").as_ref().map(read_context),
        referral: object.object("referral").as_ref().map(read_referral),
        errors: MetaError::read_all(object),
    })
}

pub(super) fn read_user_action(object: &Object<'_>, raw: &RawValue) -> Result<Event, Fault> {
    let kind: String = object.required_text("action_type")?;
    let click = object.object("marketing_messages_link_click_data");
    match (kind.as_str(), click) {
        ("marketing_messages_link_click", Some(click)) => Ok(Event::LinkClick(MarketingLinkClick {
            timestamp_s: object.required_timestamp("timestamp")?,
            component: click.text("click_component"),
            click_id: click.text("click_id"),
            tracking_token: click.text("tracking_token"),
            product_id: click.text("product_id"),
        })),
        _ => Ok(Event::Unknown(UnknownEvent::of_type(kind, raw))),
    }
}

fn read_context(context: &Object<'_>) -> Context {
    let product = context.object("referred_product");
    Context {
        from: context.text("from"),
        id: context.text("id"),
        forwarded: context.flag("forwarded").unwrap_or(false),
        frequently_forwarded: context.flag("frequently_forwarded").unwrap_or(false),
        product_retailer_id: product.as_ref().and_then(|product| product.text("product_retailer_id")),
        catalog_id: product.as_ref().and_then(|product| product.text("catalog_id")),
    }
}

fn read_referral(referral: &Object<'_>) -> Referral {
    Referral {
        source_url: referral.text("source_url"),
        source_id: referral.text("source_id"),
        source_type: referral.text("source_type"),
        headline: referral.text("headline"),
        body: referral.text("body"),
        media_type: referral.text("media_type"),
        ctwa_clid: referral.text("ctwa_clid"),
    }
}
