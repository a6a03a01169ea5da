//! Tries that are over: a message that failed may be sent again, and what became of the first try is kept.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Failure, Flag};
use crate::meta::error::ErrorClass;
use crate::time::UnixMillis;

/// A try that failed and was followed by another.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarlierTry {
    /// Its number.
    pub number: u16,
    /// Meta's message id, if Meta had accepted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wamid: Option<String>,
    /// How it failed.
    pub failed: Failure,
}

impl std::fmt::Debug for EarlierTry {
    /// A wamid contains the phone number, so it is not shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EarlierTry({}, {})", self.number, self.failed.code)
    }
}

/// What another try takes from the row: the flags of the try that failed.
pub const FLAGS_OF_A_TRY: [Flag; 2] = [Flag::Accepted, Flag::Sent];

/// Meta wants at least a day between two tries of a message that it held back for the recipient's sake, and punishes
/// more (Meta, error 131049).
const HELD_BACK: i64 = 131_049;
const HELD_BACK_FOR: Duration = Duration::from_secs(24 * 3_600);

/// Whether a message that failed like this may be sent again when the operator asks for it: not to people who do not
/// want it or cannot get it, and not too soon.
#[must_use]
pub fn may_be_tried_again(failure: &Failure, now: UnixMillis) -> bool {
    if failure.code == HELD_BACK {
        return now.since(failure.at) >= HELD_BACK_FOR;
    }
    may_be_retried(failure.code)
}

/// Whether another try could mend a failure with this code at all.
#[must_use]
pub fn may_be_retried(code: i64) -> bool {
    match ErrorClass::of(code, 400, false) {
        ErrorClass::DropRecipient | ErrorClass::OptOut => false,
        ErrorClass::Retry
        | ErrorClass::RetryAfterWindow
        | ErrorClass::PauseAccount
        | ErrorClass::PauseTemplate
        | ErrorClass::Fix => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(code: i64) -> Failure {
        Failure { at: UnixMillis(0), seen: UnixMillis(0), code, title: None, details: None }
    }

    #[test]
    fn people_who_cannot_or_will_not_get_it_are_left_alone() {
        let later = UnixMillis(48 * 3_600_000);
        for code in [131_026, 131_050, 130_472] {
            assert!(!may_be_tried_again(&failure(code), later), "{code}");
        }
        for code in [0, 100, 131_000, 132_000, 999_999] {
            assert!(may_be_tried_again(&failure(code), later), "{code}");
        }
    }

    #[test]
    fn what_meta_held_back_waits_a_day() {
        assert!(!may_be_tried_again(&failure(HELD_BACK), UnixMillis(23 * 3_600_000)));
        assert!(may_be_tried_again(&failure(HELD_BACK), UnixMillis(24 * 3_600_000)));
    }
}
