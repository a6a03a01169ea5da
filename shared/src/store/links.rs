//! Rows of tracked links: one for a destination, none for a recipient. A free link has a place in its workspace's list
//! besides, and one that was given an alias has a row that leads from the alias to it.

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use serde::{Deserialize, Serialize};

use super::expression::{Update, Updated};
use super::{Consistency, Core, Item, Listed, StoreError, keys, number, read, read_or_skip, text, unavailable, write};
use crate::id::{TrackedLinkId, WorkspaceId};
use crate::link::alias::LinkAlias;
use crate::link::code::LinkId;
use crate::link::domain::Site;
use crate::link::{Link, number_in};
use crate::time::UnixMillis;

/// A link in its workspace's list, or behind an alias.
#[derive(Serialize, Deserialize)]
struct Reference {
    v: u8,
    link: LinkId,
}

/// What became of making a free link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Made {
    /// It is there now, or an earlier run of the same request has made it: as it is stored.
    There(Box<Link>),
    /// Its number is another link's.
    NumberTaken,
    /// Its alias is another link's.
    AliasTaken,
}

impl Core {
    /// Writes a new link of a campaign; `false` when the number is taken by another.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn create_link(&self, link: &Link) -> Result<bool, StoreError> {
        self.put_new("link", keys::link(link.id), link, Item::new()).await.map(|put| put.is_new())
    }

    /// Writes a new free link together with its place in the list and its alias: all of them or nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn create_free_link(&self, link: &Link) -> Result<Made, StoreError> {
        let reference = Reference { v: 1, link: link.id };
        let mut rows = vec![
            write("link", keys::link(link.id), link)?,
            write("link", keys::free_link(link.workspace, link.public_id()), &reference)?,
        ];
        if let Some(alias) = &link.alias {
            let key = keys::link_alias(&link.site(), alias);
            rows.push(write("link alias", key, &reference)?);
        }
        let mut transaction = self.client.transact_write_items();
        for row in rows {
            transaction = transaction.transact_items(self.put_if_absent(row)?);
        }
        let error = match transaction.send().await {
            Ok(_) => return Ok(Made::There(Box::new(link.clone()))),
            Err(error) => error,
        };
        if !error.as_service_error().is_some_and(TransactWriteItemsError::is_transaction_canceled_exception) {
            return Err(unavailable("TransactWriteItems", &error));
        }
        if let Some(there) = self.link(link.id).await? {
            // A run of the same request that was cut off after its writes finds its own link here.
            let own = there.public_id() == link.public_id()
                && (there.workspace, &there.url, &there.alias) == (link.workspace, &link.url, &link.alias);
            return Ok(if own { Made::There(Box::new(there)) } else { Made::NumberTaken });
        }
        if let Some(alias) = &link.alias
            && self.link_behind(&link.site(), alias).await?.is_some()
        {
            return Ok(Made::AliasTaken);
        }
        // Another transaction on the same rows was under way.
        Err(unavailable("TransactWriteItems", &error))
    }

    /// A link.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn link(&self, id: LinkId) -> Result<Option<Link>, StoreError> {
        self.get("link", keys::link(id)).await
    }

    /// The workspace's link of this id, of a campaign or free.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn link_of(&self, workspace: WorkspaceId, id: TrackedLinkId) -> Result<Option<Link>, StoreError> {
        let Some(number) = number_in(id) else { return Ok(None) };
        let found = self.link(number).await?;
        Ok(found.filter(|link| link.workspace == workspace && link.public_id() == id))
    }

    /// The number of the link behind an alias.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn link_behind(&self, site: &Site, alias: &LinkAlias) -> Result<Option<LinkId>, StoreError> {
        let found: Option<Reference> = self.get("link alias", keys::link_alias(site, alias)).await?;
        Ok(found.map(|reference| reference.link))
    }

    /// A workspace's free links, newest first, those older than `before` if given.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn free_links(
        &self,
        workspace: WorkspaceId,
        before: Option<TrackedLinkId>,
        limit: usize,
    ) -> Result<Listed<Link>, StoreError> {
        let before = before.map(|id| id.to_string());
        let pk = keys::free_links_pk(workspace);
        let mut found = self.query(&pk, "", before.as_deref(), Some(limit + 1), false).await?;
        let more = found.len() > limit;
        found.truncate(limit);
        let numbers = found.into_iter().filter_map(|item| read_or_skip::<Reference>("link", item));
        let keys = numbers.map(|reference| keys::link(reference.link)).collect();
        let items = self.batch_get(keys, Consistency::Strong).await?;
        let mut rows: Vec<Link> = items.into_iter().filter_map(|item| read_or_skip("link", item)).collect();
        rows.sort_by_key(|link| std::cmp::Reverse(link.public_id()));
        Ok(Listed { rows, more })
    }

    /// Revokes a link of this workspace, of a campaign or free; `None` when it has no such link. The first revocation is the
    /// one that is kept. Its alias stays taken: what was printed leads to nobody else.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn revoke_link(
        &self,
        workspace: WorkspaceId,
        id: LinkId,
        now: UnixMillis,
    ) -> Result<Option<Link>, StoreError> {
        let mut update = Update::default();
        update.set_if_absent("revoked_at", number(now.0));
        update.only_if_equal("workspace", text(&workspace.to_string()));
        match self.update(keys::link(id), update).await? {
            Updated::Done(item) => read("link", item).map(Some),
            Updated::Refused(_) => Ok(None),
        }
    }

    /// Notes how many recipients a link has, once that is known. A repeat writes the same.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn settle_link(&self, id: LinkId, recipients: u32) -> Result<(), StoreError> {
        let mut update = Update::default();
        update.set("recipients", number(i64::from(recipients)));
        update.only_if_present("pk");
        self.update(keys::link(id), update).await.map(|_| ())
    }
}
