//! Numbers that are used elsewhere too: in the WhatsApp Business app (echoes, history, address book) or by another
//! sender that has the conversation for the moment (`standby`). Nothing here is a message to us, so none of it may
//! open a service window or trigger an answer. Source: Meta, *Coexistence webhooks*; *Conversation routing*.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::content::{MessageContent, read_content};
use super::object::{Fault, Object};
use super::{Event, InboundMessage, MessageStatus, MetaError, Redacted, UnknownEvent, message, status};

/// A message a colleague sent from the app.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MessageEcho {
    /// The message's id; its statuses arrive as well.
    pub wamid: Redacted<String>,
    /// Digits of our number.
    pub from: Option<String>,
    /// Digits of the user, unless hidden.
    pub to: Option<Redacted<String>>,
    /// Business-scoped user id.
    pub to_user_id: Option<Redacted<String>>,
    /// When, in seconds since 1970.
    pub timestamp_s: i64,
    /// What it says.
    pub content: MessageContent,
}

/// How far the transfer of the app's history is; its messages are items of their own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryProgress {
    /// 0: the last day, 1: 90 days, 2: 180 days.
    pub phase: Option<i64>,
    /// Place of this part within the phase.
    pub chunk_order: Option<i64>,
    /// Percent done.
    pub progress: Option<i64>,
    /// Why there is none, for instance because the user refused (2593109).
    pub errors: Vec<MetaError>,
}

/// A message from the time before the number was connected, in either direction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HistoryMessage {
    /// The conversation: phone digits of the user. Absent for media that follow later.
    pub thread_id: Option<Redacted<String>>,
    /// The message's id.
    pub wamid: Redacted<String>,
    /// Digits of the sender.
    pub from: Option<Redacted<String>>,
    /// Digits of the recipient, in messages of ours.
    pub to: Option<Redacted<String>>,
    /// When, in seconds since 1970.
    pub timestamp_s: i64,
    /// Its status then: `READ`, `DELIVERED`, …
    pub status: Option<String>,
    /// What it says.
    pub content: MessageContent,
}

open_enum! {
    /// What happened to an entry of the address book.
    pub enum ContactAction {
        /// Added or edited.
        Add = "add",
        /// Removed.
        Remove = "remove",
    }
}

/// An entry of the app's address book changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppContact {
    /// What happened to it.
    pub action: ContactAction,
    /// Phone digits.
    pub phone_number: Redacted<String>,
    /// The whole name.
    pub full_name: Option<Redacted<String>>,
    /// The first name.
    pub first_name: Option<Redacted<String>>,
    /// When, in seconds since 1970.
    pub timestamp_s: Option<i64>,
}

/// Something in a conversation that another sender has for the moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Standby {
    /// The user wrote, but not to us.
    Message(InboundMessage),
    /// The other sender wrote.
    Echo(StandbyEcho),
    /// The status of a message.
    Status(MessageStatus),
}

/// A message the other sender sent, as its send request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StandbyEcho {
    /// The message's id.
    pub wamid: Redacted<String>,
    /// When, in seconds since 1970.
    pub timestamp_s: i64,
    /// Digits of the user.
    pub to: Option<Redacted<String>>,
    /// What it says; a template is `Other`.
    pub content: MessageContent,
}

open_enum! {
    /// How a conversation changed hands.
    pub enum HandOverKind {
        /// Its owner gave it away.
        Passed = "control_passed",
        /// Somebody took it.
        Taken = "control_taken",
    }
}

/// A conversation went from one sender of the number to another (`messaging_handovers`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandOver {
    /// How.
    pub kind: HandOverKind,
    /// When, in seconds since 1970.
    pub timestamp_s: Option<i64>,
    /// Phone digits of the user.
    pub sender: Option<Redacted<String>>,
    /// Business-scoped user id.
    pub sender_user_id: Option<Redacted<String>>,
    /// Role of the owner until now, such as `ai_agent`.
    pub previous_owner: Option<String>,
    /// Role of the owner from now on.
    pub new_owner: Option<String>,
    /// What the one has told the other.
    pub metadata: Option<Redacted<String>>,
}

/// The `value` of `messaging_handovers`, which names our number as its recipient.
pub(super) fn read_hand_over(value: &Object<'_>, raw: &RawValue) -> Result<Event, Fault> {
    let Some(kind) = value.text::<String>("type") else {
        // Meta has documented one shape; another one is kept as it is.
        return Ok(Event::Unknown(UnknownEvent::of_type(String::new(), raw)));
    };
    let control = value.object("control_passed").or_else(|| value.object("control_taken"));
    let of_control = |key| control.as_ref().and_then(|control| control.text(key));
    let sender = value.object("sender");
    Ok(Event::HandOver(Box::new(HandOver {
        kind: kind.into(),
        timestamp_s: value.timestamp("timestamp"),
        sender: sender.as_ref().and_then(|sender| sender.text("phone_number").or_else(|| sender.text("wa_id"))),
        sender_user_id: sender.as_ref().and_then(|sender| sender.text("user_id")),
        previous_owner: of_control("previous_owner_role"),
        new_owner: of_control("new_owner_role"),
        metadata: control.as_ref().and_then(|control| control.text("metadata")),
    })))
}

pub(super) fn read_echo(object: &Object<'_>, raw: &RawValue) -> Result<Event, Fault> {
    Ok(Event::Echo(Box::new(MessageEcho {
        wamid: object.required_text("id")?,
        from: object.text("from"),
        to: object.text("to"),
        to_user_id: object.text("to_user_id"),
        timestamp_s: object.required_timestamp("timestamp")?,
        content: read_content(object, raw),
    })))
}

pub(super) fn read_history_progress(chunk: &Object<'_>) -> HistoryProgress {
    let metadata = chunk.object("metadata");
    let of_metadata = |key| metadata.as_ref().and_then(|metadata| metadata.integer(key));
    HistoryProgress {
        phase: of_metadata("phase"),
        chunk_order: of_metadata("chunk_order"),
        progress: of_metadata("progress"),
        errors: MetaError::read_all(chunk),
    }
}

/// A message of history; outside of a thread (`thread_id` is `None`) it brings the media of an earlier one.
pub(super) fn read_history_message(
    object: &Object<'_>,
    raw: &RawValue,
    thread_id: Option<&Redacted<String>>,
) -> Result<Event, Fault> {
    Ok(Event::HistoryMessage(Box::new(HistoryMessage {
        thread_id: thread_id.cloned(),
        wamid: object.required_text("id")?,
        from: object.text("from"),
        to: object.text("to"),
        timestamp_s: object.required_timestamp("timestamp")?,
        status: object.object("history_context").and_then(|context| context.text("status")),
        content: read_content(object, raw),
    })))
}

pub(super) fn read_app_contact(object: &Object<'_>, _raw: &RawValue) -> Result<Event, Fault> {
    let contact = object.object("contact").ok_or(Fault::Missing("contact"))?;
    Ok(Event::AppContact(Box::new(AppContact {
        action: object.required_text("action")?,
        phone_number: contact.required_text("phone_number")?,
        full_name: contact.text("full_name"),
        first_name: contact.text("first_name"),
        timestamp_s: object.object("metadata").and_then(|metadata| metadata.timestamp("timestamp")),
    })))
}

pub(super) fn read_standby_message(object: &Object<'_>, raw: &RawValue) -> Result<Event, Fault> {
    message::inbound_message(object, raw).map(|message| Event::Standby(Box::new(Standby::Message(message))))
}

pub(super) fn read_standby_status(object: &Object<'_>, _raw: &RawValue) -> Result<Event, Fault> {
    status::message_status(object).map(|status| Event::Standby(Box::new(Standby::Status(status))))
}

pub(super) fn read_standby_echo(object: &Object<'_>, _raw: &RawValue) -> Result<Event, Fault> {
    let raw = object.get("message").ok_or(Fault::Missing("message"))?;
    let message = Object::read(raw).map_err(|_| Fault::Unreadable("message"))?;
    Ok(Event::Standby(Box::new(Standby::Echo(StandbyEcho {
        wamid: object.required_text("id")?,
        timestamp_s: object.required_timestamp("timestamp")?,
        to: message.text("to"),
        content: read_content(&message, raw),
    }))))
}
