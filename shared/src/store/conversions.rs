//! Reading conversions: those that pages and servers have told of, from a partition of the feed, and the attempts that were
//! closed. Neither has an index of its own, for few ask and rarely: a partition is read through where it lies, and what is
//! none stays in the table.

use std::ops::Range;

use aws_sdk_dynamodb::types::AttributeValue;

use super::{Core, FeedDay, Item, StoreError, keys, number, read_or_skip, text, unavailable};
use crate::activity::Event;
use crate::activity::feed::Position;
use crate::attempt::{Attempt, AttemptKey, Flag, Seq, Shard};
use crate::id::{CampaignId, WorkspaceId};
use crate::time::UnixMillis;

/// A part of what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read<T, P> {
    /// The rows.
    pub rows: Vec<T>,
    /// The place up to which they are all there are; `None` when there is nothing behind it. Asking on from there gives the
    /// next part.
    pub up_to: Option<P>,
}

impl Core {
    /// Conversions in a partition of a day of the feed that lie behind `after` and before `before`, in the order of time. A part
    /// is as much as the table looks through at a time (1 MB), so it may be empty. It may miss what was written in the last
    /// moment.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn conversions_of_partition(
        &self,
        day: &FeedDay,
        shard: Shard,
        after: &Position,
        before: &Position,
    ) -> Result<Read<Event, Position>, StoreError> {
        let pk = keys::activity_pk(Some(day.workspace), day.account, &day.date, shard);
        let values = Item::from([
            (":pk".to_owned(), text(&pk)),
            (":after".to_owned(), text(after.as_str())),
            (":before".to_owned(), text(before.as_str())),
            (":yes".to_owned(), AttributeValue::Bool(true)),
        ]);
        let page = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk AND sk BETWEEN :after AND :before")
            .filter_expression("#conversion = :yes")
            .expression_attribute_names("#conversion", "conversion")
            .set_expression_attribute_values(Some(values))
            .send()
            .await
            .map_err(|error| unavailable("Query", &error))?;
        // `BETWEEN` includes both ends, and neither is wanted.
        let ends = [after.as_str(), before.as_str()];
        let is_between = |item: &Item| sort_key(item).is_some_and(|sk| !ends.contains(&sk.as_str()));
        let items = page.items.unwrap_or_default().into_iter().filter(is_between);
        let up_to = page.last_evaluated_key.as_ref().and_then(sort_key).map(|sk| Position::read(sk));
        Ok(Read { rows: items.filter_map(|item| read_or_skip("event", item)).collect(), up_to })
    }

    /// Attempts of one shard of a campaign that were closed in this span of time, in order of `seq`, behind `after` if given. A
    /// part is as much as the table looks through at a time (1 MB), so it may be empty.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn closed_attempts(
        &self,
        workspace: WorkspaceId,
        campaign: CampaignId,
        shard: Shard,
        span: &Range<UnixMillis>,
        after: Option<Seq>,
    ) -> Result<Read<(AttemptKey, Attempt), Seq>, StoreError> {
        let pk = keys::attempts_pk(workspace, campaign, shard);
        let values = Item::from([
            (":pk".to_owned(), text(&pk)),
            (":from".to_owned(), number(span.start.0)),
            (":until".to_owned(), number(span.end.0)),
        ]);
        let key_of = |seq: Seq| AttemptKey { workspace, campaign, shard, seq };
        let page = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("pk = :pk")
            .filter_expression("#closed.#at >= :from AND #closed.#at < :until")
            .expression_attribute_names("#closed", Flag::Closed.name())
            .expression_attribute_names("#at", "at")
            .set_expression_attribute_values(Some(values))
            .set_exclusive_start_key(after.map(|seq| keys::attempt(&key_of(seq)).item()))
            .send()
            .await
            .map_err(|error| unavailable("Query", &error))?;
        let seq_of = |item: &Item| sort_key(item).and_then(|sk| sk.parse().ok()).map(Seq);
        let rows = page.items.unwrap_or_default().into_iter().filter_map(|item| {
            let key = key_of(seq_of(&item)?);
            Some((key, read_or_skip("attempt", item)?))
        });
        Ok(Read { rows: rows.collect(), up_to: page.last_evaluated_key.as_ref().and_then(seq_of) })
    }
}

fn sort_key(item: &Item) -> Option<&String> {
    item.get("sk").map(AttributeValue::as_s)?.ok()
}
