//! What a workspace can set about keywords and the reply to them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{DEFAULTS, Wish, normalised};

/// Most languages of a list.
const MAX_LANGUAGES: usize = 50;

/// Most words of all languages of a list.
const MAX_WORDS: usize = 1_000;

/// Longest word, in characters.
const MAX_WORD_CHARS: usize = 64;

/// Longest reply, in characters; Meta takes 4,096 in a text.
const MAX_REPLY_CHARS: usize = 1_024;

/// The settings, as stored and as the API shows and takes them. What a request leaves out is as in the defaults.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsentSettings {
    /// Words against messages, by language.
    #[serde(default = "opt_out_keywords")]
    pub opt_out_keywords: BTreeMap<String, Vec<String>>,
    /// Words for them.
    #[serde(default = "opt_in_keywords")]
    pub opt_in_keywords: BTreeMap<String, Vec<String>>,
    /// What is answered.
    #[serde(default)]
    pub confirmation: Confirmation,
}

/// The reply to a keyword.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confirmation {
    /// Whether there is one. Not unless the operator wants it: another program of theirs may answer already, and Meta
    /// charges for it above a monthly number (Meta, pricing since October 2026).
    #[serde(default)]
    pub enabled: bool,
    /// To a word against messages.
    #[serde(default = "opt_out_reply")]
    pub opt_out: Text,
    /// To a word for them.
    #[serde(default = "opt_in_reply")]
    pub opt_in: Text,
}

/// A text, for all or by language.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Text {
    /// The same for everybody.
    ForAll(String),
    /// By the language of the keyword.
    ByLanguage(BTreeMap<String, String>),
}

/// Something in the settings that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where, as a JSON pointer.
    pub pointer: String,
    /// What is wrong.
    pub reason: String,
}

fn opt_out_keywords() -> BTreeMap<String, Vec<String>> {
    DEFAULTS.opt_out_keywords.clone()
}

fn opt_in_keywords() -> BTreeMap<String, Vec<String>> {
    DEFAULTS.opt_in_keywords.clone()
}

fn opt_out_reply() -> Text {
    DEFAULTS.confirmation.opt_out.clone()
}

fn opt_in_reply() -> Text {
    DEFAULTS.confirmation.opt_in.clone()
}

impl Default for ConsentSettings {
    fn default() -> Self {
        DEFAULTS.clone()
    }
}

impl Default for Confirmation {
    fn default() -> Self {
        DEFAULTS.confirmation.clone()
    }
}

impl Confirmation {
    /// What is answered to a keyword of this language: its own text, else the English one, else any.
    #[must_use]
    pub fn reply(&self, wish: Wish, language: &str) -> Option<&str> {
        let text = match wish {
            Wish::NoMessages => &self.opt_out,
            Wish::Messages => &self.opt_in,
        };
        match text {
            Text::ForAll(text) => Some(text),
            Text::ByLanguage(texts) => {
                texts.get(language).or_else(|| texts.get("en")).or_else(|| texts.values().next()).map(String::as_str)
            }
        }
    }
}

impl ConsentSettings {
    /// What is wrong with them; empty when they can be used.
    #[must_use]
    pub fn check(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let mut fault = |pointer: String, reason: &str| faults.push(Fault { pointer, reason: reason.to_owned() });
        let lists = [("opt_out_keywords", &self.opt_out_keywords), ("opt_in_keywords", &self.opt_in_keywords)];
        for (name, languages) in lists {
            if languages.len() > MAX_LANGUAGES || languages.values().map(Vec::len).sum::<usize>() > MAX_WORDS {
                fault(format!("/{name}"), "at most 50 languages and 1,000 words in all");
            }
            for (language, words) in languages {
                if !is_language(language) {
                    fault(format!("/{name}"), NO_LANGUAGE);
                    continue;
                }
                for (index, word) in words.iter().enumerate() {
                    let chars = word.chars().count();
                    if chars > MAX_WORD_CHARS || normalised(word).is_empty() {
                        let pointer = format!("/{name}/{language}/{index}");
                        fault(pointer, "a keyword has 1 to 64 characters, and letters or digits among them");
                    }
                }
            }
        }
        for (name, text) in [("opt_out", &self.confirmation.opt_out), ("opt_in", &self.confirmation.opt_in)] {
            let pointer = format!("/confirmation/{name}");
            let texts: Vec<&String> = match text {
                Text::ForAll(text) => vec![text],
                Text::ByLanguage(texts) if texts.is_empty() => {
                    fault(pointer.clone(), "there is no text in any language");
                    Vec::new()
                }
                Text::ByLanguage(texts) => {
                    if texts.len() > MAX_LANGUAGES || !texts.keys().all(|language| is_language(language)) {
                        fault(pointer.clone(), NO_LANGUAGE);
                    }
                    texts.values().collect()
                }
            };
            if texts.iter().any(|text| text.trim().is_empty() || text.chars().count() > MAX_REPLY_CHARS) {
                fault(pointer, "a reply has 1 to 1,024 characters");
            }
        }
        faults
    }
}

const NO_LANGUAGE: &str = "expected languages such as en or pt_BR, at most 50 of them";

/// Such as `en` or `pt_BR`.
fn is_language(text: &str) -> bool {
    let (language, region) =
        text.split_once(['_', '-']).map_or((text, None), |(language, region)| (language, Some(region)));
    let letters = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (2..=3).contains(&language.len())
        && letters(language)
        && region.is_none_or(|region| (2..=4).contains(&region.len()) && letters(region))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_left_out_is_as_in_the_defaults() {
        let settings: ConsentSettings = serde_json::from_value(json!({})).unwrap();
        assert_eq!(settings, ConsentSettings::default());
        let on: ConsentSettings =
            serde_json::from_value(json!({"confirmation": {"enabled": true, "opt_in": "Hi"}})).unwrap();
        assert!(on.confirmation.enabled && !settings.confirmation.enabled);
        assert_eq!(on.confirmation.reply(Wish::Messages, "de"), Some("Hi"));
        assert_eq!(on.confirmation.reply(Wish::NoMessages, "xx"), settings.confirmation.reply(Wish::NoMessages, "en"));
        assert!(serde_json::from_value::<ConsentSettings>(json!({"words": {}})).is_err());
    }

    #[test]
    fn what_cannot_be_used_is_named() {
        let wrong: ConsentSettings = serde_json::from_value(json!({
            "opt_out_keywords": {"en": ["stop", " !! "], "english": ["x"]},
            "opt_in_keywords": {"pt_BR": ["x".repeat(65)]},
            "confirmation": {"opt_out": " ", "opt_in": {}},
        }))
        .unwrap();
        let pointers: Vec<String> = wrong.check().into_iter().map(|fault| fault.pointer).collect();
        let expected = [
            "/opt_out_keywords/en/1",
            "/opt_out_keywords",
            "/opt_in_keywords/pt_BR/0",
            "/confirmation/opt_out",
            "/confirmation/opt_in",
        ];
        assert_eq!(pointers, expected);
    }
}
