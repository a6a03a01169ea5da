//! The recipients of a campaign who reached no stage and did not fail: still to come, or left out, and why. They are no
//! attempts yet or never will be, so they are told from the campaign and its counters together.

use std::collections::BTreeMap;

use super::tally::VariantTally;
use crate::attempt::Stage;
use crate::campaign::Campaign;
use crate::safety::Refusal;

/// Under this code the lines count that planning has left out.
pub const PLANNING: &str = "planning";

/// Who of a campaign's recipients gets no message, or none yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unsent {
    /// Nothing is known of them yet.
    pub pending: i64,
    /// Left out, whenever that was decided.
    pub skipped: i64,
    /// The same by code; the counts add up to `skipped`.
    pub skips: BTreeMap<String, i64>,
}

impl Unsent {
    /// From the counters of all variants. With those who are held out, unknown, failed or at a stage they add up to the
    /// campaign's recipients.
    #[must_use]
    pub fn of(campaign: &Campaign, all: &VariantTally) -> Self {
        let at_a_stage: i64 = Stage::ALL.iter().map(|stage| all.stuck_at(*stage)).sum();
        let settled = at_a_stage + all.count("failed") + all.count("unknown") + all.count("skipped");
        let left = i64::from(campaign.planned()) - settled;
        let mut skips: BTreeMap<String, i64> = all.skips().into_iter().collect();
        if campaign.skipped > 0 {
            *skips.entry(PLANNING.to_owned()).or_default() += i64::from(campaign.skipped);
        }
        let mut skipped = i64::from(campaign.skipped) + all.count("skipped");
        if !campaign.ended_by_its_time() {
            return Self { pending: left, skipped, skips };
        }
        if left != 0 {
            *skips.entry(Refusal::Expired.code().to_owned()).or_default() += left;
            skipped += left;
        }
        Self { pending: 0, skipped, skips }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::campaign::Status;
    use crate::campaign::tests::campaign;
    use crate::rollup::Counts;
    use crate::rollup::tally::Tally;
    use crate::time::UnixMillis;

    fn of(campaign: &Campaign, counts: &[(&str, i64)]) -> Unsent {
        let counts: Counts = counts.iter().map(|(name, n)| (format!("0.{name}"), *n)).collect();
        Unsent::of(campaign, &Tally::of([("TOTAL#00", &counts)]).all())
    }

    fn ended(mut campaign: Campaign, finished: i64) -> Campaign {
        campaign.schedule.expires_at = Some(UnixMillis(1_000));
        Campaign { status: Status::Completed, finished_at: Some(UnixMillis(finished)), ..campaign }
    }

    #[test]
    fn those_who_were_left_when_the_time_was_over_are_skipped_as_expired() {
        let counts = [("stuck.read", 40), ("failed", 3), ("skipped", 2), ("skip.opted_out", 2)];
        let running = Campaign { recipients: 100, skipped: 5, holdout: 10, ..campaign() };
        let planned_out = ("planning".to_owned(), 5);
        let opted_out = ("opted_out".to_owned(), 2);
        let expected = Unsent { pending: 40, skipped: 7, skips: [planned_out.clone(), opted_out.clone()].into() };
        assert_eq!(of(&running, &counts), expected);
        assert_eq!(of(&ended(running.clone(), 999), &counts), expected, "it was complete before");
        let expired = ("expired".to_owned(), 40);
        let expected = Unsent { pending: 0, skipped: 47, skips: [planned_out, opted_out, expired].into() };
        assert_eq!(of(&ended(running, 1_000), &counts), expected);
    }

    proptest! {
        #[test]
        fn every_recipient_is_in_exactly_one_place(
            read in 0_u32..50, failed in 0_u32..50, unknown in 0_u32..50, opted_out in 0_u32..50, capped in 0_u32..50,
            left in 0_u32..50, planned_out in 0_u32..50, held_out in 0_u32..50, finished in prop::option::of(0_i64..2_000),
        ) {
            let skipped = opted_out + capped;
            let recipients = read + failed + unknown + skipped + left + planned_out + held_out;
            let running = Campaign { recipients, skipped: planned_out, holdout: held_out, ..campaign() };
            let campaign = finished.map_or(running.clone(), |at| ended(running, at));
            let counts = [
                ("stuck.read", read), ("failed", failed), ("unknown", unknown), ("skipped", skipped),
                ("skip.opted_out", opted_out), ("skip.frequency_cap", capped),
            ];
            let unsent = of(&campaign, &counts.map(|(name, n)| (name, i64::from(n))));
            let elsewhere = i64::from(read + failed + unknown + held_out);
            prop_assert_eq!(unsent.pending + unsent.skipped + elsewhere, i64::from(recipients));
            prop_assert_eq!(unsent.skips.values().sum::<i64>(), unsent.skipped);
        }
    }
}
