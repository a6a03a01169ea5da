//! What Meta's answer, or the lack of one, makes of an attempt.

use std::time::Duration;

use shared::attempt::claim::{MAX_REFUSALS, Release, back_off};
use shared::attempt::{AttemptKey, Evidence, Failure, Flag, Moment};
use shared::meta::client::SendOutcome;
use shared::meta::error::{ErrorClass, MetaError};
use shared::store::StoreError;
use shared::time::UnixMillis;

use crate::Send;

/// An answer that concerns every message of the campaign: it pauses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stop {
    /// Meta's code; 0 when it is not Meta's.
    pub(crate) code: i64,
    /// For people.
    pub(crate) reason: String,
}

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

/// Too fast for one recipient: at most one message in 6 s; Meta asks for 4^n s (Meta, pair rate limit).
const PAIR_RATE_LIMIT: i64 = 131_056;

/// The number is being moved to a higher throughput: about a minute (Meta, throughput page).
const MAINTENANCE: [i64; 2] = [131_057, 2_494_100];

/// Not delivered for the recipient's sake; Meta wants a day or more before another try (Meta, error codes), which is the
/// operator's decision.
const HEALTHY_ECOSYSTEM: i64 = 131_049;

/// How long an app or a flow that has used up its calls waits (Meta, error codes 4, 613, 132069: up to an hour).
const WINDOW: Duration = Duration::from_secs(600);

/// Records the outcome of a call.
pub(crate) async fn record(send: &Send, tried: &Tried<'_>, outcome: SendOutcome) -> Result<Option<Stop>, StoreError> {
    let now = UnixMillis::now();
    let moment = Moment { at: now, seen: now };
    match outcome {
        SendOutcome::Accepted(accepted) => {
            send.core.record_accepted(&tried.key, &accepted, moment).await?;
            Ok(None)
        }
        SendOutcome::Refused(error) => refused(send, tried, &error, now).await,
        SendOutcome::NotSent => {
            release(send, tried, tried.refusals, back_off(tried.number), 0, now).await?;
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

async fn refused(
    send: &Send,
    tried: &Tried<'_>,
    error: &MetaError,
    now: UnixMillis,
) -> Result<Option<Stop>, StoreError> {
    let refusals = tried.refusals.saturating_add(1);
    let again = match error.class() {
        // What concerns every message is not held against this one.
        ErrorClass::PauseAccount | ErrorClass::PauseTemplate => {
            release(send, tried, tried.refusals, Duration::ZERO, error.code, now).await?;
            return Ok(Some(Stop { code: error.code, reason: explain(error) }));
        }
        ErrorClass::Retry if MAINTENANCE.contains(&error.code) => Some((tried.refusals, Duration::from_secs(60))),
        ErrorClass::Retry if error.code == PAIR_RATE_LIMIT => {
            Some((refusals, Duration::from_secs(4_u64.pow(u32::from(refusals.clamp(2, 6))))))
        }
        ErrorClass::Retry => Some((refusals, back_off(refusals))),
        ErrorClass::RetryAfterWindow if error.code != HEALTHY_ECOSYSTEM => Some((refusals, WINDOW)),
        _ => None,
    };
    if let Some((refusals, wait)) = again.filter(|(refusals, _)| *refusals < MAX_REFUSALS) {
        release(send, tried, refusals, wait, error.code, now).await?;
        return Ok(None);
    }
    let title = Some(error.title.clone());
    let failure = Failure { at: now, seen: now, code: error.code, title, details: error.details.clone() };
    let mut evidence = vec![Evidence::Failed(failure)];
    if error.class() == ErrorClass::OptOut {
        evidence.push(Evidence::Flag(Flag::OptedOut, Moment { at: now, seen: now }));
    }
    send.core.learn(&tried.key, &evidence, None).await?;
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

fn explain(error: &MetaError) -> String {
    let MetaError { code, title, details, .. } = error;
    let what_to_do = match code {
        0 | 190 | 104 => "renew the account's access token, then resume",
        132_000..=132_999 => "correct the template or its parameters, then resume",
        _ => "look at the number in Meta's business manager, then resume",
    };
    match details {
        Some(details) => format!("Meta refused with {code} {title} ({details}): {what_to_do}"),
        None => format!("Meta refused with {code} {title}: {what_to_do}"),
    }
}
