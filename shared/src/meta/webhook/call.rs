//! Voice calls (`calls` field). A call from a user opens a customer service window. Source: Meta, *Calling API
//! webhooks*.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::object::{Fault, Object};
use super::{Event, MetaError, Redacted};

open_enum! {
    /// What happened to a call.
    pub enum CallEvent {
        /// It is offered or taken.
        Connect = "connect",
        /// It is over.
        Terminate = "terminate",
    }
}

open_enum! {
    /// Who called.
    pub enum CallDirection {
        /// The user.
        UserInitiated = "USER_INITIATED",
        /// We.
        BusinessInitiated = "BUSINESS_INITIATED",
    }
}

/// A call began or ended. The session description of an offer is not kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// The call's id (`wacid.…`).
    pub id: Redacted<String>,
    /// What happened.
    pub event: CallEvent,
    /// When, in seconds since 1970.
    pub timestamp_s: i64,
    /// Who called.
    pub direction: Option<CallDirection>,
    /// Digits of the caller.
    pub from: Option<Redacted<String>>,
    /// Digits of who was called.
    pub to: Option<Redacted<String>>,
    /// How it ended: `COMPLETED` or `FAILED`.
    pub outcome: Option<String>,
    /// How long it lasted, in seconds.
    pub duration_s: Option<i64>,
    /// What we gave when calling.
    pub callback_data: Option<String>,
    /// Why it failed.
    pub errors: Vec<MetaError>,
}

open_enum! {
    /// Where a call we made stands.
    pub enum CallState {
        /// The user's phone rings.
        Ringing = "RINGING",
        /// Taken.
        Accepted = "ACCEPTED",
        /// Declined.
        Rejected = "REJECTED",
    }
}

/// The progress of a call we made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallStatus {
    /// The call's id (`wacid.…`).
    pub id: Redacted<String>,
    /// Where it stands.
    pub state: CallState,
    /// Since when, in seconds since 1970.
    pub timestamp_s: i64,
    /// Digits of the user.
    pub recipient_id: Option<Redacted<String>>,
    /// Business-scoped user id.
    pub recipient_user_id: Option<Redacted<String>>,
    /// What we gave when calling.
    pub callback_data: Option<String>,
}

pub(super) fn read_call(object: &Object<'_>, _raw: &RawValue) -> Result<Event, Fault> {
    Ok(Event::Call(Box::new(Call {
        id: object.required_text("id")?,
        event: object.required_text("event")?,
        timestamp_s: object.required_timestamp("timestamp")?,
        direction: object.text("direction"),
        from: object.text("from"),
        to: object.text("to"),
        outcome: object.text("status"),
        duration_s: object.integer("duration"),
        callback_data: object.text("biz_opaque_callback_data"),
        errors: MetaError::read_all(object),
    })))
}

pub(super) fn read_call_status(object: &Object<'_>, _raw: &RawValue) -> Result<Event, Fault> {
    Ok(Event::CallStatus(Box::new(CallStatus {
        id: object.required_text("id")?,
        state: object.required_text("status")?,
        timestamp_s: object.required_timestamp("timestamp")?,
        recipient_id: object.text("recipient_id"),
        recipient_user_id: object.text("recipient_user_id"),
        callback_data: object.text("biz_opaque_callback_data"),
    })))
}
