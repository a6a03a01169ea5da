//! The keys of both tables. Every key of CORE starts with its workspace, so no query can cross one, but for what somebody
//! outside asks for who cannot know the workspace: a link by its number or alias, the domain of links, a write key by
//! itself, an account by Meta's number id or by its WhatsApp Business Account's, and what the watchdogs look after:
//! campaigns, jobs, parcels of deliveries.

use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::Item;
use crate::attempt::{AttemptKey, Seq, Shard};

mod accounts;
mod contacts;
mod events;
mod links;
mod media;
mod sending;
mod webhooks;

pub use accounts::*;
pub use contacts::*;
pub use events::*;
pub use links::*;
pub use media::*;
pub use sending::*;
pub use webhooks::*;

/// Partition and sort key of one item.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    /// Partition key.
    pub pk: String,
    /// Sort key.
    pub sk: String,
}

impl Key {
    /// From its two parts.
    #[must_use]
    pub fn new(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self { pk: pk.into(), sk: sk.into() }
    }

    /// The key as a cursor of a list: opaque, and safe in a URL.
    #[must_use]
    pub fn cursor(&self) -> String {
        URL_SAFE_NO_PAD.encode(format!("{}\n{}", self.pk, self.sk))
    }

    /// Reads a cursor back; `None` when it is none.
    #[must_use]
    pub fn from_cursor(cursor: &str) -> Option<Self> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
        let (pk, sk) = text.split_once('\n')?;
        Some(Self::new(pk, sk))
    }

    /// As the SDK wants a key.
    #[must_use]
    pub fn item(self) -> Item {
        Item::from([("pk".to_owned(), AttributeValue::S(self.pk)), ("sk".to_owned(), AttributeValue::S(self.sk))])
    }
}

/// Reads the key of a row back that a recipient has of this kind.
fn read_of_recipient(kind: &str, pk: &str, sk: &str) -> Option<AttemptKey> {
    let mut parts = pk.split('#');
    let (workspace, campaign, shard) = match (parts.next()?, parts.next()?, parts.next()?, parts.next()?, parts.next()?)
    {
        ("WS", workspace, of, campaign, shard) if of == kind => (workspace, campaign, shard),
        _ => return None,
    };
    Some(AttemptKey {
        workspace: workspace.parse().ok()?,
        campaign: campaign.parse().ok()?,
        shard: Shard(shard.parse().ok()?),
        seq: Seq(sk.parse().ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::activity;
    use crate::id::{AccountId, WorkspaceId};
    use crate::link::code::LinkId;
    use crate::link::visits::{Visitor, VisitorMark, Whose};
    use crate::time::UnixMillis;

    #[test]
    fn a_cursor_is_read_back() {
        let key = Key::new("WS#a#ACTIVITY#b", "1#c");
        assert_eq!(Key::from_cursor(&key.cursor()), Some(key));
        assert_eq!(Key::from_cursor("?"), None);
        assert_eq!(Key::from_cursor("aGVsbG8"), None);
    }

    #[test]
    fn keys_of_attempts_and_events_are_read_back() {
        let key = AttemptKey {
            workspace: WorkspaceId::FIRST,
            campaign: "cmp_01J00000000000000000000000".parse().unwrap(),
            shard: Shard(7),
            seq: Seq(123),
        };
        let Key { pk, sk } = attempt(&key);
        assert_eq!(pk, "WS#wsp_00000000000000000000000001#ATTEMPTS#cmp_01J00000000000000000000000#07");
        assert_eq!(sk, "00000123");
        assert_eq!(read_attempt(&pk, &sk), Some(key));
        assert_eq!(read_event_partition(&pk), None);
        assert_eq!(read_visits(&pk, &sk), None);
        for whose in [
            Whose::Recipient(key),
            Whose::Visitor(Visitor {
                workspace: key.workspace,
                campaign: None,
                link: LinkId::new(7).unwrap(),
                mark: VisitorMark::from_key("0123456789abcdef"),
            }),
        ] {
            let Key { pk, sk } = visits(&whose);
            assert_eq!((read_visits(&pk, &sk), read_attempt(&pk, &sk)), (Some(whose), None));
        }

        let id = activity::id_of(UnixMillis(1_790_000_000_000), &["x"]);
        let Key { pk, sk } = event(Some(WorkspaceId::FIRST), None, id, UnixMillis(1_790_000_000_000));
        let partition = read_event_partition(&pk).unwrap();
        assert_eq!((partition.date.as_str(), partition.shard), ("2026-09-21", activity::shard_of(id)));
        assert_eq!(account_of_event(&pk), None);
        let account = AccountId::new(UnixMillis(1));
        assert_eq!(account_of_event(&event(None, Some(account), id, UnixMillis(1)).pk), Some(account));
        assert_eq!((partition.workspace, partition.account), (WorkspaceId::FIRST, None));
        assert!(sk.starts_with("001790000000000#evt_"));
        assert_eq!(read_attempt(&pk, &sk), None);
    }
}
