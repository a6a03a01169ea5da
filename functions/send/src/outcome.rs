//! What Meta's answer, or the lack of one, makes of an attempt.

use std::time::Duration;

use shared::attempt::claim::{Release, back_off};
use shared::attempt::{AttemptKey, Evidence, Failure, Flag, Moment};
use shared::meta::client::SendOutcome;
use shared::meta::error::{ErrorClass, MetaError};
use shared::meta::ladder::Ladder;
use shared::store::{StoreError, Told};
use shared::throttle::UnixMicros;
use shared::time::UnixMillis;

use crate::Send;
use crate::context::Context;
use crate::stop::Stop;

/// A try that has been claimed and touched.
pub(crate) struct Tried<'a> {
    pub(crate) key: AttemptKey,
    pub(crate) number: u16,
    /// How often Meta has refused the message before.
    pub(crate) refusals: u16,
    /// The number it was dialled under, without the plus.
    pub(crate) digits: &'a str,
    /// When it was to leave, as the touch has it.
    pub(crate) slot: UnixMillis,
}

/// More messages a second than the number may send (Meta, error codes).
const TOO_FAST: i64 = 130_429;

/// Records the outcome of a call. `Some` when it concerns every message.
pub(crate) async fn record(
    send: &Send,
    context: &Context,
    tried: &Tried<'_>,
    outcome: SendOutcome,
) -> Result<Option<Stop>, StoreError> {
    let now = UnixMillis::now();
    let moment = Moment { at: now, seen: now };
    match outcome {
        SendOutcome::Accepted(accepted) => {
            send.core.record_accepted(&tried.key, tried.number, &accepted, moment).await?;
            Ok(None)
        }
        SendOutcome::Refused(error) => refused(send, context, tried, &error, now).await,
        SendOutcome::NotSent => {
            try_later(send, tried).await?;
            Ok(None)
        }
        SendOutcome::Lost => {
            send.core.mark_unknown(&tried.key, tried.number, moment).await?;
            Ok(None)
        }
    }
}

/// Gives the claim back without a call.
pub(crate) async fn give_back(send: &Send, tried: &Tried<'_>) -> Result<(), StoreError> {
    release(send, tried, tried.refusals, Duration::ZERO, 0, UnixMillis::now()).await
}

/// Gives the claim back; the next try comes after a while.
pub(crate) async fn try_later(send: &Send, tried: &Tried<'_>) -> Result<(), StoreError> {
    release(send, tried, tried.refusals, back_off(tried.number), 0, UnixMillis::now()).await
}

async fn refused(
    send: &Send,
    context: &Context,
    tried: &Tried<'_>,
    error: &MetaError,
    now: UnixMillis,
) -> Result<Option<Stop>, StoreError> {
    let class = error.class();
    // What concerns every message is not held against this one.
    if let Some(stop) = Stop::because_of(error) {
        release(send, tried, tried.refusals, Duration::ZERO, error.code, now).await?;
        return Ok(Some(stop));
    }
    let (workspace, account) = (tried.key.workspace, &context.account);
    if error.code == TOO_FAST {
        send.core.slow_down(workspace, account.id, account.effective_rate().0, UnixMicros::now()).await?;
    }
    let ladder = Ladder::of(error.code, class);
    let refusals = tried.refusals.saturating_add(1);
    if let Some(wait) = ladder.wait_after(refusals) {
        if ladder.is_on_the_account() {
            let because = format!("Meta asked for a pause: {} {}", error.code, error.title);
            send.core.rest(workspace, account.id, now.plus(wait), &because).await?;
        }
        release(send, tried, refusals, wait, error.code, now).await?;
        return Ok(None);
    }
    let title = Some(error.title.clone());
    let failure = Failure { at: now, seen: now, code: error.code, title, details: error.details.clone() };
    let mut evidence = vec![Evidence::Failed(failure)];
    if class == ErrorClass::OptOut {
        evidence.push(Evidence::Flag(Flag::OptedOut, Moment { at: now, seen: now }));
        send.core.opt_out(workspace, tried.digits, "whatsapp", now).await?;
    }
    let told = Told { number: tried.number, wamid: None, pricing: None };
    send.core.learn(&tried.key, &evidence, Some(told)).await?;
    untouch(send, tried).await?;
    Ok(None)
}

/// Makes the recipient free again after `wait`. The touch goes first: a reply must not find a message that never left.
async fn release(
    send: &Send,
    tried: &Tried<'_>,
    refusals: u16,
    wait: Duration,
    code: i64,
    now: UnixMillis,
) -> Result<(), StoreError> {
    untouch(send, tried).await?;
    let release = Release { not_before: now.plus(wait), code };
    send.core.release(&tried.key, tried.number, refusals, &release).await
}

async fn untouch(send: &Send, tried: &Tried<'_>) -> Result<(), StoreError> {
    send.core.untouch(tried.key.workspace, tried.digits, tried.key.campaign, tried.slot).await
}
