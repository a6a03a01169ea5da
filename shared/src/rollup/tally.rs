//! Counter items of a campaign, added up over their shards and taken apart by variant.

use std::collections::BTreeMap;

use super::contribution::view;
use super::{Counts, add};
use crate::attempt::Stage;
use crate::time::UnixMillis;

/// What a campaign's counters say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    variants: BTreeMap<u8, VariantTally>,
    clicks: Counts,
}

/// What the counters say of one variant, or of all together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VariantTally {
    counts: Counts,
    delays: BTreeMap<String, BTreeMap<u32, i64>>,
}

impl Tally {
    /// Adds up counter items given as (sort key, counts). Views that a report does not show are left out.
    #[must_use]
    pub fn of<'a>(items: impl IntoIterator<Item = (&'a str, &'a Counts)>) -> Self {
        let mut tally = Self::default();
        for (sk, counts) in items {
            match sk.split('#').next() {
                Some(view::TOTAL) => tally.add_totals(counts),
                Some(view::DELAY) => tally.add_delays(counts),
                Some(view::CLICK | view::VISIT) => add(&mut tally.clicks, counts),
                _ => {}
            }
        }
        tally
    }

    fn add_totals(&mut self, counts: &Counts) {
        for (name, n) in counts {
            if let Some((variant, name)) = split_variant(name) {
                *self.variants.entry(variant).or_default().counts.entry(name.to_owned()).or_default() += n;
            }
        }
    }

    fn add_delays(&mut self, counts: &Counts) {
        for (name, n) in counts {
            if let Some((variant, name)) = split_variant(name)
                && let Some((delay, bucket)) = name.split_once('.')
                && let Ok(bucket) = bucket.parse()
            {
                let delays = &mut self.variants.entry(variant).or_default().delays;
                *delays.entry(delay.to_owned()).or_default().entry(bucket).or_default() += n;
            }
        }
    }

    /// One variant; all zeros when nothing is counted for it.
    #[must_use]
    pub fn variant(&self, index: u8) -> VariantTally {
        self.variants.get(&index).cloned().unwrap_or_default()
    }

    /// All variants together.
    #[must_use]
    pub fn all(&self) -> VariantTally {
        let mut all = VariantTally::default();
        for variant in self.variants.values() {
            add(&mut all.counts, &variant.counts);
            for (delay, histogram) in &variant.delays {
                let sum = all.delays.entry(delay.clone()).or_default();
                for (bucket, n) in histogram {
                    *sum.entry(*bucket).or_default() += n;
                }
            }
        }
        all
    }

    /// Clicks by name, such as `human` or `device.mobile`.
    #[must_use]
    pub fn clicks(&self, name: &str) -> i64 {
        self.clicks.get(name).copied().unwrap_or(0)
    }

    /// Clicks broken down: `clicks_by("device")` gives each device with its count, most first.
    #[must_use]
    pub fn clicks_by(&self, dimension: &str) -> Vec<(String, i64)> {
        let mut found = with_prefix(&self.clicks, dimension);
        found.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        found
    }
}

impl VariantTally {
    /// A count by name; zero when nothing was counted.
    #[must_use]
    pub fn count(&self, name: &str) -> i64 {
        self.counts.get(name).copied().unwrap_or(0)
    }

    /// Counts whose names begin with `prefix` and a dot: what comes after it, and how many.
    #[must_use]
    pub fn named(&self, prefix: &str) -> Vec<(String, i64)> {
        with_prefix(&self.counts, prefix)
    }

    /// Recipients that reached the stage.
    #[must_use]
    pub fn reached(&self, stage: Stage) -> i64 {
        self.count(stage.name())
    }

    /// Recipients whose furthest stage it is.
    #[must_use]
    pub fn stuck_at(&self, stage: Stage) -> i64 {
        self.count(&format!("stuck.{}", stage.name()))
    }

    /// Failures by Meta's code, most first.
    #[must_use]
    pub fn errors(&self) -> Vec<(i64, i64)> {
        let mut errors: Vec<(i64, i64)> = with_prefix(&self.counts, "error")
            .into_iter()
            .filter_map(|(code, n)| Some((code.parse().ok()?, n)))
            .collect();
        errors.sort_by_key(|(code, n)| (-n, *code));
        errors
    }

    /// People who were left out when it was their turn, by code.
    #[must_use]
    pub fn skips(&self) -> Vec<(String, i64)> {
        self.named("skip")
    }

    /// The histogram of a delay: `deliver`, `open`, `click` or `reply`.
    #[must_use]
    pub fn delay(&self, name: &str) -> BTreeMap<u32, i64> {
        self.delays.get(name).cloned().unwrap_or_default()
    }
}

/// Messages accepted in the minute before `now`, from the minute series of the hours it touches: what the current
/// minute has, and of the last one the share that is less than a minute ago.
#[must_use]
pub fn accepted_in_last_minute<'a>(items: impl IntoIterator<Item = (&'a str, &'a Counts)>, now: UnixMillis) -> i64 {
    let current = now.to_rfc3339()[..16].to_owned();
    let last = UnixMillis(now.0 - 60_000).to_rfc3339()[..16].to_owned();
    let (mut in_current, mut in_last) = (0, 0);
    for (sk, counts) in items {
        let Some(hour) = sk.strip_prefix(view::MINUTE).and_then(|rest| rest.split('#').nth(1)) else {
            continue;
        };
        for (name, n) in counts {
            if let Some(minute) = name.strip_prefix("accepted.") {
                let at = format!("{hour}:{minute}");
                in_current += if at == current { *n } else { 0 };
                in_last += if at == last { *n } else { 0 };
            }
        }
    }
    let into_minute_ms = now.0.rem_euclid(60_000);
    in_current + in_last * (60_000 - into_minute_ms) / 60_000
}

fn split_variant(name: &str) -> Option<(u8, &str)> {
    let (variant, name) = name.split_once('.')?;
    Some((variant.parse().ok()?, name))
}

fn with_prefix(counts: &Counts, prefix: &str) -> Vec<(String, i64)> {
    counts
        .iter()
        .filter(|(_, n)| **n != 0)
        .filter_map(|(name, n)| Some((name.strip_prefix(prefix)?.strip_prefix('.')?.to_owned(), *n)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(pairs: &[(&str, i64)]) -> Counts {
        pairs.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect()
    }

    #[test]
    fn shards_are_added_up_and_variants_kept_apart() {
        let (one, two) = (counts(&[("0.sent", 3), ("1.sent", 1)]), counts(&[("0.sent", 2), ("0.error.131026", 1)]));
        let clicks = counts(&[("device.mobile", 4), ("device.desktop", 5), ("raw", 9)]);
        let tally = Tally::of([("TOTAL#00", &one), ("TOTAL#01", &two), ("CLICK#2026-11-21#03", &clicks)]);
        assert_eq!(tally.variant(0).reached(Stage::Sent), 5);
        assert_eq!(tally.variant(1).reached(Stage::Sent), 1);
        assert_eq!(tally.all().reached(Stage::Sent), 6);
        assert_eq!(tally.all().errors(), [(131_026, 1)]);
        assert_eq!(tally.clicks_by("device"), [("desktop".to_owned(), 5), ("mobile".to_owned(), 4)]);
    }

    #[test]
    fn the_last_minute_is_weighed_by_its_age() {
        let now = UnixMillis(1_790_000_015_000); // 14:13:35
        let hour = counts(&[("accepted.12", 60), ("accepted.13", 10), ("accepted.11", 1_000)]);
        assert_eq!(accepted_in_last_minute([("MINUTE#2026-09-21T14#00", &hour)], now), 10 + 25);
    }
}
