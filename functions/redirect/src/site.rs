//! Which domain a request came on, and so whose codes are meant: the deployment's own, or one of a workspace.

use http::{HeaderMap, header};
use lambda_http::Request;
use shared::http::viewer::came_through_edge;
use shared::link::domain::{DomainName, LinkDomain, Site};
use shared::store::StoreError;

use crate::Redirect;
use crate::cache::{Cache, StandIn};

/// The path before the code where the address is not one of links alone. There any host is the deployment's own, unless it
/// is a workspace's: a stack on one machine has as many names as its machine.
const SHARED_PATH: &str = "/l/";

/// The domain that a request came on; `None` when it is nobody's.
pub(crate) async fn of(redirect: &Redirect, request: &Request) -> Result<Option<Site>, StoreError> {
    let Some(host) = host(request.headers(), redirect.edge_secret.as_deref()) else {
        return Ok(Some(Site::Shared));
    };
    if redirect.default_host.as_deref().is_some_and(|default| is_host(host, default)) {
        return Ok(Some(Site::Shared));
    }
    let any_host = redirect.default_host.is_none() || request.uri().path().starts_with(SHARED_PATH);
    let others = if any_host { Others::Shared } else { Others::Nobodys };
    match DomainName::of_host_header(host) {
        Some(name) => of_name(&redirect.domains, &name, others, redirect.core.link_domain(&name)).await,
        None => Ok(others.site()),
    }
}

/// Where codes count on a host that is no workspace's.
#[derive(Clone, Copy)]
enum Others {
    /// On the deployment's own domain: it has any name.
    Shared,
    /// Nowhere.
    Nobodys,
}

impl Others {
    const fn site(self) -> Option<Site> {
        match self {
            Self::Shared => Some(Site::Shared),
            Self::Nobodys => None,
        }
    }

    /// Where any host is the deployment's own, its usual one was no workspace's a minute ago and will be none now: while the
    /// table fails, its links lead on.
    const fn stand_in(self) -> StandIn {
        match self {
            Self::Shared => StandIn::RowOrNone,
            Self::Nobodys => StandIn::Row,
        }
    }
}

async fn of_name(
    domains: &Cache<DomainName, LinkDomain>,
    name: &DomainName,
    others: Others,
    read: impl Future<Output = Result<Option<LinkDomain>, StoreError>>,
) -> Result<Option<Site>, StoreError> {
    let own = domains.get(name, others.stand_in(), read).await?;
    Ok(own.map(|own| own.site()).or(others.site()))
}

/// The host that the visitor asked. A CloudFront distribution asks us under our own name and says the visitor's in
/// `x-forwarded-host`, if it is set up to; it is believed as its other headers are. `None` when it does not say.
fn host<'a>(headers: &'a HeaderMap, edge_secret: Option<&str>) -> Option<&'a str> {
    let name = if came_through_edge(headers, edge_secret) { "x-forwarded-host" } else { header::HOST.as_str() };
    headers.get(name)?.to_str().ok()
}

fn is_host(given: &str, host: &str) -> bool {
    let (name, port) = given.rsplit_once(':').unwrap_or((given, ""));
    let without_port = if port.bytes().all(|byte| byte.is_ascii_digit()) { name } else { given };
    without_port.trim_end_matches('.').eq_ignore_ascii_case(host)
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;
    use crate::cache::{KEPT_FOR, fault};

    #[test]
    fn a_host_is_compared_without_its_port() {
        for given in ["go.example", "GO.example:8443", "go.example."] {
            assert!(is_host(given, "go.example"), "{given}");
        }
        assert!(!is_host("go.example.evil.example", "go.example"));
        assert!(is_host("127.0.0.1:8080", "127.0.0.1") && is_host("[::1]:80", "[::1]"));
    }

    #[test]
    fn the_edge_is_believed_about_the_host_and_nobody_else_is() {
        let headers = |secret: &'static str| {
            let pairs = [("host", "api.example"), ("x-forwarded-host", "go.brand.example"), ("x-edge-secret", secret)];
            HeaderMap::from_iter(
                pairs.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))),
            )
        };
        assert_eq!(host(&headers("right"), Some("right")), Some("go.brand.example"));
        assert_eq!(host(&headers("wrong"), Some("right")), Some("api.example"));
        assert_eq!(host(&headers("right"), None), Some("api.example"));
    }

    #[tokio::test]
    async fn the_deployments_own_links_lead_on_under_any_name_while_the_table_fails() {
        let domains = Cache::of(10);
        let known = DomainName::parse("abc.execute-api.eu-west-1.amazonaws.com").unwrap();
        let new = DomainName::parse("go.brand.example").unwrap();
        assert_eq!(of_name(&domains, &known, Others::Shared, async { Ok(None) }).await.unwrap(), Some(Site::Shared));
        domains.age(KEPT_FOR);
        let failing = async |name: &DomainName, others| of_name(&domains, name, others, async { Err(fault()) }).await;
        assert_eq!(failing(&known, Others::Shared).await.unwrap(), Some(Site::Shared));
        assert!(failing(&known, Others::Nobodys).await.is_err(), "it may have become a workspace's");
        assert!(failing(&new, Others::Shared).await.is_err(), "nobody knows whose it is");
    }
}
