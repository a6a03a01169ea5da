//! The report of a campaign: stages, who is stuck where, errors, clicks, delays and rates, for all variants and for each.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};
use shared::attempt::Stage;
use shared::campaign::{Campaign, Status};
use shared::id::CampaignId;
use shared::meta::error::ErrorClass;
use shared::price::ledger::{Cost, DELIVERED, Spent};
use shared::rollup::histogram::quantile;
use shared::rollup::tally::{Tally, VariantTally};
use shared::rollup::unsent::Unsent;
use shared::time::{UnixMillis, rfc3339};

/// Version of the definitions behind the figures.
const DEFINITION_VERSION: u32 = 1;

/// A campaign's report.
#[derive(Debug, Serialize)]
pub struct Report {
    campaign_id: CampaignId,
    status: Status,
    #[serde(with = "rfc3339")]
    as_of: UnixMillis,
    definition_version: u32,
    recipients: i64,
    pending: i64,
    skipped: i64,
    /// Why they were skipped; adds up to `skipped`.
    skips: BTreeMap<String, i64>,
    unknown: i64,
    holdout: i64,
    #[serde(flatten)]
    figures: Figures,
    cost: Cost,
    clicks: Clicks,
    variants: Vec<VariantReport>,
}

/// The report of one variant. Clicks by visitor are counted per campaign, so a variant shows its clickers only.
#[derive(Debug, Serialize)]
struct VariantReport {
    name: String,
    unknown: i64,
    /// Left out when it was their turn.
    skipped: i64,
    #[serde(flatten)]
    figures: Figures,
    cost: Cost,
    clicks: UniqueClicks,
}

#[derive(Debug, Serialize)]
struct Figures {
    #[serde(serialize_with = "in_order")]
    stages: Vec<(&'static str, StageCount)>,
    #[serde(serialize_with = "in_order")]
    stuck_at: Vec<(&'static str, i64)>,
    failed: i64,
    errors: Vec<ErrorCount>,
    opted_out: i64,
    delays_ms: Delays,
    rates: Rates,
}

/// Writes names and values as a JSON object in the funnel's order.
fn in_order<T: Serialize, S: Serializer>(entries: &[(&'static str, T)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(entries.iter().map(|(name, value)| (name, value)))
}

/// How many recipients reached a stage. `rate` is their share of those that Meta accepted.
#[derive(Debug, Serialize)]
struct StageCount {
    count: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    inferred: Option<i64>,
    rate: Option<f64>,
}

#[derive(Debug, Serialize)]
struct ErrorCount {
    code: i64,
    title: String,
    count: i64,
    class: ErrorClass,
}

#[derive(Debug, Serialize)]
struct Clicks {
    human: i64,
    raw: i64,
    unique: i64,
    excluded: BTreeMap<String, i64>,
    by: BTreeMap<&'static str, BTreeMap<String, i64>>,
}

#[derive(Debug, Serialize)]
struct UniqueClicks {
    unique: i64,
}

#[derive(Debug, Serialize)]
struct Delays {
    time_to_deliver: Delay,
    time_to_open: Delay,
    time_to_click: Delay,
    time_to_reply: Delay,
}

#[derive(Debug, Serialize)]
struct Delay {
    p50: Option<u64>,
    p90: Option<u64>,
    p99: Option<u64>,
    n: i64,
}

#[derive(Debug, Serialize)]
struct Rates {
    delivery: Rate,
    read: Rate,
    open: Rate,
    click: Rate,
    click_to_open: Rate,
    response: Rate,
    error: Rate,
    opt_out: Rate,
    conversion: Rate,
}

/// A share with its Wilson 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Rate {
    pub(crate) value: Option<f64>,
    numerator: i64,
    denominator: i64,
    low: Option<f64>,
    high: Option<f64>,
}

impl Report {
    /// The report that the counters give.
    #[must_use]
    pub fn new(campaign: &Campaign, tally: &Tally, as_of: UnixMillis) -> Self {
        let all = tally.all();
        let unsent = Unsent::of(campaign, &all);
        let began = campaign.started_at.unwrap_or(campaign.created_at);
        let variants = campaign.variants.iter().zip(0_u8..).map(|(variant, index)| {
            let counted = tally.variant(index);
            let spent = Spent::on(&counted, DELIVERED, &variant.message, campaign.category, began);
            VariantReport {
                name: variant.name.clone(),
                unknown: counted.count("unknown"),
                skipped: counted.count("skipped"),
                clicks: UniqueClicks { unique: counted.reached(Stage::Clicked) },
                cost: Cost::shared(spent, &counted),
                figures: Figures::new(&counted),
            }
        });
        Self {
            campaign_id: campaign.id,
            status: campaign.status,
            as_of,
            definition_version: DEFINITION_VERSION,
            recipients: i64::from(campaign.recipients),
            pending: unsent.pending,
            skipped: unsent.skipped,
            skips: unsent.skips,
            unknown: all.count("unknown"),
            holdout: i64::from(campaign.holdout),
            cost: Cost::shared(Spent::by(campaign, tally, DELIVERED), &all),
            clicks: Clicks::new(tally, &all),
            variants: variants.collect(),
            figures: Figures::new(&all),
        }
    }
}

impl Clicks {
    fn new(tally: &Tally, all: &VariantTally) -> Self {
        let by = ["device", "os", "browser", "country"]
            .into_iter()
            .map(|dimension| (dimension, tally.clicks_by(dimension).into_iter().collect()))
            .collect();
        Self {
            human: tally.clicks("human"),
            raw: tally.clicks("raw"),
            unique: all.reached(Stage::Clicked),
            excluded: tally.clicks_by("machine").into_iter().collect(),
            by,
        }
    }
}

impl Figures {
    fn new(counted: &VariantTally) -> Self {
        let accepted = counted.reached(Stage::Sent);
        let stages = Stage::ALL.into_iter().map(|stage| {
            let count = counted.reached(stage);
            let inferred = matches!(stage, Stage::Delivered | Stage::Read)
                .then(|| counted.count(&format!("{}.inferred", stage.name())));
            (stage.name(), StageCount { count, inferred, rate: share(count, accepted) })
        });
        let stuck_at = Stage::ALL.into_iter().filter(|stage| *stage != Stage::Closed);
        let errors = counted.errors().into_iter().map(|(code, count)| ErrorCount {
            code,
            title: title_of(code).to_owned(),
            count,
            class: ErrorClass::of(code, 400, false),
        });
        Self {
            stages: stages.collect(),
            stuck_at: stuck_at.map(|stage| (stage.name(), counted.stuck_at(stage))).collect(),
            failed: counted.count("failed"),
            errors: errors.collect(),
            opted_out: counted.count("opted_out"),
            delays_ms: Delays {
                time_to_deliver: Delay::new(counted, "deliver"),
                time_to_open: Delay::new(counted, "open"),
                time_to_click: Delay::new(counted, "click"),
                time_to_reply: Delay::new(counted, "reply"),
            },
            rates: Rates::new(counted),
        }
    }
}

impl Delay {
    fn new(counted: &VariantTally, name: &str) -> Self {
        let histogram = counted.delay(name);
        let at = |q: f64| quantile(histogram.iter().map(|(bucket, n)| (*bucket, *n)), q);
        Self { p50: at(0.5), p90: at(0.9), p99: at(0.99), n: histogram.values().sum() }
    }
}

impl Rates {
    fn new(counted: &VariantTally) -> Self {
        let accepted = counted.reached(Stage::Sent);
        let delivered = counted.reached(Stage::Delivered);
        let opened = counted.reached(Stage::Read);
        let observed_reads = opened - counted.count("read.inferred");
        let clickers = counted.reached(Stage::Clicked);
        let failed = counted.count("failed");
        Self {
            delivery: Rate::new(delivered, accepted),
            read: Rate::new(observed_reads, delivered),
            open: Rate::new(opened, delivered),
            click: Rate::new(clickers, delivered),
            click_to_open: Rate::new(clickers, opened),
            response: Rate::new(counted.reached(Stage::Replied), delivered),
            error: Rate::new(failed, accepted + counted.count("rejected")),
            opt_out: Rate::new(counted.count("opted_out"), delivered),
            conversion: Rate::new(counted.reached(Stage::Closed), delivered),
        }
    }
}

impl Rate {
    #[allow(clippy::cast_precision_loss, reason = "counts of people are far below 2^52")]
    pub(crate) fn new(numerator: i64, denominator: i64) -> Self {
        if denominator <= 0 {
            return Self { value: None, numerator, denominator, low: None, high: None };
        }
        // Wilson's score interval, z = 1.96.
        let (n, p, z) = (denominator as f64, numerator as f64 / denominator as f64, 1.96_f64);
        let z2 = z * z;
        let middle = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
        let half = z * ((p * (1.0 - p) + z2 / (4.0 * n)) / n).max(0.0).sqrt() / (1.0 + z2 / n);
        Self {
            value: Some(round(p)),
            numerator,
            denominator,
            low: Some(round((middle - half).max(0.0))),
            high: Some(round((middle + half).min(1.0))),
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "as above")]
pub(crate) fn share(part: i64, whole: i64) -> Option<f64> {
    (whole > 0).then(|| round(part as f64 / whole as f64))
}

/// Four decimals: a hundredth of a percent.
pub(crate) fn round(value: f64) -> f64 {
    (value * 10_000.0).round() / 10_000.0
}

/// What the frequent codes mean, in our words; Meta's own title is on the recipient.
pub(crate) const fn title_of(code: i64) -> &'static str {
    match code {
        0 => "Not sent, or failed without a code",
        100 => "Invalid parameter",
        130_429 => "Too many messages a second",
        130_472 => "Recipient takes part in an experiment of Meta's",
        131_000 => "Something went wrong at Meta",
        131_021 => "Recipient and sender are the same",
        131_026 => "Not deliverable to this recipient",
        131_047 => "The 24-hour service window is closed",
        131_049 => "Held back by Meta for the recipient's sake",
        131_050 => "Recipient has stopped marketing messages",
        131_053 => "Media could not be used",
        131_056 => "Too many messages to one person",
        132_000..=132_999 => "Template does not fit",
        _ => "See Meta's error reference",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_has_its_wilson_interval() {
        let rate = Rate::new(180, 240);
        assert_eq!(rate.value, Some(0.75));
        assert_eq!((rate.low, rate.high), (Some(0.6916), Some(0.8006)));
        assert_eq!(Rate::new(0, 0).value, None);
        let all = Rate::new(5, 5);
        assert_eq!(all.high, Some(1.0));
    }
}
