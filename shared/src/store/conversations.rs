//! Rows of conversations, one for each account that a contact has to do with, beside the contact's own row.

use aws_sdk_dynamodb::types::AttributeValue;

use super::expression::{Update, Updated};
use super::{Consistency, Core, StoreError, attribute, keys, number, read, read_or_skip, schema, text, unavailable};
use crate::conversation::{Conversation, Happened};
use crate::id::{AccountId, ContactId, WorkspaceId};
use crate::time::UnixMillis;

/// Tries of a write that older news of others gets in the way of: each one settles at least one of the five fields.
const TRIES: usize = 16;

impl Core {
    /// Notes what has happened between an account and a contact. One write when all of it is news, as it mostly is; what
    /// is older than what is known changes nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn note_conversation(
        &self,
        workspace: WorkspaceId,
        contact: ContactId,
        account: AccountId,
        happened: Happened,
    ) -> Result<(), StoreError> {
        let key = keys::conversation(workspace, contact, account);
        let mut news = happened;
        for _ in 0..TRIES {
            if news.is_nothing() {
                return Ok(());
            }
            match self.update(key.clone(), noting(workspace, account, &news)?).await? {
                Updated::Done(_) => return Ok(()),
                Updated::Refused(item) if item.is_empty() => {}
                Updated::Refused(item) => news = news.news_to(&read("conversation", item)?),
            }
        }
        Err(StoreError::Unavailable {
            operation: "UpdateItem",
            message: "too many writers on a conversation".to_owned(),
        })
    }

    /// What an account and a contact last did to each other; `None` when nothing is known.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn conversation(
        &self,
        workspace: WorkspaceId,
        contact: ContactId,
        account: AccountId,
    ) -> Result<Option<Conversation>, StoreError> {
        self.get("conversation", keys::conversation(workspace, contact, account)).await
    }

    /// All conversations of a contact.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn conversations(
        &self,
        workspace: WorkspaceId,
        contact: ContactId,
    ) -> Result<Vec<(AccountId, Conversation)>, StoreError> {
        let pk = keys::contact(workspace, contact).pk;
        let items = self.query(&pk, keys::CONVERSATION_PREFIX, None, None, true).await?;
        items
            .into_iter()
            .filter_map(|item| {
                let account = item.get("sk")?.as_s().ok()?.strip_prefix(keys::CONVERSATION_PREFIX)?.parse().ok()?;
                Some(read("conversation", item).map(|conversation| (account, conversation)))
            })
            .collect()
    }

    /// The conversations of an account in which the person last wrote on this day (UTC), latest first. The list may miss
    /// what was written in the last moment.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn conversations_of_day(
        &self,
        workspace: WorkspaceId,
        account: AccountId,
        date: &str,
    ) -> Result<Vec<(ContactId, Conversation)>, StoreError> {
        let list = keys::conversations_list(workspace, account, date);
        let (mut places, mut start) = (Vec::new(), None);
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
            places.extend(page.items.unwrap_or_default().into_iter().filter_map(|item| {
                let part = |name: &str| item.get(name)?.as_s().ok().cloned();
                Some(keys::Key { pk: part("pk")?, sk: part("sk")? })
            }));
            start = page.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        let items = self.batch_get(places, Consistency::Strong).await?;
        let mut rows: Vec<(ContactId, Conversation)> = items
            .into_iter()
            .filter_map(|item| {
                let contact = contact_of(item.get("pk")?.as_s().ok()?)?;
                Some((contact, read_or_skip::<Conversation>("conversation", item)?))
            })
            // The person may have written since, and the list not know it yet: then it is in the list of that day.
            .filter(|(_, row)| row.last_inbound_at.is_some_and(|at| at.date() == date))
            .collect();
        rows.sort_by_key(|(contact, row)| std::cmp::Reverse((row.last_inbound_at, *contact)));
        Ok(rows)
    }
}

/// Whose partition it is, if it is a contact's.
fn contact_of(pk: &str) -> Option<ContactId> {
    match pk.split('#').collect::<Vec<_>>()[..] {
        ["WS", _, "CONTACT", contact] => contact.parse().ok(),
        _ => None,
    }
}

/// Writes all of it, on condition that all of it is news.
fn noting(workspace: WorkspaceId, account: AccountId, news: &Happened) -> Result<Update, StoreError> {
    let mut update = Update::default();
    update.set_if_absent("v", number(1));
    let times = [
        ("last_inbound_at", news.inbound_at),
        ("entry_point_at", news.entry_point_at),
        ("last_outbound_at", news.outbound_at),
        ("resolved_at", news.resolved_at),
    ];
    for (name, at) in times {
        if let Some(UnixMillis(at)) = at {
            later_only(&mut update, name, number(at));
        }
    }
    // It is in the list of the day on which the person last wrote.
    if let Some(at) = news.inbound_at {
        update.set("list", text(&keys::conversations_list(workspace, account, &at.date())));
    }
    if let Some(assigned) = &news.assigned {
        update.set("assigned", attribute("conversation", assigned)?);
        let (known, at, to) = (update.name("assigned"), update.part("assigned", "at"), update.part("assigned", "to"));
        let (new_at, new_to) = (update.value(number(assigned.at.0)), update.value(text(&assigned.to)));
        update.only_if(format!(
            "attribute_not_exists({known}) OR {at} < {new_at} OR ({at} = {new_at} AND {to} < {new_to})"
        ));
    }
    Ok(update)
}

fn later_only(update: &mut Update, name: &str, value: AttributeValue) {
    update.set(name, value.clone());
    let (known, new) = (update.name(name), update.value(value));
    update.only_if(format!("attribute_not_exists({known}) OR {known} < {new}"));
}
