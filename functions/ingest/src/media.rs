//! A message that Meta took and then could not send because of its file: Meta's id of the file is dropped, so that the next
//! try uploads it anew.

use std::collections::BTreeSet;

use shared::attempt::AttemptKey;
use shared::id::{CampaignId, MediaId};
use shared::meta::webhook::MessageStatus;
use shared::store::StoreError;
use shared::time::UnixMillis;

use crate::Ingest;

/// Meta could not use the message's file (Meta, error codes).
const MEDIA_UPLOAD_ERROR: i64 = 131_053;

/// The campaigns whose files were looked at in this notification: hundreds of messages may fail with one file.
#[derive(Default)]
pub(crate) struct Seen(BTreeSet<CampaignId>);

/// Drops the ids of the campaign's files if that is what the status is about. It can be repeated: an id is dropped at most
/// once an hour.
pub(crate) async fn forget_if_unusable(
    ingest: &Ingest,
    seen: &mut Seen,
    AttemptKey { workspace, campaign: id, .. }: AttemptKey,
    status: &MessageStatus,
    received_at: UnixMillis,
) -> Result<(), StoreError> {
    let code = status.errors.first().and_then(|error| error.code);
    if code != Some(MEDIA_UPLOAD_ERROR) || ingest.is_replay() || !seen.0.insert(id) {
        return Ok(());
    }
    let Some(campaign) = ingest.core.campaign(workspace, id).await? else {
        return Ok(());
    };
    let media: BTreeSet<MediaId> = campaign.variants.iter().flat_map(|variant| variant.message.media()).collect();
    for media in media {
        let uploads = ingest.core.meta_uploads(workspace, media).await?;
        let own = uploads.into_iter().find(|(account, _)| *account == campaign.account);
        if let Some(meta_id) = own.and_then(|(_, upload)| upload.meta_id) {
            ingest.core.forget_meta_upload(workspace, media, campaign.account, &meta_id, received_at).await?;
            tracing::warn!(campaign = %id, %media, "Meta could not use a file: its id there was dropped");
        }
    }
    Ok(())
}
