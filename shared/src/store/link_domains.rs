//! Rows of the domains that workspaces have for their short links. The row's key is the domain, so no two workspaces have the
//! same; which one is a workspace's default is a row of its own, and counts only while the domain is there. A domain that is
//! removed leaves a row with its workspace, for what is still told of clicks on it.

use std::time::Duration;

use aws_sdk_dynamodb::types::{Delete, Put, TransactWriteItem};
use serde::{Deserialize, Serialize};

use super::expression::Update;
use super::media::is_refused;
use super::schema::TTL_ATTRIBUTE;
use super::{Core, Item, StoreError, keys, number, read, read_or_skip, text, unavailable, write};
use crate::id::WorkspaceId;
use crate::link::domain::{DomainName, LinkDomain};
use crate::time::UnixMillis;

/// Most domains of a workspace: they are listed in one go.
pub const MAX_LINK_DOMAINS: usize = 50;

/// So long after its removal a workspace's domain is known: a click counts for a week
/// ([`WINDOW`](crate::link::click_id::WINDOW)), and a page may tell a month late what followed it.
const REMOVED_KEPT: Duration = Duration::from_secs(90 * 86_400);

/// A domain that a workspace had.
#[derive(Serialize, Deserialize)]
struct RemovedDomain {
    v: u8,
    domain: DomainName,
    removed_at: UnixMillis,
}

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
        update.set("v", number(1));
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
    /// adds it again; what was clicked before is known by [`Core::removed_link_domains`].
    ///
    /// # Errors
    /// [`StoreError`]; a repeat does the rest.
    pub async fn remove_link_domain(
        &self,
        workspace: WorkspaceId,
        domain: &DomainName,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let malformed = |error: aws_sdk_dynamodb::error::BuildError| StoreError::Unavailable {
            operation: "TransactWriteItems",
            message: error.to_string(),
        };
        let delete = Delete::builder()
            .table_name(&self.table)
            .set_key(Some(keys::link_domain(domain).item()))
            .condition_expression("workspace = :workspace")
            .expression_attribute_values(":workspace", text(&workspace.to_string()));
        let row = RemovedDomain { v: 1, domain: domain.clone(), removed_at: now };
        let mut removed = write("removed link domain", keys::removed_link_domain(workspace, domain), &row)?;
        removed.insert(TTL_ATTRIBUTE.to_owned(), number(now.plus(REMOVED_KEPT).seconds()));
        let put = Put::builder().table_name(&self.table).set_item(Some(removed));
        let sent = self
            .client
            .transact_write_items()
            .transact_items(TransactWriteItem::builder().delete(delete.build().map_err(malformed)?).build())
            .transact_items(TransactWriteItem::builder().put(put.build().map_err(malformed)?).build())
            .send()
            .await;
        let removed = match sent {
            Ok(_) => true,
            Err(error) if is_refused(error.as_service_error()) => false,
            Err(error) => return Err(unavailable("TransactWriteItems", &error)),
        };
        // After the domain: a default without its domain counts for nothing, so dying between the two harms nobody.
        self.unset_default_link_domain(workspace, domain).await?;
        Ok(removed)
    }

    /// The domains that a workspace has removed lately, by name, also those that it or another has added again.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn removed_link_domains(&self, workspace: WorkspaceId) -> Result<Vec<DomainName>, StoreError> {
        let items = self.query(&keys::removed_link_domains_pk(workspace), "", None, None, true).await?;
        let rows = items.into_iter().filter_map(|item| read_or_skip::<RemovedDomain>("removed link domain", item));
        Ok(rows.map(|row| row.domain).collect())
    }
}
