//! What was read of the table lately, kept for a minute so that a hot campaign needs no read per click. When the table does
//! not answer, what was read within the hour still leads where it led.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use shared::store::StoreError;

/// How long a row is used before it is read again: a revoked link works at most this much longer.
pub(crate) const KEPT_FOR: Duration = Duration::from_secs(60);

/// How old a row may be when the table fails or does not answer: a link that was revoked meanwhile works on as long as that
/// lasts, and everybody else gets to their destination.
const STALE_FOR: Duration = Duration::from_secs(60 * 60);

/// How long a read may take while there is a row to answer with instead.
const READ_PATIENCE: Duration = Duration::from_millis(500);

/// What stands in for a read that fails or takes too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StandIn {
    /// A row of the last hour. That there was none may have changed, and no answer is worse than none.
    Row,
    /// As well that there was none within the hour: for who can do without a row.
    RowOrNone,
}

/// What was read, and when; `None` is that there was nothing.
struct Read<V> {
    row: Option<Arc<V>>,
    at: Instant,
}

/// Rows by their key, at most so many.
pub(crate) struct Cache<K, V> {
    kept: Mutex<HashMap<K, Read<V>>>,
    most: usize,
    /// How long a read may take while there is a row to answer with instead.
    patience: Duration,
}

impl<K: Eq + Hash + Clone, V> Cache<K, V> {
    /// A cache of at most so many rows.
    pub(crate) fn of(most: usize) -> Self {
        Self { kept: Mutex::default(), most, patience: READ_PATIENCE }
    }

    /// The row, from the cache or from `read`. That there is none is kept as well. When the read fails or takes too long, what
    /// was read within the hour stands in for it, as far as it may.
    ///
    /// # Errors
    /// The read's, when nothing stands in for it.
    pub(crate) async fn get(
        &self,
        key: &K,
        stand_in: StandIn,
        read: impl Future<Output = Result<Option<V>, StoreError>>,
    ) -> Result<Option<Arc<V>>, StoreError> {
        if let Some(known) = self.known(key) {
            return Ok(known);
        }
        let row = match self.stale(key, stand_in) {
            None => read.await?,
            Some(stale) => match tokio::time::timeout(self.patience, read).await {
                Ok(Ok(row)) => row,
                Ok(Err(error)) => {
                    tracing::warn!(%error, "a row could not be read; what it was within the hour stands in");
                    return Ok(stale);
                }
                Err(_) => {
                    tracing::warn!("a row was not read in time; what it was within the hour stands in");
                    return Ok(stale);
                }
            },
        };
        let row = row.map(Arc::new);
        self.keep(key.clone(), row.clone());
        Ok(row)
    }

    fn stale(&self, key: &K, stand_in: StandIn) -> Option<Option<Arc<V>>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let read = kept.get(key).filter(|read| read.at.elapsed() < STALE_FOR)?;
        (read.row.is_some() || stand_in == StandIn::RowOrNone).then(|| read.row.clone())
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

    /// Lets everything that is kept become so much older.
    #[cfg(test)]
    pub(crate) fn age(&self, by: Duration) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.values_mut().for_each(|read| read.at = read.at.checked_sub(by).unwrap_or(read.at));
    }
}

#[cfg(test)]
pub(crate) fn fault() -> StoreError {
    StoreError::Unavailable { operation: "GetItem", message: String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn get(cache: &Cache<u32, u32>, key: u32, row: Option<u32>, reads: &mut u32) -> Option<u32> {
        let read = async {
            *reads += 1;
            Ok(row)
        };
        cache.get(&key, StandIn::Row, read).await.unwrap().map(|row| *row)
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
        assert!(cache.get(&1, StandIn::Row, async { Err(fault()) }).await.is_err());
        assert_eq!(get(&cache, 1, Some(7), &mut 0).await, Some(7));
    }

    fn impatient() -> Cache<u32, u32> {
        Cache { patience: Duration::ZERO, ..Cache::of(16) }
    }

    #[tokio::test]
    async fn a_row_of_the_last_hour_stands_in_for_a_read_that_fails_or_never_ends() {
        let cache = impatient();
        get(&cache, 1, Some(7), &mut 0).await;
        cache.age(STALE_FOR - Duration::from_secs(60));
        assert_eq!(cache.get(&1, StandIn::Row, async { Err(fault()) }).await.unwrap().as_deref(), Some(&7));
        assert_eq!(cache.get(&1, StandIn::Row, std::future::pending()).await.unwrap().as_deref(), Some(&7));
        cache.age(Duration::from_secs(60));
        assert!(cache.get(&1, StandIn::Row, async { Err(fault()) }).await.is_err(), "older than an hour");
    }

    #[tokio::test]
    async fn nothing_stands_in_for_a_row_that_was_not_there() {
        let cache = impatient();
        get(&cache, 1, None, &mut 0).await;
        cache.age(KEPT_FOR);
        assert!(cache.get(&1, StandIn::Row, async { Err(fault()) }).await.is_err());
    }

    #[tokio::test]
    async fn who_can_do_without_a_row_is_told_that_there_was_none_within_the_hour() {
        let cache = impatient();
        assert!(cache.get(&1, StandIn::RowOrNone, async { Err(fault()) }).await.is_err(), "it was never read");
        get(&cache, 1, None, &mut 0).await;
        cache.age(STALE_FOR - Duration::from_secs(60));
        assert_eq!(cache.get(&1, StandIn::RowOrNone, async { Err(fault()) }).await.unwrap(), None);
        assert_eq!(cache.get(&1, StandIn::RowOrNone, std::future::pending()).await.unwrap(), None);
        cache.age(Duration::from_secs(60));
        assert!(cache.get(&1, StandIn::RowOrNone, async { Err(fault()) }).await.is_err(), "older than an hour");
    }

    #[tokio::test]
    async fn a_read_that_succeeds_replaces_the_stale_row() {
        let cache = impatient();
        get(&cache, 1, Some(7), &mut 0).await;
        cache.age(KEPT_FOR);
        assert_eq!(get(&cache, 1, Some(8), &mut 0).await, Some(8));
    }
}
