//! Where an item of a notification comes from, and the events that are made of it.

use shared::activity::{self, Content, Event, Kept};
use shared::id::{ContactId, EventId};
use shared::meta::webhook::Item;
use shared::time::UnixMillis;

use crate::identity_of_item::{self, Dated};
use crate::routes::Route;
use crate::{Ingest, NotIngested};

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

    /// When an item happened that may have no time of its own: Meta's `own` time of it, else that of its entry, else the day
    /// on which we first saw it. `identity` is what makes it the same on every day.
    pub(crate) async fn dated(
        &self,
        ingest: &Ingest,
        own: Option<i64>,
        identity: &[&str],
    ) -> Result<UnixMillis, NotIngested> {
        Ok(self.moment(ingest, own, identity).await?.id)
    }

    /// The same, with the moment of it.
    pub(crate) async fn moment(
        &self,
        ingest: &Ingest,
        own: Option<i64>,
        identity: &[&str],
    ) -> Result<Dated, NotIngested> {
        let whose = self.whose();
        let identity: Vec<&str> =
            [self.item.field.as_str(), &whose].into_iter().chain(identity.iter().copied()).collect();
        identity_of_item::dated(ingest, self.route, own.or(self.item.entry_time), "", &identity, self.seen).await
    }
}

/// The item as it is kept.
pub(crate) fn kept<T: serde::Serialize>(value: &T) -> Kept {
    Kept::Inline(json(value))
}

pub(crate) fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
