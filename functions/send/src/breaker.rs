//! Stops an account after errors in a row that are nobody's recipient's fault, before the whole campaign meets them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use shared::account::Account;
use shared::id::AccountId;
use shared::meta::client::SendOutcome;
use shared::meta::error::ErrorClass;

use crate::stop::{Stop, What};

/// Counts errors in a row, per account, in this process.
#[derive(Default)]
pub(crate) struct Breaker {
    rows: Mutex<HashMap<AccountId, u32>>,
}

impl Breaker {
    /// Takes an outcome in; `Some` when it is one too many for the account's safety rules.
    pub(crate) fn observe(&self, account: &Account, outcome: &SendOutcome) -> Option<Stop> {
        if !account.safety.auto_pause_on_error {
            return None;
        }
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        match verdict(outcome) {
            Verdict::Good => {
                rows.remove(&account.id);
                None
            }
            Verdict::SaysNothing => None,
            Verdict::Bad => {
                let row = rows.entry(account.id).or_default();
                *row += 1;
                if *row < account.safety.error_threshold {
                    return None;
                }
                // After a resume it takes as many again.
                rows.remove(&account.id);
                let cooldown_is_set = account.limits.cooldown_after_error_s.is_some();
                Some(stop(account.safety.error_threshold, outcome, cooldown_is_set))
            }
        }
    }
}

enum Verdict {
    Good,
    Bad,
    SaysNothing,
}

/// Whether an outcome speaks for or against the account: what Meta refuses because of the recipient, or because we were
/// too fast, says nothing.
fn verdict(outcome: &SendOutcome) -> Verdict {
    match outcome {
        SendOutcome::Accepted(_) => Verdict::Good,
        SendOutcome::Lost | SendOutcome::NotSent => Verdict::Bad,
        SendOutcome::Refused(error) => match error.class() {
            ErrorClass::Fix => Verdict::Bad,
            ErrorClass::Retry if error.http_status >= 500 => Verdict::Bad,
            _ => Verdict::SaysNothing,
        },
    }
}

fn stop(errors: u32, last: &SendOutcome, cooldown_is_set: bool) -> Stop {
    let (what, code, reason) = match last {
        SendOutcome::Refused(error) if error.class() == ErrorClass::Fix => {
            let reason = format!(
                "{errors} messages in a row failed, the last with {} {}: correct the message or the set-up, then resume",
                error.code, error.title
            );
            (What::Campaign, error.code, reason)
        }
        SendOutcome::Refused(error) => {
            let reason =
                format!("{errors} errors of Meta's in a row, the last {} {}: try again later", error.code, error.title);
            (What::AccountForNow, error.code, reason)
        }
        SendOutcome::NotSent => {
            (What::AccountForNow, 0, format!("the Graph API could not be reached {errors} times in a row"))
        }
        SendOutcome::Lost | SendOutcome::Accepted(_) => {
            let reason = format!(
                "{errors} sends in a row got no answer that can be read: check the Graph API's address and the network, \
                 then resume; the messages in question stay unknown until Meta tells"
            );
            // Each of these may be a message that somebody got: only a cooldown that was asked for lets it go on by itself.
            let what = if cooldown_is_set { What::AccountForNow } else { What::Account };
            (what, 0, reason)
        }
    };
    Stop { what, code, reason }
}
