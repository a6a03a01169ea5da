//! Looking at an account every five minutes: whether it could send, and whether we would hear of it. The Cloud API keeps no
//! connection that could be watched. A day of looks is a row of sets of slots, so a look that is recorded again changes
//! nothing; a look that nobody could tell anything by, because Meta gave no answer, is in none of them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::rollup::account_day::Days;
use crate::time::UnixMillis;

/// Length of a slot.
const SLOT_MS: i64 = 5 * 60 * 1_000;

/// Slots of a day.
pub const SLOTS: i64 = 24 * 60 / 5;

/// So many messages of an hour have to have gone without any report before we say that reports do not come.
const UNHEARD: i64 = 20;

/// A slot since the epoch, so that slots compare over midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Slot(pub i64);

impl Slot {
    /// The slot of this moment.
    #[must_use]
    pub const fn of(at: UnixMillis) -> Self {
        Self(at.0.div_euclid(SLOT_MS))
    }

    /// When it begins.
    #[must_use]
    pub const fn begins_at(self) -> UnixMillis {
        UnixMillis(self.0.saturating_mul(SLOT_MS))
    }

    /// The slot of its day, from 0.
    #[must_use]
    pub const fn of_day(self) -> i64 {
        self.0.rem_euclid(SLOTS)
    }
}

/// What a look found wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trouble {
    /// Meta does not take the access token, or there is none.
    Token,
    /// Meta has flagged, restricted, banned or disconnected the number.
    Barred,
    /// The number is not connected for another reason.
    Number,
    /// No app is subscribed to the business account, so no webhook comes.
    App,
    /// Messages went out in the last hour and nothing was reported of any of them.
    Unheard,
}

impl Trouble {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Token, Self::Barred, Self::Number, Self::App, Self::Unheard];

    /// Name of the stored set.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Barred => "barred",
            Self::Number => "number",
            Self::App => "app",
            Self::Unheard => "unheard",
        }
    }

    /// For people.
    #[must_use]
    pub const fn says(self) -> &'static str {
        match self {
            Self::Token => "Meta does not accept the access token",
            Self::Barred => "Meta has flagged, restricted or disconnected the number",
            Self::Number => "the number is not connected",
            Self::App => "no app is subscribed to the business account",
            Self::Unheard => "messages went out and no status came back",
        }
    }

    /// What to do about it, for people.
    #[must_use]
    pub const fn action(self) -> &'static str {
        match self {
            Self::Token => "make a new access token of a system user and set it (PATCH the account)",
            Self::Barred => "look at the number in Meta's WhatsApp manager; quality, policy and billing are told there",
            Self::Number => "register the number with the Cloud API, or wait until Meta has finished with it",
            Self::App => "subscribe your app to the business account (POST /{waba id}/subscribed_apps at Meta)",
            Self::Unheard => "check the callback URL and the fields in Meta's app dashboard, and the events queue",
        }
    }

    /// Whether nothing can be sent as long as it lasts.
    #[must_use]
    pub const fn bars(self) -> bool {
        matches!(self, Self::Token | Self::Barred)
    }

    /// What a number's status means, as Meta names it; `CONNECTED` is in order, and so is what Meta leaves out.
    #[must_use]
    pub fn of_status(status: Option<&str>) -> Option<Self> {
        match status? {
            "CONNECTED" => None,
            "FLAGGED" | "RESTRICTED" | "BANNED" | "DISCONNECTED" | "DELETED" | "OFFBOARDED" => Some(Self::Barred),
            _ => Some(Self::Number),
        }
    }

    /// Whether reports come: of the last whole hour of the clock, so that Meta had time for the first of them.
    #[must_use]
    pub fn of_silence(days: &Days, now: UnixMillis) -> Option<Self> {
        let hour_ago = UnixMillis(now.0 - 3_600_000);
        let silent = days.in_hour("sent", hour_ago) >= UNHEARD && days.in_hour("heard", hour_ago) == 0;
        silent.then_some(Self::Unheard)
    }
}

/// What was found, by slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Probes(BTreeMap<Slot, BTreeSet<Trouble>>);

impl Probes {
    /// Notes what a look found; nothing is in order.
    pub fn found(&mut self, slot: Slot, troubles: impl IntoIterator<Item = Trouble>) {
        self.0.entry(slot).or_default().extend(troubles);
    }

    /// How many of the looks of the last 24 hours found the account in order, and how many did not.
    #[must_use]
    pub fn up_and_down(&self, now: UnixMillis) -> (i64, i64) {
        self.last_day(now).fold((0, 0), |(up, down), (_, troubles)| match troubles.is_empty() {
            true => (up + 1, down),
            false => (up, down + 1),
        })
    }

    /// What was found in these 24 hours, and how often.
    #[must_use]
    pub fn troubles(&self, now: UnixMillis) -> Vec<(Trouble, i64)> {
        let mut counts: BTreeMap<Trouble, i64> = BTreeMap::new();
        for trouble in self.last_day(now).flat_map(|(_, troubles)| troubles) {
            *counts.entry(*trouble).or_default() += 1;
        }
        counts.into_iter().collect()
    }

    /// What the latest look found, if there was one in these 24 hours.
    #[must_use]
    pub fn latest(&self, now: UnixMillis) -> Option<&BTreeSet<Trouble>> {
        self.last_day(now).last().map(|(_, troubles)| troubles)
    }

    /// When that was.
    #[must_use]
    pub fn latest_at(&self, now: UnixMillis) -> Option<UnixMillis> {
        self.last_day(now).last().map(|(slot, _)| slot.begins_at())
    }

    fn last_day(&self, now: UnixMillis) -> impl Iterator<Item = (Slot, &BTreeSet<Trouble>)> {
        let Slot(last) = Slot::of(now);
        self.0.range(Slot(last - SLOTS + 1)..=Slot(last)).map(|(slot, troubles)| (*slot, troubles))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rollup::Counts;

    const NOON: UnixMillis = UnixMillis(1_790_035_200_000 + 12 * 3_600_000);

    #[test]
    fn a_day_of_looks_is_counted_and_what_is_older_is_not() {
        let Slot(now) = Slot::of(NOON);
        assert_eq!(Slot::of(NOON).of_day(), 144);
        let mut probes = Probes::default();
        probes.found(Slot(now - SLOTS), [Trouble::Token]);
        probes.found(Slot(now - SLOTS + 1), []);
        probes.found(Slot(now - 5), [Trouble::App, Trouble::Unheard]);
        probes.found(Slot(now - 5), [Trouble::App]);
        assert_eq!(probes.up_and_down(NOON), (1, 1));
        assert_eq!(probes.troubles(NOON), [(Trouble::App, 1), (Trouble::Unheard, 1)]);
        assert_eq!(probes.latest_at(NOON), Some(Slot(now - 5).begins_at()));
        assert_eq!(Probes::default().latest(NOON), None);
    }

    #[test]
    fn a_status_that_is_not_connected_is_trouble() {
        assert_eq!(Trouble::of_status(None), None);
        assert_eq!(Trouble::of_status(Some("CONNECTED")), None);
        assert_eq!(Trouble::of_status(Some("BANNED")), Some(Trouble::Barred));
        assert_eq!(Trouble::of_status(Some("PENDING")), Some(Trouble::Number));
    }

    #[test]
    fn an_hour_of_messages_without_any_report_is_trouble() {
        let days = |sent: i64, heard: i64| {
            let counts = Counts::from([("sent.11".to_owned(), sent), ("heard.11".to_owned(), heard)]);
            Days::of([("DAY#2026-09-22#cmp_a#00", &counts)])
        };
        assert_eq!(Trouble::of_silence(&days(20, 0), NOON), Some(Trouble::Unheard));
        assert_eq!(Trouble::of_silence(&days(20, 1), NOON), None);
        assert_eq!(Trouble::of_silence(&days(19, 0), NOON), None);
        assert_eq!(Trouble::of_silence(&days(20, 0), UnixMillis(NOON.0 - 3_600_000)), None, "Meta has had no time yet");
    }
}
