//! How Meta rates a number and its business: quality, messaging limit and throughput, as far as an operator has changed
//! them. It starts as good as can be and is not journalled.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// Quality rating of a number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Quality {
    /// High.
    #[default]
    Green,
    /// Medium.
    Yellow,
    /// Low: Meta flags the number.
    Red,
}

/// Messaging limit of a business: how many people all its numbers together may write to first in 24 hours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum MessagingTier {
    /// 250 people.
    #[serde(rename = "TIER_250")]
    Tier250,
    /// 2,000 people.
    #[serde(rename = "TIER_2K")]
    Tier2K,
    /// 10,000 people.
    #[serde(rename = "TIER_10K")]
    Tier10K,
    /// 100,000 people.
    #[serde(rename = "TIER_100K")]
    Tier100K,
    /// No limit.
    #[default]
    #[serde(rename = "TIER_UNLIMITED")]
    Unlimited,
}

impl MessagingTier {
    /// People in 24 hours ("Messaging limits" of the Cloud API); `None` without a limit.
    #[must_use]
    pub fn limit(self) -> Option<u32> {
        match self {
            Self::Tier250 => Some(250),
            Self::Tier2K => Some(2_000),
            Self::Tier10K => Some(10_000),
            Self::Tier100K => Some(100_000),
            Self::Unlimited => None,
        }
    }
}

/// A change of how a number is rated. What is absent stays as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NumberChange {
    /// Quality rating.
    pub quality: Option<Quality>,
    /// Messaging limit, which all numbers of the account share.
    pub tier: Option<MessagingTier>,
    /// Messages per second that the number may send.
    pub throughput: Option<u32>,
}

/// What an operator has changed.
#[derive(Debug, Default)]
pub(crate) struct Standings {
    qualities: HashMap<String, Quality>,
    throughputs: HashMap<String, u32>,
    tiers: HashMap<String, MessagingTier>,
}

impl Standings {
    pub(crate) fn quality(&self, phone_number_id: &str) -> Quality {
        self.qualities.get(phone_number_id).copied().unwrap_or_default()
    }

    pub(crate) fn throughput(&self, phone_number_id: &str) -> Option<u32> {
        self.throughputs.get(phone_number_id).copied()
    }

    /// The tier of an account if it has been changed.
    pub(crate) fn tier(&self, waba_id: &str) -> Option<MessagingTier> {
        self.tiers.get(waba_id).copied()
    }

    /// Takes in a change.
    pub(crate) fn change(&mut self, phone_number_id: &str, waba_id: &str, change: &NumberChange) {
        if let Some(quality) = change.quality {
            self.qualities.insert(phone_number_id.to_owned(), quality);
        }
        if let Some(throughput) = change.throughput {
            self.throughputs.insert(phone_number_id.to_owned(), throughput);
        }
        if let Some(tier) = change.tier {
            self.tiers.insert(waba_id.to_owned(), tier);
        }
    }
}
