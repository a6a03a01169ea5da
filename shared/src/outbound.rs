//! Requests to addresses that users name: which of them we make. Without rules, whoever may create a webhook could let us call
//! what only we can reach (server-side request forgery): the cloud's metadata service, a database beside us.
//!
//! A URL is judged twice. [`Rules::check`] looks at what is written: scheme, port, credentials, a host that is an address.
//! [`Rules::client`] makes HTTP clients that resolve names here, judge every address a name has, and connect to those very
//! addresses; so a name that changes its meaning between the look and the call (DNS rebinding) changes nothing.

pub mod address;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect;
use url::{Host, Url};

use self::address::Reach;

/// Longest URL that is taken, in bytes.
pub const MAX_URL_BYTES: usize = 2_048;

/// The lowest port of those that need no privilege (RFC 6335: user ports).
const FIRST_USER_PORT: u16 = 1_024;

/// Which addresses may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rules {
    /// The public internet, over https.
    Public,
    /// The same, and besides machines of one's own network and this machine itself, there over http as well: for a stack on
    /// one's own machine, where n8n is at `http://localhost:5678`.
    PublicAndPrivate,
}

/// Why an address is not called. The text names no part of the URL, whose path is often a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAllowed {
    /// It is no URL that can be called.
    #[error("must be a URL such as https://crm.example/hooks")]
    Malformed,
    /// It is too long.
    #[error("must have at most 2048 bytes")]
    TooLong,
    /// `user:password@`.
    #[error("must not contain a user or a password: the signature proves who calls")]
    Credentials,
    /// Another scheme.
    #[error("must begin with https://")]
    Scheme,
    /// http to what is not one's own network.
    #[error("must begin with https:// unless it is on your own network")]
    PlainText,
    /// A port that no web server has.
    #[error("the port must be the usual one, or 1024 and above")]
    Port,
    /// An address that is not on the public internet.
    #[error("the host must be on the public internet")]
    Address,
    /// The name has no address, or the name service does not answer.
    #[error("the host name cannot be resolved")]
    Unresolved,
}

/// A URL that [`Rules::check`] has let through.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    url: Url,
    scope: Scope,
}

/// What the addresses of a host must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    Public,
    Private,
    Both,
}

impl Scope {
    fn takes(self, address: IpAddr) -> bool {
        match address::reach(address) {
            Reach::Public => self != Self::Private,
            Reach::Private => self != Self::Public,
            Reach::Never => false,
        }
    }
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Target(…)")
    }
}

impl Rules {
    /// What a setting says: whether addresses of one's own network are allowed.
    #[must_use]
    pub const fn from_setting(allow_private: bool) -> Self {
        if allow_private { Self::PublicAndPrivate } else { Self::Public }
    }

    /// Judges a URL as it is written. A host that is a name is judged by its addresses when it is called.
    ///
    /// # Errors
    /// [`NotAllowed`].
    pub fn check(self, text: &str) -> Result<Target, NotAllowed> {
        if text.len() > MAX_URL_BYTES {
            return Err(NotAllowed::TooLong);
        }
        // The parser also unmasks addresses that are written as numbers, in octal or with fewer parts.
        let mut url = Url::parse(text.trim()).map_err(|_| NotAllowed::Malformed)?;
        let plain = match url.scheme() {
            "https" => false,
            "http" => true,
            _ => return Err(NotAllowed::Scheme),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(NotAllowed::Credentials);
        }
        let scope = match (self, plain) {
            (Self::Public, true) => return Err(NotAllowed::Scheme),
            (Self::Public, false) => Scope::Public,
            (Self::PublicAndPrivate, true) => Scope::Private,
            (Self::PublicAndPrivate, false) => Scope::Both,
        };
        // `port` is none for the scheme's own.
        if url.port().is_some_and(|port| port < FIRST_USER_PORT) {
            return Err(NotAllowed::Port);
        }
        match url.host() {
            None => return Err(NotAllowed::Malformed),
            Some(Host::Domain(_)) => {}
            Some(Host::Ipv4(address)) => allowed(scope, IpAddr::V4(address))?,
            Some(Host::Ipv6(address)) => allowed(scope, IpAddr::V6(address))?,
        }
        url.set_fragment(None);
        Ok(Target { url, scope })
    }

    /// The same, and looks up whether the name has addresses that may be called now.
    ///
    /// # Errors
    /// [`NotAllowed`].
    pub async fn check_with_addresses(self, text: &str) -> Result<Target, NotAllowed> {
        let target = self.check(text)?;
        if let Some(Host::Domain(name)) = target.url.host() {
            resolve(name, target.scope).await?;
        }
        Ok(target)
    }

    /// Clients for what these rules allow: no redirects (one could lead anywhere), no proxy of the environment (it would
    /// resolve names by itself), no address that the rules forbid.
    ///
    /// # Errors
    /// When no client can be built, for want of a trust store for instance.
    pub fn client(self, connect: Duration, total: Duration) -> Result<Client, reqwest::Error> {
        let of = |scope: Scope| {
            reqwest::Client::builder()
                .redirect(redirect::Policy::none())
                .no_proxy()
                .referer(false)
                .connect_timeout(connect)
                .timeout(total)
                .dns_resolver(Arc::new(Resolver(scope)))
                .user_agent(concat!("Thirdtick/", env!("CARGO_PKG_VERSION")))
                .build()
        };
        Ok(Client { public: of(Scope::Public)?, private: of(Scope::Private)?, both: of(Scope::Both)? })
    }
}

fn allowed(scope: Scope, address: IpAddr) -> Result<(), NotAllowed> {
    if scope.takes(address) {
        return Ok(());
    }
    match (scope, address::reach(address)) {
        (Scope::Private, Reach::Public) => Err(NotAllowed::PlainText),
        _ => Err(NotAllowed::Address),
    }
}

/// HTTP clients that call only what [`Rules`] allow.
#[derive(Clone, Debug)]
pub struct Client {
    public: reqwest::Client,
    private: reqwest::Client,
    both: reqwest::Client,
}

impl Client {
    /// A POST to the target, not sent yet.
    pub fn post(&self, target: &Target) -> reqwest::RequestBuilder {
        let http = match target.scope {
            Scope::Public => &self.public,
            Scope::Private => &self.private,
            Scope::Both => &self.both,
        };
        http.post(target.url.clone())
    }
}

impl Target {
    /// The URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.url.as_str()
    }
}

/// Resolves names for one client; connections go to what it returns.
struct Resolver(Scope);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let scope = self.0;
        Box::pin(async move {
            let addresses = resolve(name.as_str(), scope).await?;
            // Port 0 stands for the URL's.
            let addresses = addresses.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}

/// All addresses of a name, if the scope takes every one of them: of a name with a forbidden address among others nothing
/// good is to be expected.
async fn resolve(name: &str, scope: Scope) -> Result<Vec<IpAddr>, NotAllowed> {
    let found = tokio::net::lookup_host((name, 0)).await.map_err(|_| NotAllowed::Unresolved)?;
    let addresses: Vec<IpAddr> = found.map(|socket| socket.ip()).collect();
    if addresses.is_empty() {
        return Err(NotAllowed::Unresolved);
    }
    addresses.iter().try_for_each(|address| allowed(scope, *address))?;
    Ok(addresses)
}

/// The rule that has stopped a call, if it was one.
#[must_use]
pub fn forbidden(error: &reqwest::Error) -> Option<NotAllowed> {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref::<NotAllowed>() {
            return Some(found.clone());
        }
        cause = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public(url: &str) -> Result<(), NotAllowed> {
        Rules::Public.check(url).map(|_| ())
    }

    #[test]
    fn only_https_to_the_public_internet_is_called() {
        for url in [
            "https://crm.example/hooks?token=x",
            "https://n8n.example:5678/webhook/1",
            "https://crm.example:8443/",
            "https://93.184.215.14/",
            "https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/",
        ] {
            assert_eq!(public(url), Ok(()), "{url}");
        }
        for (url, expected) in [
            ("crm.example", NotAllowed::Malformed),
            ("https://", NotAllowed::Malformed),
            ("http://crm.example/", NotAllowed::Scheme),
            ("ftp://crm.example/", NotAllowed::Scheme),
            ("file:///etc/passwd", NotAllowed::Scheme),
            ("gopher://crm.example/", NotAllowed::Scheme),
            ("https://user@crm.example/", NotAllowed::Credentials),
            ("https://:password@crm.example/", NotAllowed::Credentials),
            ("https://crm.example:22/", NotAllowed::Port),
            ("https://crm.example:25/", NotAllowed::Port),
            ("https://127.0.0.1/", NotAllowed::Address),
            ("https://169.254.169.254/latest/meta-data/", NotAllowed::Address),
            // Other spellings of 127.0.0.1, and of 169.254.169.254.
            ("https://2130706433/", NotAllowed::Address),
            ("https://0x7f.1/", NotAllowed::Address),
            ("https://0177.0.0.1/", NotAllowed::Address),
            ("https://127.1/", NotAllowed::Address),
            ("https://[::ffff:127.0.0.1]/", NotAllowed::Address),
            ("https://[::ffff:a9fe:a9fe]/", NotAllowed::Address),
            ("https://１２７.0.0.1/", NotAllowed::Address),
            ("https://[::1]/", NotAllowed::Address),
        ] {
            assert_eq!(public(url), Err(expected), "{url}");
        }
        assert_eq!(public(&format!("https://crm.example/{}", "a".repeat(MAX_URL_BYTES))), Err(NotAllowed::TooLong));
    }

    #[test]
    fn ones_own_network_is_called_when_a_setting_says_so_and_only_there_without_encryption() {
        let check = |url: &str| Rules::from_setting(true).check(url).map(|_| ());
        for url in
            ["http://localhost:5678/webhook", "http://127.0.0.1:1234/", "http://192.168.1.20/", "https://10.0.0.1/"]
        {
            assert_eq!(check(url), Ok(()), "{url}");
        }
        assert_eq!(check("https://crm.example/"), Ok(()));
        assert_eq!(check("http://93.184.215.14/"), Err(NotAllowed::PlainText));
        assert_eq!(check("http://169.254.169.254/"), Err(NotAllowed::Address), "metadata stays out of reach");
        assert_eq!(check("http://[fd00:ec2::254]/"), Err(NotAllowed::Address));
        assert_eq!(check("http://user:x@localhost/"), Err(NotAllowed::Credentials));
        assert_eq!(check("http://localhost:22/"), Err(NotAllowed::Port));
    }

    #[tokio::test]
    async fn a_name_is_judged_by_its_addresses_at_the_look_and_at_the_call() {
        let name = "https://localhost:9443/";
        assert_eq!(Rules::Public.check_with_addresses(name).await, Err(NotAllowed::Address));
        assert!(Rules::PublicAndPrivate.check_with_addresses(name).await.is_ok());

        // As if the name had become another address after the look.
        let target = Rules::Public.check(name).unwrap();
        let client = Rules::Public.client(Duration::from_secs(3), Duration::from_secs(3)).unwrap();
        let error = client.post(&target).send().await.unwrap_err();
        assert_eq!(forbidden(&error), Some(NotAllowed::Address));
    }

    #[test]
    fn a_target_is_not_shown() {
        let target = Rules::Public.check("https://crm.example/secret-path#part").unwrap();
        assert_eq!(format!("{target:?}"), "Target(…)");
        assert_eq!(target.as_str(), "https://crm.example/secret-path");
    }
}
