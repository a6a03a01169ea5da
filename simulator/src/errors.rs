//! Meta's error catalogue: HTTP status, title and details of each code the simulator can answer or report.
//! Texts follow the error codes page of the Cloud API documentation; a code that is not listed gets a generic text.

/// What Meta says about an error code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CatalogueEntry {
    /// HTTP status of a synchronous answer.
    pub(crate) http_status: u16,
    /// Short text, also the `message` of a failed status.
    pub(crate) title: &'static str,
    /// Text of `error_data.details`.
    pub(crate) details: &'static str,
}

/// `href` of the errors in a webhook.
pub(crate) const ERRORS_PAGE: &str = "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/";

/// The catalogue's entry for a code.
pub(crate) fn catalogue(code: i64) -> CatalogueEntry {
    let (http_status, title, details) = match code {
        0 => (401, "AuthException", "We were unable to authenticate the app user."),
        1 => (400, "API Unknown", "Invalid request or possible server error."),
        2 => (503, "API Service", "Temporary due to downtime or due to being overloaded."),
        4 => (400, "Application request limit reached", "The app has reached its API call rate limit."),
        10 => (403, "Permission Denied", "Permission is either not granted or has been removed."),
        100 => (400, "Invalid parameter", "The request included one or more unsupported or misspelled parameters."),
        190 => (401, "Access token has expired", "Your access token has expired."),
        200 => (403, "API Permission", "Permission is either not granted or has been removed."),
        368 => {
            (403, "Temporarily blocked for policies violations", "The account was restricted for a policy violation.")
        }
        80_007 => (400, "Rate limit issues", "The WhatsApp Business Account has reached its rate limit."),
        130_429 => (429, "Rate limit hit", "Cloud API message throughput has been reached."),
        130_472 => (
            400,
            "User's number is part of an experiment",
            "Failed to send message because this user's phone number is part of an experiment",
        ),
        130_497 => (
            403,
            "Business account is restricted from messaging users in this country.",
            "The business account may not message users in this country.",
        ),
        131_000 => (500, "Something went wrong", "Message failed to send due to an unknown error."),
        131_005 => (403, "Access denied", "Permission is either not granted or has been removed."),
        131_008 => (400, "Required parameter is missing", "The request is missing a required parameter."),
        131_009 => (400, "Parameter value is not valid", "One or more parameter values are invalid."),
        131_016 => (500, "Service unavailable", "A service is temporarily unavailable."),
        131_021 => (400, "Recipient cannot be sender", "Sender and recipient phone number is the same."),
        131_026 => (400, "Message undeliverable", "Message Undeliverable."),
        131_030 => (
            400,
            "Recipient phone number not in allowed list",
            "Recipient phone number not in allowed list: add it to the test recipients.",
        ),
        131_031 => (403, "Account has been locked", "The account was restricted or disabled for a policy violation."),
        131_041 => (400, "Unknown group", "The group does not exist."),
        131_042 => (
            400,
            "Business eligibility payment issue",
            "Message failed to send because there were one or more errors related to your payment method.",
        ),
        131_045 => (500, "Incorrect certificate", "Message failed to send due to a phone number registration error."),
        131_047 => (
            400,
            "Re-engagement message",
            "Message failed to send because more than 24 hours have passed since the customer last replied to this number.",
        ),
        131_048 => (
            400,
            "Spam rate limit hit",
            "Message failed to send because there are restrictions on how many messages can be sent from this phone number.",
        ),
        131_049 => (
            400,
            "This message was not delivered to maintain healthy ecosystem engagement.",
            "In order to maintain a healthy ecosystem engagement, the message failed to be delivered.",
        ),
        131_050 => (
            400,
            "User has stopped marketing messages",
            "Unable to deliver the message. This recipient has chosen to stop receiving marketing messages on WhatsApp from your business.",
        ),
        131_051 => (400, "Unsupported message type", "Message type is currently not supported."),
        131_052 => (400, "Media download error", "Unable to download the media sent by the user."),
        131_053 => (400, "Media upload error", "Unable to upload the media used in the message."),
        131_056 => (
            400,
            "(Business Account, Consumer Account) pair rate limit hit",
            "Too many messages sent from the sender phone number to the same recipient phone number in a short period of time.",
        ),
        131_057 => (500, "Account in maintenance mode", "Business Account is in maintenance mode."),
        132_000 => (
            400,
            "Number of parameters does not match the expected number of params",
            "The number of variable parameter values did not match the number of variables in the template.",
        ),
        132_001 => (
            404,
            "Template name does not exist in the translation",
            "The template does not exist in the specified language or the template has not been approved.",
        ),
        132_005 => (400, "Template hydrated text too long", "Translated text is too long."),
        132_007 => (400, "Template format character policy violated", "Template content violates a WhatsApp policy."),
        132_012 => (
            400,
            "Parameter format does not match format in the created template",
            "Variable parameter values formatted incorrectly.",
        ),
        132_015 => (
            400,
            "Template is paused",
            "Template is paused due to low quality so it cannot be sent in a template message.",
        ),
        132_016 => (
            400,
            "Template is disabled",
            "Template has been paused too many times due to low quality and is now permanently disabled.",
        ),
        132_018 => (
            400,
            "Template validation error",
            "Param text cannot have new-line/tab characters or more than 4 consecutive spaces",
        ),
        133_010 => (400, "Account not registered", "Phone number not registered on the WhatsApp Business Platform."),
        135_000 => (
            400,
            "Generic user error",
            "Message failed to send because of an unknown error with your request parameters.",
        ),
        _ => (400, "Something went wrong", "Unknown error."),
    };
    CatalogueEntry { http_status, title, details }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_limits_carry_metas_titles() {
        assert_eq!(catalogue(130_429).title, "Rate limit hit");
        assert_eq!(catalogue(131_056).title, "(Business Account, Consumer Account) pair rate limit hit");
        assert_eq!(catalogue(130_429).http_status, 429);
    }
}
