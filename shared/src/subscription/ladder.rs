//! When a delivery that failed is tried again. The steps are those that the Standard Webhooks specification suggests; a share
//! of each is random, so that what failed together does not come back together.

use std::str::FromStr;
use std::time::Duration;

use crate::time::UnixMillis;

/// Waits after the first try, the second and so on. Ten tries within a little more than three days.
const STEPS_S: [f64; 9] = [5.0, 300.0, 1_800.0, 7_200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0];

/// The largest share of a wait that is added to it at random.
const JITTER: f64 = 0.1;

/// The longest wait that a receiver may ask for by `Retry-After`.
const LONGEST_ASKED: Duration = Duration::from_secs(24 * 3_600);

/// After so long a delivery is given up even if its endpoint was not tried ten times, because it was left alone.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(5 * 24 * 3_600);

/// The waits between tries.
#[derive(Clone, Debug, PartialEq)]
pub struct Ladder(Vec<Duration>);

/// What becomes of a delivery that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is tried again then.
    Try(UnixMillis),
    /// That was the last try.
    Exhausted,
}

/// A delivery's tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tries {
    /// How many there were.
    pub made: u32,
    /// When the delivery was recorded, or asked for again.
    pub since: UnixMillis,
}

impl Default for Ladder {
    fn default() -> Self {
        Self(STEPS_S.map(Duration::from_secs_f64).to_vec())
    }
}

/// A text that is no list of waits.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("expected waits in seconds, separated by commas, such as 5,300,1800")]
pub struct MalformedLadder;

impl FromStr for Ladder {
    type Err = MalformedLadder;

    fn from_str(text: &str) -> Result<Self, MalformedLadder> {
        let step = |text: &str| {
            let seconds: f64 = text.trim().parse().map_err(|_| MalformedLadder)?;
            Duration::try_from_secs_f64(seconds).ok().filter(|step| *step <= GIVEN_UP_AFTER).ok_or(MalformedLadder)
        };
        text.split(',').map(step).collect::<Result<_, _>>().map(Self)
    }
}

impl Ladder {
    /// What becomes of a delivery after the try that has just failed, which `tries` includes. `asked` is what the
    /// receiver wants by `Retry-After`; `roll` is random, from 0 to 1.
    #[must_use]
    pub fn after(&self, tries: Tries, asked: Option<Duration>, roll: f64, now: UnixMillis) -> Next {
        let step = usize::try_from(tries.made).ok().and_then(|made| self.0.get(made.checked_sub(1)?));
        let Some(step) = step else {
            return Next::Exhausted;
        };
        let wait = step.mul_f64(JITTER.mul_add(roll.clamp(0.0, 1.0), 1.0));
        let at = now.plus(wait.max(asked.unwrap_or_default().min(LONGEST_ASKED)));
        if at > tries.since.plus(GIVEN_UP_AFTER) { Next::Exhausted } else { Next::Try(at) }
    }
}

/// Whether a delivery is given up without another try: its endpoint was left alone for too long.
#[must_use]
pub fn is_too_old(since: UnixMillis, now: UnixMillis) -> bool {
    now > since.plus(GIVEN_UP_AFTER)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_790_000_000_000);

    fn wait(made: u32, asked: Option<u64>, roll: f64) -> Option<u64> {
        let tries = Tries { made, since: NOW };
        match Ladder::default().after(tries, asked.map(Duration::from_secs), roll, NOW) {
            Next::Try(at) => Some(at.since(NOW).as_secs()),
            Next::Exhausted => None,
        }
    }

    #[test]
    fn ten_tries_with_the_waits_of_the_specification() {
        let waits: Vec<_> = (1..=10).map(|made| wait(made, None, 0.0)).collect();
        let hours = |n: u64| Some(n * 3_600);
        let expected =
            [Some(5), Some(300), Some(1_800), hours(2), hours(5), hours(10), hours(14), hours(20), hours(24), None];
        assert_eq!(waits, expected);
        assert_eq!(wait(2, None, 1.0), Some(330));
        assert_eq!(wait(0, None, 0.0), None, "nothing was tried");
    }

    #[test]
    fn a_receiver_may_ask_for_a_longer_wait_of_at_most_a_day() {
        assert_eq!(wait(1, Some(120), 0.0), Some(120));
        assert_eq!(wait(4, Some(120), 0.0), Some(7_200));
        assert_eq!(wait(1, Some(u64::MAX), 0.0), Some(86_400));
    }

    #[test]
    fn a_delivery_that_waited_long_for_its_endpoint_is_given_up_after_five_days() {
        let later = NOW.plus(Duration::from_secs(5 * 86_400 - 60));
        let after = |made| Ladder::default().after(Tries { made, since: NOW }, None, 0.0, later);
        assert_eq!(after(1), Next::Try(later.plus(Duration::from_secs(5))));
        assert_eq!(after(2), Next::Exhausted);
        assert!(!is_too_old(NOW, later) && is_too_old(NOW, later.plus(Duration::from_secs(61))));
    }

    #[test]
    fn another_ladder_can_be_set() {
        let ladder: Ladder = "0.05, 1".parse().unwrap();
        let after = |made| ladder.after(Tries { made, since: NOW }, None, 0.0, NOW);
        assert_eq!(
            [after(1), after(2), after(3)],
            [Next::Try(UnixMillis(NOW.0 + 50)), Next::Try(UnixMillis(NOW.0 + 1_000)), Next::Exhausted]
        );
        for text in ["", "soon", "-1", "5,,5", "1e99", "NaN"] {
            assert_eq!(text.parse::<Ladder>(), Err(MalformedLadder), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_wait_is_shorter_than_its_step_or_longer_than_a_day_and_a_tenth(made in 1_u32..20, asked in proptest::option::of(0_u64..1 << 40), roll in -1.0_f64..2.0) {
            let step = STEPS_S.get(made as usize - 1);
            match (wait(made, asked, roll), step) {
                (Some(seconds), Some(step)) => prop_assert!(seconds as f64 >= *step && seconds <= 86_400 * 11 / 10),
                (None, None) => {}
                (found, step) => prop_assert!(false, "{found:?} {step:?}"),
            }
        }
    }
}
