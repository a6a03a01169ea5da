//! Signs of life of a job whose work takes minutes: whoever gives none for long is taken for dead, and another run begins.

use std::time::Duration;

use shared::store::StoreError;

/// From one sign of life to the next.
pub(crate) const EVERY: Duration = Duration::from_secs(5);

/// Works as long as the signs of life find the job ours; `None` when they do not any more.
pub(crate) async fn while_ours<T, E, Beat>(
    work: impl Future<Output = Result<T, E>>,
    beat: impl Fn() -> Beat,
    every: Duration,
) -> Result<Option<T>, E>
where
    E: From<StoreError>,
    Beat: Future<Output = Result<bool, StoreError>>,
{
    tokio::pin!(work);
    let mut signs = tokio::time::interval(every);
    loop {
        tokio::select! {
            done = &mut work => return Ok(Some(done?)),
            _ = signs.tick() => {
                if !beat().await? {
                    return Ok(None);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    const OFTEN: Duration = Duration::from_millis(1);

    #[tokio::test]
    async fn long_work_gives_signs_of_life_and_ends_when_the_job_is_somebody_elses() {
        let beats = AtomicU32::new(0);
        let lost_at_third = || {
            let ours = beats.fetch_add(1, Ordering::SeqCst) < 2;
            async move { Ok(ours) }
        };
        let endless = std::future::pending::<Result<(), StoreError>>();
        assert!(while_ours(endless, lost_at_third, OFTEN).await.unwrap().is_none());
        assert_eq!(beats.load(Ordering::SeqCst), 3);
        let done = while_ours(async { Ok::<_, StoreError>(7) }, || async { Ok(true) }, OFTEN).await.unwrap();
        assert_eq!(done, Some(7));
    }
}
