//! Groups: created and deleted, members who come and go, settings, suspensions. Each is an event; nothing else hangs on it.

use shared::activity::Content;
use shared::activity::reported::GroupReport;
use shared::meta::webhook::{Event, GroupAction, MetaError, Participant};
use shared::time::UnixMillis;

use crate::effects::Effects;
use crate::origin::{Origin, json};
use crate::people::{self, Person};
use crate::{Ingest, NotIngested};

/// Records what happened to a group.
pub(crate) async fn take_in(ingest: &Ingest, effects: &mut Effects, origin: &Origin<'_>) -> Result<(), NotIngested> {
    let raw = json(&origin.item.event);
    let Some((timestamp_s, content)) = content(&origin.item.event, &raw) else {
        return Ok(());
    };
    // Of several members at once none is the contact of the event.
    let contact = match &origin.item.event {
        Event::GroupJoinRequest(request) => {
            people::known(ingest, origin, &Person::of(request.wa_id.as_ref(), request.user_id.as_ref())).await?
        }
        Event::GroupParticipants(change) => match (&change.added[..], &change.removed[..]) {
            ([one], []) | ([], [one]) => {
                people::known(ingest, origin, &Person::of(one.wa_id.as_ref(), one.user_id.as_ref())).await?
            }
            _ => None,
        },
        _ => None,
    };
    let id = origin.id(UnixMillis::from_seconds(timestamp_s), "group", &[&raw]);
    effects.record(origin.route, origin.event(id, contact, content));
    Ok(())
}

fn content(event: &Event, raw: &str) -> Option<(i64, Content)> {
    let report = |group: Option<&String>, request: Option<&String>, errors: &[MetaError]| GroupReport {
        group: group.cloned(),
        request: request.cloned(),
        added: 0,
        removed: 0,
        initiated_by: None,
        revoked: false,
        code: errors.first().and_then(|error| error.code),
        raw: shared::activity::Kept::Inline(raw.to_owned()),
    };
    Some(match event {
        Event::GroupLifecycle(change) => {
            let report = report(change.group_id.as_ref(), change.request_id.as_ref(), &change.errors);
            let content = match change.action {
                GroupAction::Create => Content::GroupCreated(report),
                GroupAction::Delete => Content::GroupDeleted(report),
            };
            (change.timestamp_s, content)
        }
        Event::GroupParticipants(change) => {
            let whole = report(change.group_id.as_ref(), change.request_id.as_ref(), &change.errors);
            let of_member = |member: &Participant| member.errors.first().and_then(|error| error.code);
            let content = Content::GroupParticipants(GroupReport {
                added: change.added.len(),
                removed: change.removed.len(),
                initiated_by: change.initiated_by.clone(),
                code: whole.code.or_else(|| change.failed.iter().find_map(of_member)),
                ..whole
            });
            (change.timestamp_s, content)
        }
        Event::GroupJoinRequest(request) => {
            let whole = report(request.group_id.as_ref(), Some(&request.join_request_id), &[]);
            (request.timestamp_s, Content::GroupJoinRequested(GroupReport { revoked: request.revoked, ..whole }))
        }
        Event::GroupSettings(change) => {
            let whole = report(change.group_id.as_ref(), change.request_id.as_ref(), &change.errors);
            let outcomes = [&change.profile_picture, &change.subject, &change.description];
            let of_one = outcomes.into_iter().flatten().find_map(|one| one.errors.first()?.code);
            (change.timestamp_s, Content::GroupSettings(GroupReport { code: whole.code.or(of_one), ..whole }))
        }
        Event::GroupStatus(status) => {
            let report = report(Some(&status.group_id), None, &[]);
            let content =
                if status.suspended { Content::GroupSuspended(report) } else { Content::GroupReleased(report) };
            (status.timestamp_s, content)
        }
        _ => return None,
    })
}
