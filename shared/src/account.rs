//! An account: a business phone number connected to the Cloud API, with the limits and rules it is used under.

mod limits;

use serde::{Deserialize, Serialize};

pub use self::limits::Limits;
use crate::id::{AccountId, WorkspaceId};
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
    /// Nothing leaves: by the operator's word, or because errors made it stop.
    Paused,
}

/// Meta's opinion of the number's messages (Meta, quality rating).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// What it may send in which span of time.
    #[serde(default)]
    pub limits: Limits,
    /// The rules that keep it from being unwelcome.
    #[serde(default)]
    pub safety: crate::safety::Safety,
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
    /// Meta's opinion of its messages.
    #[serde(default)]
    pub quality: Quality,
    /// Meta's limit of people that the whole business portfolio may write to in 24 hours; `None`: unlimited, or not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messaging_limit: Option<u32>,
    /// Names the business portfolio whose numbers share the messaging limit; the WABA's id unless told otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub portfolio: Option<String>,
    /// When it was created.
    pub created_at: UnixMillis,
}

impl Account {
    /// How many different people may be written to in 24 hours: the lower of Meta's limit of the portfolio and the
    /// account's own; `None`: no limit is known.
    #[must_use]
    pub fn people_per_day(&self) -> Option<u32> {
        self.messaging_limit.into_iter().chain(self.limits.unique_recipients_per_24h).min()
    }

    /// The business portfolio whose numbers share the messaging limit.
    #[must_use]
    pub fn portfolio_name(&self) -> &str {
        self.portfolio.as_deref().unwrap_or(&self.waba_id)
    }
}
