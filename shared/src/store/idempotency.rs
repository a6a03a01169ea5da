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
        // A key that was never used, or more than a day ago: whatever the row holds belongs to another request.
        let mut fresh = Update::default();
        fresh.set("v", number(1));
        fresh.set("request", text(request));
        fresh.set("locked_until", number(now.plus(LOCKED_FOR).0));
        fresh.set("expires_at", number(now.plus(KEPT_FOR).seconds()));
        fresh.set("id", attribute("request", &ulid_at(now))?);
        fresh.remove("reply");
        let (pk, expires, seconds) = (fresh.name("pk"), fresh.name("expires_at"), fresh.value(number(now.seconds())));
        fresh.only_if(format!("attribute_not_exists({pk}) OR {expires} < {seconds}"));
        if let Updated::Done(item) = self.update(keys::idempotency(workspace, key_hash), fresh).await? {
            let row: Row = read("request", item)?;
            return Ok(Idempotency::Run { id: row.id });
        }
        // The same request again, after a run that was cut off: its id stays.
        let mut again = Update::default();
        again.set("locked_until", number(now.plus(LOCKED_FOR).0));
        again.only_if_equal("request", text(request));
        again.only_if_absent("reply");
        let (locked, at) = (again.name("locked_until"), again.value(number(now.0)));
        again.only_if(format!("{locked} < {at}"));
        match self.update(keys::idempotency(workspace, key_hash), again).await? {
            Updated::Done(item) => {
                let row: Row = read("request", item)?;
                Ok(Idempotency::Run { id: row.id })
            }
            // The row was deleted between the two writes, for its day was over: the next request finds it free.
            Updated::Refused(item) if item.is_empty() => Ok(Idempotency::InProgress),
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
