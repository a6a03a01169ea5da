//! How long answers take, for a whole account or a person: each wait and each conversation counts in the span of time in
//! which it began. To be exact for a span one has to look back and ahead of it by [`OVER_AFTER`] and no further: whatever
//! is longer ago belongs to another conversation.

use std::ops::Range;
use std::time::Duration;

use serde::Serialize;

use super::talk::{OVER_AFTER, Opener, Talk};
use crate::time::UnixMillis;

/// Upper ends of the buckets in hours, but for the last, which has none.
const BUCKETS: [(&str, u64); 4] = [("0-1h", 1), ("1-4h", 4), ("4-8h", 8), ("8-24h", 24)];

/// The bucket of everything longer.
const LAST_BUCKET: &str = "24h+";

/// How long something took, over many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Distribution {
    /// How many there were.
    pub n: usize,
    /// Half of them took at most so long; nearest rank.
    pub median_ms: Option<u64>,
    /// Nine of ten took at most so long; nearest rank.
    pub p90_ms: Option<u64>,
    /// How many by time taken: up to an hour, up to four, eight, 24, and longer. A time at a border is in the lower one.
    pub buckets: Vec<Bucket>,
}

/// One bucket of a distribution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Bucket {
    /// Its span.
    pub took: &'static str,
    /// How many are in it.
    pub n: usize,
}

impl Distribution {
    /// Of these times, in any order.
    #[must_use]
    pub fn of(times: impl IntoIterator<Item = Duration>) -> Self {
        let mut times: Vec<Duration> = times.into_iter().collect();
        times.sort_unstable();
        let rank = |tenths: usize| {
            let place = (times.len() * tenths).div_ceil(10).checked_sub(1)?;
            times.get(place).map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX))
        };
        let (median_ms, p90_ms) = (rank(5), rank(9));
        let mut below = 0;
        let mut buckets: Vec<Bucket> = BUCKETS
            .into_iter()
            .map(|(took, hours)| {
                let end = times.partition_point(|time| *time <= Duration::from_secs(hours * 3_600));
                let n = end - below;
                below = end;
                Bucket { took, n }
            })
            .collect();
        buckets.push(Bucket { took: LAST_BUCKET, n: times.len() - below });
        Self { n: times.len(), median_ms, p90_ms, buckets }
    }
}

/// How long answers took in a span of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Responses {
    /// Conversations that people began in it.
    pub conversations: usize,
    /// From the first word of these to the first answer.
    pub first_response: Distribution,
    /// Of these, how many have no answer.
    pub without_response: usize,
    /// From the first thing that a person wrote in a row to the answer, in any conversation.
    pub reply: Distribution,
    /// What was written in a row and has no answer.
    pub unanswered: usize,
    /// From the first word of the conversations that people began until they were resolved for good.
    pub resolution: Distribution,
    /// Of these conversations, how many were written to again after they had been resolved.
    pub reopened: usize,
}

/// The events that one has to know to tell the responses in a span.
#[must_use]
pub fn to_be_read(span: &Range<UnixMillis>) -> Range<UnixMillis> {
    let week = i64::try_from(OVER_AFTER.as_millis()).unwrap_or(i64::MAX);
    UnixMillis(span.start.0.saturating_sub(week))..span.end.plus(OVER_AFTER)
}

/// How a time between two moments is measured: by the clock, or in opening hours.
pub type Measure<'a> = dyn Fn(UnixMillis, UnixMillis) -> Duration + 'a;

/// By the clock.
#[must_use]
pub fn by_the_clock(from: UnixMillis, until: UnixMillis) -> Duration {
    until.since(from)
}

impl Responses {
    /// Of what people and one number of the business said, as far as it began in the span.
    #[must_use]
    pub fn of<'a>(talks: impl IntoIterator<Item = &'a Talk>, span: &Range<UnixMillis>, measure: &Measure<'_>) -> Self {
        let (mut first, mut reply, mut resolution) = (Vec::new(), Vec::new(), Vec::new());
        let (mut conversations, mut unanswered, mut reopened) = (0, 0, 0);
        for exchange in talks.into_iter().flat_map(|talk| &talk.exchanges) {
            for wait in exchange.waits.iter().filter(|wait| span.contains(&wait.from)) {
                match wait.until {
                    Some(until) => reply.push(measure(wait.from, until)),
                    None => unanswered += 1,
                }
            }
            if !span.contains(&exchange.opened_at) || exchange.opened_by != Opener::Person {
                continue;
            }
            let opened_at = exchange.opened_at;
            conversations += 1;
            reopened += usize::from(exchange.reopened > 0);
            first.extend(exchange.first_response_at().map(|at| measure(opened_at, at)));
            resolution.extend(exchange.resolved_at.map(|at| measure(opened_at, at)));
        }
        Self {
            conversations,
            without_response: conversations - first.len(),
            first_response: Distribution::of(first),
            reply: Distribution::of(reply),
            unanswered,
            resolution: Distribution::of(resolution),
            reopened,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::trace::tests::trace;
    use super::super::trace::{Part, Trace};
    use super::*;

    fn minutes(minutes: u64) -> Duration {
        Duration::from_secs(minutes * 60)
    }

    #[test]
    fn a_distribution_has_its_median_its_ninth_tenth_and_five_buckets() {
        let found = Distribution::of([60, 1, 241, 480, 61, 1_440, 1_441, 2, 3, 4].map(minutes));
        assert_eq!((found.n, found.median_ms, found.p90_ms), (10, Some(60 * 60_000), Some(1_440 * 60_000)));
        let buckets: Vec<_> = found.buckets.iter().map(|bucket| (bucket.took, bucket.n)).collect();
        assert_eq!(buckets, [("0-1h", 5), ("1-4h", 1), ("4-8h", 2), ("8-24h", 1), ("24h+", 1)]);
        let none = Distribution::of([]);
        assert_eq!((none.n, none.median_ms, none.p90_ms), (0, None, None));
        let one = Distribution::of([minutes(5)]);
        assert_eq!((one.median_ms, one.p90_ms), (Some(300_000), Some(300_000)));
    }

    fn at(minute: i64) -> UnixMillis {
        trace(minute, Part::Wrote, 0).at
    }

    #[test]
    fn what_began_before_the_span_is_not_counted_and_what_was_answered_after_it_is() {
        let parts =
            [(-10, Part::Wrote), (5, Part::Answered), (8, Part::Wrote), (70, Part::Answered), (90, Part::Resolved)];
        let talk = Talk::of((0..).zip(parts).map(|(number, (minute, part))| trace(minute, part, number)));
        let found = Responses::of([&talk], &(at(0)..at(60)), &by_the_clock);
        assert_eq!((found.conversations, found.first_response.n, found.resolution.n), (0, 0, 0));
        assert_eq!((found.reply.n, found.reply.median_ms), (1, Some(62 * 60_000)));
        let before = Responses::of([&talk], &(at(-20)..at(0)), &by_the_clock);
        assert_eq!((before.conversations, before.first_response.median_ms), (1, Some(15 * 60_000)));
        assert_eq!(before.resolution.median_ms, Some(100 * 60_000));
    }

    fn told() -> impl Strategy<Value = Vec<Trace>> {
        let part = prop_oneof![3 => Just(Part::Wrote), 2 => Just(Part::Answered), 1 => Just(Part::Resolved)];
        let minute = prop_oneof![-60 * 24 * 60..60 * 24 * 60_i64, -3_000..3_000_i64];
        prop::collection::vec((minute, part), 0..40)
            .prop_map(|parts| (0..).zip(parts).map(|(number, (minute, part))| trace(minute, part, number)).collect())
    }

    proptest! {
        /// Reading more of the past changes nothing, and reading more of what came after neither, but for answers that
        /// came later than is looked for.
        #[test]
        fn a_week_before_and_after_is_all_that_has_to_be_read(told in told(), length in 1_i64..10_000) {
            let span = at(0)..at(length);
            let to_be_read = to_be_read(&span);
            let until_end = told.into_iter().filter(|trace| trace.at < to_be_read.end);
            let all: Vec<Trace> = until_end.collect();
            let needed = all.iter().filter(|trace| trace.at >= to_be_read.start).cloned();
            let (all, needed) = (Talk::of(all.clone()), Talk::of(needed));
            prop_assert_eq!(
                Responses::of([&all], &span, &by_the_clock),
                Responses::of([&needed], &span, &by_the_clock)
            );
        }
    }
}
