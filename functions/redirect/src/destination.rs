//! The address a click is sent to: the stored one, with what the click brings along.

use url::Url;

/// The stored destination with the click's query parameters; a parameter that the destination has itself stays as
/// stored, so a link cannot be bent. `None` when the stored text is not an address.
pub(crate) fn with_query(stored: &str, query: &str) -> Option<String> {
    let mut url = Url::parse(stored).ok()?;
    let known: Vec<String> = url.query_pairs().map(|(name, _)| name.into_owned()).collect();
    let added: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| !known.iter().any(|known| known == name))
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    if !added.is_empty() {
        url.query_pairs_mut().extend_pairs(added);
    }
    Some(url.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_of_the_click_are_passed_through() {
        let cases = [
            ("https://shop.example/a", "fbclid=x&utm_source=wa", "https://shop.example/a?fbclid=x&utm_source=wa"),
            ("https://shop.example/a?b=1#c", "d=2", "https://shop.example/a?b=1&d=2#c"),
            ("https://shop.example/a?b=1", "b=evil", "https://shop.example/a?b=1"),
            ("https://shop.example/a", "", "https://shop.example/a"),
        ];
        for (stored, query, expected) in cases {
            assert_eq!(with_query(stored, query).as_deref(), Some(expected));
        }
    }

    #[test]
    fn no_query_can_change_the_host() {
        let location =
            with_query("https://shop.example/", "redir_url=https%3A%2F%2Fevil.example&@evil.example").unwrap();
        assert_eq!(Url::parse(&location).unwrap().host_str(), Some("shop.example"));
    }
}
