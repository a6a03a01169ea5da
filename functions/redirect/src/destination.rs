//! The address a click is sent to: the stored one, with what the click brings along.
//!
//! Of a parameter that several have, one is left. The destination's own wins over the click's, so a link cannot be bent; but
//! for UTM parameters, which say where a visitor came from: there the click knows best, then the destination, then the link.

use shared::link::click_id::{ClickId, PARAMETER};
use shared::link::utm::Utm;
use url::Url;
use url::form_urlencoded::{Serializer, parse};

/// What every UTM parameter's name begins with.
const UTM: &str = "utm_";

/// Longest query of a click that is passed on, in bytes: an answer's headers have at most 10 KB on API Gateway.
const MAX_QUERY_BYTES: usize = 4_096;

/// The stored destination with the click's query parameters, the link's UTM parameters and, if it is to be told, the click's
/// id, which nobody but us says. `None` when the stored text is not an address.
pub(crate) fn of_click(stored: &str, query: &str, utm: &Utm, click: Option<ClickId>) -> Option<String> {
    let mut url = Url::parse(stored).ok()?;
    let query = Some(query).filter(|query| query.len() <= MAX_QUERY_BYTES).unwrap_or_default();
    let brought: Vec<(String, String)> = parse(query.as_bytes())
        .filter(|(name, _)| !name.is_empty() && (click.is_none() || name != PARAMETER))
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    let is_brought = |name: &str| brought.iter().any(|(brought, _)| brought == name);

    let own = url.query().unwrap_or_default();
    let kept: Vec<&str> = own.split('&').filter(|part| !is_utm(part) || !is_brought(&name_of(part))).collect();
    let names: Vec<String> = kept.iter().map(|part| name_of(part)).collect();
    let is_own = |name: &str| names.iter().any(|own| own == name);

    let mut added = Serializer::new(String::new());
    added.extend_pairs(brought.iter().filter(|(name, _)| !is_own(name)));
    added.extend_pairs(utm.parameters().filter(|(name, _)| !is_own(name) && !is_brought(name)));
    added.extend_pairs(click.filter(|_| !is_own(PARAMETER)).map(|id| (PARAMETER, id.to_string())));
    let added = added.finish();
    if !added.is_empty() {
        // As it is stored, for some sites read more into a query than its parameters.
        let kept = kept.join("&");
        let both = [kept.as_str(), added.as_str()].into_iter().filter(|part| !part.is_empty());
        url.set_query(Some(&both.collect::<Vec<_>>().join("&")));
    }
    Some(url.into())
}

fn is_utm(part: &str) -> bool {
    name_of(part).starts_with(UTM)
}

fn name_of(part: &str) -> String {
    parse(part.as_bytes()).next().map(|(name, _)| name.into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(stored: &str, query: &str) -> String {
        of_click(stored, query, &Utm::default(), None).unwrap()
    }

    #[test]
    fn parameters_of_the_click_are_passed_through() {
        let cases = [
            ("https://shop.example/a", "fbclid=x&utm_source=wa", "https://shop.example/a?fbclid=x&utm_source=wa"),
            ("https://shop.example/a?b=1#c", "d=2", "https://shop.example/a?b=1&d=2#c"),
            ("https://shop.example/a?b=1", "b=evil", "https://shop.example/a?b=1"),
            ("https://shop.example/a?%62=1", "b=evil", "https://shop.example/a?%62=1"),
            ("https://shop.example/a", "", "https://shop.example/a"),
            ("https://shop.example/a?flag&x=%20y", "z=1", "https://shop.example/a?flag&x=%20y&z=1"),
            ("https://shop.example/a", "tt_cid=theirs", "https://shop.example/a?tt_cid=theirs"),
        ];
        for (stored, query, expected) in cases {
            assert_eq!(of(stored, query), expected);
        }
        let long = format!("a={}", "x".repeat(MAX_QUERY_BYTES));
        assert_eq!(of("https://shop.example/a", &long), "https://shop.example/a");
    }

    #[test]
    fn of_utm_parameters_the_click_knows_best_then_the_destination_then_the_link() {
        let utm = Utm { source: Some("whatsapp".into()), medium: Some("qr code".into()), ..Utm::default() };
        let of = |stored: &str, query: &str| of_click(stored, query, &utm, None).unwrap();
        let cases = [
            ("https://shop.example/", "", "https://shop.example/?utm_source=whatsapp&utm_medium=qr+code"),
            (
                "https://shop.example/?utm_source=own&a=1",
                "",
                "https://shop.example/?utm_source=own&a=1&utm_medium=qr+code",
            ),
            (
                "https://shop.example/?utm_source=own&a=1",
                "utm_source=flyer",
                "https://shop.example/?a=1&utm_source=flyer&utm_medium=qr+code",
            ),
            (
                "https://shop.example/?utm_source=own",
                "utm_source=a&utm_medium=b",
                "https://shop.example/?utm_source=a&utm_medium=b",
            ),
        ];
        for (stored, query, expected) in cases {
            assert_eq!(of(stored, query), expected);
        }
    }

    #[test]
    fn no_query_can_change_the_host() {
        let tries = [
            "redir_url=https%3A%2F%2Fevil.example&@evil.example",
            "url=//evil.example",
            "#@evil.example/",
            "%0d%0aLocation:%20https://evil.example",
            "=https://evil.example",
            "\\evil.example",
        ];
        for query in tries {
            let location = of("https://shop.example/", query);
            let url = Url::parse(&location).unwrap();
            assert_eq!((url.host_str(), url.path(), url.fragment()), (Some("shop.example"), "/", None), "{query}");
            assert!(location.bytes().all(|byte| byte.is_ascii_graphic()), "a header takes it: {location}");
        }
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
            let location = of_click(stored, query, &Utm::default(), Some(id.parse().unwrap())).unwrap();
            assert_eq!(location, expected);
            assert!(location.bytes().all(|byte| byte.is_ascii_graphic()), "a header takes it");
        }
    }
}
