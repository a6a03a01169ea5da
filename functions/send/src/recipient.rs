//! One message: claim, wait for the slot, call Meta, record the answer.

use std::time::Duration;

use serde_json::Value;
use shared::attempt::claim::{Claim, Try};
use shared::attempt::{Attempt, AttemptKey};
use shared::campaign::audience::Recipient;
use shared::store::{Claimed, StoreError, Touch};
use shared::throttle::UnixMicros;
use shared::time::UnixMillis;

use crate::context::Context;
use crate::outcome::{self, Tried};
use crate::stop::Stop;
use crate::{Send, media, message};

/// The claim and the touch are written this much before the slot, so that the writes do not delay the send. No more than
/// they take: whoever is claimed and not yet called when a process dies becomes unknown.
const CLAIM_AHEAD: Duration = Duration::from_millis(80);

/// Somebody who is to be sent to, if the rules allow it.
pub(crate) struct Candidate {
    pub(crate) recipient: Recipient,
    pub(crate) tried: Try,
    /// The row as it was read, or as it is to be born.
    pub(crate) attempt: Attempt,
    /// What is sent, see [`message::content`].
    pub(crate) content: Value,
}

/// Somebody whom the rules allow to be sent to.
pub(crate) struct Ready {
    pub(crate) candidate: Candidate,
    /// Names the content for rules about repeats.
    pub(crate) fingerprint: u64,
}

/// Sends one message at its slot. `Some` when Meta's answer concerns every message.
///
/// What a crash leaves behind, line by line: before the claim, a recipient who is free; from the claim to the recorded
/// answer, a claim that runs out and becomes *unknown*, resolved by the status webhook that echoes the callback data, by
/// Meta's message history, or by the campaign's policy; after that, a settled attempt.
pub(crate) async fn send(
    send: &Send,
    context: &Context,
    ready: Ready,
    slot: UnixMicros,
) -> Result<Option<Stop>, StoreError> {
    let Candidate { recipient, tried: this_try, attempt, content } = &ready.candidate;
    let number = this_try.number;
    let claim_at = UnixMillis(slot.to_millis().0 - i64::try_from(CLAIM_AHEAD.as_millis()).unwrap_or(0));
    tokio::select! {
        biased;
        () = context.stopped.cancelled() => return Ok(None),
        () = sleep_until(claim_at) => {}
    }
    let key: AttemptKey = context.campaign.attempt_key(recipient.seq);
    let body = message::addressed(content, recipient, &key, number);
    let claim = Claim::for_slot(slot.to_millis(), send.call_timeout);
    if send.core.claim(&key, attempt, *this_try, &claim).await? == Claimed::Lost {
        return Ok(None);
    }
    let touch = Touch {
        v: 1,
        campaign: key.campaign,
        account: context.account.id,
        shard: key.shard,
        seq: key.seq,
        at: slot.to_millis(),
        content: Some(ready.fingerprint),
    };
    let tried = Tried { key, number, refusals: attempt.refusals, digits: recipient.phone.digits(), slot: touch.at };
    if let Err(error) = send.core.touch(key.workspace, tried.digits, &touch).await {
        outcome::give_back(send, &tried).await?;
        return Err(error);
    }
    sleep_until(slot.to_millis()).await;
    let (rate, _) = context.account.effective_rate();
    let permit = send.pacer.permit(context.account.id, rate, UnixMicros::now());
    sleep_until(permit.at.to_millis()).await;
    if context.stopped.is_cancelled() || !claim.covers_a_call_at(UnixMillis::now(), send.call_timeout) {
        // The campaign was stopped, or the process was, for so long that others may hold this attempt for lost by the time
        // Meta answers.
        return outcome::give_back(send, &tried).await.map(|()| None);
    }
    let outcome = send
        .graph
        .send(&context.account.phone_number_id, &context.token, &body, move || permit.left(UnixMicros::now()))
        .await;
    if media::is_forgotten(send, context, recipient.variant, &outcome).await {
        return outcome::try_later(send, &tried).await.map(|()| None);
    }
    let stop = send.breaker.observe(&context.account, &outcome);
    Ok(outcome::record(send, context, &tried, outcome).await?.or(stop))
}

async fn sleep_until(at: UnixMillis) {
    tokio::time::sleep(at.since(UnixMillis::now())).await;
}
