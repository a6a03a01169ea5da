//! The keys of both tables. Every key of CORE starts with its workspace, so no query can cross one, but for what somebody
//! outside asks for who cannot know the workspace: a link by its number or alias, the domain of links, a write key by itself, an account by Meta's number id or by its WhatsApp
//! Business Account's, and what the watchdogs look after: campaigns, jobs, parcels of deliveries.

use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Item;
use crate::activity;
use crate::activity::custom::Source;
use crate::activity::feed::Position;
use crate::attempt::{AttemptKey, Seq, Shard};
use crate::campaign::PageNumber;
use crate::contact::alias::Alias;
use crate::id::{
    AccountId, AuditId, CampaignId, ContactId, DeliveryId, ErasureId, EventId, ImportId, MediaId, TrackedLinkId,
    UploadId, WebhookId, WorkspaceId, WriteKeyId,
};
use crate::link::alias::LinkAlias;
use crate::link::code::LinkId;
use crate::link::domain::{DomainName, Site};
use crate::link::visits::{Visitor, VisitorMark, Whose};
use crate::phone::canonical_digits;
use crate::subscription::parcel::{self, ParcelKey};
use crate::time::UnixMillis;

/// Partition and sort key of one item.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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

    /// The key as a cursor of a list: opaque, and safe in a URL.
    #[must_use]
    pub fn cursor(&self) -> String {
        URL_SAFE_NO_PAD.encode(format!("{}\n{}", self.pk, self.sk))
    }

    /// Reads a cursor back; `None` when it is none.
    #[must_use]
    pub fn from_cursor(cursor: &str) -> Option<Self> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
        let (pk, sk) = text.split_once('\n')?;
        Some(Self::new(pk, sk))
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
    read_of_recipient("ATTEMPTS", pk, sk)
}

/// What people did with links: a row beside the attempt's, for its writers are others, or one of a visitor of a day.
#[must_use]
pub fn visits(whose: &Whose) -> Key {
    match whose {
        Whose::Recipient(AttemptKey { workspace, campaign, shard, seq }) => {
            Key::new(format!("WS#{workspace}#VISITS#{campaign}#{:02}", shard.0), format!("{:08}", seq.0))
        }
        Whose::Visitor(Visitor { workspace, campaign, link, mark }) => {
            let campaign = campaign.map_or_else(|| NO_CAMPAIGN.to_owned(), |campaign| campaign.to_string());
            let pk = format!("WS#{workspace}#VISITORS#{campaign}#{}#{:02}", link.get(), mark.shard());
            Key::new(pk, mark.as_str())
        }
    }
}

/// In the place of the campaign of a free link.
const NO_CAMPAIGN: &str = "-";

/// Reads such a key back; `None` for any other row.
#[must_use]
pub fn read_visits(pk: &str, sk: &str) -> Option<Whose> {
    if let Some(key) = read_of_recipient("VISITS", pk, sk) {
        return Some(Whose::Recipient(key));
    }
    let ["WS", workspace, "VISITORS", campaign, link, _] = pk.split('#').collect::<Vec<_>>()[..] else { return None };
    Some(Whose::Visitor(Visitor {
        workspace: workspace.parse().ok()?,
        campaign: if campaign == NO_CAMPAIGN { None } else { Some(campaign.parse().ok()?) },
        link: LinkId::new(link.parse().ok()?)?,
        mark: VisitorMark::from_key(sk),
    }))
}

fn read_of_recipient(kind: &str, pk: &str, sk: &str) -> Option<AttemptKey> {
    let mut parts = pk.split('#');
    let (workspace, campaign, shard) = match (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?)
    {
        ("WS", workspace, of, campaign, shard) if of == kind => (workspace, campaign, shard),
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
    let pk = activity_pk(workspace, account, &at.date(), activity::shard_of(id));
    Key::new(pk, Position::of(at, id).as_str())
}

/// A partition of a day of the feed.
#[must_use]
pub fn activity_pk(workspace: Option<WorkspaceId>, account: Option<AccountId>, date: &str, shard: Shard) -> String {
    let workspace = workspace.map_or_else(|| UNROUTED.to_owned(), |id| id.to_string());
    let account = account.map_or_else(|| UNROUTED.to_owned(), |id| id.to_string());
    format!("WS#{workspace}#ACTIVITY#{account}#{date}#{:02}", shard.0)
}

/// The account in whose feed an event lies, read back from its partition key.
#[must_use]
pub fn account_of_event(pk: &str) -> Option<AccountId> {
    match pk.split('#').collect::<Vec<_>>()[..] {
        ["WS", _, "ACTIVITY", account, _, _] => account.parse().ok(),
        _ => None,
    }
}

/// Which time the event has that its sender has given this id.
#[must_use]
pub fn own_event_id(workspace: WorkspaceId, source: Source, own_id: &str) -> Key {
    let hash = hex::encode(Sha256::digest(own_id.as_bytes()));
    Key::new(format!("WS#{workspace}#EVENT_ID#{}#{hash}", source.name()), "EVENT_ID")
}

/// A publishable key of web pages.
#[must_use]
pub fn write_key(key: WriteKeyId) -> Key {
    Key::new(format!("WRITE_KEY#{key}"), "WRITE_KEY")
}

/// A workspace's publishable keys in the index of lists.
#[must_use]
pub fn write_key_list(workspace: WorkspaceId) -> String {
    format!("WS#{workspace}#WRITE_KEYS")
}

/// What was quarantined and is not resolved yet, in the index of lists; `None` for what names no workspace.
#[must_use]
pub fn quarantined_list(workspace: Option<WorkspaceId>) -> String {
    let workspace = workspace.map_or_else(|| UNROUTED.to_owned(), |id| id.to_string());
    format!("WS#{workspace}#QUARANTINED")
}

/// The day an item was first seen that bears no time of Meta's: a repeat on a later day is the same item. `workspace` and
/// `account` are `None` for what names none of ours; `hash` names the item.
#[must_use]
pub fn first_seen(workspace: Option<WorkspaceId>, account: Option<AccountId>, hash: &str) -> Key {
    let workspace = workspace.map_or_else(|| UNROUTED.to_owned(), |id| id.to_string());
    let account = account.map_or_else(|| UNROUTED.to_owned(), |id| id.to_string());
    Key::new(format!("WS#{workspace}#SEEN#{account}#{hash}"), "SEEN")
}

/// Stands for the workspace or account of what names none of ours.
pub const UNROUTED: &str = "UNROUTED";

/// Where an event lies, read back from its partition key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventPartition {
    /// Whose it is.
    pub workspace: WorkspaceId,
    /// The account it concerns; `None` for what names none of ours.
    pub account: Option<AccountId>,
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
        ["WS", workspace, "ACTIVITY", account, date, shard] => Some(EventPartition {
            workspace: workspace.parse().ok()?,
            account: account.parse().ok(),
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
    Key::new(phone_alias_pk(workspace, &canonical_digits(digits)), ALIAS)
}

/// Sort key of the row that tells whose an identifier is.
pub const ALIAS: &str = "ALIAS";

/// Whose an identifier is; a number's is [`phone_alias`].
#[must_use]
pub fn alias(workspace: WorkspaceId, alias: &Alias) -> Key {
    Key::new(format!("WS#{workspace}#ALIAS#{}", alias.tag()), ALIAS)
}

/// What the sort key of an identifier in its contact's partition starts with.
pub const CONTACT_ALIAS_PREFIX: &str = "ALIAS#";

/// An identifier among those of its contact.
#[must_use]
pub fn contact_alias(workspace: WorkspaceId, contact: ContactId, alias: &Alias) -> Key {
    Key::new(contact_pk(workspace, contact), format!("{CONTACT_ALIAS_PREFIX}{}", alias.tag()))
}

/// Partition of a contact and of what belongs to it.
#[must_use]
pub fn contact_pk(workspace: WorkspaceId, contact: ContactId) -> String {
    format!("WS#{workspace}#CONTACT#{contact}")
}

/// Partition of the contacts that have a word in their name that begins with this character. Sort keys are the word and
/// the contact.
#[must_use]
pub fn contacts_by_name_pk(workspace: WorkspaceId, initial: char) -> String {
    format!("WS#{workspace}#CONTACTS_BY_NAME#{initial}")
}

/// Partition of the contacts that have this tag. Sort keys are the contacts.
#[must_use]
pub fn contacts_by_tag_pk(workspace: WorkspaceId, shard: Shard, tag: &str) -> String {
    format!("WS#{workspace}#CONTACTS_BY_TAG#{:02}#{tag}", shard.0)
}

/// Partition of the contacts of this persona. Sort keys are the contacts.
#[must_use]
pub fn contacts_by_persona_pk(workspace: WorkspaceId, shard: Shard, persona: &str) -> String {
    format!("WS#{workspace}#CONTACTS_BY_PERSONA#{:02}#{persona}", shard.0)
}

/// A contact.
#[must_use]
pub fn contact(workspace: WorkspaceId, contact: ContactId) -> Key {
    Key::new(contact_pk(workspace, contact), "CONTACT")
}

/// What the sort key of a contact's conversation with an account starts with.
pub const CONVERSATION_PREFIX: &str = "CONVERSATION#";

/// A contact's conversation with an account.
#[must_use]
pub fn conversation(workspace: WorkspaceId, contact: ContactId, account: AccountId) -> Key {
    Key::new(self::contact(workspace, contact).pk, format!("{CONVERSATION_PREFIX}{account}"))
}

/// That a contact was told that their word for or against messages was heard: one row for each direction.
#[must_use]
pub fn confirmation(workspace: WorkspaceId, contact: ContactId, direction: &str) -> Key {
    Key::new(self::contact(workspace, contact).pk, format!("CONFIRMATION#{direction}"))
}

/// By which words a workspace's people say yes and no, and what they are answered.
#[must_use]
pub fn consent_settings(workspace: WorkspaceId) -> Key {
    Key::new(format!("WS#{workspace}#SETTINGS"), "CONSENT")
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

/// Which link an alias leads to.
#[must_use]
pub fn link_alias(site: &Site, alias: &LinkAlias) -> Key {
    let scope = match site {
        Site::Shared => "SHARED".to_owned(),
        Site::Own { workspace, domain } => format!("{workspace}#{domain}"),
    };
    Key::new(format!("LINK#ALIAS#{scope}#{alias}"), "LINK_ALIAS")
}

/// Whose a domain for short links is.
#[must_use]
pub fn link_domain(domain: &DomainName) -> Key {
    Key::new(format!("LINK#DOMAIN#{domain}"), "DOMAIN")
}

/// A workspace's domains for short links in the index of lists.
#[must_use]
pub fn link_domain_list(workspace: WorkspaceId) -> String {
    format!("WS#{workspace}#LINK_DOMAINS")
}

/// Which domain a workspace's new links are on.
#[must_use]
pub fn default_link_domain(workspace: WorkspaceId) -> Key {
    Key::new(format!("WS#{workspace}#SETTINGS"), "LINK_DOMAIN")
}

/// Partition of the list of a workspace's free links.
#[must_use]
pub fn free_links_pk(workspace: WorkspaceId) -> String {
    format!("WS#{workspace}#LINKS")
}

/// A free link in its workspace's list.
#[must_use]
pub fn free_link(workspace: WorkspaceId, link: TrackedLinkId) -> Key {
    Key::new(free_links_pk(workspace), link.to_string())
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

/// Partition of a day of the audit log.
#[must_use]
pub fn audit_pk(workspace: WorkspaceId, date: &str) -> String {
    format!("WS#{workspace}#AUDIT#{date}")
}

/// An entry of the audit log.
#[must_use]
pub fn audit(workspace: WorkspaceId, entry: AuditId) -> Key {
    Key::new(audit_pk(workspace, &time_of(entry.ulid()).date()), entry.to_string())
}

/// Partition of the erasures of people, and of the pass that is made for them.
#[must_use]
pub fn erasures_pk(workspace: WorkspaceId) -> String {
    format!("WS#{workspace}#ERASURES")
}

/// An erasure.
#[must_use]
pub fn erasure(workspace: WorkspaceId, erasure: ErasureId) -> Key {
    Key::new(erasures_pk(workspace), erasure.to_string())
}

/// The pass that is made for all erasures that are not complete.
#[must_use]
pub fn erasure_pass(workspace: WorkspaceId) -> Key {
    Key::new(erasures_pk(workspace), "PASS")
}

/// The export of what is held about a contact's person; there is one at a time.
#[must_use]
pub fn export(workspace: WorkspaceId, contact: ContactId) -> Key {
    Key::new(format!("WS#{workspace}#EXPORT#{contact}"), "EXPORT")
}

/// When an id was made.
#[must_use]
pub fn time_of(ulid: ulid::Ulid) -> UnixMillis {
    UnixMillis(i64::try_from(ulid.timestamp_ms()).unwrap_or(i64::MAX))
}

/// What concerns a contact, in the index of lists.
#[must_use]
pub fn contact_events_list(workspace: WorkspaceId, contact: ContactId) -> String {
    format!("WS#{workspace}#CONTACT#{contact}#EVENTS")
}

/// An account's conversations in which the person last wrote on this day, in the index of lists.
#[must_use]
pub fn conversations_list(workspace: WorkspaceId, account: AccountId, date: &str) -> String {
    format!("WS#{workspace}#ACCOUNT#{account}#CONVERSATIONS#{date}")
}

/// What Meta tells of an account and of its templates, in the index of lists.
#[must_use]
pub fn notices_list(workspace: WorkspaceId, account: AccountId) -> String {
    format!("WS#{workspace}#ACCOUNT#{account}#NOTICES")
}

/// What the sort key of an account in the watchdog's list starts with.
pub const DUE_ACCOUNT_PREFIX: &str = "ACCOUNT#";

/// An account in the watchdog's list: it is probed.
#[must_use]
pub fn probed(account: AccountId) -> Key {
    Key::new(DUE_PK, format!("{DUE_ACCOUNT_PREFIX}{account}"))
}

/// What the probes of an account found on a day.
#[must_use]
pub fn probes(workspace: WorkspaceId, account: AccountId, date: &str) -> Key {
    Key::new(self::account(workspace, account).pk, format!("PROBES#{date}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back() {
        let key = Key::new("WS#a#ACTIVITY#b", "1#c");
        assert_eq!(Key::from_cursor(&key.cursor()), Some(key));
        assert_eq!(Key::from_cursor("?"), None);
        assert_eq!(Key::from_cursor("aGVsbG8"), None);
    }

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
        assert_eq!(read_visits(&pk, &sk), None);
        for whose in [
            Whose::Recipient(key),
            Whose::Visitor(Visitor {
                workspace: key.workspace,
                campaign: None,
                link: LinkId::new(7).unwrap(),
                mark: VisitorMark::from_key("0123456789abcdef"),
            }),
        ] {
            let Key { pk, sk } = visits(&whose);
            assert_eq!((read_visits(&pk, &sk), read_attempt(&pk, &sk)), (Some(whose), None));
        }

        let id = activity::id_of(UnixMillis(1_790_000_000_000), &["x"]);
        let Key { pk, sk } = event(Some(WorkspaceId::FIRST), None, id, UnixMillis(1_790_000_000_000));
        let partition = read_event_partition(&pk).unwrap();
        assert_eq!((partition.date.as_str(), partition.shard), ("2026-09-21", activity::shard_of(id)));
        assert_eq!(account_of_event(&pk), None);
        let account = AccountId::new(UnixMillis(1));
        assert_eq!(account_of_event(&event(None, Some(account), id, UnixMillis(1)).pk), Some(account));
        assert_eq!((partition.workspace, partition.account), (WorkspaceId::FIRST, None));
        assert!(sk.starts_with("001790000000000#evt_"));
        assert_eq!(read_attempt(&pk, &sk), None);
    }
}
