//! Rows of tracked links: one for a destination, none for a recipient.

use super::{Core, Item, StoreError, keys};
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
}
