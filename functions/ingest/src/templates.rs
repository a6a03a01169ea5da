//! News of a template: our copy follows, and when Meta has stopped the template, so do its campaigns, each with the reason.

use std::collections::{BTreeMap, BTreeSet};

use shared::account::news::{News, Told};
use shared::activity::reported::TemplateReport;
use shared::activity::{Content, Kept};
use shared::campaign::{Campaign, PausedBy, Status};
use shared::id::{AccountId, WorkspaceId};
use shared::meta::webhook::{CategoryChange, Event, QualityScore, TemplateEvent, TemplateRef};
use shared::store::{StoreError, Transition};
use shared::template::{StoredTemplate, TemplateChange, templates_of};
use shared::time::UnixMillis;

use crate::effects::Effects;
use crate::origin::{Origin, json};
use crate::{Ingest, NotIngested, account};

/// Tries to pause a campaign whose state changes meanwhile.
const TRIES: usize = 5;

/// Takes in what a notification tells of a template: an event in each workspace that has a number of the business account,
/// and a notice on its accounts if it is bad news. Our copy is changed at once and not with the other effects: each write can
/// be repeated, and the campaigns hang on what the copy says after it.
pub(crate) async fn take_in(ingest: &Ingest, effects: &mut Effects, origin: &Origin<'_>) -> Result<(), NotIngested> {
    let accounts = ingest.routes.of_waba(&ingest.core, origin.item).await?;
    let workspaces: BTreeMap<WorkspaceId, AccountId> =
        accounts.iter().rev().map(|(workspace, account)| (*workspace, *account)).collect();
    let raw = json(&origin.item.event);
    let routes = workspaces.iter().map(|(workspace, account)| Some((*workspace, *account)));
    let nobody = workspaces.is_empty().then_some(None);
    let mut news = Vec::new();
    for route in routes.chain(nobody) {
        let Some(content) = content(&origin.item.event, &raw) else { return Ok(()) };
        let origin = Origin { route, ..*origin };
        let waba = origin.item.waba_id.as_deref().unwrap_or_default();
        let identity = [waba, raw.as_str()];
        let id = origin.id(origin.dated(ingest, None, &identity).await?, &origin.item.field, &identity);
        // Two pieces of news may have one time, and the copy follows the one that came last. So a repeat, which may come days
        // after both, must not be followed again; its event is recorded after all else was done.
        if let Some((workspace, account)) = route
            && ingest.core.event(workspace, Some(account), id).await?.is_none()
        {
            news.push(workspace);
        }
        effects.record(route, origin.event(id, None, content));
    }
    if let Some(text) = bad_news(&origin.item.event) {
        let at = account::time_of(origin.item.entry_time, origin.seen);
        for of in accounts.iter() {
            effects.tell(*of, News { at, told: Told::Noted(text.clone()) });
        }
    }
    follow(ingest, &accounts, &news, origin).await
}

/// Changes the copies of these workspaces, and stops what may not go on.
async fn follow(
    ingest: &Ingest,
    accounts: &[(WorkspaceId, AccountId)],
    workspaces: &[WorkspaceId],
    Origin { item, seen, .. }: &Origin<'_>,
) -> Result<(), NotIngested> {
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
    let at = item.entry_time.map_or(*seen, UnixMillis::from_seconds);
    for workspace in workspaces.iter().copied() {
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

fn content(event: &Event, raw: &str) -> Option<Content> {
    let report = |template: &TemplateRef| TemplateReport {
        template: template.id.clone(),
        name: template.name.clone(),
        language: template.language.clone(),
        now: None,
        before: None,
        reason: None,
        raw: Kept::Inline(raw.to_owned()),
    };
    Some(match event {
        Event::TemplateStatus(update) => Content::TemplateStatus(TemplateReport {
            now: Some(update.event.to_string()),
            reason: update.reason.clone().or_else(|| update.title.clone()),
            ..report(&update.template)
        }),
        Event::TemplateQuality(update) => Content::TemplateQuality(TemplateReport {
            now: Some(update.new.to_string()),
            before: update.previous.as_ref().map(ToString::to_string),
            ..report(&update.template)
        }),
        Event::TemplateCategory(update) => {
            let (now, before, reason) = match &update.change {
                // It still is what it was; what is announced is the reason of the event.
                CategoryChange::Impending { current, next, .. } => {
                    (current.clone(), None, Some(format!("will be {next}")))
                }
                CategoryChange::Completed { previous, new } => (Some(new.clone()), previous.clone(), None),
            };
            Content::TemplateCategory(TemplateReport { now, before, reason, ..report(&update.template) })
        }
        Event::TemplateComponents(update) => Content::TemplateComponents(report(&update.template)),
        _ => return None,
    })
}

/// What people should see on the account of it.
fn bad_news(event: &Event) -> Option<String> {
    let named = |template: &TemplateRef| {
        let name = template.name.as_deref().unwrap_or(&template.id);
        template.language.as_ref().map_or_else(|| name.to_owned(), |language| format!("{name} ({language})"))
    };
    match event {
        Event::TemplateStatus(update) => {
            let is_bad = !matches!(
                update.event,
                TemplateEvent::Approved
                    | TemplateEvent::Pending
                    | TemplateEvent::Reinstated
                    | TemplateEvent::Unarchived
            );
            let why = update.reason.as_ref().or(update.title.as_ref()).map(|why| format!(" ({why})"));
            let (name, why) = (named(&update.template), why.unwrap_or_default());
            is_bad.then(|| format!("the template {name} is now {}{why}", update.event))
        }
        Event::TemplateQuality(update) => (update.new == QualityScore::Red)
            .then(|| format!("the quality of the template {} is low", named(&update.template))),
        Event::TemplateCategory(update) => Some(match &update.change {
            CategoryChange::Impending { next, .. } => {
                format!("Meta will put the template {} into the category {next}", named(&update.template))
            }
            CategoryChange::Completed { new, .. } => {
                format!("Meta has put the template {} into the category {new}", named(&update.template))
            }
        }),
        _ => None,
    }
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
