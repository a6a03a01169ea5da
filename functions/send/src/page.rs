//! One page of recipients: who of them is still to be sent to, and when each message leaves.

use std::collections::HashMap;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use shared::account::{Account, AccountStatus};
use shared::attempt::claim::Try;
use shared::attempt::{Attempt, Evidence, Failure};
use shared::blob::BlobError;
use shared::campaign::audience::Recipient;
use shared::campaign::{Campaign, PageNumber, PausedBy, Status};
use shared::id::{CampaignId, WorkspaceId};
use shared::media::NotUploaded;
use shared::queue::{DispatchCommand, QueueUnavailable, SendCommand};
use shared::secrets::SecretError;
use shared::store::{Consistency, StoreError, Transition};
use shared::time::UnixMillis;
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::look::{self, Sorted};
use crate::media::{self, Prepared};
use crate::recipient::Candidate;
use crate::stop::{self, Stop};
use crate::turn::Turn;
use crate::{SHORTEST_WAIT, Send, gate, message, recipient, turn, unknown};

/// How often a page that is being sent looks whether its campaign still runs.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Where a page stands after an invocation.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PageOutcome {
    /// Nothing is left to do for this message: every recipient is settled, or the campaign does not run.
    Finished,
    /// Something is left; look again then. For people, why.
    Later(UnixMillis, String),
}

/// Why a page could not be worked on; it comes back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotSent {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Blob(#[from] BlobError),
    #[error("the page of the audience cannot be read")]
    Damaged(#[from] serde_json::Error),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Queue(#[from] QueueUnavailable),
    #[error(transparent)]
    Media(#[from] NotUploaded),
    #[error("the account of the campaign does not exist")]
    NoAccount,
}

impl NotSent {
    /// Why the page can never be sent until somebody acts; `None` when a repeat may help.
    fn needs_somebody(&self) -> Option<String> {
        match self {
            Self::Store(StoreError::Unavailable { .. })
            | Self::Blob(BlobError::Unavailable { .. })
            | Self::Secret(SecretError::Unavailable(_))
            | Self::Queue(_) => None,
            Self::Media(error) => error.needs_somebody(),
            Self::Secret(SecretError::Missing(_)) => {
                Some("the account has no access token: connect the number again, then resume".to_owned())
            }
            Self::NoAccount => Some("the account of the campaign does not exist any more".to_owned()),
            other => Some(format!("{other}: look into the log, then resume")),
        }
    }
}

/// Works on one page. What only somebody can mend pauses the campaign and says why, instead of failing for ever.
pub(crate) async fn send(
    send: &Send,
    workspace: WorkspaceId,
    campaign: CampaignId,
    page: PageNumber,
) -> Result<PageOutcome, NotSent> {
    match work_on(send, workspace, campaign, page).await {
        Err(error) => match error.needs_somebody() {
            Some(reason) => {
                pause(send, workspace, campaign, reason).await?;
                Ok(PageOutcome::Finished)
            }
            None => Err(error),
        },
        worked => worked,
    }
}

async fn work_on(
    send: &Send,
    workspace: WorkspaceId,
    campaign: CampaignId,
    page: PageNumber,
) -> Result<PageOutcome, NotSent> {
    let Some(campaign) = send.core.campaign(workspace, campaign).await? else {
        return Ok(PageOutcome::Finished);
    };
    let account = send.core.account(workspace, campaign.account).await?.ok_or(NotSent::NoAccount)?;
    let sorted = look::at_page(send, &campaign, account.safety.quiet_hours, page, Consistency::Eventual).await?;
    let now = UnixMillis::now();
    if !campaign.sends_at(now) {
        // The page is dropped, and given out again when the campaign runs again; but claims that are out must be seen to
        // their end, for Meta may have those messages.
        return Ok(match sorted.held_until {
            Some(until) => PageOutcome::Later(until.max(now.plus(SHORTEST_WAIT)), ON_THEIR_WAY.to_owned()),
            None => PageOutcome::Finished,
        });
    }
    if account.status == AccountStatus::Paused {
        send.core.campaign_follows(workspace, campaign.id, now).await?;
        return Ok(PageOutcome::Finished);
    }
    if sorted.free.is_empty() && sorted.overdue.is_empty() {
        return match sorted.later {
            Some((until, why)) => Ok(PageOutcome::Later(until.max(now.plus(SHORTEST_WAIT)), why)),
            None => finish(send, &campaign, page, !sorted.unknown.is_empty()).await,
        };
    }
    send_to(send, campaign, account, page, sorted).await
}

const ON_THEIR_WAY: &str = "messages are on their way";

/// Sends to those who are free, each on their own.
async fn send_to(
    send: &Send,
    campaign: Campaign,
    account: Account,
    page: PageNumber,
    sorted: Sorted,
) -> Result<PageOutcome, NotSent> {
    let (workspace, id) = (campaign.workspace, campaign.id);
    let token = send.secrets.token_of(&account).await?;
    let mut free = sorted.free;
    if !sorted.overdue.is_empty() {
        let asked = sorted.overdue.iter().map(|(recipient, _, attempt)| (recipient.clone(), attempt.clone())).collect();
        let unheard_of = unknown::resolve(send, &campaign, &account, &token, asked).await?;
        let again = sorted.overdue.into_iter().filter(|(recipient, ..)| unheard_of.contains(&recipient.seq));
        free.extend(again.map(|(recipient, tried, attempt)| (recipient, tried, Some(attempt))));
    }
    let media = match media::prepare(send, &campaign, &account, &token).await? {
        Prepared::Ready(ids) => ids,
        Prepared::Wait(delay, reason) => {
            return Ok(PageOutcome::Later(UnixMillis::now().plus(delay), reason.to_owned()));
        }
    };
    let mut links = HashMap::new();
    for link in &campaign.links {
        if let Some(stored) = send.core.link(link.id).await? {
            links.insert(link.id, stored);
        }
    }
    let context = Context { campaign, account, token, page, links, media, stopped: CancellationToken::new() };
    let stop = tokio::select! {
        worked = in_turn(send, &context, free) => match worked? {
            Worked::Sent(stop) => stop,
            Worked::Later(until, why) => return Ok(PageOutcome::Later(until, why)),
        },
        () = watch(send, &context) => None,
    };
    if let Some(stop) = stop {
        stop::act(send, &context.campaign, &context.account, stop).await?;
        return Ok(PageOutcome::Finished);
    }
    // What is left (claims of others, tries that wait) is found by looking again.
    look_again(send, workspace, id, page).await
}

enum Worked {
    Sent(Option<Stop>),
    Later(UnixMillis, String),
}

/// Checks everybody against the rules, waits for the page's turn, and sends.
async fn in_turn(
    send: &Send,
    context: &Context,
    free: Vec<(Recipient, Try, Option<Attempt>)>,
) -> Result<Worked, NotSent> {
    let mut candidates = Vec::with_capacity(free.len());
    for (recipient, tried, known) in free {
        let attempt = known.unwrap_or_else(|| first_attempt(context, &recipient));
        match message::content(send, context, &recipient) {
            Ok(content) => candidates.push(Candidate { recipient, tried, attempt, content }),
            Err(reason) => unsendable(send, context, &recipient, tried, &attempt, reason).await?,
        }
    }
    let ready = gate::admit(send, context, candidates).await?;
    if ready.is_empty() {
        return Ok(Worked::Sent(None));
    }
    let messages = u32::try_from(ready.len()).unwrap_or(u32::MAX);
    let slots = match turn::of_page(send, &context.campaign, &context.account, messages, &context.stopped).await? {
        Turn::Now(slots) => slots,
        Turn::Later(until, why) => return Ok(Worked::Later(until, why)),
        Turn::Stopped => return Ok(Worked::Sent(None)),
    };
    let mut sends: FuturesUnordered<_> =
        slots.iter().zip(ready).map(|(slot, ready)| recipient::send(send, context, ready, slot)).collect();
    let mut stop: Option<Stop> = None;
    let mut failed: Option<StoreError> = None;
    while let Some(sent) = sends.next().await {
        match sent {
            Ok(Some(asked)) => {
                context.stopped.cancel();
                stop.get_or_insert(asked);
            }
            Ok(None) => {}
            Err(error) => failed = Some(error),
        }
    }
    match (stop, failed) {
        (None, Some(error)) => Err(error.into()),
        (stop, _) => Ok(Worked::Sent(stop)),
    }
}

fn first_attempt(context: &Context, recipient: &Recipient) -> Attempt {
    let name = recipient.name.clone();
    Attempt { name, ..Attempt::new(recipient.phone.clone(), context.account.id, recipient.variant, context.page) }
}

/// A message that cannot be filled was checked when the campaign was planned, so this is a change of the definition
/// since: the recipient is settled as failed, with the reason.
async fn unsendable(
    send: &Send,
    context: &Context,
    recipient: &Recipient,
    tried: Try,
    attempt: &Attempt,
    reason: String,
) -> Result<(), StoreError> {
    let key = context.campaign.attempt_key(recipient.seq);
    let now = UnixMillis::now();
    let claim = shared::attempt::claim::Claim::for_slot(now, send.call_timeout);
    if send.core.claim(&key, attempt, tried, &claim).await? == shared::store::Claimed::Won {
        let title = Some("the message could not be filled".to_owned());
        let failure = Failure { at: now, seen: now, code: 0, title, details: Some(reason) };
        send.core.learn(&key, &[Evidence::Failed(failure)], None).await?;
    }
    Ok(())
}

/// Looks once in a while whether the campaign still sends; never ends by itself. A pause takes effect within one page.
async fn watch(send: &Send, context: &Context) {
    let Campaign { workspace, id, .. } = context.campaign;
    while !context.stopped.is_cancelled() {
        tokio::time::sleep(LOOK_EVERY).await;
        // When the table does not answer, the sends go on: their own writes will tell.
        if let Ok(campaign) = send.core.campaign(workspace, id).await
            && campaign.is_none_or(|campaign| !campaign.sends_at(UnixMillis::now()))
        {
            context.stopped.cancel();
        }
    }
    std::future::pending::<()>().await;
}

async fn look_again(
    send: &Send,
    workspace: WorkspaceId,
    id: CampaignId,
    page: PageNumber,
) -> Result<PageOutcome, NotSent> {
    let Some(campaign) = send.core.campaign(workspace, id).await? else {
        return Ok(PageOutcome::Finished);
    };
    let account = send.core.account(workspace, campaign.account).await?.ok_or(NotSent::NoAccount)?;
    let sorted = look::at_page(send, &campaign, account.safety.quiet_hours, page, Consistency::Strong).await?;
    let soon = UnixMillis::now().plus(SHORTEST_WAIT);
    if !sorted.free.is_empty() || !sorted.overdue.is_empty() {
        return Ok(PageOutcome::Later(soon, "the rest of a page".to_owned()));
    }
    match sorted.later {
        Some((until, why)) => Ok(PageOutcome::Later(until.max(soon), why)),
        None => finish(send, &campaign, page, !sorted.unknown.is_empty()).await,
    }
}

/// The page is done; `dispatch` gives out the next one. Attempts that stay unknown are looked up in Meta's history once
/// the grace period has passed.
async fn finish(
    send: &Send,
    campaign: &Campaign,
    page: PageNumber,
    some_unknown: bool,
) -> Result<PageOutcome, NotSent> {
    let (workspace, id) = (campaign.workspace, campaign.id);
    if some_unknown {
        let resolve = SendCommand::Resolve { workspace, campaign: id, page };
        send.pages.send(&resolve, send.unknown_grace).await?;
    }
    send.core.finish_page(workspace, id, page, campaign.round, UnixMillis::now()).await?;
    send.dispatch.send(&DispatchCommand::Advance { workspace, campaign: id }, Duration::ZERO).await?;
    Ok(PageOutcome::Finished)
}

/// Looks up the attempts of a page that stayed unknown. Whatever it finds or not, it is done once.
pub(crate) async fn resolve(
    send: &Send,
    workspace: WorkspaceId,
    campaign: CampaignId,
    page: PageNumber,
) -> Result<(), NotSent> {
    let Some(campaign) = send.core.campaign(workspace, campaign).await? else {
        return Ok(());
    };
    let account = send.core.account(workspace, campaign.account).await?.ok_or(NotSent::NoAccount)?;
    let sorted = look::at_page(send, &campaign, None, page, Consistency::Strong).await?;
    if sorted.unknown.is_empty() {
        return Ok(());
    }
    let token = send.secrets.token_of(&account).await?;
    let found = sorted.unknown.len();
    let unheard_of = unknown::resolve(send, &campaign, &account, &token, sorted.unknown).await?;
    tracing::info!(campaign = %campaign.id, asked = found, unheard_of = unheard_of.len(), "unknown attempts were looked up");
    Ok(())
}

async fn pause(send: &Send, workspace: WorkspaceId, campaign: CampaignId, reason: String) -> Result<(), StoreError> {
    tracing::warn!(%campaign, "a campaign was paused");
    let pause = Transition {
        from: Status::Running,
        to: Status::Paused,
        reason: Some(reason),
        paused_by: Some(PausedBy::Errors),
        at: UnixMillis::now(),
        due: None,
    };
    send.core.transition(workspace, campaign, &pause).await.map(|_| ())
}
