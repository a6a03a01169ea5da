//! What the API shows of accounts and campaigns.

use serde::Serialize;
use serde_json::{Value, json};
use shared::account::news::Notice;
use shared::account::{Account, AccountPausedBy, AccountStatus, Limits, Quality};
use shared::attempt::Money;
use shared::campaign::{Campaign, Category, OnUnknown, PausedBy, Planning, Schedule, Status, Variant};
use shared::id::{AccountId, CampaignId};
use shared::link::utm::Utm;
use shared::safety::Safety;
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
    verified_name: Option<String>,
    messages_per_second: u32,
    limits: Limits,
    safety: Safety,
    timezone: String,
    status: AccountStatus,
    status_reason: Option<String>,
    paused_by: Option<AccountPausedBy>,
    #[serde(with = "rfc3339::option")]
    paused_until: Option<UnixMillis>,
    quality: Quality,
    messaging_limit: Option<u32>,
    throughput: Option<u32>,
    portfolio: String,
    notice: Option<NoticeView>,
    notices: Vec<NoticeView>,
    #[serde(with = "rfc3339")]
    created_at: UnixMillis,
}

/// Meta's newest word about the business account.
#[derive(Serialize)]
struct NoticeView {
    #[serde(with = "rfc3339")]
    at: UnixMillis,
    text: String,
}

impl From<&Notice> for NoticeView {
    fn from(notice: &Notice) -> Self {
        Self { at: notice.at, text: notice.text.clone() }
    }
}

impl From<&Account> for AccountView {
    fn from(account: &Account) -> Self {
        Self {
            id: account.id,
            name: account.name.clone(),
            phone_number_id: account.phone_number_id.clone(),
            waba_id: account.waba_id.clone(),
            display_phone_number: account.display_phone_number.clone(),
            verified_name: account.verified_name.clone(),
            messages_per_second: account.messages_per_second,
            limits: account.limits,
            safety: account.safety.clone(),
            timezone: account.timezone.clone(),
            status: account.status,
            status_reason: account.status_reason.clone(),
            paused_by: account.paused_by,
            paused_until: account.paused_until,
            quality: account.quality,
            messaging_limit: account.messaging_limit,
            throughput: account.throughput,
            portfolio: account.portfolio_name().to_owned(),
            notice: account.notice.as_ref().map(NoticeView::from),
            notices: account.notices.iter().map(NoticeView::from).collect(),
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
    #[serde(skip_serializing_if = "Option::is_none")]
    test_of: Option<CampaignId>,
    links: Vec<Value>,
    append_click_id: bool,
    utm: &'a Utm,
    status: Status,
    status_reason: Option<&'a str>,
    paused_by: Option<PausedBy>,
    round: u16,
    recipients: u32,
    skipped: u32,
    holdout: u32,
    /// How far the audience is read; absent when it is whole.
    #[serde(skip_serializing_if = "Option::is_none")]
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
            test_of: campaign.test_of,
            links: campaign
                .links
                .iter()
                .map(|link| json!({"id": link.id, "link_id": link.link_id, "url": link.url}))
                .collect(),
            append_click_id: campaign.append_click_id,
            utm: &campaign.utm,
            status: campaign.status,
            status_reason: campaign.status_reason.as_deref(),
            paused_by: campaign.paused_by,
            round: campaign.round,
            recipients: campaign.recipients,
            skipped: campaign.skipped,
            holdout: campaign.holdout,
            planning: campaign.planning.as_ref().map(|planning| {
                let Planning { lines, start_early, failed, .. } = planning;
                json!({"lines": lines, "start_early": start_early, "failed": failed})
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
