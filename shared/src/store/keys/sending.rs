//! Campaigns, their pages and attempts, what was sent to whom, and what the watchdogs look after.

use super::{Key, read_of_recipient};
use crate::attempt::{AttemptKey, Shard};
use crate::campaign::PageNumber;
use crate::id::{CampaignId, WorkspaceId};

/// A campaign's definition and cursor.
#[must_use]
pub fn campaign(workspace: WorkspaceId, campaign: CampaignId) -> Key {
    Key::new(campaign_pk(workspace, campaign), "CAMPAIGN")
}

/// Partition of a campaign and its pages.
#[must_use]
pub fn campaign_pk(workspace: WorkspaceId, campaign: CampaignId) -> String {
    format!("WS#{workspace}#CAMPAIGN#{campaign}")
}

/// What a page's sort key starts with.
pub const PAGE_PREFIX: &str = "PAGE#";

/// A page of a campaign's audience.
#[must_use]
pub fn page(workspace: WorkspaceId, campaign: CampaignId, page: PageNumber) -> Key {
    Key::new(campaign_pk(workspace, campaign), format!("{PAGE_PREFIX}{page}"))
}

/// Partition of a shard of a campaign's attempts.
#[must_use]
pub fn attempts_pk(workspace: WorkspaceId, campaign: CampaignId, shard: Shard) -> String {
    format!("WS#{workspace}#ATTEMPTS#{campaign}#{:02}", shard.0)
}

/// An attempt.
#[must_use]
pub fn attempt(key: &AttemptKey) -> Key {
    Key::new(attempts_pk(key.workspace, key.campaign, key.shard), format!("{:08}", key.seq.0))
}

/// Reads an attempt's key back; `None` for any other row.
#[must_use]
pub fn read_attempt(pk: &str, sk: &str) -> Option<AttemptKey> {
    read_of_recipient("ATTEMPTS", pk, sk)
}

/// Partition of what was sent to a number and which campaigns it belongs to.
#[must_use]
pub fn phone_alias_pk(workspace: WorkspaceId, digits: &str) -> String {
    format!("WS#{workspace}#ALIAS#PHONE#{digits}")
}

/// What a touch's sort key starts with.
pub const TOUCH_PREFIX: &str = "TOUCH#";

/// A campaign's message to a number.
#[must_use]
pub fn touch(workspace: WorkspaceId, digits: &str, campaign: CampaignId) -> Key {
    Key::new(phone_alias_pk(workspace, digits), format!("{TOUCH_PREFIX}{campaign}"))
}

/// The campaigns and jobs that the watchdog looks after.
pub const DUE_PK: &str = "DUE";

/// What the sort key of a campaign in the watchdog's list starts with.
pub const DUE_CAMPAIGN_PREFIX: &str = "CAMPAIGN#";

/// A campaign in the watchdog's list.
#[must_use]
pub fn due(campaign: CampaignId) -> Key {
    Key::new(DUE_PK, format!("{DUE_CAMPAIGN_PREFIX}{campaign}"))
}

/// What the sort key of a job in the watchdog's list starts with.
pub const JOB_PREFIX: &str = "JOB#";

/// A job in the watchdog's list, by the id of what it works on.
#[must_use]
pub fn job(of: impl std::fmt::Display) -> Key {
    Key::new(DUE_PK, format!("{JOB_PREFIX}{of}"))
}

/// A request that may be repeated.
#[must_use]
pub fn idempotency(workspace: WorkspaceId, key_hash: &str) -> Key {
    Key::new(format!("WS#{workspace}#IDEMPOTENCY#{key_hash}"), "IDEMPOTENCY")
}

/// A workspace's campaigns in the index of lists.
#[must_use]
pub fn campaign_list(workspace: WorkspaceId) -> String {
    format!("WS#{workspace}#CAMPAIGNS")
}
