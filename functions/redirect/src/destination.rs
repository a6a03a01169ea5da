//! The address a click is sent to: the stored one, with what the click brings along.

use shared::link::click_id::{ClickId, PARAMETER};
use url::Url;

/// The stored destination with the click's query parameters and, if it is to be told, the click's id; a parameter that the
/// destination has itself stays as stored, so a link cannot be bent, and nobody but us says which click it was. `None` when
/// the stored text is not an address.
pub(crate) fn of_click(stored: &str, query: &str, click: Option<ClickId>) -> Option<String> {
    let mut url = Url::parse(stored).ok()?;
    let known: Vec<String> = url.query_pairs().map(|(name, _)| name.into_owned()).collect();
    let told = |name: &str| click.is_some() && name == PARAMETER;
    let passed_on = url::form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| !told(name) && !known.iter().any(|known| known == name))
        .map(|(name, value)| (name.into_owned(), value.into_owned()));
    let id = click.filter(|_| !known.iter().any(|known| known == PARAMETER));
    let added: Vec<(String, String)> = passed_on.chain(id.map(|id| (PARAMETER.to_owned(), id.to_string()))).collect();
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
            assert_eq!(of_click(stored, query, None).as_deref(), Some(expected));
        }
    }

    #[test]
    fn no_query_can_change_the_host() {
        let location =
            of_click("https://shop.example/", "redir_url=https%3A%2F%2Fevil.example&@evil.example", None).unwrap();
        assert_eq!(Url::parse(&location).unwrap().host_str(), Some("shop.example"));
    }

    #[test]
    fn the_clicks_id_is_told_beside_whatever_the_destination_has() {
        let id = "F2KIc8oQLFvS.01J00000000000000000000009";
        let cases = [
            ("https://shop.example/a", "", format!("https://shop.example/a?tt_cid={id}")),
            (
                "https://shop.example/?b=1#/cart?x=2",
                "c=3",
                format!("https://shop.example/?b=1&c=3&tt_cid={id}#/cart?x=2"),
            ),
            ("https://shop.example/a", "tt_cid=forged", format!("https://shop.example/a?tt_cid={id}")),
            ("https://shop.example/a?tt_cid=own", "", "https://shop.example/a?tt_cid=own".to_owned()),
        ];
        for (stored, query, expected) in cases {
            let location = of_click(stored, query, Some(id.parse().unwrap())).unwrap();
            assert_eq!(location, expected);
            assert!(location.bytes().all(|byte| byte.is_ascii_graphic()), "a header takes it");
        }
    }
}
