//! Rows of media: one for each file, found by id and by the SHA-256 of its bytes; where it stands with each number at Meta;
//! and which campaigns carry it. The file's row counts those campaigns, and every decision about deleting it hangs on that
//! count, so that a file cannot go while a campaign that carries it is being created.

use std::time::Duration;

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{Delete, Put, TransactWriteItem};
use serde::{Deserialize, Serialize};

use super::expression::{Update, Updated};
use super::{Core, Item, Listed, StoreError, keys, number, read, text, unavailable, write};
use crate::id::{AccountId, CampaignId, MediaId, UploadId, WorkspaceId};
use crate::media::{ExpectedUpload, Media, MetaUpload};
use crate::time::UnixMillis;

/// A file whose id runs out sooner is uploaded anew while the old id still works.
const RENEWED_BEFORE: Duration = Duration::from_secs(24 * 3_600);

/// An id that is found not to work sooner after the last such finding stays: then it is not the id that is wrong.
const FORGOTTEN_AT_MOST_EVERY: Duration = Duration::from_secs(3_600);

/// A campaign that has noted its use of a file and has no row of its own after so long will never have one. Creating one
/// takes 30 s at most (API Gateway).
const CREATION_TAKES_AT_MOST: Duration = Duration::from_secs(15 * 60);

/// What became of storing a file's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Registered {
    /// It is stored.
    New,
    /// The same bytes were stored before, under this row.
    There(Media),
}

/// Who uploads a file to Meta.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetaClaim {
    /// Nobody needs to: this is Meta's id.
    Known(String),
    /// The caller.
    Won {
        /// The id that runs out soon and works until then, when this is a renewal.
        until_then: Option<String>,
    },
    /// Somebody else, until this time at most.
    Busy(UnixMillis),
}

/// What became of deleting a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deletion {
    /// Its rows are gone; the object is the caller's to delete.
    Done(Media),
    /// A campaign that is not over carries it.
    InUse(CampaignId),
    /// There is none.
    NoSuchMedia,
}

#[derive(Serialize, Deserialize)]
struct ByHash {
    v: u8,
    media: MediaId,
}

#[derive(Serialize, Deserialize)]
struct Use {
    v: u8,
    campaign: CampaignId,
    at: UnixMillis,
}

impl Core {
    /// Writes the row of a new file, whose object is in the bucket, unless the same bytes are stored already.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn register_media(&self, media: &Media) -> Result<Registered, StoreError> {
        let Media { workspace, id, .. } = *media;
        let mut row = write("media", keys::media(workspace, id), media)?;
        row.insert("list".to_owned(), text(&keys::media_list(workspace)));
        let by_hash = write("media", keys::media_by_hash(workspace, &media.sha256), &ByHash { v: 1, media: id })?;
        let mut transaction = self.client.transact_write_items();
        for item in [row, by_hash] {
            transaction = transaction.transact_items(self.put_if_absent(item)?);
        }
        match transaction.send().await {
            Ok(_) => Ok(Registered::New),
            Err(error) if is_refused(error.as_service_error()) => {
                // A run that was cut off after its writes finds its own row here.
                match self.media_by_hash(workspace, &media.sha256).await? {
                    Some(there) => Ok(Registered::There(there)),
                    None => Err(unavailable("TransactWriteItems", &error)),
                }
            }
            Err(error) => Err(unavailable("TransactWriteItems", &error)),
        }
    }

    pub(super) fn put_if_absent(&self, item: Item) -> Result<TransactWriteItem, StoreError> {
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk)")
            .build()
            .map_err(|error| StoreError::Unavailable { operation: "TransactWriteItems", message: error.to_string() })?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// A file.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn media(&self, workspace: WorkspaceId, media: MediaId) -> Result<Option<Media>, StoreError> {
        self.get("media", keys::media(workspace, media)).await
    }

    /// The file with these bytes.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn media_by_hash(&self, workspace: WorkspaceId, sha256: &str) -> Result<Option<Media>, StoreError> {
        let found: Option<ByHash> = self.get("media", keys::media_by_hash(workspace, sha256)).await?;
        match found {
            Some(ByHash { media, .. }) => self.media(workspace, media).await,
            None => Ok(None),
        }
    }

    /// A workspace's media, newest first, those older than `before` if given.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn media_list(
        &self,
        workspace: WorkspaceId,
        before: Option<MediaId>,
        limit: usize,
    ) -> Result<Listed<Media>, StoreError> {
        let before = before.map(|id| keys::media(workspace, id));
        let list = keys::media_list(workspace);
        self.listed("media", &list, before, limit, |media: &Media| std::cmp::Reverse(media.id)).await
    }

    /// Notes that a campaign carries the file, before the campaign's own row is written; `false` when there is no such file.
    /// A repeat changes nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn use_media(
        &self,
        workspace: WorkspaceId,
        media: MediaId,
        campaign: CampaignId,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let row = Use { v: 1, campaign, at: now };
        let noted = self.put_if_absent(write("media use", keys::media_use(workspace, media, campaign), &row)?)?;
        let mut counted = Update::default();
        counted.add("campaigns", number(1));
        counted.only_if_present("pk");
        let counted = counted.in_transaction(&self.table, keys::media(workspace, media))?;
        match self.client.transact_write_items().transact_items(noted).transact_items(counted).send().await {
            Ok(_) => Ok(true),
            Err(error) if is_refused(error.as_service_error()) => {
                let noted: Option<Use> = self.get("media use", keys::media_use(workspace, media, campaign)).await?;
                Ok(noted.is_some() && self.media(workspace, media).await?.is_some())
            }
            Err(error) => Err(unavailable("TransactWriteItems", &error)),
        }
    }

    /// Deletes a file's rows unless a campaign that is not over carries it.
    ///
    /// # Errors
    /// [`StoreError`]; repeating is safe.
    pub async fn delete_media(
        &self,
        workspace: WorkspaceId,
        id: MediaId,
        now: UnixMillis,
    ) -> Result<Deletion, StoreError> {
        let Some(media) = self.media(workspace, id).await? else {
            return Ok(Deletion::NoSuchMedia);
        };
        let pk = keys::media_pk(workspace, id);
        let uses = self.query(&pk, keys::MEDIA_USE_PREFIX, None, None, true).await?;
        for item in &uses {
            let Use { campaign, at, .. } = read("media use", item.clone())?;
            match self.campaign(workspace, campaign).await? {
                Some(campaign) if campaign.status.is_final() => {}
                None if now.since(at) > CREATION_TAKES_AT_MOST => {}
                Some(_) | None => return Ok(Deletion::InUse(campaign)),
            }
        }
        // The count is what was read before the uses: one that came since is in it, or is refused for there is no file.
        let delete = |key: keys::Key| Delete::builder().table_name(&self.table).set_key(Some(key.item()));
        let row = delete(keys::media(workspace, id))
            .condition_expression("#campaigns = :seen")
            .expression_attribute_names("#campaigns", "campaigns")
            .expression_attribute_values(":seen", number(i64::from(media.campaigns)));
        let by_hash = delete(keys::media_by_hash(workspace, &media.sha256))
            .condition_expression("#media = :media")
            .expression_attribute_names("#media", "media")
            .expression_attribute_values(":media", text(&id.to_string()));
        let mut transaction = self.client.transact_write_items();
        for part in [row, by_hash] {
            let part = part.build().map_err(|error| StoreError::Unavailable {
                operation: "TransactWriteItems",
                message: error.to_string(),
            })?;
            transaction = transaction.transact_items(TransactWriteItem::builder().delete(part).build());
        }
        match transaction.send().await {
            Ok(_) => {}
            Err(error) if is_refused(error.as_service_error()) => {
                return Ok(match self.newest_use(&pk).await? {
                    Some(campaign) if self.media(workspace, id).await?.is_some() => Deletion::InUse(campaign),
                    _ => Deletion::NoSuchMedia,
                });
            }
            Err(error) => return Err(unavailable("TransactWriteItems", &error)),
        }
        // What is left without its file harms nobody: the ids of files are never used again.
        for item in uses.into_iter().chain(self.query(&pk, keys::META_UPLOAD_PREFIX, None, None, true).await?) {
            let key = item.into_iter().filter(|(name, _)| name == "pk" || name == "sk").collect();
            let deleted = self.client.delete_item().table_name(&self.table).set_key(Some(key)).send().await;
            deleted.map_err(|error| unavailable("DeleteItem", &error))?;
        }
        Ok(Deletion::Done(media))
    }

    async fn newest_use(&self, pk: &str) -> Result<Option<CampaignId>, StoreError> {
        let newest = self.query(pk, keys::MEDIA_USE_PREFIX, None, Some(1), false).await?;
        newest.into_iter().next().map(|item| read("media use", item).map(|Use { campaign, .. }| campaign)).transpose()
    }

    /// Where the file stands with each number at Meta.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn meta_uploads(
        &self,
        workspace: WorkspaceId,
        media: MediaId,
    ) -> Result<Vec<(AccountId, MetaUpload)>, StoreError> {
        let pk = keys::media_pk(workspace, media);
        let items = self.query(&pk, keys::META_UPLOAD_PREFIX, None, None, true).await?;
        let rows = items.into_iter().filter_map(|item| {
            let account = item.get("sk")?.as_s().ok()?.strip_prefix(keys::META_UPLOAD_PREFIX)?.parse().ok()?;
            Some(read("meta upload", item).map(|row| (account, row)))
        });
        rows.collect()
    }

    /// Meta's id of a file for a number, if it works for another day.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn lasting_meta_upload(
        &self,
        workspace: WorkspaceId,
        media: MediaId,
        account: AccountId,
        now: UnixMillis,
    ) -> Result<Option<String>, StoreError> {
        let row: Option<MetaUpload> = self.get("meta upload", keys::meta_upload(workspace, media, account)).await?;
        Ok(row.filter(|row| works_at(now.plus(RENEWED_BEFORE), row.meta_until)).and_then(|row| row.meta_id))
    }

    /// Asks to upload a file to Meta for a number. Of many who ask at once one wins; the others ask again until it is
    /// known. Whoever wins has until `now` and `lease`; after that somebody else may win.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn claim_meta_upload(
        &self,
        workspace: WorkspaceId,
        media: MediaId,
        account: AccountId,
        holder: &str,
        lease: Duration,
        now: UnixMillis,
    ) -> Result<MetaClaim, StoreError> {
        let mut claim = Update::default();
        claim.set("v", number(1));
        claim.set("holder", text(holder));
        claim.set("held_until", number(now.plus(lease).0));
        let (id, until, held) = (claim.name("meta_id"), claim.name("meta_until"), claim.name("held_until"));
        let (soon, at) = (claim.value(number(now.plus(RENEWED_BEFORE).0)), claim.value(number(now.0)));
        claim.only_if(format!("attribute_not_exists({id}) OR {until} < {soon}"));
        claim.only_if(format!("attribute_not_exists({held}) OR {held} < {at}"));
        match self.update(keys::meta_upload(workspace, media, account), claim).await? {
            Updated::Done(item) => {
                let row: MetaUpload = read("meta upload", item)?;
                Ok(MetaClaim::Won { until_then: row.meta_id.filter(|_| works_at(now, row.meta_until)) })
            }
            Updated::Refused(item) => {
                let row: MetaUpload = read("meta upload", item)?;
                let works = works_at(now, row.meta_until);
                Ok(match row.meta_id {
                    Some(id) if works => MetaClaim::Known(id),
                    // Our own write, whose answer was lost.
                    _ if row.holder.as_deref() == Some(holder) => MetaClaim::Won { until_then: None },
                    _ => MetaClaim::Busy(row.held_until.unwrap_or(now)),
                })
            }
        }
    }

    /// Keeps Meta's id of a file. Who has lost the word meanwhile keeps nothing: somebody else does.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn keep_meta_upload(
        &self,
        workspace: WorkspaceId,
        media: MediaId,
        account: AccountId,
        holder: &str,
        meta_id: &str,
        until: UnixMillis,
    ) -> Result<(), StoreError> {
        let mut keep = Update::default();
        keep.set("meta_id", text(meta_id));
        keep.set("meta_until", number(until.0));
        keep.remove("holder");
        keep.remove("held_until");
        keep.only_if_equal("holder", text(holder));
        self.update(keys::meta_upload(workspace, media, account), keep).await.map(|_| ())
    }

    /// Gives up the word without an id, so that somebody else may try at once.
    ///
    /// # Errors
    /// [`StoreError`]; then the next one waits until the lease is over.
    pub async fn release_meta_upload(
        &self,
        workspace: WorkspaceId,
        media: MediaId,
        account: AccountId,
        holder: &str,
    ) -> Result<(), StoreError> {
        let mut release = Update::default();
        release.remove("holder");
        release.remove("held_until");
        release.only_if_equal("holder", text(holder));
        self.update(keys::meta_upload(workspace, media, account), release).await.map(|_| ())
    }

    /// Drops an id that Meta does not know any more. `true` when the file can be tried under another id: it was dropped
    /// now, or by somebody else before. An id that is found wrong within an hour of the last one stays: then it is not
    /// the id that is wrong.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn forget_meta_upload(
        &self,
        workspace: WorkspaceId,
        media: MediaId,
        account: AccountId,
        meta_id: &str,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let mut forget = Update::default();
        forget.remove("meta_id");
        forget.remove("meta_until");
        forget.set("forgotten_at", number(now.0));
        forget.only_if_equal("meta_id", text(meta_id));
        let (last, since) = (
            forget.name("forgotten_at"),
            forget.value(number(now.0 - i64::try_from(FORGOTTEN_AT_MOST_EVERY.as_millis()).unwrap_or(0))),
        );
        forget.only_if(format!("attribute_not_exists({last}) OR {last} < {since}"));
        match self.update(keys::meta_upload(workspace, media, account), forget).await? {
            Updated::Done(_) => Ok(true),
            Updated::Refused(item) if item.is_empty() => Ok(true),
            Updated::Refused(item) => {
                let row: MetaUpload = read("meta upload", item)?;
                Ok(row.meta_id.is_none_or(|kept| kept != meta_id))
            }
        }
    }

    /// Notes that somebody may put a file into the bucket; `false` when it was noted before.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn expect_upload(&self, upload: &ExpectedUpload) -> Result<bool, StoreError> {
        let key = keys::expected_upload(upload.workspace, upload.id);
        Ok(self.put_new("upload", key, upload, Item::new()).await?.is_new())
    }

    /// A file that somebody may put into the bucket.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn expected_upload(
        &self,
        workspace: WorkspaceId,
        upload: UploadId,
    ) -> Result<Option<ExpectedUpload>, StoreError> {
        self.get("upload", keys::expected_upload(workspace, upload)).await
    }

    /// Notes which file an upload has become, for whoever asks again.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn upload_became(
        &self,
        workspace: WorkspaceId,
        upload: UploadId,
        media: MediaId,
    ) -> Result<(), StoreError> {
        let mut update = Update::default();
        update.set("media", text(&media.to_string()));
        update.only_if_present("pk");
        self.update(keys::expected_upload(workspace, upload), update).await.map(|_| ())
    }
}

fn works_at(now: UnixMillis, until: Option<UnixMillis>) -> bool {
    until.is_some_and(|until| until > now)
}

/// Whether a condition of the transaction did not hold; throttling and the like cancel one as well.
pub(super) fn is_refused(error: Option<&TransactWriteItemsError>) -> bool {
    match error {
        Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
            cancelled.cancellation_reasons().iter().any(|reason| reason.code() == Some("ConditionalCheckFailed"))
        }
        _ => false,
    }
}
