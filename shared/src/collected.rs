//! Events that web pages report, on their way from `collect` to `ingest`, and the publishable keys that they come with.

use std::fmt;

use serde::{Deserialize, Serialize};
use ulid::Ulid;

use crate::activity::Visitor;
use crate::activity::custom::{EventName, Properties};
use crate::attempt::Money;
use crate::id::{AccountId, WorkspaceId, WriteKeyId};
use crate::phone::PhoneNumber;
use crate::time::UnixMillis;

/// Most origins that a key names.
pub const MAX_ORIGINS: usize = 50;

/// A key with which web pages report events. It stands in the source of those pages for everybody to read, so it opens
/// nothing else, is no secret, and is its own id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteKey {
    /// Version of the stored shape.
    pub v: u8,
    /// The key itself.
    pub id: WriteKeyId,
    /// The workspace that the events go to.
    pub workspace: WorkspaceId,
    /// Given by the operator.
    pub name: String,
    /// The account in whose feed they are; in the workspace's own without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// The origins that it is taken from; any when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed_origins: Vec<Origin>,
    /// When it was made.
    pub created_at: UnixMillis,
    /// Since when it is taken no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<UnixMillis>,
}

impl WriteKey {
    /// Whether a page of this origin may use it. A request that names no origin comes from no page.
    #[must_use]
    pub fn takes(&self, origin: Option<&str>) -> bool {
        self.allowed_origins.is_empty()
            || origin.is_some_and(|origin| self.allowed_origins.iter().any(|allowed| allowed.covers(origin)))
    }
}

/// An origin of web pages, such as `https://shop.example`, or all subdomains of one: `https://*.shop.example`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Origin(String);

/// A text that is not an origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an origin such as https://shop.example or https://*.shop.example: scheme, host and port only")]
pub struct NoOrigin;

impl TryFrom<String> for Origin {
    type Error = NoOrigin;

    fn try_from(text: String) -> Result<Self, NoOrigin> {
        let (scheme, rest) = text.split_once("://").ok_or(NoOrigin)?;
        let (star, host) = rest.strip_prefix("*.").map_or(("", rest), |host| ("*.", host));
        let url = url::Url::parse(&format!("{scheme}://{host}")).map_err(|_| NoOrigin)?;
        let bare = matches!(url.scheme(), "http" | "https")
            && matches!(url.path(), "" | "/")
            && (url.username(), url.password(), url.query(), url.fragment()) == ("", None, None, None);
        let origin = url.origin().ascii_serialization();
        match origin.split_once("://") {
            Some((scheme, host)) if bare => Ok(Self(format!("{scheme}://{star}{host}"))),
            _ => Err(NoOrigin),
        }
    }
}

impl From<Origin> for String {
    fn from(origin: Origin) -> Self {
        origin.0
    }
}

impl Origin {
    /// Whether it is, or is above, an origin as browsers write it.
    #[must_use]
    pub fn covers(&self, origin: &str) -> bool {
        match self.0.split_once("*.") {
            None => self.0 == origin,
            Some((scheme, parent)) => origin
                .strip_prefix(scheme)
                .and_then(|host| host.strip_suffix(parent))
                .is_some_and(|subdomain| subdomain.len() > 1 && subdomain.ends_with('.')),
        }
    }
}

/// What a page has reported, as it was taken in. The address and the user agent are used for enrichment by `ingest` and
/// are not stored.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Collected {
    /// Made by `collect`; the same on every delivery of this message.
    pub id: Ulid,
    /// When it was taken in.
    pub received_at: UnixMillis,
    /// The key it came with.
    pub key: WriteKeyId,
    /// Whose it is.
    pub workspace: WorkspaceId,
    /// The key's account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// The user agent, at most 512 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// The visitor's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// Country as a trusted edge tells it (ISO 3166 alpha-2), or as `ingest` has worked it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// Who it was, once that is worked out; address and user agent are gone then, and `country` is the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visitor: Option<Visitor>,
    /// At least one; none in the place of one that was erased, for an event without an id is named by its place.
    pub events: Vec<Option<WebEvent>>,
}

impl Collected {
    /// The events that are not erased, each with its place.
    pub fn with_places(&self) -> impl Iterator<Item = (usize, &WebEvent)> {
        self.events.iter().enumerate().filter_map(|(place, event)| Some((place, event.as_ref()?)))
    }
}

impl fmt::Debug for Collected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Collected({}: {} events)", self.id, self.events.len())
    }
}

/// One event of a page. Whom it concerns is personal, so its `Debug` shows the name only.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct WebEvent {
    /// The page's own id of it: the same id is the same event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What happened.
    pub name: EventName,
    /// When, as far as the page's clock can be believed.
    pub at: UnixMillis,
    /// The browser that it happened in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anonymous_id: Option<String>,
    /// The person's e-mail address, trimmed and in lower case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    /// The person's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<PhoneNumber>,
    /// What the link that led here had appended as `tt_cid`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub click_id: Option<String>,
    /// Whether it is what the operator is after.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub conversion: bool,
    /// What it was worth.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Money>,
    /// What else the page tells.
    #[serde(default, skip_serializing_if = "Properties::is_empty")]
    pub properties: Properties,
}

impl fmt::Debug for WebEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebEvent({})", self.name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(text: &str) -> Result<Origin, NoOrigin> {
        Origin::try_from(text.to_owned())
    }

    #[test]
    fn origins_are_scheme_host_and_port() {
        assert_eq!(String::from(origin("https://Shop.example/").unwrap()), "https://shop.example");
        assert_eq!(String::from(origin("https://shop.example:443").unwrap()), "https://shop.example");
        assert_eq!(String::from(origin("http://localhost:3000").unwrap()), "http://localhost:3000");
        assert_eq!(String::from(origin("https://*.shop.example").unwrap()), "https://*.shop.example");
        for wrong in ["shop.example", "https://shop.example/a", "https://u@shop.example", "file:///x", "https://", "*"]
        {
            assert_eq!(origin(wrong), Err(NoOrigin), "{wrong}");
        }
    }

    #[test]
    fn a_key_is_taken_from_its_own_origins_only() {
        let exact = origin("https://shop.example").unwrap();
        assert!(exact.covers("https://shop.example"));
        for other in ["http://shop.example", "https://evil-shop.example", "https://shop.example.evil", "null"] {
            assert!(!exact.covers(other), "{other}");
        }
        let below = origin("https://*.shop.example").unwrap();
        assert!(below.covers("https://my.shop.example") && below.covers("https://a.b.shop.example"));
        for other in
            ["https://shop.example", "https://.shop.example", "https://evilshop.example", "http://a.shop.example"]
        {
            assert!(!below.covers(other), "{other}");
        }
    }
}
