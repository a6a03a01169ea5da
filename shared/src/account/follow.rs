//! What an account's pause means for its campaigns: a running campaign stops with its account, and one that has stopped
//! with it goes on with it. The decision only; [`crate::store`] writes it and repeats it until both agree.

use super::{Account, AccountStatus};
use crate::campaign::{Campaign, PausedBy, Status};
use crate::store::Transition;
use crate::time::UnixMillis;

/// The change that brings a campaign in step with its account; `None` when it is. A campaign that was paused for another
/// reason stays paused, and one that waits for its time keeps waiting.
#[must_use]
pub fn in_step(account: &Account, campaign: &Campaign, now: UnixMillis) -> Option<Transition> {
    match (account.status, campaign.status) {
        (AccountStatus::Paused, Status::Running) => {
            let reason = account.status_reason.as_deref().unwrap_or("no reason is known");
            Some(Transition {
                from: Status::Running,
                to: Status::Paused,
                reason: Some(format!("the account is paused: {reason}")),
                paused_by: Some(PausedBy::Account),
                at: now,
                // The watchdog keeps looking, for the account may go on by itself.
                due: Some(account.paused_until.unwrap_or(now)),
            })
        }
        (AccountStatus::Active, Status::Paused) if campaign.paused_by == Some(PausedBy::Account) => {
            let later = campaign.schedule.start_at.filter(|start| *start > now);
            Some(Transition {
                from: Status::Paused,
                to: if later.is_some() { Status::Scheduled } else { Status::Running },
                reason: None,
                paused_by: None,
                at: now,
                due: Some(later.unwrap_or(now)),
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{account, campaign};
    use super::super::{AccountPausedBy, Pause};
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_000);

    fn paused(until: Option<UnixMillis>) -> Account {
        let mut account = account();
        account.pause(&Pause { reason: "the shop is closed".to_owned(), until, by: AccountPausedBy::Operator });
        account
    }

    #[test]
    fn a_running_campaign_stops_with_its_account_and_says_why() {
        let stop = in_step(&paused(None), &campaign(Status::Running, None), NOW).unwrap();
        assert_eq!((stop.from, stop.to, stop.paused_by), (Status::Running, Status::Paused, Some(PausedBy::Account)));
        assert_eq!(stop.reason.as_deref(), Some("the account is paused: the shop is closed"));
        assert_eq!(stop.due, Some(NOW), "the watchdog goes on looking");
        let until = Some(UnixMillis(9_000));
        assert_eq!(in_step(&paused(until), &campaign(Status::Running, None), NOW).unwrap().due, until);
    }

    #[test]
    fn a_campaign_that_has_stopped_with_its_account_goes_on_with_it_at_its_time() {
        let mut stopped = campaign(Status::Paused, Some(PausedBy::Account));
        let go_on = in_step(&account(), &stopped, NOW).unwrap();
        assert_eq!((go_on.to, go_on.paused_by, go_on.due), (Status::Running, None, Some(NOW)));
        let start = UnixMillis(9_000);
        stopped.schedule.start_at = Some(start);
        let go_on = in_step(&account(), &stopped, NOW).unwrap();
        assert_eq!((go_on.to, go_on.due), (Status::Scheduled, Some(start)));
    }

    #[test]
    fn what_is_in_step_or_was_stopped_for_another_reason_is_left_alone() {
        for by in [PausedBy::Operator, PausedBy::Template, PausedBy::Errors] {
            assert_eq!(in_step(&account(), &campaign(Status::Paused, Some(by)), NOW), None, "{by:?}");
        }
        assert_eq!(in_step(&account(), &campaign(Status::Running, None), NOW), None);
        let stopped = [Status::Draft, Status::Scheduled, Status::Paused, Status::Completed, Status::Cancelled];
        for status in stopped {
            let by = (status == Status::Paused).then_some(PausedBy::Account);
            assert_eq!(in_step(&paused(None), &campaign(status, by), NOW), None, "{status:?}");
        }
    }
}
