//! What was read of the table lately, kept for a minute so that a hot campaign needs no read per click.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use shared::store::StoreError;

/// How long a row is used before it is read again: a revoked link works at most this much longer.
pub(crate) const KEPT_FOR: Duration = Duration::from_secs(60);

/// What was read, and when; `None` is that there was nothing.
struct Read<V> {
    row: Option<Arc<V>>,
    at: Instant,
}

/// Rows by their key, at most so many.
pub(crate) struct Cache<K, V> {
    kept: Mutex<HashMap<K, Read<V>>>,
    most: usize,
}

impl<K: Eq + Hash + Clone, V> Cache<K, V> {
    /// A cache of at most so many rows.
    pub(crate) fn of(most: usize) -> Self {
        Self { kept: Mutex::default(), most }
    }

    /// The row, from the cache or from `read`. That there is none is kept as well.
    pub(crate) async fn get(
        &self,
        key: &K,
        read: impl Future<Output = Result<Option<V>, StoreError>>,
    ) -> Result<Option<Arc<V>>, StoreError> {
        if let Some(known) = self.known(key) {
            return Ok(known);
        }
        let row = read.await?.map(Arc::new);
        self.keep(key.clone(), row.clone());
        Ok(row)
    }

    fn known(&self, key: &K) -> Option<Option<Arc<V>>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(key).filter(|read| read.at.elapsed() < KEPT_FOR).map(|read| read.row.clone())
    }

    fn keep(&self, key: K, row: Option<Arc<V>>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= self.most {
            kept.retain(|_, read| read.at.elapsed() < KEPT_FOR);
        }
        if kept.len() >= self.most {
            // All of them are fresh: an eighth goes, whichever it is, so that what is made room for is worth the walk.
            let gone: Vec<K> = kept.keys().take(self.most.div_ceil(8)).cloned().collect();
            gone.iter().for_each(|key| _ = kept.remove(key));
        }
        kept.insert(key, Read { row, at: Instant::now() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn get(cache: &Cache<u32, u32>, key: u32, row: Option<u32>, reads: &mut u32) -> Option<u32> {
        let read = async {
            *reads += 1;
            Ok(row)
        };
        cache.get(&key, read).await.unwrap().map(|row| *row)
    }

    #[tokio::test]
    async fn a_row_and_its_absence_are_read_once() {
        let (cache, mut reads) = (Cache::of(10), 0);
        for _ in 0..3 {
            assert_eq!(get(&cache, 1, Some(7), &mut reads).await, Some(7));
            assert_eq!(get(&cache, 2, None, &mut reads).await, None);
        }
        assert_eq!(reads, 2);
    }

    #[tokio::test]
    async fn the_cache_never_grows_beyond_its_bound() {
        let (cache, mut reads) = (Cache::of(16), 0);
        for key in 0..1_000 {
            get(&cache, key, None, &mut reads).await;
            assert!(cache.kept.lock().unwrap().len() <= 16);
        }
        assert_eq!(get(&cache, 999, None, &mut reads).await, None);
        assert_eq!(reads, 1_000, "the last one is among those that stayed");
    }

    #[tokio::test]
    async fn a_failed_read_is_not_kept() {
        let cache: Cache<u32, u32> = Cache::of(16);
        let error = StoreError::Unavailable { operation: "GetItem", message: String::new() };
        assert!(cache.get(&1, async { Err(error) }).await.is_err());
        assert_eq!(get(&cache, 1, Some(7), &mut 0).await, Some(7));
    }
}
