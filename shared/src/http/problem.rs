//! Errors of the API: RFC 9457 problem+json with a code for programs, a sentence for people, and a pointer to each place
//! that is wrong.

use std::fmt;
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};

use crate::blob::BlobError;
use crate::id::ulid_at;
use crate::meta::error::MetaError;
use crate::queue::{NotDurable, QueueUnavailable};
use crate::secrets::SecretError;
use crate::store::StoreError;
use crate::time::UnixMillis;

/// An error as the API answers it.
#[derive(Debug, Serialize)]
pub struct Problem {
    /// A URI that names the kind of problem.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind of problem for people.
    pub title: &'static str,
    /// HTTP status.
    pub status: u16,
    /// The kind of problem for programs.
    pub code: &'static str,
    /// What is wrong this time, and what to do.
    pub detail: String,
    /// Also in the log of the failure.
    pub request_id: String,
    /// The places in the request that are wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// The present state, when that forbids the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<String>,
    /// Meta's error, when Meta refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meta: Option<Value>,
    /// The window that is used up, when that forbids the request for now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<String>,
    /// When the request may be repeated; also the header `Retry-After`.
    #[serde(skip)]
    pub retry_after: Option<Duration>,
}

/// One place in a request that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// JSON pointer into the body, or `/name` of a query parameter.
    pub pointer: String,
    /// What is wrong there.
    pub reason: String,
}

impl Problem {
    fn new(status: StatusCode, code: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("https://thirdtick.dev/problems/{code}"),
            title,
            status: status.as_u16(),
            code,
            detail: detail.into(),
            request_id: format!("req_{}", ulid_at(UnixMillis::now())),
            errors: Vec::new(),
            current: None,
            meta: None,
            window: None,
            retry_after: None,
        }
    }

    /// 400: the request cannot be read.
    #[must_use]
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed_request", "The request cannot be read", detail)
    }

    /// 401: no key, or not a valid one.
    #[must_use]
    pub fn unauthorized() -> Self {
        let detail = "send a valid key: Authorization: Bearer tt_…";
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "A valid API key is needed", detail)
    }

    /// 401: a key that is not an API key was not a valid one.
    #[must_use]
    pub fn unknown_key(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "A valid key is needed", detail)
    }

    /// 403: the key is known, but not for this.
    #[must_use]
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "The key does not allow it", detail)
    }

    /// 404: there is no such thing in the caller's workspace.
    #[must_use]
    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "Not found", format!("there is no such {what}"))
    }

    /// 405: the path exists, the method does not.
    #[must_use]
    pub fn method_not_allowed() -> Self {
        let detail = "this path does not take this method";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "Method not allowed", detail)
    }

    /// 409: the present state forbids it.
    #[must_use]
    pub fn conflict(detail: impl Into<String>, current: Option<&str>) -> Self {
        let problem = Self::new(StatusCode::CONFLICT, "conflict", "The present state forbids it", detail);
        Self { current: current.map(str::to_owned), ..problem }
    }

    /// 413: the body is too large.
    #[must_use]
    pub fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "The body is too large", detail)
    }

    /// 415: the body is of a type that this path does not take.
    #[must_use]
    pub fn unsupported_media_type(detail: impl Into<String>) -> Self {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        Self::new(status, "unsupported_media_type", "The content type is not understood", detail)
    }

    /// 422: well formed, but one place is wrong.
    #[must_use]
    pub fn invalid(pointer: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::all_invalid(vec![FieldError { pointer: pointer.into(), reason: reason.into() }])
    }

    /// 422: well formed, but these places are wrong.
    #[must_use]
    pub fn all_invalid(errors: Vec<FieldError>) -> Self {
        let listed: Vec<String> =
            errors.iter().map(|FieldError { pointer, reason }| format!("{pointer}: {reason}")).collect();
        let detail = listed.join("; ");
        let problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "The request is not valid", detail);
        Self { errors, ..problem }
    }

    /// 429: a window is used up; `retry_after` is absent when nobody knows.
    #[must_use]
    pub fn too_many(detail: impl Into<String>, window: &str, retry_after: Option<Duration>) -> Self {
        let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", "Too many requests", detail);
        Self { window: Some(window.to_owned()), retry_after, ..problem }
    }

    /// 422: Meta has refused; or 503 when Meta says that it may work later.
    #[must_use]
    pub fn refused_by_meta(error: &MetaError) -> Self {
        let MetaError { code, title, details, fbtrace_id, .. } = error;
        let detail = match details {
            Some(details) => format!("Meta refused with {code} {title}: {details}"),
            None => format!("Meta refused with {code} {title}"),
        };
        let status = match error.class().may_pass() {
            true => StatusCode::SERVICE_UNAVAILABLE,
            false => StatusCode::UNPROCESSABLE_ENTITY,
        };
        let meta = json!({"code": code, "title": title, "details": details, "fbtrace_id": fbtrace_id});
        Self { meta: Some(meta), ..Self::new(status, "refused_by_meta", "Meta has refused", detail) }
    }

    /// 503: something behind the API does not answer; nothing was lost and a repeat is safe.
    #[must_use]
    pub fn unavailable(cause: &dyn fmt::Display) -> Self {
        let detail = "a service behind the API did not answer; repeat the request";
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Temporarily unavailable", detail);
        tracing::error!(request_id = problem.request_id, cause = %cause, "a request failed");
        problem
    }

    /// 500: our fault.
    #[must_use]
    pub fn internal(cause: &dyn fmt::Display) -> Self {
        let detail = "the request failed on our side; its id is in the log";
        let problem = Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error", detail);
        tracing::error!(request_id = problem.request_id, cause = %cause, "a request failed");
        problem
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = self.retry_after;
        let mut response = (status, axum::Json(self)).into_response();
        let headers = response.headers_mut();
        if let Some(wait) = retry_after {
            // Rounded up: whoever comes back then is not told to wait again.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable { .. } => Self::unavailable(&error),
            StoreError::Refused { .. } | StoreError::Damaged { .. } => Self::internal(&error),
        }
    }
}

impl From<BlobError> for Problem {
    fn from(error: BlobError) -> Self {
        Self::unavailable(&error)
    }
}

impl From<NotDurable> for Problem {
    fn from(error: NotDurable) -> Self {
        match error {
            NotDurable::Queue(_) | NotDurable::Blob(_) => Self::unavailable(&error),
            NotDurable::Json(_) => Self::internal(&error),
        }
    }
}

impl From<QueueUnavailable> for Problem {
    fn from(error: QueueUnavailable) -> Self {
        Self::unavailable(&error)
    }
}

impl From<SecretError> for Problem {
    fn from(error: SecretError) -> Self {
        match error {
            SecretError::Unavailable(_) => Self::unavailable(&error),
            SecretError::Missing(_) | SecretError::File(_) | SecretError::Damaged(_) => Self::internal(&error),
        }
    }
}
