//! Reading the feed: what concerns a contact, what Meta has told of an account, and the days of an account.

use super::{
    Consistency, Core, Item, Listed, StoreError, keys, partition_condition, partition_values, read_or_skip, text,
    unavailable,
};
use crate::activity::Event;
use crate::attempt::Shard;
use crate::id::{AccountId, ContactId, EventId, WorkspaceId};
use crate::time::UnixMillis;

/// Where an event lies: enough to put events in their order before any of them is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventPlace {
    /// When it happened.
    pub at: UnixMillis,
    /// Its id.
    pub id: EventId,
    key: keys::Key,
}

impl EventPlace {
    fn read(key: keys::Key) -> Option<Self> {
        let (at, id) = key.sk.split_once('#')?;
        Some(Self { at: UnixMillis(at.parse().ok()?), id: id.parse().ok()?, key })
    }
}

impl Core {
    /// Where the events of a contact lie, at most `most` of them, in no order. The list may miss what was written in the last
    /// moment.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn events_of_contact(
        &self,
        workspace: WorkspaceId,
        contact: ContactId,
        most: usize,
    ) -> Result<Listed<EventPlace>, StoreError> {
        self.event_places(&keys::contact_events_list(workspace, contact), most).await
    }

    /// The newest notices of Meta's about an account and its templates, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn notices(
        &self,
        workspace: WorkspaceId,
        account: AccountId,
        most: usize,
    ) -> Result<Vec<Event>, StoreError> {
        // The list goes by days; a day's order is that of its shards, so the last day is read whole.
        let mut places = Vec::new();
        let list = keys::notices_list(workspace, account);
        let mut start = None;
        loop {
            let (found, next) = self.event_places_page(&list, start).await?;
            places.extend(found);
            let whole_days = places.last().is_some_and(|last: &EventPlace| {
                let later = places.iter().filter(|place| place.at.date() > last.at.date()).count();
                later >= most
            });
            start = next;
            if start.is_none() || whole_days {
                break;
            }
        }
        places.sort_by_key(|place| std::cmp::Reverse((place.at, place.id)));
        places.truncate(most);
        let mut notices: Vec<Event> = self.events_at(&places).await?.into_iter().map(|(_, event)| event).collect();
        notices.sort_by_key(|event| std::cmp::Reverse((event.at, event.id)));
        Ok(notices)
    }

    async fn event_places(&self, list: &str, most: usize) -> Result<Listed<EventPlace>, StoreError> {
        let (mut rows, mut start) = (Vec::new(), None);
        loop {
            let (found, next) = self.event_places_page(list, start).await?;
            rows.extend(found);
            start = next;
            if start.is_none() || rows.len() >= most {
                break;
            }
        }
        let more = start.is_some() || rows.len() > most;
        rows.truncate(most);
        Ok(Listed { rows, more })
    }

    /// One page of a list of events, newest days first, and where the next one begins.
    async fn event_places_page(
        &self,
        list: &str,
        start: Option<Item>,
    ) -> Result<(Vec<EventPlace>, Option<Item>), StoreError> {
        let page = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(super::schema::LIST_INDEX)
            .key_condition_expression("#list = :list")
            .expression_attribute_names("#list", "list")
            .expression_attribute_values(":list", text(list))
            .scan_index_forward(false)
            .set_exclusive_start_key(start)
            .send()
            .await
            .map_err(|error| unavailable("Query", &error))?;
        let places = page.items.unwrap_or_default().into_iter().filter_map(|item| {
            let part = |name: &str| item.get(name)?.as_s().ok().cloned();
            EventPlace::read(keys::Key { pk: part("pk")?, sk: part("sk")? })
        });
        Ok((places.collect(), page.last_evaluated_key))
    }

    /// The events at these places, each with the account it concerns, in no order. What was deleted meanwhile is left out,
    /// and so is what this version cannot read.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn events_at(&self, places: &[EventPlace]) -> Result<Vec<(Option<AccountId>, Event)>, StoreError> {
        let keys = places.iter().map(|place| place.key.clone()).collect();
        // Events never change, so an eventual read misses at most what was written in the last moment.
        let items = self.batch_get(keys, Consistency::Eventual).await?;
        let events = items.into_iter().filter_map(|item| {
            let account = item.get("pk").and_then(|pk| pk.as_s().ok()).and_then(|pk| keys::read_event_partition(pk));
            Some((account?.account, read_or_skip("event", item)?))
        });
        Ok(events.collect())
    }

    /// A page of the events of an account in one partition of a day, oldest first, and where the next page begins.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn events_of_day(
        &self,
        workspace: WorkspaceId,
        account: AccountId,
        date: &str,
        shard: Shard,
        after: Option<&str>,
    ) -> Result<(Vec<Event>, Option<String>), StoreError> {
        let pk = keys::activity_pk(Some(workspace), Some(account), date, shard);
        let page = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression(partition_condition(""))
            .set_expression_attribute_values(Some(partition_values(&pk, "")))
            .set_exclusive_start_key(after.map(|sk| keys::Key::new(pk.clone(), sk).item()))
            .send()
            .await
            .map_err(|error| unavailable("Query", &error))?;
        let events = page.items.unwrap_or_default().into_iter().filter_map(|item| read_or_skip("event", item));
        let next = page.last_evaluated_key.and_then(|key| key.get("sk")?.as_s().ok().cloned());
        Ok((events.collect(), next))
    }
}
