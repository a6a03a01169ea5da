//! The feed of events, what comes in that is none yet, and the lists that are read from it.

use sha2::{Digest, Sha256};

use super::Key;
use crate::activity;
use crate::activity::custom::Source;
use crate::activity::feed::Position;
use crate::attempt::Shard;
use crate::id::{AccountId, ContactId, EventId, WorkspaceId, WriteKeyId};
use crate::time::UnixMillis;

/// An event of the feed. `account` is `None` for what names no account of ours.
#[must_use]
pub fn event(workspace: Option<WorkspaceId>, account: Option<AccountId>, id: EventId, at: UnixMillis) -> Key {
    let pk = activity_pk(workspace, account, &at.date(), activity::shard_of(id));
    Key::new(pk, Position::of(at, id).as_str())
}

/// A partition of a day of the feed.
#[must_use]
pub fn activity_pk(workspace: Option<WorkspaceId>, account: Option<AccountId>, date: &str, shard: Shard) -> String {
    let workspace = workspace.map_or_else(|| UNROUTED.to_owned(), |id| id.to_string());
    let account = account.map_or_else(|| UNROUTED.to_owned(), |id| id.to_string());
    format!("WS#{workspace}#ACTIVITY#{account}#{date}#{:02}", shard.0)
}

/// The account in whose feed an event lies, read back from its partition key.
#[must_use]
pub fn account_of_event(pk: &str) -> Option<AccountId> {
    match pk.split('#').collect::<Vec<_>>()[..] {
        ["WS", _, "ACTIVITY", account, _, _] => account.parse().ok(),
        _ => None,
    }
}

/// Which time the event has that its sender has given this id.
#[must_use]
pub fn own_event_id(workspace: WorkspaceId, source: Source, own_id: &str) -> Key {
    let hash = hex::encode(Sha256::digest(own_id.as_bytes()));
    Key::new(format!("WS#{workspace}#EVENT_ID#{}#{hash}", source.name()), "EVENT_ID")
}

/// A publishable key of web pages.
#[must_use]
pub fn write_key(key: WriteKeyId) -> Key {
    Key::new(format!("WRITE_KEY#{key}"), "WRITE_KEY")
}

/// A workspace's publishable keys in the index of lists.
#[must_use]
pub fn write_key_list(workspace: WorkspaceId) -> String {
    format!("WS#{workspace}#WRITE_KEYS")
}

/// What was quarantined and is not resolved yet, in the index of lists; `None` for what names no workspace.
#[must_use]
pub fn quarantined_list(workspace: Option<WorkspaceId>) -> String {
    let workspace = workspace.map_or_else(|| UNROUTED.to_owned(), |id| id.to_string());
    format!("WS#{workspace}#QUARANTINED")
}

/// The day an item was first seen that bears no time of Meta's: a repeat on a later day is the same item. `workspace` and
/// `account` are `None` for what names none of ours; `hash` names the item.
#[must_use]
pub fn first_seen(workspace: Option<WorkspaceId>, account: Option<AccountId>, hash: &str) -> Key {
    let workspace = workspace.map_or_else(|| UNROUTED.to_owned(), |id| id.to_string());
    let account = account.map_or_else(|| UNROUTED.to_owned(), |id| id.to_string());
    Key::new(format!("WS#{workspace}#SEEN#{account}#{hash}"), "SEEN")
}

/// Stands for the workspace or account of what names none of ours.
pub const UNROUTED: &str = "UNROUTED";

/// Where an event lies, read back from its partition key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventPartition {
    /// Whose it is.
    pub workspace: WorkspaceId,
    /// The account it concerns; `None` for what names none of ours.
    pub account: Option<AccountId>,
    /// The day, `2026-11-21`.
    pub date: String,
    /// The partition within the day.
    pub shard: Shard,
}

/// Reads an event's partition back; `None` for any other row and for what names no workspace.
#[must_use]
pub fn read_event_partition(pk: &str) -> Option<EventPartition> {
    let parts: Vec<&str> = pk.split('#').collect();
    match parts[..] {
        ["WS", workspace, "ACTIVITY", account, date, shard] => Some(EventPartition {
            workspace: workspace.parse().ok()?,
            account: account.parse().ok(),
            date: date.to_owned(),
            shard: Shard(shard.parse().ok()?),
        }),
        _ => None,
    }
}

/// When an id was made.
#[must_use]
pub fn time_of(ulid: ulid::Ulid) -> UnixMillis {
    UnixMillis(i64::try_from(ulid.timestamp_ms()).unwrap_or(i64::MAX))
}

/// What concerns a contact, in the index of lists.
#[must_use]
pub fn contact_events_list(workspace: WorkspaceId, contact: ContactId) -> String {
    format!("WS#{workspace}#CONTACT#{contact}#EVENTS")
}

/// An account's conversations in which the person last wrote on this day, in the index of lists.
#[must_use]
pub fn conversations_list(workspace: WorkspaceId, account: AccountId, date: &str) -> String {
    format!("WS#{workspace}#ACCOUNT#{account}#CONVERSATIONS#{date}")
}

/// What Meta tells of an account and of its templates, in the index of lists.
#[must_use]
pub fn notices_list(workspace: WorkspaceId, account: AccountId) -> String {
    format!("WS#{workspace}#ACCOUNT#{account}#NOTICES")
}
