//! What a filled message says, read from Meta's send body: the facts that the rules ask for, without the body itself.

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::MediaKind;
use crate::campaign::Category;

/// Who wrote the words of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wording {
    /// The operator, freely.
    Own,
    /// The operator, in a template that Meta has approved; what is seen of it here is only what was filled in.
    Approved,
}

/// A filled message as the rules see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outgoing<'a> {
    /// All that a person can read in the send body (see [`readable`]).
    pub text: &'a str,
    /// Links in it, those of buttons included.
    pub links: usize,
    /// What it carries besides text.
    pub media: Option<MediaKind>,
    /// What it is for.
    pub category: Category,
    /// Who wrote its words.
    pub wording: Wording,
    /// Equal for messages that say the same (see [`content_of`]).
    pub content: u64,
}

impl<'a> Outgoing<'a> {
    /// From Meta's send body and what [`readable`] has read in it.
    #[must_use]
    pub fn new(body: &Value, readable: &'a (String, usize), category: Category) -> Self {
        let template = body.get("template").is_some();
        Self {
            text: &readable.0,
            links: readable.1,
            media: media_of(body),
            category,
            wording: if template { Wording::Approved } else { Wording::Own },
            content: content_of(body, &readable.0),
        }
    }
}

/// All text of Meta's send body that a person can read, in the order in which it is shown, a line for each part, and
/// the number of links in it, those behind buttons included. Of a template that is what was filled in: its approved
/// words are not part of the body. File names and the payloads of buttons are left out.
#[must_use]
pub fn readable(body: &Value) -> (String, usize) {
    let mut reading = Reading::default();
    if let Some(text) = body.pointer("/text/body") {
        reading.text(text);
    }
    if let Some(components) = body.pointer("/template/components") {
        reading.components(components);
    }
    if let Some(interactive) = body.get("interactive") {
        reading.interactive(interactive);
    }
    for media in MediaKind::ALL {
        if let Some(caption) = body.get(media.as_str()).and_then(|media| media.get("caption")) {
            reading.text(caption);
        }
    }
    (reading.text, reading.links)
}

/// What the message carries: as itself, in a template's header or in an interactive message's. All cards of a carousel
/// carry the same kind (Meta, carousel templates), so one answer is enough.
#[must_use]
pub fn media_of(body: &Value) -> Option<MediaKind> {
    let kind = |value: &Value| MediaKind::ALL.into_iter().find(|media| value.get(media.as_str()).is_some());
    kind(body)
        .or_else(|| body.pointer("/interactive/header").and_then(kind))
        .or_else(|| first(body.pointer("/interactive/action/cards")?, &|card| card.get("header").and_then(kind)))
        .or_else(|| media_of_components(body.pointer("/template/components")?))
}

fn media_of_components(components: &Value) -> Option<MediaKind> {
    first(components, &|component| {
        let parameter = |p: &Value| MediaKind::ALL.into_iter().find(|media| p.get(media.as_str()).is_some());
        component
            .get("parameters")
            .and_then(|parameters| first(parameters, &parameter))
            .or_else(|| first(component.get("cards")?, &|card| media_of_components(card.get("components")?)))
    })
}

fn first<T>(list: &Value, find: &dyn Fn(&Value) -> Option<T>) -> Option<T> {
    list.as_array()?.iter().find_map(find)
}

/// What the message says, as a number that is equal for two messages to one person that differ in nothing but their
/// links: every recipient's short links are their own. A template counts with its name, language and what was filled
/// in, a medium with its id or address.
#[must_use]
pub fn content_of(body: &Value, readable: &str) -> u64 {
    let mut said = String::new();
    let mut add = |part: &str| {
        said.push_str(part);
        said.push('\u{1f}'); // stands in no message: it keeps the parts apart
    };
    for pointer in ["/type", "/template/name", "/template/language/code", "/interactive/type"] {
        add(body.pointer(pointer).and_then(Value::as_str).unwrap_or_default());
    }
    for media in MediaKind::ALL {
        for key in ["id", "link"] {
            add(body.get(media.as_str()).and_then(|m| m.get(key)).and_then(Value::as_str).unwrap_or_default());
        }
    }
    add(&without_links(readable).0);
    fingerprint(&said)
}

/// The first eight bytes of the text's SHA-256, big-endian: fingerprints are stored, so this never changes. Take the
/// links out first (see [`without_links`]).
#[must_use]
pub fn fingerprint(text_without_links: &str) -> u64 {
    let digest = Sha256::digest(text_without_links.as_bytes());
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The text without its links, and how many they were. A link begins with `http://`, `https://` or `www.` where a word
/// can begin, and goes on to the next white space, quote or angle bracket.
#[must_use]
pub fn without_links(text: &str) -> (String, usize) {
    let mut rest = text;
    let mut kept = String::with_capacity(text.len());
    let mut links = 0;
    while let Some(at) = find_link(rest) {
        let (before, link) = rest.split_at(at);
        kept.push_str(before);
        links += 1;
        let ends = |c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"' | '«' | '»' | '“' | '”');
        rest = &link[link.find(ends).unwrap_or(link.len())..];
    }
    kept.push_str(rest);
    (kept, links)
}

fn find_link(text: &str) -> Option<usize> {
    let mut before = None;
    text.char_indices().find_map(|(at, c)| {
        let word_goes_on = before.replace(c).is_some_and(|c| c.is_ascii_alphanumeric());
        let begins = |scheme: &str| {
            text.as_bytes()[at..].get(..scheme.len()).is_some_and(|s| s.eq_ignore_ascii_case(scheme.as_bytes()))
        };
        (!word_goes_on && ["https://", "http://", "www."].into_iter().any(begins)).then_some(at)
    })
}

#[derive(Default)]
struct Reading {
    text: String,
    links: usize,
}

impl Reading {
    fn text(&mut self, value: &Value) {
        let Some(text) = value.as_str().filter(|text| !text.is_empty()) else { return };
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(text);
        self.links += without_links(text).1;
    }

    fn texts(&mut self, value: &Value, pointers: &[&str]) {
        for pointer in pointers {
            if let Some(text) = value.pointer(pointer) {
                self.text(text);
            }
        }
    }

    fn each(&mut self, list: Option<&Value>, read: impl Fn(&mut Self, &Value)) {
        for item in list.and_then(Value::as_array).into_iter().flatten() {
            read(self, item);
        }
    }

    fn components(&mut self, components: &Value) {
        self.each(Some(components), |reading, component| {
            let is = |key: &str, word: &str| {
                component.get(key).and_then(Value::as_str).is_some_and(|value| value.eq_ignore_ascii_case(word))
            };
            if is("type", "button") {
                // Its variable is the end of an approved address or a payload: nothing to read.
                reading.links += usize::from(is("sub_type", "url"));
                return;
            }
            reading.each(component.get("parameters"), |reading, parameter| {
                reading.texts(parameter, &["/text", "/currency/fallback_value", "/date_time/fallback_value"]);
            });
            reading.each(component.get("cards"), |reading, card| {
                if let Some(components) = card.get("components") {
                    reading.components(components);
                }
            });
        });
    }

    fn interactive(&mut self, message: &Value) {
        self.texts(message, &["/header/text", "/body/text", "/footer/text"]);
        let Some(action) = message.get("action") else { return };
        self.texts(action, &["/button", "/parameters/display_text", "/parameters/flow_cta"]);
        self.links += usize::from(action.pointer("/parameters/url").is_some());
        self.each(action.get("buttons"), |reading, button| reading.texts(button, &["/reply/title"]));
        self.each(action.get("sections"), |reading, section| {
            reading.texts(section, &["/title"]);
            reading.each(section.get("rows"), |reading, row| reading.texts(row, &["/title", "/description"]));
        });
        self.each(action.get("cards"), Self::interactive);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn content(body: &Value) -> u64 {
        content_of(body, &readable(body).0)
    }

    #[test]
    fn a_text_and_a_caption_are_read() {
        let text = json!({"type": "text", "text": {"body": "Hi, see https://go.example/a or WWW.shop.example"}});
        assert_eq!(readable(&text), ("Hi, see https://go.example/a or WWW.shop.example".to_owned(), 2));
        assert_eq!(media_of(&text), None);
        let image = json!({"type": "image", "image": {"id": "5", "caption": "New"}});
        assert_eq!((readable(&image), media_of(&image)), (("New".to_owned(), 0), Some(MediaKind::Image)));
        let audio = json!({"type": "audio", "audio": {"id": "5"}});
        assert_eq!((readable(&audio), media_of(&audio)), ((String::new(), 0), Some(MediaKind::Audio)));
    }

    #[test]
    fn of_a_template_what_was_filled_in_is_read() {
        let template = json!({"type": "template", "template": {"name": "offer", "language": {"code": "en"}, "components": [
            {"type": "header", "parameters": [{"type": "video", "video": {"id": "7"}}]},
            {"type": "body", "parameters": [
                {"type": "text", "text": "Wei"}, {"type": "text", "text": "https://go.example/x"},
                {"type": "currency", "currency": {"fallback_value": "RM 5", "code": "MYR", "amount_1000": 5000}}]},
            {"type": "button", "sub_type": "URL", "index": "0", "parameters": [{"type": "text", "text": "c0de"}]},
            {"type": "button", "sub_type": "quick_reply", "index": "1", "parameters": [{"type": "payload", "payload": "p"}]},
            {"type": "carousel", "cards": [{"card_index": 0, "components": [
                {"type": "body", "parameters": [{"type": "text", "text": "card"}]}]}]}]}});
        assert_eq!(readable(&template), ("Wei\nhttps://go.example/x\nRM 5\ncard".to_owned(), 2));
        assert_eq!(media_of(&template), Some(MediaKind::Video));
        let read = readable(&template);
        assert_eq!(Outgoing::new(&template, &read, Category::Utility).wording, Wording::Approved);
    }

    #[test]
    fn all_parts_of_an_interactive_message_are_read() {
        let list = json!({"type": "interactive", "interactive": {"type": "list",
            "header": {"type": "text", "text": "H"}, "body": {"text": "B"}, "footer": {"text": "F"},
            "action": {"button": "Open", "sections": [{"title": "S", "rows": [{"id": "1", "title": "R", "description": "D"}]}]}}});
        assert_eq!(readable(&list), ("H\nB\nF\nOpen\nS\nR\nD".to_owned(), 0));
        let carousel = json!({"type": "interactive", "interactive": {"type": "carousel", "body": {"text": "B"}, "action": {"cards": [
            {"header": {"type": "image", "image": {"id": "1"}}, "body": {"text": "C"},
             "action": {"name": "cta_url", "parameters": {"display_text": "Go", "url": "https://go.example/1"}}}]}}});
        assert_eq!((readable(&carousel), media_of(&carousel)), (("B\nC\nGo".to_owned(), 1), Some(MediaKind::Image)));
        let buttons = json!({"type": "interactive", "interactive": {"type": "button", "header": {"type": "document", "document": {"id": "1"}},
            "body": {"text": "B"}, "action": {"buttons": [{"type": "reply", "reply": {"id": "y", "title": "Yes"}}]}}});
        assert_eq!((readable(&buttons), media_of(&buttons)), (("B\nYes".to_owned(), 0), Some(MediaKind::Document)));
    }

    #[test]
    fn links_end_at_white_space_and_begin_where_words_do() {
        for (text, kept, links) in [
            ("see https://a.example/x. Bye", "see  Bye", 1),
            ("看https://a.example/x 看", "看 看", 1),
            ("(HTTP://a.example)", "(", 1),
            ("nothttps://a.example", "nothttps://a.example", 0),
            ("www.a.example\nhttp://b.example", "\n", 2),
            ("", "", 0),
        ] {
            assert_eq!(without_links(text), (kept.to_owned(), links), "{text}");
        }
    }

    #[test]
    fn recipients_own_links_do_not_make_two_messages_of_one() {
        let text = |body: &str| json!({"type": "text", "text": {"body": body}});
        assert_eq!(content(&text("see https://go.example/aaa now")), content(&text("see https://go.example/bbb now")));
        assert_ne!(content(&text("see https://go.example/aaa now")), content(&text("see https://go.example/aaa then")));
        let template = |name: &str, code: &str| {
            json!({"type": "template", "template": {"name": name, "language": {"code": "en"}, "components": [
                {"type": "button", "sub_type": "url", "index": "0", "parameters": [{"type": "text", "text": code}]}]}})
        };
        assert_eq!(content(&template("a", "x")), content(&template("a", "y")));
        assert_ne!(content(&template("a", "x")), content(&template("b", "x")));
        let image = |id: &str| json!({"type": "image", "image": {"id": id}});
        assert_ne!(content(&image("1")), content(&image("2")));
    }

    #[test]
    fn fingerprints_are_pinned_for_they_are_stored() {
        assert_eq!(fingerprint(""), 0xe3b0_c442_98fc_1c14);
        assert_eq!(fingerprint("abc"), 0xba78_16bf_8f01_cfea);
    }
}
