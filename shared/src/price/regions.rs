//! Where the people of an audience are, counted once while it is planned, so that nobody has to read its pages again to
//! tell what it will cost.

use std::collections::BTreeMap;

use super::estimate::estimate_groups;
use super::{Estimate, charged_as, market_of, rate};
use crate::campaign::{Campaign, Category};
use crate::phone::PhoneNumber;
use crate::region::region_of;
use crate::time::UnixMillis;

/// People by region (ISO 3166 alpha-2).
pub type Regions = BTreeMap<String, u32>;

/// Stands for the region of a number that has none.
pub const NOWHERE: &str = "none";

/// Counts these people by region.
#[must_use]
pub fn regions_of<'p>(people: impl IntoIterator<Item = &'p PhoneNumber>) -> Regions {
    let mut regions = Regions::new();
    for phone in people {
        let region = region_of(phone).unwrap_or(NOWHERE);
        match regions.get_mut(region) {
            Some(count) => *count += 1,
            None => {
                regions.insert(region.to_owned(), 1);
            }
        }
    }
    regions
}

/// What one message to each of these people costs. Where variants are charged in different categories, a region's people
/// are split by the variants' weights.
#[must_use]
pub fn estimate_regions(campaign: &Campaign, regions: &Regions, at: UnixMillis) -> Estimate {
    let groups = regions.iter().flat_map(|(region, people)| {
        let region = Some(region.as_str()).filter(|region| *region != NOWHERE);
        by_category(campaign, *people).into_iter().map(move |(category, people)| (region, category, people))
    });
    estimate_groups(groups, at)
}

/// The card that these people's messages are priced by: since when it holds, and where it was published. Of several the
/// newest.
#[must_use]
pub fn newest_card(campaign: &Campaign, regions: &Regions, at: UnixMillis) -> Option<(UnixMillis, &'static str)> {
    let categories = campaign.variants.iter().map(|variant| charged_as(&variant.message, campaign.category));
    let rates = categories.flat_map(|category| {
        regions.keys().filter_map(move |region| rate(market_of(region, at), category, at)).collect::<Vec<_>>()
    });
    rates.map(|rate| (rate.effective_from, rate.source)).max()
}

fn by_category(campaign: &Campaign, people: u32) -> Vec<(Category, u64)> {
    let total: u64 = campaign.variants.iter().map(|variant| u64::from(variant.weight)).sum();
    let mut left = u64::from(people);
    let mut weight_left = total;
    campaign
        .variants
        .iter()
        .map(|variant| {
            let weight = u64::from(variant.weight);
            // The last one with a weight takes what rounding has left.
            let share = if weight == 0 || weight_left == 0 { 0 } else { left * weight / weight_left };
            (left, weight_left) = (left - share, weight_left - weight);
            (charged_as(&variant.message, campaign.category), share)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::tests::campaign;
    use crate::campaign::{Message, Variant};

    /// 2026-11-21.
    const NOW: UnixMillis = UnixMillis(1_795_219_200_000);

    #[test]
    fn people_are_counted_by_region() {
        let phones: Vec<PhoneNumber> =
            ["+60123456789", "+60123456780", "+12125550123"].iter().map(|phone| phone.parse().unwrap()).collect();
        assert_eq!(regions_of(&phones), [("MY".to_owned(), 2), ("US".to_owned(), 1)].into());
    }

    #[test]
    fn variants_of_different_categories_share_the_people_by_weight_and_nobody_is_lost() {
        let template = serde_json::json!({"type": "template", "template": {"name": "offer", "language": "en"}});
        let template: Message = serde_json::from_value(template).unwrap();
        let mut campaign = campaign();
        campaign.variants = [("A", 2, template), ("B", 1, Message::text("Hi")), ("C", 0, Message::text("Ho"))]
            .map(|(name, weight, message)| Variant { name: name.to_owned(), weight, message })
            .to_vec();
        assert_eq!(
            by_category(&campaign, 100),
            [(Category::Marketing, 66), (Category::Service, 34), (Category::Service, 0)]
        );
        // 66 at 0.086; the service messages may be free.
        let regions = Regions::from([("MY".to_owned(), 100), (NOWHERE.to_owned(), 3)]);
        let estimate = estimate_regions(&campaign, &regions, NOW);
        assert_eq!((estimate.low.to_string().as_str(), estimate.unpriced), ("5.676", 3));
    }
}
