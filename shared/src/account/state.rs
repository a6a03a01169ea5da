//! Pausing an account and letting it go on: whose word holds against whose. What it means for the account's campaigns is
//! in [`super::follow`].

use serde::{Deserialize, Serialize};

use super::{Account, AccountStatus};
use crate::time::UnixMillis;

/// Who has paused an account. A later one holds against an earlier one: errors do not end or change the operator's pause,
/// the operator may make any pause his own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountPausedBy {
    /// Nothing got through any more.
    Errors,
    /// Meta has told that the number may not send: a restriction, a ban.
    Meta,
    /// Somebody asked for it.
    Operator,
}

/// A pause of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Why, for people.
    pub reason: String,
    /// When it ends by itself; `None`: when somebody resumes the account.
    pub until: Option<UnixMillis>,
    /// Whose word it is.
    pub by: AccountPausedBy,
}

impl Account {
    /// Pauses it; `false` when it is paused already and this pause does not hold against that one. Of Meta's pauses the
    /// newer holds, for a restriction may be extended.
    pub fn pause(&mut self, pause: &Pause) -> bool {
        let holds = match (self.status, self.paused_by) {
            (AccountStatus::Active, _) => true,
            (AccountStatus::Paused, Some(by)) => pause.by > by || (pause.by == by && by == AccountPausedBy::Meta),
            // Nobody knows whose it is, so it is the operator's.
            (AccountStatus::Paused, None) => false,
        };
        if holds {
            self.status = AccountStatus::Paused;
            self.status_reason = Some(pause.reason.clone());
            self.paused_until = pause.until;
            self.paused_by = Some(pause.by);
        }
        holds
    }

    /// Lets it go on; `false` when it is not paused.
    pub fn resume(&mut self) -> bool {
        if self.status != AccountStatus::Paused {
            return false;
        }
        self.status = AccountStatus::Active;
        self.status_reason = None;
        self.paused_until = None;
        self.paused_by = None;
        true
    }

    /// Whether it is paused and the end of its pause has come.
    #[must_use]
    pub fn pause_is_over(&self, now: UnixMillis) -> bool {
        self.status == AccountStatus::Paused && self.paused_until.is_some_and(|until| until <= now)
    }

    /// Lets it go on when the end of its pause has come; `false` when not.
    pub fn resume_if_due(&mut self, now: UnixMillis) -> bool {
        self.pause_is_over(now) && self.resume()
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::account;
    use super::*;

    fn pause(by: AccountPausedBy, until: Option<i64>) -> Pause {
        Pause { reason: format!("{by:?}"), until: until.map(UnixMillis), by }
    }

    #[test]
    fn the_operators_pause_holds_against_all_others() {
        use AccountPausedBy::{Errors, Meta, Operator};
        for (standing, new, holds) in [
            (Errors, Errors, false),
            (Errors, Meta, true),
            (Errors, Operator, true),
            (Meta, Errors, false),
            (Meta, Meta, true),
            (Meta, Operator, true),
            (Operator, Errors, false),
            (Operator, Meta, false),
            (Operator, Operator, false),
        ] {
            let mut account = account();
            assert!(account.pause(&pause(standing, Some(5))));
            assert_eq!(account.pause(&pause(new, None)), holds, "{new:?} over {standing:?}");
            let (by, until) = if holds { (new, None) } else { (standing, Some(UnixMillis(5))) };
            assert_eq!((account.paused_by, account.paused_until), (Some(by), until));
            assert_eq!(account.status_reason, Some(format!("{by:?}")));
        }
    }

    #[test]
    fn a_resumed_account_keeps_nothing_of_its_pause() {
        let before = account();
        let mut account = before.clone();
        assert!(!account.resume());
        account.pause(&pause(AccountPausedBy::Errors, Some(5)));
        assert!(account.resume());
        assert_eq!(account, before);
    }

    #[test]
    fn a_pause_ends_at_its_time_and_one_without_a_time_never() {
        let mut account = account();
        assert!(!account.resume_if_due(UnixMillis(9)));
        account.pause(&pause(AccountPausedBy::Errors, Some(5)));
        assert!(!account.resume_if_due(UnixMillis(4)));
        assert!(account.resume_if_due(UnixMillis(5)));
        account.pause(&pause(AccountPausedBy::Operator, None));
        assert!(!account.resume_if_due(UnixMillis(i64::MAX)));
    }
}
