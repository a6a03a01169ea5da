//! What the messages of a campaign have cost: counters of what Meta charges for, times the rate card. A message is counted
//! with its recipient's region and not with an amount, so that the figures can be worked out again under another card.

use serde::Serialize;

use super::estimate::SERVICE_CHARGED_FROM;
use super::{CURRENCY, Micros, NOWHERE, charged_as, market_of, rate};
use crate::attempt::pricing::Pricing;
use crate::attempt::{Attempt, Stage};
use crate::campaign::{Campaign, Category, Message};
use crate::rollup::tally::{Tally, VariantTally};
use crate::time::UnixMillis;

/// Counters of messages that were delivered: `cost.{region}.{category}.{charged|free}`.
pub const DELIVERED: &str = "cost";

/// Counters of messages that may still be delivered, in the same form.
pub const OPEN: &str = "open";

/// Stands for a category that Meta has not told: the campaign's own.
const UNTOLD: &str = "untold";

/// Stands for the category of a message that was charged with its conversation: not by a rate of the card.
const BY_CONVERSATION: &str = "conversation";

/// The counter that an attempt adds one to; `None` when nothing is charged for it and nothing will be.
///
/// Meta charges a message when it is delivered (Meta, pricing, since July 2025), so each counts once, however many of its
/// statuses carry a price.
#[must_use]
pub fn counter_of(attempt: &Attempt) -> Option<String> {
    let kind = if attempt.reached(Stage::Delivered) {
        DELIVERED
    } else if attempt.failed.is_none() && attempt.skipped.is_none() {
        OPEN
    } else {
        return None;
    };
    let region = attempt.region().unwrap_or(NOWHERE);
    let told = attempt.pricing.as_ref();
    let category = match told {
        Some(told) if told.model.as_deref() == Some("CBP") => BY_CONVERSATION,
        // A dot would end the name.
        Some(told) => told.category.as_deref().filter(|category| !category.contains('.')).unwrap_or(UNTOLD),
        None => UNTOLD,
    };
    let charge = if told.is_some_and(Pricing::is_free) { "free" } else { "charged" };
    Some(format!("{kind}.{region}.{category}.{charge}"))
}

/// An amount, and the messages that it leaves out because no rate is known for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// In [`CURRENCY`].
    pub amount: Micros,
    /// Messages.
    pub unpriced: u64,
}

impl Spent {
    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        let unpriced = self.unpriced.saturating_add(other.unpriced);
        Self { amount: self.amount.plus(other.amount), unpriced }
    }

    /// What the counters of one kind ([`DELIVERED`] or [`OPEN`]) amount to for messages like this one, at the rates of
    /// `at`.
    #[must_use]
    pub fn on(counted: &VariantTally, kind: &str, message: &Message, category: Category, at: UnixMillis) -> Self {
        let own = charged_as(message, category);
        let counters = counted.named(kind);
        counters.iter().fold(Self::default(), |spent, (name, n)| {
            let count = u64::try_from(*n).unwrap_or(0);
            spent.plus(of_counter(name, count, own, at))
        })
    }

    /// The same for all variants of a campaign, at the rates that held when it started.
    #[must_use]
    pub fn by(campaign: &Campaign, tally: &Tally, kind: &str) -> Self {
        let at = campaign.started_at.unwrap_or(campaign.created_at);
        let variants = campaign.variants.iter().zip(0_u8..);
        variants.fold(Self::default(), |spent, (variant, index)| {
            spent.plus(Self::on(&tally.variant(index), kind, &variant.message, campaign.category, at))
        })
    }
}

/// What a counter's messages amount to; its name without the kind, such as `MY.marketing.charged`.
fn of_counter(name: &str, count: u64, own: Category, at: UnixMillis) -> Spent {
    let unpriced = Spent { amount: Micros::default(), unpriced: count };
    let mut parts = name.split('.');
    let (Some(region), Some(told), Some(charge), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return unpriced;
    };
    let category = match told {
        UNTOLD => Some(own),
        told => category_named(told),
    };
    let nothing_yet = told == UNTOLD && own == Category::Service && at < SERVICE_CHARGED_FROM;
    if charge == "free" || nothing_yet {
        return Spent::default();
    }
    let rate = category.filter(|_| region != NOWHERE).and_then(|category| rate(market_of(region, at), category, at));
    rate.map_or(unpriced, |rate| Spent { amount: rate.amount.times(count), unpriced: 0 })
}

/// The categories of the rate card in Meta's words. Others (international authentication, groups, the Marketing Messages
/// API) have rates of their own, which the card does not hold.
fn category_named(name: &str) -> Option<Category> {
    match name {
        "marketing" => Some(Category::Marketing),
        "utility" => Some(Category::Utility),
        "authentication" => Some(Category::Authentication),
        "service" => Some(Category::Service),
        _ => None,
    }
}

/// The cost of a campaign or of one of its variants, as a report shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Cost {
    /// What Meta charges for what was delivered, by list price: volume tiers and the month's free service messages are
    /// Meta's to subtract.
    pub amount: Micros,
    /// Of all amounts.
    pub currency: &'static str,
    /// For each person who clicked; `None` when nobody did, or the amount is not the whole.
    pub per_click: Option<Micros>,
    /// For each person who replied.
    pub per_reply: Option<Micros>,
    /// For each deal that was closed.
    pub per_conversion: Option<Micros>,
    /// Delivered messages for which no rate is known; they are not in the amount.
    pub unpriced: u64,
}

impl Cost {
    /// The amount, shared among the people who did something.
    #[must_use]
    pub fn shared(spent: Spent, counted: &VariantTally) -> Self {
        let whole = Some(spent.amount).filter(|_| spent.unpriced == 0);
        let per = |stage| {
            let people = u64::try_from(counted.reached(stage)).unwrap_or(0);
            whole.and_then(|amount| amount.shared_by(people))
        };
        Self {
            amount: spent.amount,
            currency: CURRENCY,
            per_click: per(Stage::Clicked),
            per_reply: per(Stage::Replied),
            per_conversion: per(Stage::Closed),
            unpriced: spent.unpriced,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attempt::tests::{at, claimed};
    use crate::attempt::{Evidence, Failure, Flag, Moment};
    use crate::campaign::tests::campaign;
    use crate::rollup::Counts;

    /// 2026-11-21, after service messages became charged.
    const NOW: UnixMillis = UnixMillis(1_795_219_200_000);

    fn told(category: &str, kind: &str) -> Option<Pricing> {
        Some(Pricing { category: Some(category.to_owned()), kind: Some(kind.to_owned()), ..Pricing::default() })
    }

    fn spent(counts: &[(&str, i64)], message: &Message, at: UnixMillis) -> (String, u64) {
        let counts: Counts = counts.iter().map(|(name, n)| (format!("0.{name}"), *n)).collect();
        let tally = Tally::of([("TOTAL#00", &counts)]);
        let spent = Spent::on(&tally.variant(0), DELIVERED, message, Category::Marketing, at);
        (spent.amount.to_string(), spent.unpriced)
    }

    fn template() -> Message {
        serde_json::from_value(serde_json::json!({"type": "template", "template": {"name": "offer", "language": "en"}}))
            .unwrap()
    }

    #[test]
    fn a_message_counts_once_when_it_is_delivered_and_not_when_it_fails() {
        let mut attempt = claimed();
        assert_eq!(counter_of(&attempt).unwrap(), "open.MY.untold.charged");
        attempt.pricing = told("marketing", "regular");
        attempt.learn(&Evidence::Flag(Flag::Sent, at(1)));
        assert_eq!(counter_of(&attempt).unwrap(), "open.MY.marketing.charged");
        let mut failed = attempt.clone();
        let Moment { at: when, seen } = at(2);
        failed.learn(&Evidence::Failed(Failure { at: when, seen, code: 131_026, title: None, details: None }));
        assert_eq!(counter_of(&failed), None);
        attempt.learn(&Evidence::Flag(Flag::Read, at(2)));
        assert_eq!(counter_of(&attempt).unwrap(), "cost.MY.marketing.charged");
        attempt.pricing = told("service", "free_entry_point");
        assert_eq!(counter_of(&attempt).unwrap(), "cost.MY.service.free");
    }

    #[test]
    fn what_meta_has_told_counts_and_else_what_the_message_is() {
        let counts = [("cost.MY.marketing.charged", 10), ("cost.MY.untold.charged", 10), ("cost.MY.utility.free", 5)];
        // 0.086 each.
        assert_eq!(spent(&counts, &template(), NOW), ("1.72".to_owned(), 0));
        // The ten that Meta has not told of are service messages: 0.014 each.
        let service = rate(market_of("MY", NOW), Category::Service, NOW).unwrap().amount.times(10);
        let expected = Micros::from_decimal("0.86").unwrap().plus(service);
        assert_eq!(spent(&counts, &Message::text("Hi"), NOW), (expected.to_string(), 0));
    }

    #[test]
    fn service_messages_were_free_and_what_has_no_rate_is_not_guessed() {
        let before = UnixMillis(SERVICE_CHARGED_FROM.0 - 1);
        assert_eq!(spent(&[("cost.IN.untold.charged", 3)], &Message::text("Hi"), before), ("0.00".to_owned(), 0));
        for counter in [
            "cost.none.marketing.charged",
            "cost.MY.marketing_lite.charged",
            "cost.MY.conversation.charged",
            "cost.MY.charged",
        ] {
            assert_eq!(spent(&[(counter, 3)], &template(), NOW), ("0.00".to_owned(), 3), "{counter}");
        }
    }

    #[test]
    fn a_share_is_told_only_of_a_whole_amount_and_only_if_somebody_did_something() {
        let counts = Counts::from([("0.clicked".to_owned(), 3)]);
        let counted = Tally::of([("TOTAL#00", &counts)]).all();
        let whole = Spent { amount: Micros(1_000_000), unpriced: 0 };
        let cost = Cost::shared(whole, &counted);
        assert_eq!((cost.per_click, cost.per_reply), (Some(Micros(333_333)), None));
        assert_eq!(Cost::shared(Spent { unpriced: 1, ..whole }, &counted).per_click, None);
        assert_eq!(
            serde_json::to_string(&cost).unwrap(),
            r#"{"amount":"1.00","currency":"USD","per_click":"0.333333","per_reply":null,"per_conversion":null,"unpriced":0}"#
        );
    }

    #[test]
    fn each_share_is_by_the_people_of_its_own_stage_and_clicks_without_a_person_have_none() {
        let counts: Counts = [("clicked", 4), ("replied", 2), ("closed", 1), ("read", 9)]
            .map(|(name, n)| (format!("0.{name}"), n))
            .into();
        // A link that machines followed ten times.
        let clicks =
            Counts::from([("raw".to_owned(), 14), ("machine.preview".to_owned(), 10), ("human".to_owned(), 9)]);
        let counted = Tally::of([("TOTAL#00", &counts), ("CLICK#2026-11-21#00", &clicks)]).all();
        let cost = Cost::shared(Spent { amount: Micros(1_000_000), unpriced: 0 }, &counted);
        assert_eq!(cost.per_click, Some(Micros(250_000)), "by people who clicked, not by their clicks");
        assert_eq!((cost.per_reply, cost.per_conversion), (Some(Micros(500_000)), Some(Micros(1_000_000))));
    }

    #[test]
    fn a_campaign_costs_what_its_variants_cost_at_the_rates_of_its_start() {
        let mut campaign = campaign();
        campaign.variants = ["A", "B"]
            .map(|name| crate::campaign::Variant { name: name.to_owned(), weight: 1, message: template() })
            .to_vec();
        campaign.started_at = Some(NOW);
        let counts =
            Counts::from([("0.cost.MY.untold.charged".to_owned(), 1), ("1.cost.MY.untold.charged".to_owned(), 2)]);
        let tally = Tally::of([("TOTAL#00", &counts)]);
        assert_eq!(Spent::by(&campaign, &tally, DELIVERED).amount.to_string(), "0.258");
        assert_eq!(Spent::by(&campaign, &tally, OPEN), Spent::default());
        campaign.started_at = Some(UnixMillis(SERVICE_CHARGED_FROM.0 - 1));
        assert_eq!(Spent::by(&campaign, &tally, DELIVERED).unpriced, 3, "Malaysia's rate of September is not known");
    }
}
