//! News of a template: our copy follows, and when Meta has stopped the template, so do its campaigns, each with the reason.

use std::collections::BTreeSet;

use shared::campaign::{Campaign, PausedBy, Status};
use shared::id::{AccountId, WorkspaceId};
use shared::meta::webhook::Item;
use shared::store::{StoreError, Transition};
use shared::template::{StoredTemplate, TemplateChange, templates_of};
use shared::time::UnixMillis;

use crate::Ingest;

/// Tries to pause a campaign whose state changes meanwhile.
const TRIES: usize = 5;

/// Takes in what a notification tells of a template; anything else is left alone. It is written at once and not with the
/// other effects: each write can be repeated, and the campaigns hang on what the copy says after it.
pub(crate) async fn take_in(
    ingest: &Ingest,
    accounts: &[(WorkspaceId, AccountId)],
    item: &Item,
    received_at: UnixMillis,
) -> Result<(), StoreError> {
    let (Some(waba), Some((template, change))) = (&item.waba_id, TemplateChange::of(&item.event)) else {
        return Ok(());
    };
    if ingest.is_replay() {
        return Ok(());
    }
    let (Some(name), Some(language)) = (&template.name, &template.language) else {
        tracing::warn!(template = template.id, "news of a template without a name");
        return Ok(());
    };
    let at = item.entry_time.map_or(received_at, UnixMillis::from_seconds);
    let workspaces: BTreeSet<WorkspaceId> = accounts.iter().map(|(workspace, _)| *workspace).collect();
    for workspace in workspaces {
        let named = (name.as_str(), language.as_str(), template.id.as_str());
        let is_news = ingest.core.change_template(workspace, waba, named, &change, at).await?;
        tracing::info!(template = template.id, field = item.field, is_news, "Meta reported on a template");
        // What the copy says now decides: a late notification of a pause that is over stops nothing, and one that comes again
        // after a crash finishes what was begun.
        let Some(stored) = ingest.core.template(workspace, waba, name, language).await? else { continue };
        if let Some(reason) = stored.obstacle() {
            let own = accounts.iter().filter(|(of, _)| *of == workspace).map(|(_, account)| *account).collect();
            pause_campaigns(ingest, workspace, &own, &stored, &reason).await?;
        }
    }
    Ok(())
}

/// Pauses the campaigns that use the template and run or wait for their time.
async fn pause_campaigns(
    ingest: &Ingest,
    workspace: WorkspaceId,
    accounts: &BTreeSet<AccountId>,
    template: &StoredTemplate,
    reason: &str,
) -> Result<(), StoreError> {
    let named = (template.name.clone(), template.language.clone());
    let uses = |campaign: &Campaign| accounts.contains(&campaign.account) && templates_of(campaign).contains(&named);
    // Everything that runs or waits is on the watchdog's list, whatever time it is due.
    for (_, id) in ingest.core.due_campaigns(UnixMillis(i64::MAX)).await?.into_iter().filter(|(of, _)| *of == workspace)
    {
        for _ in 0..TRIES {
            let Some(campaign) = ingest.core.campaign(workspace, id).await? else { break };
            if !matches!(campaign.status, Status::Running | Status::Scheduled) || !uses(&campaign) {
                break;
            }
            let now = UnixMillis::now();
            let pause = Transition {
                from: campaign.status,
                to: Status::Paused,
                reason: Some(reason.to_owned()),
                paused_by: Some(PausedBy::Template),
                at: now,
                // The watchdog keeps looking whether the template may be sent again.
                due: Some(now),
            };
            if ingest.core.transition(workspace, id, &pause).await? {
                tracing::warn!(campaign = %id, "a campaign was paused with its template");
                break;
            }
        }
    }
    Ok(())
}
