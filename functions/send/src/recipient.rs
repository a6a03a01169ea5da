//! One message: claim, wait for the slot, call Meta, record the answer.

use std::time::Duration;

use serde_json::{Value, json};
use shared::attempt::claim::Claim;
use shared::attempt::{Attempt, AttemptKey, Evidence, Failure, callback};
use shared::campaign::audience::Recipient;
use shared::campaign::render::{Fields, Filled};
use shared::store::{Claimed, StoreError, Touch};
use shared::throttle::UnixMicros;
use shared::time::UnixMillis;

use crate::Send;
use crate::context::Context;
use crate::media;
use crate::outcome::{self, Stop, Tried};

/// The claim and the touch are written this much before the slot, so that the writes do not delay the send. No more than
/// they take: whoever is claimed and not yet called when a process dies becomes unknown.
const CLAIM_AHEAD: Duration = Duration::from_millis(80);

/// Sends one message at its slot. `Some` when Meta's answer concerns every message of the campaign.
///
/// What a crash leaves behind, line by line: before the claim, a recipient who is free; from the claim to the recorded
/// answer, a claim that runs out and becomes *unknown*, resolved by the status webhook that echoes the callback data;
/// after that, a settled attempt.
pub(crate) async fn send(
    send: &Send,
    context: &Context,
    recipient: Recipient,
    number: u16,
    known: Option<Attempt>,
    slot: UnixMicros,
) -> Result<Option<Stop>, StoreError> {
    let claim_at = UnixMillis(slot.to_millis().0 - i64::try_from(CLAIM_AHEAD.as_millis()).unwrap_or(0));
    tokio::select! {
        biased;
        () = context.stopped.cancelled() => return Ok(None),
        () = sleep_until(claim_at) => {}
    }
    let key = context.campaign.attempt_key(recipient.seq);
    let attempt = Attempt { number, ..known.unwrap_or_else(|| first_attempt(context, &recipient)) };
    let message = match body(send, context, &key, &recipient, number) {
        Ok(message) => message,
        Err(failure) => return unsendable(send, &key, &attempt, failure).await,
    };
    let claim = Claim::for_slot(slot.to_millis());
    if send.core.claim(&key, &attempt, &claim).await? == Claimed::Lost {
        return Ok(None);
    }
    let touch = Touch {
        v: 1,
        campaign: key.campaign,
        account: context.account.id,
        shard: key.shard,
        seq: key.seq,
        at: slot.to_millis(),
    };
    let tried = Tried { key, number, refusals: attempt.refusals, digits: recipient.phone.digits(), slot: touch.at };
    if let Err(error) = send.core.touch(key.workspace, tried.digits, &touch).await {
        outcome::give_back(send, &tried).await?;
        return Err(error);
    }
    sleep_until(slot.to_millis()).await;
    if !claim.covers_a_call_at(UnixMillis::now()) {
        // The process was stopped for a while: others may hold this attempt for lost by the time Meta answers.
        return outcome::give_back(send, &tried).await.map(|()| None);
    }
    let outcome = send.graph.send(&context.account.phone_number_id, &context.token, &message).await;
    let outcome = media::unless_forgotten(send, context, recipient.variant, outcome).await;
    let stop = send.breaker.observe(context.account.id, &outcome);
    Ok(outcome::record(send, &tried, outcome).await?.or(stop))
}

fn first_attempt(context: &Context, recipient: &Recipient) -> Attempt {
    let name = recipient.name.clone();
    Attempt { name, ..Attempt::new(recipient.phone.clone(), context.account.id, recipient.variant, context.page) }
}

/// Meta's send body for this recipient.
fn body(send: &Send, context: &Context, key: &AttemptKey, recipient: &Recipient, number: u16) -> Result<Value, String> {
    let variant = context.campaign.variants.get(usize::from(recipient.variant.0));
    let message = variant.map(|variant| &variant.message).ok_or("the variant does not exist")?;
    let link = |url: &str| -> Option<Filled> {
        let link = context.campaign.links.iter().find(|link| link.url == url)?;
        send.links.of_recipient(link.id, *context.kids.get(&link.id)?, recipient.seq)
    };
    let media = |id| context.media.get(&id).cloned();
    let name = recipient.name.as_deref();
    let fields = Fields { variables: &recipient.variables, name, link: &link, media: &media };
    let mut body = message.fill(&fields).map_err(|reason| reason.to_string())?;
    let envelope = json!({
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": recipient.phone.as_str(),
        "biz_opaque_callback_data": callback::write(key, number),
    });
    if let (Value::Object(body), Value::Object(envelope)) = (&mut body, envelope) {
        body.extend(envelope);
    }
    Ok(body)
}

/// A message that cannot be filled was checked when the campaign was planned, so this is a change of the definition
/// since: the recipient is settled as failed, with the reason.
async fn unsendable(
    send: &Send,
    key: &AttemptKey,
    attempt: &Attempt,
    reason: String,
) -> Result<Option<Stop>, StoreError> {
    let now = UnixMillis::now();
    if send.core.claim(key, attempt, &Claim::for_slot(now)).await? == Claimed::Won {
        let title = Some("the message could not be filled".to_owned());
        let failure = Failure { at: now, seen: now, code: 0, title, details: Some(reason) };
        send.core.learn(key, &[Evidence::Failed(failure)], None).await?;
    }
    Ok(None)
}

async fn sleep_until(at: UnixMillis) {
    tokio::time::sleep(at.since(UnixMillis::now())).await;
}
