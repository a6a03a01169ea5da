//! A notification of Meta's: what each of its items tells.

use shared::activity::{self, Content, Event as FeedEvent, Kept};
use shared::attempt::{AttemptKey, Evidence, Failure, Flag, Moment, callback};
use shared::id::{AccountId, WorkspaceId};
use shared::meta::webhook::{
    self, Event, InboundMessage, Item, MalformedEvent, MessageStatus, PreferenceValue, StatusKind, UnknownEvent,
    UserPreference,
};
use shared::time::UnixMillis;

use crate::effects::{Effects, OfTry, Route, Wish, Word};
use crate::{Ingest, NotIngested, account, media, reply, templates};

/// Meta's error for a recipient who has stopped marketing messages (Meta, error codes).
const STOPPED_MARKETING: i64 = 131_050;

/// How we know of a wish: the person wrote it to us.
const REPLY: &str = "reply";

/// How we know of a wish: the person told WhatsApp, and Meta told us.
const WHATSAPP: &str = "whatsapp";

/// What the notification changes.
pub(crate) async fn effects(ingest: &Ingest, body: &[u8], received_at: UnixMillis) -> Result<Effects, NotIngested> {
    let mut effects = Effects::default();
    let notification = match webhook::parse(body) {
        Ok(notification) => notification,
        Err(error) => {
            let raw = String::from_utf8_lossy(body).into_owned();
            quarantine(&mut effects, None, "", &error.to_string(), raw, received_at);
            return Ok(effects);
        }
    };
    let mut routes = Routes::new(ingest);
    let mut unusable = media::Seen::default();
    for item in notification.items {
        // A status carries its attempt's key with it; it needs no look-up at all.
        if let Event::Status(status) = &item.event
            && let Some((key, number)) = status.callback_data.as_deref().and_then(callback::read)
        {
            let told = OfTry { number, wamid: &status.wamid, pricing: status.pricing.as_ref() };
            for evidence in of_status(status, received_at) {
                effects.learn(key, evidence, Some(told));
            }
            stopped(&mut effects, key.workspace, status);
            let campaign = (key.workspace, key.campaign);
            media::forget_if_unusable(ingest, &mut unusable, campaign, status, received_at).await?;
            continue;
        }
        let mut route = routes.of(item.phone_number_id.as_deref()).await?;
        if let (None, Some(waba)) = (&item.phone_number_id, &item.waba_id) {
            // What concerns a whole business account is in the feed of its first number.
            let accounts = routes.of_waba(waba).await?;
            route = accounts.first().copied();
            templates::take_in(ingest, &accounts, &item, received_at).await?;
        }
        if let (Event::Status(status), Some((workspace, _))) = (&item.event, route) {
            stopped(&mut effects, workspace, status);
        }
        match (&item.event, route) {
            (Event::Message(message), Some((workspace, account))) => {
                let answered = reply::attempt(ingest, workspace, account, message).await?;
                received(&mut effects, (workspace, account), message, answered, received_at);
            }
            (Event::UserPreference(preference), Some((workspace, account))) => {
                preferred(ingest, &mut effects, (workspace, account), preference, received_at).await?;
                report(&mut effects, route, &item, received_at);
            }
            (Event::Malformed(MalformedEvent { place, reason, raw }), _) => {
                let reason = format!("{place}: {reason}");
                quarantine(&mut effects, route, &item.field, &reason, raw.to_string(), received_at);
            }
            _ => {
                account::tell(ingest, &mut effects, &item, received_at).await?;
                report(&mut effects, route, &item, received_at);
            }
        }
    }
    Ok(effects)
}

/// What a status proves.
fn of_status(status: &MessageStatus, seen: UnixMillis) -> Vec<Evidence> {
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
            if code == STOPPED_MARKETING {
                evidence.push(Evidence::Flag(Flag::OptedOut, moment));
            }
            evidence
        }
        // A status that we do not know still proves that Meta has the message.
        _ => flag(Flag::Accepted),
    }
}

/// A status may tell that the person has stopped marketing messages.
fn stopped(effects: &mut Effects, workspace: WorkspaceId, status: &MessageStatus) {
    let code = status.errors.first().and_then(|error| error.code);
    let in_group = status.recipient_type.as_deref() == Some("group");
    let person = if in_group { &status.participant_id } else { &status.recipient_id };
    if let Some(digits) = person.as_deref().cloned().filter(|_| code == Some(STOPPED_MARKETING)) {
        let at = UnixMillis::from_seconds(status.timestamp_s);
        effects.hear(Word { workspace, digits, wish: Wish::NoMessages, source: WHATSAPP, at });
    }
}

/// A person wrote: the event of the feed, and the reply of the attempt it answers.
fn received(
    effects: &mut Effects,
    (workspace, account): (WorkspaceId, AccountId),
    message: &InboundMessage,
    answered: Option<AttemptKey>,
    seen: UnixMillis,
) {
    let at = UnixMillis::from_seconds(message.timestamp_s);
    let moment = Moment { at, seen };
    if let Some(key) = answered {
        if reply::is_a_reply(message) {
            effects.learn(key, Evidence::Flag(Flag::Replied, moment), None);
        }
        if reply::asks_to_stop(message) {
            effects.learn(key, Evidence::Flag(Flag::OptedOut, moment), None);
        }
    }
    if let Some(from) = message.from.as_deref().filter(|_| reply::asks_to_stop(message)) {
        let digits = from.clone();
        effects.hear(Word { workspace, digits, wish: Wish::NoMessages, source: REPLY, at });
    }
    let kind = message.content.kind();
    let id = activity::id_of(at, &["message", &account.to_string(), &message.wamid, kind]);
    let content = Content::MessageReceived {
        wamid: message.wamid.to_string(),
        from: message.from.as_ref().map(|from| from.to_string()),
        kind: kind.to_owned(),
        campaign: answered.map(|key| key.campaign),
        recipient: answered.map(|key| key.seq),
        detail: Box::default(),
        raw: Kept::Inline(json(message)),
    };
    effects.record(Some((workspace, account)), FeedEvent { v: 1, id, at, seen, contact: None, variant: None, content });
}

/// Somebody has stopped marketing messages in WhatsApp itself, or takes them again: the last message before a stop caused
/// it.
async fn preferred(
    ingest: &Ingest,
    effects: &mut Effects,
    (workspace, account): (WorkspaceId, AccountId),
    preference: &UserPreference,
    seen: UnixMillis,
) -> Result<(), NotIngested> {
    let wish = match preference.value {
        PreferenceValue::Stop => Wish::NoMessages,
        PreferenceValue::Resume | PreferenceValue::Signup => Wish::Messages,
        _ => return Ok(()),
    };
    let Some(wa_id) = preference.wa_id.as_ref() else {
        return Ok(());
    };
    let at = preference.timestamp_s.map_or(seen, UnixMillis::from_seconds);
    effects.hear(Word { workspace, digits: wa_id.to_string(), wish, source: WHATSAPP, at });
    if wish == Wish::NoMessages
        && let Some(key) = reply::last_message_to(ingest, workspace, account, wa_id, at).await?
    {
        effects.learn(key, Evidence::Flag(Flag::OptedOut, Moment { at, seen }), None);
    }
    Ok(())
}

/// Anything else is kept in the feed under the name of its field.
fn report(effects: &mut Effects, route: Route, item: &Item, seen: UnixMillis) {
    let at = item.entry_time.map_or(seen, UnixMillis::from_seconds);
    let raw = match &item.event {
        Event::Unknown(UnknownEvent { raw, .. }) => raw.to_string(),
        event => json(event),
    };
    if let Event::Unknown(UnknownEvent { reason, .. }) = &item.event {
        tracing::warn!(field = item.field, ?reason, "an event of an unknown kind was kept");
    }
    let number = item.phone_number_id.as_deref().unwrap_or_default();
    let waba = item.waba_id.as_deref().unwrap_or_default();
    // Without a time of Meta's the day we first saw it is part of the id: a repeat on a later day is a new row.
    let id = activity::id_of(at_or_day(item.entry_time, seen), &[&item.field, waba, number, &raw]);
    let content =
        Content::MetaReported { field: item.field.clone(), kind: item.event.kind().to_owned(), raw: Kept::Inline(raw) };
    let at = UnixMillis(i64::try_from(id.ulid().timestamp_ms()).unwrap_or(at.0));
    effects.record(route, FeedEvent { v: 1, id, at, seen, contact: None, variant: None, content });
}

fn quarantine(effects: &mut Effects, route: Route, field: &str, reason: &str, raw: String, seen: UnixMillis) {
    tracing::error!(field, reason, "an item of a notification was quarantined");
    let at = at_or_day(None, seen);
    let id = activity::id_of(at, &["quarantined", field, &raw]);
    let content =
        Content::MetaQuarantined { field: field.to_owned(), reason: reason.to_owned(), raw: Kept::Inline(raw) };
    effects.record(route, FeedEvent { v: 1, id, at, seen, contact: None, variant: None, content });
}

/// The time of an event that carries none: the start of the day, so that its repeats on that day are the same event.
fn at_or_day(entry_time: Option<i64>, seen: UnixMillis) -> UnixMillis {
    const DAY_MS: i64 = 86_400_000;
    entry_time.map_or(UnixMillis(seen.0 - seen.0.rem_euclid(DAY_MS)), UnixMillis::from_seconds)
}

fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Which accounts a number and a business account belong to, asked once a notification.
struct Routes<'a> {
    ingest: &'a Ingest,
    known: Vec<(String, Route)>,
    wabas: Vec<(String, Vec<(WorkspaceId, AccountId)>)>,
}

impl<'a> Routes<'a> {
    fn new(ingest: &'a Ingest) -> Self {
        Self { ingest, known: Vec::new(), wabas: Vec::new() }
    }

    async fn of(&mut self, phone_number_id: Option<&str>) -> Result<Route, NotIngested> {
        let Some(number) = phone_number_id else {
            return Ok(None);
        };
        if let Some((_, route)) = self.known.iter().find(|(known, _)| known == number) {
            return Ok(*route);
        }
        let route = self.ingest.core.account_of_number(number).await?;
        self.known.push((number.to_owned(), route));
        Ok(route)
    }

    /// The accounts whose numbers belong to this WhatsApp Business Account.
    async fn of_waba(&mut self, waba: &str) -> Result<Vec<(WorkspaceId, AccountId)>, NotIngested> {
        if let Some((_, accounts)) = self.wabas.iter().find(|(known, _)| known == waba) {
            return Ok(accounts.clone());
        }
        let accounts = self.ingest.core.accounts_of_waba(waba).await?;
        self.wabas.push((waba.to_owned(), accounts.clone()));
        Ok(accounts)
    }
}
