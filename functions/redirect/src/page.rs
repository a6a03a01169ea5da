//! The small pages for links that lead nowhere. An unknown, a forged and a revoked code get the same bytes.

use http::{HeaderValue, StatusCode, header};
use lambda_http::{Body, Response};

/// The page for this status.
pub(crate) fn answer(status: StatusCode) -> Response<Body> {
    let text = match status {
        StatusCode::GONE => "This link has expired.",
        StatusCode::SERVICE_UNAVAILABLE => "This link cannot be opened right now. Please try again in a moment.",
        StatusCode::METHOD_NOT_ALLOWED => "This address can only be opened.",
        _ => "There is nothing behind this link.",
    };
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><meta name=\"robots\" content=\"noindex\">\
         <title>{text}</title><body style=\"font:1.1rem system-ui;margin:20vh auto;max-width:28rem;padding:0 1rem\">\
         <p>{text}</p></body></html>"
    );
    let mut response = Response::new(Body::from(page));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
