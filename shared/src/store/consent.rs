//! A workspace's settings about keywords, and that people were answered: once, whoever asks for it again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::expression::{Update, Updated};
use super::{Core, StoreError, attribute, keys, number, unavailable, write};
use crate::consent::{ConsentSettings, Wish};
use crate::id::{ContactId, EventId, WorkspaceId};
use crate::time::UnixMillis;

/// A person is answered at most once in this time for each direction.
pub const ONE_CONFIRMATION_IN: Duration = Duration::from_secs(24 * 3_600);

/// That a person was, or is being, told that their word was heard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmed {
    /// Version of the stored shape.
    pub v: u8,
    /// The event of the word.
    pub word: EventId,
    /// When the reply was claimed.
    pub at: UnixMillis,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Meta is being called, or was when the caller died: whether it has the message is not known, and it is not sent again.
    Unknown,
    /// Meta has it.
    Accepted,
    /// Meta has refused it.
    Refused,
}

impl Core {
    /// The workspace's settings; the defaults when it has none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn consent_settings(&self, workspace: WorkspaceId) -> Result<ConsentSettings, StoreError> {
        let stored: Option<Stored> = self.get("consent settings", keys::consent_settings(workspace)).await?;
        Ok(stored.map(|stored| stored.settings).unwrap_or_default())
    }

    /// Replaces the workspace's settings.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn set_consent_settings(
        &self,
        workspace: WorkspaceId,
        settings: &ConsentSettings,
    ) -> Result<(), StoreError> {
        let stored = Stored { v: 1, settings: settings.clone() };
        let item = write("consent settings", keys::consent_settings(workspace), &stored)?;
        self.client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .send()
            .await
            .map(|_| ())
            .map_err(|error| unavailable("PutItem", &error))
    }

    /// Claims the reply to a word, before Meta is called; `false` when this word, or another one of the last 24 hours, has
    /// been claimed before, by whomever.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn claim_confirmation(
        &self,
        workspace: WorkspaceId,
        contact: ContactId,
        wish: Wish,
        word: EventId,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let mut update = Update::default();
        let before = UnixMillis(now.0 - i64::try_from(ONE_CONFIRMATION_IN.as_millis()).unwrap_or(0));
        update.set("v", number(1));
        update.set("word", attribute("confirmation", &word)?);
        update.set("at", number(now.0));
        update.set("outcome", attribute("confirmation", &Outcome::Unknown)?);
        let (known, at) = (update.name("word"), update.name("at"));
        let (this, before) = (update.value(attribute("confirmation", &word)?), update.value(number(before.0)));
        update.only_if(format!("attribute_not_exists({known}) OR ({at} < {before} AND {known} <> {this})"));
        let key = keys::confirmation(workspace, contact, wish.name());
        Ok(matches!(self.update(key, update).await?, Updated::Done(_)))
    }

    /// Gives the claim of a reply back that certainly never left.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn unclaim_confirmation(
        &self,
        workspace: WorkspaceId,
        contact: ContactId,
        wish: Wish,
        word: EventId,
    ) -> Result<(), StoreError> {
        let deleted = self
            .client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(keys::confirmation(workspace, contact, wish.name()).item()))
            .condition_expression("#word = :word")
            .expression_attribute_names("#word", "word")
            .expression_attribute_values(":word", attribute("confirmation", &word)?)
            .send()
            .await;
        match deleted {
            Ok(_) => Ok(()),
            Err(error) if error.as_service_error().is_some_and(|e| e.is_conditional_check_failed_exception()) => Ok(()),
            Err(error) => Err(unavailable("DeleteItem", &error)),
        }
    }

    /// Notes what became of a reply that was claimed for this word.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn settle_confirmation(
        &self,
        workspace: WorkspaceId,
        contact: ContactId,
        wish: Wish,
        word: EventId,
        outcome: Outcome,
    ) -> Result<(), StoreError> {
        let mut update = Update::default();
        update.set("outcome", attribute("confirmation", &outcome)?);
        update.only_if_equal("word", attribute("confirmation", &word)?);
        self.update(keys::confirmation(workspace, contact, wish.name()), update).await.map(|_| ())
    }

    /// What became of the last reply to a person in this direction.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn confirmation(
        &self,
        workspace: WorkspaceId,
        contact: ContactId,
        wish: Wish,
    ) -> Result<Option<Confirmed>, StoreError> {
        self.get("confirmation", keys::confirmation(workspace, contact, wish.name())).await
    }
}

/// The settings within their row, whose keys they do not know.
#[derive(Serialize, Deserialize)]
struct Stored {
    v: u8,
    settings: ConsentSettings,
}
