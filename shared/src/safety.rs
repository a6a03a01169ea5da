//! The rules that keep an account from writing to people who do not want it, or from sending what gets a number
//! blocked: the rules as data, and the decision on one message to one person. When a message may leave is not decided
//! here (see [`crate::local_time`]), nor how fast (see [`crate::throttle`]).

mod decision;
mod outgoing;
mod spam;

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::decision::{Earlier, Person, Refusal, decide};
pub use self::outgoing::{Outgoing, Wording, content_of, fingerprint, media_of, readable, without_links};
pub use self::spam::{MAX_LINKS, Shouting, shouting};
use crate::campaign::message::MAX_TEXT_CHARS;
use crate::local_time::QuietHours;

/// Most errors that [`Safety::error_threshold`] may allow.
const MAX_ERROR_THRESHOLD: u32 = 1_000;

/// Longest window of a [`FrequencyCap`], in days.
const MAX_CAP_DAYS: u32 = 30;

/// What a message may carry besides text, in Meta's words for the type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediaKind {
    /// A picture.
    Image,
    /// A film.
    Video,
    /// A recording or a voice message.
    Audio,
    /// A file.
    Document,
    /// A sticker.
    Sticker,
}

impl MediaKind {
    /// All there are.
    pub const ALL: [Self; 5] = [Self::Image, Self::Video, Self::Audio, Self::Document, Self::Sticker];

    /// Meta's name of the type.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Document => "document",
            Self::Sticker => "sticker",
        }
    }
}

impl fmt::Display for MediaKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// At most so many messages to one person in so many days, over all campaigns of the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrequencyCap {
    /// Messages, at least 1.
    pub messages: u32,
    /// Rolling days of 24 h, 1 to 30.
    pub days: u32,
}

/// An account's safety rules. What is absent from the JSON has its default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Safety {
    /// Most characters of a message's readable text, all its parts together; 1 to 4,096 (Meta, text messages).
    pub max_message_length: u32,
    /// Media that may be sent; all by default.
    pub allowed_media_types: BTreeSet<MediaKind>,
    /// Whether only contacts of the workspace are written to.
    pub block_unknown_numbers: bool,
    /// Whether only people with a recorded opt-in are written to.
    pub require_opt_in: bool,
    /// Whether messages that look like spam are held back.
    pub spam_detection: bool,
    /// Whether errors pause what sends from the account.
    pub auto_pause_on_error: bool,
    /// How many errors do, 1 to 1,000.
    pub error_threshold: u32,
    /// When nobody is written to, by the recipient's clock.
    pub quiet_hours: Option<QuietHours>,
    /// How often one person is written to.
    pub frequency_cap: Option<FrequencyCap>,
}

impl Default for Safety {
    fn default() -> Self {
        Self {
            max_message_length: longest_text(),
            allowed_media_types: MediaKind::ALL.into_iter().collect(),
            block_unknown_numbers: false,
            require_opt_in: false,
            spam_detection: false,
            auto_pause_on_error: true,
            error_threshold: 5,
            quiet_hours: None,
            frequency_cap: None,
        }
    }
}

fn longest_text() -> u32 {
    u32::try_from(MAX_TEXT_CHARS).unwrap_or(u32::MAX)
}

impl Safety {
    /// What is wrong with these rules: a JSON pointer relative to them, and why.
    #[must_use]
    pub fn check(&self) -> Vec<(&'static str, String)> {
        let cap = self.frequency_cap;
        [
            ("/max_message_length", Some(self.max_message_length), longest_text()),
            ("/error_threshold", Some(self.error_threshold), MAX_ERROR_THRESHOLD),
            ("/frequency_cap/messages", cap.map(|cap| cap.messages), u32::MAX),
            ("/frequency_cap/days", cap.map(|cap| cap.days), MAX_CAP_DAYS),
        ]
        .into_iter()
        .filter(|(_, given, most)| given.is_some_and(|given| !(1..=*most).contains(&given)))
        .map(|(pointer, _, most)| {
            let reason = match most {
                u32::MAX => "must be at least 1".to_owned(),
                most => format!("must be between 1 and {most}"),
            };
            (pointer, reason)
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_absent_has_its_default() {
        let safety: Safety =
            serde_json::from_str(r#"{"require_opt_in":true,"allowed_media_types":["image"]}"#).unwrap();
        assert!(safety.require_opt_in && safety.auto_pause_on_error && !safety.spam_detection);
        assert_eq!(safety.allowed_media_types, BTreeSet::from([MediaKind::Image]));
        assert_eq!((safety.max_message_length, safety.error_threshold), (4_096, 5));
        assert!(Safety::default().check().is_empty());
    }

    #[test]
    fn the_stored_shape_is_pinned() {
        let safety = Safety {
            quiet_hours: serde_json::from_str(r#"{"from":"21:00","to":"08:00"}"#).unwrap(),
            frequency_cap: Some(FrequencyCap { messages: 3, days: 7 }),
            ..Safety::default()
        };
        assert_eq!(
            serde_json::to_value(&safety).unwrap(),
            serde_json::json!({
                "max_message_length": 4096,
                "allowed_media_types": ["image", "video", "audio", "document", "sticker"],
                "block_unknown_numbers": false, "require_opt_in": false, "spam_detection": false,
                "auto_pause_on_error": true, "error_threshold": 5,
                "quiet_hours": {"from": "21:00", "to": "08:00"},
                "frequency_cap": {"messages": 3, "days": 7},
            })
        );
    }

    #[test]
    fn each_number_out_of_its_range_is_named() {
        let safety = Safety {
            max_message_length: 4_097,
            error_threshold: 0,
            frequency_cap: Some(FrequencyCap { messages: 0, days: 31 }),
            ..Safety::default()
        };
        let pointers: Vec<&str> = safety.check().into_iter().map(|(pointer, _)| pointer).collect();
        assert_eq!(
            pointers,
            ["/max_message_length", "/error_threshold", "/frequency_cap/messages", "/frequency_cap/days"]
        );
    }

    #[test]
    fn an_unknown_rule_is_an_error_that_names_it() {
        let error = serde_json::from_str::<Safety>(r#"{"no_spam":true}"#).unwrap_err();
        assert!(error.to_string().contains("no_spam"), "{error}");
    }
}
