//! A number that others use as well: a colleague in the WhatsApp Business app, or another sender that has a conversation for
//! the moment. What they write is in the feed; none of it is a message to us, so it opens no service window and is not
//! answered. The app's history keeps its own times.

use shared::activity::Content;
use shared::activity::reported::{EchoReport, HandOverReport, HistoryReport, ImportReport, PersonReport};
use shared::conversation::Happened;
use shared::meta::webhook::{
    AppContact, ContactAction, HandOver, HistoryMessage, HistoryProgress, MessageContent, MessageEcho, StandbyEcho,
};
use shared::time::UnixMillis;

use crate::effects::Effects;
use crate::origin::{Origin, json, kept};
use crate::people::{self, Meeting, Person};
use crate::{Ingest, NotIngested};

/// A colleague wrote in the app.
pub(crate) async fn echo(
    ingest: &Ingest,
    effects: &mut Effects,
    origin: &Origin<'_>,
    echo: &MessageEcho,
) -> Result<(), NotIngested> {
    let person = Person::of(echo.to.as_ref(), echo.to_user_id.as_ref());
    let report = EchoReport {
        wamid: echo.wamid.to_string(),
        to: echo.to.as_ref().map(|to| to.to_string()),
        kind: echo.content.kind().to_owned(),
        via: "app".to_owned(),
        raw: kept(echo),
    };
    echoed(ingest, effects, origin, &person, echo.timestamp_s, report).await
}

/// Another sender wrote in a conversation that it has.
pub(crate) async fn standby_echo(
    ingest: &Ingest,
    effects: &mut Effects,
    origin: &Origin<'_>,
    echo: &StandbyEcho,
) -> Result<(), NotIngested> {
    let person = Person::of(echo.to.as_ref(), None);
    let report = EchoReport {
        wamid: echo.wamid.to_string(),
        to: echo.to.as_ref().map(|to| to.to_string()),
        kind: echo.content.kind().to_owned(),
        via: "standby".to_owned(),
        raw: kept(echo),
    };
    echoed(ingest, effects, origin, &person, echo.timestamp_s, report).await
}

async fn echoed(
    ingest: &Ingest,
    effects: &mut Effects,
    origin: &Origin<'_>,
    person: &Person<'_>,
    timestamp_s: i64,
    report: EchoReport,
) -> Result<(), NotIngested> {
    let at = UnixMillis::from_seconds(timestamp_s);
    let person = person.completed_by(origin.item.contact.as_ref());
    let meeting = Meeting { at, by: "echo", what: &report.wamid, name: people::name_of(origin.item) };
    let contact = people::meet(ingest, origin, &person, &meeting).await?;
    if let Some(contact) = contact {
        effects.happened(origin, contact, Happened { outbound_at: Some(at), ..Happened::default() });
    }
    let id = origin.id(at, "echo", &[&report.wamid, &report.kind, &report.via]);
    effects.record(origin.route, origin.event(id, contact, Content::MessageEchoed(report)));
    Ok(())
}

/// The import of the app's history goes on.
pub(crate) async fn history(
    ingest: &Ingest,
    effects: &mut Effects,
    origin: &Origin<'_>,
    progress: &HistoryProgress,
) -> Result<(), NotIngested> {
    let raw = json(progress);
    let id = origin.id(origin.dated(ingest, None, &[&raw]).await?, "history", &[&raw]);
    let content = Content::HistoryProgressed(HistoryReport {
        phase: progress.phase,
        progress: progress.progress,
        code: progress.errors.first().and_then(|error| error.code),
        raw: kept(progress),
    });
    effects.record(origin.route, origin.event(id, None, content));
    Ok(())
}

/// A message of the app's history, in either direction. Media come a second time, with another type.
pub(crate) async fn history_message(
    ingest: &Ingest,
    effects: &mut Effects,
    origin: &Origin<'_>,
    message: &HistoryMessage,
) -> Result<(), NotIngested> {
    let at = UnixMillis::from_seconds(message.timestamp_s);
    let ours = origin.item.display_phone_number.as_deref();
    let outbound =
        message.to.is_some() && message.from.as_deref().map(String::as_str) == ours || message.from.is_none();
    let other = if outbound { message.to.as_ref() } else { message.from.as_ref() };
    let person = Person::of(message.thread_id.as_ref().or(other), None).completed_by(origin.item.contact.as_ref());
    let meeting = Meeting { at, by: "history", what: &message.wamid, name: people::name_of(origin.item) };
    let contact = people::meet(ingest, origin, &person, &meeting).await?;
    let kind = message.content.kind();
    let id = origin.id(at, "imported", &[&message.wamid, kind]);
    let content = Content::MessageImported(ImportReport {
        wamid: message.wamid.to_string(),
        direction: if outbound { "outbound" } else { "inbound" }.to_owned(),
        kind: kind.to_owned(),
        status: message.status.clone(),
        raw: kept(message),
    });
    effects.record(origin.route, origin.event(id, contact, content));
    Ok(())
}

/// An entry of the app's address book. Somebody who was removed from it stays a contact of ours.
pub(crate) async fn contact(
    ingest: &Ingest,
    effects: &mut Effects,
    origin: &Origin<'_>,
    entry: &AppContact,
) -> Result<(), NotIngested> {
    let raw = json(entry);
    let at = origin.dated(ingest, entry.timestamp_s, &[&raw]).await?;
    let digits: String = entry.phone_number.chars().filter(char::is_ascii_digit).collect();
    let person =
        Person { digits: Some(&digits).filter(|digits| !digits.is_empty()).map(String::as_str), user_id: None };
    let contact = if entry.action == ContactAction::Add {
        let name = entry.full_name.as_ref().or(entry.first_name.as_ref()).map(|name| name.as_str());
        people::meet(ingest, origin, &person, &Meeting { at, by: "app", what: &raw, name }).await?
    } else {
        people::known(ingest, origin, &person).await?
    };
    let id = origin.id(at, "app contact", &[&raw]);
    let content = Content::ContactSynced(PersonReport {
        event: entry.action.to_string(),
        category: None,
        raw: shared::activity::Kept::Inline(raw),
    });
    effects.record(origin.route, origin.event(id, contact, content));
    Ok(())
}

/// A conversation changed hands.
pub(crate) async fn hand_over(
    ingest: &Ingest,
    effects: &mut Effects,
    origin: &Origin<'_>,
    told: &HandOver,
) -> Result<(), NotIngested> {
    let raw = json(told);
    let at = origin.dated(ingest, told.timestamp_s, &[&raw]).await?;
    let person = Person::of(told.sender.as_ref(), told.sender_user_id.as_ref());
    let contact = people::known(ingest, origin, &person).await?;
    let id = origin.id(at, "hand-over", &[&raw]);
    let content = Content::ChatHandedOver(HandOverReport {
        event: told.kind.to_string(),
        before: told.previous_owner.clone(),
        now: told.new_owner.clone(),
        raw: kept(told),
    });
    effects.record(origin.route, origin.event(id, contact, content));
    Ok(())
}

/// The message that a content is about.
pub(crate) fn about(content: &MessageContent) -> Option<&str> {
    match content {
        MessageContent::Reaction { message_id, .. } => Some(message_id),
        MessageContent::Edit { original_message_id, .. } | MessageContent::Revoke { original_message_id } => {
            Some(original_message_id)
        }
        _ => None,
    }
}
