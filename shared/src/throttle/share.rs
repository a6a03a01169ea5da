//! Sharing one rate among the campaigns of an account: everybody gets the same, and what somebody cannot use because of
//! their own ceiling goes to the others (max-min fairness), in whole messages a second.

use crate::id::CampaignId;

/// What a campaign can use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Want {
    /// The campaign.
    pub campaign: CampaignId,
    /// Its own ceiling, messages a second.
    pub ceiling: u32,
}

/// The share of one campaign, messages a second. All shares together are at most `total`; when there are more campaigns
/// than messages a second, the oldest get one each and the others none until those are done.
#[must_use]
pub fn fair(total: u32, wants: &[Want], campaign: CampaignId) -> u32 {
    // Those who want least first: what they leave is shared among the rest. Of equals the older campaign comes last, so
    // that the message that cannot be divided goes to it.
    let mut ordered: Vec<&Want> = wants.iter().collect();
    ordered.sort_by_key(|want| (want.ceiling, std::cmp::Reverse(want.campaign)));
    let mut left = total;
    let count = ordered.len();
    for (served, want) in ordered.into_iter().enumerate() {
        let share = want.ceiling.min(left / u32::try_from(count - served).unwrap_or(1));
        if want.campaign == campaign {
            return share;
        }
        left -= share;
    }
    0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::time::UnixMillis;

    fn wants(ceilings: &[u32]) -> Vec<Want> {
        let campaign = |n: usize| CampaignId::new(UnixMillis(1_790_000_000_000 + i64::try_from(n).unwrap()));
        ceilings.iter().enumerate().map(|(n, &ceiling)| Want { campaign: campaign(n), ceiling }).collect()
    }

    fn shares(total: u32, ceilings: &[u32]) -> Vec<u32> {
        let wants = wants(ceilings);
        wants.iter().map(|want| fair(total, &wants, want.campaign)).collect()
    }

    #[test]
    fn equals_get_the_same_and_the_older_the_rest() {
        assert_eq!(shares(75, &[u32::MAX; 3]), [25, 25, 25]);
        assert_eq!(shares(80, &[u32::MAX; 3]), [27, 27, 26]);
        assert_eq!(shares(75, &[u32::MAX]), [75]);
    }

    #[test]
    fn what_a_slow_campaign_leaves_goes_to_the_others() {
        assert_eq!(shares(80, &[5, u32::MAX]), [5, 75]);
        assert_eq!(shares(80, &[u32::MAX, 5, 200]), [38, 5, 37]);
    }

    #[test]
    fn more_campaigns_than_messages_leave_some_waiting() {
        assert_eq!(shares(2, &[9, 9, 9]), [1, 1, 0]);
    }

    proptest! {
        #[test]
        fn shares_never_exceed_the_rate_nor_a_ceiling_and_waste_nothing(
            total in 1_u32..2_000,
            ceilings in prop::collection::vec(1_u32..1_500, 1..12),
        ) {
            let shares = shares(total, &ceilings);
            prop_assert!(shares.iter().zip(&ceilings).all(|(share, ceiling)| share <= ceiling));
            let wanted: u32 = ceilings.iter().sum();
            prop_assert_eq!(shares.iter().sum::<u32>(), wanted.min(total));
            let unsatisfied: Vec<u32> =
                shares.iter().zip(&ceilings).filter(|(share, ceiling)| share < ceiling).map(|(share, _)| *share).collect();
            if let (Some(least), Some(most)) = (unsatisfied.iter().min(), unsatisfied.iter().max()) {
                prop_assert!(most - least <= 1);
            }
        }
    }
}
