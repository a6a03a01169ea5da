//! What Meta's answer, or the lack of one, makes of an attempt.

use std::time::Duration;

use shared::attempt::claim::{MAX_TRIES, Release, back_off};
use shared::attempt::{AttemptKey, Evidence, Failure, Flag, Moment};
use shared::meta::client::SendOutcome;
use shared::meta::error::{ErrorClass, MetaError};
use shared::store::StoreError;
use shared::time::UnixMillis;

use crate::Send;

/// An answer that concerns every message of the campaign: it pauses.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stop {
    /// Meta's code.
    pub(crate) code: i64,
    /// For people.
    pub(crate) reason: String,
}

/// Meta's code for a pair of numbers that talks too fast: at most one message in 6 s (Meta, pair rate limit).
const PAIR_RATE_LIMIT: i64 = 131_056;

/// Records the outcome of a call.
pub(crate) async fn record(
    send: &Send,
    key: &AttemptKey,
    number: u16,
    outcome: SendOutcome,
) -> Result<Option<Stop>, StoreError> {
    let now = UnixMillis::now();
    let moment = Moment { at: now, seen: now };
    match outcome {
        SendOutcome::Accepted(accepted) => {
            send.core.record_accepted(key, &accepted, moment).await?;
            Ok(None)
        }
        SendOutcome::Refused(error) => refused(send, key, number, &error, now).await,
        SendOutcome::NotSent => {
            release(send, key, number, back_off(number), 0, now).await?;
            Ok(None)
        }
        SendOutcome::Lost => {
            send.core.mark_unknown(key, number, moment).await?;
            Ok(None)
        }
    }
}

/// Gives the claim back without a call.
pub(crate) async fn give_back(send: &Send, key: &AttemptKey, number: u16, now: UnixMillis) -> Result<(), StoreError> {
    release(send, key, number, Duration::ZERO, 0, now).await
}

async fn refused(
    send: &Send,
    key: &AttemptKey,
    number: u16,
    error: &MetaError,
    now: UnixMillis,
) -> Result<Option<Stop>, StoreError> {
    match error.class() {
        ErrorClass::Retry if number < MAX_TRIES => {
            let wait = match error.code {
                PAIR_RATE_LIMIT => Duration::from_secs(6),
                _ => back_off(number),
            };
            release(send, key, number, wait, error.code, now).await?;
            Ok(None)
        }
        ErrorClass::PauseAccount | ErrorClass::PauseTemplate => {
            release(send, key, number, Duration::ZERO, error.code, now).await?;
            Ok(Some(Stop { code: error.code, reason: explain(error) }))
        }
        class => {
            let failure = Failure {
                at: now,
                seen: now,
                code: error.code,
                title: Some(error.title.clone()),
                details: error.details.clone(),
            };
            let mut evidence = vec![Evidence::Failed(failure)];
            if class == ErrorClass::OptOut {
                evidence.push(Evidence::Flag(Flag::OptedOut, Moment { at: now, seen: now }));
            }
            send.core.learn(key, &evidence, None).await?;
            Ok(None)
        }
    }
}

async fn release(
    send: &Send,
    key: &AttemptKey,
    tried: u16,
    wait: Duration,
    code: i64,
    now: UnixMillis,
) -> Result<(), StoreError> {
    send.core.release(key, tried, &Release { not_before: now.plus(wait), code }).await
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
