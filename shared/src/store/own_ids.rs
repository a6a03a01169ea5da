//! Which time an event has whose sender has given it an id of their own: an event's time is part of its key, so a repeat that
//! tells another time, or none, has to find the first one.

use std::time::Duration;

use serde::Deserialize;

use super::expression::{Update, Updated};
use super::schema::TTL_ATTRIBUTE;
use super::{Core, StoreError, keys, number, read};
use crate::activity::custom::Source;
use crate::id::WorkspaceId;
use crate::time::UnixMillis;

/// So long after an event was told first, a repeat with another time is known to be one. A repeat with the same time always is.
const OWN_IDS_KEPT: Duration = Duration::from_secs(90 * 86_400);

#[derive(Deserialize)]
struct OwnId {
    at: UnixMillis,
}

impl Core {
    /// When the event happened that its sender has given this id: what was told with the id first. One write.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn time_of_own_id(
        &self,
        workspace: WorkspaceId,
        source: Source,
        own_id: &str,
        told: UnixMillis,
        now: UnixMillis,
    ) -> Result<UnixMillis, StoreError> {
        let mut update = Update::default();
        update.set_if_absent("v", number(1));
        update.set_if_absent("at", number(told.0));
        update.set_if_absent(TTL_ATTRIBUTE, number(now.plus(OWN_IDS_KEPT).seconds()));
        match self.update(keys::own_event_id(workspace, source, own_id), update).await? {
            Updated::Done(item) | Updated::Refused(item) => Ok(read::<OwnId>("event id", item)?.at),
        }
    }
}
