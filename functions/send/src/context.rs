//! What the sends of one page share.

use std::collections::HashMap;

use shared::account::Account;
use shared::campaign::{Campaign, PageNumber};
use shared::id::MediaId;
use shared::link::Link;
use shared::link::code::LinkId;
use shared::secrets::AccessToken;
use tokio_util::sync::CancellationToken;

/// What every send of a page shares.
pub(crate) struct Context {
    pub(crate) campaign: Campaign,
    pub(crate) account: Account,
    pub(crate) token: AccessToken,
    pub(crate) page: PageNumber,
    /// The campaign's links.
    pub(crate) links: HashMap<LinkId, Link>,
    /// Meta's ids of the files that its messages carry.
    pub(crate) media: HashMap<MediaId, String>,
    /// Cancelled when the campaign does not run any more: who is not claimed yet is not sent to.
    pub(crate) stopped: CancellationToken,
}
