//! Rows of the audit log, a partition a day.

use super::expression::Update;
use super::{Core, StoreError, keys, number, read_or_skip};
use crate::audit::Entry;
use crate::id::{AuditId, WorkspaceId};
use crate::retention::Kind;
use crate::time::UnixMillis;

impl Core {
    /// Writes an entry down before its request runs; a repeat changes nothing.
    ///
    /// # Errors
    /// [`StoreError`]; then the request must not run.
    pub async fn begin_audit(&self, workspace: WorkspaceId, entry: &Entry) -> Result<(), StoreError> {
        let more = self.expiry(Kind::Audit, keys::time_of(entry.id.ulid()));
        self.put_new("audit entry", keys::audit(workspace, entry.id), entry, more).await.map(|_| ())
    }

    /// Adds how the request was answered.
    ///
    /// # Errors
    /// [`StoreError`]; the entry then stays without an answer.
    pub async fn end_audit(
        &self,
        workspace: WorkspaceId,
        id: AuditId,
        status: u16,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let mut update = Update::default();
        update.set("status", number(i64::from(status)));
        update.set("answered_at", number(now.0));
        update.only_if_present("pk");
        self.update(keys::audit(workspace, id), update).await.map(|_| ())
    }

    /// Entries of one day, `2026-11-21`, newest first, at most `limit`, those older than `before` if given.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn audit_of_day(
        &self,
        workspace: WorkspaceId,
        date: &str,
        before: Option<AuditId>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        let pk = keys::audit_pk(workspace, date);
        let before = before.map(|id| id.to_string());
        let items = self.query(&pk, "", before.as_deref(), Some(limit), false).await?;
        Ok(items.into_iter().filter_map(|item| read_or_skip("audit entry", item)).collect())
    }
}
