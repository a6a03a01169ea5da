//! Meta's errors and what each asks of a sender. The table is data; the codes and their meanings are those of Meta's
//! error reference (WhatsApp Business Platform, error codes). Decisions hang on the code alone, as Meta asks.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An error as Meta reports it, in the answer to a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetaError {
    /// Meta's code.
    pub code: i64,
    /// Meta's title or message, without the code in front.
    pub title: String,
    /// Meta's explanation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<String>,
    /// Meta's trace id, for its support.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fbtrace_id: Option<String>,
    /// The HTTP status it came with.
    pub http_status: u16,
    /// Meta says that a repeat may work.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_transient: bool,
}

/// What an error asks of the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// Send again after a while.
    Retry,
    /// Send again after a longer window, such as a day.
    RetryAfterWindow,
    /// Nothing from this account will get through: stop it.
    PauseAccount,
    /// Nothing with this template will get through: stop its campaign.
    PauseTemplate,
    /// This recipient cannot get this message.
    DropRecipient,
    /// The recipient does not want messages any more.
    OptOut,
    /// The request or the set-up is wrong; repeating it changes nothing.
    Fix,
}

/// Code, class. Codes that are not listed follow [`ErrorClass::of`].
const CLASSES: &[(i64, ErrorClass)] = {
    use ErrorClass::{DropRecipient, Fix, OptOut, PauseAccount, PauseTemplate, Retry, RetryAfterWindow};
    &[
        (0, PauseAccount),
        (1, Retry),
        (2, Retry),
        (3, Fix),
        (4, RetryAfterWindow),
        (10, PauseAccount),
        (33, PauseAccount),
        (100, Fix),
        (104, PauseAccount),
        (190, PauseAccount),
        (368, PauseAccount),
        (613, RetryAfterWindow),
        (80_007, RetryAfterWindow),
        (80_008, RetryAfterWindow),
        (130_403, DropRecipient),
        (130_429, Retry),
        (130_472, DropRecipient),
        (130_497, DropRecipient),
        (131_000, Retry),
        (131_005, PauseAccount),
        (131_008, Fix),
        (131_009, Fix),
        (131_016, Retry),
        (131_020, DropRecipient),
        (131_021, DropRecipient),
        (131_026, DropRecipient),
        (131_030, Fix),
        (131_031, PauseAccount),
        (131_037, PauseAccount),
        (131_041, DropRecipient),
        (131_042, PauseAccount),
        (131_044, PauseAccount),
        (131_045, PauseAccount),
        (131_047, DropRecipient),
        (131_048, PauseAccount),
        (131_049, RetryAfterWindow),
        (131_050, OptOut),
        (131_051, Fix),
        (131_053, Fix),
        (131_055, Fix),
        (131_056, Retry),
        (131_057, Retry),
        (131_061, Fix),
        (131_062, Fix),
        (131_063, Fix),
        (131_064, PauseAccount),
        (132_000, PauseTemplate),
        (132_001, PauseTemplate),
        (132_005, DropRecipient),
        (132_007, PauseTemplate),
        (132_012, PauseTemplate),
        (132_015, PauseTemplate),
        (132_016, PauseTemplate),
        (132_018, Fix),
        (132_068, PauseTemplate),
        (132_069, RetryAfterWindow),
        (133_004, Retry),
        (133_010, PauseAccount),
        (134_101, RetryAfterWindow),
        (135_000, Retry),
        (137_000, Fix),
        (2_494_100, Retry),
    ]
};

impl ErrorClass {
    /// Whether the same request may work later without anybody doing anything.
    #[must_use]
    pub const fn may_pass(self) -> bool {
        matches!(self, Self::Retry | Self::RetryAfterWindow)
    }

    /// The class of a code. A code that is not in the table is retried when Meta calls it transient or blames itself
    /// (HTTP 5xx), and is otherwise the request's fault.
    #[must_use]
    pub fn of(code: i64, http_status: u16, is_transient: bool) -> Self {
        if let Ok(found) = CLASSES.binary_search_by_key(&code, |(code, _)| *code) {
            return CLASSES[found].1;
        }
        match code {
            200..=299 => Self::PauseAccount,
            _ if is_transient || http_status >= 500 => Self::Retry,
            _ => Self::Fix,
        }
    }
}

impl MetaError {
    /// Reads an error body; `None` when it is not one of Meta's.
    #[must_use]
    pub fn read(body: &str, http_status: u16) -> Option<Self> {
        let body: Value = serde_json::from_str(body).ok()?;
        let error = body.get("error")?;
        // Numbers come as texts in some of Meta's samples.
        let code = match error.get("code")? {
            Value::Number(code) => code.as_i64()?,
            Value::String(code) => code.parse().ok()?,
            _ => return None,
        };
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let data = error.get("error_data");
        let message = text(error.get("message")).unwrap_or_default();
        let title = message.strip_prefix(&format!("(#{code})")).map_or(message.as_str(), str::trim_start).to_owned();
        Some(Self {
            code,
            title,
            details: text(data.and_then(|data| data.get("details"))).or_else(|| text(data)),
            fbtrace_id: text(error.get("fbtrace_id")),
            http_status,
            is_transient: error.get("is_transient").and_then(Value::as_bool).unwrap_or(false),
        })
    }

    /// What it asks of the sender.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        ErrorClass::of(self.code, self.http_status, self.is_transient)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_can_be_searched() {
        assert!(CLASSES.is_sorted_by_key(|(code, _)| *code));
    }

    #[test]
    fn an_unknown_code_is_never_sent_again_and_again() {
        assert_eq!(ErrorClass::of(999_999, 400, false), ErrorClass::Fix);
        assert_eq!(ErrorClass::of(999_999, 500, false), ErrorClass::Retry);
        assert_eq!(ErrorClass::of(999_999, 400, true), ErrorClass::Retry);
    }

    #[test]
    fn an_error_is_read_with_its_details() {
        let body = r##"{"error":{"message":"(#131056) (Business Account, Consumer Account) pair rate limit hit","type":"OAuthException","code":131056,"error_data":{"messaging_product":"whatsapp","details":"Too many messages"},"fbtrace_id":"A1"}}"##;
        let error = MetaError::read(body, 400).unwrap();
        assert_eq!(error.code, 131_056);
        assert_eq!(error.title, "(Business Account, Consumer Account) pair rate limit hit");
        assert_eq!(error.details.as_deref(), Some("Too many messages"));
        assert_eq!(error.class(), ErrorClass::Retry);
    }

    #[test]
    fn what_is_not_metas_is_not_read() {
        assert_eq!(MetaError::read("<html>502 Bad Gateway</html>", 502), None);
        assert_eq!(MetaError::read(r#"{"message":"no"}"#, 500), None);
    }
}
