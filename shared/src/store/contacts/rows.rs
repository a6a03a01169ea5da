//! The rows of identifiers and the changes to them and to contacts: each change is conditional on the revision that was
//! read, so that of two at the same time one is made again from what the other left.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::TransactWriteItem;
use serde::{Deserialize, Serialize};

use crate::contact::alias::Alias;
use crate::contact::{Consent, Contact, Word};
use crate::id::{ContactId, WorkspaceId};
use crate::store::expression::Update;
use crate::store::{Consistency, Core, Item, StoreError, keys, number, read, text, unavailable};
use crate::time::UnixMillis;

/// What an identifier's row holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AliasRow {
    pub(super) v: u8,
    /// Whose it is; absent when nothing is known but a word for or against messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) contact: Option<ContactId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) opt_in: Option<StoredWord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) opt_out: Option<StoredWord>,
    pub(super) known_since: UnixMillis,
    /// Tags of the identifiers that it was seen together with. What such a pair means has been acted on, and between a
    /// number and a user id words for or against messages are passed on.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(super) linked: BTreeSet<String>,
    /// When it came from another contact to this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) since: Option<UnixMillis>,
    /// When its owner took another number or got another user id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) until: Option<UnixMillis>,
    /// Which one: its tag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) moved_to: Option<String>,
    #[serde(default)]
    pub(super) revision: u32,
}

/// A [`Word`] with its time as a number, for conditions compare it. Of two the later one counts, and of two at the same
/// time the one with the greater source, so that every order ends in the same row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct StoredWord {
    pub(super) at: UnixMillis,
    pub(super) source: String,
}

/// An identifier in its contact's partition.
#[derive(Serialize, Deserialize)]
pub(super) struct Mention {
    pub(super) v: u8,
    /// Since when it is the contact's.
    pub(super) at: UnixMillis,
    /// Until when it was, if it belongs to another since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) until: Option<UnixMillis>,
}

impl From<StoredWord> for Word {
    fn from(StoredWord { at, source }: StoredWord) -> Self {
        Self { at, source }
    }
}

impl From<AliasRow> for Consent {
    fn from(row: AliasRow) -> Self {
        let AliasRow { contact, opt_in, opt_out, known_since, .. } = row;
        Self { contact, opt_in: opt_in.map(Word::from), opt_out: opt_out.map(Word::from), known_since }
    }
}

impl AliasRow {
    /// The row of an identifier of which nothing was known.
    pub(super) const fn new(at: UnixMillis) -> Self {
        Self {
            v: 1,
            contact: None,
            opt_in: None,
            opt_out: None,
            known_since: at,
            linked: BTreeSet::new(),
            since: None,
            until: None,
            moved_to: None,
            revision: 0,
        }
    }

    pub(super) fn is_linked(&self, other: &Alias) -> bool {
        self.linked.contains(&other.tag())
    }

    pub(super) fn words(&self) -> (Option<&StoredWord>, Option<&StoredWord>) {
        (self.opt_in.as_ref(), self.opt_out.as_ref())
    }
}

/// A row that counts its changes.
pub(super) trait Revised: Serialize {
    const WHAT: &'static str;
    fn revision(&self) -> u32;
}

impl Revised for AliasRow {
    const WHAT: &'static str = "alias";
    fn revision(&self) -> u32 {
        self.revision
    }
}

impl Revised for Contact {
    const WHAT: &'static str = "contact";
    fn revision(&self) -> u32 {
        self.revision
    }
}

/// The update that makes the row that was read into the other, on condition that it is still the one that was read.
/// Attributes that this version does not know stay as they are.
pub(super) fn change<T: Revised>(before: Option<&T>, after: &T) -> Result<Update, StoreError> {
    let item = |row: &T| -> Result<Item, StoreError> {
        serde_dynamo::to_item(row).map_err(|source| StoreError::Damaged { what: T::WHAT, source })
    };
    let (old, new) = (before.map(item).transpose()?.unwrap_or_default(), item(after)?);
    let mut update = Update::default();
    for (name, value) in &new {
        if name != "revision" && old.get(name) != Some(value) {
            update.set(name, value.clone());
        }
    }
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        update.remove(name);
    }
    match before {
        None => {
            update.set("revision", number(0));
            update.only_if_absent("pk");
        }
        Some(before) => {
            update.set("revision", number(i64::from(before.revision().wrapping_add(1))));
            update.only_if_present("pk");
            let (revision, read_at) = (update.name("revision"), update.value(number(i64::from(before.revision()))));
            // A row of before there were revisions is at 0.
            let old =
                if before.revision() == 0 { format!("attribute_not_exists({revision}) OR ") } else { String::new() };
            update.only_if(format!("{old}{revision} = {read_at}"));
        }
    }
    Ok(update)
}

/// What became of a transaction.
pub(super) enum Committed {
    Yes,
    /// Conditions did not hold: of which of its parts, in their order. Empty when another transaction was in the way.
    Refused(Vec<bool>),
}

impl Core {
    /// The rows of these identifiers, in their order, strongly consistent.
    pub(super) async fn alias_rows(
        &self,
        workspace: WorkspaceId,
        aliases: &[Alias],
    ) -> Result<Vec<Option<AliasRow>>, StoreError> {
        let keys: Vec<keys::Key> = aliases.iter().map(|alias| keys::alias(workspace, alias)).collect();
        let mut found: HashMap<String, AliasRow> = HashMap::new();
        for item in self.batch_get(keys.clone(), Consistency::Strong).await? {
            let pk = item.get("pk").and_then(|pk| pk.as_s().ok()).cloned().unwrap_or_default();
            found.insert(pk, read("alias", item)?);
        }
        Ok(keys.iter().map(|key| found.get(&key.pk).cloned()).collect())
    }

    /// A contact's row, made or changed, as part of a transaction. A contact that was merged into another or is being
    /// deleted is in no list.
    pub(super) fn contact_change(
        &self,
        workspace: WorkspaceId,
        before: Option<&Contact>,
        after: &Contact,
    ) -> Result<TransactWriteItem, StoreError> {
        let mut update = change(before, after)?;
        if after.merged_into.is_some() || after.deleted_at.is_some() {
            update.remove("list");
        } else {
            update.set("list", text(&keys::contact_list(workspace)));
        }
        update.in_transaction(&self.table, keys::contact(workspace, after.id))
    }

    /// An identifier's row as part of a transaction.
    pub(super) fn alias_change(
        &self,
        workspace: WorkspaceId,
        alias: &Alias,
        before: Option<&AliasRow>,
        after: &AliasRow,
    ) -> Result<TransactWriteItem, StoreError> {
        change(before, after)?.in_transaction(&self.table, keys::alias(workspace, alias))
    }

    /// Notes an identifier among those of a contact, or until when it was.
    pub(super) fn mention(
        &self,
        workspace: WorkspaceId,
        contact: ContactId,
        alias: &Alias,
        at: UnixMillis,
        is_over: bool,
    ) -> Result<TransactWriteItem, StoreError> {
        let mut update = Update::default();
        update.set_if_absent("v", number(1));
        update.set_if_absent("at", number(at.0));
        if is_over {
            update.set("until", number(at.0));
        } else {
            update.remove("until");
        }
        update.in_transaction(&self.table, keys::contact_alias(workspace, contact, alias))
    }

    /// Writes all of it or nothing.
    pub(super) async fn commit(&self, parts: Vec<TransactWriteItem>) -> Result<Committed, StoreError> {
        let sent = self.client.transact_write_items().set_transact_items(Some(parts)).send().await;
        let Err(error) = sent else { return Ok(Committed::Yes) };
        let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) = error.as_service_error() else {
            return Err(unavailable("TransactWriteItems", &error));
        };
        let reasons: Vec<&str> =
            cancelled.cancellation_reasons().iter().map(|reason| reason.code().unwrap_or("None")).collect();
        if reasons.contains(&"TransactionConflict") {
            return Ok(Committed::Refused(Vec::new()));
        }
        let refused: Vec<bool> = reasons.iter().map(|reason| *reason == "ConditionalCheckFailed").collect();
        if refused.contains(&true) {
            Ok(Committed::Refused(refused))
        } else {
            Err(unavailable("TransactWriteItems", &error))
        }
    }
}

/// What is said of a change that others got in the way of again and again.
pub(super) fn too_many_writers() -> StoreError {
    StoreError::Unavailable { operation: "TransactWriteItems", message: "others keep changing this contact".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_numbers_row_keeps_its_shape() {
        let word = |at| Some(StoredWord { at: UnixMillis(at), source: "reply".to_owned() });
        let alias = AliasRow {
            contact: Some("ctc_01J00000000000000000000000".parse().unwrap()),
            opt_in: word(5),
            opt_out: word(6),
            ..AliasRow::new(UnixMillis(4))
        };
        assert_eq!(
            serde_json::to_string(&alias).unwrap(),
            r#"{"v":1,"contact":"ctc_01J00000000000000000000000","opt_in":{"at":5,"source":"reply"},"opt_out":{"at":6,"source":"reply"},"known_since":4,"revision":0}"#
        );
        let moved = AliasRow {
            linked: ["BSUID#MY.1".to_owned()].into(),
            until: Some(UnixMillis(9)),
            moved_to: Some("PHONE#60123456780".to_owned()),
            ..AliasRow::new(UnixMillis(4))
        };
        assert_eq!(
            serde_json::to_string(&moved).unwrap(),
            r#"{"v":1,"known_since":4,"linked":["BSUID#MY.1"],"until":9,"moved_to":"PHONE#60123456780","revision":0}"#
        );
        let key = keys::phone_alias(WorkspaceId::FIRST, "5511987654321");
        assert_eq!(key, keys::phone_alias(WorkspaceId::FIRST, "551187654321"), "one row for all forms of a number");
        assert_eq!(key, keys::alias(WorkspaceId::FIRST, &Alias::phone("5511987654321").unwrap()));
    }
}
