//! Keeps this process to an account's rate whatever happens between a slot and the call: when the machine has stood still
//! for a moment, the messages of that moment do not leave on top of those of the next.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use shared::id::AccountId;
use shared::throttle::UnixMicros;

/// No more messages than the rate in any span of this length. A little more than a second, for they reach Meta some
/// milliseconds later, some sooner and some later; less than the slots' own second, so that a delay is made good.
const SPAN_MICROS: i64 = 1_003_000;

/// When messages have left, per account, as far back as matters.
#[derive(Default)]
pub(crate) struct Pacer {
    left: Mutex<HashMap<AccountId, VecDeque<UnixMicros>>>,
}

impl Pacer {
    /// When a message may leave that is ready now. It must then leave.
    pub(crate) fn leaves_at(&self, account: AccountId, rate: u32, now: UnixMicros) -> UnixMicros {
        let rate = usize::try_from(rate.max(1)).unwrap_or(1);
        let mut accounts = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let left = accounts.entry(account).or_default();
        let before = left.back().copied().unwrap_or_default();
        let full = left.len().checked_sub(rate).and_then(|at| left.get(at)).map(|at| UnixMicros(at.0 + SPAN_MICROS));
        let at = now.max(before).max(full.unwrap_or_default());
        left.push_back(at);
        while left.len() > rate {
            left.pop_front();
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use shared::time::UnixMillis;

    use super::*;

    #[test]
    fn messages_that_come_at_their_slots_are_not_held_up() {
        let (pacer, account) = (Pacer::default(), AccountId::new(UnixMillis(1)));
        for slot in (0..1_000).map(|n| UnixMicros(1_000_000_000 + n * 13_400)) {
            assert_eq!(pacer.leaves_at(account, 75, slot), slot);
        }
    }

    proptest! {
        #[test]
        fn no_second_holds_more_than_the_rate_however_they_bunch_up(
            rate in 1_u32..200,
            pauses in prop::collection::vec(prop_oneof![Just(0_i64), 0_i64..20_000, 0_i64..900_000], 1..600),
        ) {
            let (pacer, account) = (Pacer::default(), AccountId::new(UnixMillis(1)));
            let (mut now, mut left) = (1_790_000_000_000_000_i64, Vec::new());
            for pause in pauses {
                now += pause;
                left.push(pacer.leaves_at(account, rate, UnixMicros(now)).0);
            }
            for window in left.windows(rate as usize + 1) {
                prop_assert!(window[rate as usize] - window[0] >= 1_000_000);
            }
        }
    }
}
