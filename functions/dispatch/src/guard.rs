//! What pauses a campaign by its own figures: too many failed messages, or a budget that is used up.

use shared::campaign::Campaign;
use shared::price::budget::Outlay;
use shared::rollup::contribution::{campaign_pk, view};
use shared::rollup::tally::Tally;
use shared::store::StoreError;

use crate::Dispatch;

/// What a campaign's figures allow.
pub(crate) enum Verdict {
    /// Nothing more.
    Pause(Reason),
    /// So many pages besides those that are out; any number when absent.
    GoOn(Allowance),
}

/// How many more pages may be given out; without an outlay any number.
#[derive(Default)]
pub(crate) struct Allowance(Option<Outlay>);

impl Allowance {
    /// Besides the `out` that are.
    pub(crate) fn more_pages(&self, out: u32) -> u32 {
        self.0.and_then(|outlay| outlay.more_pages(out)).unwrap_or(u32::MAX)
    }
}

/// Why a campaign must pause.
pub(crate) struct Reason {
    /// For people.
    pub(crate) text: String,
    /// What a resume forgives.
    pub(crate) forgiven: Forgiven,
}

/// What does not count any more when the campaign is resumed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Forgiven {
    /// So many failed messages.
    Failures(u32),
    /// What it has cost: so often its budget was used up by now.
    Costs(u16),
}

/// Whether the campaign must pause, or how much of it may go on. The counters lag behind the messages by a second or two,
/// and a budget is exceeded by what left in that time.
pub(crate) async fn look(dispatch: &Dispatch, campaign: &Campaign) -> Result<Verdict, StoreError> {
    if campaign.error_threshold.is_none() && campaign.budget.is_none() {
        return Ok(Verdict::GoOn(Allowance(None)));
    }
    let totals = dispatch.rollups.items(&campaign_pk(campaign.workspace, campaign.id), view::TOTAL).await?;
    Ok(judge(campaign, &Tally::of(totals.iter().map(|item| (item.sk.as_str(), &item.counts)))))
}

fn judge(campaign: &Campaign, tally: &Tally) -> Verdict {
    if let Some(reason) = too_many_failures(campaign, tally) {
        return Verdict::Pause(reason);
    }
    let outlay = Outlay::of(campaign, tally);
    match outlay.filter(Outlay::is_used_up) {
        Some(outlay) => {
            let forgiven = Forgiven::Costs(campaign.budget_renewals.saturating_add(1));
            Verdict::Pause(Reason { text: outlay.reason(), forgiven })
        }
        None => Verdict::GoOn(Allowance(outlay)),
    }
}

fn too_many_failures(campaign: &Campaign, tally: &Tally) -> Option<Reason> {
    let threshold = campaign.error_threshold?;
    let failed = u32::try_from(tally.all().count("failed")).unwrap_or(0);
    if failed < campaign.forgiven.saturating_add(threshold) {
        return None;
    }
    let text = format!(
        "{failed} messages have failed, and the campaign's error_threshold is {threshold}: look at the errors, then resume; \
         it pauses again after as many more"
    );
    Some(Reason { text, forgiven: Forgiven::Failures(failed) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::id::WorkspaceId;
    use shared::rollup::Counts;

    use super::*;

    fn campaign(terms: &serde_json::Value) -> Campaign {
        let mut campaign = json!({
            "v": 1, "id": "cmp_01J00000000000000000000000", "workspace": WorkspaceId::FIRST,
            "account": "acc_01J00000000000000000000000", "name": "Offer", "category": "marketing",
            "variants": [{"name": "A", "weight": 1, "message": {
                "type": "template", "template": {"name": "offer", "language": "en"}}}],
            "schedule": {}, "on_unknown": "leave", "links": [], "recipients": 800, "skipped": 0, "pages": 8,
            "shards": 1, "status": "running", "next_page": 0, "done_before": 0, "created_at": 1_795_219_200_000_i64,
        });
        for (name, value) in terms.as_object().unwrap() {
            campaign[name] = value.clone();
        }
        serde_json::from_value(campaign).unwrap()
    }

    fn judged(terms: &serde_json::Value, counts: &[(&str, i64)]) -> Verdict {
        let counts: Counts = counts.iter().map(|(name, n)| (format!("0.{name}"), *n)).collect();
        judge(&campaign(terms), &Tally::of([("TOTAL#00", &counts)]))
    }

    #[test]
    fn failures_pause_a_campaign_again_after_as_many_more() {
        let terms = |forgiven: u32| json!({"error_threshold": 5, "forgiven": forgiven});
        assert!(matches!(judged(&terms(0), &[("failed", 4)]), Verdict::GoOn(_)));
        let Verdict::Pause(reason) = judged(&terms(0), &[("failed", 6)]) else { panic!("it goes on") };
        assert_eq!(reason.forgiven, Forgiven::Failures(6));
        assert!(reason.text.contains("6 messages have failed"), "{}", reason.text);
        assert!(matches!(judged(&terms(6), &[("failed", 10)]), Verdict::GoOn(_)));
    }

    #[test]
    fn a_budget_bounds_what_is_given_out_and_pauses_when_it_is_used_up() {
        let terms = json!({"budget": {"amount": 10, "currency": "USD"}, "regions": {"MY": 800}});
        let Verdict::GoOn(allowance) = judged(&terms, &[]) else { panic!("it pauses") };
        assert_eq!((allowance.more_pages(0), allowance.more_pages(2)), (2, 0), "a page costs 8.60");
        let Verdict::Pause(reason) = judged(&terms, &[("cost.MY.marketing.charged", 117)]) else {
            panic!("it goes on")
        };
        assert_eq!(reason.forgiven, Forgiven::Costs(1));
        assert!(reason.text.contains("10.062 USD"), "{}", reason.text);
    }
}
