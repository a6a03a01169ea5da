//! The activity feed, read: the events of one partition of a day in the order of time, and the places of all events of one
//! contact. How partitions are merged into one feed is in [`crate::activity::feed`].

use super::{Consistency, Core, Item, StoreError, keys, read_or_skip, schema, sort_key, text, unavailable};
use crate::activity::feed::{Part, Position};
use crate::activity::{Event, SHARDS};
use crate::attempt::Shard;
use crate::id::{AccountId, ContactId, WorkspaceId};

/// A day of an account's events; `None` is what belongs to the workspace and to none of its accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedDay {
    /// Whose feed.
    pub workspace: WorkspaceId,
    /// The account.
    pub account: Option<AccountId>,
    /// The day in UTC, `2026-11-21`.
    pub date: String,
}

impl FeedDay {
    /// The partitions that it is spread over.
    pub fn shards() -> impl Iterator<Item = Shard> {
        (0..SHARDS).map(Shard)
    }
}

impl Core {
    /// The newest events of one partition of a day that lie before `before` and not before `from`, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn events_of_partition(
        &self,
        day: &FeedDay,
        shard: Shard,
        from: &Position,
        before: &Position,
        limit: usize,
    ) -> Result<Part<Event>, StoreError> {
        let pk = keys::activity_pk(Some(day.workspace), day.account, &day.date, shard);
        let values = Item::from([
            (":pk".to_owned(), text(&pk)),
            (":from".to_owned(), text(from.as_str())),
            (":before".to_owned(), text(before.as_str())),
        ]);
        let mut items: Vec<Item> = Vec::new();
        let mut start = None;
        let more = loop {
            let found = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression("pk = :pk AND sk BETWEEN :from AND :before")
                .set_expression_attribute_values(Some(values.clone()))
                .scan_index_forward(false)
                // What was answered as written is seen, so a reader who goes on from it has missed nothing.
                .consistent_read(true)
                .set_exclusive_start_key(start.take())
                .limit(i32::try_from(limit.saturating_add(1)).unwrap_or(i32::MAX))
                .send()
                .await
                .map_err(|error| unavailable("Query", &error))?;
            items.extend(found.items.unwrap_or_default());
            // `BETWEEN` includes its end, which is not wanted.
            items.retain(|item| sort_key(item).is_some_and(|sk| sk != before.as_str()));
            start = found.last_evaluated_key;
            if items.len() >= limit || start.is_none() {
                break start.is_some() || items.len() > limit;
            }
        };
        items.truncate(limit);
        let known_from = items.last().and_then(sort_key).filter(|_| more).map(|sk| Position::read(sk));
        let events = items.into_iter().filter_map(|item| {
            let position = Position::read(sort_key(&item)?);
            Some((position, read_or_skip::<Event>("event", item)?))
        });
        Ok(Part { items: events.collect(), known_from })
    }

    /// Where all events of a contact lie, newest first, at most `most` of them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn events_of_contact(
        &self,
        workspace: WorkspaceId,
        contact: ContactId,
        most: usize,
    ) -> Result<Vec<keys::Key>, StoreError> {
        let list = keys::contact_events_list(workspace, contact);
        let mut found: Vec<keys::Key> = Vec::new();
        let mut start = None;
        loop {
            let page = self
                .client
                .query()
                .table_name(&self.table)
                .index_name(schema::LIST_INDEX)
                .key_condition_expression("#list = :list")
                .expression_attribute_names("#list", "list")
                .expression_attribute_values(":list", text(&list))
                .set_exclusive_start_key(start.take())
                .send()
                .await
                .map_err(|error| unavailable("Query", &error))?;
            found.extend(page.items.unwrap_or_default().into_iter().filter_map(|item| {
                let part = |name: &str| item.get(name)?.as_s().ok().cloned();
                Some(keys::Key { pk: part("pk")?, sk: part("sk")? })
            }));
            start = page.last_evaluated_key;
            if start.is_none() || found.len() >= most {
                found.sort_by(|one, other| other.sk.cmp(&one.sk));
                found.truncate(most);
                return Ok(found);
            }
        }
    }

    /// The events at these keys, newest first, each with its account; what is gone is left out.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn events_at(
        &self,
        keys: Vec<keys::Key>,
    ) -> Result<Vec<(Position, Option<AccountId>, Event)>, StoreError> {
        let items = self.batch_get(keys, Consistency::Strong).await?;
        let mut events: Vec<_> = items
            .into_iter()
            .filter_map(|item| {
                let position = Position::read(sort_key(&item)?);
                let account = keys::account_of_event(item.get("pk")?.as_s().ok()?);
                Some((position, account, read_or_skip::<Event>("event", item)?))
            })
            .collect();
        events.sort_by(|(one, ..), (other, ..)| other.cmp(one));
        Ok(events)
    }
}
