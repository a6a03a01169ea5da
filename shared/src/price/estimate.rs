//! What a campaign will cost, between what it costs when all that may be free is free, and what it costs when nothing
//! is.

use std::collections::HashMap;
use std::mem::discriminant;

use serde::Serialize;

use super::{CURRENCY, Micros, market_of, rate};
use crate::campaign::{Category, Message};
use crate::time::UnixMillis;

/// Service messages of a business number that are free in each month since service messages are charged (Meta,
/// pricing).
const FREE_SERVICE_MESSAGES: u64 = 1_000;

/// Since 2026-10-01, service messages are charged, and utility templates in an open service window (Meta, pricing
/// updates).
pub(super) const SERVICE_CHARGED_FROM: UnixMillis = UnixMillis(1_790_812_800_000);

/// What messages will cost if all of them are delivered: one that is not is free (Meta, pricing).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Estimate {
    /// When every message is free that may be.
    pub low: Micros,
    /// When every message is charged.
    pub high: Micros,
    /// Of both amounts.
    pub currency: &'static str,
    /// Messages for which no rate is known; they are in neither amount.
    pub unpriced: u32,
}

/// The category that Meta charges a message in: one without a template is a service message, whatever it is for.
#[must_use]
pub const fn charged_as(message: &Message, category: Category) -> Category {
    if matches!(message, Message::Template { .. }) { category } else { Category::Service }
}

/// The cost of one message to each recipient, given by region (ISO 3166 alpha-2, `None` where the number tells none)
/// and the category it is charged in (see [`charged_as`]). Whether a recipient's service window is open is not known
/// yet.
///
/// Counted as free in `low`: until 30 September 2026, utility templates, which were free in an open window; since then,
/// the 1,000 dearest service messages, the month's free ones if none is used yet. Until then service messages are free
/// in both. Not counted as free: messages to people who came from an ad in the last 72 hours. Volume tiers, which are
/// cheaper, and authentication-international rates, which are dearer, are left out of both.
#[must_use]
pub fn estimate<'r>(messages: impl IntoIterator<Item = (Option<&'r str>, Category)>, at: UnixMillis) -> Estimate {
    estimate_groups(messages.into_iter().map(|(region, category)| (region, category, 1)), at)
}

/// The same for groups of messages of one region and category.
pub(super) fn estimate_groups<'r>(
    groups: impl IntoIterator<Item = (Option<&'r str>, Category, u64)>,
    at: UnixMillis,
) -> Estimate {
    let mut counted = HashMap::new();
    for (region, category, messages) in groups {
        counted.entry((region, discriminant(&category))).or_insert((category, 0_u64)).1 += messages;
    }
    let service_charged = at >= SERVICE_CHARGED_FROM;
    let mut service = Vec::new();
    let mut unpriced = 0_u64;
    let (mut low, mut high) = (Micros::default(), Micros::default());
    for ((region, _), (category, count)) in counted {
        if category == Category::Service && !service_charged {
            continue;
        }
        let Some(rate) = region.and_then(|region| rate(market_of(region, at), category, at)) else {
            unpriced = unpriced.saturating_add(count);
            continue;
        };
        high = high.plus(rate.amount.times(count));
        match category {
            Category::Utility if !service_charged => {}
            Category::Service => service.push((rate.amount, count)),
            _ => low = low.plus(rate.amount.times(count)),
        }
    }
    low = low.plus(beyond_the_free(service));
    Estimate { low, high, currency: CURRENCY, unpriced: u32::try_from(unpriced).unwrap_or(u32::MAX) }
}

/// What service messages cost when the dearest of them are the free ones.
fn beyond_the_free(mut service: Vec<(Micros, u64)>) -> Micros {
    service.sort_by(|one, other| other.cmp(one));
    let mut free = FREE_SERVICE_MESSAGES;
    service.into_iter().fold(Micros::default(), |cost, (amount, count)| {
        let charged = count.saturating_sub(free);
        free = free.saturating_sub(count);
        cost.plus(amount.times(charged))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day(date: &str) -> UnixMillis {
        UnixMillis(format!("{date}T00:00:00Z").parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    fn of(groups: &[(&'static str, Category, usize)], date: &str) -> (String, String, u32) {
        let messages = groups.iter().flat_map(|(region, category, count)| {
            std::iter::repeat_n((Some(*region).filter(|region| !region.is_empty()), *category), *count)
        });
        let estimate = estimate(messages, day(date));
        (estimate.low.to_string(), estimate.high.to_string(), estimate.unpriced)
    }

    fn is(low: &str, high: &str, unpriced: u32) -> (String, String, u32) {
        (low.to_owned(), high.to_owned(), unpriced)
    }

    #[test]
    fn marketing_and_codes_are_always_charged() {
        assert_eq!(of(&[("MY", Category::Marketing, 250)], "2026-11-21"), is("21.50", "21.50", 0));
        assert_eq!(of(&[("BR", Category::Authentication, 10)], "2026-08-01"), is("0.068", "0.068", 0));
    }

    #[test]
    fn utility_may_have_been_free_until_september_2026() {
        assert_eq!(of(&[("IN", Category::Utility, 1_000)], "2026-09-30"), is("0.00", "1.40", 0));
        assert_eq!(of(&[("IN", Category::Utility, 1_000)], "2026-10-01"), is("1.40", "1.40", 0));
    }

    #[test]
    fn service_was_free_and_now_the_dearest_thousand_may_be() {
        let messages = [("IN", Category::Service, 500), ("DE", Category::Service, 900)];
        assert_eq!(of(&messages, "2026-09-30"), is("0.00", "0.00", 0));
        // 900 German ones at 0.055 and 100 Indian ones at 0.0014 are free.
        assert_eq!(of(&messages, "2026-10-01"), is("0.56", "50.20", 0));
    }

    #[test]
    fn what_has_no_known_rate_is_counted_and_not_guessed() {
        let messages = [("MY", Category::Marketing, 3), ("BR", Category::Marketing, 2), ("", Category::Marketing, 4)];
        assert_eq!(of(&messages, "2026-09-30"), is("0.125", "0.125", 7));
        assert_eq!(of(&messages, "2026-11-21"), is("0.383", "0.383", 4));
        assert_eq!(of(&[], "2026-11-21"), is("0.00", "0.00", 0));
    }

    #[test]
    fn a_message_without_a_template_is_charged_as_service() {
        assert_eq!(charged_as(&Message::text("Hi"), Category::Marketing), Category::Service);
        let template = serde_json::json!({"type": "template", "template": {"name": "offer", "language": "en"}});
        let template: Message = serde_json::from_value(template).unwrap();
        assert_eq!(charged_as(&template, Category::Marketing), Category::Marketing);
    }

    #[test]
    fn the_json_shows_exact_decimals() {
        let estimate = estimate([(Some("AR"), Category::Marketing)], day("2026-11-21"));
        let json = serde_json::to_string(&estimate).unwrap();
        assert_eq!(json, r#"{"low":"0.0618","high":"0.0618","currency":"USD","unpriced":0}"#);
    }

    proptest! {
        #[test]
        fn low_is_never_above_high_and_order_does_not_matter(
            mut messages in prop::collection::vec((0_usize..6, 0_usize..4), 0..50), later: bool,
        ) {
            const REGIONS: [Option<&str>; 6] = [Some("IN"), Some("DE"), Some("MY"), Some("KZ"), Some("BS"), None];
            const CATEGORIES: [Category; 4] =
                [Category::Marketing, Category::Utility, Category::Authentication, Category::Service];
            let at = day(if later { "2026-11-21" } else { "2026-08-01" });
            let of = |messages: &[(usize, usize)]| estimate(messages.iter().map(|(r, c)| (REGIONS[*r], CATEGORIES[*c])), at);
            let there = of(&messages);
            prop_assert!(there.low <= there.high);
            messages.reverse();
            prop_assert_eq!(of(&messages), there);
        }
    }
}
