//! Voice calls. A person who calls opens the service window as one who writes does.

use shared::activity::Content;
use shared::activity::reported::CallReport;
use shared::conversation::Happened;
use shared::meta::webhook::{Call, CallDirection, CallEvent, CallState, CallStatus};
use shared::time::UnixMillis;

use crate::effects::Effects;
use crate::origin::{Origin, kept};
use crate::people::{self, Meeting, Person};
use crate::{Ingest, NotIngested};

/// A call began or ended.
pub(crate) async fn take_in(
    ingest: &Ingest,
    effects: &mut Effects,
    origin: &Origin<'_>,
    call: &Call,
) -> Result<(), NotIngested> {
    let at = UnixMillis::from_seconds(call.timestamp_s);
    let by_us = call.direction == Some(CallDirection::BusinessInitiated);
    let digits = if by_us { call.to.as_ref() } else { call.from.as_ref() };
    let person = Person::of(digits, None).completed_by(origin.item.contact.as_ref());
    let meeting = Meeting { at, by: "call", what: &call.id, name: people::name_of(origin.item) };
    let contact = people::meet(ingest, origin, &person, &meeting).await?;
    if let Some(contact) = contact
        && !by_us
        && call.event == CallEvent::Connect
    {
        effects.happened(origin, contact, Happened { inbound_at: Some(at), ..Happened::default() });
    }
    let id = origin.id(at, "call", &[&call.id, call.event.as_str()]);
    let report = CallReport {
        call: call.id.to_string(),
        event: call.event.to_string(),
        direction: call.direction.as_ref().map(|direction| match direction {
            CallDirection::UserInitiated => "inbound".to_owned(),
            CallDirection::BusinessInitiated => "outbound".to_owned(),
            CallDirection::Other(word) => word.clone(),
        }),
        outcome: call.outcome.clone(),
        duration_s: call.duration_s,
        code: call.errors.first().and_then(|error| error.code),
        raw: kept(call),
    };
    let content = match call.event {
        CallEvent::Connect => Content::CallConnected(report),
        CallEvent::Terminate => Content::CallEnded(report),
        CallEvent::Other(_) => Content::CallReported(report),
    };
    effects.record(origin.route, origin.event(id, contact, content));
    Ok(())
}

/// A call of ours goes on.
pub(crate) async fn take_in_status(
    ingest: &Ingest,
    effects: &mut Effects,
    origin: &Origin<'_>,
    status: &CallStatus,
) -> Result<(), NotIngested> {
    let at = UnixMillis::from_seconds(status.timestamp_s);
    let person = Person::of(status.recipient_id.as_ref(), status.recipient_user_id.as_ref());
    let contact = people::known(ingest, origin, &person).await?;
    let id = origin.id(at, "call", &[&status.id, status.state.as_str()]);
    let report = CallReport {
        call: status.id.to_string(),
        event: status.state.to_string(),
        direction: Some("outbound".to_owned()),
        outcome: None,
        duration_s: None,
        code: None,
        raw: kept(status),
    };
    let content = match status.state {
        CallState::Ringing => Content::CallRinging(report),
        CallState::Accepted => Content::CallAccepted(report),
        CallState::Rejected => Content::CallRejected(report),
        CallState::Other(_) => Content::CallReported(report),
    };
    effects.record(origin.route, origin.event(id, contact, content));
    Ok(())
}
