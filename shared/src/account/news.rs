//! What Meta tells about a number: its quality, its limits, whether it may send. Webhooks come in any order and any number
//! of times, so each kind of news keeps the time of the newest and takes nothing that is not newer.

use serde::{Deserialize, Serialize};

use super::{Account, AccountPausedBy, Pause, Quality};
use crate::meta::webhook::MessagingLimit;
use crate::time::UnixMillis;

/// Meta's word about the business account, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// When Meta gave it.
    pub at: UnixMillis,
    /// What it says.
    pub text: String,
}

/// So many of the latest notices are kept on the account; all of them are events of the feed.
pub const NOTICES_KEPT: usize = 10;

/// One thing that Meta tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    /// When Meta told it.
    pub at: UnixMillis,
    /// What.
    pub told: Told,
}

/// What Meta tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// Meta's opinion of the messages.
    Quality(Quality),
    /// People that may be written to in 24 hours; `None` is no limit.
    MessagingLimit(Option<u32>),
    /// Messages a second that Meta takes.
    Throughput(u32),
    /// The number may not send campaigns.
    Restricted {
        /// Why, for people.
        reason: String,
        /// Until when; `None`: until Meta says otherwise.
        until: Option<UnixMillis>,
    },
    /// The number may send again.
    Reinstated,
    /// Something that people should know and that stops nothing.
    Noted(String),
}

impl Told {
    /// A messaging limit as Meta writes it; `None` when it says nothing that we understand.
    #[must_use]
    pub const fn limit(limit: &MessagingLimit) -> Option<Self> {
        match limit {
            MessagingLimit::Recipients(people) => Some(Self::MessagingLimit(Some(*people))),
            MessagingLimit::Unlimited => Some(Self::MessagingLimit(None)),
            MessagingLimit::NotSet | MessagingLimit::Other(_) => None,
        }
    }

    /// Whether the account's campaigns may have to stop or to go on.
    #[must_use]
    pub const fn concerns_campaigns(&self) -> bool {
        matches!(self, Self::Restricted { .. } | Self::Reinstated)
    }
}

impl Account {
    /// Takes news in. News that is no newer than what is known of its kind changes nothing.
    pub fn hear(&mut self, news: &News, now: UnixMillis) {
        let at = news.at;
        match &news.told {
            Told::Quality(quality) => {
                if newer(&mut self.quality_at, at, *quality > self.quality) {
                    self.quality = *quality;
                }
            }
            Told::MessagingLimit(limit) => {
                if newer(&mut self.messaging_limit_at, at, people(*limit) < people(self.messaging_limit)) {
                    self.messaging_limit = *limit;
                }
            }
            Told::Throughput(per_second) => {
                if newer(&mut self.throughput_at, at, Some(*per_second) < self.throughput) {
                    self.throughput = Some(*per_second);
                }
            }
            Told::Restricted { reason, until } => {
                // Whether it holds or not, it is among the notices, in whatever order they come.
                self.note(at, reason);
                if newer(&mut self.standing_at, at, false) {
                    // A webhook may come when the restriction is over; it has taken the place of the one before.
                    if until.is_none_or(|until| until > now) {
                        self.pause(&Pause { reason: reason.clone(), until: *until, by: AccountPausedBy::Meta });
                    } else {
                        self.end_metas_pause();
                    }
                }
            }
            Told::Reinstated => {
                self.note(at, "Meta has reinstated the business account");
                if newer(&mut self.standing_at, at, false) {
                    self.end_metas_pause();
                }
            }
            Told::Noted(text) => self.note(at, text),
        }
    }

    fn end_metas_pause(&mut self) {
        if self.paused_by == Some(AccountPausedBy::Meta) {
            self.resume();
        }
    }

    /// Of two notices of the same second the same one stays, whichever came first.
    fn note(&mut self, at: UnixMillis, text: &str) {
        let told = Notice { at, text: text.to_owned() };
        if let Err(place) = self.notices.binary_search_by(|known| (told.at, &told.text).cmp(&(known.at, &known.text))) {
            self.notices.insert(place, told);
            self.notices.truncate(NOTICES_KEPT);
        }
        if self.notice.as_ref().is_none_or(|known| (known.at, known.text.as_str()) < (at, text)) {
            self.notice = Some(Notice { at, text: text.to_owned() });
        }
    }
}

/// A limit that can be compared.
fn people(limit: Option<u32>) -> u32 {
    limit.unwrap_or(u32::MAX)
}

/// Whether `at` is newer than what is known, which it then becomes. Meta tells whole seconds: of two things in one second the
/// more cautious one holds, so that their order does not matter.
fn newer(known: &mut Option<UnixMillis>, at: UnixMillis, is_more_cautious: bool) -> bool {
    let is_newer = known.is_none_or(|known| known < at || (known == at && is_more_cautious));
    if is_newer {
        *known = Some(at);
    }
    is_newer
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::AccountStatus;
    use super::super::sample::account;
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_000_000);

    fn news(at: i64, told: Told) -> News {
        News { at: UnixMillis(at), told }
    }

    fn restricted(at: i64, until: Option<i64>) -> News {
        news(at, Told::Restricted { reason: format!("restricted at {at}"), until: until.map(UnixMillis) })
    }

    #[test]
    fn a_restriction_pauses_until_its_end_and_a_repeat_after_a_resume_does_not_pause_again() {
        let mut account = account();
        let told = restricted(5, Some(2_000_000));
        account.hear(&told, NOW);
        assert_eq!((account.status, account.paused_by), (AccountStatus::Paused, Some(AccountPausedBy::Meta)));
        assert_eq!(account.paused_until, Some(UnixMillis(2_000_000)));
        account.resume();
        account.hear(&told, NOW);
        assert_eq!(account.status, AccountStatus::Active);
        account.hear(&restricted(6, None), NOW);
        assert_eq!((account.status, account.paused_until), (AccountStatus::Paused, None));
    }

    #[test]
    fn a_restriction_that_is_over_is_noted_only() {
        let mut account = account();
        account.hear(&restricted(5, Some(6)), NOW);
        assert_eq!(account.status, AccountStatus::Active);
        assert_eq!(account.notice.unwrap().at, UnixMillis(5));
    }

    #[test]
    fn being_reinstated_ends_metas_pause_and_no_other() {
        for (by, status) in [
            (AccountPausedBy::Meta, AccountStatus::Active),
            (AccountPausedBy::Errors, AccountStatus::Paused),
            (AccountPausedBy::Operator, AccountStatus::Paused),
        ] {
            let mut account = account();
            account.pause(&Pause { reason: "stop".to_owned(), until: None, by });
            account.hear(&news(9, Told::Reinstated), NOW);
            assert_eq!(account.status, status, "{by:?}");
        }
    }

    #[test]
    fn a_limit_that_is_not_determined_is_no_news() {
        assert_eq!(Told::limit(&MessagingLimit::NotSet), None);
        assert_eq!(Told::limit(&MessagingLimit::Unlimited), Some(Told::MessagingLimit(None)));
        assert_eq!(Told::limit(&MessagingLimit::Recipients(250)), Some(Told::MessagingLimit(Some(250))));
    }

    fn any_news() -> impl Strategy<Value = Told> {
        prop_oneof![
            prop_oneof![Just(Quality::Green), Just(Quality::Yellow), Just(Quality::Red)].prop_map(Told::Quality),
            prop::option::of(1_u32..5).prop_map(Told::MessagingLimit),
            (1_u32..5).prop_map(Told::Throughput),
            prop::option::of(999_998_i64..1_000_005)
                .prop_map(|until| Told::Restricted { reason: "restricted".to_owned(), until: until.map(UnixMillis) }),
            Just(Told::Reinstated),
            "[a-c]".prop_map(Told::Noted),
        ]
    }

    proptest! {
        #[test]
        fn in_any_order_and_any_number_of_times_the_newest_news_holds(
            told in prop::collection::vec(any_news(), 1..12),
            order in prop::collection::vec(0_usize..12, 0..40),
        ) {
            let all: Vec<News> = told.into_iter().zip(1..).map(|(told, at)| news(at, told)).collect();
            let (mut in_order, mut mixed) = (account(), account());
            for news in &all {
                in_order.hear(news, NOW);
            }
            for index in order.iter().copied().chain((0..all.len()).rev()) {
                if let Some(news) = all.get(index) {
                    mixed.hear(news, NOW);
                }
            }
            prop_assert_eq!(in_order, mixed);
        }
    }
}
