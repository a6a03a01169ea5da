//! Stops an account whose messages all meet the same end, before the whole campaign meets it: answers that cannot be read,
//! or the same mistake in every request.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use shared::id::AccountId;
use shared::meta::client::SendOutcome;
use shared::meta::error::ErrorClass;

use crate::outcome::Stop;

/// So many in a row stop the campaign.
const IN_A_ROW: u32 = 10;

/// Counts ends of the same kind in a row, per account, in this process.
#[derive(Default)]
pub(crate) struct Breaker {
    rows: Mutex<HashMap<AccountId, (End, u32)>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Lost,
    WrongRequest(i64),
}

impl Breaker {
    /// Takes an outcome in; `Some` when it is one too many.
    pub(crate) fn observe(&self, account: AccountId, outcome: &SendOutcome) -> Option<Stop> {
        let end = match outcome {
            SendOutcome::Lost => Some(End::Lost),
            SendOutcome::Refused(error) if error.class() == ErrorClass::Fix => Some(End::WrongRequest(error.code)),
            SendOutcome::Accepted(_) | SendOutcome::Refused(_) | SendOutcome::NotSent => None,
        };
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(end) = end else {
            rows.remove(&account);
            return None;
        };
        let row = rows.entry(account).or_insert((end, 0));
        *row = if row.0 == end { (end, row.1 + 1) } else { (end, 1) };
        if row.1 < IN_A_ROW {
            return None;
        }
        // After a resume it takes as many again.
        rows.remove(&account);
        Some(match end {
            End::Lost => Stop {
                code: 0,
                reason: format!(
                    "{IN_A_ROW} sends in a row got no answer that can be read: check the Graph API's address and the \
                     network, then resume; the messages in question stay unknown and are not sent again"
                ),
            },
            End::WrongRequest(code) => Stop {
                code,
                reason: format!(
                    "Meta refused {IN_A_ROW} messages in a row with {code}: correct the message, then resume"
                ),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use shared::time::UnixMillis;

    use super::*;

    #[test]
    fn only_the_same_end_in_a_row_stops() {
        let (breaker, account) = (Breaker::default(), AccountId::new(UnixMillis(1)));
        for _ in 0..3 {
            for _ in 1..IN_A_ROW {
                assert_eq!(breaker.observe(account, &SendOutcome::Lost), None);
            }
            assert_eq!(breaker.observe(account, &SendOutcome::NotSent), None, "an end of another kind breaks the row");
        }
        for _ in 1..IN_A_ROW {
            assert_eq!(breaker.observe(account, &SendOutcome::Lost), None);
        }
        assert!(breaker.observe(account, &SendOutcome::Lost).is_some());
    }
}
