//! The simulator's one clock: Unix time that never goes backwards while it runs, in milliseconds, and in microseconds for
//! the moments at which requests come in. Pure logic takes the time as an argument; only the shell around it reads the clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Wall-clock time read once at start and advanced by the monotonic clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    started_unix_us: u64,
    started: Instant,
}

impl Clock {
    /// Reads the wall clock; a clock set before 1970 counts as 1970.
    pub(crate) fn start() -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { started_unix_us: u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX), started: Instant::now() }
    }

    /// Now, in Unix microseconds.
    pub(crate) fn now_us(&self) -> u64 {
        let elapsed = u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.started_unix_us.saturating_add(elapsed)
    }

    /// Now, in Unix milliseconds.
    pub(crate) fn now_ms(&self) -> u64 {
        self.now_us() / 1_000
    }

    /// The instant at which [`Clock::now_ms`] will read `unix_ms`; the start for anything earlier.
    pub(crate) fn instant_at(&self, unix_ms: u64) -> Instant {
        let unix_us = unix_ms.saturating_mul(1_000);
        self.started + Duration::from_micros(unix_us.saturating_sub(self.started_unix_us))
    }
}
