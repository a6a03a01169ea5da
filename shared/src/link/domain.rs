//! Domains for short links. A workspace may have domains of its own, for Meta asks senders to link to a domain of the
//! business; codes of one domain mean nothing on another.

use std::borrow::Borrow;
use std::fmt;

use serde::{Deserialize, Serialize};
use url::Host;

use super::code::Tweak;
use crate::id::WorkspaceId;
use crate::time::UnixMillis;

/// Scope of the codes on the deployment's own domain.
const DEFAULT_SCOPE: &str = "default";

/// Longest host name (RFC 1035, section 2.3.4, less the dot of the root), in bytes.
const MAX_BYTES: usize = 253;

/// Endings of names that mean something on one network only (RFC 6761, RFC 6762, RFC 8375, ICANN's `internal`).
const LOCAL_ENDINGS: [&str; 7] = ["localhost", "local", "internal", "home.arpa", "lan", "localdomain", "intranet"];

/// The name of a host on the internet as it stands in DNS: lower case, in ASCII (IDNA), with at least one dot in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DomainName(String);

/// A text that is not the name of a host on the internet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotADomain {
    /// It is no host name, or more than one.
    #[error("must be a host name such as go.brand.example, without scheme, port and path")]
    Malformed,
    /// It is one that only one network knows.
    #[error("must be a name on the public internet")]
    Local,
}

impl DomainName {
    /// Reads a name as people write it, in any script.
    ///
    /// # Errors
    /// [`NotADomain`].
    pub fn parse(text: &str) -> Result<Self, NotADomain> {
        let text = text.trim().trim_end_matches('.');
        // What the parser decodes or drops is none of a bare name.
        if text.is_empty() || text.chars().any(|c| "/:@?#%\\[]".contains(c) || c.is_whitespace()) {
            return Err(NotADomain::Malformed);
        }
        let Ok(Host::Domain(name)) = Host::parse(text) else {
            return Err(NotADomain::Malformed);
        };
        if is_local(&name) {
            return Err(NotADomain::Local);
        }
        let labels_fit = name.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        });
        if name.len() > MAX_BYTES || !name.contains('.') || !labels_fit {
            return Err(NotADomain::Malformed);
        }
        Ok(Self(name))
    }

    /// The name in a `Host` header, which may carry a port.
    #[must_use]
    pub fn of_host_header(host: &str) -> Option<Self> {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        Self::parse(name).ok()
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a name means something on one network only.
#[must_use]
pub fn is_local(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    LOCAL_ENDINGS
        .iter()
        .any(|ending| name.strip_suffix(ending).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')))
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for DomainName {
    type Error = NotADomain;

    fn try_from(text: String) -> Result<Self, NotADomain> {
        Self::parse(&text)
    }
}

impl From<DomainName> for String {
    fn from(name: DomainName) -> Self {
        name.0
    }
}

impl Borrow<str> for DomainName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// A domain of a workspace as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkDomain {
    /// Version of the stored shape.
    pub v: u8,
    /// Its name; no two workspaces have the same.
    pub domain: DomainName,
    /// Whose it is.
    pub workspace: WorkspaceId,
    /// When it was added.
    pub created_at: UnixMillis,
}

impl LinkDomain {
    /// The codes and aliases on it.
    #[must_use]
    pub fn site(&self) -> Site {
        Site::Own { workspace: self.workspace, domain: self.domain.clone() }
    }
}

/// Where codes and aliases count. Those of one site mean nothing on another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Site {
    /// The deployment's own domain, which all workspaces share.
    Shared,
    /// A workspace's domain. The workspace is part of it: when a domain has changed hands, what its former owner had on it is
    /// noise.
    Own {
        /// Whose domain it is.
        workspace: WorkspaceId,
        /// Its name.
        domain: DomainName,
    },
}

impl Site {
    /// What binds codes to it.
    #[must_use]
    pub fn tweak(&self) -> Tweak {
        match self {
            Self::Shared => Tweak::for_scope(DEFAULT_SCOPE),
            Self::Own { workspace, domain } => Tweak::for_scope(&format!("{workspace} {domain}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_is_a_bare_name_on_the_internet() {
        for (text, expected) in [
            ("go.brand.example", "go.brand.example"),
            (" GO.Brand.Example. ", "go.brand.example"),
            ("go.bücher.example", "go.xn--bcher-kva.example"),
        ] {
            assert_eq!(DomainName::parse(text).map(String::from), Ok(expected.to_owned()), "{text}");
        }
        for text in [
            "",
            ".",
            "brand",
            "https://go.brand.example",
            "go.brand.example/l",
            "go.brand.example:443",
            "a@b.example",
            "127.0.0.1",
            "0x7f.1",
            "[::1]",
            "go brand.example",
            "go..example",
            "-go.example",
            "go_.example",
            "%67o.brand.example",
            "go.brand.example?x",
        ] {
            assert_eq!(DomainName::parse(text), Err(NotADomain::Malformed), "{text}");
        }
        assert_eq!(DomainName::parse(&format!("{}.example", "a".repeat(64))), Err(NotADomain::Malformed));
        for text in ["localhost", "shop.localhost", "printer.local", "db.internal", "router.home.arpa"] {
            assert_eq!(DomainName::parse(text), Err(NotADomain::Local), "{text}");
        }
    }

    #[test]
    fn a_host_header_may_carry_a_port() {
        let name = |header: &str| DomainName::of_host_header(header).map(String::from);
        assert_eq!(name("go.brand.example:8080").as_deref(), Some("go.brand.example"));
        assert_eq!(name("Go.Brand.Example").as_deref(), Some("go.brand.example"));
        for header in ["127.0.0.1:8080", "localhost:8080", "[::1]:8080", "", ":80", "a.example:b"] {
            assert_eq!(name(header), None, "{header}");
        }
    }

    #[test]
    fn a_domain_that_changed_hands_has_another_tweak() {
        let own = |workspace, name: &str| Site::Own { workspace, domain: DomainName::parse(name).unwrap() };
        let other = WorkspaceId::new(UnixMillis(1));
        let sites = [
            own(WorkspaceId::FIRST, "go.brand.example"),
            own(other, "go.brand.example"),
            own(other, "go.other.example"),
            Site::Shared,
        ];
        assert!((0..4).all(|a| (0..a).all(|b| sites[a].tweak() != sites[b].tweak())));
    }
}
