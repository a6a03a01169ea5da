//! A status of a message: evidence for the attempt whose key it carries, else an event, for somebody else has sent it.

use shared::activity::Content;
use shared::activity::reported::StatusReport;
use shared::attempt::{AttemptKey, Evidence, Failure, Flag, Moment, callback};
use shared::meta::webhook::{MessageStatus, StatusKind};
use shared::time::UnixMillis;

use crate::effects::{Effects, OfTry};
use crate::origin::{Origin, kept};
use crate::people::{self, Meeting, Person};
use crate::{Ingest, NotIngested, consent};

/// The kind of what this version does not know; it is counted (`shared::rollup::contribution`).
const UNKNOWN: &str = "unknown";

/// The try that the status speaks of.
pub(crate) fn of_ours(status: &MessageStatus) -> Option<(AttemptKey, u16)> {
    status.callback_data.as_deref().and_then(callback::read)
}

/// What a status tells of an attempt.
pub(crate) fn learn(effects: &mut Effects, key: AttemptKey, number: u16, status: &MessageStatus, seen: UnixMillis) {
    let told = OfTry { number, wamid: &status.wamid, pricing: status.pricing.as_ref() };
    for evidence in proven_by(status, seen) {
        effects.learn(key, evidence, Some(told));
    }
}

/// What a status proves.
fn proven_by(status: &MessageStatus, seen: UnixMillis) -> Vec<Evidence> {
    let moment = Moment { at: UnixMillis::from_seconds(status.timestamp_s), seen };
    let flag = |flag| vec![Evidence::Flag(flag, moment)];
    match &status.status {
        StatusKind::Sent => flag(Flag::Sent),
        StatusKind::Delivered => flag(Flag::Delivered),
        // A voice message that was listened to was opened.
        StatusKind::Read | StatusKind::Played => flag(Flag::Read),
        StatusKind::Failed => {
            let error = status.errors.first();
            let code = error.and_then(|error| error.code).unwrap_or(0);
            let mut evidence = vec![Evidence::Failed(Failure {
                at: moment.at,
                seen,
                code,
                title: error.and_then(|error| error.title.clone()),
                details: error.and_then(|error| error.details.clone()),
            })];
            if consent::is_a_stop(status) {
                evidence.push(Evidence::Flag(Flag::OptedOut, moment));
            }
            evidence
        }
        // A status that we do not know still proves that Meta has the message.
        _ => flag(Flag::Accepted),
    }
}

/// Takes in a status that has more to tell than flags of an attempt: it is of somebody else's message, or tells that the
/// person has stopped marketing messages.
pub(crate) async fn take_in(
    ingest: &Ingest,
    effects: &mut Effects,
    origin: &Origin<'_>,
    status: &MessageStatus,
    standby: bool,
) -> Result<(), NotIngested> {
    let in_group = status.recipient_type.as_deref() == Some("group");
    let person = if in_group {
        Person::of(status.participant_id.as_ref(), status.participant_user_id.as_ref())
    } else {
        Person::of(status.recipient_id.as_ref(), status.recipient_user_id.as_ref())
    };
    let at = UnixMillis::from_seconds(status.timestamp_s);
    // Whoever wants no messages is somebody to be remembered; whom others have written to is not yet.
    let contact = if consent::is_a_stop(status) {
        let meeting = Meeting { at, by: "status", what: &status.wamid, name: people::name_of(origin.item) };
        people::meet(ingest, origin, &person, &meeting).await?
    } else {
        people::known(ingest, origin, &person).await?
    };
    if consent::is_a_stop(status) {
        consent::stopped(effects, origin, status, &person, contact);
    }
    let at = UnixMillis::from_seconds(status.timestamp_s);
    if of_ours(status).is_some() {
        if matches!(status.status, StatusKind::Other(_)) {
            // The flag says little; what Meta means by it is for people to find out. It is counted as unknown.
            let id = origin.id(at, "unknown status", &[&status.wamid, status.status.as_str()]);
            let field = origin.item.field.clone();
            let content = Content::MetaReported { field, kind: UNKNOWN.to_owned(), raw: kept(status) };
            effects.record(origin.route, origin.event(id, contact, content));
        }
        return Ok(());
    }
    let member = if in_group { person.identity() } else { "" };
    let id = origin.id(at, "status", &[&status.wamid, status.status.as_str(), member]);
    let content = Content::MessageStatus(StatusReport {
        wamid: status.wamid.to_string(),
        status: status.status.to_string(),
        to: person.digits.map(str::to_owned),
        group: status.recipient_id.as_ref().filter(|_| in_group).map(|group| group.to_string()),
        standby,
        code: status.errors.first().and_then(|error| error.code),
        category: status.pricing.as_ref().and_then(|pricing| Some(pricing.category.as_ref()?.to_string())),
        raw: kept(status),
    });
    effects.record(origin.route, origin.event(id, contact, content));
    Ok(())
}
