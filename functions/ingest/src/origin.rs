//! Where an item of a notification comes from, and the events that are made of it.

use shared::activity::{self, Content, Event, Kept};
use shared::id::{ContactId, EventId};
use shared::meta::webhook::Item;
use shared::time::UnixMillis;

use crate::routes::Route;

/// An item, whose it is, and when it was taken in.
#[derive(Clone, Copy)]
pub(crate) struct Origin<'a> {
    pub(crate) item: &'a Item,
    pub(crate) route: Route,
    pub(crate) seen: UnixMillis,
}

impl Origin<'_> {
    /// The account, or what Meta calls it where it is none of ours.
    pub(crate) fn whose(&self) -> String {
        match self.route {
            Some((_, account)) => account.to_string(),
            None => {
                let number = self.item.phone_number_id.as_deref();
                number.or(self.item.waba_id.as_deref()).unwrap_or_default().to_owned()
            }
        }
    }

    /// The id of what happened to the account at a time; `identity` is what tells it from others of that time.
    pub(crate) fn id(&self, at: UnixMillis, topic: &str, identity: &[&str]) -> EventId {
        let whose = self.whose();
        let parts: Vec<&str> = [topic, &whose].into_iter().chain(identity.iter().copied()).collect();
        activity::id_of(at, &parts)
    }

    /// An event of it. What happened is told by its id.
    pub(crate) fn event(&self, id: EventId, contact: Option<ContactId>, content: Content) -> Event {
        let at = UnixMillis(i64::try_from(id.ulid().timestamp_ms()).unwrap_or(self.seen.0));
        Event { v: 1, id, at, seen: self.seen, contact, variant: None, content }
    }

    /// When an item happened that has no time of its own: when Meta made its entry, else the day on which we first saw it. A
    /// repeat on a later day is then a new event.
    pub(crate) fn time(&self) -> UnixMillis {
        at_or_day(self.item.entry_time, self.seen)
    }
}

pub(crate) fn at_or_day(seconds: Option<i64>, seen: UnixMillis) -> UnixMillis {
    const DAY_MS: i64 = 86_400_000;
    seconds.map_or(UnixMillis(seen.0 - seen.0.rem_euclid(DAY_MS)), UnixMillis::from_seconds)
}

/// The item as it is kept.
pub(crate) fn kept<T: serde::Serialize>(value: &T) -> Kept {
    Kept::Inline(json(value))
}

pub(crate) fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
