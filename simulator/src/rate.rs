//! How fast messages came in: the arithmetic over receive times, for tests that hold a sender to its rate.
//! Pure functions over Unix microseconds; the times are taken in `server`, before a request's body is read.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

/// The sliding window and the calendar second, in microseconds.
const SECOND_US: u64 = 1_000_000;

/// When send requests of one number came in, in Unix microseconds and in the order of their times. A request whose
/// connection broke before its body was complete, and a read receipt, are in neither list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrivals {
    /// Those that were accepted, whether or not the answer reached the sender.
    pub accepted_us: Vec<u64>,
    /// Those that were refused or dropped. They do not outlive the process.
    pub refused_us: Vec<u64>,
}

/// Which arrivals to look at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counted {
    /// All send requests.
    #[default]
    Received,
    /// Accepted messages only, which are those that Meta's throughput limit counts.
    Accepted,
}

/// A question about rates. The default asks for everything ever received.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RateQuery {
    /// From this moment on, in Unix milliseconds.
    pub from_ms: Option<u64>,
    /// Up to, but not including, this moment, in Unix milliseconds.
    pub to_ms: Option<u64>,
    /// Which arrivals count.
    pub counted: Counted,
}

/// How fast messages came in during a range of time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// Arrivals.
    pub count: u64,
    /// The first one, in Unix microseconds.
    pub first_us: Option<u64>,
    /// The last one, in Unix microseconds.
    pub last_us: Option<u64>,
    /// Arrivals per second between the first and the last one: the number of gaps over their sum, so that one arrival every
    /// 12.5 ms is 80 per second however few there are. `None` without two arrivals at different times.
    pub mean_per_second: Option<f64>,
    /// The most arrivals in one second of the clock (`[n s, n + 1 s)`).
    pub most_in_calendar_second: u64,
    /// The most arrivals in any window `[t, t + 1 s)`, wherever it starts.
    pub most_in_sliding_second: u64,
}

/// Rates of all numbers together and of each.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Rates {
    /// Of all numbers together.
    pub overall: Rate,
    /// By phone number id; numbers without an arrival in the range have a count of 0.
    pub numbers: BTreeMap<String, Rate>,
}

impl RateQuery {
    fn range_us(&self) -> Range<u64> {
        let from_us = self.from_ms.map_or(0, |ms| ms.saturating_mul(1_000));
        from_us..self.to_ms.map_or(u64::MAX, |ms| ms.saturating_mul(1_000))
    }
}

impl Arrivals {
    /// Send requests received.
    #[must_use]
    pub fn received(&self) -> u64 {
        (self.accepted_us.len() + self.refused_us.len()) as u64
    }

    fn within(&self, query: &RateQuery) -> impl Iterator<Item = u64> {
        let range = query.range_us();
        let refused = if query.counted == Counted::Received { &self.refused_us[..] } else { &[] };
        self.accepted_us.iter().chain(refused).copied().filter(move |time| range.contains(time))
    }
}

impl Rates {
    /// The rates of each number's arrivals.
    #[must_use]
    pub fn of(arrivals: &BTreeMap<String, Arrivals>, query: &RateQuery) -> Self {
        let times = arrivals.iter().map(|(number, arrivals)| (number.clone(), Rate::of(arrivals.within(query))));
        Self {
            overall: Rate::of(arrivals.values().flat_map(|arrivals| arrivals.within(query))),
            numbers: times.collect(),
        }
    }
}

impl Rate {
    /// The rate of some arrivals, given in Unix microseconds in any order.
    #[must_use]
    pub fn of(times_us: impl IntoIterator<Item = u64>) -> Self {
        let mut times: Vec<u64> = times_us.into_iter().collect();
        times.sort_unstable();
        let (Some(first), Some(last)) = (times.first().copied(), times.last().copied()) else { return Self::default() };
        let (mut calendar, mut sliding) = (Run::default(), 0);
        let mut oldest = 0;
        for (newest, time) in times.iter().enumerate() {
            calendar.add(time / SECOND_US);
            // The window that ends just after `time` holds what came less than a second before it.
            while time - times[oldest] >= SECOND_US {
                oldest += 1;
            }
            sliding = sliding.max(newest - oldest + 1);
        }
        let gaps = (times.len() - 1) as f64;
        let seconds = (last - first) as f64 / SECOND_US as f64;
        Self {
            count: times.len() as u64,
            first_us: Some(first),
            last_us: Some(last),
            mean_per_second: (last > first).then(|| gaps / seconds),
            most_in_calendar_second: calendar.longest,
            most_in_sliding_second: sliding as u64,
        }
    }
}

/// The longest run of equal numbers in an ascending sequence.
#[derive(Debug, Default)]
struct Run {
    current: Option<u64>,
    length: u64,
    longest: u64,
}

impl Run {
    fn add(&mut self, number: u64) {
        self.length = if self.current == Some(number) { self.length + 1 } else { 1 };
        self.current = Some(number);
        self.longest = self.longest.max(self.length);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn evenly_spaced_arrivals_have_the_rate_of_their_spacing() {
        let rate = Rate::of((0..80).map(|n| 5 * SECOND_US + n * 12_500));
        assert_eq!((rate.count, rate.mean_per_second), (80, Some(80.0)));
        assert_eq!((rate.most_in_calendar_second, rate.most_in_sliding_second), (80, 80));
    }

    #[test]
    fn a_window_is_open_at_its_end() {
        let rate = Rate::of([0, SECOND_US]);
        assert_eq!((rate.most_in_sliding_second, rate.mean_per_second), (1, Some(1.0)));
        assert_eq!(Rate::of([1, SECOND_US]).most_in_sliding_second, 2);
    }

    #[test]
    fn a_burst_over_the_turn_of_a_second_shows_in_the_sliding_window_only() {
        let rate = Rate::of((0..100).map(|n| SECOND_US - 50 + n));
        assert_eq!((rate.most_in_calendar_second, rate.most_in_sliding_second), (50, 100));
    }

    #[test]
    fn without_a_span_there_is_no_mean() {
        assert_eq!(Rate::of([]), Rate::default());
        assert_eq!(Rate::of([7, 7]).mean_per_second, None);
    }

    #[test]
    fn a_range_takes_in_its_start_and_leaves_out_its_end() {
        let arrivals = Arrivals { accepted_us: vec![1_000_000, 1_999_999, 2_000_000], refused_us: vec![1_500_000] };
        let arrivals = BTreeMap::from([("1".to_owned(), arrivals)]);
        let query = RateQuery { from_ms: Some(1_000), to_ms: Some(2_000), ..RateQuery::default() };
        assert_eq!(Rates::of(&arrivals, &query).overall.count, 3);
        let accepted = RateQuery { counted: Counted::Accepted, ..query };
        assert_eq!(Rates::of(&arrivals, &accepted).numbers["1"].count, 2);
    }

    proptest! {
        #[test]
        fn the_figures_are_those_of_counting_every_window_by_hand(
            times in proptest::collection::vec(0..5 * SECOND_US, 0..60),
        ) {
            let rate = Rate::of(times.iter().copied());
            let within = |from: u64| times.iter().filter(|time| (from..from + SECOND_US).contains(time)).count() as u64;
            prop_assert_eq!(rate.count, times.len() as u64);
            prop_assert_eq!(rate.most_in_sliding_second, times.iter().map(|from| within(*from)).max().unwrap_or(0));
            let calendar = (0..5).map(|second| within(second * SECOND_US)).max().unwrap_or(0);
            prop_assert_eq!(rate.most_in_calendar_second, calendar);
            prop_assert!(rate.most_in_calendar_second <= rate.most_in_sliding_second);
        }

        #[test]
        fn neither_order_nor_a_shift_by_whole_seconds_changes_the_rate(
            mut times in proptest::collection::vec(0..5 * SECOND_US, 2..60), shift in 0_u64..100,
        ) {
            let rate = Rate::of(times.iter().copied());
            times.reverse();
            let shifted = Rate::of(times.iter().map(|time| time + shift * SECOND_US));
            prop_assert_eq!(rate.mean_per_second, shifted.mean_per_second);
            prop_assert_eq!(rate.most_in_calendar_second, shifted.most_in_calendar_second);
            prop_assert_eq!(rate.most_in_sliding_second, shifted.most_in_sliding_second);
        }
    }
}
