//! Filling a text for one recipient: `{{variable}}`, `{{variable|default}}`, and links that become their short links.

use std::collections::BTreeMap;

use crate::id::MediaId;

/// What fills the texts of one recipient.
pub struct Fields<'a> {
    /// The recipient's variables.
    pub variables: &'a BTreeMap<String, String>,
    /// The recipient's name: fills `{{name}}` when there is no variable of that name.
    pub name: Option<&'a str>,
    /// The recipient's short link to a destination; `None` when that destination is not tracked.
    pub link: &'a dyn Fn(&str) -> Option<Filled>,
    /// Meta's id of a stored file for the number that sends; `None` when the file has none.
    pub media: &'a dyn Fn(MediaId) -> Option<String>,
}

/// A recipient's short link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filled {
    /// The code alone.
    pub code: String,
    /// The whole address.
    pub short_url: String,
}

/// Why a recipient's message cannot be filled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfilled {
    /// A placeholder without a value and without a default.
    #[error("the variable {0} is missing")]
    MissingVariable(String),
    /// The filled text exceeds Meta's limit.
    #[error("the message is {length} characters long; WhatsApp takes {limit}")]
    TooLong {
        /// Characters after filling.
        length: usize,
        /// Meta's limit.
        limit: usize,
    },
    /// A file that has no id at Meta.
    #[error("the file {0} is not at Meta")]
    NoMedia(MediaId),
    /// See [`MalformedPlaceholder`]; found when the campaign is created, so a stored campaign has none.
    #[error("a placeholder is not well formed")]
    MalformedPlaceholder,
}

/// `{{` without `}}`, or without a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MalformedPlaceholder;

enum Segment<'t> {
    Literal(&'t str),
    Link(&'t str),
    Variable { name: &'t str, default: Option<&'t str> },
}

/// Whether all placeholders of the text are well formed.
///
/// # Errors
/// When one is not.
pub fn check(text: &str) -> Result<(), MalformedPlaceholder> {
    segments(text).map(|_| ())
}

/// The links in the text that can be tracked. A link with a placeholder in it differs from recipient to recipient and
/// is left as it is.
///
/// # Errors
/// When a placeholder is not well formed.
pub fn links(text: &str) -> Result<Vec<String>, MalformedPlaceholder> {
    Ok(segments(text)?
        .into_iter()
        .filter_map(|segment| match segment {
            Segment::Link(url) => Some(url.to_owned()),
            Segment::Literal(_) | Segment::Variable { .. } => None,
        })
        .collect())
}

/// Whether a destination may stand behind a short link: http or https, with a host, without credentials.
#[must_use]
pub fn is_trackable(url: &str) -> bool {
    !url.contains("{{")
        && url::Url::parse(url).is_ok_and(|url| {
            matches!(url.scheme(), "http" | "https")
                && url.host_str().is_some_and(|host| !host.is_empty())
                && url.username().is_empty()
                && url.password().is_none()
        })
}

/// The text for one recipient, links replaced.
///
/// # Errors
/// [`Unfilled`].
pub fn fill(text: &str, fields: &Fields<'_>) -> Result<String, Unfilled> {
    assemble(text, fields, |url| (fields.link)(url).map(|filled| filled.short_url))
}

/// The text for one recipient, links left alone.
///
/// # Errors
/// [`Unfilled`].
pub fn fill_without_links(text: &str, fields: &Fields<'_>) -> Result<String, Unfilled> {
    assemble(text, fields, |_| None)
}

fn assemble(text: &str, fields: &Fields<'_>, short_url: impl Fn(&str) -> Option<String>) -> Result<String, Unfilled> {
    let mut filled = String::with_capacity(text.len() + 32);
    for segment in segments(text).map_err(|_| Unfilled::MalformedPlaceholder)? {
        match segment {
            Segment::Literal(literal) => filled.push_str(literal),
            Segment::Link(url) => match short_url(url) {
                Some(short) => filled.push_str(&short),
                None => filled.push_str(url),
            },
            Segment::Variable { name, default } => {
                let given = fields.variables.get(name).map(String::as_str);
                let named = (name == "name").then_some(fields.name).flatten();
                let value = given.or(named).map(str::trim).filter(|value| !value.is_empty()).or(default);
                filled.push_str(value.ok_or_else(|| Unfilled::MissingVariable(name.to_owned()))?);
            }
        }
    }
    Ok(filled)
}

fn segments(text: &str) -> Result<Vec<Segment<'_>>, MalformedPlaceholder> {
    let mut segments = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let placeholder = rest.find("{{");
        let link = find_link(rest);
        match (placeholder, link) {
            (Some(at), link) if link.is_none_or(|link| at < link) => {
                let (literal, after) = rest.split_at(at);
                if !literal.is_empty() {
                    segments.push(Segment::Literal(literal));
                }
                let end = after.find("}}").ok_or(MalformedPlaceholder)?;
                segments.push(variable(&after[2..end])?);
                rest = &after[end + 2..];
            }
            (_, Some(at)) => {
                let (literal, after) = rest.split_at(at);
                if !literal.is_empty() {
                    segments.push(Segment::Literal(literal));
                }
                let url = &after[..link_length(after)];
                // A link that goes on into a placeholder is the recipient's own: its literal part stays as it is.
                let goes_on = after[url.len()..].starts_with("{{");
                segments.push(if !goes_on && is_trackable(url) { Segment::Link(url) } else { Segment::Literal(url) });
                rest = &after[url.len()..];
            }
            (_, None) => {
                segments.push(Segment::Literal(rest));
                rest = "";
            }
        }
    }
    Ok(segments)
}

fn variable(inside: &str) -> Result<Segment<'_>, MalformedPlaceholder> {
    let (name, default) = match inside.split_once('|') {
        Some((name, default)) => (name.trim(), Some(default.trim())),
        None => (inside.trim(), None),
    };
    if name.is_empty() || name.contains(['{', '}']) {
        return Err(MalformedPlaceholder);
    }
    Ok(Segment::Variable { name, default })
}

fn find_link(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    text.char_indices().map(|(at, _)| at).find(|&at| {
        let starts = |scheme: &[u8]| bytes[at..].get(..scheme.len()).is_some_and(|s| s.eq_ignore_ascii_case(scheme));
        (starts(b"https://") || starts(b"http://")) && !text[..at].ends_with(|c: char| c.is_ascii_alphanumeric())
    })
}

/// Length of the link at the start of `text`: up to white space, quotes, angle brackets or a placeholder, less the
/// punctuation that ends a sentence and a closing bracket that was opened before the link.
fn link_length(text: &str) -> usize {
    let end = text
        .char_indices()
        .find(|&(at, c)| {
            c.is_whitespace() || matches!(c, '<' | '>' | '"' | '«' | '»' | '“' | '”') || text[at..].starts_with("{{")
        })
        .map_or(text.len(), |(at, _)| at);
    let mut link = &text[..end];
    if text[end..].starts_with("{{") {
        return link.len();
    }
    while let Some(last) = link.chars().next_back() {
        let ends_sentence = matches!(
            last,
            '.' | ',' | ';' | ':' | '!' | '?' | '\'' | '…' | '。' | '，' | '！' | '？' | '、' | '؟' | '،'
        );
        let unopened = match last {
            ')' => link.matches('(').count() < link.matches(')').count(),
            ']' => link.matches('[').count() < link.matches(']').count(),
            '*' | '_' | '~' => true, // WhatsApp's marks for bold, italic and struck text
            _ => false,
        };
        if !ends_sentence && !unopened {
            break;
        }
        link = &link[..link.len() - last.len_utf8()];
    }
    link.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> String {
        let variables = BTreeMap::from([("first_name".to_owned(), "王芳".to_owned())]);
        let link = |_: &str| Some(Filled { code: "X".to_owned(), short_url: "<X>".to_owned() });
        fill(text, &Fields { variables: &variables, name: Some("Wang Fang"), link: &link, media: &|_| None }).unwrap()
    }

    #[test]
    fn links_end_where_a_reader_would_end_them() {
        for (text, expected) in [
            ("see https://a.example/x.", "see <X>."),
            ("(https://a.example/x)", "(<X>)"),
            ("https://a.example/x_(y)", "<X>"),
            ("*https://a.example*", "*<X>*"),
            ("看https://a.example/x。", "看<X>。"),
            ("HTTPS://A.EXAMPLE, and http://b.example", "<X>, and <X>"),
            ("no link: nothttps://a.example", "no link: nothttps://a.example"),
            ("https://user:pw@a.example stays", "https://user:pw@a.example stays"),
            ("https://a.example/{{first_name}} stays", "https://a.example/王芳 stays"),
        ] {
            assert_eq!(filled(text), expected, "{text}");
        }
    }

    #[test]
    fn defaults_and_the_name_fill_what_is_missing() {
        assert_eq!(filled("{{ first_name }} {{nick|friend}} {{name}}"), "王芳 friend Wang Fang");
    }

    #[test]
    fn a_value_with_braces_or_a_link_is_taken_literally() {
        let variables = BTreeMap::from([("x".to_owned(), "{{y}} https://evil.example".to_owned())]);
        let link = |_: &str| Some(Filled { code: "X".to_owned(), short_url: "<X>".to_owned() });
        let fields = Fields { variables: &variables, name: None, link: &link, media: &|_| None };
        assert_eq!(fill("{{x}}", &fields).unwrap(), "{{y}} https://evil.example");
    }

    #[test]
    fn malformed_placeholders_are_found() {
        for text in ["{{", "{{}}", "{{a", "{{ |x}}"] {
            assert_eq!(check(text), Err(MalformedPlaceholder), "{text}");
        }
    }
}
