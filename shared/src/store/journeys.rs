//! Reading events for figures: what Meta has told of an account, and the days of an account from first to last.

use super::{Core, StoreError, keys, partition_condition, partition_values, read_or_skip, schema, text, unavailable};
use crate::activity::Event;
use crate::attempt::Shard;
use crate::id::{AccountId, WorkspaceId};

impl Core {
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
        let list = keys::notices_list(workspace, account);
        let (mut places, mut start): (Vec<keys::Key>, _) = (Vec::new(), None);
        loop {
            let page = self
                .client
                .query()
                .table_name(&self.table)
                .index_name(schema::LIST_INDEX)
                .key_condition_expression("#list = :list")
                .expression_attribute_names("#list", "list")
                .expression_attribute_values(":list", text(&list))
                .scan_index_forward(false)
                .set_exclusive_start_key(start.take())
                .send()
                .await
                .map_err(|error| unavailable("Query", &error))?;
            places.extend(page.items.unwrap_or_default().into_iter().filter_map(|item| {
                let part = |name: &str| item.get(name)?.as_s().ok().cloned();
                Some(keys::Key { pk: part("pk")?, sk: part("sk")? })
            }));
            start = page.last_evaluated_key;
            // The list goes by days, and a day by its shards: there are enough when the days before the last have enough.
            let last = places.last().and_then(|place| keys::read_event_partition(&place.pk)).map(|last| last.date);
            let before = places
                .iter()
                .filter(|place| keys::read_event_partition(&place.pk).map(|partition| partition.date) > last);
            if start.is_none() || before.count() >= most {
                break;
            }
        }
        places.sort_by(|one, other| other.sk.cmp(&one.sk));
        places.truncate(most);
        Ok(self.events_at(places).await?.into_iter().map(|(.., event)| event).collect())
    }

    /// A page of the events of an account in one partition of a day, oldest first, and where the next page begins. It may miss
    /// what was written in the last moment.
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
