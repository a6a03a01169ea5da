//! Rows of the domains that workspaces have for their short links. The row's key is the domain, so no two workspaces have the
//! same; which one is a workspace's default is a row of its own, and counts only while the domain is there.

use serde::{Deserialize, Serialize};

use super::expression::Update;
use super::{Core, Item, StoreError, keys, read, text, unavailable};
use crate::id::WorkspaceId;
use crate::link::domain::{DomainName, LinkDomain};

/// Most domains of a workspace: they are listed in one go.
pub const MAX_LINK_DOMAINS: usize = 50;

/// Which domain new links of a workspace are on.
#[derive(Serialize, Deserialize)]
struct DefaultDomain {
    v: u8,
    /// Absent after the default was removed.
    #[serde(default)]
    domain: Option<DomainName>,
}

impl Core {
    /// Adds a domain; the row that is there then, which is another workspace's if that has it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn add_link_domain(&self, domain: &LinkDomain) -> Result<LinkDomain, StoreError> {
        let list = Item::from([("list".to_owned(), text(&keys::link_domain_list(domain.workspace)))]);
        match self.put_new("link domain", keys::link_domain(&domain.domain), domain, list).await? {
            super::Put::New => Ok(domain.clone()),
            super::Put::There(item) => read("link domain", item),
        }
    }

    /// A domain, whoever has it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn link_domain(&self, domain: &DomainName) -> Result<Option<LinkDomain>, StoreError> {
        self.get("link domain", keys::link_domain(domain)).await
    }

    /// All domains of a workspace, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn link_domains(&self, workspace: WorkspaceId) -> Result<Vec<LinkDomain>, StoreError> {
        let list = keys::link_domain_list(workspace);
        let order = |row: &LinkDomain| row.domain.clone();
        let listed = self.listed("link domain", &list, None, MAX_LINK_DOMAINS, order).await?;
        // The index may be behind a domain's change of hands.
        Ok(listed.rows.into_iter().filter(|row| row.workspace == workspace).collect())
    }

    /// The domain that new links of a workspace are on; `None` is the deployment's own.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn default_link_domain(&self, workspace: WorkspaceId) -> Result<Option<DomainName>, StoreError> {
        let key = keys::default_link_domain(workspace);
        let stored: Option<DefaultDomain> = self.get("default link domain", key).await?;
        let Some(domain) = stored.and_then(|stored| stored.domain) else {
            return Ok(None);
        };
        let row = self.link_domain(&domain).await?;
        Ok(row.filter(|row| row.workspace == workspace).map(|row| row.domain))
    }

    /// Makes a domain the one that new links of the workspace are on.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn set_default_link_domain(&self, workspace: WorkspaceId, domain: &DomainName) -> Result<(), StoreError> {
        let mut update = Update::default();
        update.set("v", super::number(1));
        update.set("domain", text(domain.as_str()));
        self.update(keys::default_link_domain(workspace), update).await.map(|_| ())
    }

    /// Makes no domain the one that new links of the workspace are on, if it was this one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn unset_default_link_domain(
        &self,
        workspace: WorkspaceId,
        domain: &DomainName,
    ) -> Result<(), StoreError> {
        let mut update = Update::default();
        update.remove("domain");
        update.only_if_equal("domain", text(domain.as_str()));
        self.update(keys::default_link_domain(workspace), update).await.map(|_| ())
    }

    /// Removes a domain of this workspace; `false` when it has none of that name. Links on it answer 404 until the workspace
    /// adds it again.
    ///
    /// # Errors
    /// [`StoreError`]; a repeat does the rest.
    pub async fn remove_link_domain(&self, workspace: WorkspaceId, domain: &DomainName) -> Result<bool, StoreError> {
        let delete = self.client.delete_item().table_name(&self.table);
        let deleted = delete
            .set_key(Some(keys::link_domain(domain).item()))
            .condition_expression("workspace = :workspace")
            .expression_attribute_values(":workspace", text(&workspace.to_string()))
            .send()
            .await;
        let removed = match deleted {
            Ok(_) => true,
            Err(error) if error.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) => false,
            Err(error) => return Err(unavailable("DeleteItem", &error)),
        };
        // After the domain: a default without its domain counts for nothing, so dying between the two harms nobody.
        self.unset_default_link_domain(workspace, domain).await?;
        Ok(removed)
    }
}
