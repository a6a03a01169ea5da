//! Tracked links: one stored row for a destination, and a code for every recipient that is computed and stored nowhere.
//!
//! A link belongs to a campaign or stands for itself (a free link: for a QR code, a static button). Both have codes of the
//! same kind; a free link has the shared code only, and may have an alias in its place.

pub mod alias;
pub mod click_id;
pub mod code;
pub mod destination;
pub mod domain;
pub mod lost;
pub mod password;
pub mod targets;
pub mod utm;
pub mod visits;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use ulid::Ulid;

use self::alias::LinkAlias;
use self::code::{Code, Decoded, KeyId, KeyRing, LinkId, RecipientSeq};
use self::domain::{DomainName, Site};
use self::password::PasswordHash;
use self::targets::Targets;
use self::utm::Utm;
use crate::attempt::Seq;
use crate::campaign::render::Filled;
use crate::id::{AccountId, CampaignId, TrackedLinkId, WorkspaceId};
use crate::time::UnixMillis;

/// A tracked link as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Version of the stored shape.
    pub v: u8,
    /// Its number in the deployment.
    pub id: LinkId,
    /// Whose it is.
    pub workspace: WorkspaceId,
    /// The account of the campaign, or the one that a free link was put to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// The campaign; a free link has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign: Option<CampaignId>,
    /// The destination.
    pub url: String,
    /// Destinations in its place on some systems.
    #[serde(default, skip_serializing_if = "Targets::is_empty")]
    pub targets: Targets,
    /// What is added to the destination.
    #[serde(default, skip_serializing_if = "Utm::is_empty")]
    pub utm: Utm,
    /// The domain of its codes; absent is the deployment's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<DomainName>,
    /// What stands in its short link in place of the shared code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<LinkAlias>,
    /// The key generation its codes were made with.
    pub kid: KeyId,
    /// Codes with a higher sequence number are forged.
    pub recipients: u32,
    /// Partitions of the campaign's attempts.
    pub shards: u8,
    /// Whether the destination is told which click it was; see [`click_id`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub append_click_id: bool,
    /// Who does not know the password gets no further.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<PasswordHash>,
    /// From this time on the link answers 410. Not `expires_at`: after that attribute's time DynamoDB deletes a row, and the
    /// link would answer 404.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<UnixMillis>,
    /// Set when the link was revoked: it answers 404.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<UnixMillis>,
    /// When it was made.
    pub created_at: UnixMillis,
}

impl Link {
    /// Its id as the API names it. It follows from the row: the time and the number are in it, so that the row is found
    /// without an index.
    #[must_use]
    pub fn public_id(&self) -> TrackedLinkId {
        public_id(self.id, self.created_at)
    }

    /// Where its codes and its alias count.
    #[must_use]
    pub fn site(&self) -> Site {
        match &self.domain {
            Some(domain) => Site::Own { workspace: self.workspace, domain: domain.clone() },
            None => Site::Shared,
        }
    }

    /// Whether a code that reads so on this site was issued for this link: made for the site, with the link's key, for
    /// somebody there is.
    #[must_use]
    pub fn has_issued(&self, site: &Site, reading: &Decoded) -> bool {
        self.id == reading.link
            && self.kid == reading.kid
            && reading.seq.get() <= self.recipients
            && self.site() == *site
    }

    /// Whether it is over at this time.
    #[must_use]
    pub fn is_expired(&self, now: UnixMillis) -> bool {
        self.valid_until.is_some_and(|end| end <= now)
    }
}

/// Low bits of an id's random part that hold the link's number; the others are a check.
const NUMBER_BITS: u32 = 26;

fn public_id(number: LinkId, created_at: UnixMillis) -> TrackedLinkId {
    let mut hash = Sha256::new();
    hash.update(created_at.0.to_be_bytes());
    hash.update(number.get().to_be_bytes());
    let digest: [u8; 32] = hash.finalize().into();
    let check = digest.iter().take(16).fold(0_u128, |sum, byte| sum << 8 | u128::from(*byte));
    let random = check << NUMBER_BITS | u128::from(number.get());
    // The upper bits that do not fit into the 80 of a ULID are masked by it.
    TrackedLinkId::from_ulid(Ulid::from_parts(created_at.0.max(0).unsigned_abs(), random))
}

/// The number of the link that an id names; whether there is one, and whether it has this id, says its row.
#[must_use]
pub fn number_in(id: TrackedLinkId) -> Option<LinkId> {
    let number = id.ulid().random() & u128::from(LinkId::MAX.get());
    u32::try_from(number).ok().and_then(LinkId::new)
}

/// A number for a link that is to be made, spread over all 26 bits and the same for every run of the same request. `tries`
/// counts the numbers that were found taken.
#[must_use]
pub fn candidate(made_by: Ulid, url: &str, tries: u32) -> LinkId {
    let mut hash = Sha256::new();
    hash.update(made_by.to_bytes());
    hash.update(tries.to_be_bytes());
    hash.update(url.as_bytes());
    let [a, b, c, d, ..] = <[u8; 32]>::from(hash.finalize());
    let bits = u32::from_be_bytes([a, b, c, d]) & LinkId::MAX.get();
    LinkId::new(bits).unwrap_or(LinkId::MAX)
}

/// The sequence number in a recipient's code: one more than the position, for 0 is the link's shared code.
#[must_use]
pub const fn recipient_seq(seq: Seq) -> Option<RecipientSeq> {
    RecipientSeq::new(seq.0.saturating_add(1))
}

/// The position behind a code's sequence number; `None` for the shared code.
#[must_use]
pub fn position(seq: RecipientSeq) -> Option<Seq> {
    seq.get().checked_sub(1).map(Seq)
}

/// Makes and reads codes.
#[derive(Clone, Debug)]
pub struct ShortLinks {
    base_url: String,
    keys: KeyRing,
}

impl ShortLinks {
    /// Codes under `base_url` (such as `https://go.example`), without a slash at its end, but for links on a domain of their
    /// workspace.
    #[must_use]
    pub fn new(base_url: &str, keys: KeyRing) -> Self {
        Self { base_url: base_url.trim_end_matches('/').to_owned(), keys }
    }

    /// The key generation of links made now.
    #[must_use]
    pub const fn newest_kid(&self) -> KeyId {
        self.keys.newest().kid()
    }

    /// The key that is used now.
    #[must_use]
    pub const fn newest(&self) -> &code::LinkKey {
        self.keys.newest()
    }

    /// The recipient's short link, made with the link's own key generation; `None` when that key is gone.
    #[must_use]
    pub fn of_recipient(&self, link: &Link, seq: Seq) -> Option<Filled> {
        let code = self.encode(link, recipient_seq(seq)?)?;
        Some(Filled { code: code.to_string(), short_url: self.url(link, code.as_str()) })
    }

    /// The code that names nobody; `None` when the link's key is gone.
    #[must_use]
    pub fn shared_code(&self, link: &Link) -> Option<Code> {
        self.encode(link, RecipientSeq::SHARED)
    }

    /// The short link that names nobody: with the alias where the link has one. `None` when the link's key is gone.
    #[must_use]
    pub fn shared_url(&self, link: &Link) -> Option<String> {
        match &link.alias {
            Some(alias) => Some(self.url(link, alias.as_str())),
            None => Some(self.url(link, self.shared_code(link)?.as_str())),
        }
    }

    fn encode(&self, link: &Link, seq: RecipientSeq) -> Option<Code> {
        Some(code::encode(self.keys.get(link.kid)?, link.site().tweak(), link.id, seq))
    }

    fn url(&self, link: &Link, end: &str) -> String {
        format!("{}/{end}", self.base_url(link.domain.as_ref()))
    }

    /// Where short links of a domain begin, without a slash at its end; `None` is the deployment's own domain.
    #[must_use]
    pub fn base_url(&self, domain: Option<&DomainName>) -> String {
        domain.map_or_else(|| self.base_url.clone(), |domain| format!("https://{domain}"))
    }

    /// What a code may mean on a site, under each key generation from the newest; the stored link decides which one is meant
    /// ([`Link::has_issued`]).
    pub fn readings<'a>(&'a self, site: &Site, code: &'a Code) -> impl Iterator<Item = Decoded> + 'a {
        self.keys.readings(site.tweak(), code)
    }
}

/// A link for the tests of others.
#[cfg(test)]
pub(crate) fn example() -> Link {
    Link {
        v: 1,
        id: LinkId::MAX,
        workspace: WorkspaceId::FIRST,
        account: None,
        campaign: None,
        url: "https://shop.example/offer".to_owned(),
        targets: Targets::default(),
        utm: Utm::default(),
        domain: None,
        alias: None,
        kid: KeyId(1),
        recipients: 0,
        shards: 1,
        append_click_id: false,
        password: None,
        valid_until: None,
        revoked_at: None,
        created_at: UnixMillis(1_790_000_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: &str = "2:ffffffffffffffffffffffffffffffff,1:00000000000000000000000000000000";

    fn short_links(keys: &str) -> ShortLinks {
        ShortLinks::new("https://go.example/", keys.parse().unwrap())
    }

    fn read(links: &ShortLinks, site: &Site, link: &Link, code: &Code) -> bool {
        links.readings(site, code).any(|reading| link.has_issued(site, &reading))
    }

    #[test]
    fn the_number_of_a_link_is_in_its_id_and_the_rest_of_it_is_checked() {
        let link = example();
        let id = link.public_id();
        assert_eq!(number_in(id), Some(link.id));
        assert_eq!(id.ulid().timestamp_ms(), 1_790_000_000_000);
        assert_eq!(id, example().public_id(), "it follows from the row");
        let later = Link { created_at: UnixMillis(1_790_000_000_001), ..link.clone() };
        let other = Link { id: LinkId::new(7).unwrap(), ..link };
        assert!(later.public_id() != id && other.public_id() != id);
    }

    #[test]
    fn codes_of_an_older_key_go_on_until_the_key_is_dropped() {
        let old = Link { kid: KeyId(1), ..example() };
        let code = short_links("1:00000000000000000000000000000000").shared_code(&old).unwrap();
        let both = short_links(KEYS);
        assert_eq!(both.newest_kid(), KeyId(2));
        assert_eq!(both.shared_code(&old), Some(code), "a link keeps its generation");
        assert!(read(&both, &old.site(), &old, &code));
        let dropped = short_links("2:ffffffffffffffffffffffffffffffff");
        assert!(!read(&dropped, &old.site(), &old, &code));
        assert_eq!(dropped.shared_code(&old), None);
    }

    #[test]
    fn a_code_of_one_domain_is_noise_on_another() {
        let links = short_links(KEYS);
        let domain = |name: &str| Some(DomainName::parse(name).unwrap());
        let one = Link { domain: domain("go.one.example"), ..example() };
        let two = Link { domain: domain("go.two.example"), ..example() };
        let code = links.shared_code(&one).unwrap();
        assert!(read(&links, &one.site(), &one, &code));
        assert!(!read(&links, &two.site(), &two, &code));
        assert!(!read(&links, &example().site(), &example(), &code));
        assert_eq!(links.shared_url(&one).unwrap(), format!("https://go.one.example/{code}"));
        let alias = Link { alias: Some(LinkAlias::parse("spring-sale").unwrap()), ..example() };
        assert_eq!(links.shared_url(&alias).unwrap(), "https://go.example/spring-sale");
    }

    #[test]
    fn a_code_counts_for_as_many_recipients_as_the_link_has() {
        let links = short_links(KEYS);
        let link = Link { recipients: 2, ..example() };
        let code = |seq: u32| -> Code { links.of_recipient(&link, Seq(seq)).unwrap().code.parse().unwrap() };
        assert!(read(&links, &link.site(), &link, &code(1)));
        assert!(!read(&links, &link.site(), &link, &code(2)));
    }

    #[test]
    fn a_stored_link_of_an_earlier_version_is_read() {
        let stored = r#"{"v":1,"id":7,"workspace":"wsp_00000000000000000000000001","account":"acc_01J00000000000000000000000",
            "campaign":"cmp_01J00000000000000000000000","url":"https://shop.example/","kid":1,"recipients":100,"shards":4,
            "created_at":1790000000000}"#;
        let link: Link = serde_json::from_str(stored).unwrap();
        assert_eq!((link.recipients, link.domain.clone(), link.password.clone()), (100, None, None));
        let expected: serde_json::Value = serde_json::from_str(stored).unwrap();
        assert_eq!(serde_json::to_value(&link).unwrap(), expected, "what is not there is not written");
    }
}
