//! The files of a campaign's messages at Meta: their ids before a page is sent, and what becomes of an id that Meta does
//! not know any more.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use shared::account::Account;
use shared::campaign::{Campaign, Message, VariantIndex};
use shared::id::MediaId;
use shared::media::library::is_unknown_media;
use shared::media::{Forgotten, NotUploaded};
use shared::meta::client::SendOutcome;
use shared::secrets::AccessToken;

use crate::context::Context;
use crate::{SHORTEST_WAIT, Send};

/// When the files have taken longer, the page waits for another invocation: this one has too little time left for it.
const TOO_LONG: Duration = Duration::from_secs(5);

/// How long a page waits when Meta does not take a file for now.
const LATER: Duration = Duration::from_secs(10);

/// Whether a page's files are at Meta.
pub(crate) enum Prepared {
    /// They are, under these ids.
    Ready(HashMap<MediaId, String>),
    /// The page waits.
    Wait(Duration, &'static str),
}

/// Meta's ids of all files of the campaign; uploads what is not there.
pub(crate) async fn prepare(
    send: &Send,
    campaign: &Campaign,
    account: &Account,
    token: &AccessToken,
) -> Result<Prepared, NotUploaded> {
    let begun = Instant::now();
    let media: BTreeSet<MediaId> = campaign.variants.iter().flat_map(|variant| variant.message.media()).collect();
    let mut ids = HashMap::new();
    for media in media {
        match send.media.meta_id(campaign.workspace, account, token, media).await {
            Ok(id) => ids.insert(media, id),
            Err(NotUploaded::Later(_)) => {
                return Ok(Prepared::Wait(LATER, "Meta does not take the message's file for now"));
            }
            Err(error) => return Err(error),
        };
        if begun.elapsed() > TOO_LONG {
            return Ok(Prepared::Wait(SHORTEST_WAIT, "the message's file was uploaded to Meta"));
        }
    }
    Ok(Prepared::Ready(ids))
}

/// Whether Meta has refused a message for a file that it does not know any more: the id is dropped, and the message's next
/// try has a new one.
pub(crate) async fn is_forgotten(send: &Send, context: &Context, variant: VariantIndex, outcome: &SendOutcome) -> bool {
    let SendOutcome::Refused(error) = outcome else {
        return false;
    };
    let message = context.campaign.variants.get(usize::from(variant.0)).map(|variant| &variant.message);
    let media = message.filter(|_| is_unknown_media(error)).map(Message::media).unwrap_or_default();
    for id in media {
        let Some(meta_id) = context.media.get(&id) else { continue };
        match send.media.forget(context.campaign.workspace, &context.account, id, meta_id).await {
            Ok(Forgotten::TryAgain) => return true,
            Ok(Forgotten::Kept) => {}
            Err(error) => tracing::warn!(media = %id, %error, "Meta's id of a file could not be dropped"),
        }
    }
    false
}
