//! Requests that may be repeated (`Idempotency-Key`): the first one locks the key, its reply is kept for a day and given
//! to every repeat.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use ulid::Ulid;

use super::expression::{Update, Updated};
use super::{Core, StoreError, attribute, keys, number, read, text};
use crate::id::{WorkspaceId, ulid_at};
use crate::time::UnixMillis;

/// How long a reply is kept.
const KEPT_FOR: Duration = Duration::from_secs(24 * 3_600);

/// How long a request may run before a repeat may run it again: longer than API Gateway waits (30 s).
const LOCKED_FOR: Duration = Duration::from_secs(60);

/// What is known of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Idempotency {
    /// Run it. Whatever it creates gets this id, so that a run after a crash creates nothing twice.
    Run {
        /// Chosen at the first run.
        id: Ulid,
    },
    /// It was run: this was the reply.
    Replied {
        /// HTTP status.
        status: u16,
        /// Body.
        body: String,
    },
    /// It is being run.
    InProgress,
    /// The key was used with another request.
    OtherRequest,
}

#[derive(Serialize, Deserialize)]
struct Row {
    v: u8,
    request: String,
    id: Ulid,
    locked_until: UnixMillis,
    expires_at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reply: Option<Reply>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Reply {
    status: u16,
    body: String,
}

impl Core {
    /// Locks the key for this request, or tells what became of it. `request` identifies the request, as a hash of its
    /// path and body; `key_hash` the key.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn begin_request(
        &self,
        workspace: WorkspaceId,
        key_hash: &str,
        request: &str,
        now: UnixMillis,
    ) -> Result<Idempotency, StoreError> {
        let id = ulid_at(now);
        let mut update = Update::default();
        update.set("v", number(1));
        update.set("request", text(request));
        update.set("locked_until", number(now.plus(LOCKED_FOR).0));
        update.set("expires_at", number(now.plus(KEPT_FOR).seconds()));
        update.set_if_absent("id", attribute("request", &id)?);
        let (pk, expires, seconds) =
            (update.name("pk"), update.name("expires_at"), update.value(number(now.seconds())));
        let (known, same) = (update.name("request"), update.value(text(request)));
        let (locked, reply, at) = (update.name("locked_until"), update.name("reply"), update.value(number(now.0)));
        update.only_if(format!(
            "attribute_not_exists({pk}) OR {expires} < {seconds} OR \
             ({known} = {same} AND attribute_not_exists({reply}) AND {locked} < {at})"
        ));
        match self.update(keys::idempotency(workspace, key_hash), update).await? {
            Updated::Done(item) => {
                let row: Row = read("request", item)?;
                Ok(Idempotency::Run { id: row.id })
            }
            Updated::Refused(item) => {
                let row: Row = read("request", item)?;
                Ok(match row.reply {
                    _ if row.request != request => Idempotency::OtherRequest,
                    Some(Reply { status, body }) => Idempotency::Replied { status, body },
                    None => Idempotency::InProgress,
                })
            }
        }
    }

    /// Keeps the reply for repeats.
    ///
    /// # Errors
    /// [`StoreError`]; then a repeat runs the request again, with the same id.
    pub async fn end_request(
        &self,
        workspace: WorkspaceId,
        key_hash: &str,
        status: u16,
        body: &str,
    ) -> Result<(), StoreError> {
        let reply = Reply { status, body: body.to_owned() };
        let mut update = Update::default();
        update.set("reply", attribute("request", &reply)?);
        update.only_if_present("pk");
        self.update(keys::idempotency(workspace, key_hash), update).await.map(|_| ())
    }

    /// Gives the key free after a request that failed on our side, so that a repeat runs it at once.
    ///
    /// # Errors
    /// [`StoreError`]; then the key is free after a minute.
    pub async fn abandon_request(&self, workspace: WorkspaceId, key_hash: &str) -> Result<(), StoreError> {
        let mut update = Update::default();
        update.set("locked_until", number(0));
        update.only_if_present("pk");
        update.only_if_absent("reply");
        self.update(keys::idempotency(workspace, key_hash), update).await.map(|_| ())
    }
}
