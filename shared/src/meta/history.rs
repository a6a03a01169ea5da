//! Meta's own record of what a number has sent (`GET /{phone number id}/message_history`): it tells whether a message whose
//! answer was lost has arrived at Meta after all.
//!
//! The record names messages by their ids only. An id holds the recipient's number: base64 behind `wamid.`, in which the
//! digits of the `wa_id` stand as they are behind their length. That is what ids look like, not what Meta has promised; when it cannot be read, nothing is
//! found, and the campaign's own policy decides.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde::Deserialize;

use super::client::GraphClient;
use super::error::MetaError;
use crate::secrets::AccessToken;
use crate::time::UnixMillis;

/// Messages asked for at once; Meta takes 25 to 100 (Meta, `OpenAPI` of the Cloud API, message history).
const PAGE: usize = 100;

/// Pages read at most: a hundred thousand messages back is further than any grace period.
const MOST_PAGES: usize = 1_000;

/// A message that Meta has.
#[derive(Clone, PartialEq, Eq)]
pub struct KnownMessage {
    /// Its id.
    pub wamid: String,
    /// When the first thing happened to it, if anything did.
    pub first_event: Option<UnixMillis>,
}

/// Why the record cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum NoHistory {
    /// Meta refused.
    #[error("meta refused to show its message history with {}", .0.code)]
    Refused(MetaError),
    /// No answer, or none that can be read.
    #[error("meta's message history cannot be read")]
    Unreadable,
}

#[derive(Deserialize)]
struct Page {
    #[serde(default)]
    data: Vec<Record>,
    paging: Option<Paging>,
}

#[derive(Deserialize)]
struct Paging {
    cursors: Option<Cursors>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct Cursors {
    after: Option<String>,
}

#[derive(Deserialize)]
struct Record {
    message_id: String,
    events: Option<Events>,
}

#[derive(Deserialize)]
struct Events {
    #[serde(default)]
    data: Vec<RecordedEvent>,
}

#[derive(Deserialize)]
struct RecordedEvent {
    timestamp: Option<i64>,
}

impl KnownMessage {
    /// Whether its id holds this number (digits, as in a `wa_id`).
    #[must_use]
    pub fn is_to(&self, digits: &str) -> bool {
        let Some(encoded) = self.wamid.strip_prefix("wamid.") else {
            return false;
        };
        let decoded = STANDARD.decode(encoded).or_else(|_| STANDARD_NO_PAD.decode(encoded.trim_end_matches('=')));
        // Two bytes of which nothing is known, the number's length, the number.
        decoded.is_ok_and(|bytes| match bytes.get(2..) {
            Some([length, rest @ ..]) => rest.get(..usize::from(*length)) == Some(digits.as_bytes()),
            _ => false,
        })
    }
}

impl GraphClient {
    /// The messages that Meta has of this number, newest first, back to `since`.
    ///
    /// # Errors
    /// [`NoHistory`].
    pub async fn message_history(
        &self,
        phone_number_id: &str,
        token: &AccessToken,
        since: UnixMillis,
    ) -> Result<Vec<KnownMessage>, NoHistory> {
        let mut known = Vec::new();
        let mut after: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let page = self.history_page(phone_number_id, token, after.as_deref()).await?;
            let mut passed = false;
            for record in page.data {
                let events = record.events.map(|events| events.data).unwrap_or_default();
                let first_event = events.iter().filter_map(|event| event.timestamp).min().map(UnixMillis::from_seconds);
                passed |= first_event.is_some_and(|at| at < since);
                known.push(KnownMessage { wamid: record.message_id, first_event });
            }
            let next = page.paging.filter(|paging| paging.next.is_some());
            after = next.and_then(|paging| paging.cursors).and_then(|cursors| cursors.after);
            if passed || after.is_none() {
                break;
            }
        }
        Ok(known)
    }

    async fn history_page(
        &self,
        phone_number_id: &str,
        token: &AccessToken,
        after: Option<&str>,
    ) -> Result<Page, NoHistory> {
        let mut request = self
            .http
            .get(format!("{}/{phone_number_id}/message_history", self.base))
            .bearer_auth(token.expose())
            .query(&[("fields", "id,message_id,events{delivery_status,timestamp}"), ("limit", &PAGE.to_string())]);
        if let Some(after) = after {
            request = request.query(&[("after", after)]);
        }
        let answer = request.send().await.map_err(|_| NoHistory::Unreadable)?;
        let status = answer.status();
        let text = answer.text().await.map_err(|_| NoHistory::Unreadable)?;
        if status.is_success() {
            return serde_json::from_str(&text).map_err(|_| NoHistory::Unreadable);
        }
        Err(MetaError::read(&text, status.as_u16()).map_or(NoHistory::Unreadable, NoHistory::Refused))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(decoded: &[u8]) -> KnownMessage {
        KnownMessage { wamid: format!("wamid.{}", STANDARD.encode(decoded)), first_event: None }
    }

    #[test]
    fn an_id_tells_whom_its_message_went_to() {
        let message = message(b"\x1c\x18\x0b60123456789\x15\x02\x00\x11\x18\x12ABCDEF0123456789\x00");
        assert!(message.is_to("60123456789"));
        assert!(!message.is_to("6012345678") && !message.is_to("0123456789"), "a part of the number is another number");
        assert!(!message.is_to("60123456780"));
    }

    #[test]
    fn an_id_in_another_form_tells_nothing() {
        for wamid in ["", "wamid.", "wamid.***", "mid.60123456789"] {
            let message = KnownMessage { wamid: wamid.to_owned(), first_event: None };
            assert!(!message.is_to("60123456789"), "{wamid}");
        }
    }
}
