//! The messaging limit: how many people a business may write to first within 24 hours, with all its numbers together.
//! Pure arithmetic on Unix milliseconds. The limit belongs to the portfolio since October 2025; here a portfolio has one
//! account.

use std::collections::{HashMap, VecDeque};

/// The rolling window ("Messaging limits" of the Cloud API).
const WINDOW_MS: u64 = 24 * 3_600_000;

/// What becomes of messages over the limit. Meta documents no error for it; 131048 is what senders report, after acceptance,
/// so that is what happens here.
pub(crate) const OVER_LIMIT: i64 = 131_048;

/// Whom each account has written to within the window.
#[derive(Debug, Default)]
pub(crate) struct Portfolios {
    accounts: HashMap<String, Recipients>,
}

#[derive(Debug, Default)]
struct Recipients {
    latest_ms: HashMap<String, u64>,
    /// Every message in the window, oldest first.
    messages: VecDeque<(u64, String)>,
}

impl Portfolios {
    /// Counts a message to a person; `false` if it is one person too many, who then does not count.
    pub(crate) fn admit(&mut self, waba_id: &str, person: &str, limit: u32, now_ms: u64) -> bool {
        let recipients = self.accounts.entry(waba_id.to_owned()).or_default();
        recipients.forget(now_ms);
        if !recipients.latest_ms.contains_key(person) && recipients.latest_ms.len() >= limit as usize {
            return false;
        }
        recipients.latest_ms.insert(person.to_owned(), now_ms);
        recipients.messages.push_back((now_ms, person.to_owned()));
        true
    }
}

impl Recipients {
    fn forget(&mut self, now_ms: u64) {
        while let Some((sent_ms, person)) = self.messages.front() {
            if sent_ms + WINDOW_MS > now_ms {
                return;
            }
            if self.latest_ms.get(person) == Some(sent_ms) {
                self.latest_ms.remove(person);
            }
            self.messages.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: u64 = 1_790_000_000_000;

    #[test]
    fn people_count_once_and_one_too_many_is_refused() {
        let mut portfolios = Portfolios::default();
        assert!(
            portfolios.admit("w", "a", 2, T0) && portfolios.admit("w", "a", 2, T0) && portfolios.admit("w", "b", 2, T0)
        );
        assert!(!portfolios.admit("w", "c", 2, T0 + 1));
        assert!(portfolios.admit("w", "a", 2, T0 + 1), "whom it has written to it may write to again");
        assert!(portfolios.admit("another", "c", 2, T0 + 1));
    }

    #[test]
    fn a_person_leaves_the_window_24_hours_after_the_last_message() {
        let mut portfolios = Portfolios::default();
        portfolios.admit("w", "a", 1, T0);
        portfolios.admit("w", "a", 1, T0 + 1_000);
        assert!(!portfolios.admit("w", "b", 1, T0 + WINDOW_MS));
        assert!(portfolios.admit("w", "b", 1, T0 + WINDOW_MS + 1_000));
    }
}
