//! Asking Meta about one of our numbers: what people see of it, its quality, and what it may send. Webhooks tell changes
//! only; this tells what is.

use std::time::Duration;

use serde_json::Value;

use super::client::GraphClient;
use super::error::MetaError;
use super::webhook::MessagingLimit;
use crate::account::news::{News, Told};
use crate::account::{Account, META_DEFAULT_RATE, META_HIGHEST_RATE, Quality};
use crate::secrets::AccessToken;
use crate::time::UnixMillis;

/// The fields asked for (Meta, WhatsApp Business phone number node).
const FIELDS: &str =
    "display_phone_number,verified_name,quality_rating,throughput,whatsapp_business_manager_messaging_limit,status";

/// Somebody waits for the answer, so it is shorter than a send's.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What Meta says about a number. What Meta leaves out, or writes in a way that we do not know, is `None`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct NumberState {
    /// The number in digits.
    pub digits: Option<String>,
    /// The name that people see.
    pub verified_name: Option<String>,
    /// Meta's opinion of its messages.
    pub quality: Option<Quality>,
    /// Messages a second that Meta takes.
    pub throughput: Option<u32>,
    /// People that may be written to in 24 hours, by the whole portfolio.
    pub messaging_limit: Option<MessagingLimit>,
    /// `CONNECTED` when it can send.
    pub status: Option<String>,
}

impl std::fmt::Debug for NumberState {
    /// It holds a phone number and a name, so only the rest is shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("NumberState");
        shown.field("quality", &self.quality).field("throughput", &self.throughput);
        shown.field("messaging_limit", &self.messaging_limit).field("status", &self.status).finish_non_exhaustive()
    }
}

/// Why Meta's word about a number could not be had. Nothing was changed by asking, so it may be repeated.
#[derive(Debug, thiserror::Error)]
pub enum NumberUnknown {
    /// Meta answered with an error: the token or the number is wrong.
    #[error("meta refused with {}: {}", .0.code, .0.title)]
    Refused(MetaError),
    /// No answer came.
    #[error("the graph api did not answer")]
    NoAnswer,
    /// An answer came that is none of Meta's.
    #[error("the graph api's answer cannot be read")]
    Unreadable,
}

impl GraphClient {
    /// Asks about a number.
    ///
    /// # Errors
    /// [`NumberUnknown`].
    pub async fn number(&self, phone_number_id: &str, token: &AccessToken) -> Result<NumberState, NumberUnknown> {
        let url = format!("{}/{phone_number_id}?fields={FIELDS}", self.base);
        let request = self.http.get(url).bearer_auth(token.expose()).timeout(TIMEOUT);
        let answer = request.send().await.map_err(|_| NumberUnknown::NoAnswer)?;
        let status = answer.status();
        let text = answer.text().await.map_err(|_| NumberUnknown::NoAnswer)?;
        if !status.is_success() {
            let refused = MetaError::read(&token.hidden_in(&text), status.as_u16());
            return Err(refused.map_or(NumberUnknown::Unreadable, NumberUnknown::Refused));
        }
        let node: Value = serde_json::from_str(&text).map_err(|_| NumberUnknown::Unreadable)?;
        if node.is_object() { Ok(NumberState::read(&node)) } else { Err(NumberUnknown::Unreadable) }
    }
}

impl NumberState {
    /// Reads the node, member by member: what is odd costs itself only.
    fn read(node: &Value) -> Self {
        let text = |key: &str| node.get(key)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let digits: Option<String> =
            text("display_phone_number").map(|number| number.chars().filter(char::is_ascii_digit).collect());
        let quality = match text("quality_rating").as_deref() {
            Some("GREEN") => Some(Quality::Green),
            Some("YELLOW") => Some(Quality::Yellow),
            Some("RED") => Some(Quality::Red),
            Some("NA" | "UNKNOWN") => Some(Quality::Unknown),
            _ => None,
        };
        let throughput = match node.pointer("/throughput/level").and_then(Value::as_str) {
            Some("STANDARD") => Some(META_DEFAULT_RATE),
            Some("HIGH") => Some(META_HIGHEST_RATE),
            _ => None,
        };
        Self {
            digits: digits.filter(|digits| !digits.is_empty()),
            verified_name: text("verified_name"),
            quality,
            throughput,
            messaging_limit: text("whatsapp_business_manager_messaging_limit").map(MessagingLimit::of),
            status: text("status"),
        }
    }

    /// Stores what was learned at this time.
    pub fn tell(&self, account: &mut Account, now: UnixMillis) {
        let told = [
            self.quality.map(Told::Quality),
            self.throughput.map(Told::Throughput),
            self.messaging_limit.as_ref().and_then(Told::limit),
        ];
        for told in told.into_iter().flatten() {
            account.hear(&News { at: now, told }, now);
        }
        if self.digits.is_some() {
            account.number_digits.clone_from(&self.digits);
        }
        if self.verified_name.is_some() {
            account.verified_name.clone_from(&self.verified_name);
        }
    }

    /// Whether it tells something else than the account holds.
    #[must_use]
    pub fn is_news_to(&self, account: &Account, now: UnixMillis) -> bool {
        let mut told = account.clone();
        self.tell(&mut told, now);
        // When it was told again is no news.
        told.quality_at = account.quality_at;
        told.throughput_at = account.throughput_at;
        told.messaging_limit_at = account.messaging_limit_at;
        told != *account
    }

    /// What keeps the number from sending, for people.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let status = self.status.as_deref().filter(|status| *status != "CONNECTED")?;
        Some(format!("Meta says that the number is {status}, not CONNECTED: messages may be refused"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::account::NumberIdentity;
    use crate::id::{AccountId, WorkspaceId};

    fn account() -> Account {
        let number = NumberIdentity {
            phone_number_id: "1".to_owned(),
            waba_id: "2".to_owned(),
            display_phone_number: "the shop".to_owned(),
        };
        Account::new(AccountId::new(UnixMillis(1)), WorkspaceId::FIRST, number, UnixMillis(1))
    }

    #[test]
    fn what_meta_says_is_stored() {
        let state = NumberState::read(&json!({
            "display_phone_number": "+1 555-078-3881", "verified_name": "Shop", "quality_rating": "YELLOW",
            "throughput": {"level": "HIGH"}, "whatsapp_business_manager_messaging_limit": "TIER_10K",
            "status": "CONNECTED", "id": "1",
        }));
        assert_eq!(state.warning(), None);
        let mut account = account();
        account.messaging_limit = Some(250);
        state.tell(&mut account, UnixMillis(5));
        assert_eq!((account.quality, account.throughput), (Quality::Yellow, Some(1_000)));
        assert_eq!((account.messaging_limit, account.messaging_limit_at), (Some(10_000), Some(UnixMillis(5))));
        assert!(account.has_number("15550783881"));

        let unlimited = NumberState::read(&json!({"whatsapp_business_manager_messaging_limit": "TIER_UNLIMITED"}));
        unlimited.tell(&mut account, UnixMillis(6));
        assert_eq!(account.messaging_limit, None);
    }

    #[test]
    fn what_is_told_again_is_no_news() {
        let state = NumberState::read(&json!({"quality_rating": "GREEN", "throughput": {"level": "STANDARD"}}));
        let mut account = account();
        assert!(state.is_news_to(&account, UnixMillis(5)));
        state.tell(&mut account, UnixMillis(5));
        assert!(!state.is_news_to(&account, UnixMillis(9)));
    }

    #[test]
    fn what_meta_leaves_out_or_writes_oddly_changes_nothing() {
        let mut account = account();
        (account.quality, account.throughput, account.messaging_limit) = (Quality::Red, Some(80), Some(250));
        let before = account.clone();
        let state = NumberState::read(&json!({
            "quality_rating": 7, "throughput": "HIGH", "whatsapp_business_manager_messaging_limit": "TIER_NOT_SET",
            "display_phone_number": "", "verified_name": null, "status": "FLAGGED",
        }));
        state.tell(&mut account, UnixMillis(5));
        assert_eq!(account, before);
        assert!(state.warning().unwrap().contains("FLAGGED"));
    }
}
