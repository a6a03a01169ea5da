//! An account: a business phone number connected to the Cloud API, with the limits and rules it is used under. Pausing and
//! going on is in [`state`], what Meta tells about the number in [`news`], the rate that follows from all of it in
//! [`rate`], and what an account's pause means for its campaigns in [`follow`]. Rows are [`crate::store`]'s.

pub mod follow;
mod limits;
pub mod news;
pub mod rate;
#[cfg(test)]
pub(crate) mod sample;
pub mod state;

use serde::{Deserialize, Serialize};

pub use self::limits::Limits;
use self::news::Notice;
pub use self::state::{AccountPausedBy, Pause};
use crate::id::{AccountId, WorkspaceId};
use crate::safety::Safety;
use crate::time::UnixMillis;

/// Meta's default throughput of a number, inbound and outbound together (Meta, throughput page).
pub const META_DEFAULT_RATE: u32 = 80;

/// Meta's highest throughput of a number (Meta, throughput page).
pub const META_HIGHEST_RATE: u32 = 1_000;

/// What a new account sends at unless told otherwise: below [`META_DEFAULT_RATE`], for inbound messages count as well.
pub const DEFAULT_RATE: u32 = 75;

/// Whether an account sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountStatus {
    /// It does.
    #[default]
    Active,
    /// Nothing leaves: by the operator's word, by Meta's, or because errors made it stop.
    Paused,
}

impl AccountStatus {
    /// The state's name in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
        }
    }
}

/// Meta's opinion of the number's messages (Meta, quality rating), the worst last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quality {
    /// Meta has said nothing yet.
    #[default]
    Unknown,
    /// High.
    Green,
    /// Medium.
    Yellow,
    /// Low: Meta may lower the number's limits.
    Red,
}

/// An account as stored. The access token is kept elsewhere (see [`crate::secrets`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Version of the stored shape.
    pub v: u8,
    /// Grows with every change, which is written only over the revision that it was made from.
    #[serde(default)]
    pub revision: u64,
    /// Its id.
    pub id: AccountId,
    /// Whose it is.
    pub workspace: WorkspaceId,
    /// Given by the operator.
    pub name: String,
    /// Meta's id of the number; what the send call and every webhook name.
    pub phone_number_id: String,
    /// Meta's id of the WhatsApp Business Account.
    pub waba_id: String,
    /// The number as people see it.
    pub display_phone_number: String,
    /// The rate it sends at.
    pub messages_per_second: u32,
    /// What it may send in longer spans of time.
    #[serde(default)]
    pub limits: Limits,
    /// Whom it may write to, and what.
    #[serde(default)]
    pub safety: Safety,
    /// IANA name of the zone its days begin in.
    pub timezone: String,
    /// Whether it sends.
    pub status: AccountStatus,
    /// Why it is paused, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_reason: Option<String>,
    /// When a paused account goes on by itself; `None`: when somebody resumes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_until: Option<UnixMillis>,
    /// Who has paused it; absent unless it is paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_by: Option<AccountPausedBy>,
    /// When its access token was last replaced: a copy of the token that was read before is not to be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_at: Option<UnixMillis>,
    /// Meta's opinion of its messages.
    #[serde(default)]
    pub quality: Quality,
    /// When Meta told the quality.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality_at: Option<UnixMillis>,
    /// Meta's limit of people that the whole business portfolio may write to in 24 hours; `None`: unlimited, or not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messaging_limit: Option<u32>,
    /// When Meta told the limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messaging_limit_at: Option<UnixMillis>,
    /// Messages a second that Meta takes from the number, as far as Meta has told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throughput: Option<u32>,
    /// When Meta told the throughput.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throughput_at: Option<UnixMillis>,
    /// When Meta last told that the number may not send, or may again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing_at: Option<UnixMillis>,
    /// Meta's newest word about the business account, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice: Option<Notice>,
    /// The latest of them, newest first, at most [`news::NOTICES_KEPT`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<Notice>,
    /// The name that people see, which Meta has verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_name: Option<String>,
    /// The number in digits as Meta knows it, by which some webhooks name it; absent until Meta was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number_digits: Option<String>,
    /// Names the business portfolio whose numbers share the messaging limit; the WABA's id unless told otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub portfolio: Option<String>,
    /// When it was created.
    pub created_at: UnixMillis,
}

impl Account {
    /// A new account that nothing is known of but what everybody must tell; it is active.
    #[must_use]
    pub fn new(id: AccountId, workspace: WorkspaceId, number: NumberIdentity, created_at: UnixMillis) -> Self {
        Self {
            v: 1,
            revision: 0,
            id,
            workspace,
            name: String::new(),
            phone_number_id: number.phone_number_id,
            waba_id: number.waba_id,
            display_phone_number: number.display_phone_number,
            messages_per_second: DEFAULT_RATE,
            limits: Limits::default(),
            safety: Safety::default(),
            timezone: DEFAULT_TIMEZONE.to_owned(),
            status: AccountStatus::Active,
            status_reason: None,
            paused_until: None,
            paused_by: None,
            token_at: None,
            quality: Quality::Unknown,
            quality_at: None,
            messaging_limit: None,
            messaging_limit_at: None,
            throughput: None,
            throughput_at: None,
            standing_at: None,
            notice: None,
            notices: Vec::new(),
            verified_name: None,
            number_digits: None,
            portfolio: None,
            created_at,
        }
    }

    /// How many different people may be written to in 24 hours: the lower of Meta's limit of the portfolio and the
    /// account's own; `None`: no limit is known.
    #[must_use]
    pub fn people_per_day(&self) -> Option<u32> {
        self.messaging_limit.into_iter().chain(self.limits.unique_recipients_per_24h).min()
    }

    /// The name under which the messaging limit is shared: the portfolio's if it was told, else the WABA's id.
    #[must_use]
    pub fn portfolio_name(&self) -> &str {
        self.portfolio.as_deref().unwrap_or(&self.waba_id)
    }

    /// Whether these digits are its number, as Meta knows it or as the operator has written it.
    #[must_use]
    pub fn has_number(&self, digits: &str) -> bool {
        let written: String = self.display_phone_number.chars().filter(char::is_ascii_digit).collect();
        !digits.is_empty() && (self.number_digits.as_deref() == Some(digits) || written == digits)
    }
}

/// By what Meta and people know a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberIdentity {
    /// Meta's id of the number.
    pub phone_number_id: String,
    /// Meta's id of the WhatsApp Business Account.
    pub waba_id: String,
    /// The number as people see it.
    pub display_phone_number: String,
}

/// The time zone of a new account unless told otherwise.
pub const DEFAULT_TIMEZONE: &str = "UTC";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_before_is_read_and_the_whole_shape_is_pinned() {
        let of_before = serde_json::json!({
            "v": 1, "id": "acc_01J00000000000000000000000", "workspace": "wsp_00000000000000000000000001",
            "name": "Shop", "phone_number_id": "1", "waba_id": "2", "display_phone_number": "+1 555-078-3881",
            "messages_per_second": 75, "timezone": "UTC", "status": "active", "created_at": 7,
        });
        let account: Account = serde_json::from_value(of_before.clone()).unwrap();
        assert_eq!((account.revision, &account.limits, &account.safety), (0, &Limits::default(), &Safety::default()));
        assert_eq!(account.portfolio_name(), "2");

        let mut expected = of_before;
        expected["revision"] = 3.into();
        expected["limits"] = serde_json::to_value(Limits::default()).unwrap();
        expected["safety"] = serde_json::to_value(Safety::default()).unwrap();
        expected["status"] = "paused".into();
        expected["status_reason"] = "tired".into();
        expected["paused_until"] = 9.into();
        expected["paused_by"] = "errors".into();
        expected["token_at"] = 1.into();
        expected["quality"] = "red".into();
        expected["quality_at"] = 2.into();
        expected["messaging_limit"] = 250.into();
        expected["messaging_limit_at"] = 3.into();
        expected["throughput"] = 80.into();
        expected["throughput_at"] = 4.into();
        expected["standing_at"] = 5.into();
        expected["notice"] = serde_json::json!({"at": 6, "text": "a word"});
        expected["notices"] = serde_json::json!([{"at": 6, "text": "a word"}]);
        expected["verified_name"] = "The Shop".into();
        expected["number_digits"] = "15550783881".into();
        expected["portfolio"] = "group".into();
        let account: Account = serde_json::from_value(expected.clone()).unwrap();
        assert_eq!(serde_json::to_value(&account).unwrap(), expected);
    }

    #[test]
    fn a_number_is_known_by_its_digits_however_it_was_written() {
        let number = NumberIdentity {
            phone_number_id: "1".to_owned(),
            waba_id: "2".to_owned(),
            display_phone_number: "+1 555-078-3881".to_owned(),
        };
        let mut account = Account::new(AccountId::new(UnixMillis(1)), WorkspaceId::FIRST, number, UnixMillis(1));
        assert!(account.has_number("15550783881") && !account.has_number("15550783882"));
        account.number_digits = Some("15550783882".to_owned());
        assert!(account.has_number("15550783882"));
        account.display_phone_number = "the shop".to_owned();
        assert!(!account.has_number(""));
    }
}
