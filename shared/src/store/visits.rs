//! Rows of what people did with links.

use std::collections::HashMap;
use std::time::Duration;

use super::expression::Update;
use super::{Consistency, Core, Item, StoreError, keys, number, read, schema, sort_key, write};
use crate::attempt::{AttemptKey, Seq};
use crate::link::visits::{Visit, Visits, Whose};
use crate::retention::Kind;
use crate::time::UnixMillis;

/// Tries of a write that others get in the way of.
const TRIES: usize = 16;

/// How long a visitor of a shared code is told from others.
const VISITOR_KEPT_FOR: Duration = Duration::from_secs(30 * 86_400);

/// How long a replay of everything may take.
const COUNTED_WITHIN: Duration = Duration::from_secs(7 * 86_400);

/// How often the row was written: what a write is conditional on.
const REVISION: &str = "revision";

impl Core {
    /// Takes in clicks of one person. Clicks that were here before change nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn note_visits(&self, whose: &Whose, news: &[Visit]) -> Result<(), StoreError> {
        // Mostly it is the recipient's first click; a refusal tells what is there.
        let mut known = Item::new();
        for _ in 0..TRIES {
            let revision = known.get(REVISION).cloned();
            let mut visits: Visits = if known.is_empty() { Visits::default() } else { read("visits", known)? };
            let mut is_news = false;
            let mut latest = None;
            for visit in news {
                is_news |= visits.take(visit.clone());
                latest = latest.max(Some(visit.at));
            }
            let Some(latest) = latest.filter(|_| is_news) else { return Ok(()) };
            let mut item = write("visits", keys::visits(whose), &visits)?;
            match whose {
                Whose::Recipient(_) => item.extend(self.expiry(Kind::Attempts, latest)),
                // A repeat of the queue's comes within this time; a mark is of one day. What a replay makes again of older
                // clicks has to be there until it was counted.
                Whose::Visitor(_) => {
                    let end = latest.plus(VISITOR_KEPT_FOR).max(UnixMillis::now().plus(COUNTED_WITHIN));
                    item.insert(schema::TTL_ATTRIBUTE.to_owned(), number(end.0 / 1_000));
                }
            }
            let next: i64 = revision.as_ref().and_then(|n| n.as_n().ok()?.parse().ok()).unwrap_or(0) + 1;
            item.insert(REVISION.to_owned(), number(next));
            let mut condition = Update::default();
            match revision {
                Some(revision) => condition.only_if_equal(REVISION, revision),
                None => condition.only_if_absent("pk"),
            }
            match self.put_if(item, condition).await? {
                None => return Ok(()),
                Some(now) => known = now,
            }
        }
        Err(StoreError::Unavailable { operation: "PutItem", message: "too many writers on visits".to_owned() })
    }

    /// What people did with the links of these recipients of one campaign; who is not in the answer did nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn visits(
        &self,
        wanted: &[AttemptKey],
        consistency: Consistency,
    ) -> Result<HashMap<Seq, Visits>, StoreError> {
        let items = self
            .batch_get(wanted.iter().map(|key| keys::visits(&Whose::Recipient(*key))).collect(), consistency)
            .await?;
        items
            .into_iter()
            .map(|item| {
                let seq = sort_key(&item).and_then(|sk| sk.parse().ok()).map_or(Seq(u32::MAX), Seq);
                Ok((seq, read("visits", item)?))
            })
            .collect()
    }
}
