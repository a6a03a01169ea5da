//! Meta's two sending limits: messages per second of a number, and messages per pair of number and person.
//! Pure arithmetic on Unix milliseconds; a refused message leaves no trace in either.

use std::collections::{HashMap, VecDeque};

/// The sliding window of a number's throughput.
const THROUGHPUT_WINDOW_MS: u64 = 1_000;
/// One message per pair in this time ("Pair rate limits" of the Cloud API overview).
const PAIR_INTERVAL_MS: u64 = 6_000;
/// Messages that a pair may borrow from its future within one interval.
const PAIR_BURST: u32 = 45;
/// Pairs remembered before those without debt are forgotten.
const PAIRS_BEFORE_SWEEP: usize = 50_000;

/// A limit that a message would break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exceeded {
    /// More messages within one second than the number may send: 130429.
    Throughput,
    /// More messages to one person than the pair may exchange: 131056.
    Pair,
}

impl Exceeded {
    /// Meta's error code.
    pub(crate) fn code(self) -> i64 {
        match self {
            Self::Throughput => 130_429,
            Self::Pair => 131_056,
        }
    }
}

/// What each number and each pair has sent lately.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    numbers: HashMap<String, VecDeque<u64>>,
    pairs: HashMap<(String, String), Pair>,
    sweep_at: usize,
}

/// A burst and the debt it leaves: `n` messages sent at once must be paid back with `n` intervals of silence.
#[derive(Debug, Clone, Copy)]
struct Pair {
    burst_started_ms: u64,
    burst: u32,
    debt_until_ms: u64,
}

impl Limits {
    /// Counts a message if both limits allow it.
    pub(crate) fn admit(&mut self, number: &str, person: &str, per_second: u32, now_ms: u64) -> Result<(), Exceeded> {
        let recent = self.numbers.entry(number.to_owned()).or_default();
        while recent.front().is_some_and(|sent| sent + THROUGHPUT_WINDOW_MS <= now_ms) {
            recent.pop_front();
        }
        if recent.len() >= per_second as usize {
            return Err(Exceeded::Throughput);
        }
        let key = (number.to_owned(), person.to_owned());
        let pair = Pair::after(self.pairs.get(&key), now_ms).ok_or(Exceeded::Pair)?;
        recent.push_back(now_ms);
        self.pairs.insert(key, pair);
        self.sweep(now_ms);
        Ok(())
    }

    /// Counts a message that was accepted before a restart, whatever the limits say.
    pub(crate) fn restore(&mut self, number: &str, person: &str, accepted_ms: u64) {
        let key = (number.to_owned(), person.to_owned());
        if let Some(pair) = Pair::after(self.pairs.get(&key), accepted_ms) {
            self.pairs.insert(key, pair);
        }
        self.sweep(accepted_ms);
    }

    fn sweep(&mut self, now_ms: u64) {
        if self.pairs.len() > self.sweep_at.max(PAIRS_BEFORE_SWEEP) {
            self.pairs.retain(|_, pair| pair.debt_until_ms > now_ms);
            // Doubling keeps the sweep's cost constant per message when nearly every pair is still in debt.
            self.sweep_at = self.pairs.len() * 2;
        }
    }
}

impl Pair {
    /// The pair's state after one more message, or `None` if that message is too many.
    fn after(before: Option<&Self>, now_ms: u64) -> Option<Self> {
        match before {
            Some(pair) if pair.debt_until_ms > now_ms => {
                let in_burst = now_ms < pair.burst_started_ms + PAIR_INTERVAL_MS && pair.burst < PAIR_BURST;
                in_burst.then(|| Self {
                    burst: pair.burst + 1,
                    debt_until_ms: pair.debt_until_ms + PAIR_INTERVAL_MS,
                    ..*pair
                })
            }
            _ => Some(Self { burst_started_ms: now_ms, burst: 1, debt_until_ms: now_ms + PAIR_INTERVAL_MS }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: u64 = 1_790_000_000_000;

    #[test]
    fn throughput_slides_over_one_second() {
        let mut limits = Limits::default();
        for n in 0..80_u64 {
            assert_eq!(limits.admit("n", &n.to_string(), 80, T0 + n * 10), Ok(()));
        }
        assert_eq!(limits.admit("n", "x", 80, T0 + 999), Err(Exceeded::Throughput));
        assert_eq!(limits.admit("n", "x", 80, T0 + 1_000), Ok(()));
        assert_eq!(limits.admit("n", "y", 80, T0 + 1_000), Err(Exceeded::Throughput));
        assert_eq!(limits.admit("another", "y", 80, T0 + 1_000), Ok(()));
    }

    #[test]
    fn a_burst_of_45_is_allowed_and_the_46th_is_not() {
        let mut limits = Limits::default();
        for _ in 0..45 {
            assert_eq!(limits.admit("n", "p", 1_000, T0), Ok(()));
        }
        assert_eq!(limits.admit("n", "p", 1_000, T0), Err(Exceeded::Pair));
        assert_eq!(limits.admit("n", "q", 1_000, T0), Ok(()));
    }

    #[test]
    fn a_burst_of_20_costs_two_minutes_of_silence() {
        let mut limits = Limits::default();
        for _ in 0..20 {
            assert_eq!(limits.admit("n", "p", 1_000, T0), Ok(()));
        }
        assert_eq!(limits.admit("n", "p", 1_000, T0 + 6_000), Err(Exceeded::Pair));
        assert_eq!(limits.admit("n", "p", 1_000, T0 + 119_999), Err(Exceeded::Pair));
        assert_eq!(limits.admit("n", "p", 1_000, T0 + 120_000), Ok(()));
    }

    #[test]
    fn one_message_every_six_seconds_never_meets_the_limit() {
        let mut limits = Limits::default();
        for n in 0..100 {
            assert_eq!(limits.admit("n", "p", 80, T0 + n * 6_000), Ok(()));
        }
    }
}
