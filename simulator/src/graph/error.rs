//! Error bodies of the Graph API, in the shapes that Meta sends.

use axum::Json;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use serde_json::json;

use crate::errors;

/// An error answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GraphError {
    pub(crate) code: i64,
    http_status: u16,
    kind: &'static str,
    message: String,
    pub(crate) subcode: Option<i64>,
    /// `error_user_title` and `error_user_msg`.
    for_user: Option<(String, String)>,
    details: Option<String>,
}

impl GraphError {
    /// An error of the catalogue with its usual details.
    pub(crate) fn coded(code: i64) -> Self {
        let entry = errors::catalogue(code);
        // 130429 is seen with this deprecated subcode.
        let subcode = (code == 130_429).then_some(2_494_055);
        Self {
            code,
            http_status: entry.http_status,
            kind: "OAuthException",
            message: format!("(#{code}) {}", entry.title),
            subcode,
            for_user: None,
            details: Some(entry.details.to_owned()),
        }
    }

    /// An error of the catalogue with details of its own.
    pub(crate) fn detailed(code: i64, details: impl Into<String>) -> Self {
        Self { details: Some(details.into()), ..Self::coded(code) }
    }

    /// Graph's own validation error 100, which has no `error_data`.
    pub(crate) fn invalid(reason: impl std::fmt::Display) -> Self {
        Self { message: format!("(#100) {reason}"), details: None, ..Self::coded(100) }
    }

    /// 100 with a subcode and texts for people: how template management refuses.
    pub(crate) fn management(subcode: i64, title: &str, message: impl Into<String>) -> Self {
        Self {
            message: "Invalid parameter".to_owned(),
            subcode: Some(subcode),
            for_user: Some((title.to_owned(), message.into())),
            details: None,
            ..Self::coded(100)
        }
    }

    /// 190 for a token whose session is over.
    pub(crate) fn expired_token() -> Self {
        let message = "Error validating access token: Session has expired.".to_owned();
        Self { message, subcode: Some(463), details: None, ..Self::coded(190) }
    }

    /// 190 for something that is no token.
    pub(crate) fn malformed_token() -> Self {
        let message = "Invalid OAuth access token - Cannot parse access token".to_owned();
        Self { message, details: None, ..Self::coded(190) }
    }

    /// 104 for a request without a token.
    pub(crate) fn no_token() -> Self {
        let message = "(#104) An access token is required to request this resource.".to_owned();
        Self { code: 104, http_status: 401, message, details: None, ..Self::coded(190) }
    }

    /// 100 with subcode 33: no such node, or no right to see it.
    pub(crate) fn missing_object(method: &str, id: &str) -> Self {
        let message = format!(
            "Unsupported {method} request. Object with ID '{id}' does not exist, cannot be loaded due to missing \
             permissions, or does not support this operation. Please read the Graph API documentation at \
             https://developers.facebook.com/docs/graph-api"
        );
        Self { message, kind: "GraphMethodException", subcode: Some(33), details: None, ..Self::coded(100) }
    }

    /// 2500: a path that is no part of the API.
    pub(crate) fn unknown_path(path: &str) -> Self {
        let message = format!("Unknown path components: {path}");
        Self { code: 2_500, message, details: None, ..Self::coded(100) }
    }
}

impl IntoResponse for GraphError {
    fn into_response(self) -> Response {
        let trace: [u8; 16] = rand::random();
        let mut error = json!({ "message": self.message, "type": self.kind, "code": self.code });
        if let Some(details) = self.details {
            error["error_data"] = json!({ "messaging_product": "whatsapp", "details": details });
        }
        if let Some(subcode) = self.subcode {
            error["error_subcode"] = json!(subcode);
        }
        if let Some((title, message)) = self.for_user {
            error["is_transient"] = json!(false);
            error["error_user_title"] = json!(title);
            error["error_user_msg"] = json!(message);
        }
        error["fbtrace_id"] = json!(format!("A{}", URL_SAFE_NO_PAD.encode(trace)));
        let status = StatusCode::from_u16(self.http_status).unwrap_or(StatusCode::BAD_REQUEST);
        (status, Json(json!({ "error": error }))).into_response()
    }
}
