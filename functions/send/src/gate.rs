//! Who of a page is written to at all, by the rules of the account: asked right before the sends, for people opt out while
//! a campaign runs. Whoever is refused is settled as skipped, with the reason.

use std::collections::HashMap;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use shared::attempt::Skip;
use shared::contact::Consent;
use shared::safety::{Outgoing, Person, Refusal, decide, readable};
use shared::store::StoreError;
use shared::time::UnixMillis;

use crate::Send;
use crate::context::Context;
use crate::recipient::{Candidate, Ready};

/// Reads and writes under way at once.
const AT_ONCE: usize = 16;

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
    mut candidate: Candidate,
    consents: &HashMap<String, Consent>,
    look_back: Duration,
) -> Result<(Candidate, u64, Result<(), Refusal>), StoreError> {
    let now = UnixMillis::now();
    let digits = candidate.recipient.phone.digits();
    if candidate.recipient.phone.is_erased() {
        return Ok((candidate, 0, Err(Refusal::Erased)));
    }
    let (workspace, id) = (context.campaign.workspace, context.campaign.id);
    let recent = send.core.earlier_messages(workspace, context.account.id, id, digits, look_back, now).await?;
    let consent = consents.get(digits);
    // The row is born with its person, so that whoever reads it later need not ask whose number it was.
    candidate.attempt.contact = candidate.attempt.contact.or_else(|| consent?.contact);
    let person = Person::of(consent, &recent);
    let text = readable(&candidate.content);
    let outgoing = Outgoing::new(&candidate.content, &text, context.campaign.category);
    let verdict = decide(&context.account.safety, &person, &outgoing, now);
    Ok((candidate, outgoing.content, verdict))
}

async fn skip(send: &Send, context: &Context, candidate: Candidate, refusal: Refusal) -> Result<(), StoreError> {
    let key = context.campaign.attempt_key(candidate.recipient.seq);
    let skip = Skip { at: UnixMillis::now(), code: refusal.code().to_owned(), reason: refusal.to_string() };
    send.core.skip(&key, &candidate.attempt, candidate.tried, &skip).await
}
