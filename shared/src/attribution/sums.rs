//! Conversions added up: by campaign and variant, those that nothing led to, and all together. Sums are exact and do not
//! depend on the order in which conversions come.

use std::collections::BTreeMap;

use super::worth::{Worth, Worths};
use super::{Credit, TouchKind, WHOLE};
use crate::campaign::VariantIndex;
use crate::id::CampaignId;

/// What conversions came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Millionths of conversions.
    pub parts: u64,
    /// What they were worth.
    pub worths: Worths,
    /// Touchpoints that they can be put down to, by kind, whatever part each has.
    pub touchpoints: BTreeMap<TouchKind, u64>,
}

impl Sum {
    fn add(&mut self, parts: u32, worth: Option<(&str, Worth)>) {
        self.parts += u64::from(parts);
        if let Some((currency, worth)) = worth {
            let known = self.worths.entry(currency.to_owned()).or_default();
            *known = known.plus(worth);
        }
    }

    /// Both together.
    pub fn merge(&mut self, other: &Self) {
        self.parts += other.parts;
        for (currency, worth) in &other.worths {
            let known = self.worths.entry(currency.clone()).or_default();
            *known = known.plus(*worth);
        }
        for (kind, n) in &other.touchpoints {
            *self.touchpoints.entry(*kind).or_default() += n;
        }
    }
}

/// Conversions by what they are put down to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// By campaign and variant; `None` is what names no recipient, or one whose variant is not known.
    pub campaigns: BTreeMap<CampaignId, BTreeMap<Option<VariantIndex>, Sum>>,
    /// Those that nothing led to, as far as is known.
    pub unattributed: Sum,
    /// All of them.
    pub total: Sum,
}

impl Sums {
    /// Takes in a conversion, what it was worth and what it is put down to.
    pub fn add(&mut self, credits: &[Credit], worth: Option<(&str, Worth)>) {
        self.total.add(WHOLE, worth);
        if credits.is_empty() {
            self.unattributed.add(WHOLE, worth);
            return;
        }
        let weights: Vec<u32> = credits.iter().map(|credit| credit.parts).collect();
        let shares = worth.map(|(currency, worth)| (currency, worth.shared(&weights)));
        for (place, Credit { touchpoint, parts }) in credits.iter().enumerate() {
            let share = shares.as_ref().map(|(currency, shares)| (*currency, shares[place]));
            let variants = self.campaigns.entry(touchpoint.campaign).or_default();
            let sum = variants.entry(touchpoint.variant).or_default();
            sum.add(*parts, share.filter(|(_, worth)| *worth > Worth(0)));
            *sum.touchpoints.entry(touchpoint.kind).or_default() += 1;
            *self.total.touchpoints.entry(touchpoint.kind).or_default() += 1;
        }
    }

    /// A campaign's, all variants together.
    #[must_use]
    pub fn of_campaign(&self, campaign: CampaignId) -> Sum {
        let mut sum = Sum::default();
        for variant in self.campaigns.get(&campaign).into_iter().flat_map(BTreeMap::values) {
            sum.merge(variant);
        }
        sum
    }
}
