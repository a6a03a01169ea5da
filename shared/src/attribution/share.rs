//! Sharing a whole number out so that nothing of it is lost: the method of the largest remainder.

/// Shares `total` out in proportion to the weights. The shares add up to `total` exactly; each is its exact proportion,
/// rounded up or down. What is left after rounding down goes, one each, to those that lost most by it, of equal ones to the
/// later. Without any weight everybody gets nothing.
#[must_use]
pub fn split(total: u128, weights: &[u32]) -> Vec<u128> {
    let sum: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
    if sum == 0 {
        return vec![0; weights.len()];
    }
    // The quotient is shared apart from the remainder, so that no product needs more than 128 bits.
    let (whole, rest) = (total / sum, total % sum);
    let mut shares: Vec<u128> =
        weights.iter().map(|weight| whole * u128::from(*weight) + rest * u128::from(*weight) / sum).collect();
    let lost = |place: usize| rest * u128::from(weights[place]) % sum;
    let mut places: Vec<usize> = (0..weights.len()).collect();
    places.sort_by_key(|place| std::cmp::Reverse((lost(*place), *place)));
    let left = total - shares.iter().sum::<u128>();
    for (place, _) in places.into_iter().zip(0..left) {
        shares[place] += 1;
    }
    shares
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_left_goes_to_who_lost_most_and_among_equals_to_the_later() {
        assert_eq!(split(1_000_000, &[1, 1, 1]), [333_333, 333_333, 333_334]);
        assert_eq!(split(10, &[1, 1, 1, 1, 1, 1]), [1, 1, 2, 2, 2, 2]);
        assert_eq!(split(100, &[40, 20, 40]), [40, 20, 40]);
        assert_eq!(split(1, &[2, 1]), [1, 0]);
        assert_eq!(split(7, &[0, 3]), [0, 7]);
        assert_eq!(split(7, &[0, 0]), [0, 0]);
        assert_eq!(split(7, &[]), [] as [u128; 0]);
    }

    proptest! {
        #[test]
        fn shares_add_up_and_are_within_one_of_their_proportion(
            total in 0_u128..=1_000_000_000_000_000_000_000_000,
            weights in prop::collection::vec(0_u32..=u32::MAX, 1..40),
        ) {
            let sum: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
            prop_assume!(sum > 0);
            let shares = split(total, &weights);
            prop_assert_eq!(shares.iter().sum::<u128>(), total);
            for (share, weight) in shares.iter().zip(&weights) {
                let (whole, rest) = (total / sum, total % sum);
                let down = whole * u128::from(*weight) + rest * u128::from(*weight) / sum;
                prop_assert!(*share == down || *share == down + 1);
            }
        }
    }
}
