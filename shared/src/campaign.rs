//! A campaign: who gets which message from which account, and how far it has come. What can be done to it and when is
//! in [`lifecycle`], its text in [`render`], its audience in [`audience`] and [`planner`].

pub mod audience;
pub mod lifecycle;
pub mod message;
pub mod planner;
pub mod render;

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use self::audience::AudienceSource;
pub use self::lifecycle::Status;
pub use self::message::Message;
use crate::attempt::{AttemptKey, Money, Seq, Shard};
use crate::id::{AccountId, CampaignId, TrackedLinkId, WorkspaceId};
use crate::link::code::LinkId;
use crate::link::utm::Utm;
use crate::local_time::{LocalTime, QuietHours};
use crate::phone::PhoneNumber;
use crate::price::Regions;
use crate::time::UnixMillis;

/// Recipients on one page of the audience: the unit of work of the sender, and of one reservation of its rate.
pub const PAGE_SIZE: u32 = 100;

/// A page of a campaign's audience, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PageNumber(pub u32);

impl fmt::Display for PageNumber {
    /// Six digits, so that pages sort as text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:06}", self.0)
    }
}

/// Which of a campaign's variants, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VariantIndex(pub u8);

/// One message of an A/B/n test; a campaign without a test has one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// Shown in the report; unique within the campaign.
    pub name: String,
    /// Its share, relative to the other variants' weights.
    #[serde(default = "one")]
    pub weight: u32,
    /// What is sent.
    pub message: Message,
}

const fn one() -> u32 {
    1
}

/// What a message is for, in Meta's terms; it decides its price and who may get it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    /// Offers and news.
    #[default]
    Marketing,
    /// About something the recipient has ordered or asked for.
    Utility,
    /// One-time codes.
    Authentication,
    /// Free-form messages inside the 24 h service window.
    Service,
}

/// What happens to attempts of which nobody knows whether Meta has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnUnknown {
    /// They stay unknown unless a webhook or Meta's message history resolves them: nobody gets the message twice.
    #[default]
    Leave,
    /// After a grace period without a word from Meta they are sent again: nobody is left out, somebody may get it twice.
    Resend,
}

/// What has paused a campaign, and so what lets it go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PausedBy {
    /// Somebody asked for it.
    Operator,
    /// Its account was paused; it goes on with the account.
    Account,
    /// Its template was paused or disabled; it goes on when Meta approves the template again.
    Template,
    /// Too many of its messages failed, or its budget is spent, or something is wrong that only somebody can mend.
    Errors,
}

/// An audience that is still being read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planning {
    /// Where it comes from.
    pub source: AudienceSource,
    /// Lines read so far.
    pub lines: u64,
    /// Whether messages may leave before the last line was read.
    pub start_early: bool,
    /// Why the audience cannot be read, for people; the campaign then stays a draft without recipients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

/// When a campaign runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// Not before this time; at once when absent.
    #[serde(default, with = "crate::time::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub start_at: Option<UnixMillis>,
    /// At this time of each recipient's own day, the first one after the campaign has started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_time: Option<LocalTime>,
    /// Not in these hours of each recipient's own day; the account's quiet hours when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet_hours: Option<QuietHours>,
    /// Whoever has not been sent to by then is skipped.
    #[serde(default, with = "crate::time::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<UnixMillis>,
}

/// A tracked link of a campaign: every recipient gets a short link of their own to this destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CampaignLink {
    /// Its number in the deployment.
    pub id: LinkId,
    /// Its id as the API names it; absent on campaigns of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_id: Option<TrackedLinkId>,
    /// The destination as written in the message.
    pub url: String,
}

/// A campaign as stored.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Campaign {
    /// Version of the stored shape.
    pub v: u8,
    /// Its id.
    pub id: CampaignId,
    /// Whose it is.
    pub workspace: WorkspaceId,
    /// The account it is sent from.
    pub account: AccountId,
    /// Given by the operator.
    pub name: String,
    /// Free text to filter by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// What the messages are for.
    pub category: Category,
    /// At least one.
    pub variants: Vec<Variant>,
    /// When it runs.
    pub schedule: Schedule,
    /// The campaign's own ceiling; the account's rate holds as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages_per_second: Option<u32>,
    /// What happens to unknown attempts.
    pub on_unknown: OnUnknown,
    /// Share of the audience, 0 to 50, that gets no message so that the campaign's effect can be measured.
    #[serde(default)]
    pub holdout_percent: u8,
    /// So many failed messages pause the campaign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_threshold: Option<u32>,
    /// Failed messages that do not count towards the threshold any more: it was reached, and the campaign was resumed.
    #[serde(default)]
    pub forgiven: u32,
    /// When the messages so far have cost this much, the campaign pauses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Money>,
    /// How often its budget was used up: each resume lets it cost as much again.
    #[serde(default)]
    pub budget_renewals: u16,
    /// The campaign that this one tries out on a few people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_of: Option<CampaignId>,
    /// The tracked links of its messages.
    pub links: Vec<CampaignLink>,
    /// Whether the destinations of its links are told which click it was; see [`crate::link::click_id`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub append_click_id: bool,
    /// What its links add to their destinations.
    #[serde(default, skip_serializing_if = "Utm::is_empty")]
    pub utm: Utm,
    /// Everyone in the audience as given, the skipped ones included.
    pub recipients: u32,
    /// Lines of the audience that were not planned.
    pub skipped: u32,
    /// People of the audience who are held out.
    #[serde(default)]
    pub holdout: u32,
    /// The recipients that are sent to, by region; see [`crate::price::regions_of`].
    #[serde(default, skip_serializing_if = "Regions::is_empty")]
    pub regions: Regions,
    /// The audience is still being read: `recipients`, `skipped`, `holdout` and `pages` grow. Absent when it is whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planning: Option<Planning>,
    /// Pages of planned recipients.
    pub pages: u32,
    /// Partitions of its attempts.
    pub shards: u8,
    /// Where it stands.
    pub status: Status,
    /// Why it was paused or failed, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_reason: Option<String>,
    /// What has paused it; absent unless it is paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_by: Option<PausedBy>,
    /// How often its failed messages were asked to be sent again; pages that are done belong to a round.
    #[serde(default)]
    pub round: u16,
    /// Failures before this time are to be tried again (`retry-failed`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_before: Option<UnixMillis>,
    /// The next page to be given to the sender; all pages before it were given.
    pub next_page: u32,
    /// All pages before it are done.
    pub done_before: u32,
    /// When it was created.
    pub created_at: UnixMillis,
    /// When it first ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<UnixMillis>,
    /// When it was completed, cancelled or failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<UnixMillis>,
}

impl Campaign {
    /// Recipients that are sent to.
    #[must_use]
    pub const fn planned(&self) -> u32 {
        self.recipients.saturating_sub(self.skipped).saturating_sub(self.holdout)
    }

    /// Whether messages leave now.
    #[must_use]
    pub fn sends_at(&self, now: UnixMillis) -> bool {
        self.status == Status::Running && !self.has_expired(now)
    }

    /// Whether its time is over.
    #[must_use]
    pub fn has_expired(&self, now: UnixMillis) -> bool {
        self.schedule.expires_at.is_some_and(|end| end <= now)
    }

    /// Whether it ended because its time was over: whoever had no message by then gets none.
    #[must_use]
    pub fn ended_by_its_time(&self) -> bool {
        let ended = self.finished_at.filter(|_| self.status == Status::Completed);
        ended.zip(self.schedule.expires_at).is_some_and(|(ended, end)| ended >= end)
    }

    /// Where the recipient's attempt lies.
    #[must_use]
    pub fn attempt_key(&self, seq: Seq) -> AttemptKey {
        let shard = Shard(u8::try_from(seq.0 % u32::from(self.shards.max(1))).unwrap_or(0));
        AttemptKey { workspace: self.workspace, campaign: self.id, shard, seq }
    }

    /// The rate it is sent at when it has the account to itself.
    #[must_use]
    pub fn rate(&self, account_rate: u32) -> u32 {
        self.messages_per_second.map_or(account_rate, |own| own.min(account_rate)).max(1)
    }
}

/// How many partitions the attempts of so many recipients are spread over: one per thousand, at most 32. A partition
/// takes 1,000 writes/s (DynamoDB) and a message about five, so 32 carry 1,000 messages/s with room for repeats.
#[must_use]
pub fn shards_for(recipients: u32) -> u8 {
    u8::try_from(recipients.div_ceil(1_000).clamp(1, 32)).unwrap_or(32)
}

/// The recipient's variant: the same for every run and every machine, spread by weight.
#[must_use]
pub fn assign_variant(campaign: CampaignId, phone: &PhoneNumber, variants: &[Variant]) -> VariantIndex {
    let total: u64 = variants.iter().map(|variant| u64::from(variant.weight)).sum();
    if total == 0 {
        return VariantIndex(0);
    }
    let mut point = draw(b"", campaign, phone) % total;
    for (index, variant) in variants.iter().enumerate() {
        let weight = u64::from(variant.weight);
        if point < weight {
            return VariantIndex(u8::try_from(index).unwrap_or(u8::MAX));
        }
        point -= weight;
    }
    VariantIndex(0)
}

/// Whether the recipient is held out: the same for every run and every machine, and independent of the variant. The share
/// is `percent` of the people.
#[must_use]
pub fn is_held_out(campaign: CampaignId, phone: &PhoneNumber, percent: u8) -> bool {
    draw(b"holdout", campaign, phone) % 100 < u64::from(percent)
}

/// A number that looks random and is always the same for a recipient of a campaign.
fn draw(domain: &[u8], campaign: CampaignId, phone: &PhoneNumber) -> u64 {
    let mut hash = Sha256::new();
    hash.update(domain);
    hash.update(campaign.ulid().to_bytes());
    hash.update(phone.as_str().as_bytes());
    let digest = hash.finalize();
    let mut first = [0_u8; 8];
    first.copy_from_slice(&digest[..8]);
    u64::from_be_bytes(first)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A draft of a text to nobody.
    pub(crate) fn campaign() -> Campaign {
        serde_json::from_value(serde_json::json!({
            "v": 1, "id": "cmp_01J00000000000000000000000", "workspace": WorkspaceId::FIRST,
            "account": "acc_01J00000000000000000000000", "name": "Offer", "category": "marketing",
            "variants": [{"name": "A", "weight": 1, "message": {"type": "text", "text": {"body": "Hi"}}}],
            "schedule": {}, "on_unknown": "leave", "links": [], "recipients": 0, "skipped": 0, "pages": 0, "shards": 1,
            "status": "draft", "next_page": 0, "done_before": 0, "created_at": 7,
        }))
        .unwrap()
    }

    fn variant(name: &str, weight: u32) -> Variant {
        Variant { name: name.to_owned(), weight, message: Message::text("hi") }
    }

    #[test]
    fn variants_are_spread_by_weight_and_stay() {
        let campaign = CampaignId::new(UnixMillis(5));
        let variants = [variant("A", 75), variant("B", 25)];
        let assign = |n: u32| {
            let phone: PhoneNumber = format!("+6012345{n:04}").parse().unwrap();
            assign_variant(campaign, &phone, &variants)
        };
        let in_b = (0..2_000).filter(|n| assign(*n) == VariantIndex(1)).count();
        assert!((400..600).contains(&in_b), "{in_b} of 2000 for a weight of 25 %");
        assert_eq!(assign(7), assign(7));
    }

    #[test]
    fn who_is_held_out_does_not_depend_on_the_variant() {
        let campaign = CampaignId::new(UnixMillis(5));
        let variants = [variant("A", 50), variant("B", 50)];
        let phones = (0..4_000).map(|n| format!("+6012345{n:04}").parse::<PhoneNumber>().unwrap());
        let held_out: Vec<PhoneNumber> = phones.filter(|phone| is_held_out(campaign, phone, 10)).collect();
        assert!((300..500).contains(&held_out.len()), "{} of 4000 for 10 %", held_out.len());
        let in_b = held_out.iter().filter(|phone| assign_variant(campaign, phone, &variants).0 == 1).count();
        assert!((held_out.len() * 2 / 5..held_out.len() * 3 / 5).contains(&in_b), "{in_b} of {}", held_out.len());
        assert!(held_out.iter().all(|phone| !is_held_out(campaign, phone, 0) && is_held_out(campaign, phone, 11)));
    }

    #[test]
    fn an_audience_that_is_being_read_is_stored_in_this_shape() {
        let stored = |source: AudienceSource| {
            let planning = Planning { source, lines: 3, start_early: false, failed: None };
            serde_json::to_string(&planning).unwrap()
        };
        assert_eq!(
            stored(AudienceSource::Csv {
                key: "uploads/x".to_owned(),
                etag: Some("\"e\"".to_owned()),
                columns: [("phone".to_owned(), "Mobile".to_owned())].into(),
            }),
            r#"{"source":{"kind":"csv","key":"uploads/x","etag":"\"e\"","columns":{"phone":"Mobile"}},"lines":3,"start_early":false}"#
        );
        assert_eq!(
            stored(AudienceSource::Import { import: "imp_01J00000000000000000000000".parse().unwrap() }),
            r#"{"source":{"kind":"import","import":"imp_01J00000000000000000000000"},"lines":3,"start_early":false}"#
        );
        assert_eq!(
            stored(AudienceSource::Campaign {
                workspace: WorkspaceId::FIRST,
                campaign: "cmp_01J00000000000000000000000".parse().unwrap(),
            }),
            r#"{"source":{"kind":"campaign","workspace":"wsp_00000000000000000000000001","campaign":"cmp_01J00000000000000000000000"},"lines":3,"start_early":false}"#
        );
    }

    #[test]
    fn a_campaign_has_a_shard_for_each_thousand() {
        assert_eq!([0, 250, 1_000, 1_001, 1_000_000].map(shards_for), [1, 1, 1, 2, 32]);
    }
}
