//! Which domain a request came on, and so whose codes are meant: the deployment's own, or one of a workspace.

use http::{HeaderMap, header};
use lambda_http::Request;
use shared::http::viewer::came_through_edge;
use shared::link::domain::{DomainName, Site};
use shared::store::StoreError;

use crate::Redirect;

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
    if let Some(name) = DomainName::of_host_header(host)
        && let Some(own) = redirect.domains.get(&name, redirect.core.link_domain(&name)).await?
    {
        return Ok(Some(own.site()));
    }
    let any_host = redirect.default_host.is_none() || request.uri().path().starts_with(SHARED_PATH);
    Ok(any_host.then_some(Site::Shared))
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
}
