//! What an instance of the function remembers between batches, for some seconds, so that a thousand messages do not ask the
//! table a thousand times the same. Only what may be a little old is remembered.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Entries after which everything is forgotten: the memory stays flat.
const MOST: usize = 50_000;

/// Answers by what was asked.
pub(crate) struct Remembered<K, V>(Mutex<HashMap<K, (Instant, V)>>);

impl<K, V> Default for Remembered<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V: Clone> Remembered<K, V> {
    /// What is remembered of it.
    pub(crate) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: std::borrow::Borrow<Q>,
    {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(key).filter(|(until, _)| *until > Instant::now()).map(|(_, value)| value.clone())
    }

    /// Remembers it for so long.
    pub(crate) fn put(&self, key: K, value: V, lasts: Duration) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(key, (Instant::now() + lasts, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_ends_and_never_grows_without_bound() {
        let remembered: Remembered<String, u32> = Remembered::default();
        remembered.put("a".to_owned(), 1, Duration::from_secs(600));
        remembered.put("b".to_owned(), 2, Duration::ZERO);
        assert_eq!((remembered.get("a"), remembered.get("b"), remembered.get("c")), (Some(1), None, None));
        for n in 0..MOST {
            remembered.put(n.to_string(), 0, Duration::from_secs(600));
        }
        assert!(remembered.0.lock().unwrap().len() <= MOST);
    }
}
