//! What a campaign has added, against those who were held out of it: the share of people who bought among those whom it was
//! sent to, less the same share among the held-out. The models credit whoever was there before a sale; only this tells whether
//! the sale would have come anyway.
//!
//! Only what servers tell counts here. A page often learns who its visitor is from the very link that led there, which a
//! held-out person never got, so its events would find more of the treated than of the others.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde::Serialize;
use shared::blob::audience::UnreadableList;
use shared::blob::key;
use shared::campaign::audience::HeldOut;
use shared::campaign::{Campaign, is_held_out};
use shared::http::problem::Problem;
use shared::id::ContactId;
use shared::phone::{PhoneNumber, wa_id_variants};
use shared::rollup::contribution::{campaign_pk, view};
use shared::rollup::tally::Tally;
use shared::time::UnixMillis;

use super::person::Person;
use crate::Analytics;
use crate::report::{Rate, round};

/// Held-out people of a campaign that are looked through; each takes about 100 bytes in the bucket.
const MOST_HELD_OUT: u32 = 50_000;

/// A campaign's effect, as far as it shows in the span.
#[derive(Debug, Serialize)]
pub(super) struct Lift {
    /// Buyers among those whom it was sent to, by chance of the draw alone.
    treated: Rate,
    /// Buyers among those who were held out.
    holdout: Rate,
    /// The first less the second.
    lift: Option<f64>,
}

/// When people have bought, as servers told.
pub(super) type Buyers<'a> = BTreeMap<ContactId, (&'a Person, Vec<UnixMillis>)>;

/// The campaign's lift; `None` without a holdout, before it has started, and with more held out than are looked through.
pub(super) async fn of(
    analytics: &Analytics,
    campaign: &Campaign,
    buyers: &Buyers<'_>,
    span: &Range<UnixMillis>,
) -> Result<Option<Lift>, Problem> {
    let Some(started) = campaign.started_at.filter(|_| (1..=MOST_HELD_OUT).contains(&campaign.holdout)) else {
        return Ok(None);
    };
    let since = started.max(span.start)..span.end;
    let bought: Vec<&Person> = buyers
        .values()
        .filter(|(_, times)| times.iter().any(|at| since.contains(at)))
        .map(|(person, _)| *person)
        .collect();
    let treated = bought.iter().filter(|person| person.campaigns.contains(&campaign.id)).count();
    let others: Vec<&Person> = bought.into_iter().filter(|person| !person.campaigns.contains(&campaign.id)).collect();
    let held_out = if others.iter().any(|person| may_be_held_out(campaign, person)) {
        let forms = held_out(analytics, campaign).await?;
        others.iter().filter(|person| !person.numbers.is_disjoint(&forms)).count()
    } else {
        0
    };
    let pk = campaign_pk(campaign.workspace, campaign.id);
    let items = analytics.rollups.items(&pk, view::TOTAL).await?;
    let sent_to = Tally::of(items.iter().map(|item| (item.sk.as_str(), &item.counts))).all().count("claimed");
    Ok(Some(Lift::new((treated, sent_to), (held_out, i64::from(campaign.holdout)))))
}

impl Lift {
    /// From buyers and people of each group.
    fn new(treated: (usize, i64), holdout: (usize, i64)) -> Self {
        let rate = |(buyers, people): (usize, i64)| Rate::new(i64::try_from(buyers).unwrap_or(i64::MAX), people);
        let (treated, holdout) = (rate(treated), rate(holdout));
        let lift = treated.value.zip(holdout.value).map(|(treated, holdout)| round(treated - holdout));
        Self { treated, holdout, lift }
    }
}

/// Whether the draw would hold one of the person's numbers out: most people need not be looked for in the list.
fn may_be_held_out(campaign: &Campaign, person: &Person) -> bool {
    let numbers = person.numbers.iter().filter_map(|digits| format!("+{digits}").parse::<PhoneNumber>().ok());
    numbers.into_iter().any(|phone| is_held_out(campaign.id, &phone, campaign.holdout_percent))
}

/// Every form of the numbers of those who were held out.
async fn held_out(analytics: &Analytics, campaign: &Campaign) -> Result<BTreeSet<String>, Problem> {
    let key = |part| key::held_out(campaign.workspace, campaign.id, part);
    let read = analytics.bucket.rows_from(key, campaign.holdout, 0, campaign.holdout as usize).await;
    let people: Vec<HeldOut> = read.map_err(|error| match error {
        UnreadableList::Blob(error) => Problem::from(error),
        UnreadableList::Damaged(error) => Problem::internal(&error),
    })?;
    Ok(people.iter().flat_map(|person| wa_id_variants(person.phone.digits())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lift_is_the_difference_of_the_shares_and_shows_both() {
        let lift = serde_json::to_value(Lift::new((30, 900), (1, 100))).unwrap();
        assert_eq!(lift["lift"], 0.0233);
        assert_eq!((&lift["treated"]["numerator"], &lift["holdout"]["denominator"]), (&30.into(), &100.into()));
        assert_eq!(Lift::new((0, 0), (1, 100)).lift, None, "nobody was sent to yet");
        assert_eq!(Lift::new((1, 100), (2, 100)).lift, Some(-0.01));
    }
}
