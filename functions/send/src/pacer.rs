//! Keeps this process to an account's rate whatever happens between a slot and the call: when the machine has stood still
//! for a moment, or a connection had to be made, the messages of that moment do not leave on top of those of the next.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use shared::id::AccountId;
use shared::throttle::UnixMicros;

/// No more messages than the rate in any span of this length. A little more than a second, for they reach Meta some
/// milliseconds later, some sooner and some later; less than the slots' own second, so that a delay is made good.
const SPAN_MICROS: i64 = 1_003_000;

/// When messages have left, per account, as far back as matters.
#[derive(Default)]
pub(crate) struct Pacer {
    accounts: Mutex<HashMap<AccountId, Arc<Mutex<Departures>>>>,
}

/// The latest departures of an account, in the order of their permits.
#[derive(Default)]
struct Departures {
    /// The permit number of the first one kept.
    first: u64,
    times: VecDeque<UnixMicros>,
}

/// One message may leave.
pub(crate) struct Permit {
    /// Not before this.
    pub(crate) at: UnixMicros,
    number: u64,
    departures: Arc<Mutex<Departures>>,
}

impl Pacer {
    /// The permit for a message that is ready now.
    pub(crate) fn permit(&self, account: AccountId, rate: u32, now: UnixMicros) -> Permit {
        let departures =
            Arc::clone(self.accounts.lock().unwrap_or_else(PoisonError::into_inner).entry(account).or_default());
        let (at, number) = departures.lock().unwrap_or_else(PoisonError::into_inner).next(rate, now);
        Permit { at, number, departures }
    }
}

impl Departures {
    fn next(&mut self, rate: u32, now: UnixMicros) -> (UnixMicros, u64) {
        let rate = usize::try_from(rate.max(1)).unwrap_or(1);
        // Of a second's messages the one that left last of all frees the place, not the one that was permitted first.
        let full = self.times.len().checked_sub(rate).and_then(|at| self.times.get(at));
        let full = full.map_or(UnixMicros::default(), |left| UnixMicros(left.0 + SPAN_MICROS));
        let at = now.max(full);
        let number = self.first + self.times.len() as u64;
        self.times.push_back(at);
        while self.times.len() > rate {
            self.times.pop_front();
            self.first += 1;
        }
        (at, number)
    }
}

impl Permit {
    /// The message has left: whoever follows in its place counts from here.
    pub(crate) fn left(&self, at: UnixMicros) {
        let mut departures = self.departures.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = self.number.checked_sub(departures.first).and_then(|at| usize::try_from(at).ok());
        if let Some(time) = kept.and_then(|kept| departures.times.get_mut(kept)) {
            *time = at.max(*time);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use shared::time::UnixMillis;

    use super::*;

    fn account() -> AccountId {
        AccountId::new(UnixMillis(1))
    }

    #[test]
    fn messages_that_come_at_their_slots_are_not_held_up() {
        let (pacer, account) = (Pacer::default(), account());
        for slot in (0..1_000).map(|n| UnixMicros(1_000_000_000 + n * 13_400)) {
            assert_eq!(pacer.permit(account, 75, slot).at, slot);
        }
    }

    #[test]
    fn a_message_that_left_late_holds_up_the_one_that_takes_its_place() {
        let (pacer, account) = (Pacer::default(), account());
        let late = pacer.permit(account, 2, UnixMicros(1_000_000));
        pacer.permit(account, 2, UnixMicros(1_500_000));
        late.left(UnixMicros(1_040_000));
        assert_eq!(pacer.permit(account, 2, UnixMicros(2_005_000)).at, UnixMicros(2_043_000));
    }

    proptest! {
        #[test]
        fn no_second_holds_more_than_the_rate_however_they_bunch_up(
            rate in 1_u32..200,
            pauses in prop::collection::vec(prop_oneof![Just(0_i64), 0_i64..20_000, 0_i64..900_000], 1..600),
        ) {
            let (pacer, account) = (Pacer::default(), account());
            let (mut now, mut left) = (1_790_000_000_000_000_i64, Vec::new());
            for pause in pauses {
                now += pause;
                left.push(pacer.permit(account, rate, UnixMicros(now)).at.0);
            }
            left.sort_unstable();
            for window in left.windows(rate as usize + 1) {
                prop_assert!(window[rate as usize] - window[0] >= 1_000_000);
            }
        }
    }
}
