//! A person's word for or against messages, by whatever way it comes: a keyword, the preference that they told WhatsApp, or
//! an error that says so. Each is an event, and the row that the sender reads; only a keyword is answered.

use std::sync::Arc;
use std::time::Duration;

use shared::activity::Content;
use shared::activity::reported::{ConsentReport, PersonReport};
use shared::attempt::{AttemptKey, Evidence, Flag, Moment};
use shared::consent::{Keywords, Recognised, Wish};
use shared::id::{ContactId, EventId, WorkspaceId};
use shared::meta::webhook::{InboundMessage, MessageContent, MessageStatus, PreferenceValue, UserPreference};
use shared::queue::SendCommand;
use shared::store::StoreError;
use shared::time::UnixMillis;

use crate::effects::{Effects, Word};
use crate::identity_of_item::Dated;
use crate::origin::{Origin, kept};
use crate::people::{self, Meeting, Person};
use crate::{Ingest, NotIngested, reply};

/// Meta's error for a recipient who has stopped marketing messages (Meta, error codes).
const STOPPED_MARKETING: i64 = 131_050;

/// How we know of a wish: the person wrote it to us.
const REPLY: &str = "reply";

/// How we know of a wish: the person told WhatsApp, and Meta told us.
const WHATSAPP: &str = "whatsapp";

/// A change of a workspace's words is felt after this.
const SETTINGS_KNOWN_FOR: Duration = Duration::from_secs(5);

/// A workspace's words, and whether they are answered.
pub(crate) struct Rules {
    keywords: Keywords,
    are_answered: bool,
}

/// A word, how it was given, and by whom.
struct Given<'a> {
    person: &'a Person<'a>,
    contact: Option<ContactId>,
    wish: Wish,
    at: UnixMillis,
    /// The same for every repeat, also when Meta tells no time; names the event.
    dated: UnixMillis,
    source: &'static str,
    /// Tells it from other words of that time.
    what: &'a [&'a str],
    /// The message that says it.
    wamid: Option<&'a str>,
    language: Option<&'a str>,
}

/// Whether the status tells that the person has stopped marketing messages.
pub(crate) fn is_a_stop(status: &MessageStatus) -> bool {
    status.errors.first().and_then(|error| error.code) == Some(STOPPED_MARKETING)
}

/// A status tells that its recipient has stopped marketing messages.
pub(crate) fn stopped(
    effects: &mut Effects,
    origin: &Origin<'_>,
    status: &MessageStatus,
    person: &Person<'_>,
    contact: Option<ContactId>,
) {
    let at = UnixMillis::from_seconds(status.timestamp_s);
    let given = Given {
        person,
        contact,
        wish: Wish::NoMessages,
        at,
        dated: at,
        source: WHATSAPP,
        what: &["status", &status.wamid, person.identity()],
        wamid: None,
        language: None,
    };
    heard(effects, origin, &given);
}

/// What a message says about consent: it does if the whole of it, or the button that was chosen, is a keyword. `to_us`: not
/// one that another sender is to answer.
#[allow(clippy::too_many_arguments, reason = "what is known of a message by then")]
pub(crate) async fn said(
    ingest: &Ingest,
    effects: &mut Effects,
    origin: &Origin<'_>,
    message: &InboundMessage,
    person: &Person<'_>,
    contact: Option<ContactId>,
    answered: Option<AttemptKey>,
    to_us: bool,
) -> Result<(), NotIngested> {
    let Some((workspace, account)) = origin.route else {
        return Ok(());
    };
    let said = words_of(&message.content);
    if said.is_empty() {
        return Ok(());
    }
    let rules = rules(ingest, workspace).await?;
    let Some(Recognised { wish, language }) = said.into_iter().find_map(|text| rules.keywords.find(text)) else {
        return Ok(());
    };
    let at = UnixMillis::from_seconds(message.timestamp_s);
    if let Some(key) = answered
        && *wish == Wish::NoMessages
    {
        effects.learn(key, Evidence::Flag(Flag::OptedOut, Moment { at, seen: origin.seen }), None);
    }
    let given = Given {
        person,
        contact,
        wish: *wish,
        at,
        dated: at,
        source: REPLY,
        what: &["message", &message.wamid],
        wamid: Some(&message.wamid),
        language: Some(language),
    };
    let word = heard(effects, origin, &given);
    if rules.are_answered && to_us && contact.is_some() {
        effects.answer(SendCommand::Confirm { workspace, account, word });
    }
    Ok(())
}

/// Somebody has stopped marketing messages in WhatsApp itself, or takes them again: the last message before a stop caused
/// it.
pub(crate) async fn preferred(
    ingest: &Ingest,
    effects: &mut Effects,
    origin: &Origin<'_>,
    preference: &UserPreference,
) -> Result<(), NotIngested> {
    let person = Person::of(preference.wa_id.as_ref(), preference.user_id.as_ref());
    let person = person.completed_by(origin.item.contact.as_ref());
    let what = person.identity();
    let value = preference.value.as_str();
    // Not when this copy of it came in: a repeat days later must not outdo what the person has said meanwhile.
    let Dated { id: dated, at } = origin.moment(ingest, preference.timestamp_s, &[what, value]).await?;
    let meeting = Meeting { at, by: "preference", what, name: people::name_of(origin.item) };
    let contact = people::meet(ingest, origin, &person, &meeting).await?;
    let id = origin.id(dated, "preference", &[what, value, preference.category.as_deref().unwrap_or_default()]);
    let content = Content::ContactPreferred(PersonReport {
        event: value.to_owned(),
        category: preference.category.clone(),
        raw: kept(preference),
    });
    effects.record(origin.route, origin.event(id, contact, content));
    let wish = match preference.value {
        PreferenceValue::Stop => Wish::NoMessages,
        PreferenceValue::Resume | PreferenceValue::Signup => Wish::Messages,
        PreferenceValue::Other(_) => return Ok(()),
    };
    let given = Given {
        person: &person,
        contact,
        wish,
        at,
        dated,
        source: WHATSAPP,
        what: &["preference", what, value],
        wamid: None,
        language: None,
    };
    heard(effects, origin, &given);
    if let (Wish::NoMessages, Some(of)) = (wish, origin.route)
        && let Some(key) = reply::last_message_to(ingest, of, &person, contact, at).await?
    {
        effects.learn(key, Evidence::Flag(Flag::OptedOut, Moment { at, seen: origin.seen }), None);
    }
    Ok(())
}

/// Records a word as an event, whose id is returned, and on the row that the sender reads.
fn heard(effects: &mut Effects, origin: &Origin<'_>, given: &Given<'_>) -> EventId {
    let Given { person, contact, wish, at, source, .. } = *given;
    let id = origin.id(given.dated, wish.name(), given.what);
    let report = ConsentReport {
        source: source.to_owned(),
        from: person.digits.map(str::to_owned),
        from_user_id: person.user_id.map(str::to_owned),
        wamid: given.wamid.map(str::to_owned),
        language: given.language.map(str::to_owned),
    };
    let content = match wish {
        Wish::NoMessages => Content::ContactOptedOut(report),
        Wish::Messages => Content::ContactOptedIn(report),
    };
    effects.record(origin.route, origin.event(id, contact, content));
    if let Some((workspace, _)) = origin.route {
        // Said under one name, it holds under all that are linked with it.
        if let Some(alias) = person.aliases().first() {
            effects.hear(Word { workspace, alias: alias.tag(), wish, source, at });
        }
    }
    id
}

/// The texts that may be a keyword: what was written, or the button's label and what it stands for.
fn words_of(content: &MessageContent) -> Vec<&str> {
    match content {
        MessageContent::Text { body } => vec![body.as_str()],
        MessageContent::Button { payload, text } => text.iter().chain(payload).map(|text| text.as_str()).collect(),
        MessageContent::ButtonReply { id, title } | MessageContent::ListReply { id, title, .. } => {
            title.iter().chain([id]).map(|text| text.as_str()).collect()
        }
        _ => Vec::new(),
    }
}

async fn rules(ingest: &Ingest, workspace: WorkspaceId) -> Result<Arc<Rules>, StoreError> {
    if let Some(rules) = ingest.rules.get(&workspace) {
        return Ok(rules);
    }
    let settings = ingest.core.consent_settings(workspace).await?;
    let rules = Arc::new(Rules { keywords: Keywords::of(&settings), are_answered: settings.confirmation.enabled });
    ingest.rules.put(workspace, Arc::clone(&rules), SETTINGS_KNOWN_FOR);
    Ok(rules)
}
