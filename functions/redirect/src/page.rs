//! The small pages for links that do not lead on at once. An unknown, a forged and a revoked code get the same bytes. The pages
//! load nothing, and follow the reader's choice of light or dark.

use http::{HeaderName, HeaderValue, StatusCode, header};
use lambda_http::{Body, Response};

/// What a page says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Page {
    /// There is no such link, or none any more.
    NotFound,
    /// Its time is over.
    Expired,
    /// We cannot look it up.
    Unavailable,
    /// It was asked for in a way that links do not answer.
    MethodNotAllowed,
    /// A password is asked for.
    Password,
    /// It was not the right one.
    WrongPassword,
    /// Too many were tried; another may be tried in so many seconds.
    TooManyPasswords(u64),
}

/// Before the title.
const HEAD: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
    <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
    <meta name=\"color-scheme\" content=\"light dark\"><meta name=\"robots\" content=\"noindex\">\
    <style>body{font:1.05rem/1.5 system-ui,sans-serif;display:grid;place-content:center;min-height:90vh;margin:0;padding:1rem}\
    main{max-width:26rem}h1{font-size:1.4rem;margin:0 0 .5rem}p{margin:0 0 1rem}form{display:flex;gap:.5rem}\
    input{flex:1;min-width:0}input,button{font:inherit;padding:.5rem .75rem}</style>";

/// Where the password is typed. It is posted to the page's own address, so what the click brought along stays with it.
const FORM: &str = "<form method=\"post\"><input name=\"password\" type=\"password\" aria-label=\"Password\" required autofocus \
    autocomplete=\"off\" maxlength=\"128\"><button>Open</button></form>";

impl Page {
    const fn status(self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Expired => StatusCode::GONE,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Password => StatusCode::OK,
            Self::WrongPassword => StatusCode::FORBIDDEN,
            Self::TooManyPasswords(_) => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    const fn texts(self) -> (&'static str, &'static str) {
        match self {
            Self::NotFound => {
                ("This link leads nowhere", "Check that you have all of it, or ask whoever sent it to you.")
            }
            Self::Expired => ("This link has expired", "What it led to was there for a limited time."),
            Self::Unavailable => ("This link cannot be opened right now", "Please try again in a moment."),
            Self::MethodNotAllowed => ("This link can only be opened", "Open it in a browser."),
            Self::Password => ("This link has a password", "Whoever sent it to you can tell you the password."),
            Self::WrongPassword => ("That is not the password", "Please try again."),
            Self::TooManyPasswords(_) => ("Too many passwords were tried", "Please wait a minute, then try again."),
        }
    }

    const fn form(self) -> &'static str {
        match self {
            Self::Password | Self::WrongPassword => FORM,
            _ => "",
        }
    }

    /// The page as an answer.
    pub(crate) fn answer(self) -> Response<Body> {
        let (title, text) = self.texts();
        let form = self.form();
        let page = format!("{HEAD}<title>{title}</title><main><h1>{title}</h1><p>{text}</p>{form}</main></html>");
        let mut response = Response::new(Body::from(page));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        for (name, value) in [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CACHE_CONTROL, "no-store"),
            // Forms may lead anywhere: browsers hold the way after a form against `form-action`.
            (
                header::CONTENT_SECURITY_POLICY,
                "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
            ),
            (header::REFERRER_POLICY, "no-referrer"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (HeaderName::from_static("x-robots-tag"), "noindex"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        match self {
            Self::Unavailable => _ = headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2")),
            Self::TooManyPasswords(seconds) => _ = headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds)),
            Self::MethodNotAllowed => _ = headers.insert(header::ALLOW, HeaderValue::from_static("GET, HEAD")),
            _ => {}
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_loads_nothing_and_asks_for_a_password_by_post_only() {
        let pages = [
            Page::NotFound,
            Page::Expired,
            Page::Unavailable,
            Page::MethodNotAllowed,
            Page::Password,
            Page::WrongPassword,
            Page::TooManyPasswords(7),
        ];
        for page in pages {
            let Body::Text(html) = page.answer().into_body() else { panic!("not text") };
            assert!(!["src=", "href=", "url(", "//", "<script"].iter().any(|load| html.contains(load)), "{html}");
            assert!(html.contains("color-scheme"));
            assert_eq!(html.contains("method=\"post\""), matches!(page, Page::Password | Page::WrongPassword));
        }
    }
}
