//! When a campaign's messages may leave by the recipient's own clock.

use shared::campaign::Campaign;
use shared::local_time::{LocalTime, QuietHours, at_local_time, quiet_until, zones_of};
use shared::phone::PhoneNumber;
use shared::time::UnixMillis;

/// The hours that a campaign and its account keep.
pub(crate) struct Hours {
    /// The campaign's messages leave at this time of the recipient's day, the first one after the campaign has started.
    local_time: Option<(LocalTime, UnixMillis)>,
    /// Nobody is written to in these hours: the campaign's, else the account's.
    quiet: Option<QuietHours>,
}

impl Hours {
    /// Of a campaign, whose account has these quiet hours.
    pub(crate) fn of(campaign: &Campaign, of_account: Option<QuietHours>) -> Self {
        let begun = campaign.started_at.unwrap_or(campaign.created_at);
        Self {
            local_time: campaign.schedule.local_time.map(|local| (local, begun)),
            quiet: campaign.schedule.quiet_hours.or(of_account),
        }
    }

    /// Until when a message to this number waits, and why.
    pub(crate) fn wait(&self, phone: &PhoneNumber, now: UnixMillis) -> Option<(UnixMillis, &'static str)> {
        if self.local_time.is_none() && self.quiet.is_none() {
            return None;
        }
        let zones = zones_of(phone);
        let local = self.local_time.map(|(local, begun)| at_local_time(local, zones, begun)).filter(|at| *at > now);
        if let Some(at) = local {
            return Some((at, "the campaign's local time has not come where the recipients live"));
        }
        let quiet = self.quiet.and_then(|quiet| quiet_until(quiet, zones, now));
        quiet.map(|until| (until, "it is quiet hours where the recipients live"))
    }
}
