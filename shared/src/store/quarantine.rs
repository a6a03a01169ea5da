//! What could not be taken in: events of the type `meta.quarantined`, listed until they are resolved, and the day on which
//! items without a time of Meta's were first seen.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};

use super::activity::ARCHIVED;
use super::expression::Update;
use super::{Consistency, Core, Item, Put, StoreError, keys, read, read_or_skip, text, unavailable};
use crate::activity::Event;
use crate::archive::Place;
use crate::id::{AccountId, WorkspaceId};
use crate::time::UnixMillis;

/// How long the first day of an item is remembered. Meta repeats for up to 7 days.
const REMEMBERED_FOR: Duration = Duration::from_secs(30 * 86_400);

const DAY_MS: i64 = 86_400_000;

/// Something that could not be taken in.
#[derive(Clone, Debug)]
pub struct Quarantined {
    /// Its row.
    pub row: keys::Key,
    /// The account it concerns, if it names one of ours.
    pub account: Option<AccountId>,
    /// The event.
    pub event: Event,
    /// The message it came with; absent for what was quarantined before there was an archive.
    pub place: Option<Place>,
}

/// A part of the list of what was quarantined.
#[derive(Clone, Debug, Default)]
pub struct QuarantinedPage {
    /// The rows, latest days first.
    pub rows: Vec<Quarantined>,
    /// Where the next part begins; `None` at the end.
    pub next: Option<keys::Key>,
}

#[derive(Serialize, Deserialize)]
struct FirstSeen {
    v: u8,
    /// The start of the day.
    at: UnixMillis,
    /// The moment. Rows written before it was noted have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seen_at: Option<UnixMillis>,
    expires_at: i64,
}

/// When an item was first seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstSight {
    /// The start of that day: it names the item's events.
    pub day: UnixMillis,
    /// The moment.
    pub at: UnixMillis,
}

impl From<FirstSeen> for FirstSight {
    fn from(row: FirstSeen) -> Self {
        Self { day: row.at, at: row.seen_at.unwrap_or(row.at) }
    }
}

impl Core {
    /// When an item was first seen, which is now if it never was. Whoever asks first decides, and
    /// the answer is written before it is given: a crash after it changes nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn first_seen(
        &self,
        workspace: Option<WorkspaceId>,
        account: Option<AccountId>,
        hash: &str,
        received_at: UnixMillis,
    ) -> Result<FirstSight, StoreError> {
        let at = UnixMillis(received_at.0 - received_at.0.rem_euclid(DAY_MS));
        let expires_at = received_at.plus(REMEMBERED_FOR).seconds();
        let row = FirstSeen { v: 1, at, seen_at: Some(received_at), expires_at };
        let key = keys::first_seen(workspace, account, hash);
        match self.put_new("first sight", key, &row, Item::new()).await? {
            Put::New => Ok(row.into()),
            Put::There(item) => Ok(read::<FirstSeen>("first sight", item)?.into()),
        }
    }

    /// What is quarantined in a workspace (`None`: what names none of ours) and not resolved, from `after` on.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn quarantined(
        &self,
        workspace: Option<WorkspaceId>,
        after: Option<&keys::Key>,
        limit: usize,
    ) -> Result<QuarantinedPage, StoreError> {
        let list = keys::quarantined_list(workspace);
        let start = after.map(|row| {
            let mut start = row.clone().item();
            start.insert("list".to_owned(), text(&list));
            start
        });
        let found = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(super::schema::LIST_INDEX)
            .key_condition_expression("#list = :list")
            .expression_attribute_names("#list", "list")
            .expression_attribute_values(":list", text(&list))
            .scan_index_forward(false)
            .set_exclusive_start_key(start)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .send()
            .await
            .map_err(|error| unavailable("Query", &error))?;
        let next = found.last_evaluated_key.as_ref().and_then(row_of);
        let rows: Vec<keys::Key> = found.items.unwrap_or_default().iter().filter_map(row_of).collect();
        let keys = rows.clone();
        let mut items = self.batch_get(keys, Consistency::Strong).await?;
        // The index lags: what was resolved a moment ago may still be in it.
        items.retain(|item| item.contains_key("list"));
        let mut page = QuarantinedPage { rows: Vec::new(), next };
        for row in rows {
            let Some(at) = items.iter().position(|item| row_of(item).as_ref() == Some(&row)) else { continue };
            let item = items.swap_remove(at);
            let account = keys::read_event_partition(&row.pk).and_then(|partition| partition.account);
            let place = item.get(ARCHIVED).and_then(|place| place.as_s().ok()?.parse().ok());
            if let Some(event) = read_or_skip("event", item) {
                page.rows.push(Quarantined { row, account, event, place });
            }
        }
        Ok(page)
    }

    /// Notes that what was quarantined has been taken in since; its row stays as it is, and is listed no more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn resolve_quarantined(&self, row: &keys::Key, at: UnixMillis) -> Result<(), StoreError> {
        let mut update = Update::default();
        update.set_if_absent("resolved_at", AttributeValue::N(at.0.to_string()));
        update.remove("list");
        update.only_if_equal("type", text("meta.quarantined"));
        self.update(row.clone(), update).await.map(|_| ())
    }
}

fn row_of(item: &Item) -> Option<keys::Key> {
    let part = |name: &str| item.get(name)?.as_s().ok().cloned();
    Some(keys::Key { pk: part("pk")?, sk: part("sk")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_sight_is_read_back_also_from_before_its_moment_was_noted() {
        let stored = serde_json::json!({"v": 1, "at": 86_400_000, "seen_at": 90_000_000, "expires_at": 1});
        let row: FirstSeen = serde_json::from_value(stored.clone()).unwrap();
        assert_eq!(serde_json::to_value(&row).unwrap(), stored);
        let (day, at) = (UnixMillis(86_400_000), UnixMillis(90_000_000));
        assert_eq!(FirstSight::from(row), FirstSight { day, at });
        let before: FirstSeen =
            serde_json::from_value(serde_json::json!({"v": 1, "at": 86_400_000, "expires_at": 1})).unwrap();
        assert_eq!(FirstSight::from(before), FirstSight { day, at: day });
    }
}
