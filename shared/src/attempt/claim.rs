//! Who may send an attempt. A send is claimed before Meta is called and answered after; a claim that runs out between
//! the two leaves the attempt *unknown*, and an unknown attempt is never sent again by itself.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use ulid::Ulid;

use super::earlier::may_be_tried_again;
use super::{Attempt, Failure, Stage};
use crate::id::ulid_at;
use crate::time::UnixMillis;

/// How long the call to Meta may take unless told otherwise; an answer that comes later is not waited for. Typical
/// answers take 0.2–0.8 s. A claim lasts half as long again, to record the answer.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);

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
    /// The claim for a call at `slot` that takes at most `call_timeout`.
    #[must_use]
    pub fn for_slot(slot: UnixMillis, call_timeout: Duration) -> Self {
        Self { slot, until: slot.plus(call_timeout).plus(call_timeout / 2), by: ulid_at(slot) }
    }

    /// Whether a call begun now would end while the claim holds.
    #[must_use]
    pub fn covers_a_call_at(&self, now: UnixMillis, call_timeout: Duration) -> bool {
        now.plus(call_timeout) <= self.until
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
    /// It may be claimed, as this try.
    Free(Try),
    /// Not before this time: another worker holds it, or Meta asked to wait.
    Later(UnixMillis),
    /// The claim ran out without an answer: it has become unknown and must be marked so.
    Lost,
    /// Nothing is left to do.
    Settled,
}

/// A try that may be begun: its number, from 1, and what it follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Try {
    /// 1 for the first.
    pub number: u16,
    /// What came before.
    pub after: After,
}

/// What a try follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// Nothing: it is the first.
    Nothing,
    /// One that was given back: Meta does not have the message.
    Release,
    /// One of which nobody knows what became. Meta is asked first; then the campaign wants it sent again.
    Unknown,
    /// One that failed; the operator wants it sent again.
    Failure,
}

/// What a campaign wants done with attempts that are over without success.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// Unknown attempts are sent again after this time without a word; never when absent.
    pub resend_after: Option<Duration>,
    /// Failures before this time are tried again, if they are of a kind that may be; none when absent.
    pub retry_before: Option<UnixMillis>,
}

impl Policy {
    fn wants_again(&self, failure: &Failure, now: UnixMillis) -> bool {
        self.retry_before.is_some_and(|before| failure.seen < before) && may_be_tried_again(failure, now)
    }
}

/// What may be done for a recipient whose stored attempt is this (`None`: never claimed).
#[must_use]
pub fn readiness(attempt: Option<&Attempt>, policy: &Policy, now: UnixMillis) -> Readiness {
    let Some(attempt) = attempt else {
        return Readiness::Free(Try { number: 1, after: After::Nothing });
    };
    let again = |after| Readiness::Free(Try { number: attempt.number.saturating_add(1), after });
    match (&attempt.failed, attempt.unknown, policy.resend_after) {
        _ if attempt.skipped.is_some() || attempt.reached(Stage::Delivered) => return Readiness::Settled,
        (Some(failure), ..) if policy.wants_again(failure, now) => return again(After::Failure),
        (None, Some(unknown), Some(grace)) if !attempt.reached(Stage::Sent) => {
            let due = unknown.seen.plus(grace);
            return if due > now { Readiness::Later(due) } else { again(After::Unknown) };
        }
        _ if attempt.is_settled() => return Readiness::Settled,
        _ => {}
    }
    match (&attempt.claim, &attempt.released) {
        (Some(claim), _) if claim.until > now => Readiness::Later(claim.until),
        (Some(_), _) => Readiness::Lost,
        (None, Some(release)) if release.not_before > now => Readiness::Later(release.not_before),
        (None, _) => again(After::Release),
    }
}

/// How long to wait before another try after `number` tries of which none has left: 2, 4, 8 … 64 s.
#[must_use]
pub fn back_off(number: u16) -> Duration {
    Duration::from_secs(1 << number.clamp(1, 6))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{at, claimed};
    use super::*;
    use crate::attempt::{Evidence, Flag};

    const LEAVE: Policy = Policy { resend_after: None, retry_before: None };

    fn holding(slot: UnixMillis) -> Attempt {
        Attempt { claim: Some(Claim::for_slot(slot, CALL_TIMEOUT)), ..claimed() }
    }

    #[test]
    fn a_recipient_without_an_attempt_is_free() {
        assert_eq!(readiness(None, &LEAVE, UnixMillis(0)), Readiness::Free(Try { number: 1, after: After::Nothing }));
    }

    #[test]
    fn a_claim_keeps_others_away_until_it_runs_out_and_then_nobody_sends() {
        let attempt = holding(UnixMillis(1_000));
        assert_eq!(readiness(Some(&attempt), &LEAVE, UnixMillis(15_999)), Readiness::Later(UnixMillis(16_000)));
        assert_eq!(readiness(Some(&attempt), &LEAVE, UnixMillis(16_000)), Readiness::Lost);
    }

    #[test]
    fn a_call_is_begun_only_when_the_claim_outlasts_it() {
        let claim = Claim::for_slot(UnixMillis(1_000), CALL_TIMEOUT);
        assert!(claim.covers_a_call_at(UnixMillis(6_000), CALL_TIMEOUT));
        assert!(!claim.covers_a_call_at(UnixMillis(6_001), CALL_TIMEOUT));
    }

    #[test]
    fn closing_by_hand_does_not_stop_the_send() {
        let mut attempt = claimed();
        attempt.released = Some(Release { not_before: UnixMillis(50), code: 130_429 });
        attempt.learn(&Evidence::Flag(Flag::Closed, at(1)));
        assert_eq!(
            readiness(Some(&attempt), &LEAVE, UnixMillis(50)),
            Readiness::Free(Try { number: 2, after: After::Release })
        );
    }

    #[test]
    fn an_unknown_attempt_is_settled() {
        let attempt = Attempt { unknown: Some(at(9)), ..holding(UnixMillis(0)) };
        assert_eq!(readiness(Some(&attempt), &LEAVE, UnixMillis(1 << 40)), Readiness::Settled);
    }

    #[test]
    fn a_released_attempt_is_free_again_with_the_next_number() {
        let mut attempt = claimed();
        attempt.released = Some(Release { not_before: UnixMillis(50), code: 130_429 });
        assert_eq!(readiness(Some(&attempt), &LEAVE, UnixMillis(49)), Readiness::Later(UnixMillis(50)));
        assert_eq!(
            readiness(Some(&attempt), &LEAVE, UnixMillis(50)),
            Readiness::Free(Try { number: 2, after: After::Release })
        );
    }

    #[test]
    fn a_status_that_came_before_the_answer_settles_the_attempt() {
        let mut attempt = holding(UnixMillis(0));
        attempt.learn(&Evidence::Flag(Flag::Sent, at(1)));
        assert_eq!(readiness(Some(&attempt), &LEAVE, UnixMillis(1 << 40)), Readiness::Settled);
    }

    #[test]
    fn an_unknown_attempt_is_sent_again_after_the_grace_period_if_the_campaign_wants_it() {
        let resend = Policy { resend_after: Some(Duration::from_secs(300)), retry_before: None };
        let mut attempt = Attempt { unknown: Some(at(9)), ..holding(UnixMillis(0)) };
        assert_eq!(readiness(Some(&attempt), &resend, UnixMillis(309_999)), Readiness::Later(UnixMillis(310_000)));
        let again = Readiness::Free(Try { number: 2, after: After::Unknown });
        assert_eq!(readiness(Some(&attempt), &resend, UnixMillis(310_000)), again);
        attempt.learn(&Evidence::Flag(Flag::Sent, at(10)));
        assert_eq!(readiness(Some(&attempt), &resend, UnixMillis(310_000)), Readiness::Settled);
    }

    #[test]
    fn a_failure_is_tried_again_once_the_operator_asks_and_only_if_it_came_before() {
        let mut attempt = claimed();
        attempt.learn(&Evidence::Flag(Flag::Sent, at(1)));
        let failure = Failure { at: at(5).at, seen: at(5).seen, code: 131_000, title: None, details: None };
        attempt.learn(&Evidence::Failed(failure));
        let now = UnixMillis(60_000);
        assert_eq!(readiness(Some(&attempt), &LEAVE, now), Readiness::Settled);
        let retry = |before| Policy { resend_after: None, retry_before: Some(UnixMillis(before)) };
        assert_eq!(readiness(Some(&attempt), &retry(6_000), now), Readiness::Settled);
        let again = Readiness::Free(Try { number: 2, after: After::Failure });
        assert_eq!(readiness(Some(&attempt), &retry(6_001), now), again);
        attempt.learn(&Evidence::Flag(Flag::Delivered, at(7)));
        assert_eq!(readiness(Some(&attempt), &retry(6_001), now), Readiness::Settled);
    }
}
