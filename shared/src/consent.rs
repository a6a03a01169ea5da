//! Keywords: by which words people say that they want messages or no more of them, per workspace, and what they are
//! answered. A keyword is the whole message, for "do not stop" is none; how it is written (case, accents' form, width,
//! punctuation, emoji around it) does not matter. What somebody has agreed to is [`crate::contact::Consent`].

mod settings;

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use icu_casemap::CaseMapper;
use icu_normalizer::ComposingNormalizer;
use serde::Deserialize;

pub use self::settings::{Confirmation, ConsentSettings, Fault, Text};

/// What a person wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Wish {
    /// Messages.
    Messages,
    /// None any more.
    NoMessages,
}

impl Wish {
    /// `opt_in` or `opt_out`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Messages => "opt_in",
            Self::NoMessages => "opt_out",
        }
    }
}

/// A keyword that was recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recognised {
    /// What the person wants.
    pub wish: Wish,
    /// The language whose list has the word; English first, for its words are used everywhere.
    pub language: String,
}

/// The words of a workspace, ready to be looked up.
#[derive(Clone, Debug, Default)]
pub struct Keywords(HashMap<String, Recognised>);

/// Longest message that can be a keyword, in bytes: longer ones are not even normalised.
const LONGEST_KEYWORD_BYTES: usize = 256;

impl Keywords {
    /// The words of these settings. A word that is in both lists is one against messages.
    #[must_use]
    pub fn of(settings: &ConsentSettings) -> Self {
        let mut words = HashMap::new();
        let lists = [(Wish::NoMessages, &settings.opt_out_keywords), (Wish::Messages, &settings.opt_in_keywords)];
        for (wish, languages) in lists {
            let english_first = languages.iter().filter(|(language, _)| *language == "en");
            for (language, list) in english_first.chain(languages) {
                for word in list {
                    let recognised = Recognised { wish, language: language.clone() };
                    words.entry(normalised(word)).or_insert(recognised);
                }
            }
        }
        words.remove("");
        Self(words)
    }

    /// What the text says if the whole of it is a keyword.
    #[must_use]
    pub fn find(&self, text: &str) -> Option<&Recognised> {
        (text.len() <= LONGEST_KEYWORD_BYTES).then(|| self.0.get(&normalised(text))).flatten()
    }
}

/// The text as keywords are compared: in compatibility form (NFKC), case folded, without punctuation, emoji and space around
/// it, and with one space for what stands between its words.
fn normalised(text: &str) -> String {
    let composed = ComposingNormalizer::new_nfkc().normalize(text);
    let folded = CaseMapper::new().fold_string(&composed);
    // Folding may take a text out of its form.
    let folded = ComposingNormalizer::new_nfkc().normalize(&folded).into_owned();
    let folded = folded.trim_matches(|c: char| !c.is_alphanumeric());
    let separates = |c: char| c.is_whitespace() || c.is_ascii_punctuation() || matches!(c, '’' | '‘' | '–' | '—' | '…');
    let words: Vec<&str> = folded.split(separates).filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

/// One language of the data file.
#[derive(Deserialize)]
struct Language {
    opt_out: Vec<String>,
    opt_in: Vec<String>,
    opt_out_reply: String,
    opt_in_reply: String,
}

/// The words and replies that a workspace has unless it says otherwise. Words that people also use for other things are
/// left out in most languages ("no", "cancel" in Spanish or French); the English ones are those that carriers and
/// regulators name, so "cancel" and "end" are among them.
static DEFAULTS: LazyLock<ConsentSettings> = LazyLock::new(|| {
    // The file is part of the program; a test holds that it can be read.
    let languages: BTreeMap<String, Language> =
        serde_json::from_str(include_str!("consent/words.json")).unwrap_or_default();
    let mut settings = ConsentSettings {
        opt_out_keywords: BTreeMap::new(),
        opt_in_keywords: BTreeMap::new(),
        confirmation: Confirmation {
            enabled: false,
            opt_out: Text::ByLanguage(BTreeMap::new()),
            opt_in: Text::ByLanguage(BTreeMap::new()),
        },
    };
    let (mut opt_out, mut opt_in) = (BTreeMap::new(), BTreeMap::new());
    for (language, words) in languages {
        settings.opt_out_keywords.insert(language.clone(), words.opt_out);
        settings.opt_in_keywords.insert(language.clone(), words.opt_in);
        opt_out.insert(language.clone(), words.opt_out_reply);
        opt_in.insert(language, words.opt_in_reply);
    }
    settings.confirmation.opt_out = Text::ByLanguage(opt_out);
    settings.confirmation.opt_in = Text::ByLanguage(opt_in);
    settings
});

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Option<(Wish, String)> {
        let keywords = Keywords::of(&ConsentSettings::default());
        keywords.find(text).map(|recognised| (recognised.wish, recognised.language.clone()))
    }

    #[test]
    fn the_default_words_are_there_for_many_languages_and_can_be_stored() {
        let settings = ConsentSettings::default();
        assert!(settings.opt_out_keywords.len() >= 15, "{:?}", settings.opt_out_keywords.keys());
        assert_eq!(settings.check(), []);
        for (language, words) in &settings.opt_out_keywords {
            for word in words {
                assert_eq!(found(word).unwrap().0, Wish::NoMessages, "{word} of {language}");
            }
        }
        for (language, words) in &settings.opt_in_keywords {
            for word in words {
                assert_eq!(found(word).unwrap().0, Wish::Messages, "{word} of {language}");
            }
            for wish in [Wish::Messages, Wish::NoMessages] {
                assert!(!settings.confirmation.reply(wish, language).unwrap().is_empty());
            }
        }
    }

    #[test]
    fn how_a_keyword_is_written_does_not_matter() {
        let no = |language: &str| Some((Wish::NoMessages, language.to_owned()));
        for text in
            ["STOP", " Stop. ", "stop!!!", "\"stop\"", "🛑 Stop 🛑", "ＳＴＯＰ", "Opt-Out", "OPT  OUT", "stop\n"]
        {
            assert_eq!(found(text), no("en"), "{text}");
        }
        assert_eq!(found("ARRE\u{302}T"), no("fr"), "composed or not");
        assert_eq!(found("İPTAL"), no("tr"));
        assert_eq!(found("СТОП"), no("ru"));
        assert_eq!(found("«Désabonner»"), no("fr"));
        assert_eq!(found("退订。"), no("zh"));
        assert_eq!(found("बंद करें"), no("hi"));
        assert_eq!(found("Start!"), Some((Wish::Messages, "en".to_owned())));
        assert_eq!(found("M’abonner"), Some((Wish::Messages, "fr".to_owned())));
    }

    #[test]
    fn only_a_whole_message_is_a_keyword() {
        for text in [
            "Do not stop!",
            "stop by at five",
            "please stop",
            "No",
            "",
            "🛑",
            "help",
            "info",
            "yes",
            &"stop ".repeat(90),
        ] {
            assert_eq!(found(text), None, "{text}");
        }
    }

    #[test]
    fn a_workspace_has_its_own_words_and_a_no_wins() {
        let settings = ConsentSettings {
            opt_out_keywords: [("xx".to_owned(), vec!["Genug".to_owned()])].into(),
            opt_in_keywords: [("xx".to_owned(), vec!["genug!".to_owned(), "mehr".to_owned()])].into(),
            ..ConsentSettings::default()
        };
        let keywords = Keywords::of(&settings);
        assert_eq!(keywords.find("stop"), None);
        assert_eq!(keywords.find("GENUG").unwrap().wish, Wish::NoMessages);
        assert_eq!(keywords.find("mehr").unwrap().wish, Wish::Messages);
    }
}
