//! What pauses a campaign by its own figures: too many failed messages, or a budget that is spent.

use shared::campaign::Campaign;
use shared::rollup::contribution::{campaign_pk, view};
use shared::rollup::tally::Tally;
use shared::store::StoreError;

use crate::Dispatch;

/// Why a campaign must pause.
pub(crate) struct Reason {
    /// For people.
    pub(crate) text: String,
    /// Failed messages so far.
    pub(crate) failed: u32,
}

/// Why the campaign must pause; `None` when it may go on.
pub(crate) async fn reason_to_pause(dispatch: &Dispatch, campaign: &Campaign) -> Result<Option<Reason>, StoreError> {
    let Some(threshold) = campaign.error_threshold else {
        return Ok(None);
    };
    let totals = dispatch.rollups.items(&campaign_pk(campaign.workspace, campaign.id), view::TOTAL).await?;
    let failed = Tally::of(totals.iter().map(|item| (item.sk.as_str(), &item.counts))).all().count("failed");
    let failed = u32::try_from(failed).unwrap_or(0);
    if failed < campaign.forgiven.saturating_add(threshold) {
        return Ok(None);
    }
    let text = format!(
        "{failed} messages have failed, and the campaign's error_threshold is {threshold}: look at the errors, then resume; \
         it pauses again after as many more"
    );
    Ok(Some(Reason { text, failed }))
}
