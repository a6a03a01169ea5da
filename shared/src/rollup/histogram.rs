//! Delay histograms: eight buckets to a doubling, so that a quantile read from counters is within 7 % of the true delay
//! at any scale from a second to a month.

/// The bucket of a delay in milliseconds. Buckets below 8 hold one millisecond each.
#[must_use]
pub const fn bucket(delay_ms: u64) -> u32 {
    if delay_ms < 8 {
        return delay_ms as u32;
    }
    let octave = delay_ms.ilog2();
    let eighth = (delay_ms >> (octave - 3)) & 7;
    (octave - 2) * 8 + eighth as u32
}

/// The middle of a bucket in milliseconds.
#[must_use]
pub const fn middle_ms(bucket: u32) -> u64 {
    if bucket < 8 {
        return bucket as u64;
    }
    let octave = bucket / 8 + 2;
    let eighth = (bucket % 8) as u64;
    let width = 1_u64 << (octave - 3);
    (8 + eighth) * width + width / 2
}

/// The quantile `q` (0–1) of a histogram given as (bucket, count), in milliseconds; `None` when it is empty.
#[must_use]
pub fn quantile(histogram: impl IntoIterator<Item = (u32, i64)>, q: f64) -> Option<u64> {
    let mut buckets: Vec<(u32, i64)> = histogram.into_iter().filter(|(_, n)| *n > 0).collect();
    buckets.sort_unstable();
    let total: i64 = buckets.iter().map(|(_, n)| n).sum();
    #[allow(clippy::cast_precision_loss, reason = "counts of people are far below 2^52")]
    let rank = q * (total as f64);
    let mut below = 0;
    for (bucket, n) in &buckets {
        below += n;
        #[allow(clippy::cast_precision_loss, reason = "as above")]
        if below as f64 >= rank {
            return Some(middle_ms(*bucket));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_within_seven_percent_of_what_it_holds() {
        for delay in (0..2_000_u64).chain((1..2_600).map(|n| n * 1_000_003)) {
            let middle = middle_ms(bucket(delay));
            assert!(middle.abs_diff(delay) * 100 <= delay * 7 + 100, "{delay} in the bucket of {middle}");
        }
    }

    #[test]
    fn buckets_rise_with_the_delay() {
        assert!((0..100_000_u64).is_sorted_by_key(bucket));
    }

    #[test]
    fn quantiles_of_a_known_histogram() {
        let histogram = [(bucket(1_000), 50), (bucket(60_000), 40), (bucket(3_600_000), 10)];
        assert!(quantile(histogram, 0.5).unwrap().abs_diff(1_000) < 70);
        assert!(quantile(histogram, 0.9).unwrap().abs_diff(60_000) < 4_000);
        assert!(quantile(histogram, 0.99).unwrap().abs_diff(3_600_000) < 250_000);
        assert_eq!(quantile([], 0.5), None);
    }
}
