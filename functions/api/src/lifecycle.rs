//! Starting, pausing, resuming and cancelling a campaign. The state changes in one conditional write together with the
//! watchdog's list; the command that wakes `dispatch` only makes it quicker.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::{Extension, Json};
use serde_json::Value;
use shared::account::{AccountPausedBy, AccountStatus};
use shared::attempt::earlier::may_be_retried;
use shared::campaign::lifecycle::Action;
use shared::campaign::{Campaign, PausedBy, Status};
use shared::http::auth::Caller;
use shared::http::problem::Problem;
use shared::queue::DispatchCommand;
use shared::retention::Kind;
use shared::store::Transition;
use shared::template::TemplateObstacle;
use shared::time::UnixMillis;

use crate::accounts::state;
use crate::campaigns::{find, shown, tally};
use crate::{Api, link_domains, reservation};

/// Why a campaign is paused that somebody has paused.
const BY_THE_OPERATOR: &str = "paused by the operator";

type Answer = Result<Json<Value>, Problem>;

/// `POST /v1/campaigns/{id}/start`.
pub(crate) async fn start(api: State<Arc<Api>>, caller: Extension<Caller>, id: Path<String>) -> Answer {
    act(&api, *caller, &id, Action::Start).await
}

/// `POST /v1/campaigns/{id}/pause`.
pub(crate) async fn pause(api: State<Arc<Api>>, caller: Extension<Caller>, id: Path<String>) -> Answer {
    act(&api, *caller, &id, Action::Pause).await
}

/// `POST /v1/campaigns/{id}/resume`.
pub(crate) async fn resume(api: State<Arc<Api>>, caller: Extension<Caller>, id: Path<String>) -> Answer {
    act(&api, *caller, &id, Action::Resume).await
}

/// `POST /v1/campaigns/{id}/cancel`.
pub(crate) async fn cancel(api: State<Arc<Api>>, caller: Extension<Caller>, id: Path<String>) -> Answer {
    act(&api, *caller, &id, Action::Cancel).await
}

/// Does what is asked, if the state allows it; the campaign as it is then.
pub(crate) async fn act(api: &Api, caller: Caller, id: &str, action: Action) -> Answer {
    let now = UnixMillis::now();
    let campaign = find(api, caller, id).await?;
    if action == Action::Pause && campaign.paused_by == Some(PausedBy::Account) {
        return keep_paused(api, caller, &campaign, now).await;
    }
    let account_resumed =
        action == Action::Resume && campaign.status == Status::Paused && resume_account(api, &campaign).await?;
    let due = campaign.schedule.start_at.is_none_or(|start| start <= now);
    let Some(to) = campaign.status.after(action, due) else {
        if campaign.status == Status::Cancelled {
            // Whoever has cancelled it may have died before this.
            reservation::give_back(api, &campaign).await?;
        }
        return Err(not_allowed(action, campaign.status));
    };
    let watched = match to {
        Status::Running => Some(now),
        Status::Scheduled => campaign.schedule.start_at,
        // A paused campaign is looked at again when its time is over.
        Status::Paused => campaign.schedule.expires_at,
        Status::Draft | Status::Completed | Status::Cancelled | Status::Failed => None,
    };
    if matches!(action, Action::Start | Action::Resume) {
        audience_is_ready(&campaign)?;
        attempts_are_known(api, &campaign, now)?;
        templates_may_be_sent(api, &campaign).await?;
        links_are_answered(api, &campaign).await?;
    }
    if action == Action::Start {
        reservation::make(api, &campaign, now).await?;
    }
    let reason = (to == Status::Paused).then(|| BY_THE_OPERATOR.to_owned());
    let paused_by = (to == Status::Paused).then_some(PausedBy::Operator);
    let transition = Transition { from: campaign.status, to, reason, paused_by, at: now, due: watched };
    if !api.core.transition(campaign.workspace, campaign.id, &transition).await? {
        let present = find(api, caller, id).await?;
        if present.status.is_final() {
            reservation::give_back(api, &present).await?;
        }
        // The watchdog may have been quicker to see that the account goes on.
        if action != Action::Resume || present.status != to {
            return Err(not_allowed(action, present.status));
        }
    }
    if to.is_final() {
        reservation::give_back(api, &campaign).await?;
    }
    if account_resumed {
        let followed = api.core.campaigns_follow(campaign.workspace, campaign.account, now).await?;
        state::wake(api, campaign.workspace, &followed).await;
    } else if to == Status::Running {
        // It stops again if its account is paused.
        api.core.campaign_follows(campaign.workspace, campaign.id, now).await?;
    }
    wake(api, &campaign, to).await;
    let campaign = find(api, caller, id).await?;
    Ok(Json(shown(api, &campaign).await?))
}

/// To resume a campaign is a deliberate act: its account goes on as well, unless somebody has paused it. Whether it was
/// paused.
async fn resume_account(api: &Api, campaign: &Campaign) -> Result<bool, Problem> {
    let Some(account) = api.core.account(campaign.workspace, campaign.account).await? else {
        return Ok(false);
    };
    match (account.status, account.paused_by) {
        (AccountStatus::Active, _) => Ok(false),
        (AccountStatus::Paused, Some(AccountPausedBy::Errors | AccountPausedBy::Meta)) => {
            api.core.resume_account(account.workspace, account.id).await?;
            Ok(true)
        }
        (AccountStatus::Paused, Some(AccountPausedBy::Operator) | None) => {
            let reason = account.status_reason.as_deref().unwrap_or("no reason is known");
            let detail = format!("the campaign's account is paused: {reason}; resume the account first");
            Err(Problem::conflict(detail, Some(campaign.status.name())))
        }
    }
}

/// A campaign that is paused with its account and shall stay paused when the account goes on.
async fn keep_paused(api: &Api, caller: Caller, campaign: &Campaign, now: UnixMillis) -> Answer {
    let transition = Transition {
        from: Status::Paused,
        to: Status::Paused,
        reason: Some(BY_THE_OPERATOR.to_owned()),
        paused_by: Some(PausedBy::Operator),
        at: now,
        due: None,
    };
    if !api.core.transition(campaign.workspace, campaign.id, &transition).await? {
        let present = find(api, caller, &campaign.id.to_string()).await?;
        return Err(not_allowed(Action::Pause, present.status));
    }
    let campaign = find(api, caller, &campaign.id.to_string()).await?;
    Ok(Json(shown(api, &campaign).await?))
}

/// What Meta has stopped since the campaign was made would be refused message by message.
async fn templates_may_be_sent(api: &Api, campaign: &Campaign) -> Result<(), Problem> {
    let Some(account) = api.core.account(campaign.workspace, campaign.account).await? else {
        return Ok(());
    };
    match api.core.template_obstacle(campaign, &account.waba_id).await? {
        Some(TemplateObstacle { name, language, reason, .. }) => {
            let detail = format!("the template {name} ({language}) cannot be sent: {reason}");
            Err(Problem::conflict(detail, Some(campaign.status.name())))
        }
        None => Ok(()),
    }
}

/// A campaign that is not under way does not keep its links' domain from being removed, and then every message would leave
/// with links that answer 404.
async fn links_are_answered(api: &Api, campaign: &Campaign) -> Result<(), Problem> {
    let Some(domain) = link_domains::removed_under(api, campaign).await? else {
        return Ok(());
    };
    let detail = format!(
        "the campaign's links are on {domain}, which is none of the workspace's link domains any more, and would answer 404: \
         add the domain again, or duplicate the campaign, whose copy gets links of its own"
    );
    Err(Problem::conflict(detail, Some(campaign.status.name())))
}

/// `POST /v1/campaigns/{id}/retry-failed`: sends again what has failed, but for people who cannot get it or do not want it.
pub(crate) async fn retry_failed(api: State<Arc<Api>>, caller: Extension<Caller>, id: Path<String>) -> Answer {
    let now = UnixMillis::now();
    let campaign = find(&api, *caller, &id).await?;
    let status = campaign.status;
    let refused = |detail: &str| Err(Problem::conflict(detail, Some(status.name())));
    if !matches!(status, Status::Completed | Status::Running | Status::Paused) {
        return refused("retry-failed is possible when the campaign is completed, running or paused");
    }
    if campaign.has_expired(now) {
        return refused("the campaign's time is over: duplicate it to send again");
    }
    audience_is_ready(&campaign)?;
    attempts_are_known(&api, &campaign, UnixMillis::now())?;
    templates_may_be_sent(&api, &campaign).await?;
    links_are_answered(&api, &campaign).await?;
    let errors = tally(&api, &campaign).await?.all().errors();
    if !errors.into_iter().any(|(code, messages)| messages > 0 && may_be_retried(code)) {
        return refused("no message has failed in a way that another try could mend");
    }
    if !api.core.begin_round(campaign.workspace, campaign.id, status, campaign.round.saturating_add(1), now).await? {
        let present = find(&api, *caller, &id).await?;
        return Err(Problem::conflict("the campaign has changed meanwhile: ask again", Some(present.status.name())));
    }
    api.core.campaign_follows(campaign.workspace, campaign.id, now).await?;
    let command = DispatchCommand::Resume { workspace: campaign.workspace, campaign: campaign.id };
    if let Err(error) = api.dispatch.send(&command, Duration::ZERO).await {
        tracing::warn!(campaign = %campaign.id, %error, "dispatch could not be woken; its schedule will do it");
    }
    let campaign = find(&api, *caller, &id).await?;
    Ok(Json(shown(&api, &campaign).await?))
}

/// Attempts may have expired since the campaign was started: then nobody knows any more who was sent to, and nobody may be
/// sent to twice.
fn attempts_are_known(api: &Api, campaign: &Campaign, now: UnixMillis) -> Result<(), Problem> {
    let (Some(started), Some(kept)) = (campaign.started_at, api.core.retention().of(Kind::Attempts)) else {
        return Ok(());
    };
    // DynamoDB deletes a row some time after its end, never before.
    if now.since(started) < kept {
        return Ok(());
    }
    let detail = "the rule of retention has removed what was sent at its start: duplicate it, with those who are left";
    Err(Problem::conflict(detail, Some(campaign.status.name())))
}

/// A campaign runs only with its whole audience, unless it was asked to start before.
fn audience_is_ready(campaign: &Campaign) -> Result<(), Problem> {
    let Some(planning) = &campaign.planning else {
        return Ok(());
    };
    let detail = match &planning.failed {
        Some(reason) => format!("the audience could not be read: {reason}"),
        None if planning.start_early => return Ok(()),
        None => format!(
            "the audience is still being read ({} lines so far); wait, or create the campaign with \"start_early\": true",
            planning.lines
        ),
    };
    Err(Problem::conflict(detail, Some(campaign.status.name())))
}

/// Wakes `dispatch`. When the queue does not take it, the watchdog's next tick does the same.
async fn wake(api: &Api, campaign: &Campaign, to: Status) {
    let (workspace, id) = (campaign.workspace, campaign.id);
    let command = match (campaign.status, to) {
        (Status::Paused, Status::Running) => DispatchCommand::Resume { workspace, campaign: id },
        (_, Status::Running) => DispatchCommand::Advance { workspace, campaign: id },
        _ => return,
    };
    if let Err(error) = api.dispatch.send(&command, Duration::ZERO).await {
        tracing::warn!(campaign = %id, %error, "dispatch could not be woken; its schedule will do it");
    }
}

fn not_allowed(action: Action, present: Status) -> Problem {
    let allowed: Vec<&str> = action.allowed_in().iter().map(|status| status.name()).collect();
    let detail = format!("{} is possible when the campaign is {}", action.name(), allowed.join(" or "));
    Problem::conflict(detail, Some(present.name()))
}
