//! Shapes of webhook bodies: statuses of business messages, messages from people and notices, in Meta's envelope.
//! Which keys are present follows Meta: no `contacts` for failures, `pricing` on `sent` and on one of `delivered`/`read`.

use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;

use crate::errors::{self, ERRORS_PAGE};
use crate::identity::{self, Address};
use crate::number::NumberProfile;
use crate::person::Person;
use crate::plan::EventKind;
use crate::world::{EventKey, UpdateKey};

/// One status, message or notice, ready to be put into a POST.
#[derive(Debug, Clone)]
pub(crate) struct Update {
    /// What it reports.
    pub(crate) key: UpdateKey,
    waba_id: String,
    body: Body,
}

#[derive(Debug, Clone)]
enum Body {
    Messaging(Box<Messaging>),
    Notice(Notice),
}

/// Something of the field `messages`.
#[derive(Debug, Clone)]
struct Messaging {
    metadata: Metadata,
    contact: Option<Contact>,
    item: Item,
}

/// Something of any other field; its value is made in `notice`.
#[derive(Debug, Clone)]
struct Notice {
    field: &'static str,
    value: Value,
    /// Unix seconds.
    time: u64,
}

#[derive(Debug, Clone)]
enum Item {
    Status(Box<Status>),
    Message(Box<Inbound>),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Metadata {
    display_phone_number: String,
    phone_number_id: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Contact {
    profile: Profile,
    #[serde(skip_serializing_if = "Option::is_none")]
    wa_id: Option<String>,
    user_id: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Profile {
    name: &'static str,
}

#[derive(Debug, Clone, Serialize)]
struct Status {
    id: String,
    status: &'static str,
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    recipient_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recipient_user_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    biz_opaque_callback_data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pricing: Option<Pricing>,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<[StatusError; 1]>,
}

#[derive(Debug, Clone, Serialize)]
struct Pricing {
    billable: bool,
    pricing_model: &'static str,
    category: String,
    r#type: &'static str,
}

#[derive(Debug, Clone, Serialize)]
struct StatusError {
    code: i64,
    title: &'static str,
    message: &'static str,
    error_data: ErrorDetails,
    href: &'static str,
}

#[derive(Debug, Clone, Serialize)]
struct ErrorDetails {
    details: &'static str,
}

#[derive(Debug, Clone, Serialize)]
struct Inbound {
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    from_user_id: String,
    id: String,
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<Quote>,
    r#type: &'static str,
    text: Text,
}

#[derive(Debug, Clone, Serialize)]
struct Quote {
    from: String,
    id: String,
}

#[derive(Debug, Clone, Serialize)]
struct Text {
    body: String,
}

/// The message that an update is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct About<'a> {
    pub(crate) seed: u64,
    pub(crate) number: &'a NumberProfile,
    pub(crate) person: &'a Person,
    pub(crate) address: &'a Address,
    pub(crate) wamid: &'a str,
    pub(crate) callback_data: Option<&'a str>,
    pub(crate) category: &'a str,
    /// `delivered` is never reported, so that `read` carries the price.
    pub(crate) delivered_skipped: bool,
}

impl Update {
    /// The webhook update of an event; `None` for events that Meta does not report.
    pub(crate) fn of(key: EventKey, kind: &EventKind, at_ms: u64, about: About<'_>) -> Option<Self> {
        let timestamp = (at_ms / 1_000).to_string();
        let item = match kind {
            EventKind::Sent => Item::Status(about.status("sent", timestamp, true)),
            EventKind::Delivered => Item::Status(about.status("delivered", timestamp, true)),
            EventKind::Read => Item::Status(about.status("read", timestamp, about.delivered_skipped)),
            EventKind::Failed { code } => Item::Status(about.failed(*code, timestamp)),
            EventKind::Reply { text, quotes } => Item::Message(about.reply(key, text, *quotes, timestamp)),
            EventKind::Preview { .. } | EventKind::Click { .. } => return None,
        };
        let contact = (!matches!(kind, EventKind::Failed { .. })).then(|| Contact {
            profile: Profile { name: about.person.name },
            wa_id: about.phone(),
            user_id: about.person.user_id.clone(),
        });
        let metadata = Metadata {
            display_phone_number: about.number.display_phone_number.clone(),
            phone_number_id: about.number.phone_number_id.clone(),
        };
        let body = Body::Messaging(Box::new(Messaging { metadata, contact, item }));
        Some(Self { key: UpdateKey::Event(key), waba_id: about.number.waba_id.clone(), body })
    }

    /// An update of another field than `messages`.
    pub(crate) fn notice(key: UpdateKey, waba_id: &str, field: &'static str, value: Value, at_ms: u64) -> Self {
        Self { key, waba_id: waba_id.to_owned(), body: Body::Notice(Notice { field, value, time: at_ms / 1_000 }) }
    }
}

impl About<'_> {
    fn phone(&self) -> Option<String> {
        match self.address {
            Address::Phone(digits) => Some(digits.clone()),
            Address::UserId(_) => None,
        }
    }

    fn status(&self, status: &'static str, timestamp: String, priced: bool) -> Box<Status> {
        let pricing = priced.then(|| Pricing {
            billable: true,
            pricing_model: "PMP",
            category: self.category.to_owned(),
            r#type: "regular",
        });
        Box::new(Status {
            id: self.wamid.to_owned(),
            status,
            timestamp,
            recipient_id: self.phone(),
            recipient_user_id: Some(self.person.user_id.clone()),
            biz_opaque_callback_data: self.callback_data.map(str::to_owned),
            pricing,
            errors: None,
        })
    }

    fn failed(&self, code: i64, timestamp: String) -> Box<Status> {
        let entry = errors::catalogue(code);
        let error = StatusError {
            code,
            title: entry.title,
            message: entry.title,
            error_data: ErrorDetails { details: entry.details },
            href: ERRORS_PAGE,
        };
        let mut status = self.status("failed", timestamp, false);
        status.errors = Some([error]);
        // The user id of a failure would reveal that the phone exists.
        if matches!(self.address, Address::Phone(_)) {
            status.recipient_user_id = None;
        }
        status
    }

    fn reply(&self, key: EventKey, text: &str, quotes: bool, timestamp: String) -> Box<Inbound> {
        let digest = identity::digest(self.seed, &["reply", self.wamid, &key.event.to_string()]);
        let quote = || Quote { from: self.number.display_phone_number.clone(), id: self.wamid.to_owned() };
        Box::new(Inbound {
            from: self.phone(),
            from_user_id: self.person.user_id.clone(),
            id: identity::wamid(self.address, self.person.device.author(), &digest),
            timestamp,
            context: quotes.then(quote),
            r#type: "text",
            text: Text { body: text.to_owned() },
        })
    }
}

/// A whole webhook body.
#[derive(Debug, Serialize)]
pub(crate) struct Envelope<'a> {
    object: &'static str,
    entry: Vec<Entry<'a>>,
}

#[derive(Debug, Serialize)]
struct Entry<'a> {
    id: &'a str,
    /// Unix seconds; only notices have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<u64>,
    changes: Vec<Change<'a>>,
}

#[derive(Debug, Serialize)]
struct Change<'a> {
    value: ChangeValue<'a>,
    field: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum ChangeValue<'a> {
    Messaging(MessagingValue<'a>),
    Notice(&'a Value),
}

#[derive(Debug, Serialize)]
struct MessagingValue<'a> {
    messaging_product: &'static str,
    metadata: &'a Metadata,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    contacts: Vec<&'a Contact>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    messages: Vec<&'a Inbound>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    statuses: Vec<&'a Status>,
}

/// Puts updates into one envelope: an entry per account; in it, changes of one number and of one kind each. Each notice has
/// an entry of its own, for the time in it.
pub(crate) fn envelope(updates: &[Arc<Update>]) -> Envelope<'_> {
    let mut entries: Vec<Entry<'_>> = Vec::new();
    for update in updates {
        match &update.body {
            Body::Messaging(messaging) => {
                let same = |entry: &Entry<'_>| entry.id == update.waba_id && entry.time.is_none();
                let entry = match entries.iter().position(same) {
                    Some(found) => &mut entries[found],
                    None => {
                        entries.push(Entry { id: &update.waba_id, time: None, changes: Vec::new() });
                        let last = entries.len() - 1;
                        &mut entries[last]
                    }
                };
                entry.add(messaging);
            }
            Body::Notice(Notice { field, value, time }) => {
                let changes = vec![Change { value: ChangeValue::Notice(value), field }];
                entries.push(Entry { id: &update.waba_id, time: Some(*time), changes });
            }
        }
    }
    Envelope { object: "whatsapp_business_account", entry: entries }
}

impl<'a> Entry<'a> {
    fn add(&mut self, messaging: &'a Messaging) {
        let is_message = matches!(messaging.item, Item::Message(_));
        let same = self.changes.iter_mut().find_map(|change| match &mut change.value {
            ChangeValue::Messaging(value)
                if *value.metadata == messaging.metadata && value.statuses.is_empty() == is_message =>
            {
                Some(value)
            }
            _ => None,
        });
        match same {
            Some(value) => value.add(messaging),
            None => {
                let mut value = MessagingValue::new(&messaging.metadata);
                value.add(messaging);
                self.changes.push(Change { value: ChangeValue::Messaging(value), field: "messages" });
            }
        }
    }
}

impl<'a> MessagingValue<'a> {
    fn new(metadata: &'a Metadata) -> Self {
        Self {
            messaging_product: "whatsapp",
            metadata,
            contacts: Vec::new(),
            messages: Vec::new(),
            statuses: Vec::new(),
        }
    }

    fn add(&mut self, messaging: &'a Messaging) {
        if let Some(contact) = messaging.contact.as_ref().filter(|contact| !self.contacts.contains(contact)) {
            self.contacts.push(contact);
        }
        match &messaging.item {
            Item::Status(status) => self.statuses.push(status),
            Item::Message(message) => self.messages.push(message),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::config::Origin;

    fn update(kind: &EventKind, address: &Address, delivered_skipped: bool) -> Update {
        let mut number = NumberProfile::derived("107853902081447", "104996122399160");
        number.display_phone_number = "15550783881".to_owned();
        let person = Person::at(1, address, &Origin::defaults()).expect("origins");
        let about = About {
            seed: 1,
            number: &number,
            person: &person,
            address,
            wamid: "wamid.A",
            callback_data: Some("cmp-42:rcp-000173"),
            category: "marketing",
            delivered_skipped,
        };
        Update::of(EventKey { message: 0, event: 0 }, kind, 1_790_000_004_999, about).expect("reported")
    }

    fn body(updates: Vec<Update>) -> Value {
        let updates: Vec<_> = updates.into_iter().map(Arc::new).collect();
        serde_json::to_value(envelope(&updates)).expect("serialises")
    }

    #[test]
    fn a_delivered_status_has_metas_shape() {
        let address = Address::Phone("16505551234".to_owned());
        let body = body(vec![update(&EventKind::Delivered, &address, false)]);
        let contact = &body["entry"][0]["changes"][0]["value"]["contacts"][0];
        let (name, user_id) = (contact["profile"]["name"].clone(), contact["user_id"].clone());
        let expected = json!({"object": "whatsapp_business_account", "entry": [{"id": "104996122399160", "changes": [{"value": {
            "messaging_product": "whatsapp",
            "metadata": {"display_phone_number": "15550783881", "phone_number_id": "107853902081447"},
            "contacts": [{"profile": {"name": name}, "wa_id": "16505551234", "user_id": user_id}],
            "statuses": [{"id": "wamid.A", "status": "delivered", "timestamp": "1790000004", "recipient_id": "16505551234",
                "recipient_user_id": user_id, "biz_opaque_callback_data": "cmp-42:rcp-000173",
                "pricing": {"billable": true, "pricing_model": "PMP", "category": "marketing", "type": "regular"}}]
        }, "field": "messages"}]}]});
        assert_eq!(body, expected);
    }

    #[test]
    fn failures_have_errors_but_neither_contacts_nor_price_nor_user_id() {
        let address = Address::Phone("16505551234".to_owned());
        let body = body(vec![update(&EventKind::Failed { code: 131_026 }, &address, false)]);
        let value = &body["entry"][0]["changes"][0]["value"];
        assert!(value.get("contacts").is_none());
        let status = &value["statuses"][0];
        assert!(status.get("pricing").is_none() && status.get("recipient_user_id").is_none());
        assert_eq!(status["errors"][0]["code"], 131_026);
        assert_eq!(status["errors"][0]["error_data"]["details"], "Message Undeliverable.");
    }

    #[test]
    fn read_is_priced_only_in_place_of_delivered() {
        let address = Address::Phone("16505551234".to_owned());
        let price = |skipped| {
            let body = body(vec![update(&EventKind::Read, &address, skipped)]);
            body["entry"][0]["changes"][0]["value"]["statuses"][0].get("pricing").is_some()
        };
        assert!(price(true));
        assert!(!price(false));
    }

    #[test]
    fn people_addressed_by_user_id_show_no_phone() {
        let address = Address::UserId("US.20184736591028374655".to_owned());
        let reply = EventKind::Reply { text: "ok".to_owned(), quotes: true };
        let text = body(vec![update(&reply, &address, false)]).to_string();
        assert!(!text.contains("wa_id") && !text.contains("\"from\":\"1650"), "{text}");
        assert!(text.contains(r#""from_user_id":"US.20184736591028374655""#));
        assert!(text.contains(r#""context":{"from":"15550783881","id":"wamid.A"}"#), "{text}");
    }

    #[test]
    fn messages_and_statuses_of_a_number_go_into_changes_of_their_own() {
        let address = Address::Phone("16505551234".to_owned());
        let reply = EventKind::Reply { text: "ok".to_owned(), quotes: false };
        let updates = vec![
            update(&EventKind::Sent, &address, false),
            update(&reply, &address, false),
            update(&EventKind::Delivered, &address, false),
        ];
        let body = body(updates);
        let changes = body["entry"][0]["changes"].as_array().expect("changes");
        assert_eq!(changes.len(), 2);
        assert_eq!(changes[0]["value"]["statuses"].as_array().map(Vec::len), Some(2));
        assert_eq!(changes[0]["value"]["contacts"].as_array().map(Vec::len), Some(1));
        assert_eq!(changes[1]["value"]["messages"].as_array().map(Vec::len), Some(1));
    }

    #[test]
    fn a_notice_has_an_entry_of_its_own_with_a_time() {
        let address = Address::Phone("16505551234".to_owned());
        let value = json!({"event": "ACCOUNT_DELETED"});
        let notice =
            Update::notice(UpdateKey::Notice(0), "104996122399160", "account_update", value, 1_790_000_000_999);
        let body = body(vec![notice, update(&EventKind::Sent, &address, false)]);
        let expected = json!({"id": "104996122399160", "time": 1_790_000_000, "changes": [
            {"value": {"event": "ACCOUNT_DELETED"}, "field": "account_update"}]});
        assert_eq!(body["entry"][0], expected);
        assert!(body["entry"][1].get("time").is_none());
    }
}
