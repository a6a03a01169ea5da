//! Events that others tell us of: web pages through `POST /collect`, servers through `POST /v1/events`. Their names are
//! their senders' own, and so are their properties; what both may be is checked here, once, for both ways in.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::Visitor;
use crate::attempt::{Money, Seq};
use crate::id::{CampaignId, EventId};

/// Longest name of an event, in characters.
pub const MAX_NAME_CHARS: usize = 100;

/// Longest id that a sender gives an event, in characters.
pub const MAX_OWN_ID_CHARS: usize = 128;

/// Most bytes of an event's properties, as JSON.
pub const MAX_PROPERTIES_BYTES: usize = 32 * 1024;

/// How deep objects and lists of properties may lie in each other.
pub const MAX_PROPERTIES_DEPTH: usize = 8;

/// What the names of our own events begin with: nobody else can report something under them, but a server, which may
/// tell of what `message.…`, `chat.…` and `contact.…` name.
const OURS: [&str; 13] = [
    "account.",
    "call.",
    "chat.",
    "contact.",
    "group.",
    "history.",
    "link.",
    "media.",
    "message.",
    "meta.",
    "template.",
    "thirdtick.",
    "tt.",
];

/// The name of an event in its sender's words, such as `purchase`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct EventName(String);

/// Why a text is no name of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// Of [`MAX_NAME_CHARS`], or of a character that is not taken.
    #[error("must have 1 to {MAX_NAME_CHARS} characters: letters, digits, spaces and any of . _ - : /")]
    Shape,
    /// The name begins like those of our own events.
    #[error(
        "names that begin with account., call., chat., contact., message. and the like are those of our own events"
    )]
    Ours,
}

impl EventName {
    /// A name that is no name of ours.
    ///
    /// # Errors
    /// [`BadName`].
    pub fn own(text: &str) -> Result<Self, BadName> {
        let name = Self::any(text)?;
        if OURS.iter().any(|ours| name.0.starts_with(ours)) { Err(BadName::Ours) } else { Ok(name) }
    }

    /// A name, also one that begins as ours do.
    ///
    /// # Errors
    /// [`BadName::Shape`].
    pub fn any(text: &str) -> Result<Self, BadName> {
        let text = text.trim();
        let fits = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '.' | '_' | '-' | ':' | '/');
        let is_name = (1..=MAX_NAME_CHARS).contains(&text.chars().count()) && text.chars().all(fits);
        if is_name { Ok(Self(text.to_owned())) } else { Err(BadName::Shape) }
    }

    /// The name.
    #[must_use]
    pub const fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl<'de> Deserialize<'de> for EventName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::any(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// What a sender tells of an event, as they like. Kept as the text of its JSON, so that nothing of it is lost on the way
/// through a table whose numbers and depths are fewer than JSON's.
#[derive(Clone, Default, PartialEq)]
pub struct Properties(Map<String, Value>);

/// Why properties are not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadProperties {
    /// Of [`MAX_PROPERTIES_BYTES`].
    #[error("have at most {MAX_PROPERTIES_BYTES} bytes as JSON")]
    TooLarge,
    /// Of [`MAX_PROPERTIES_DEPTH`].
    #[error("lie at most {MAX_PROPERTIES_DEPTH} objects and lists deep")]
    TooDeep,
}

impl Properties {
    /// Properties that an event can hold.
    ///
    /// # Errors
    /// [`BadProperties`].
    pub fn new(map: Map<String, Value>) -> Result<Self, BadProperties> {
        if map.values().map(depth).max().unwrap_or(0) + 1 > MAX_PROPERTIES_DEPTH {
            return Err(BadProperties::TooDeep);
        }
        let bytes = serde_json::to_vec(&map).map_or(usize::MAX, |json| json.len());
        if bytes > MAX_PROPERTIES_BYTES { Err(BadProperties::TooLarge) } else { Ok(Self(map)) }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them.
    #[must_use]
    pub const fn map(&self) -> &Map<String, Value> {
        &self.0
    }
}

/// Objects and lists around the deepest value. `serde_json` reads at most 128, so this does not overflow.
fn depth(value: &Value) -> usize {
    match value {
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        Value::Array(list) => 1 + list.iter().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

impl Serialize for Properties {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&serde_json::to_string(&self.0).map_err(serde::ser::Error::custom)?)
    }
}

impl<'de> Deserialize<'de> for Properties {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        serde_json::from_str(&text).map(Self).map_err(serde::de::Error::custom)
    }
}

/// Properties are their sender's and may name people.
impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Properties({} of them)", self.0.len())
    }
}

/// Whether a text is an id that a sender may give: of printable characters, and not too long for a key.
#[must_use]
pub fn is_own_id(text: &str) -> bool {
    (1..=MAX_OWN_ID_CHARS).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

/// Whether a text can be what a page calls a browser.
#[must_use]
pub fn is_anonymous_id(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte))
}

/// An e-mail address, trimmed and in lower case; `None` for what cannot be one.
#[must_use]
pub fn email(text: &str) -> Option<String> {
    let text = text.trim();
    let (name, host) = text.rsplit_once('@')?;
    let fits = !name.is_empty() && host.contains('.') && text.len() <= 254;
    (fits && !text.chars().any(|c| c.is_whitespace() || c.is_control())).then(|| text.to_lowercase())
}

/// Where an event was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// By a web page, with a publishable key: anybody can claim it.
    Web,
    /// By a server, with a key of the API.
    Server,
}

impl Source {
    /// Its name, also in keys.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Server => "server",
        }
    }
}

/// An event in its sender's words.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct CustomReport {
    /// What happened.
    pub name: EventName,
    /// Who says so.
    pub source: Source,
    /// The id that its sender gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_id: Option<String>,
    /// The campaign whose link led the person here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign: Option<CampaignId>,
    /// The recipient within that campaign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<Seq>,
    /// The click on that link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub click: Option<EventId>,
    /// A click id that came with it and to which it is not put down: of another system, forged, or of long ago.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub click_id: Option<String>,
    /// Whether it is what the operator is after: a purchase, a registration.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub conversion: bool,
    /// What it was worth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Money>,
    /// Who opened the page; absent for what a server tells.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub visitor: Option<Visitor>,
    /// ISO 3166 alpha-2 of where the page was opened; absent when unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// What else its sender tells.
    #[serde(default, skip_serializing_if = "Properties::is_empty")]
    pub properties: Properties,
}

/// An agent took a conversation over, or was given it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssignedReport {
    /// Who has it now, as the other system names them.
    pub agent: String,
    /// Who had it before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
}

/// A conversation was settled.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolvedReport {
    /// Who settled it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// How, in the other system's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
}

/// A message went to a person through another tool.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentReport {
    /// Who wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// Meta's message id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wamid: Option<String>,
    /// A program wrote it: it answers nobody in the sense of response times.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bot: bool,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::activity::{Content, Event, id_of};
    use crate::time::UnixMillis;

    fn properties(value: Value) -> Result<Properties, BadProperties> {
        match value {
            Value::Object(map) => Properties::new(map),
            _ => panic!("not an object"),
        }
    }

    #[test]
    fn a_page_cannot_speak_in_our_name() {
        assert_eq!(EventName::own(" Order completed ").unwrap().as_str(), "Order completed");
        assert_eq!(EventName::own("kaufabschluß/1").unwrap().as_str(), "kaufabschluß/1");
        assert_eq!(EventName::own("message.received"), Err(BadName::Ours));
        assert!(EventName::any("message.received").is_ok());
        assert_eq!(EventName::own(""), Err(BadName::Shape));
        assert_eq!(EventName::own("a\nb"), Err(BadName::Shape));
        assert_eq!(EventName::own(&"x".repeat(101)), Err(BadName::Shape));
    }

    #[test]
    fn properties_are_bounded_in_size_and_depth() {
        assert!(properties(json!({"a": [{"b": 1}]})).is_ok());
        assert_eq!(properties(json!({"a": "x".repeat(MAX_PROPERTIES_BYTES)})), Err(BadProperties::TooLarge));
        let nested = |levels: usize| (1..levels).fold(json!(1), |inner, _| json!({ "a": inner }));
        assert!(properties(json!({"a": nested(MAX_PROPERTIES_DEPTH)})).is_ok());
        assert_eq!(properties(json!({"a": nested(MAX_PROPERTIES_DEPTH + 1)})), Err(BadProperties::TooDeep));
    }

    #[test]
    fn a_stored_event_of_a_page_keeps_its_shape_and_every_number() {
        let report = CustomReport {
            name: EventName::own("purchase").unwrap(),
            source: Source::Web,
            own_id: Some("order-1".to_owned()),
            campaign: Some("cmp_01J00000000000000000000000".parse().unwrap()),
            recipient: Some(Seq(3)),
            click: None,
            click_id: None,
            conversion: true,
            value: Some(Money { amount: serde_json::Number::from_f64(49.9).unwrap(), currency: "MYR".to_owned() }),
            visitor: Some(Visitor::Machine { reason: "crawler".to_owned() }),
            country: None,
            properties: properties(json!({"tiny": 1e-200, "huge": 1e300, "items": [{"sku": "A"}]})).unwrap(),
        };
        let event = Event {
            v: 1,
            id: id_of(UnixMillis(1), &["x"]),
            at: UnixMillis(1),
            seen: UnixMillis(2),
            contact: None,
            variant: None,
            content: Content::Custom(Box::new(report)),
        };
        assert_eq!(event.content.kind(), "purchase");
        let json = serde_json::to_value(&event).unwrap();
        assert_eq!(json["type"], "custom");
        assert_eq!(json["visitor"], "machine");
        assert_eq!(json["properties"], r#"{"huge":1e+300,"items":[{"sku":"A"}],"tiny":1e-200}"#);
        assert!(serde_json::from_value::<Event>(json).unwrap() == event);
        let item: serde_dynamo::Item = serde_dynamo::to_item(&event).unwrap();
        assert!(serde_dynamo::from_item::<_, Event>(item).unwrap() == event);
    }

    #[test]
    fn an_event_without_a_visitor_is_read_back() {
        let event = json!({"type": "custom", "name": "n", "source": "server"});
        let Content::Custom(report) = serde_json::from_value(event).unwrap() else { panic!("not a custom event") };
        assert!(report.visitor.is_none() && report.properties.is_empty());
    }
}
