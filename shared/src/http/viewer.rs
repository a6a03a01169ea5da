//! Who stands before a function that anybody can call: address, place and user agent of a request.

use http::HeaderMap;
use subtle::ConstantTimeEq;

/// Longest user agent kept, in bytes.
const MAX_USER_AGENT_BYTES: usize = 512;

/// Longest name of a city or region kept, in bytes.
const MAX_PLACE_BYTES: usize = 128;

/// A visitor, as far as the request tells. Personal, so it has no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Viewer {
    /// Their address.
    pub ip: Option<String>,
    /// Their country as a trusted edge tells it (ISO 3166 alpha-2).
    pub country: Option<String>,
    /// Their region, as a trusted edge tells it: the part of ISO 3166-2 after the country.
    pub region: Option<String>,
    /// Their city, as a trusted edge tells it.
    pub city: Option<String>,
    /// The number of their network (autonomous system), as a trusted edge tells it.
    pub asn: Option<u32>,
    /// Their user agent, at most 512 bytes.
    pub user_agent: Option<String>,
}

/// Whether a request came through our own CloudFront distribution, which sends `edge_secret` as `x-edge-secret`. Only then
/// what it says about the viewer is believed.
#[must_use]
pub fn came_through_edge(headers: &HeaderMap, edge_secret: Option<&str>) -> bool {
    let given = headers.get("x-edge-secret").map(http::HeaderValue::as_bytes);
    edge_secret.zip(given).is_some_and(|(expected, given)| given.ct_eq(expected.as_bytes()).into())
}

impl Viewer {
    /// From a request's headers and the address that it came from. `edge_secret` is what our own CloudFront distribution
    /// sends as `x-edge-secret`; only with it are its headers believed.
    #[must_use]
    pub fn of(headers: &HeaderMap, source_ip: Option<String>, edge_secret: Option<&str>) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let edge = came_through_edge(headers, edge_secret);
        let told = |name: &str| text(name).filter(|value| edge && !value.is_empty());
        // CloudFront writes names that are not ASCII percent-encoded.
        let decoded = |name: &str| {
            let value = percent_encoding::percent_decode_str(told(name)?).decode_utf8().ok()?;
            Some(shorten(&value, MAX_PLACE_BYTES).to_owned())
        };
        let viewer_ip = told("cloudfront-viewer-address").and_then(|address| {
            // `ip:port`, and an IPv6 address comes without brackets: the last colon is the port's.
            address.rsplit_once(':').map(|(ip, _)| ip.to_owned())
        });
        Self {
            ip: viewer_ip.or(source_ip),
            country: told("cloudfront-viewer-country").map(str::to_owned),
            region: decoded("cloudfront-viewer-country-region"),
            city: decoded("cloudfront-viewer-city"),
            asn: told("cloudfront-viewer-asn").and_then(|asn| asn.parse().ok()),
            user_agent: user_agent(headers),
        }
    }
}

/// Some apps put their name, or a phone's, into it as it is: what is not ASCII must not cost the rest.
fn user_agent(headers: &HeaderMap) -> Option<String> {
    let agent = String::from_utf8_lossy(headers.get(http::header::USER_AGENT)?.as_bytes());
    Some(shorten(&agent, MAX_USER_AGENT_BYTES).to_owned())
}

fn shorten(text: &str, max_bytes: usize) -> &str {
    let end = (0..=max_bytes.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn a_user_agent_is_cut_between_characters() {
        assert_eq!(shorten("añb", 2), "a");
        assert_eq!(shorten("añb", 3), "añ");
        assert_eq!(shorten("a", 512), "a");
    }

    #[test]
    fn a_user_agent_that_is_not_ascii_is_kept() {
        let of = |agent: &[u8]| {
            let headers = HeaderMap::from_iter([(http::header::USER_AGENT, HeaderValue::from_bytes(agent).unwrap())]);
            Viewer::of(&headers, None, None).user_agent.unwrap()
        };
        assert_eq!(of("Mozilla/5.0 (Linux; Android 15; Añb)".as_bytes()), "Mozilla/5.0 (Linux; Android 15; Añb)");
        assert_eq!(of(b"Mozilla/5.0 (iPhone; \xe9)"), "Mozilla/5.0 (iPhone; \u{fffd})");
        assert!(of(&[0xe9; 512]).len() <= MAX_USER_AGENT_BYTES);
    }

    #[test]
    fn only_our_own_edge_is_believed() {
        let headers = |secret: &'static str| {
            let pairs = [
                ("x-edge-secret", secret),
                ("cloudfront-viewer-address", "2001:db8::1:443"),
                ("cloudfront-viewer-country", "MY"),
                ("cloudfront-viewer-country-region", "14"),
                ("cloudfront-viewer-city", "Petaling%20Jaya"),
                ("cloudfront-viewer-asn", "4788"),
            ];
            HeaderMap::from_iter(
                pairs.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))),
            )
        };
        let of = |secret, expected: Option<&str>| {
            let viewer = Viewer::of(&headers(secret), Some("192.0.2.1".to_owned()), expected);
            let place = [viewer.country, viewer.region, viewer.city, viewer.asn.map(|asn| asn.to_string())];
            (viewer.ip.unwrap(), place)
        };
        let place = ["MY", "14", "Petaling Jaya", "4788"].map(|text| Some(text.to_owned()));
        assert_eq!(of("right", Some("right")), ("2001:db8::1".to_owned(), place));
        for (secret, expected) in [("wrong", Some("right")), ("", None), ("right", None)] {
            assert_eq!(of(secret, expected), ("192.0.2.1".to_owned(), [None, None, None, None]));
        }
    }
}
