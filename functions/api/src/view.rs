//! What the API shows of accounts and campaigns.

use serde::Serialize;
use serde_json::{Value, json};
use shared::account::{Account, AccountStatus};
use shared::attempt::Money;
use shared::campaign::{Campaign, Category, OnUnknown, PausedBy, Schedule, Status, Variant};
use shared::id::{AccountId, CampaignId};
use shared::store::Listed;
use shared::time::{UnixMillis, rfc3339};

/// An account; the access token is never shown.
#[derive(Serialize)]
pub(crate) struct AccountView {
    id: AccountId,
    name: String,
    phone_number_id: String,
    waba_id: String,
    display_phone_number: String,
    messages_per_second: u32,
    timezone: String,
    status: AccountStatus,
    #[serde(with = "rfc3339")]
    created_at: UnixMillis,
}

impl From<&Account> for AccountView {
    fn from(account: &Account) -> Self {
        Self {
            id: account.id,
            name: account.name.clone(),
            phone_number_id: account.phone_number_id.clone(),
            waba_id: account.waba_id.clone(),
            display_phone_number: account.display_phone_number.clone(),
            messages_per_second: account.messages_per_second,
            timezone: account.timezone.clone(),
            status: account.status,
            created_at: account.created_at,
        }
    }
}

/// A campaign's definition and state.
#[derive(Serialize)]
pub(crate) struct CampaignView<'a> {
    id: CampaignId,
    name: &'a str,
    tag: Option<&'a str>,
    account_id: AccountId,
    category: Category,
    variants: &'a [Variant],
    schedule: Schedule,
    messages_per_second: Option<u32>,
    on_unknown: OnUnknown,
    holdout_percent: u8,
    error_threshold: Option<u32>,
    budget: Option<&'a Money>,
    links: Vec<Value>,
    status: Status,
    status_reason: Option<&'a str>,
    paused_by: Option<PausedBy>,
    round: u16,
    recipients: u32,
    skipped: u32,
    holdout: u32,
    planning: Option<Value>,
    #[serde(with = "rfc3339")]
    created_at: UnixMillis,
    #[serde(with = "rfc3339::option")]
    started_at: Option<UnixMillis>,
    #[serde(with = "rfc3339::option")]
    finished_at: Option<UnixMillis>,
}

impl<'a> From<&'a Campaign> for CampaignView<'a> {
    fn from(campaign: &'a Campaign) -> Self {
        Self {
            id: campaign.id,
            name: &campaign.name,
            tag: campaign.tag.as_deref(),
            account_id: campaign.account,
            category: campaign.category,
            variants: &campaign.variants,
            schedule: campaign.schedule,
            messages_per_second: campaign.messages_per_second,
            on_unknown: campaign.on_unknown,
            holdout_percent: campaign.holdout_percent,
            error_threshold: campaign.error_threshold,
            budget: campaign.budget.as_ref(),
            links: campaign.links.iter().map(|link| json!({"id": link.id, "url": link.url})).collect(),
            status: campaign.status,
            status_reason: campaign.status_reason.as_deref(),
            paused_by: campaign.paused_by,
            round: campaign.round,
            recipients: campaign.recipients,
            skipped: campaign.skipped,
            holdout: campaign.holdout,
            // Where the audience lies is nobody's business.
            planning: campaign.planning.as_ref().map(|planning| {
                json!({"lines": planning.lines, "start_early": planning.start_early, "failed": planning.failed})
            }),
            created_at: campaign.created_at,
            started_at: campaign.started_at,
            finished_at: campaign.finished_at,
        }
    }
}

/// Where a list goes on: after its last row, if there may be more.
pub(crate) fn next_cursor<T>(listed: &Listed<T>, cursor: impl Fn(&T) -> String) -> Option<String> {
    listed.rows.last().filter(|_| listed.more).map(cursor)
}
