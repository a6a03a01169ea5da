//! One page of recipients: who of them is still to be sent to, and when each message leaves.

use std::collections::HashMap;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use shared::attempt::claim::{Readiness, readiness};
use shared::attempt::{Attempt, AttemptKey, Moment, Seq};
use shared::blob::{BlobError, key};
use shared::campaign::audience::Recipient;
use shared::campaign::{Campaign, PageNumber, PausedBy, Status};
use shared::id::{CampaignId, WorkspaceId};
use shared::media::NotUploaded;
use shared::queue::{DispatchCommand, QueueUnavailable};
use shared::secrets::SecretError;
use shared::store::{Consistency, Reservation, StoreError, Transition};
use shared::throttle::{Rate, UnixMicros};
use shared::time::UnixMillis;
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::media::Prepared;
use crate::outcome::Stop;
use crate::{SHORTEST_WAIT, Send, media, recipient};

/// How often a page that is being sent looks whether its campaign still runs.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Where a page stands after an invocation.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PageOutcome {
    /// Nothing is left to do for this message: every recipient is settled, or the campaign does not run.
    Finished,
    /// Something is left; look again after this.
    Later(Duration, &'static str),
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
                pause(send, workspace, campaign, Stop { code: 0, reason }).await?;
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
    let Sorted { free, later, held_until } = look(send, &campaign, page, Consistency::Eventual).await?;
    let now = UnixMillis::now();
    if campaign.status != Status::Running {
        // The page is dropped, and given out again when the campaign runs again; but claims that are out must be seen to
        // their end, for Meta may have those messages.
        return Ok(match held_until {
            Some(until) => PageOutcome::Later(until.since(now).max(SHORTEST_WAIT), "messages are on their way"),
            None => PageOutcome::Finished,
        });
    }
    if free.is_empty() {
        return match later {
            Some(at) => Ok(PageOutcome::Later(at.since(now).max(SHORTEST_WAIT), WAITS)),
            None => finish(send, &campaign, page).await,
        };
    }
    send_to(send, campaign, page, free).await
}

/// Why a page waits that has nobody to be sent to now.
const WAITS: &str = "recipients are claimed, or Meta asked to try again later";

/// Reads a page's recipients and sorts them; claims that ran out are marked.
async fn look(send: &Send, campaign: &Campaign, page: PageNumber, consistency: Consistency) -> Result<Sorted, NotSent> {
    let body = send.bucket.get(&key::audience_page(campaign.workspace, campaign.id, page)).await?;
    let recipients: Vec<Recipient> = serde_json::from_slice(&body)?;
    let keys: Vec<AttemptKey> = recipients.iter().map(|recipient| campaign.attempt_key(recipient.seq)).collect();
    let attempts = send.core.attempts(&keys, consistency).await?;
    let now = UnixMillis::now();
    let (sorted, lost) = sort(campaign, recipients, &attempts, now);
    for (key, tried) in lost {
        // Its claim ran out without an answer: whoever held it has died, and Meta may have the message.
        send.core.mark_unknown(&key, tried, Moment { at: now, seen: now }).await?;
    }
    Ok(sorted)
}

struct Sorted {
    /// Recipients to be sent to, with the number of the try.
    free: Vec<(Recipient, u16, Option<Attempt>)>,
    /// When the first of those who must wait may be looked at again.
    later: Option<UnixMillis>,
    /// When the last claim that is out runs out.
    held_until: Option<UnixMillis>,
}

fn sort(
    campaign: &Campaign,
    recipients: Vec<Recipient>,
    attempts: &HashMap<Seq, Attempt>,
    now: UnixMillis,
) -> (Sorted, Vec<(AttemptKey, u16)>) {
    let mut sorted = Sorted { free: Vec::new(), later: None, held_until: None };
    let mut lost = Vec::new();
    for recipient in recipients {
        let attempt = attempts.get(&recipient.seq);
        match readiness(attempt, now) {
            Readiness::Free { number } => sorted.free.push((recipient, number, attempt.cloned())),
            Readiness::Later(at) => {
                sorted.later = Some(sorted.later.map_or(at, |first| first.min(at)));
                if attempt.is_some_and(|attempt| attempt.claim.is_some()) {
                    sorted.held_until = sorted.held_until.max(Some(at));
                }
            }
            Readiness::Lost => {
                let tried = attempt.map_or(1, |attempt| attempt.number);
                lost.push((campaign.attempt_key(recipient.seq), tried));
            }
            Readiness::Settled => {}
        }
    }
    (sorted, lost)
}

/// Reserves the slots and sends, each recipient on its own.
async fn send_to(
    send: &Send,
    campaign: Campaign,
    page: PageNumber,
    free: Vec<(Recipient, u16, Option<Attempt>)>,
) -> Result<PageOutcome, NotSent> {
    let (workspace, id) = (campaign.workspace, campaign.id);
    let account = send.core.account(workspace, campaign.account).await?.ok_or(NotSent::NoAccount)?;
    let token = send.secrets.token(workspace, account.id).await?;
    let media = match media::prepare(send, &campaign, &account, &token).await? {
        Prepared::Ready(ids) => ids,
        Prepared::Wait(delay, reason) => return Ok(PageOutcome::Later(delay, reason)),
    };
    let mut kids = HashMap::new();
    for link in &campaign.links {
        if let Some(stored) = send.core.link(link.id).await? {
            kids.insert(link.id, stored.kid);
        }
    }
    let rate = Rate::per_second(campaign.rate(account.messages_per_second));
    let n = rate.portion(u32::try_from(free.len()).unwrap_or(u32::MAX));
    let now = UnixMicros::from_millis(UnixMillis::now());
    let reserved = send.core.reserve_slots(workspace, account.id, n, rate, send.last_seen(account.id), now).await?;
    let slots = match reserved {
        Reservation::Granted { slots, next_free } => {
            send.saw(account.id, next_free);
            slots
        }
        Reservation::Wait(delay) => {
            return Ok(PageOutcome::Later(delay.max(SHORTEST_WAIT), "the account's rate is used up"));
        }
    };
    let context = Context { campaign, account, token, page, kids, media, stopped: CancellationToken::new() };
    let mut sends: FuturesUnordered<_> = (0..n)
        .zip(free)
        .map(|(i, (recipient, number, known))| recipient::send(send, &context, recipient, number, known, slots.at(i)))
        .collect();
    let mut stop: Option<Stop> = None;
    let mut failed: Option<StoreError> = None;
    let all_sent = async {
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
    };
    tokio::select! {
        () = all_sent => {}
        () = watch(send, &context) => {}
    }
    if let Some(stop) = stop {
        pause(send, workspace, id, stop).await?;
        return Ok(PageOutcome::Finished);
    }
    if let Some(error) = failed {
        return Err(error.into());
    }
    // What is left (claims of others, tries that wait) is found by looking again.
    look_again(send, workspace, id, page).await
}

/// Looks once in a while whether the campaign still runs; never ends by itself. A pause takes effect within one page.
async fn watch(send: &Send, context: &Context) {
    let Campaign { workspace, id, .. } = context.campaign;
    while !context.stopped.is_cancelled() {
        tokio::time::sleep(LOOK_EVERY).await;
        // When the table does not answer, the sends go on: their own writes will tell.
        if let Ok(campaign) = send.core.campaign(workspace, id).await
            && campaign.is_none_or(|campaign| campaign.status != Status::Running)
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
    let Sorted { free, later, .. } = look(send, &campaign, page, Consistency::Strong).await?;
    let now = UnixMillis::now();
    if free.is_empty() && later.is_none() {
        return finish(send, &campaign, page).await;
    }
    let wait = if free.is_empty() { later.map_or(SHORTEST_WAIT, |at| at.since(now)) } else { SHORTEST_WAIT };
    Ok(PageOutcome::Later(wait.max(SHORTEST_WAIT), WAITS))
}

/// The page is done; `dispatch` gives out the next one.
async fn finish(send: &Send, campaign: &Campaign, page: PageNumber) -> Result<PageOutcome, NotSent> {
    let (workspace, campaign) = (campaign.workspace, campaign.id);
    send.core.finish_page(workspace, campaign, page, UnixMillis::now()).await?;
    send.dispatch.send(&DispatchCommand::Advance { workspace, campaign }, Duration::ZERO).await?;
    Ok(PageOutcome::Finished)
}

/// An error that concerns every message stops the campaign and says why.
async fn pause(send: &Send, workspace: WorkspaceId, campaign: CampaignId, stop: Stop) -> Result<(), StoreError> {
    tracing::warn!(%campaign, code = stop.code, "a campaign was paused by an error");
    let pause = Transition {
        from: Status::Running,
        to: Status::Paused,
        reason: Some(stop.reason),
        paused_by: Some(PausedBy::Errors),
        at: UnixMillis::now(),
        due: None,
    };
    send.core.transition(workspace, campaign, &pause).await.map(|_| ())
}
