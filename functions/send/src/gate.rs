//! Who of a page is written to at all, by the rules of the account: asked right before the sends, for people opt out while
//! a campaign runs. Whoever is refused is settled as skipped, with the reason.

use std::collections::HashMap;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use shared::attempt::Skip;
use shared::contact::Consent;
use shared::phone::wa_id_variants;
use shared::safety::{Earlier, Outgoing, Person, Refusal, decide, readable};
use shared::store::StoreError;
use shared::time::UnixMillis;

use crate::Send;
use crate::context::Context;
use crate::recipient::{Candidate, Ready};

/// Reads and writes under way at once.
const AT_ONCE: usize = 16;

/// The latest messages to a person that are looked at; far above any sensible frequency cap.
const LATEST: usize = 100;

/// Those who may be written to; the others are settled as skipped.
pub(crate) async fn admit(
    send: &Send,
    context: &Context,
    candidates: Vec<Candidate>,
) -> Result<Vec<Ready>, StoreError> {
    let workspace = context.campaign.workspace;
    let digits: Vec<&str> = candidates.iter().map(|candidate| candidate.recipient.phone.digits()).collect();
    let consents = send.core.consents(workspace, &digits).await?;
    let look_back = context.account.safety.looks_back();
    let judged: Vec<(Candidate, u64, Result<(), Refusal>)> = futures::stream::iter(candidates)
        .map(|candidate| judge(send, context, candidate, &consents, look_back))
        .buffered(AT_ONCE)
        .try_collect()
        .await?;
    let mut ready = Vec::with_capacity(judged.len());
    let mut refused = Vec::new();
    for (candidate, fingerprint, verdict) in judged {
        match verdict {
            Ok(()) => ready.push(Ready { candidate, fingerprint }),
            Err(refusal) => refused.push((candidate, refusal)),
        }
    }
    futures::stream::iter(refused)
        .map(|(candidate, refusal)| skip(send, context, candidate, refusal))
        .buffer_unordered(AT_ONCE)
        .try_collect::<()>()
        .await?;
    Ok(ready)
}

async fn judge(
    send: &Send,
    context: &Context,
    candidate: Candidate,
    consents: &HashMap<String, Consent>,
    look_back: Duration,
) -> Result<(Candidate, u64, Result<(), Refusal>), StoreError> {
    let now = UnixMillis::now();
    let recent =
        if look_back.is_zero() { Vec::new() } else { recent(send, context, &candidate, look_back, now).await? };
    let consent = consents.get(candidate.recipient.phone.digits());
    let person = Person {
        known: consent.is_some(),
        opted_in: consent.is_some_and(Consent::is_opted_in),
        opted_out: consent.is_some_and(Consent::is_opted_out),
        recent: &recent,
    };
    let text = readable(&candidate.content);
    let outgoing = Outgoing::new(&candidate.content, &text, context.campaign.category);
    let verdict = decide(&context.account.safety, &person, &outgoing, now);
    Ok((candidate, outgoing.content, verdict))
}

/// What the account's other campaigns have sent to the person.
async fn recent(
    send: &Send,
    context: &Context,
    candidate: &Candidate,
    look_back: Duration,
    now: UnixMillis,
) -> Result<Vec<Earlier>, StoreError> {
    let mut recent = Vec::new();
    for digits in wa_id_variants(candidate.recipient.phone.digits()) {
        for touch in send.core.touches(context.campaign.workspace, &digits, LATEST).await? {
            let ours = touch.campaign == context.campaign.id;
            if !ours && touch.account == context.account.id && now.since(touch.at) <= look_back {
                recent.push(Earlier { at: touch.at, content: touch.content.unwrap_or_default() });
            }
        }
    }
    Ok(recent)
}

async fn skip(send: &Send, context: &Context, candidate: Candidate, refusal: Refusal) -> Result<(), StoreError> {
    let key = context.campaign.attempt_key(candidate.recipient.seq);
    let skip = Skip { at: UnixMillis::now(), code: refusal.code().to_owned(), reason: refusal.to_string() };
    send.core.skip(&key, &candidate.attempt, &skip).await
}
