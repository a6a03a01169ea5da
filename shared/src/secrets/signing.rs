//! The secrets that webhooks are signed with: the newest of a subscription and the one before it, as one text of JSON.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::{CACHED_FOR, CLOCKS_DIFFER, SecretError, Secrets};
use crate::id::{WebhookId, WorkspaceId};
use crate::subscription::Webhook;
use crate::subscription::signing::SigningSecrets;
use crate::time::UnixMillis;

/// What was read, and when.
pub(super) type Cache = Arc<Mutex<HashMap<WebhookId, Cached>>>;

#[derive(Clone, Debug)]
pub(super) struct Cached {
    secrets: SigningSecrets,
    read: Instant,
    read_at: UnixMillis,
}

impl Secrets {
    /// Keeps a subscription's secrets, replacing those before.
    ///
    /// # Errors
    /// When they cannot be kept.
    pub async fn keep_signing(
        &self,
        workspace: WorkspaceId,
        webhook: WebhookId,
        secrets: &SigningSecrets,
    ) -> Result<(), SecretError> {
        self.kept.put(name(workspace, webhook), serde_json::to_string(secrets)?).await?;
        self.signing.lock().unwrap_or_else(PoisonError::into_inner).remove(&webhook);
        Ok(())
    }

    /// A subscription's secrets as they are kept now; `None` when there are none.
    ///
    /// # Errors
    /// When they cannot be read: retry.
    pub async fn signing(
        &self,
        workspace: WorkspaceId,
        webhook: WebhookId,
    ) -> Result<Option<SigningSecrets>, SecretError> {
        let found = self.kept.get(&name(workspace, webhook)).await?;
        Ok(found.map(|text| serde_json::from_str(&text)).transpose()?)
    }

    /// The same, read at most once in five minutes unless the subscription says that its secret was replaced.
    ///
    /// # Errors
    /// As [`Secrets::signing`].
    pub async fn signing_of(&self, webhook: &Webhook) -> Result<Option<SigningSecrets>, SecretError> {
        if let Some(secrets) = self.remembered_signing(webhook) {
            return Ok(Some(secrets));
        }
        let (read, read_at) = (Instant::now(), UnixMillis::now());
        let found = self.signing(webhook.workspace, webhook.id).await?;
        if let Some(secrets) = &found {
            let cached = Cached { secrets: secrets.clone(), read, read_at };
            self.signing.lock().unwrap_or_else(PoisonError::into_inner).insert(webhook.id, cached);
        }
        Ok(found)
    }

    fn remembered_signing(&self, webhook: &Webhook) -> Option<SigningSecrets> {
        let cache = self.signing.lock().unwrap_or_else(PoisonError::into_inner);
        let cached = cache.get(&webhook.id)?;
        let is_stale = webhook.secret_at.is_some_and(|replaced| cached.read_at <= replaced.plus(CLOCKS_DIFFER));
        (!is_stale && cached.read.elapsed() < CACHED_FOR).then(|| cached.secrets.clone())
    }

    /// Forgets a subscription's secrets; a repeat changes nothing.
    ///
    /// # Errors
    /// When they cannot be deleted.
    pub async fn forget_signing(&self, workspace: WorkspaceId, webhook: WebhookId) -> Result<(), SecretError> {
        self.kept.forget(&name(workspace, webhook)).await?;
        self.signing.lock().unwrap_or_else(PoisonError::into_inner).remove(&webhook);
        Ok(())
    }
}

fn name(workspace: WorkspaceId, webhook: WebhookId) -> String {
    format!("{workspace}/{webhook}/signing-secrets")
}

#[cfg(test)]
mod tests {
    use ulid::Ulid;

    use super::*;
    use crate::subscription::tests::webhook;

    #[tokio::test]
    async fn secrets_are_kept_replaced_at_once_for_every_process_and_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets.json");
        let (api, deliver) = (Secrets::in_file(&path), Secrets::in_file(&path));
        let mut subscribed = webhook(&["*"]);
        assert_eq!(deliver.signing_of(&subscribed).await.unwrap(), None);
        let first = SigningSecrets::first(Ulid::from_parts(1, 1));
        api.keep_signing(subscribed.workspace, subscribed.id, &first).await.unwrap();
        assert_eq!(deliver.signing_of(&subscribed).await.unwrap(), Some(first.clone()));

        let second = first.clone().rotated(Ulid::from_parts(2, 2), UnixMillis::now());
        api.keep_signing(subscribed.workspace, subscribed.id, &second).await.unwrap();
        assert_eq!(deliver.signing_of(&subscribed).await.unwrap(), Some(first), "the row says nothing of a new one");
        subscribed.secret_at = Some(UnixMillis::now());
        assert_eq!(deliver.signing_of(&subscribed).await.unwrap(), Some(second));

        api.forget_signing(subscribed.workspace, subscribed.id).await.unwrap();
        api.forget_signing(subscribed.workspace, subscribed.id).await.unwrap();
        assert_eq!(deliver.signing_of(&subscribed).await.unwrap(), None);
    }
}
