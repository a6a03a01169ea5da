//! The keys that pages present, kept for some seconds: a busy page costs a read of the table twice a minute. That there is no
//! such key is kept as well, and of keys that were never heard of only so many are asked for, so that whoever makes up keys
//! costs us nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use shared::collected::WriteKey;
use shared::id::WriteKeyId;
use shared::store::{Core, StoreError};

/// How long a key is used before it is read again: one that was revoked works at most this much longer.
const KEPT_FOR: Duration = Duration::from_secs(30);

/// Keys kept at most.
const MOST: usize = 10_000;

/// Keys that turned out to be none, that are asked for within [`KEPT_FOR`]; after that, what is not known is not asked for.
const MOST_UNKNOWN: usize = 100;

/// What is known of a key.
#[derive(Clone)]
pub(crate) enum Known {
    /// There is such a key; it may be revoked.
    Key(Arc<WriteKey>),
    /// There is none.
    Unknown,
    /// Too many that do not exist were asked for lately: ask again later.
    Busy,
}

struct Read {
    key: Option<Arc<WriteKey>>,
    at: Instant,
}

#[derive(Default)]
pub(crate) struct Keys {
    kept: Mutex<HashMap<WriteKeyId, Read>>,
}

impl Keys {
    /// The key, from what is kept or the table. When the table does not answer, what was known before holds a while longer.
    pub(crate) async fn get(&self, core: &Core, id: WriteKeyId) -> Result<Known, StoreError> {
        let before = match self.look(id, Instant::now()) {
            Look::Fresh(known) => return Ok(known),
            Look::Stale(before) => before,
        };
        let found = match core.write_key(id).await {
            Ok(found) => found.map(Arc::new),
            Err(error) => {
                tracing::warn!(%error, "a write key could not be read");
                return before.map(Known::Key).ok_or(error);
            }
        };
        Ok(self.keep(id, found, Instant::now()))
    }

    fn look(&self, id: WriteKeyId, now: Instant) -> Look {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        match kept.get(&id) {
            Some(read) if now.duration_since(read.at) < KEPT_FOR => {
                Look::Fresh(read.key.clone().map_or(Known::Unknown, Known::Key))
            }
            Some(Read { key: Some(key), .. }) => Look::Stale(Some(Arc::clone(key))),
            _ => {
                let unknown =
                    kept.values().filter(|read| read.key.is_none() && now.duration_since(read.at) < KEPT_FOR).count();
                if unknown >= MOST_UNKNOWN { Look::Fresh(Known::Busy) } else { Look::Stale(None) }
            }
        }
    }

    fn keep(&self, id: WriteKeyId, key: Option<Arc<WriteKey>>, now: Instant) -> Known {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= MOST || (key.is_none() && kept.len() >= MOST_UNKNOWN) {
            kept.retain(|_, read| read.key.is_some() || now.duration_since(read.at) < KEPT_FOR);
        }
        if kept.len() >= MOST {
            kept.retain(|_, read| now.duration_since(read.at) < KEPT_FOR);
        }
        if kept.len() < MOST {
            kept.insert(id, Read { key: key.clone(), at: now });
        }
        key.map_or(Known::Unknown, Known::Key)
    }
}

enum Look {
    /// No need to ask.
    Fresh(Known),
    /// To be asked for; what was known before.
    Stale(Option<Arc<WriteKey>>),
}

#[cfg(test)]
mod tests {
    use shared::id::WorkspaceId;
    use shared::time::UnixMillis;

    use super::*;

    fn id(n: i64) -> WriteKeyId {
        WriteKeyId::new(UnixMillis(n))
    }

    fn key(id: WriteKeyId) -> Arc<WriteKey> {
        Arc::new(WriteKey {
            v: 1,
            id,
            workspace: WorkspaceId::FIRST,
            name: "Shop".to_owned(),
            account: None,
            allowed_origins: Vec::new(),
            created_at: UnixMillis(1),
            revoked_at: None,
        })
    }

    #[test]
    fn a_key_is_read_again_after_half_a_minute_and_holds_until_then() {
        let (keys, one, now) = (Keys::default(), id(1), Instant::now());
        keys.keep(one, Some(key(one)), now);
        assert!(matches!(keys.look(one, now + KEPT_FOR - Duration::from_secs(1)), Look::Fresh(Known::Key(_))));
        assert!(matches!(keys.look(one, now + KEPT_FOR), Look::Stale(Some(_))));
    }

    #[test]
    fn made_up_keys_cost_a_bounded_number_of_reads_and_do_not_shut_out_known_ones() {
        let (keys, good, now) = (Keys::default(), id(1), Instant::now());
        keys.keep(good, Some(key(good)), now);
        for n in 0..i64::try_from(MOST_UNKNOWN).unwrap() {
            let made_up = id(n + 2);
            assert!(matches!(keys.look(made_up, now), Look::Stale(None)), "{n}");
            keys.keep(made_up, None, now);
            assert!(matches!(keys.look(made_up, now), Look::Fresh(Known::Unknown)));
        }
        assert!(matches!(keys.look(id(9_999), now), Look::Fresh(Known::Busy)));
        assert!(matches!(keys.look(good, now), Look::Fresh(Known::Key(_))));
        assert!(matches!(keys.look(good, now + KEPT_FOR), Look::Stale(Some(_))), "known ones are still read");
        assert!(matches!(keys.look(id(9_999), now + KEPT_FOR), Look::Stale(None)), "and others again later");
    }

    #[test]
    fn what_is_kept_does_not_grow_without_bound() {
        let (keys, now) = (Keys::default(), Instant::now());
        for n in 0..i64::try_from(MOST).unwrap() + 10 {
            let one = id(n);
            keys.keep(one, Some(key(one)), now);
        }
        assert!(keys.kept.lock().unwrap().len() <= MOST);
    }
}
