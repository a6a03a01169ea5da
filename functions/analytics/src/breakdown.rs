//! `GET /v1/campaigns/{id}/breakdown?by=`: who a campaign's clicks came from, where they led and when, and why messages failed,
//! and `GET /v1/campaigns/{id}/timeseries`. Both are read from counters.

use std::str::FromStr;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use shared::attempt::{Flag, Stage};
use shared::campaign::Campaign;
use shared::http::auth::Caller;
use shared::http::params::Params;
use shared::http::problem::Problem;
use shared::rollup::contribution::{campaign_pk, view};
use shared::rollup::series::{self, Interval, Series};
use shared::rollup::tally::Tally;
use shared::store::rollups::CounterItem;
use shared::time::UnixMillis;

use crate::report::{share, title_of};
use crate::{Analytics, find, span};

/// What a breakdown can be by.
const DIMENSIONS: &str =
    "must be device, os, browser, country, region, city, referrer, link, variant, error, hour or hour_of_day";

/// Points of one answer; a series that has more goes on at `next_from`. About 1 MB, and Lambda answers with 6 MB.
const MOST_POINTS: usize = 10_000;

/// What a breakdown is by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dimension {
    /// Clicks by what is known of the visitor: the name of the counters.
    Visitor(&'static str),
    Link,
    Variant,
    Error,
    Hour,
    HourOfDay,
}

impl FromStr for Dimension {
    type Err = Problem;

    fn from_str(name: &str) -> Result<Self, Problem> {
        let visitor = ["device", "os", "browser", "country", "region", "city", "referrer"];
        if let Some(known) = visitor.into_iter().find(|known| *known == name) {
            return Ok(Self::Visitor(known));
        }
        match name {
            "link" => Ok(Self::Link),
            "variant" => Ok(Self::Variant),
            "error" => Ok(Self::Error),
            "hour" => Ok(Self::Hour),
            "hour_of_day" => Ok(Self::HourOfDay),
            // A contact's persona changes; no counter can follow.
            "persona" => Err(Problem::invalid("/by", format!("a persona is not counted; {DIMENSIONS}"))),
            _ => Err(Problem::invalid("/by", DIMENSIONS)),
        }
    }
}

impl Dimension {
    /// What its rows count.
    const fn counted(self) -> &'static str {
        match self {
            Self::Visitor(_) | Self::Link => "clicks",
            // The flag of a recipient: their first click.
            Self::Variant | Self::Hour | Self::HourOfDay => "people_who_clicked",
            Self::Error => "failures",
        }
    }

    /// The view of the counters that tell it: people's clicks, not all.
    const fn view(self) -> &'static str {
        match self {
            Self::Visitor(_) | Self::Link => view::VISIT,
            Self::Variant | Self::Error => view::TOTAL,
            Self::Hour | Self::HourOfDay => view::MINUTE,
        }
    }

    fn rows(self, campaign: &Campaign, items: &[CounterItem]) -> Vec<Row> {
        let pairs = || items.iter().map(|item| (item.sk.as_str(), &item.counts));
        match self {
            Self::Visitor(name) => Tally::of(pairs()).clicks_by(name).into_iter().map(Row::from).collect(),
            Self::Link => links(campaign, &Tally::of(pairs())),
            Self::Variant => variants(campaign, &Tally::of(pairs())),
            Self::Error => {
                let errors = Tally::of(pairs()).all().errors();
                errors
                    .into_iter()
                    .map(|(code, n)| Row::new(code.to_string(), n).with("title", title_of(code)))
                    .collect()
            }
            Self::Hour => {
                let clicked = Flag::Clicked.name();
                let hours = Series::of(pairs()).points(Interval::Hour, &[clicked]);
                hours.into_iter().map(|(hour, counts)| Row::new(hour, counts.values().sum())).collect()
            }
            Self::HourOfDay => {
                Series::of(pairs()).by_hour_of_day(Flag::Clicked.name()).into_iter().map(Row::from).collect()
            }
        }
    }
}

/// A row of a breakdown.
#[derive(Debug, PartialEq, Serialize)]
struct Row {
    value: String,
    count: i64,
    /// Of all rows.
    share: Option<f64>,
    #[serde(flatten)]
    more: Map<String, Value>,
}

impl Row {
    fn new(value: String, count: i64) -> Self {
        Self { value, count, share: None, more: Map::new() }
    }

    fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.more.insert(name.to_owned(), value.into());
        self
    }
}

impl From<(String, i64)> for Row {
    fn from((value, count): (String, i64)) -> Self {
        Self::new(value, count)
    }
}

/// People's clicks by link, most first, each with its destination as the message has it.
fn links(campaign: &Campaign, tally: &Tally) -> Vec<Row> {
    let counted = tally.clicks_by("link");
    let people = counted.into_iter().filter_map(|(name, n)| Some((name.strip_suffix(".human")?.to_owned(), n)));
    let rows = people.map(|(id, n)| {
        let link = campaign.links.iter().find(|link| link.id.get().to_string() == id);
        let url = link.map(|link| link.url.clone());
        // Campaigns of earlier versions know their links by number only.
        let public = link.and_then(|link| link.link_id).map(|id| id.to_string());
        Row::new(public.unwrap_or(id), n).with("url", url)
    });
    rows.collect()
}

/// People who clicked, by the variant that they got; all variants, most first.
fn variants(campaign: &Campaign, tally: &Tally) -> Vec<Row> {
    let rows = campaign.variants.iter().zip(0_u8..).map(|(variant, index)| {
        let counted = tally.variant(index);
        Row::new(variant.name.clone(), counted.reached(Stage::Clicked)).with("sent", counted.reached(Stage::Sent))
    });
    let mut rows: Vec<Row> = rows.collect();
    // Stable: equal ones stay in the campaign's order.
    rows.sort_by_key(|row| std::cmp::Reverse(row.count));
    rows
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BreakdownAsked {
    by: Option<String>,
}

/// `GET /v1/campaigns/{id}/breakdown?by=`: rows most first, those by hour in the order of time (UTC).
pub(crate) async fn breakdown(
    State(analytics): State<Arc<Analytics>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Params(asked): Params<BreakdownAsked>,
) -> Result<Json<Value>, Problem> {
    let campaign = find(&analytics, caller, &id).await?;
    let by = asked.by.ok_or_else(|| Problem::invalid("/by", DIMENSIONS))?;
    let dimension: Dimension = by.parse()?;
    let as_of = UnixMillis::now();
    let pk = campaign_pk(campaign.workspace, campaign.id);
    let items = analytics.rollups.items(&pk, dimension.view()).await?;
    let mut rows = dimension.rows(&campaign, &items);
    let total: i64 = rows.iter().map(|row| row.count).sum();
    for row in &mut rows {
        row.share = share(row.count, total);
    }
    Ok(Json(json!({
        "campaign_id": campaign.id,
        "as_of": as_of.to_rfc3339(),
        "by": by,
        "counted": dimension.counted(),
        "total": total,
        "data": rows,
    })))
}

/// What a series can be of: the name in the API, and that of the counter.
const METRICS: [(&str, Flag); 6] = [
    // A message is sent when Meta has accepted it, as in the report.
    ("sent", Flag::Accepted),
    ("delivered", Flag::Delivered),
    ("read", Flag::Read),
    ("clicked", Flag::Clicked),
    ("replied", Flag::Replied),
    ("closed", Flag::Closed),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SeriesAsked {
    metric: Option<String>,
    interval: Option<String>,
    from: Option<String>,
    to: Option<String>,
}

fn metrics(asked: Option<&str>) -> Result<Vec<(&'static str, Flag)>, Problem> {
    let Some(asked) = asked else { return Ok(METRICS.to_vec()) };
    let known = |name: &str| METRICS.into_iter().find(|(known, _)| *known == name.trim());
    let named: Option<Vec<_>> = asked.split(',').map(known).collect();
    let wrong = "must be names of sent, delivered, read, clicked, replied and closed, separated by commas";
    named.ok_or_else(|| Problem::invalid("/metric", wrong))
}

/// `GET /v1/campaigns/{id}/timeseries?metric=&interval=&from=&to=`: how many recipients did each thing for the first time, as
/// it was reported, in each minute, hour or day (UTC). Points without any are left out.
pub(crate) async fn timeseries(
    State(analytics): State<Arc<Analytics>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Params(asked): Params<SeriesAsked>,
) -> Result<Json<Value>, Problem> {
    let campaign = find(&analytics, caller, &id).await?;
    let metrics = metrics(asked.metric.as_deref())?;
    let name = asked.interval.as_deref().unwrap_or(Interval::Hour.name());
    let interval = Interval::named(name).ok_or_else(|| Problem::invalid("/interval", "must be minute, hour or day"))?;
    let from = asked.from.as_deref().map(|from| span::moment("/from", from)).transpose()?;
    let until = asked.to.as_deref().map(|to| span::moment("/to", to)).transpose()?;
    let as_of = UnixMillis::now();
    let (begin, end) = (from.unwrap_or_default(), until.unwrap_or(UnixMillis(MOST_DISTANT)));
    if begin >= end {
        return Err(Problem::invalid("/from", "must lie before to"));
    }
    let (first, last) = series::sort_keys(begin, end);
    let pk = campaign_pk(campaign.workspace, campaign.id);
    let items = analytics.rollups.items_between(&pk, &first, &last).await?;
    let series = Series::of(items.iter().map(|item| (item.sk.as_str(), &item.counts))).between(from, until);
    let counters: Vec<&str> = metrics.iter().map(|(_, flag)| flag.name()).collect();
    let points = series.points(interval, &counters);
    let next = points.keys().nth(MOST_POINTS).map(|point| interval.begins(point));
    let points: Vec<Value> = points
        .iter()
        .take(MOST_POINTS)
        .map(|(point, counts)| {
            let figures = metrics.iter().map(|(name, flag)| {
                let n = counts.get(flag.name()).copied().unwrap_or(0);
                ((*name).to_owned(), Value::from(n))
            });
            let mut shown: Map<String, Value> = figures.collect();
            shown.insert("at".to_owned(), interval.begins(point).into());
            Value::Object(shown)
        })
        .collect();
    Ok(Json(json!({
        "campaign_id": campaign.id,
        "as_of": as_of.to_rfc3339(),
        "interval": interval.name(),
        "points": points,
        "next_from": next,
    })))
}

/// The last whole day (9999-12-29) that a time can be written down for everywhere on earth: no campaign lasts longer.
const MOST_DISTANT: i64 = 253_402_041_600_000;

#[cfg(test)]
mod tests {
    use shared::campaign::CampaignLink;
    use shared::link::code::LinkId;
    use shared::rollup::Counts;

    use super::*;

    #[test]
    fn a_series_without_an_end_goes_on_to_one_that_can_be_written_down() {
        let (first, last) = series::sort_keys(UnixMillis::default(), UnixMillis(MOST_DISTANT));
        assert_eq!((first.as_str(), last.as_str()), ("MINUTE#1970-01-01T00#", "MINUTE#9999-12-29T00#~"));
    }

    fn campaign() -> Campaign {
        let mut campaign: Campaign = serde_json::from_value(json!({
            "v": 1, "id": "cmp_01J00000000000000000000000", "workspace": shared::id::WorkspaceId::FIRST,
            "account": "acc_01J00000000000000000000000", "name": "Offer", "category": "marketing",
            "variants": [
                {"name": "A", "weight": 1, "message": {"type": "text", "text": {"body": "Hi"}}},
                {"name": "B", "weight": 1, "message": {"type": "text", "text": {"body": "Hello"}}},
            ],
            "schedule": {}, "on_unknown": "leave", "links": [], "recipients": 0, "skipped": 0, "pages": 0, "shards": 1,
            "status": "draft", "next_page": 0, "done_before": 0, "created_at": 7,
        }))
        .unwrap();
        campaign.links =
            vec![CampaignLink { id: LinkId::new(7).unwrap(), link_id: None, url: "https://shop.example/".to_owned() }];
        campaign
    }

    fn rows(by: &str, sk: &str, counts: &[(&str, i64)]) -> Vec<(String, i64)> {
        let counts: Counts = counts.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect();
        let items = [CounterItem { sk: sk.to_owned(), counts }];
        let rows = by.parse::<Dimension>().unwrap().rows(&campaign(), &items);
        rows.into_iter().map(|row| (row.value, row.count)).collect()
    }

    fn pairs(pairs: &[(&str, i64)]) -> Vec<(String, i64)> {
        pairs.iter().map(|(value, n)| ((*value).to_owned(), *n)).collect()
    }

    #[test]
    fn clicks_are_broken_down_by_what_is_known_of_visitors_most_first() {
        let counts = [("device.mobile", 4), ("device.desktop", 5), ("city.St. Louis", 3), ("human", 9)];
        let of = |by: &str| rows(by, "CLICK#2026-11-21#03", &counts);
        assert_eq!(of("device"), pairs(&[("desktop", 5), ("mobile", 4)]));
        assert_eq!(of("city"), pairs(&[("St. Louis", 3)]), "a dot in a name is none of the counter's");
        assert_eq!(of("region"), pairs(&[]));
    }

    #[test]
    fn a_link_counts_the_clicks_of_people_and_shows_its_destination() {
        let counts = [("link.7.human", 2), ("link.7.raw", 40), ("link.8.human", 3)];
        assert_eq!(rows("link", "CLICK#2026-11-21#03", &counts), pairs(&[("8", 3), ("7", 2)]));
        let counts: Counts = counts.iter().map(|(name, n)| ((*name).to_owned(), *n)).collect();
        let rows = links(&campaign(), &Tally::of([("CLICK#2026-11-21#03", &counts)]));
        assert_eq!((&rows[1].more["url"], &rows[0].more["url"]), (&json!("https://shop.example/"), &Value::Null));
    }

    #[test]
    fn variants_and_errors_come_from_the_totals() {
        let counts =
            [("0.clicked", 1), ("1.clicked", 3), ("0.error.131026", 2), ("1.error.131026", 2), ("1.error.0", 1)];
        assert_eq!(rows("variant", "TOTAL#00", &counts), pairs(&[("B", 3), ("A", 1)]));
        assert_eq!(rows("error", "TOTAL#00", &counts), pairs(&[("131026", 4), ("0", 1)]));
    }

    #[test]
    fn hours_are_in_the_order_of_time() {
        let counts = [("clicked.05", 1), ("clicked.06", 2), ("read.05", 9)];
        assert_eq!(rows("hour", "MINUTE#2026-11-21T01#00", &counts), pairs(&[("2026-11-21T01", 3)]));
        assert_eq!(rows("hour_of_day", "MINUTE#2026-11-21T01#00", &counts), pairs(&[("01", 3)]));
    }

    #[test]
    fn what_is_not_counted_is_refused_with_what_is() {
        for wrong in ["persona", "", "Device", "machine"] {
            let problem = format!("{:?}", wrong.parse::<Dimension>().unwrap_err());
            assert!(problem.contains("hour_of_day"), "{wrong}: {problem}");
        }
        assert!(metrics(Some("sent,opened")).is_err() && metrics(Some("")).is_err());
        assert_eq!(metrics(Some("read, sent")).unwrap(), [("read", Flag::Read), ("sent", Flag::Accepted)]);
    }
}
