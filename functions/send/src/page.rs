//! One page of recipients: who of them is still to be sent to, and when each message leaves.

use std::collections::HashMap;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use shared::account::Account;
use shared::attempt::claim::{Readiness, readiness};
use shared::attempt::{Attempt, AttemptKey, Moment, Seq};
use shared::blob::{BlobError, key};
use shared::campaign::audience::Recipient;
use shared::campaign::{Campaign, PageNumber, Status};
use shared::id::{CampaignId, WorkspaceId};
use shared::link::code::{KeyId, LinkId};
use shared::queue::{DispatchCommand, QueueUnavailable};
use shared::secrets::{AccessToken, SecretError};
use shared::store::{Reservation, StoreError, Transition};
use shared::throttle::{Rate, UnixMicros};
use shared::time::UnixMillis;

use crate::outcome::Stop;
use crate::{SHORTEST_WAIT, Send, recipient};

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
    #[error("the account of the campaign does not exist")]
    NoAccount,
}

/// What every send of a page shares.
pub(crate) struct Context {
    pub(crate) campaign: Campaign,
    pub(crate) account: Account,
    pub(crate) token: AccessToken,
    pub(crate) page: PageNumber,
    /// Key generation of each of the campaign's links.
    pub(crate) kids: HashMap<LinkId, KeyId>,
}

pub(crate) async fn send(
    send: &Send,
    workspace: WorkspaceId,
    campaign: CampaignId,
    page: PageNumber,
) -> Result<PageOutcome, NotSent> {
    let Some(campaign) = send.core.campaign(workspace, campaign).await? else {
        return Ok(PageOutcome::Finished);
    };
    // A page of a campaign that does not run is dropped; when it runs again, the watchdog gives the page out again.
    if campaign.status != Status::Running {
        return Ok(PageOutcome::Finished);
    }
    let recipients: Vec<Recipient> =
        serde_json::from_slice(&send.bucket.get(&key::audience_page(workspace, campaign.id, page)).await?)?;
    let keys: Vec<AttemptKey> = recipients.iter().map(|recipient| campaign.attempt_key(recipient.seq)).collect();
    let attempts = send.core.attempts(&keys).await?;

    let now = UnixMillis::now();
    let Sorted { free, later, lost } = sort(&campaign, recipients, &attempts, now);
    for (key, tried) in lost {
        // Its claim ran out without an answer: whoever held it has died, and Meta may have the message.
        send.core.mark_unknown(&key, tried, Moment { at: now, seen: now }).await?;
    }
    if free.is_empty() {
        return match later {
            Some(at) => Ok(PageOutcome::Later(at.since(now).max(SHORTEST_WAIT), "recipients are claimed or wait")),
            None => finish(send, &campaign, page).await,
        };
    }
    send_to(send, campaign, page, free).await
}

struct Sorted {
    /// Recipients to be sent to, with the number of the try.
    free: Vec<(Recipient, u16, Option<Attempt>)>,
    /// When the first of those who must wait may be looked at again.
    later: Option<UnixMillis>,
    /// Claims that ran out.
    lost: Vec<(AttemptKey, u16)>,
}

fn sort(campaign: &Campaign, recipients: Vec<Recipient>, attempts: &HashMap<Seq, Attempt>, now: UnixMillis) -> Sorted {
    let mut sorted = Sorted { free: Vec::new(), later: None, lost: Vec::new() };
    for recipient in recipients {
        let attempt = attempts.get(&recipient.seq);
        match readiness(attempt, now) {
            Readiness::Free { number } => sorted.free.push((recipient, number, attempt.cloned())),
            Readiness::Later(at) => sorted.later = Some(sorted.later.map_or(at, |first| first.min(at))),
            Readiness::Lost => {
                let tried = attempt.map_or(1, |attempt| attempt.number);
                sorted.lost.push((campaign.attempt_key(recipient.seq), tried));
            }
            Readiness::Settled => {}
        }
    }
    sorted
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
    let context = Context { campaign, account, token, page, kids };
    let mut sends: FuturesUnordered<_> = (0..n)
        .zip(free)
        .map(|(i, (recipient, number, known))| recipient::send(send, &context, recipient, number, known, slots.at(i)))
        .collect();
    let mut stop: Option<Stop> = None;
    let mut failed: Option<StoreError> = None;
    while let Some(sent) = sends.next().await {
        match sent {
            Ok(asked) => stop = stop.or(asked),
            Err(error) => failed = Some(error),
        }
    }
    drop(sends);
    if let Some(stop) = stop {
        pause(send, &context.campaign, stop).await?;
        return Ok(PageOutcome::Finished);
    }
    if let Some(error) = failed {
        return Err(error.into());
    }
    // What is left (claims of others, tries that wait) is found by looking again.
    look_again(send, workspace, id, page).await
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
    let recipients: Vec<Recipient> =
        serde_json::from_slice(&send.bucket.get(&key::audience_page(workspace, id, page)).await?)?;
    let keys: Vec<AttemptKey> = recipients.iter().map(|recipient| campaign.attempt_key(recipient.seq)).collect();
    let attempts = send.core.attempts(&keys).await?;
    let now = UnixMillis::now();
    let Sorted { free, later, lost } = sort(&campaign, recipients, &attempts, now);
    if free.is_empty() && lost.is_empty() && later.is_none() {
        return finish(send, &campaign, page).await;
    }
    let wait = if free.is_empty() && lost.is_empty() {
        later.map_or(SHORTEST_WAIT, |at| at.since(now))
    } else {
        SHORTEST_WAIT
    };
    Ok(PageOutcome::Later(wait.max(SHORTEST_WAIT), "recipients are to be tried again"))
}

/// The page is done; `dispatch` gives out the next one.
async fn finish(send: &Send, campaign: &Campaign, page: PageNumber) -> Result<PageOutcome, NotSent> {
    let (workspace, campaign) = (campaign.workspace, campaign.id);
    send.core.finish_page(workspace, campaign, page, UnixMillis::now()).await?;
    send.dispatch.send(&DispatchCommand::Advance { workspace, campaign }, Duration::ZERO).await?;
    Ok(PageOutcome::Finished)
}

/// An error that concerns every message stops the campaign and says why.
async fn pause(send: &Send, campaign: &Campaign, stop: Stop) -> Result<(), StoreError> {
    tracing::warn!(campaign = %campaign.id, code = stop.code, "a campaign was paused by an error");
    let pause = Transition {
        from: Status::Running,
        to: Status::Paused,
        reason: Some(stop.reason),
        at: UnixMillis::now(),
        due: None,
    };
    send.core.transition(campaign.workspace, campaign.id, &pause).await.map(|_| ())
}
