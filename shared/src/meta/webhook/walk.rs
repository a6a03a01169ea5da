//! The way through a notification: `entry`, `changes`, and the lists within `value`. It decides which reader gets
//! which item, attaches what the surrounding levels know, and turns every fault into an item, so that nothing is lost
//! and nothing stops the walk.

use serde_json::value::RawValue;

use super::contact::ContactBook;
use super::object::{Fault, Object, elements};
use super::{Event, Item, MalformedEvent, Redacted, UnknownEvent, UnknownReason};
use super::{account, call, coexistence, group, message, status, template};

/// Reads one item from its members; the text is for what keeps its JSON.
type Reader = fn(&Object<'_>, &RawValue) -> Result<Event, Fault>;

/// What the levels above an item tell about it.
#[derive(Clone, Default)]
struct Origin {
    waba_id: Option<String>,
    entry_time: Option<i64>,
    field: String,
    phone_number_id: Option<String>,
    display_phone_number: Option<String>,
}

/// All items of a notification, in its order.
pub(super) fn items(body: &Object<'_>, text: &str) -> Vec<Item> {
    let mut items = Vec::new();
    match list(body, "entry") {
        Ok(entries) => {
            for entry in entries {
                read_entry(entry, &mut items);
            }
        }
        Err(fault) => push_malformed(&mut items, &Origin::default(), "body", fault, text),
    }
    items
}

fn read_entry(raw: &RawValue, items: &mut Vec<Item>) {
    let mut origin = Origin::default();
    let changes = Object::read(raw).and_then(|entry| {
        origin.waba_id = entry.text("id");
        origin.entry_time = entry.timestamp("time");
        list(&entry, "changes")
    });
    match changes {
        Ok(changes) => {
            for change in changes {
                read_change(&origin, change, items);
            }
        }
        Err(fault) => push_malformed(items, &origin, "entry", fault, raw.get()),
    }
}

fn read_change(entry: &Origin, raw: &RawValue, items: &mut Vec<Item>) {
    let mut origin = entry.clone();
    let value = Object::read(raw).and_then(|change| {
        origin.field = change.required_text("field")?;
        change.get("value").ok_or(Fault::Missing("value"))
    });
    let value = match value {
        Ok(value) => value,
        Err(fault) => return push_malformed(items, &origin, "changes", fault, raw.get()),
    };
    let object = match Object::read(value) {
        Ok(object) => object,
        // An unknown field may hold anything.
        Err(fault) => match fields(&origin.field) {
            FieldKind::Unknown => return push_unknown(items, &origin, UnknownReason::Field, value),
            FieldKind::Single(_) | FieldKind::Lists => {
                return push_malformed(items, &origin, "value", fault, value.get());
            }
        },
    };
    // A hand-over names our number as its recipient.
    let metadata = object.object("metadata").or_else(|| object.object("recipient"));
    origin.phone_number_id = metadata.as_ref().and_then(|metadata| metadata.text("phone_number_id"));
    origin.display_phone_number = metadata
        .as_ref()
        .and_then(|metadata| metadata.text("display_phone_number"))
        .or_else(|| object.text("display_phone_number"));

    match fields(&origin.field) {
        FieldKind::Single(reader) => {
            let event = reader(&object, value).unwrap_or_else(|fault| malformed("value", fault, value.get()));
            items.push(origin.item(event, None));
        }
        FieldKind::Lists => {
            let mut change = Change { contacts: ContactBook::read(&object), origin, items };
            if change.read_lists(&object) == 0 {
                push_unknown(change.items, &change.origin, UnknownReason::NoItems, value);
            }
        }
        FieldKind::Unknown => push_unknown(items, &origin, UnknownReason::Field, value),
    }
}

/// How the `value` of a field is built.
enum FieldKind {
    /// It is one event.
    Single(Reader),
    /// It holds lists of items, named by their keys.
    Lists,
    /// This version does not know.
    Unknown,
}

fn fields(name: &str) -> FieldKind {
    match name {
        "message_template_status_update" => FieldKind::Single(template::read_status_update),
        "message_template_quality_update" => FieldKind::Single(template::read_quality_update),
        "message_template_components_update" => FieldKind::Single(template::read_components_update),
        "template_category_update" => FieldKind::Single(template::read_category_update),
        "account_update" => FieldKind::Single(account::read_account_update),
        "account_alerts" => FieldKind::Single(account::read_account_alert),
        "account_review_update" => FieldKind::Single(account::read_account_review),
        "business_capability_update" => FieldKind::Single(account::read_capability),
        "phone_number_quality_update" => FieldKind::Single(account::read_phone_quality),
        "phone_number_name_update" => FieldKind::Single(account::read_phone_name),
        "security" => FieldKind::Single(account::read_security),
        "messaging_handovers" => FieldKind::Single(coexistence::read_hand_over),
        "messages"
        | "calls"
        | "history"
        | "message_echoes"
        | "smb_message_echoes"
        | "smb_app_state_sync"
        | "standby"
        | "user_preferences"
        | "group_lifecycle_update"
        | "group_participants_update"
        | "group_settings_update"
        | "group_status_update" => FieldKind::Lists,
        _ => FieldKind::Unknown,
    }
}

/// What a member of `value` holds, in a field made of lists.
enum Member {
    /// Items, each for this reader.
    Items(Reader),
    /// Parts of the app's history.
    History,
    /// One more level of lists.
    Standby,
    /// Something about the lists beside it.
    Envelope,
    /// This version does not know.
    Unknown,
}

fn member(field: &str, key: &str) -> Member {
    match (field, key) {
        (_, "messaging_product" | "metadata" | "contacts") => Member::Envelope,
        ("group_participants_update", "initiated_by") => Member::Envelope,
        ("history", "messages") => Member::Items(|object, raw| coexistence::read_history_message(object, raw, None)),
        ("calls", "statuses") => Member::Items(call::read_call_status),
        ("standby", "standby") => Member::Standby,
        ("standby", "messages") => Member::Items(coexistence::read_standby_message),
        ("standby", "statuses") => Member::Items(coexistence::read_standby_status),
        ("standby", "message_echoes") => Member::Items(coexistence::read_standby_echo),
        (_, "messages") => Member::Items(message::read_inbound),
        (_, "statuses") => Member::Items(status::read_status),
        (_, "errors") => Member::Items(status::read_value_error),
        (_, "user_actions") => Member::Items(message::read_user_action),
        (_, "message_echoes") => Member::Items(coexistence::read_echo),
        (_, "state_sync") => Member::Items(coexistence::read_app_contact),
        (_, "calls") => Member::Items(call::read_call),
        (_, "groups") => Member::Items(group::read_group),
        (_, "user_preferences") => Member::Items(account::read_preference),
        (_, "history") => Member::History,
        _ => Member::Unknown,
    }
}

/// A change whose lists are being read.
struct Change<'items> {
    origin: Origin,
    contacts: ContactBook,
    items: &'items mut Vec<Item>,
}

impl Change<'_> {
    /// Reads every list of `value` and returns how many items that gave.
    fn read_lists(&mut self, value: &Object<'_>) -> usize {
        let before = self.items.len();
        for (key, raw) in value.members().filter(|(_, raw)| raw.get() != "null") {
            match member(&self.origin.field, key) {
                Member::Envelope => {}
                Member::Items(reader) => self.read_list(key, raw, reader),
                Member::History => self.read_history(raw),
                Member::Standby => self.read_standby(raw),
                // A number or text of tomorrow describes the lists beside it; a list or object may be what happened.
                Member::Unknown if raw.get().starts_with(['[', '{']) => {
                    push_unknown(self.items, &self.origin, UnknownReason::Key(key.to_owned()), raw);
                }
                Member::Unknown => {}
            }
        }
        if let Some(initiator) = value.text::<String>("initiated_by") {
            self.set_initiator(before, &initiator);
        }
        self.items.len() - before
    }

    fn read_list(
        &mut self,
        key: &str,
        raw: &RawValue,
        reader: impl Fn(&Object<'_>, &RawValue) -> Result<Event, Fault>,
    ) {
        match elements(raw) {
            Ok(elements) => {
                self.items.reserve(elements.len());
                for element in elements {
                    let event = Object::read(element).and_then(|object| reader(&object, element));
                    self.push(event.unwrap_or_else(|fault| malformed(key, fault, element.get())));
                }
            }
            Err(fault) => push_malformed(self.items, &self.origin, key, fault, raw.get()),
        }
    }

    fn read_history(&mut self, raw: &RawValue) {
        let chunks = match elements(raw) {
            Ok(chunks) => chunks,
            Err(fault) => return push_malformed(self.items, &self.origin, "history", fault, raw.get()),
        };
        for chunk in chunks {
            match Object::read(chunk) {
                Ok(object) => {
                    self.push(Event::History(coexistence::read_history_progress(&object)));
                    if let Some(threads) = object.get("threads") {
                        self.read_threads(threads);
                    }
                }
                Err(fault) => push_malformed(self.items, &self.origin, "history", fault, chunk.get()),
            }
        }
    }

    fn read_threads(&mut self, raw: &RawValue) {
        let threads = match elements(raw) {
            Ok(threads) => threads,
            Err(fault) => return push_malformed(self.items, &self.origin, "threads", fault, raw.get()),
        };
        for thread in threads {
            match Object::read(thread) {
                Ok(object) => {
                    let thread_id: Option<Redacted<String>> = object.text("id");
                    if let Some(messages) = object.get("messages") {
                        self.read_list("messages", messages, |message, raw| {
                            coexistence::read_history_message(message, raw, thread_id.as_ref())
                        });
                    }
                }
                Err(fault) => push_malformed(self.items, &self.origin, "threads", fault, thread.get()),
            }
        }
    }

    /// `value.standby` is a value of its own, with contacts.
    fn read_standby(&mut self, raw: &RawValue) {
        match Object::read(raw) {
            // A further `standby` inside would be read as unknown, so this goes one level down and no further.
            Ok(inner) if inner.get("standby").is_some() => {
                push_unknown(self.items, &self.origin, UnknownReason::Key("standby".to_owned()), raw);
            }
            Ok(inner) => {
                if inner.get("contacts").is_some() {
                    self.contacts = ContactBook::read(&inner);
                }
                self.read_lists(&inner);
            }
            Err(fault) => push_malformed(self.items, &self.origin, "standby", fault, raw.get()),
        }
    }

    /// Samples of Meta's have `initiated_by` beside the list instead of within its items.
    fn set_initiator(&mut self, from: usize, initiator: &str) {
        for item in self.items.iter_mut().skip(from) {
            if let Event::GroupParticipants(participants) = &mut item.event {
                participants.initiated_by.get_or_insert_with(|| initiator.to_owned());
            }
        }
    }

    fn push(&mut self, event: Event) {
        let contact = self.contacts.find(&addresses(&event));
        self.items.push(self.origin.item(event, contact));
    }
}

/// The user an event is about, by whatever address it has.
fn addresses(event: &Event) -> [Option<&Redacted<String>>; 4] {
    use super::Standby;
    use call::CallDirection;

    match event {
        Event::Message(message) => message_addresses(message),
        Event::Status(status) => status_addresses(status),
        Event::Standby(standby) => match standby.as_ref() {
            Standby::Message(message) => message_addresses(message),
            Standby::Status(status) => status_addresses(status),
            Standby::Echo(echo) => [echo.to.as_ref(), None, None, None],
        },
        Event::UserPreference(preference) => [preference.wa_id.as_ref(), preference.user_id.as_ref(), None, None],
        Event::Echo(echo) => [echo.to.as_ref(), echo.to_user_id.as_ref(), None, None],
        Event::HistoryMessage(message) => {
            [message.thread_id.as_ref(), message.from.as_ref(), message.to.as_ref(), None]
        }
        Event::Call(call) if call.direction == Some(CallDirection::BusinessInitiated) => {
            [call.to.as_ref(), None, None, None]
        }
        Event::Call(call) => [call.from.as_ref(), None, None, None],
        Event::CallStatus(status) => [status.recipient_id.as_ref(), status.recipient_user_id.as_ref(), None, None],
        Event::GroupJoinRequest(request) => [request.wa_id.as_ref(), request.user_id.as_ref(), None, None],
        _ => [None; 4],
    }
}

fn message_addresses(message: &super::InboundMessage) -> [Option<&Redacted<String>>; 4] {
    [message.from.as_ref(), message.from_user_id.as_ref(), None, None]
}

/// In a group the member, not the group.
fn status_addresses(status: &super::MessageStatus) -> [Option<&Redacted<String>>; 4] {
    [
        status.participant_id.as_ref(),
        status.participant_user_id.as_ref(),
        status.recipient_id.as_ref(),
        status.recipient_user_id.as_ref(),
    ]
}

impl Origin {
    fn item(&self, event: Event, contact: Option<super::Contact>) -> Item {
        let Self { waba_id, entry_time, field, phone_number_id, display_phone_number } = self.clone();
        Item { waba_id, field, entry_time, phone_number_id, display_phone_number, contact, event }
    }
}

fn list<'a>(object: &Object<'a>, key: &'static str) -> Result<Vec<&'a RawValue>, Fault> {
    elements(object.get(key).ok_or(Fault::Missing(key))?).map_err(|_| Fault::Unreadable(key))
}

fn malformed(place: &str, fault: Fault, json: &str) -> Event {
    Event::Malformed(MalformedEvent { place: place.to_owned(), reason: fault.to_string(), raw: json.to_owned().into() })
}

fn push_malformed(items: &mut Vec<Item>, origin: &Origin, place: &str, fault: Fault, json: &str) {
    items.push(origin.item(malformed(place, fault, json), None));
}

fn push_unknown(items: &mut Vec<Item>, origin: &Origin, reason: UnknownReason, raw: &RawValue) {
    items.push(origin.item(Event::Unknown(UnknownEvent::new(reason, raw)), None));
}
