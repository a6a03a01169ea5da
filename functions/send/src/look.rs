//! Who of a page is still to be sent to: the recipients of the page, what is stored of each, and what may be done now.

use std::collections::HashMap;

use shared::attempt::claim::{After, Policy, Readiness, Try, readiness};
use shared::attempt::{Attempt, AttemptKey, Moment, Seq, Standing};
use shared::blob::key;
use shared::campaign::audience::Recipient;
use shared::campaign::{Campaign, OnUnknown, PageNumber};
use shared::local_time::hours::Hours;
use shared::local_time::zones_of;
use shared::store::Consistency;
use shared::time::UnixMillis;

use crate::Send;
use crate::page::NotSent;

/// A page's recipients, sorted by what may be done.
#[derive(Default)]
pub(crate) struct Sorted {
    /// Recipients to be sent to, with the try and what is stored of them.
    pub(crate) free: Vec<(Recipient, Try, Option<Attempt>)>,
    /// Recipients of whom nobody knows whether they have the message, and who are to be sent to unless Meta does.
    pub(crate) overdue: Vec<(Recipient, Try, Attempt)>,
    /// Recipients of whom nobody knows, and who are left alone.
    pub(crate) unknown: Vec<(Recipient, Attempt)>,
    /// When the first of those who must wait may be looked at again, and why.
    pub(crate) later: Option<(UnixMillis, String)>,
    /// When the last claim that is out runs out.
    pub(crate) held_until: Option<UnixMillis>,
}

impl Sorted {
    fn wait(&mut self, until: UnixMillis, why: &str) {
        if self.later.as_ref().is_none_or(|(first, _)| until < *first) {
            self.later = Some((until, why.to_owned()));
        }
    }
}

/// Reads a page's recipients and sorts them; claims that ran out are marked.
pub(crate) async fn at_page(
    send: &Send,
    campaign: &Campaign,
    quiet: Option<shared::local_time::QuietHours>,
    page: PageNumber,
    consistency: Consistency,
) -> Result<Sorted, NotSent> {
    let body = send.bucket.get(&key::audience_page(campaign.workspace, campaign.id, page)).await?;
    let recipients: Vec<Recipient> = serde_json::from_slice(&body)?;
    let keys: Vec<AttemptKey> = recipients.iter().map(|recipient| campaign.attempt_key(recipient.seq)).collect();
    let attempts = send.core.attempts(&keys, consistency).await?;
    let now = UnixMillis::now();
    let policy = Policy {
        resend_after: (campaign.on_unknown == OnUnknown::Resend).then_some(send.unknown_grace),
        retry_before: campaign.retry_before,
    };
    let begun = campaign.started_at.unwrap_or(campaign.created_at);
    let hours = Hours::of(&campaign.schedule, begun, quiet);
    let (sorted, lost) = sort(campaign, recipients, &attempts, &policy, &hours, now);
    for (key, tried) in &lost {
        // Its claim ran out without an answer: whoever held it has died, and Meta may have the message.
        send.core.mark_unknown(key, *tried, Moment { at: now, seen: now }).await?;
    }
    Ok(sorted)
}

fn sort(
    campaign: &Campaign,
    recipients: Vec<Recipient>,
    attempts: &HashMap<Seq, Attempt>,
    policy: &Policy,
    hours: &Hours,
    now: UnixMillis,
) -> (Sorted, Vec<(AttemptKey, u16)>) {
    let mut sorted = Sorted::default();
    let mut lost = Vec::new();
    for recipient in recipients {
        let attempt = attempts.get(&recipient.seq);
        match readiness(attempt, policy, now) {
            Readiness::Free(tried) => {
                let zones = if hours.are_all() { &[] } else { zones_of(&recipient.phone) };
                if let Some((until, why)) = hours.wait(zones, now) {
                    sorted.wait(until, why);
                    continue;
                }
                match (tried.after, attempt.cloned()) {
                    (After::Unknown, Some(attempt)) => sorted.overdue.push((recipient, tried, attempt)),
                    (_, attempt) => sorted.free.push((recipient, tried, attempt)),
                }
            }
            Readiness::Later(at) => {
                sorted.wait(at, WAITS);
                if attempt.is_some_and(|attempt| attempt.claim.is_some() && attempt.unknown.is_none()) {
                    sorted.held_until = sorted.held_until.max(Some(at));
                }
            }
            Readiness::Lost => {
                let tried = attempt.map_or(1, |attempt| attempt.number);
                lost.push((campaign.attempt_key(recipient.seq), tried));
                if policy.resend_after.is_some() {
                    sorted.wait(now, WAITS);
                } else if let Some(attempt) = attempt.cloned() {
                    sorted.unknown.push((recipient, attempt));
                }
            }
            Readiness::Settled => {
                if let Some(attempt) = attempt.filter(|attempt| attempt.standing() == Standing::Unknown) {
                    sorted.unknown.push((recipient, attempt.clone()));
                }
            }
        }
    }
    (sorted, lost)
}

/// Why a page waits that has nobody to be sent to now.
const WAITS: &str = "recipients are claimed, or Meta asked to try again later";
