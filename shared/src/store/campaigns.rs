//! Rows of campaigns, their pages, and the watchdog's list of campaigns that need looking after.

use aws_sdk_dynamodb::types::{Delete, Put, TransactWriteItem};
use serde::{Deserialize, Serialize};

use super::expression::{Update, Updated};
use super::{Consistency, Core, Item, StoreError, attribute, keys, number, read, read_or_skip, text, unavailable};
use crate::campaign::{Campaign, PageNumber, PausedBy, Status};
use crate::id::{CampaignId, WorkspaceId};
use crate::time::UnixMillis;

/// A change of a campaign's state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The state it must be in.
    pub from: Status,
    /// The state it gets.
    pub to: Status,
    /// Why, for people; removed when absent.
    pub reason: Option<String>,
    /// What has paused it; removed when absent.
    pub paused_by: Option<PausedBy>,
    /// When.
    pub at: UnixMillis,
    /// When the watchdog shall look at it next; `None` when it needs no looking after any more.
    pub due: Option<UnixMillis>,
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed<T> {
    /// The rows; fewer than asked for when some cannot be read.
    pub rows: Vec<T>,
    /// Whether there may be more behind the last one.
    pub more: bool,
}

/// Where a page of the audience stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageState {
    /// Version of the stored shape.
    pub v: u8,
    /// When it was last given to the sender.
    pub enqueued_at: UnixMillis,
    /// The sender put it off until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deferred_until: Option<UnixMillis>,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deferred_because: Option<String>,
    /// No queue message of it is out until then: `dispatch` gives it out when the time has come.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub parked: bool,
    /// The campaign's round of retries that it was given out for.
    #[serde(default)]
    pub round: u16,
    /// When all of its recipients were settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done_at: Option<UnixMillis>,
}

#[derive(Serialize, Deserialize)]
struct Due {
    v: u8,
    workspace: WorkspaceId,
    campaign: CampaignId,
    due_at: UnixMillis,
}

impl Core {
    /// Writes a new campaign; `false` when there is one with this id, as after a repeated request.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn create_campaign(&self, campaign: &Campaign) -> Result<bool, StoreError> {
        let list = Item::from([("list".to_owned(), text(&keys::campaign_list(campaign.workspace)))]);
        self.put_new("campaign", keys::campaign(campaign.workspace, campaign.id), campaign, list)
            .await
            .map(|put| put.is_new())
    }

    /// A campaign.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn campaign(&self, workspace: WorkspaceId, campaign: CampaignId) -> Result<Option<Campaign>, StoreError> {
        self.get("campaign", keys::campaign(workspace, campaign)).await
    }

    /// A workspace's campaigns, newest first, those older than `before` if given.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn campaigns(
        &self,
        workspace: WorkspaceId,
        before: Option<CampaignId>,
        limit: usize,
    ) -> Result<Listed<Campaign>, StoreError> {
        let list = keys::campaign_list(workspace);
        let before = before.map(|id| keys::campaign(workspace, id));
        self.listed("campaign", &list, before, limit, |campaign: &Campaign| std::cmp::Reverse(campaign.id)).await
    }

    /// Rows of one list of the workspace, ordered by `order`.
    pub(super) async fn listed<T: serde::de::DeserializeOwned, O: Ord>(
        &self,
        what: &'static str,
        list: &str,
        before: Option<keys::Key>,
        limit: usize,
        order: impl Fn(&T) -> O,
    ) -> Result<Listed<T>, StoreError> {
        let start = before.map(|key| {
            let mut start = key.item();
            start.insert("list".to_owned(), text(list));
            start
        });
        let found = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(super::schema::LIST_INDEX)
            .key_condition_expression("#list = :list")
            .expression_attribute_names("#list", "list")
            .expression_attribute_values(":list", text(list))
            .scan_index_forward(false)
            .set_exclusive_start_key(start)
            .limit(i32::try_from(limit).unwrap_or(i32::MAX))
            .send()
            .await
            .map_err(|error| unavailable("Query", &error))?;
        let more = found.last_evaluated_key.is_some();
        let keys = found.items.unwrap_or_default().into_iter().filter_map(|item| {
            let part = |name: &str| item.get(name)?.as_s().ok().cloned();
            Some(keys::Key { pk: part("pk")?, sk: part("sk")? })
        });
        let items = self.batch_get(keys.collect(), Consistency::Strong).await?;
        let mut rows: Vec<T> = items.into_iter().filter_map(|item| read_or_skip(what, item)).collect();
        rows.sort_by_key(order);
        Ok(Listed { rows, more })
    }

    /// Changes a campaign's state together with the watchdog's list; `false` when it is not in the state it must be in.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn transition(
        &self,
        workspace: WorkspaceId,
        campaign: CampaignId,
        transition: &Transition,
    ) -> Result<bool, StoreError> {
        let Transition { from, to, reason, paused_by, at, due } = transition;
        let mut update = Update::default();
        update.set("status", text(to.name()));
        update.only_if_equal("status", text(from.name()));
        match reason {
            Some(reason) => update.set("status_reason", text(reason)),
            None => update.remove("status_reason"),
        }
        match paused_by {
            Some(by) => update.set("paused_by", attribute("campaign", by)?),
            None => update.remove("paused_by"),
        }
        if *to == Status::Running {
            update.set_if_absent("started_at", number(at.0));
        }
        if to.is_final() {
            update.set("finished_at", number(at.0));
        }
        self.change_and_watch(workspace, campaign, update, *due).await
    }

    /// Completes a campaign of which every page of this round is done, or whose time is over; `false` when it is not in
    /// this state or round any more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn complete(
        &self,
        campaign: &Campaign,
        reason: Option<&str>,
        at: UnixMillis,
    ) -> Result<bool, StoreError> {
        let mut update = Update::default();
        update.set("status", text(Status::Completed.name()));
        update.only_if_equal("status", text(campaign.status.name()));
        let (known, this) = (update.name("round"), update.value(number(i64::from(campaign.round))));
        update.only_if(format!("attribute_not_exists({known}) OR {known} = {this}"));
        update.set("finished_at", number(at.0));
        match reason {
            Some(reason) => update.set("status_reason", text(reason)),
            None => update.remove("status_reason"),
        }
        update.remove("paused_by");
        self.change_and_watch(campaign.workspace, campaign.id, update, None).await
    }

    /// Begins a round of retries of what failed before `at`: the campaign runs again from its first page. `false` when it is
    /// not in the state or round it must be in.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn begin_round(
        &self,
        workspace: WorkspaceId,
        campaign: CampaignId,
        from: Status,
        round: u16,
        at: UnixMillis,
    ) -> Result<bool, StoreError> {
        let mut update = Update::default();
        update.set("status", text(Status::Running.name()));
        update.only_if_equal("status", text(from.name()));
        update.set("round", number(i64::from(round)));
        let (known, before) = (update.name("round"), update.value(number(i64::from(round) - 1)));
        update.only_if(format!("attribute_not_exists({known}) OR {known} = {before}"));
        update.set("retry_before", number(at.0));
        update.set("next_page", number(0));
        update.set("done_before", number(0));
        for name in ["status_reason", "paused_by", "finished_at"] {
            update.remove(name);
        }
        self.change_and_watch(workspace, campaign, update, Some(at)).await
    }

    /// Changes a campaign together with the watchdog's list; `false` when a condition does not hold.
    async fn change_and_watch(
        &self,
        workspace: WorkspaceId,
        campaign: CampaignId,
        update: Update,
        due: Option<UnixMillis>,
    ) -> Result<bool, StoreError> {
        let state = update.in_transaction(&self.table, keys::campaign(workspace, campaign))?;
        let watch = self.watch(workspace, campaign, due)?;
        let written = self.client.transact_write_items().transact_items(state).transact_items(watch).send().await;
        match written {
            Ok(_) => Ok(true),
            Err(error) => {
                let service = error.as_service_error();
                let cancelled = service.is_some_and(|e| e.is_transaction_canceled_exception());
                let refused = cancelled && {
                    use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError as E;
                    match service {
                        Some(E::TransactionCanceledException(cancelled)) => cancelled
                            .cancellation_reasons()
                            .iter()
                            .any(|reason| reason.code() == Some("ConditionalCheckFailed")),
                        _ => false,
                    }
                };
                if refused { Ok(false) } else { Err(unavailable("TransactWriteItems", &error)) }
            }
        }
    }

    fn watch(
        &self,
        workspace: WorkspaceId,
        campaign: CampaignId,
        due: Option<UnixMillis>,
    ) -> Result<TransactWriteItem, StoreError> {
        let failed = |error: aws_sdk_dynamodb::error::BuildError| StoreError::Unavailable {
            operation: "TransactWriteItems",
            message: error.to_string(),
        };
        let key = keys::due(campaign);
        Ok(match due {
            Some(due_at) => {
                let row = super::write("due", key, &Due { v: 1, workspace, campaign, due_at })?;
                let put = Put::builder().table_name(&self.table).set_item(Some(row)).build().map_err(failed)?;
                TransactWriteItem::builder().put(put).build()
            }
            None => {
                let delete = Delete::builder().table_name(&self.table).set_key(Some(key.item())).build();
                TransactWriteItem::builder().delete(delete.map_err(failed)?).build()
            }
        })
    }

    /// The campaigns that need looking after by `now`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn due_campaigns(&self, now: UnixMillis) -> Result<Vec<(WorkspaceId, CampaignId)>, StoreError> {
        let items = self.query(keys::DUE_PK, keys::DUE_CAMPAIGN_PREFIX, None, None, true).await?;
        let due = items.into_iter().filter_map(|item| read_or_skip::<Due>("due", item));
        Ok(due.filter(|due| due.due_at <= now).map(|due| (due.workspace, due.campaign)).collect())
    }

    /// Notes that a page is about to be given to the sender for the first time in this round; `false` when it was before.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn enqueue_page(
        &self,
        workspace: WorkspaceId,
        campaign: CampaignId,
        page: PageNumber,
        round: u16,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let state = PageState {
            v: 1,
            enqueued_at: now,
            deferred_until: None,
            deferred_because: None,
            parked: false,
            round,
            done_at: None,
        };
        let key = keys::page(workspace, campaign, page);
        if self.put_new("page", key.clone(), &state, Item::new()).await?.is_new() {
            return Ok(true);
        }
        if round == 0 {
            return Ok(false);
        }
        let mut update = Update::default();
        update.set("enqueued_at", number(now.0));
        update.set("round", number(i64::from(round)));
        for name in ["deferred_until", "deferred_because", "parked", "done_at"] {
            update.remove(name);
        }
        let (known, this) = (update.name("round"), update.value(number(i64::from(round))));
        update.only_if(format!("attribute_not_exists({known}) OR {known} < {this}"));
        Ok(matches!(self.update(key, update).await?, Updated::Done(_)))
    }

    /// Notes that a page that seems forgotten is given to the sender again; `false` when somebody else just did, or it
    /// is done.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn enqueue_page_again(
        &self,
        workspace: WorkspaceId,
        campaign: CampaignId,
        page: PageNumber,
        last_enqueued: UnixMillis,
        now: UnixMillis,
    ) -> Result<bool, StoreError> {
        let mut update = Update::default();
        update.set("enqueued_at", number(now.0));
        update.remove("deferred_until");
        update.remove("parked");
        update.only_if_equal("enqueued_at", number(last_enqueued.0));
        update.only_if_absent("done_at");
        let updated = self.update(keys::page(workspace, campaign, page), update).await?;
        Ok(matches!(updated, Updated::Done(_)))
    }

    /// Notes that the sender has put a page off: the watchdog leaves it alone until then. A page is `parked` when the sender
    /// has put no message of it on the queue.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn defer_page(
        &self,
        workspace: WorkspaceId,
        campaign: CampaignId,
        page: PageNumber,
        until: UnixMillis,
        reason: &str,
        parked: bool,
    ) -> Result<(), StoreError> {
        let mut update = Update::default();
        update.set("deferred_until", attribute("page", &until)?);
        update.set("deferred_because", text(reason));
        if parked {
            update.set("parked", attribute("page", &true)?);
        } else {
            update.remove("parked");
        }
        update.only_if_present("pk");
        update.only_if_absent("done_at");
        self.update(keys::page(workspace, campaign, page), update).await.map(|_| ())
    }

    /// Notes that all recipients of a page are settled, in this round of retries.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn finish_page(
        &self,
        workspace: WorkspaceId,
        campaign: CampaignId,
        page: PageNumber,
        round: u16,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let mut update = Update::default();
        update.set("done_at", number(now.0));
        let (known, this) = (update.name("round"), update.value(number(i64::from(round))));
        update.only_if_present("pk");
        update.only_if(format!("attribute_not_exists({known}) OR {known} = {this}"));
        update.only_if_absent("done_at");
        self.update(keys::page(workspace, campaign, page), update).await.map(|_| ())
    }

    /// Notes that so many failed messages do not count towards the campaign's threshold any more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn forgive(&self, workspace: WorkspaceId, campaign: CampaignId, failed: u32) -> Result<(), StoreError> {
        let mut update = Update::default();
        update.set("forgiven", number(i64::from(failed)));
        update.only_if_present("pk");
        self.update(keys::campaign(workspace, campaign), update).await.map(|_| ())
    }

    /// Notes how often the campaign's budget was used up.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn renew_budget(
        &self,
        workspace: WorkspaceId,
        campaign: CampaignId,
        renewals: u16,
    ) -> Result<(), StoreError> {
        let mut update = Update::default();
        update.set("budget_renewals", number(i64::from(renewals)));
        update.only_if_present("pk");
        self.update(keys::campaign(workspace, campaign), update).await.map(|_| ())
    }

    /// The pages from `from` on that were given to the sender, in order.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn pages_from(
        &self,
        workspace: WorkspaceId,
        campaign: CampaignId,
        from: PageNumber,
    ) -> Result<Vec<(PageNumber, PageState)>, StoreError> {
        let pk = keys::campaign_pk(workspace, campaign);
        let after = from.0.checked_sub(1).map(|last| keys::page(workspace, campaign, PageNumber(last)).sk);
        let items = self.query(&pk, keys::PAGE_PREFIX, after.as_deref(), None, true).await?;
        items
            .into_iter()
            .map(|item| {
                let sk = item.get("sk").and_then(|sk| sk.as_s().ok()).and_then(|sk| sk.strip_prefix(keys::PAGE_PREFIX));
                let page = PageNumber(sk.and_then(|page| page.parse().ok()).unwrap_or(u32::MAX));
                Ok((page, read("page", item)?))
            })
            .collect()
    }

    /// Moves the campaign's cursors forward, in this round of retries; within a round they never move back.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn advance_cursors(
        &self,
        workspace: WorkspaceId,
        campaign: CampaignId,
        round: u16,
        next_page: u32,
        done_before: u32,
    ) -> Result<(), StoreError> {
        for (name, value) in [("next_page", next_page), ("done_before", done_before)] {
            let mut update = Update::default();
            update.set(name, number(i64::from(value)));
            let (cursor, to) = (update.name(name), update.value(number(i64::from(value))));
            update.only_if(format!("{cursor} < {to}"));
            let (known, this) = (update.name("round"), update.value(number(i64::from(round))));
            update.only_if(format!("attribute_not_exists({known}) OR {known} = {this}"));
            self.update(keys::campaign(workspace, campaign), update).await?;
        }
        Ok(())
    }
}
