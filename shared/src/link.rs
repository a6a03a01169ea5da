//! Tracked links: one stored row for a destination, and a code for every recipient that is computed and stored nowhere.

pub mod click_id;
pub mod code;
pub mod visits;

use serde::{Deserialize, Serialize};

use self::code::{KeyId, KeyRing, LinkId, RecipientSeq, Tweak};
use crate::attempt::Seq;
use crate::campaign::render::Filled;
use crate::id::{AccountId, CampaignId, WorkspaceId};
use crate::time::UnixMillis;

/// A tracked link of a campaign as stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Version of the stored shape.
    pub v: u8,
    /// Its number in the deployment.
    pub id: LinkId,
    /// Whose it is.
    pub workspace: WorkspaceId,
    /// The account of the campaign.
    pub account: AccountId,
    /// The campaign.
    pub campaign: CampaignId,
    /// The destination.
    pub url: String,
    /// The key generation its codes were made with.
    pub kid: KeyId,
    /// Codes with a higher sequence number are forged.
    pub recipients: u32,
    /// Partitions of the campaign's attempts.
    pub shards: u8,
    /// Whether the destination is told which click it was; see [`click_id`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub append_click_id: bool,
    /// After this time the link answers 410.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<UnixMillis>,
    /// Set when the link was revoked: it answers 404.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<UnixMillis>,
    /// When it was made.
    pub created_at: UnixMillis,
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

/// Scope of the codes on the deployment's own link domain; a code of one domain is noise on another.
const DEFAULT_DOMAIN_SCOPE: &str = "default";

/// Makes and reads the codes of one link domain.
#[derive(Clone, Debug)]
pub struct ShortLinks {
    base_url: String,
    keys: KeyRing,
    tweak: Tweak,
}

impl ShortLinks {
    /// Codes under `base_url` (such as `https://go.brand.example`), without a slash at its end.
    #[must_use]
    pub fn new(base_url: &str, keys: KeyRing) -> Self {
        let base_url = base_url.trim_end_matches('/').to_owned();
        Self { base_url, keys, tweak: Tweak::for_scope(DEFAULT_DOMAIN_SCOPE) }
    }

    /// The key generation of links made now.
    #[must_use]
    pub const fn newest_kid(&self) -> KeyId {
        self.keys.newest().kid()
    }

    /// The recipient's short link, made with the link's own key generation; `None` when that key is gone.
    #[must_use]
    pub fn of_recipient(&self, link: LinkId, kid: KeyId, seq: Seq) -> Option<Filled> {
        let code = code::encode(self.keys.get(kid)?, self.tweak, link, recipient_seq(seq)?);
        Some(Filled { code: code.as_str().to_owned(), short_url: format!("{}/{}", self.base_url, code.as_str()) })
    }

    /// What the code may mean, under each key generation from the newest; the stored link decides which one is meant.
    pub fn readings<'a>(&'a self, code: &'a code::Code) -> impl Iterator<Item = code::Decoded> + 'a {
        self.keys.readings(self.tweak, code)
    }
}
