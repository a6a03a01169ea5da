//! `GET /tt.js`: the script of web pages, as it lies in `web/tt.js`.

use std::sync::LazyLock;

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use sha2::{Digest, Sha256};

/// The script. It is small enough to be served as it is written.
const SCRIPT: &str = include_str!("../web/tt.js");

/// Names this version of the script.
static ETAG: LazyLock<String> = LazyLock::new(|| format!("\"{}\"", hex::encode(&Sha256::digest(SCRIPT)[..12])));

/// Browsers keep it for an hour and then ask whether it has changed; meanwhile they use the old one.
const CACHING: HeaderValue = HeaderValue::from_static("public, max-age=3600, stale-while-revalidate=86400");

/// Answers with the script, or that it has not changed.
pub(crate) async fn serve(headers: HeaderMap) -> Response {
    let asked = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let unchanged =
        asked.split(',').map(|tag| tag.trim().trim_start_matches("W/")).any(|tag| tag == *ETAG || tag == "*");
    let mut response = if unchanged { StatusCode::NOT_MODIFIED.into_response() } else { SCRIPT.into_response() };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/javascript; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, CACHING);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    if let Ok(etag) = HeaderValue::from_str(&ETAG) {
        headers.insert(header::ETAG, etag);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_stays_small() {
        // Measured with `gzip -9`: 3,779 bytes of 10,063. What a page loads is held down by the plain size here.
        assert!(SCRIPT.len() < 10_240, "{} bytes", SCRIPT.len());
    }

    #[tokio::test]
    async fn a_browser_that_has_the_script_is_told_so() {
        let first = serve(HeaderMap::new()).await;
        assert_eq!(first.status(), StatusCode::OK);
        let etag = first.headers()[header::ETAG].clone();
        for asked in [etag.to_str().unwrap().to_owned(), format!("\"x\", W/{}", etag.to_str().unwrap())] {
            let headers = HeaderMap::from_iter([(header::IF_NONE_MATCH, HeaderValue::from_str(&asked).unwrap())]);
            assert_eq!(serve(headers).await.status(), StatusCode::NOT_MODIFIED);
        }
        let headers = HeaderMap::from_iter([(header::IF_NONE_MATCH, HeaderValue::from_static("\"old\""))]);
        assert_eq!(serve(headers).await.status(), StatusCode::OK);
    }
}
