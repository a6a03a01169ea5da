//! The keys of both tables. Every key of CORE starts with its workspace, so no query can cross one, but for what somebody
//! outside asks for who cannot know the workspace: a link by its number, an account by Meta's number id or by its WhatsApp
//! Business Account's, and what the watchdogs look after: campaigns, jobs, parcels of deliveries.

use aws_sdk_dynamodb::types::AttributeValue;

use super::Item;
use crate::activity;
use crate::attempt::{AttemptKey, Seq, Shard};
use crate::campaign::PageNumber;
use crate::id::{
    AccountId, CampaignId, ContactId, DeliveryId, EventId, ImportId, MediaId, UploadId, WebhookId, WorkspaceId,
};
use crate::link::code::LinkId;
use crate::phone::canonical_digits;
use crate::subscription::parcel::{self, ParcelKey};
use crate::time::UnixMillis;

/// Partition and sort key of one item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
}

impl Key {
    /// From its two parts.
    #[must_use]
    pub fn new(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self { pk: pk.into(), sk: sk.into() }
    }

    /// As the SDK wants a key.
    #[must_use]
    pub fn item(self) -> Item {
        Item::from([("pk".to_owned(), AttributeValue::S(self.pk)), ("sk".to_owned(), AttributeValue::S(self.sk))])
    }
}

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
    let mut parts = pk.split('#');
    let (workspace, campaign, shard) = match (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?)
    {
        ("WS", workspace, "ATTEMPTS", campaign, shard) => (workspace, campaign, shard),
        _ => return None,
    };
    Some(AttemptKey {
        workspace: workspace.parse().ok()?,
        campaign: campaign.parse().ok()?,
        shard: Shard(shard.parse().ok()?),
        seq: Seq(sk.parse().ok()?),
    })
}

/// An event of the feed. `account` is `None` for what names no account of ours.
#[must_use]
pub fn event(workspace: Option<WorkspaceId>, account: Option<AccountId>, id: EventId, at: UnixMillis) -> Key {
    let workspace = workspace.map_or_else(|| UNROUTED.to_owned(), |id| id.to_string());
    let account = account.map_or_else(|| UNROUTED.to_owned(), |id| id.to_string());
    let shard = activity::shard_of(id).0;
    Key::new(format!("WS#{workspace}#ACTIVITY#{account}#{}#{shard:02}", at.date()), format!("{:015}#{id}", at.0))
}

/// Stands for the workspace or account of what names none of ours.
pub const UNROUTED: &str = "UNROUTED";

/// Where an event lies, read back from its partition key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventPartition {
    /// Whose it is.
    pub workspace: WorkspaceId,
    /// The day, `2026-11-21`.
    pub date: String,
    /// The partition within the day.
    pub shard: Shard,
}

/// Reads an event's partition back; `None` for any other row and for what names no workspace.
#[must_use]
pub fn read_event_partition(pk: &str) -> Option<EventPartition> {
    let parts: Vec<&str> = pk.split('#').collect();
    match parts[..] {
        ["WS", workspace, "ACTIVITY", _, date, shard] => Some(EventPartition {
            workspace: workspace.parse().ok()?,
            date: date.to_owned(),
            shard: Shard(shard.parse().ok()?),
        }),
        _ => None,
    }
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

/// Which contact a number belongs to, and what its owner agreed to. All forms of a number
/// ([`wa_id_variants`](crate::phone::wa_id_variants)) have one row.
#[must_use]
pub fn phone_alias(workspace: WorkspaceId, digits: &str) -> Key {
    Key::new(phone_alias_pk(workspace, &canonical_digits(digits)), "ALIAS")
}

/// A contact.
#[must_use]
pub fn contact(workspace: WorkspaceId, contact: ContactId) -> Key {
    Key::new(format!("WS#{workspace}#CONTACT#{contact}"), "CONTACT")
}

/// An account.
#[must_use]
pub fn account(workspace: WorkspaceId, account: AccountId) -> Key {
    Key::new(format!("WS#{workspace}#ACCOUNT#{account}"), "ACCOUNT")
}

/// An account's rate.
#[must_use]
pub fn throttle(workspace: WorkspaceId, account: AccountId) -> Key {
    Key::new(format!("WS#{workspace}#ACCOUNT#{account}"), "THROTTLE")
}

/// What a business portfolio has used of Meta's messaging limit.
#[must_use]
pub fn portfolio(workspace: WorkspaceId, name: &str) -> Key {
    Key::new(format!("WS#{workspace}#PORTFOLIO#{name}"), "PORTFOLIO")
}

/// Which account Meta's number id belongs to.
#[must_use]
pub fn number_route(phone_number_id: &str) -> Key {
    Key::new(format!("ROUTE#PHONE_NUMBER#{phone_number_id}"), "ROUTE")
}

/// Partition of the accounts whose numbers belong to a WhatsApp Business Account: some webhooks name nothing else.
#[must_use]
pub fn waba_route_pk(waba_id: &str) -> String {
    format!("ROUTE#WABA#{waba_id}")
}

/// One of them.
#[must_use]
pub fn waba_route(waba_id: &str, account: AccountId) -> Key {
    Key::new(waba_route_pk(waba_id), account.to_string())
}

/// Partition of the templates of a WhatsApp Business Account, as this workspace knows them.
#[must_use]
pub fn waba_pk(workspace: WorkspaceId, waba_id: &str) -> String {
    format!("WS#{workspace}#WABA#{waba_id}")
}

/// What a template's sort key starts with.
pub const TEMPLATE_PREFIX: &str = "TEMPLATE#";

/// A template in one language.
#[must_use]
pub fn template(workspace: WorkspaceId, waba_id: &str, name: &str, language: &str) -> Key {
    Key::new(waba_pk(workspace, waba_id), format!("{TEMPLATE_PREFIX}{name}#{language}"))
}

/// When the templates of a WhatsApp Business Account were last read from Meta.
#[must_use]
pub fn template_list(workspace: WorkspaceId, waba_id: &str) -> Key {
    Key::new(waba_pk(workspace, waba_id), "TEMPLATES_READ")
}

/// A tracked link.
#[must_use]
pub fn link(link: LinkId) -> Key {
    Key::new(format!("LINK#{}", link.get()), "LINK")
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

/// An import of contacts.
#[must_use]
pub fn import(workspace: WorkspaceId, import: ImportId) -> Key {
    Key::new(format!("WS#{workspace}#IMPORT#{import}"), "IMPORT")
}

/// A request that may be repeated.
#[must_use]
pub fn idempotency(workspace: WorkspaceId, key_hash: &str) -> Key {
    Key::new(format!("WS#{workspace}#IDEMPOTENCY#{key_hash}"), "IDEMPOTENCY")
}

/// A file that messages carry.
#[must_use]
pub fn media(workspace: WorkspaceId, media: MediaId) -> Key {
    Key::new(media_pk(workspace, media), "MEDIA")
}

/// Partition of a file, where it stands at Meta, and the campaigns that carry it.
#[must_use]
pub fn media_pk(workspace: WorkspaceId, media: MediaId) -> String {
    format!("WS#{workspace}#MEDIA#{media}")
}

/// Which file has these bytes.
#[must_use]
pub fn media_by_hash(workspace: WorkspaceId, sha256: &str) -> Key {
    Key::new(format!("WS#{workspace}#MEDIA_SHA256#{sha256}"), "MEDIA")
}

/// What the sort key of a file's place at Meta starts with.
pub const META_UPLOAD_PREFIX: &str = "META#";

/// A file's place at Meta, for one number.
#[must_use]
pub fn meta_upload(workspace: WorkspaceId, media: MediaId, account: AccountId) -> Key {
    Key::new(media_pk(workspace, media), format!("{META_UPLOAD_PREFIX}{account}"))
}

/// What the sort key of a campaign that carries a file starts with.
pub const MEDIA_USE_PREFIX: &str = "CAMPAIGN#";

/// A campaign that carries a file.
#[must_use]
pub fn media_use(workspace: WorkspaceId, media: MediaId, campaign: CampaignId) -> Key {
    Key::new(media_pk(workspace, media), format!("{MEDIA_USE_PREFIX}{campaign}"))
}

/// A file that somebody was allowed to put into the bucket.
#[must_use]
pub fn expected_upload(workspace: WorkspaceId, upload: UploadId) -> Key {
    Key::new(format!("WS#{workspace}#UPLOAD#{upload}"), "UPLOAD")
}

/// Partition of a workspace's subscriptions to events.
#[must_use]
pub fn webhooks_pk(workspace: WorkspaceId) -> String {
    format!("WS#{workspace}#WEBHOOKS")
}

/// What a subscription's sort key starts with.
pub const WEBHOOK_PREFIX: &str = "WEBHOOK#";

/// A subscription.
#[must_use]
pub fn webhook(workspace: WorkspaceId, webhook: WebhookId) -> Key {
    Key::new(webhooks_pk(workspace), format!("{WEBHOOK_PREFIX}{webhook}"))
}

/// The state of a subscription's endpoint.
#[must_use]
pub fn endpoint(workspace: WorkspaceId, webhook: WebhookId) -> Key {
    Key::new(webhooks_pk(workspace), format!("ENDPOINT#{webhook}"))
}

/// An event on its way to a subscription. Each has a partition of its own, so that no subscription is bound to what one
/// partition can take.
#[must_use]
pub fn delivery(workspace: WorkspaceId, delivery: DeliveryId) -> Key {
    Key::new(format!("WS#{workspace}#DELIVERY#{delivery}"), "DELIVERY")
}

/// A part of a subscription's deliveries that were recorded on a day, in the index of lists.
#[must_use]
pub fn delivery_list(workspace: WorkspaceId, webhook: WebhookId, date: &str, shard: u8) -> String {
    format!("WS#{workspace}#WEBHOOK#{webhook}#DELIVERIES#{date}#{shard:02}")
}

/// Partition of parcels of deliveries, in the order of their times.
#[must_use]
pub fn parcels_pk(shard: u8) -> String {
    format!("DUE_PARCELS#{shard:02}")
}

/// A parcel of deliveries.
#[must_use]
pub fn parcel(key: ParcelKey) -> Key {
    Key::new(parcels_pk(parcel::shard(key.id)), format!("{}{}", parcels_until(key.due_at), key.id))
}

/// What the sort keys of parcels of this time start with, and are greater than those of earlier ones.
#[must_use]
pub fn parcels_until(due_at: UnixMillis) -> String {
    format!("{:015}#", due_at.0)
}

/// A workspace's media in the index of lists.
#[must_use]
pub fn media_list(workspace: WorkspaceId) -> String {
    format!("WS#{workspace}#MEDIA_LIST")
}

/// A workspace's campaigns in the index of lists.
#[must_use]
pub fn campaign_list(workspace: WorkspaceId) -> String {
    format!("WS#{workspace}#CAMPAIGNS")
}

/// A workspace's accounts in the index of lists.
#[must_use]
pub fn account_list(workspace: WorkspaceId) -> String {
    format!("WS#{workspace}#ACCOUNTS")
}

/// A workspace's contacts in the index of lists.
#[must_use]
pub fn contact_list(workspace: WorkspaceId) -> String {
    format!("WS#{workspace}#CONTACTS")
}

/// What concerns a contact, in the index of lists.
#[must_use]
pub fn contact_events_list(workspace: WorkspaceId, contact: ContactId) -> String {
    format!("WS#{workspace}#CONTACT#{contact}#EVENTS")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_attempts_and_events_are_read_back() {
        let key = AttemptKey {
            workspace: WorkspaceId::FIRST,
            campaign: "cmp_01J00000000000000000000000".parse().unwrap(),
            shard: Shard(7),
            seq: Seq(123),
        };
        let Key { pk, sk } = attempt(&key);
        assert_eq!(pk, "WS#wsp_00000000000000000000000001#ATTEMPTS#cmp_01J00000000000000000000000#07");
        assert_eq!(sk, "00000123");
        assert_eq!(read_attempt(&pk, &sk), Some(key));
        assert_eq!(read_event_partition(&pk), None);

        let id = activity::id_of(UnixMillis(1_790_000_000_000), &["x"]);
        let Key { pk, sk } = event(Some(WorkspaceId::FIRST), None, id, UnixMillis(1_790_000_000_000));
        let partition = read_event_partition(&pk).unwrap();
        assert_eq!((partition.date.as_str(), partition.shard), ("2026-09-21", activity::shard_of(id)));
        assert!(sk.starts_with("001790000000000#evt_"));
        assert_eq!(read_attempt(&pk, &sk), None);
    }
}
