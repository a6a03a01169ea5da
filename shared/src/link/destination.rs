//! Where a link may lead. Only what was judged here is ever stored, and only what is stored is ever answered, so no request
//! can make a link lead elsewhere.
//!
//! It is the visitor's browser that goes there and not we, so a name's addresses are not looked up: what is refused is what
//! can be nobody's shop.

use std::net::IpAddr;

use url::{Host, Url};

use super::domain::is_local;
use crate::outbound::address::{Reach, reach};

pub use crate::outbound::MAX_URL_BYTES;

/// Whether destinations on one's own machine and network are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Networks {
    /// The public internet only.
    Public,
    /// One's own as well: for a shop that is being built at `http://localhost:3000`.
    PublicAndPrivate,
}

/// Why a link may not lead there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotADestination {
    /// It is no URL with a host.
    #[error("must be a URL such as https://shop.example/offer")]
    Malformed,
    /// It is too long.
    #[error("must have at most {MAX_URL_BYTES} bytes")]
    TooLong,
    /// Another scheme, such as `javascript`.
    #[error("must begin with https:// or http://")]
    Scheme,
    /// `user:password@`.
    #[error("must not contain a user or a password")]
    Credentials,
    /// The host is on no public network.
    #[error("the host must be on the public internet")]
    Private,
    /// A domain of short links: the link could lead to itself.
    #[error("must not be a short link")]
    ShortLink,
}

impl Networks {
    /// What a setting says: whether one's own network is allowed.
    #[must_use]
    pub const fn from_setting(allow_private: bool) -> Self {
        if allow_private { Self::PublicAndPrivate } else { Self::Public }
    }

    /// Judges a destination. `short_link_hosts` are the hosts that short links are on.
    ///
    /// # Errors
    /// [`NotADestination`].
    pub fn check(self, text: &str, short_link_hosts: &[&str]) -> Result<(), NotADestination> {
        if text.len() > MAX_URL_BYTES {
            return Err(NotADestination::TooLong);
        }
        // Blanks, line breaks and the like are dropped by the parser; in a stored destination they are a mistake.
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(NotADestination::Malformed);
        }
        // The parser also unmasks addresses that are written as numbers, in octal or with fewer parts.
        let url = Url::parse(text).map_err(|_| NotADestination::Malformed)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(NotADestination::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(NotADestination::Credentials);
        }
        let reach = match url.host() {
            None => return Err(NotADestination::Malformed),
            Some(Host::Ipv4(address)) => reach(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => reach(IpAddr::V6(address)),
            // A name without a dot is a machine of one's own network.
            Some(Host::Domain(name)) if is_local(name) || !name.trim_end_matches('.').contains('.') => Reach::Private,
            Some(Host::Domain(name)) if short_link_hosts.contains(&name.trim_end_matches('.')) => {
                return Err(NotADestination::ShortLink);
            }
            Some(Host::Domain(_)) => Reach::Public,
        };
        match (reach, self) {
            (Reach::Public, _) | (Reach::Private, Self::PublicAndPrivate) => Ok(()),
            (Reach::Private, Self::Public) | (Reach::Never, _) => Err(NotADestination::Private),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_to_the_public_web_only() {
        let check = |url: &str| Networks::Public.check(url, &["go.brand.example"]);
        for url in [
            "https://shop.example/offer?a=1#top",
            "http://shop.example:8080/",
            "https://bücher.example/",
            "https://93.184.215.14/",
        ] {
            assert_eq!(check(url), Ok(()), "{url}");
        }
        for (url, expected) in [
            ("shop.example", NotADestination::Malformed),
            ("https://", NotADestination::Malformed),
            ("https://shop.example/a b", NotADestination::Malformed),
            ("https://shop.example/\r\nset-cookie:a", NotADestination::Malformed),
            ("javascript:alert(1)", NotADestination::Scheme),
            ("data:text/html,x", NotADestination::Scheme),
            ("ftp://shop.example/", NotADestination::Scheme),
            ("myshop://open", NotADestination::Scheme),
            ("https://user@shop.example/", NotADestination::Credentials),
            ("https://user:secret@shop.example/", NotADestination::Credentials),
            ("https://go.brand.example/F2KIc8oQLFvS", NotADestination::ShortLink),
            ("https://GO.brand.example./x", NotADestination::ShortLink),
            ("http://localhost:3000/", NotADestination::Private),
            ("http://shop.localhost/", NotADestination::Private),
            ("http://intranet/", NotADestination::Private),
            ("http://db.internal/", NotADestination::Private),
            ("http://127.0.0.1/", NotADestination::Private),
            ("http://2130706433/", NotADestination::Private),
            ("http://0x7f.1/", NotADestination::Private),
            ("http://10.1.2.3/", NotADestination::Private),
            ("http://169.254.169.254/latest/meta-data/", NotADestination::Private),
            ("http://[::1]/", NotADestination::Private),
            ("http://[fe80::1]/", NotADestination::Private),
            ("http://[::ffff:192.168.0.1]/", NotADestination::Private),
        ] {
            assert_eq!(check(url), Err(expected), "{url}");
        }
        assert_eq!(check(&format!("https://shop.example/{}", "a".repeat(2_048))), Err(NotADestination::TooLong));
    }

    #[test]
    fn ones_own_network_is_a_destination_when_a_setting_says_so() {
        let check = |url: &str| Networks::from_setting(true).check(url, &[]);
        assert_eq!(check("http://localhost:3000/"), Ok(()));
        assert_eq!(check("http://192.168.1.20/"), Ok(()));
        assert_eq!(check("http://169.254.169.254/"), Err(NotADestination::Private), "metadata is nobody's shop");
        assert_eq!(check("http://user:x@localhost/"), Err(NotADestination::Credentials));
    }
}
