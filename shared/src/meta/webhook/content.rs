//! What a message says: the typed payload of each message type, shared by inbound messages, echoes and history.
//! Source: Meta, *Cloud API webhooks, messages object*.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Redacted;
use super::object::Object;

/// The payload of a message by its type. Reading never fails: what has an unknown type or a payload of another shape
/// is kept as `Other`, since the message itself (who wrote, when) counts all the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum MessageContent {
    /// Plain text, up to 4096 characters.
    Text {
        /// The text.
        body: Redacted<String>,
    },
    /// A picture.
    Image(Media),
    /// A video.
    Video(Media),
    /// A sound file or a voice note.
    Audio(Media),
    /// A file.
    Document(Media),
    /// A sticker.
    Sticker(Media),
    /// A fixed place (live locations arrive as unsupported).
    Location(Location),
    /// Contact cards.
    Contacts {
        /// The cards.
        cards: Vec<ContactCard>,
    },
    /// An emoji put on a message, or taken off it.
    Reaction {
        /// The message reacted to.
        message_id: Redacted<String>,
        /// `None` if the reaction was removed.
        emoji: Option<Redacted<String>>,
    },
    /// A tap on a quick-reply button of a template.
    Button {
        /// The payload set when sending; the label if none was set.
        payload: Option<Redacted<String>>,
        /// The label.
        text: Option<Redacted<String>>,
    },
    /// A tap on a button of an interactive message.
    ButtonReply {
        /// The button's id as set when sending.
        id: Redacted<String>,
        /// The label.
        title: Option<Redacted<String>>,
    },
    /// A row chosen in a list.
    ListReply {
        /// The row's id as set when sending.
        id: Redacted<String>,
        /// The label.
        title: Option<Redacted<String>>,
        /// The second line.
        description: Option<Redacted<String>>,
    },
    /// A completed Flow or address form.
    FlowReply {
        /// `flow` or `address_message`.
        name: Option<String>,
        /// The text shown in the chat.
        body: Option<Redacted<String>>,
        /// The answers: JSON as text, as Meta sends it.
        response_json: Redacted<String>,
        /// The token set when sending, if any.
        flow_token: Option<Redacted<String>>,
    },
    /// An answer to a call permission request.
    CallPermissionReply {
        /// `accept` or `reject`.
        response: String,
        /// Granted for good.
        is_permanent: Option<bool>,
        /// When a temporary grant ends, in seconds since 1970.
        expires_at_s: Option<i64>,
        /// `user_action` or `automatic`.
        source: Option<String>,
    },
    /// A cart.
    Order(Order),
    /// Not written by the user: a number or user id changed.
    System(SystemChange),
    /// An earlier message was edited (numbers shared with the app only).
    Edit {
        /// The message edited.
        original_message_id: Redacted<String>,
        /// What it says now.
        content: Box<MessageContent>,
    },
    /// An earlier message was deleted for everyone (numbers shared with the app only).
    Revoke {
        /// The message deleted.
        original_message_id: Redacted<String>,
    },
    /// The user opened the chat for the first time.
    RequestWelcome,
    /// Stands in history for media that comes later.
    MediaPlaceholder,
    /// Something the Cloud API does not pass on, such as polls and view-once media; the message's errors say more.
    Unsupported {
        /// What it was, where Meta tells.
        kind: Option<String>,
    },
    /// A type this version does not know, or a known one with another payload than documented.
    Other {
        /// The type as Meta wrote it; empty if absent.
        kind: String,
        /// The JSON of the whole message.
        raw: Redacted<String>,
    },
}

impl MessageContent {
    /// The type's name in the serialised form; Meta's own name for a type this version does not know.
    pub fn kind(&self) -> &str {
        match self {
            Self::Text { .. } => "text",
            Self::Image(_) => "image",
            Self::Video(_) => "video",
            Self::Audio(_) => "audio",
            Self::Document(_) => "document",
            Self::Sticker(_) => "sticker",
            Self::Location(_) => "location",
            Self::Contacts { .. } => "contacts",
            Self::Reaction { .. } => "reaction",
            Self::Button { .. } => "button",
            Self::ButtonReply { .. } => "button_reply",
            Self::ListReply { .. } => "list_reply",
            Self::FlowReply { .. } => "flow_reply",
            Self::CallPermissionReply { .. } => "call_permission_reply",
            Self::Order(_) => "order",
            Self::System(_) => "system",
            Self::Edit { .. } => "edit",
            Self::Revoke { .. } => "revoke",
            Self::RequestWelcome => "request_welcome",
            Self::MediaPlaceholder => "media_placeholder",
            Self::Unsupported { .. } => "unsupported",
            Self::Other { kind, .. } => kind,
        }
    }
}

/// A media file. Download within 7 days by id; `url` is good for 5 minutes. Both need the access token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Media {
    /// The media id.
    pub id: String,
    /// Such as `audio/ogg; codecs=opus`.
    pub mime_type: Option<String>,
    /// Digest of the file: base64 here, hexadecimal elsewhere in Meta's API.
    pub sha256: Option<String>,
    /// Where to fetch it.
    pub url: Option<Redacted<String>>,
    /// The text under it.
    pub caption: Option<Redacted<String>>,
    /// The name of a document.
    pub filename: Option<Redacted<String>>,
    /// A voice note rather than a file (audio).
    pub voice: Option<bool>,
    /// A moving sticker.
    pub animated: Option<bool>,
}

/// A place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Location {
    /// Degrees north.
    pub latitude: Redacted<f64>,
    /// Degrees east.
    pub longitude: Redacted<f64>,
    /// The place's name.
    pub name: Option<Redacted<String>>,
    /// Its postal address.
    pub address: Option<Redacted<String>>,
    /// Its page.
    pub url: Option<Redacted<String>>,
}

/// A contact card, reduced to how to address somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContactCard {
    /// The name as one text.
    pub formatted_name: Option<Redacted<String>>,
    /// Phone numbers.
    pub phones: Vec<CardPhone>,
    /// E-mail addresses.
    pub emails: Vec<Redacted<String>>,
    /// The company.
    pub company: Option<Redacted<String>>,
    /// `contact_request` if the user answered our request for contact details, else `other`.
    pub origin: Option<String>,
}

/// A phone number on a contact card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardPhone {
    /// As written on the card.
    pub phone: Option<Redacted<String>>,
    /// Digits of its WhatsApp account, if it has one.
    pub wa_id: Option<Redacted<String>>,
}

/// A cart from a catalogue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// The catalogue.
    pub catalog_id: Option<String>,
    /// What the user wrote with it.
    pub text: Option<Redacted<String>>,
    /// The products.
    pub items: Vec<OrderItem>,
}

/// One product in a cart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderItem {
    /// Our id of the product.
    pub product_retailer_id: Option<String>,
    /// How many.
    pub quantity: Option<i64>,
    /// Price of one, as the decimal text Meta sent.
    pub item_price: Option<String>,
    /// ISO 4217 code.
    pub currency: Option<String>,
}

open_enum! {
    /// What a system message announces.
    pub enum SystemKind {
        /// The user has another phone number.
        UserChangedNumber = "user_changed_number" | "customer_changed_number",
        /// The user has another user id, and the phone may not be shared.
        UserChangedUserId = "user_changed_user_id",
        /// The user's identity key changed.
        CustomerIdentityChanged = "customer_identity_changed",
    }
}

/// A change of who a user is. The message's `from` is the number before the change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemChange {
    /// What changed.
    pub kind: SystemKind,
    /// An English sentence.
    pub body: Option<Redacted<String>>,
    /// The new phone digits.
    pub wa_id: Option<Redacted<String>>,
    /// The new user id.
    pub user_id: Option<Redacted<String>>,
    /// The user id until now.
    pub previous_user_id: Option<Redacted<String>>,
}

/// The content of a message object.
pub(super) fn read_content(message: &Object<'_>, raw: &RawValue) -> MessageContent {
    let kind: String = message.text("type").unwrap_or_default();
    let other = |kind| MessageContent::Other { kind, raw: raw.get().to_owned().into() };
    match kind.as_str() {
        "edit" => read_edit(message).unwrap_or_else(|| other(kind)),
        known => read_plain(known, message).unwrap_or_else(|| other(kind)),
    }
}

/// An edit holds a message of its own; an edit within an edit does not exist and is not followed.
fn read_edit(message: &Object<'_>) -> Option<MessageContent> {
    let edit = message.object("edit")?;
    let raw = edit.get("message")?;
    let edited = Object::read(raw).ok()?;
    let kind: String = edited.text("type").unwrap_or_default();
    let content =
        read_plain(&kind, &edited).unwrap_or_else(|| MessageContent::Other { kind, raw: raw.get().to_owned().into() });
    Some(MessageContent::Edit { original_message_id: edit.text("original_message_id")?, content: Box::new(content) })
}

fn read_plain(kind: &str, message: &Object<'_>) -> Option<MessageContent> {
    let payload = || message.object(kind);
    Some(match kind {
        "text" => MessageContent::Text { body: payload()?.text("body").unwrap_or_default() },
        "image" => MessageContent::Image(read_media(&payload()?)?),
        "video" => MessageContent::Video(read_media(&payload()?)?),
        "audio" => MessageContent::Audio(read_media(&payload()?)?),
        "document" => MessageContent::Document(read_media(&payload()?)?),
        "sticker" => MessageContent::Sticker(read_media(&payload()?)?),
        "location" => MessageContent::Location(read_location(&payload()?)?),
        "contacts" => {
            message.get("contacts").filter(|raw| raw.get().starts_with('['))?;
            MessageContent::Contacts { cards: message.objects("contacts").iter().map(read_card).collect() }
        }
        "reaction" => {
            let reaction = payload()?;
            MessageContent::Reaction { message_id: reaction.text("message_id")?, emoji: reaction.text("emoji") }
        }
        "button" => {
            let button = payload()?;
            MessageContent::Button { payload: button.text("payload"), text: button.text("text") }
        }
        "interactive" => read_interactive(&payload()?)?,
        "order" => MessageContent::Order(read_order(&payload()?)),
        "system" => MessageContent::System(read_system(&payload()?)?),
        "revoke" => MessageContent::Revoke { original_message_id: payload()?.text("original_message_id")? },
        "request_welcome" => MessageContent::RequestWelcome,
        "media_placeholder" => MessageContent::MediaPlaceholder,
        // `unknown` is the older spelling; the payload may be missing.
        "unsupported" | "unknown" => {
            MessageContent::Unsupported { kind: payload().and_then(|payload| payload.text("type")) }
        }
        _ => return None,
    })
}

fn read_media(media: &Object<'_>) -> Option<Media> {
    Some(Media {
        id: media.text("id")?,
        mime_type: media.text("mime_type"),
        sha256: media.text("sha256"),
        url: media.text("url"),
        caption: media.text("caption"),
        filename: media.text("filename"),
        voice: media.flag("voice"),
        animated: media.flag("animated"),
    })
}

fn read_location(location: &Object<'_>) -> Option<Location> {
    Some(Location {
        latitude: Redacted::new(location.number("latitude")?),
        longitude: Redacted::new(location.number("longitude")?),
        name: location.text("name"),
        address: location.text("address"),
        url: location.text("url"),
    })
}

fn read_card(card: &Object<'_>) -> ContactCard {
    let phone = |phone: &Object<'_>| CardPhone { phone: phone.text("phone"), wa_id: phone.text("wa_id") };
    ContactCard {
        formatted_name: card.object("name").and_then(|name| name.text("formatted_name")),
        phones: card.objects("phones").iter().map(phone).collect(),
        emails: card.objects("emails").iter().filter_map(|email| email.text("email")).collect(),
        company: card.object("org").and_then(|org| org.text("company")),
        origin: card.text("origin"),
    }
}

fn read_interactive(interactive: &Object<'_>) -> Option<MessageContent> {
    let kind: String = interactive.text("type")?;
    let reply = interactive.object(&kind)?;
    Some(match kind.as_str() {
        "button_reply" => MessageContent::ButtonReply { id: reply.text("id")?, title: reply.text("title") },
        "list_reply" => MessageContent::ListReply {
            id: reply.text("id")?,
            title: reply.text("title"),
            description: reply.text("description"),
        },
        "nfm_reply" => {
            let response_json: String = reply.text("response_json")?;
            let answers: Option<&RawValue> = serde_json::from_str(&response_json).ok();
            let flow_token =
                answers.and_then(|raw| Object::read(raw).ok()).and_then(|answers| answers.text("flow_token"));
            MessageContent::FlowReply {
                name: reply.text("name"),
                body: reply.text("body"),
                response_json: response_json.into(),
                flow_token,
            }
        }
        "call_permission_reply" => MessageContent::CallPermissionReply {
            response: reply.text("response")?,
            is_permanent: reply.flag("is_permanent"),
            expires_at_s: reply.timestamp("expiration_timestamp"),
            source: reply.text("response_source"),
        },
        _ => return None,
    })
}

fn read_order(order: &Object<'_>) -> Order {
    let item = |item: &Object<'_>| OrderItem {
        product_retailer_id: item.text("product_retailer_id"),
        quantity: item.integer("quantity"),
        item_price: item.text("item_price"),
        currency: item.text("currency"),
    };
    Order {
        catalog_id: order.text("catalog_id"),
        text: order.text("text"),
        items: order.objects("product_items").iter().map(item).collect(),
    }
}

fn read_system(system: &Object<'_>) -> Option<SystemChange> {
    let kind: SystemKind = system.text("type")?;
    let body: Option<Redacted<String>> = system.text("body");
    let mut change = SystemChange {
        kind,
        wa_id: system.text("wa_id").or_else(|| system.text("new_wa_id")),
        user_id: system.text("user_id"),
        previous_user_id: system.text("previous_user_id"),
        body,
    };
    if change.kind == SystemKind::UserChangedUserId
        && let Some((previous, new)) = change.body.as_ref().and_then(|body| user_ids_in(body))
    {
        // The first emissions had the pair only here.
        change.previous_user_id.get_or_insert(previous);
        change.user_id.get_or_insert(new);
    }
    Some(change)
}

/// The pair in "User X changed from A to B".
fn user_ids_in(body: &str) -> Option<(Redacted<String>, Redacted<String>)> {
    let (_, pair) = body.rsplit_once(" changed from ")?;
    let (previous, new) = pair.split_once(" to ")?;
    let is_user_id = |text: &str| text.contains('.') && !text.contains(char::is_whitespace);
    (is_user_id(previous) && is_user_id(new)).then(|| (previous.to_owned().into(), new.to_owned().into()))
}
