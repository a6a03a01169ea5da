//! Attempts of which nobody knows whether Meta has the message: Meta's own history is asked, once for all of a page.

use shared::account::Account;
use shared::attempt::{Attempt, AttemptKey, Evidence, Flag, Moment, Seq};
use shared::campaign::Campaign;
use shared::campaign::audience::Recipient;
use shared::meta::history::KnownMessage;
use shared::phone::wa_id_variants;
use shared::secrets::AccessToken;
use shared::store::{StoreError, Told};
use shared::time::UnixMillis;

use crate::Send;

/// Clocks differ: what happened to a message at Meta may bear a time this much before its slot.
const SKEW_MS: i64 = 5_000;

/// Other campaigns that wrote to the same person are looked at, the latest so many.
const LATEST: usize = 25;

/// Looks the attempts up in Meta's history and records what it tells; those of whom it knows nothing. When it cannot be
/// asked, that is all of them: then a webhook resolves them, or the campaign's policy.
pub(crate) async fn resolve(
    send: &Send,
    campaign: &Campaign,
    account: &Account,
    token: &AccessToken,
    unknown: Vec<(Recipient, Attempt)>,
) -> Result<Vec<Seq>, StoreError> {
    let Some(first) = unknown.iter().filter_map(|(_, attempt)| left_at(attempt)).min() else {
        // Nothing is known of when they were to leave, so nothing can be looked up.
        return Ok(unknown.into_iter().map(|(recipient, _)| recipient.seq).collect());
    };
    let since = UnixMillis(first.0 - SKEW_MS);
    let known = match send.graph.message_history(&account.phone_number_id, token, since).await {
        Ok(known) => known,
        Err(error) => {
            tracing::warn!(campaign = %campaign.id, %error, "meta's message history could not be asked");
            return Ok(unknown.into_iter().map(|(recipient, _)| recipient.seq).collect());
        }
    };
    let mut unheard_of = Vec::new();
    for (recipient, attempt) in unknown {
        let key = campaign.attempt_key(recipient.seq);
        match find(send, &known, &key, &recipient, &attempt).await? {
            Some(wamid) => {
                let now = UnixMillis::now();
                let at = left_at(&attempt).unwrap_or(now);
                let accepted = Evidence::Flag(Flag::Accepted, Moment { at, seen: now });
                let told = Told { number: attempt.number, wamid: Some(&wamid), pricing: None };
                send.core.learn(&key, &[accepted], Some(told)).await?;
            }
            None => unheard_of.push(recipient.seq),
        }
    }
    Ok(unheard_of)
}

/// When the message was to leave, if it was.
fn left_at(attempt: &Attempt) -> Option<UnixMillis> {
    attempt.claim.as_ref().map(|claim| claim.slot)
}

/// Meta's message that can only be this attempt's: to this number, not older than its slot, and of no other campaign.
async fn find(
    send: &Send,
    known: &[KnownMessage],
    key: &AttemptKey,
    recipient: &Recipient,
    attempt: &Attempt,
) -> Result<Option<String>, StoreError> {
    let digits = wa_id_variants(recipient.phone.digits());
    let Some(left) = left_at(attempt) else {
        return Ok(None);
    };
    let mut candidates: Vec<&KnownMessage> = known
        .iter()
        .filter(|message| digits.iter().any(|digits| message.is_to(digits)))
        .filter(|message| message.first_event.is_none_or(|at| at.0 >= left.0 - SKEW_MS))
        .collect();
    if candidates.is_empty() {
        return Ok(None);
    }
    for digits in &digits {
        for touch in send.core.touches(key.workspace, digits, LATEST).await? {
            if let Some(other) = send.core.attempt(&touch.attempt(key.workspace)).await? {
                let theirs = other.earlier.iter().filter_map(|tried| tried.wamid.as_ref()).chain(other.wamid.as_ref());
                let theirs: Vec<&String> = theirs.collect();
                candidates.retain(|message| !theirs.contains(&&message.wamid));
            }
        }
    }
    Ok(candidates.last().map(|message| message.wamid.clone()))
}
