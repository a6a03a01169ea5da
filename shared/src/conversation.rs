//! A conversation: what one account and one contact last did to each other, from which follows until when the business may
//! write freely. Each field keeps the latest time it was told, so any order and any number of repeats ends the same. The
//! row is [`crate::store`]'s; sessions and response times are computed from the contact's events.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::UnixMillis;

/// A person's message or call lets the business write freely for this long (Meta, customer service window).
pub const SERVICE_WINDOW: Duration = Duration::from_secs(24 * 3_600);

/// The same after a message that came from a click-to-WhatsApp ad or the call button of a page (Meta, free entry point).
pub const ENTRY_POINT_WINDOW: Duration = Duration::from_secs(72 * 3_600);

/// A conversation as stored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversation {
    /// Version of the stored shape.
    pub v: u8,
    /// When the person last wrote or called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_inbound_at: Option<UnixMillis>,
    /// When they last came from an ad or a post.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry_point_at: Option<UnixMillis>,
    /// When somebody of the business last wrote to them by another way than a campaign.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_outbound_at: Option<UnixMillis>,
    /// Who was last given it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned: Option<Assigned>,
    /// When it was last called done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_at: Option<UnixMillis>,
}

/// Who has a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assigned {
    /// Since when.
    pub at: UnixMillis,
    /// The colleague or bot, in the operator's words.
    pub to: String,
}

/// Something that happened in a conversation; also several things at once, as a batch tells them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Happened {
    /// The person wrote or called.
    pub inbound_at: Option<UnixMillis>,
    /// They came from an ad or a post.
    pub entry_point_at: Option<UnixMillis>,
    /// Somebody of the business wrote.
    pub outbound_at: Option<UnixMillis>,
    /// It was given to somebody.
    pub assigned: Option<Assigned>,
    /// It was called done.
    pub resolved_at: Option<UnixMillis>,
}

impl Happened {
    /// Both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            inbound_at: self.inbound_at.max(other.inbound_at),
            entry_point_at: self.entry_point_at.max(other.entry_point_at),
            outbound_at: self.outbound_at.max(other.outbound_at),
            assigned: later(self.assigned, other.assigned),
            resolved_at: self.resolved_at.max(other.resolved_at),
        }
    }

    /// What of it is news to this conversation.
    #[must_use]
    pub fn news_to(self, known: &Conversation) -> Self {
        let newer = |told: Option<UnixMillis>, known: Option<UnixMillis>| told.filter(|_| told > known);
        Self {
            inbound_at: newer(self.inbound_at, known.last_inbound_at),
            entry_point_at: newer(self.entry_point_at, known.entry_point_at),
            outbound_at: newer(self.outbound_at, known.last_outbound_at),
            assigned: self
                .assigned
                .filter(|told| known.assigned.as_ref().is_none_or(|known| known.rank() < told.rank())),
            resolved_at: newer(self.resolved_at, known.resolved_at),
        }
    }

    /// Whether it is nothing.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl Assigned {
    /// Of two at the same time the greater name holds, so that every order ends the same.
    fn rank(&self) -> (UnixMillis, &str) {
        (self.at, &self.to)
    }
}

fn later(one: Option<Assigned>, other: Option<Assigned>) -> Option<Assigned> {
    one.into_iter().chain(other).max_by(|one, other| one.rank().cmp(&other.rank()))
}

impl Conversation {
    /// The conversation after this has happened.
    #[must_use]
    pub fn after(&self, happened: Happened) -> Self {
        let news = happened.news_to(self);
        Self {
            v: 1,
            last_inbound_at: news.inbound_at.or(self.last_inbound_at),
            entry_point_at: news.entry_point_at.or(self.entry_point_at),
            last_outbound_at: news.outbound_at.or(self.last_outbound_at),
            assigned: news.assigned.or_else(|| self.assigned.clone()),
            resolved_at: news.resolved_at.or(self.resolved_at),
        }
    }

    /// Until when the business may write freely; `None` when the person has never written.
    #[must_use]
    pub fn open_until(&self) -> Option<UnixMillis> {
        let service = self.last_inbound_at.map(|at| at.plus(SERVICE_WINDOW));
        let entry_point = self.entry_point_at.map(|at| at.plus(ENTRY_POINT_WINDOW));
        service.max(entry_point)
    }

    /// Whether the business may write freely.
    #[must_use]
    pub fn is_open_at(&self, now: UnixMillis) -> bool {
        self.open_until().is_some_and(|until| until > now)
    }

    /// The conversation of a person who is known under several contacts, from the rows of all of them.
    #[must_use]
    pub fn joined(rows: impl IntoIterator<Item = Self>) -> Self {
        rows.into_iter().fold(Self { v: 1, ..Self::default() }, |joined, row| {
            joined.after(Happened {
                inbound_at: row.last_inbound_at,
                entry_point_at: row.entry_point_at,
                outbound_at: row.last_outbound_at,
                assigned: row.assigned,
                resolved_at: row.resolved_at,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: i64 = 3_600_000;

    #[test]
    fn the_window_is_open_a_day_after_a_message_and_three_after_an_ad() {
        let at = |hour: i64| UnixMillis(hour * HOUR);
        let wrote = Happened { inbound_at: Some(at(0)), ..Happened::default() };
        let conversation = Conversation::default().after(wrote);
        assert!(conversation.is_open_at(at(23)) && !conversation.is_open_at(at(24)));
        let came = Happened { inbound_at: Some(at(1)), entry_point_at: Some(at(1)), ..Happened::default() };
        let conversation = conversation.after(came);
        assert!(conversation.is_open_at(at(72)) && !conversation.is_open_at(at(73)));
        assert_eq!(Conversation::default().open_until(), None);
        // What the business writes opens nothing.
        let echoed = Happened { outbound_at: Some(at(200)), ..Happened::default() };
        assert!(!conversation.after(echoed).is_open_at(at(200)));
    }

    #[test]
    fn a_conversation_is_stored_in_this_shape() {
        let conversation = Conversation::default().after(Happened {
            inbound_at: Some(UnixMillis(1)),
            entry_point_at: Some(UnixMillis(2)),
            outbound_at: Some(UnixMillis(3)),
            assigned: Some(Assigned { at: UnixMillis(4), to: "amina".to_owned() }),
            resolved_at: Some(UnixMillis(5)),
        });
        assert_eq!(
            serde_json::to_string(&conversation).unwrap(),
            r#"{"v":1,"last_inbound_at":1,"entry_point_at":2,"last_outbound_at":3,"assigned":{"at":4,"to":"amina"},"resolved_at":5}"#
        );
    }

    fn any_happened() -> impl Strategy<Value = Happened> {
        let time = || prop::option::of((0_i64..9).prop_map(UnixMillis));
        let assigned =
            prop::option::of(((0_i64..9).prop_map(UnixMillis), "[a-c]").prop_map(|(at, to)| Assigned { at, to }));
        (time(), time(), time(), assigned, time()).prop_map(
            |(inbound_at, entry_point_at, outbound_at, assigned, resolved_at)| Happened {
                inbound_at,
                entry_point_at,
                outbound_at,
                assigned,
                resolved_at,
            },
        )
    }

    proptest! {
        #[test]
        fn any_order_repeated_or_merged_ends_in_the_same_row(
            all in prop::collection::vec(any_happened(), 1..8),
            order in prop::collection::vec(0_usize..8, 0..24),
        ) {
            let in_order = all.iter().cloned().fold(Conversation::default(), |row, happened| row.after(happened));
            let shuffled = order.iter().copied().chain((0..all.len()).rev()).filter_map(|index| all.get(index).cloned());
            prop_assert_eq!(&shuffled.fold(Conversation::default(), |row, happened| row.after(happened)), &in_order);
            let at_once = all.iter().cloned().fold(Happened::default(), Happened::and);
            prop_assert_eq!(&Conversation::default().after(at_once), &in_order);
            let each = all.into_iter().map(|happened| Conversation::default().after(happened));
            prop_assert_eq!(&Conversation::joined(each), &in_order);
        }
    }
}
