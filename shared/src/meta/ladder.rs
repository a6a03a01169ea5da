//! How often and after which waits a message is sent again, for each error that allows it at all. Every ladder ends: after
//! its last step the message has failed, and only the operator can ask for more (`retry-failed`).

use std::time::Duration;

use super::error::ErrorClass;

/// The waits before the second, third, … try, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ladder {
    steps_s: &'static [u64],
    on_account: bool,
}

/// What is tried again by itself.
const LADDERS: &[(i64, Ladder)] = &[
    // An unknown error, or a mistake in the request: three tries more (reference of error codes, 1).
    (1, Ladder { steps_s: &[2, 8, 32], on_account: false }),
    (2, Ladder { steps_s: &[2, 4, 8, 16, 32, 64], on_account: false }),
    // The app has used up its calls of the hour.
    (4, Ladder { steps_s: &[600, 1_800, 3_600], on_account: false }),
    (613, Ladder { steps_s: &[600, 1_800, 3_600], on_account: false }),
    // More messages a second than the number may send; the account's rate is halved as well.
    (130_429, Ladder { steps_s: &[2, 4, 8, 16, 32, 64], on_account: false }),
    (131_000, Ladder { steps_s: &[2, 8, 32], on_account: false }),
    (131_016, Ladder { steps_s: &[2, 4, 8, 16, 32, 64], on_account: false }),
    // More than one message in 6 s to one person: Meta asks for 4^n s.
    (131_056, Ladder { steps_s: &[4, 16, 64, 256, 1_024], on_account: false }),
    // The number is being moved to a higher throughput, about a minute; says nothing about the message.
    (131_057, Ladder { steps_s: &[60, 60, 60, 120, 300, 600], on_account: true }),
    // The flow has used up its ten messages of the hour.
    (132_069, Ladder { steps_s: &[3_600, 3_600], on_account: false }),
    (133_004, Ladder { steps_s: &[2, 4, 8, 16, 32, 64], on_account: false }),
    (134_101, Ladder { steps_s: &[600, 600, 600], on_account: false }),
    // Often a malformed parameter after all: once.
    (135_000, Ladder { steps_s: &[5], on_account: false }),
    (2_494_100, Ladder { steps_s: &[60, 60, 60, 120, 300, 600], on_account: true }),
];

/// Errors that allow another try and are not in the table.
const OTHERS: Ladder = Ladder { steps_s: &[2, 8, 32], on_account: false };

/// Nothing is tried again.
const NONE: Ladder = Ladder { steps_s: &[], on_account: false };

impl Ladder {
    /// The ladder of an error.
    #[must_use]
    pub fn of(code: i64, class: ErrorClass) -> Self {
        if let Ok(found) = LADDERS.binary_search_by_key(&code, |(code, _)| *code) {
            return LADDERS[found].1;
        }
        if class == ErrorClass::Retry { OTHERS } else { NONE }
    }

    /// How long to wait after the `refusals`-th refusal, from 1; `None`: the message has failed.
    #[must_use]
    pub fn wait_after(self, refusals: u16) -> Option<Duration> {
        let step = usize::from(refusals.checked_sub(1)?);
        self.steps_s.get(step).copied().map(Duration::from_secs)
    }

    /// Whether the whole account rests for the wait, because the error is not about the message.
    #[must_use]
    pub const fn is_on_the_account(self) -> bool {
        self.on_account
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_can_be_searched() {
        assert!(LADDERS.is_sorted_by_key(|(code, _)| *code));
    }

    #[test]
    fn every_ladder_ends() {
        for (code, ladder) in LADDERS {
            assert!((1..=10).any(|refusals| ladder.wait_after(refusals).is_none()), "{code}");
        }
    }

    #[test]
    fn only_errors_that_allow_it_are_tried_again() {
        for (code, _) in LADDERS {
            let class = ErrorClass::of(*code, 400, false);
            assert!(matches!(class, ErrorClass::Retry | ErrorClass::RetryAfterWindow), "{code} is {class:?}");
        }
        assert_eq!(Ladder::of(131_026, ErrorClass::DropRecipient).wait_after(1), None);
        assert_eq!(Ladder::of(999, ErrorClass::Retry).wait_after(1), Some(Duration::from_secs(2)));
        assert_eq!(Ladder::of(131_049, ErrorClass::RetryAfterWindow).wait_after(1), None, "the operator's decision");
    }
}
