//! A notification of Meta's: what each of its items tells, each on its own and many at once.

use futures::StreamExt;
use shared::activity::{self, Content, Kept};
use shared::meta::webhook::{self, Event, Item, MalformedEvent, Standby, StatusKind, UnknownEvent};
use shared::time::UnixMillis;

use crate::effects::Effects;
use crate::origin::Origin;
use crate::routes::Route;
use crate::{
    Ingest, NotIngested, PAUSES, account, app, call, consent, group, identity_of_item, media, message, status,
    templates,
};

/// Items of one notification that are looked up at once.
const LOOK_UPS_AT_ONCE: usize = 32;

/// What the notification changes. An item that cannot be taken in now is tried again in a moment, and then asked for again with
/// the whole notification; what its siblings tell is written all the same.
pub(crate) async fn effects(ingest: &Ingest, body: &[u8], received_at: UnixMillis) -> Result<Effects, NotIngested> {
    let mut effects = Effects::default();
    let notification = match webhook::parse(body) {
        Ok(notification) => notification,
        Err(error) => {
            let raw = String::from_utf8_lossy(body).into_owned();
            let broken = Broken { field: "", entry_time: None, reason: error.to_string(), raw };
            quarantine(ingest, &mut effects, None, broken, received_at).await?;
            return Ok(effects);
        }
    };
    let mut unusable = media::Seen::default();
    let mut others = Vec::new();
    for item in notification.items {
        // A status carries its attempt's key with it; it needs no look-up at all.
        if let Event::Status(told) = &item.event
            && let Some((key, number)) = status::of_ours(told)
        {
            status::learn(&mut effects, key, number, told, received_at);
            media::forget_if_unusable(ingest, &mut unusable, key, told, received_at).await?;
            if !consent::is_a_stop(told) && !matches!(told.status, StatusKind::Other(_)) {
                continue;
            }
        }
        others.push(item);
    }
    let mut pauses = PAUSES.into_iter();
    while !others.is_empty() {
        let mut taken_in = futures::stream::iter(std::mem::take(&mut others))
            .map(|item| async move { (of_item(ingest, &item, received_at).await, item) })
            .buffered(LOOK_UPS_AT_ONCE);
        let pause = pauses.next();
        while let Some((result, item)) = taken_in.next().await {
            match result {
                Ok(more) => effects.merge(more),
                // It will never be taken in, and is looked for among its siblings.
                Err(error) if error.is_permanent() => return Err(error),
                Err(error) if error.is_brief() && pause.is_some() => others.push(item),
                Err(error) => {
                    tracing::error!(%error, "an item of a notification could not be taken in; it is asked for again");
                    effects.ask_again();
                }
            }
        }
        drop(taken_in);
        if let Some(pause) = pause.filter(|_| !others.is_empty()) {
            tokio::time::sleep(pause).await;
        }
    }
    Ok(effects)
}

async fn of_item(ingest: &Ingest, item: &Item, seen: UnixMillis) -> Result<Effects, NotIngested> {
    let route = ingest.routes.of(&ingest.core, item).await?;
    let origin = Origin { item, route, seen };
    let mut effects = Effects::default();
    match &item.event {
        Event::Message(message) => message::take_in(ingest, &mut effects, &origin, message, false).await?,
        Event::Status(told) => status::take_in(ingest, &mut effects, &origin, told, false).await?,
        Event::Standby(standby) => match standby.as_ref() {
            Standby::Message(message) => message::take_in(ingest, &mut effects, &origin, message, true).await?,
            Standby::Status(told) => status::take_in(ingest, &mut effects, &origin, told, true).await?,
            Standby::Echo(echo) => app::standby_echo(ingest, &mut effects, &origin, echo).await?,
        },
        Event::Echo(echo) => app::echo(ingest, &mut effects, &origin, echo).await?,
        Event::History(progress) => app::history(ingest, &mut effects, &origin, progress).await?,
        Event::HistoryMessage(message) => app::history_message(ingest, &mut effects, &origin, message).await?,
        Event::AppContact(contact) => app::contact(ingest, &mut effects, &origin, contact).await?,
        Event::HandOver(hand_over) => app::hand_over(ingest, &mut effects, &origin, hand_over).await?,
        Event::Call(call) => call::take_in(ingest, &mut effects, &origin, call).await?,
        Event::CallStatus(told) => call::take_in_status(ingest, &mut effects, &origin, told).await?,
        Event::UserPreference(preference) => consent::preferred(ingest, &mut effects, &origin, preference).await?,
        Event::LinkClick(click) => message::link_click(&mut effects, &origin, click),
        Event::GroupLifecycle(_)
        | Event::GroupParticipants(_)
        | Event::GroupJoinRequest(_)
        | Event::GroupSettings(_)
        | Event::GroupStatus(_) => group::take_in(ingest, &mut effects, &origin).await?,
        Event::TemplateStatus(_)
        | Event::TemplateQuality(_)
        | Event::TemplateCategory(_)
        | Event::TemplateComponents(_) => templates::take_in(ingest, &mut effects, &origin).await?,
        Event::AccountUpdate(_)
        | Event::AccountAlert(_)
        | Event::AccountReview(_)
        | Event::Capability(_)
        | Event::PhoneQuality(_)
        | Event::PhoneName(_)
        | Event::Security(_)
        | Event::ValueError(_) => account::take_in(ingest, &mut effects, &origin).await?,
        Event::Unknown(unknown) => report(ingest, &mut effects, &origin, unknown).await?,
        Event::Malformed(malformed) => of_malformed(ingest, &mut effects, &origin, malformed).await?,
    }
    Ok(effects)
}

/// What is not known is kept in the feed under the name of its field; what names no number in that of the business account's
/// first one.
async fn report(
    ingest: &Ingest,
    effects: &mut Effects,
    origin: &Origin<'_>,
    UnknownEvent { reason, raw }: &UnknownEvent,
) -> Result<(), NotIngested> {
    let item = origin.item;
    tracing::warn!(field = item.field, ?reason, "an event of an unknown kind was kept");
    let origin = Origin { route: first(ingest, origin).await?, ..*origin };
    let number = item.phone_number_id.as_deref().unwrap_or_default();
    let waba = item.waba_id.as_deref().unwrap_or_default();
    let identity = [item.field.as_str(), waba, number, raw];
    let at = identity_of_item::time(ingest, origin.route, item.entry_time, raw, &identity, origin.seen).await?;
    let id = activity::id_of(at, &identity);
    let content = Content::MetaReported {
        field: item.field.clone(),
        kind: item.event.kind().to_owned(),
        raw: Kept::Inline(raw.to_string()),
    };
    effects.record(origin.route, origin.event(id, None, content));
    Ok(())
}

async fn of_malformed(
    ingest: &Ingest,
    effects: &mut Effects,
    origin: &Origin<'_>,
    MalformedEvent { place, reason, raw }: &MalformedEvent,
) -> Result<(), NotIngested> {
    let Item { field, entry_time, .. } = origin.item;
    let reason = format!("{place}: {reason}");
    let broken = Broken { field, entry_time: *entry_time, reason, raw: raw.to_string() };
    let route = first(ingest, origin).await?;
    quarantine(ingest, effects, route, broken, origin.seen).await
}

/// An item, or a whole body, that cannot be taken in.
pub(crate) struct Broken<'a> {
    pub(crate) field: &'a str,
    pub(crate) entry_time: Option<i64>,
    pub(crate) reason: String,
    pub(crate) raw: String,
}

/// Keeps it with its reason, until it can be taken in.
pub(crate) async fn quarantine(
    ingest: &Ingest,
    effects: &mut Effects,
    route: Route,
    broken: Broken<'_>,
    seen: UnixMillis,
) -> Result<(), NotIngested> {
    let Broken { field, entry_time, reason, raw } = broken;
    tracing::error!(field, reason, "an item of a notification was quarantined");
    let identity = ["quarantined", field, raw.as_str()];
    let at = identity_of_item::time(ingest, route, entry_time, &raw, &identity, seen).await?;
    let id = activity::id_of(at, &identity);
    let content = Content::MetaQuarantined { field: field.to_owned(), reason, raw: Kept::Inline(raw) };
    let event = activity::Event { v: 1, id, at, seen, contact: None, variant: None, content };
    effects.record(route, event);
    Ok(())
}

/// The account of the number, else the first one of the business account.
async fn first(ingest: &Ingest, origin: &Origin<'_>) -> Result<Route, NotIngested> {
    match origin.route {
        Some(route) => Ok(Some(route)),
        None if origin.item.phone_number_id.is_some() => Ok(None),
        None => Ok(ingest.routes.of_waba(&ingest.core, origin.item).await?.first().copied()),
    }
}
