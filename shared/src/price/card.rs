//! The rate card and the markets, read from two data files that say where their lines come from.

use std::collections::HashMap;
use std::fmt;
use std::mem::{Discriminant, discriminant};
use std::sync::LazyLock;

use serde::{Serialize, Serializer};

use super::{CURRENCY, Micros};
use crate::campaign::Category;
use crate::time::UnixMillis;

const CARD: &str = include_str!("../../data/rate-card.csv");
const MARKETS: &str = include_str!("../../data/markets.csv");

/// A market of Meta's rate card: a country, or a group of countries such as `Rest of Africa`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Market(&'static str);

impl Market {
    /// Where every country is that Meta does not list.
    pub const OTHER: Self = Self("Other");

    /// Its name on the rate card.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Market {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Serialize for Market {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0)
    }
}

/// The list price of one delivered message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// In [`CURRENCY`].
    pub amount: Micros,
    /// Since when it holds.
    pub effective_from: UnixMillis,
    /// Where it was published.
    pub source: &'static str,
}

/// What holds from a date on until the next one, oldest first.
type Dated<T> = Vec<(UnixMillis, T)>;

type Rates = HashMap<(Market, Discriminant<Category>), Dated<Rate>>;

static RATES: LazyLock<Rates> = LazyLock::new(|| {
    let mut rates = Rates::new();
    for [date, market, category, currency, amount, source] in lines(CARD) {
        if let (Some(effective_from), Some(category), Some(amount), CURRENCY) =
            (midnight(date), category_named(category), Micros::from_decimal(amount), currency)
        {
            let rate = Rate { amount, effective_from, source };
            rates.entry((Market(market), discriminant(&category))).or_default().push((effective_from, rate));
        }
    }
    rates.values_mut().for_each(|dated| dated.sort_by_key(|(from, _)| *from));
    rates
});

static BY_REGION: LazyLock<HashMap<&'static str, Dated<Market>>> = LazyLock::new(|| {
    let mut markets: HashMap<_, Dated<Market>> = HashMap::new();
    for [date, region, market] in lines(MARKETS) {
        if let Some(from) = midnight(date) {
            markets.entry(region).or_default().push((from, Market(market)));
        }
    }
    markets.values_mut().for_each(|dated| dated.sort_by_key(|(from, _)| *from));
    markets
});

/// The market of a region (ISO 3166 alpha-2; see [`crate::region::region_of`]) at that time: countries leave a group
/// for a market of their own now and then.
#[must_use]
pub fn market_of(region: &str, at: UnixMillis) -> Market {
    BY_REGION.get(region).and_then(|dated| holding(dated, at)).copied().unwrap_or(Market::OTHER)
}

/// What Meta charges in the market for a message of the category at that time; `None` where no rate is known, which is
/// not the same as free. A day begins in UTC here; with Meta it begins in the business account's time zone.
#[must_use]
pub fn rate(market: Market, category: Category, at: UnixMillis) -> Option<Rate> {
    holding(RATES.get(&(market, discriminant(&category)))?, at).copied()
}

/// What Meta charges at that time for a message of the category in the market where it is dearest.
#[must_use]
pub fn dearest_rate(category: Category, at: UnixMillis) -> Option<Micros> {
    let of_category = RATES.iter().filter(|((_, of), _)| *of == discriminant(&category));
    of_category.filter_map(|(_, dated)| holding(dated, at)).map(|rate| rate.amount).max()
}

fn holding<T>(dated: &Dated<T>, at: UnixMillis) -> Option<&T> {
    dated.iter().rev().find(|(from, _)| *from <= at).map(|(_, what)| what)
}

/// The lines of a file without its comments and its header. No field holds a comma or a quote (see the tests).
fn lines<const N: usize>(file: &'static str) -> impl Iterator<Item = [&'static str; N]> {
    let fields = |line: &'static str| line.split(',').collect::<Vec<_>>().try_into().ok();
    file.lines().filter(|line| !line.starts_with('#')).skip(1).filter_map(fields)
}

fn midnight(date: &str) -> Option<UnixMillis> {
    let at: jiff::Timestamp = format!("{date}T00:00:00Z").parse().ok()?;
    Some(UnixMillis(at.as_millisecond()))
}

fn category_named(name: &str) -> Option<Category> {
    match name {
        "marketing" => Some(Category::Marketing),
        "utility" => Some(Category::Utility),
        "authentication" => Some(Category::Authentication),
        "service" => Some(Category::Service),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn day(date: &str) -> UnixMillis {
        midnight(date).unwrap()
    }

    fn amount(region: &str, category: Category, date: &str) -> Option<String> {
        rate(market_of(region, day(date)), category, day(date)).map(|rate| rate.amount.to_string())
    }

    #[test]
    fn every_line_of_both_files_is_read() {
        let data_lines = |file: &str| file.lines().filter(|line| !line.starts_with('#')).count() - 1;
        assert_eq!(RATES.values().map(Vec::len).sum::<usize>(), data_lines(CARD));
        assert_eq!(BY_REGION.values().map(Vec::len).sum::<usize>(), data_lines(MARKETS));
        assert!(!CARD.contains('"') && !MARKETS.contains('"'));
    }

    #[test]
    fn the_card_of_october_2026_is_complete() {
        let at = day("2026-10-01");
        let markets: BTreeSet<Market> = RATES.keys().map(|(market, _)| *market).collect();
        assert_eq!(markets.len(), 47);
        for market in markets {
            for category in [Category::Marketing, Category::Utility, Category::Authentication, Category::Service] {
                assert_eq!(rate(market, category, at).unwrap().effective_from, at, "{market} {category:?}");
            }
        }
    }

    #[test]
    fn every_market_of_a_region_is_on_the_card() {
        for (region, dated) in BY_REGION.iter() {
            for (_, market) in dated {
                assert!(RATES.contains_key(&(*market, discriminant(&Category::Marketing))), "{region}: {market}");
            }
        }
    }

    #[test]
    fn a_rate_holds_from_its_day_on() {
        assert_eq!(amount("ZA", Category::Utility, "2026-09-30").as_deref(), Some("0.0076"));
        assert_eq!(amount("ZA", Category::Utility, "2026-10-01").as_deref(), Some("0.0095"));
        assert_eq!(amount("ZA", Category::Utility, "2027-03-01").as_deref(), Some("0.0095"));
        assert_eq!(amount("ZA", Category::Utility, "2026-06-30"), None, "not known, and not free");
        assert_eq!(amount("MY", Category::Marketing, "2026-09-30"), None, "not known, and not the rate of October");
    }

    #[test]
    fn a_country_that_leaves_its_group_is_in_it_until_then() {
        let market = |region, date| market_of(region, day(date)).name();
        assert_eq!(market("MA", "2026-09-30"), "Rest of Africa");
        assert_eq!(market("MA", "2026-10-01"), "Morocco");
        assert_eq!(market("KZ", "2026-09-30"), "Other");
        assert_eq!(market("KZ", "2026-10-01"), "Kazakhstan");
    }

    #[test]
    fn regions_of_one_calling_code_may_be_in_different_markets() {
        let market = |region| market_of(region, day("2026-11-21")).name();
        assert_eq!((market("US"), market("CA")), ("North America", "North America"));
        assert_eq!(
            (market("JM"), market("DO"), market("PR")),
            ("Rest of Latin America", "Rest of Latin America", "Rest of Latin America")
        );
        assert_eq!((market("BS"), market("KR"), market("ZZ")), ("Other", "Other", "Other"));
        assert_eq!((market("GB"), market("JE")), ("United Kingdom", "United Kingdom"));
    }
}
