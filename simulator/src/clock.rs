//! The simulator's one clock: Unix milliseconds that never go backwards while it runs.
//! Pure logic takes these milliseconds as arguments; only the shell around it reads the clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Wall-clock time read once at start and advanced by the monotonic clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    started_unix_ms: u64,
    started: Instant,
}

impl Clock {
    /// Reads the wall clock; a clock set before 1970 counts as 1970.
    pub(crate) fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { started_unix_ms: u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX), started: Instant::now() }
    }

    /// Now, in Unix milliseconds.
    pub(crate) fn now_ms(&self) -> u64 {
        let elapsed = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.started_unix_ms.saturating_add(elapsed)
    }

    /// The instant at which [`Clock::now_ms`] will read `unix_ms`; the start for anything earlier.
    pub(crate) fn instant_at(&self, unix_ms: u64) -> Instant {
        self.started + Duration::from_millis(unix_ms.saturating_sub(self.started_unix_ms))
    }
}
