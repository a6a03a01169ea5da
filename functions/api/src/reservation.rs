//! A campaign's part of the messaging limit that all numbers of a business portfolio share: reserved before the campaign
//! starts, given back when it ends early. What a campaign that is sent to its end has left, `dispatch` gives back.

use shared::campaign::Campaign;
use shared::http::problem::Problem;
use shared::time::UnixMillis;

use crate::Api;

/// Reserves room for the campaign's people. What there is no room for is not refused: those messages wait, and the campaign
/// says for what and until when.
pub(crate) async fn make(api: &Api, campaign: &Campaign, now: UnixMillis) -> Result<(), Problem> {
    let Some(account) = api.core.account(campaign.workspace, campaign.account).await? else {
        return Ok(());
    };
    if let Some(limit) = account.people_per_day() {
        let people = campaign.planned();
        api.core.reserve_people(campaign.workspace, account.portfolio_name(), campaign.id, people, limit, now).await?;
    }
    Ok(())
}

/// Gives back what the campaign has reserved and not used.
pub(crate) async fn give_back(api: &Api, campaign: &Campaign) -> Result<(), Problem> {
    if let Some(account) = api.core.account(campaign.workspace, campaign.account).await?
        && account.people_per_day().is_some()
    {
        api.core.release_people(campaign.workspace, account.portfolio_name(), campaign.id).await?;
    }
    Ok(())
}
