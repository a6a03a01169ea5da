//! Finds the links that a person could open in a message.

use std::sync::LazyLock;

use regex::Regex;
use url::Url;

static HTTP_LINK: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r#"(?i)\bhttps?://[^\s<>"'`\\^{}|]+"#).ok());

/// Characters that end a sentence rather than a link.
const CLOSING: [char; 9] = ['.', ',', ';', ':', '!', '?', '*', '_', '~'];

/// The http(s) links in a text, in order, without the punctuation that follows them.
pub(crate) fn links_in(text: &str) -> Vec<String> {
    let Some(pattern) = HTTP_LINK.as_ref() else { return Vec::new() };
    pattern
        .find_iter(text)
        .map(|found| trim_link(found.as_str()))
        .filter(|link| is_link(link))
        .map(str::to_owned)
        .collect()
}

/// Whether a text is one http(s) link and nothing else.
pub(crate) fn is_link(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

fn trim_link(found: &str) -> &str {
    let mut link = found;
    loop {
        let trimmed = link.trim_end_matches(CLOSING);
        // A closing bracket belongs to the link only if the link opened it.
        let trimmed = match trimmed.chars().last() {
            Some(')') if !trimmed.contains('(') => trimmed.trim_end_matches(')'),
            Some(']') if !trimmed.contains('[') => trimmed.trim_end_matches(']'),
            _ => trimmed,
        };
        if trimmed.len() == link.len() {
            return link;
        }
        link = trimmed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn punctuation_around_a_link_is_left_out() {
        assert_eq!(links_in("see (https://a.example/l/x1)."), ["https://a.example/l/x1"]);
        assert_eq!(links_in("HTTP://127.0.0.1:8080/l/Ab9?a=1&b=2, now!"), ["HTTP://127.0.0.1:8080/l/Ab9?a=1&b=2"]);
        assert_eq!(
            links_in("https://e.example/wiki/A_(b) *https://f.example*"),
            ["https://e.example/wiki/A_(b)", "https://f.example"]
        );
    }

    #[test]
    fn texts_without_links_have_none() {
        assert!(links_in("ftp://x.example www.example.com http:// nothing").is_empty());
    }
}
