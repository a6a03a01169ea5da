//! The click as it is queued: what the request tells of its visitor, and what becomes of it when the queue does not answer.

use std::time::Duration;

use http::HeaderMap;
use lambda_http::request::RequestContext;
use lambda_http::{Request, RequestExt};
use shared::activity::Click;
use shared::attempt::Shard;
use shared::http::viewer::Viewer;
use shared::id::EventId;
use shared::link::code::RecipientSeq;
use shared::link::{Link, lost, position};
use shared::queue::Inbound;
use shared::time::UnixMillis;
use url::Url;

use crate::Redirect;

/// Longest client hint, list of brands and host of a referrer kept, in bytes. What is longer is no browser's.
const MAX_HINT_BYTES: usize = 32;
const MAX_BRANDS_BYTES: usize = 256;
const MAX_HOST_BYTES: usize = 253;

/// The click that a request is, if it is followed. `method` is how the destination was asked for.
pub(crate) fn of(redirect: &Redirect, request: &Request, link: &Link, seq: RecipientSeq, now: UnixMillis) -> Click {
    let headers = request.headers();
    let viewer = Viewer::of(headers, source_ip(request), redirect.edge_secret.as_deref());
    let shards = u32::from(link.shards.max(1));
    let recipient = position(seq).map(|seq| (Shard(u8::try_from(seq.0 % shards).unwrap_or(0)), seq));
    // A form that was answered is the way to the destination.
    let method = if request.method() == http::Method::HEAD { "HEAD" } else { "GET" };
    Click {
        id: EventId::new(now),
        link: link.id,
        workspace: link.workspace,
        account: link.account,
        campaign: link.campaign,
        recipient,
        at: now,
        method: method.to_owned(),
        user_agent: viewer.user_agent,
        ip: viewer.ip,
        country: viewer.country,
        region: viewer.region,
        city: viewer.city,
        asn: viewer.asn,
        hints_mobile: hint(headers, "sec-ch-ua-mobile", MAX_HINT_BYTES).and_then(|value| match value {
            "?1" => Some(true),
            "?0" => Some(false),
            _ => None,
        }),
        hints_platform: platform_hint(headers).map(str::to_owned),
        hints_brands: hint(headers, "sec-ch-ua", MAX_BRANDS_BYTES).map(str::to_owned),
        referrer: referrer(headers),
        prefetch: is_prefetch(headers),
        mark: None,
        visitor: None,
    }
}

/// The system that the browser says it runs on.
fn platform_hint(headers: &HeaderMap) -> Option<&str> {
    let quoted = hint(headers, "sec-ch-ua-platform", MAX_HINT_BYTES)?;
    Some(quoted.trim_matches('"')).filter(|value| !value.is_empty())
}

fn hint<'a>(headers: &'a HeaderMap, name: &str, max_bytes: usize) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().filter(|value| (1..=max_bytes).contains(&value.len()))
}

fn referrer(headers: &HeaderMap) -> Option<String> {
    let page = Url::parse(headers.get(http::header::REFERER)?.to_str().ok()?).ok()?;
    page.host_str().filter(|host| host.len() <= MAX_HOST_BYTES).map(str::to_owned)
}

fn source_ip(request: &Request) -> Option<String> {
    match request.request_context_ref()? {
        RequestContext::ApiGatewayV2(context) => context.http.source_ip.clone(),
        _ => None,
    }
}

/// Browsers say so when they fetch a page that nobody has asked for yet.
fn is_prefetch(headers: &HeaderMap) -> bool {
    ["sec-purpose", "purpose", "x-purpose", "x-moz"].into_iter().any(|name| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.contains("prefetch") || value.contains("preview") || value.contains("prerender"))
    })
}

/// Queues the click, or writes it to the log, from which it can be taken in later ([`lost`]): the person goes on either way.
pub(crate) async fn queue(redirect: &Redirect, click: Click) {
    let message = Inbound::Click(Box::new(click));
    let queued = tokio::time::timeout(redirect.patience, redirect.events.send(&message, Duration::ZERO)).await;
    let reason = match queued {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {} ms", redirect.patience.as_millis()),
    };
    if let Inbound::Click(click) = message {
        let click = lost::logged(*click, redirect.links.newest());
        tracing::error!(%click, reason, "{}", lost::MESSAGE);
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static(value))])
    }

    #[test]
    fn a_prefetch_is_told_by_its_headers() {
        assert!(is_prefetch(&headers("sec-purpose", "prefetch;prerender")));
        assert!(is_prefetch(&headers("x-purpose", "preview")));
        assert!(!is_prefetch(&headers("sec-fetch-mode", "navigate")));
    }

    #[test]
    fn of_a_referrer_the_host_is_kept_and_nothing_else() {
        let page = "https://mail.example/inbox?message=secret";
        assert_eq!(referrer(&headers("referer", page)).as_deref(), Some("mail.example"));
        assert_eq!(referrer(&headers("referer", "about:blank")), None);
    }

    #[test]
    fn hints_lose_their_quotes() {
        assert_eq!(platform_hint(&headers("sec-ch-ua-platform", "\"Android\"")), Some("Android"));
        assert_eq!(platform_hint(&headers("sec-ch-ua-platform", "\"\"")), None);
    }

    #[test]
    fn the_brands_are_kept_as_they_came_if_they_are_of_a_browsers_length() {
        let brands = |value: &str| {
            let headers = HeaderMap::from_iter([(HeaderName::from_static("sec-ch-ua"), value.parse().unwrap())]);
            hint(&headers, "sec-ch-ua", MAX_BRANDS_BYTES).map(str::to_owned)
        };
        let chrome = r#""Chromium";v="142", "Google Chrome";v="142", "Not_A Brand";v="99""#;
        assert_eq!(brands(chrome).as_deref(), Some(chrome));
        assert_eq!(brands(""), None);
        assert!(brands(&"x".repeat(MAX_BRANDS_BYTES)).is_some());
        assert_eq!(brands(&"x".repeat(MAX_BRANDS_BYTES + 1)), None);
    }
}
