//! A campaign's budget: how far it is used up, and how many more messages may be given out under it.

use super::ledger::{DELIVERED, OPEN, Spent};
use super::{CURRENCY, Micros, charged_as, dearest_rate, market_of, rate};
use crate::campaign::{Campaign, PAGE_SIZE};
use crate::rollup::tally::Tally;

/// How far a campaign's budget is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outlay {
    /// The budget as it was given.
    pub budget: Micros,
    /// What the campaign may cost in all: the budget once more for each time that it was used up and the campaign resumed.
    pub allowed: Micros,
    /// What was delivered.
    pub spent: Spent,
    /// What would be charged if every message that Meta has, or may have, were delivered.
    pub open: Spent,
    /// What the dearest message of the campaign costs; `None` when no rate is known for any.
    dearest: Option<Micros>,
}

impl Outlay {
    /// Of a campaign with a budget, by its counters.
    #[must_use]
    pub fn of(campaign: &Campaign, tally: &Tally) -> Option<Self> {
        let budget = Micros::from_decimal(&campaign.budget.as_ref()?.amount.to_string())?;
        Some(Self {
            budget,
            allowed: budget.times(u64::from(campaign.budget_renewals).saturating_add(1)),
            spent: Spent::by(campaign, tally, DELIVERED),
            open: Spent::by(campaign, tally, OPEN),
            dearest: dearest_message(campaign),
        })
    }

    /// What is spent, and may be.
    const fn used(&self) -> Micros {
        self.spent.amount.plus(self.open.amount)
    }

    /// Whether nothing more may be sent.
    #[must_use]
    pub fn is_used_up(&self) -> bool {
        self.used() >= self.allowed
    }

    /// Pages of recipients that may be given out besides the `out` that are: the last one may go beyond the budget, for
    /// else its end would never be reached. `None`: any number, for no rate is known.
    #[must_use]
    pub fn more_pages(&self, out: u32) -> Option<u32> {
        let page = self.dearest?.times(u64::from(PAGE_SIZE));
        let left = self.allowed.0.saturating_sub(self.used().0);
        let affordable = if page.0 == 0 { u64::MAX } else { left.div_ceil(page.0) };
        Some(u32::try_from(affordable.saturating_sub(u64::from(out))).unwrap_or(u32::MAX))
    }

    /// Why the campaign pauses and what to do, for people.
    #[must_use]
    pub fn reason(&self) -> String {
        let Self { budget, allowed, spent, open, .. } = self;
        format!(
            "the campaign's budget is used up: delivered messages cost {} {CURRENCY}, those on their way up to {} more, and \
             it may cost {allowed}: resume to let it cost {budget} more, or cancel it",
            spent.amount, open.amount
        )
    }
}

/// The list price of the campaign's dearest message, among all regions that its audience has; among all markets while
/// those are not known.
fn dearest_message(campaign: &Campaign) -> Option<Micros> {
    let at = campaign.started_at.unwrap_or(campaign.created_at);
    let categories = campaign.variants.iter().map(|variant| charged_as(&variant.message, campaign.category));
    let prices = categories.flat_map(|category| {
        let of_regions =
            campaign.regions.keys().map(move |region| Some(rate(market_of(region, at), category, at)?.amount));
        let of_all = campaign.regions.is_empty().then(|| dearest_rate(category, at)).into_iter();
        of_regions.chain(of_all).flatten().collect::<Vec<_>>()
    });
    prices.max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attempt::Money;
    use crate::campaign::tests::campaign;
    use crate::rollup::Counts;
    use crate::time::UnixMillis;

    fn with_budget(amount: f64) -> Campaign {
        let message = serde_json::json!({"type": "template", "template": {"name": "offer", "language": "en"}});
        let mut campaign = campaign();
        campaign.variants[0].message = serde_json::from_value(message).unwrap();
        campaign.started_at = Some(UnixMillis(1_795_219_200_000)); // 2026-11-21
        let amount = serde_json::Number::from_f64(amount).unwrap();
        campaign.budget = Some(Money { amount, currency: CURRENCY.to_owned() });
        campaign.regions = [("MY".to_owned(), 1_000), ("IN".to_owned(), 1_000)].into();
        campaign
    }

    fn outlay(campaign: &Campaign, delivered: i64, open: i64) -> Outlay {
        let counts = Counts::from([
            ("0.cost.MY.marketing.charged".to_owned(), delivered),
            ("0.open.MY.untold.charged".to_owned(), open),
        ]);
        Outlay::of(campaign, &Tally::of([("TOTAL#00", &counts)])).unwrap()
    }

    #[test]
    fn a_budget_is_used_up_by_what_is_delivered_and_what_may_be() {
        // 0.086 a message: 100 of them cost 8.60.
        let campaign = with_budget(8.6);
        assert!(!outlay(&campaign, 60, 39).is_used_up());
        let used_up = outlay(&campaign, 60, 40);
        assert!(used_up.is_used_up());
        let reason = used_up.reason();
        assert!(reason.contains("5.16 USD") && reason.contains("3.44 more") && reason.contains("8.60"), "{reason}");
    }

    #[test]
    fn a_resume_lets_it_cost_as_much_again() {
        let renewed = Campaign { budget_renewals: 1, ..with_budget(8.6) };
        assert!(!outlay(&renewed, 100, 99).is_used_up());
        assert!(outlay(&renewed, 100, 100).is_used_up());
    }

    #[test]
    fn no_more_pages_are_given_out_than_the_budget_bears() {
        let campaign = with_budget(20.0);
        assert_eq!(outlay(&campaign, 0, 0).more_pages(0), Some(3), "two cost 17.20");
        assert_eq!(outlay(&campaign, 0, 0).more_pages(2), Some(1));
        assert_eq!(outlay(&campaign, 100, 0).more_pages(2), Some(0));
        let mut unknown = with_budget(20.0);
        unknown.regions = [("none".to_owned(), 5)].into();
        unknown.started_at = Some(UnixMillis(0));
        assert_eq!(outlay(&unknown, 0, 0).more_pages(0), None);
    }

    #[test]
    fn a_campaign_without_a_budget_has_no_outlay() {
        assert_eq!(Outlay::of(&campaign(), &Tally::default()), None);
    }
}
