//! When a campaign's messages may leave by the recipient's own clock.

use jiff::tz::TimeZone;

use super::{LocalTime, QuietHours, at_local_time, quiet_until};
use crate::campaign::Schedule;
use crate::time::UnixMillis;

/// The hours that a campaign and its account keep.
#[derive(Clone, Copy, Debug)]
pub struct Hours {
    /// The campaign's messages leave at this time of the recipient's day, the first one after the campaign has started.
    local_time: Option<(LocalTime, UnixMillis)>,
    /// Nobody is written to in these hours: the campaign's, else the account's.
    quiet: Option<QuietHours>,
}

impl Hours {
    /// Of a campaign that began then, whose account has these quiet hours.
    #[must_use]
    pub fn of(schedule: &Schedule, begun: UnixMillis, of_account: Option<QuietHours>) -> Self {
        Self { local_time: schedule.local_time.map(|local| (local, begun)), quiet: schedule.quiet_hours.or(of_account) }
    }

    /// Whether messages may leave at any time.
    #[must_use]
    pub const fn are_all(&self) -> bool {
        self.local_time.is_none() && self.quiet.is_none()
    }

    /// Until when a message to somebody in these zones waits, and why.
    #[must_use]
    pub fn wait(&self, zones: &[TimeZone], now: UnixMillis) -> Option<(UnixMillis, &'static str)> {
        let local = self.local_time.map(|(local, begun)| at_local_time(local, zones, begun)).filter(|at| *at > now);
        if let Some(at) = local {
            return Some((at, "the campaign's local time has not come where the recipients live"));
        }
        let quiet = self.quiet.and_then(|quiet| quiet_until(quiet, zones, now));
        quiet.map(|until| (until, "it is quiet hours where the recipients live"))
    }
}
