//! Who may send an attempt. A send is claimed before Meta is called and answered after; a claim that runs out between
//! the two leaves the attempt *unknown*, and an unknown attempt is never sent again by itself.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use ulid::Ulid;

use super::Attempt;
use crate::id::ulid_at;
use crate::time::UnixMillis;

/// How long the call to Meta may take; an answer that comes later is not waited for. Typical answers take 0.2–0.8 s.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// From the end of the call's time-out until the claim runs out: time to record the answer.
pub const RECORD_GRACE: Duration = Duration::from_secs(5);

/// How often Meta may ask to send a message again before it counts as failed. Tries that never reached Meta do not count.
pub const MAX_REFUSALS: u16 = 6;

/// The right to call Meta for one attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// When the message leaves: its slot of the account's rate.
    pub slot: UnixMillis,
    /// When the claim runs out. The call is not begun unless it ends before.
    pub until: UnixMillis,
    /// Random: whoever finds it again knows that the claim is their own, though its answer was lost on the way.
    pub by: Ulid,
}

impl Claim {
    /// The claim for a call at `slot`.
    #[must_use]
    pub fn for_slot(slot: UnixMillis) -> Self {
        Self { slot, until: slot.plus(CALL_TIMEOUT).plus(RECORD_GRACE), by: ulid_at(slot) }
    }

    /// Whether a call begun now would end while the claim holds.
    #[must_use]
    pub fn covers_a_call_at(&self, now: UnixMillis) -> bool {
        now.plus(CALL_TIMEOUT) <= self.until
    }
}

/// A claim that was given back because Meta certainly does not have the message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Not to be claimed again before this time.
    pub not_before: UnixMillis,
    /// Meta's error code, or 0 when the connection was refused before a byte was written.
    pub code: i64,
}

/// What may be done for a recipient now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It may be claimed; this is the number of the new try.
    Free {
        /// 1 for the first.
        number: u16,
    },
    /// Not before this time: another worker holds it, or Meta asked to wait.
    Later(UnixMillis),
    /// The claim ran out without an answer: it has become unknown and must be marked so.
    Lost,
    /// Nothing is left to do.
    Settled,
}

/// What may be done for a recipient whose stored attempt is this (`None`: never claimed).
#[must_use]
pub fn readiness(attempt: Option<&Attempt>, now: UnixMillis) -> Readiness {
    let Some(attempt) = attempt else {
        return Readiness::Free { number: 1 };
    };
    if attempt.is_settled() {
        return Readiness::Settled;
    }
    match (&attempt.claim, &attempt.released) {
        (Some(claim), _) if claim.until > now => Readiness::Later(claim.until),
        (Some(_), _) => Readiness::Lost,
        (None, Some(release)) if release.not_before > now => Readiness::Later(release.not_before),
        (None, _) => Readiness::Free { number: attempt.number.saturating_add(1) },
    }
}

/// How long to wait before try `number + 1`: 2, 4, 8 … 64 s.
#[must_use]
pub fn back_off(number: u16) -> Duration {
    Duration::from_secs(1 << number.clamp(1, 6))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{at, claimed};
    use super::*;
    use crate::attempt::{Evidence, Flag};

    fn holding(slot: UnixMillis) -> Attempt {
        Attempt { claim: Some(Claim::for_slot(slot)), ..claimed() }
    }

    #[test]
    fn a_recipient_without_an_attempt_is_free() {
        assert_eq!(readiness(None, UnixMillis(0)), Readiness::Free { number: 1 });
    }

    #[test]
    fn a_claim_keeps_others_away_until_it_runs_out_and_then_nobody_sends() {
        let attempt = holding(UnixMillis(1_000));
        assert_eq!(readiness(Some(&attempt), UnixMillis(15_999)), Readiness::Later(UnixMillis(16_000)));
        assert_eq!(readiness(Some(&attempt), UnixMillis(16_000)), Readiness::Lost);
    }

    #[test]
    fn a_call_is_begun_only_when_the_claim_outlasts_it() {
        let claim = Claim::for_slot(UnixMillis(1_000));
        assert!(claim.covers_a_call_at(UnixMillis(6_000)));
        assert!(!claim.covers_a_call_at(UnixMillis(6_001)));
    }

    #[test]
    fn closing_by_hand_does_not_stop_the_send() {
        let mut attempt = claimed();
        attempt.released = Some(Release { not_before: UnixMillis(50), code: 130_429 });
        attempt.learn(&Evidence::Flag(Flag::Closed, at(1)));
        assert_eq!(readiness(Some(&attempt), UnixMillis(50)), Readiness::Free { number: 2 });
    }

    #[test]
    fn an_unknown_attempt_is_settled() {
        let attempt = Attempt { unknown: Some(at(9)), ..holding(UnixMillis(0)) };
        assert_eq!(readiness(Some(&attempt), UnixMillis(1 << 40)), Readiness::Settled);
    }

    #[test]
    fn a_released_attempt_is_free_again_with_the_next_number() {
        let mut attempt = claimed();
        attempt.released = Some(Release { not_before: UnixMillis(50), code: 130_429 });
        assert_eq!(readiness(Some(&attempt), UnixMillis(49)), Readiness::Later(UnixMillis(50)));
        assert_eq!(readiness(Some(&attempt), UnixMillis(50)), Readiness::Free { number: 2 });
    }

    #[test]
    fn a_status_that_came_before_the_answer_settles_the_attempt() {
        let mut attempt = holding(UnixMillis(0));
        attempt.learn(&Evidence::Flag(Flag::Sent, at(1)));
        assert_eq!(readiness(Some(&attempt), UnixMillis(1 << 40)), Readiness::Settled);
    }
}
