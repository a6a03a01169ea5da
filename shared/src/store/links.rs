//! Rows of tracked links: one for a destination, none for a recipient.

use super::expression::Update;
use super::{Core, Item, StoreError, keys, number};
use crate::link::Link;
use crate::link::code::LinkId;

impl Core {
    /// Writes a new link; `false` when the number is taken by another.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn create_link(&self, link: &Link) -> Result<bool, StoreError> {
        self.put_new("link", keys::link(link.id), link, Item::new()).await.map(|put| put.is_new())
    }

    /// A link.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn link(&self, id: LinkId) -> Result<Option<Link>, StoreError> {
        self.get("link", keys::link(id)).await
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
