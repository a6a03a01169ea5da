//! Exports of what is held about people: the row that says how far one is, and what an export shows of each kind of row.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use serde_json::{Map, Value, json};

use super::erasures::{Fate, fate};
use super::expression::Update;
use super::{Core, Row, StoreError, attribute, keys, number, read, text, unavailable, write};
use crate::erasure::Names;
use crate::erasure::record::{Whose, named_texts, whose};
use crate::export::Export;
use crate::id::{ContactId, ExportId, WorkspaceId};
use crate::time::UnixMillis;

/// What an export shows of a row that names the person.
#[derive(Clone, Debug, PartialEq)]
pub enum Shown {
    /// The row, or what of it concerns them.
    Record(Value),
    /// It is somebody else's and mentions them: there is one, and no more is said.
    Withheld,
}

/// Attributes that say where a row is listed, and nothing about anybody.
const OF_THE_TABLE: [&str; 3] = ["pk", "sk", "list"];

impl Row {
    /// What an export shows of the row, if it mentions the person. `contacts` are theirs. `None` when it does not, or is
    /// the row of an export.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when it cannot be written as JSON.
    pub fn shown(&self, names: &Names, contacts: &BTreeSet<ContactId>) -> Result<Option<Shown>, StoreError> {
        let (kind, fate) = fate(&self.key);
        let is_of_an_export = kind == "exports" || self.key.pk == keys::DUE_PK;
        if is_of_an_export || !self.mentions(names) {
            return Ok(None);
        }
        let item: Map<String, Value> = read("row", self.item.clone()).map_err(|error| match error {
            StoreError::Damaged { source, .. } => StoreError::Damaged { what: kind, source },
            other => other,
        })?;
        // A reply to a request may be about many people.
        if kind == "replies" || self.is_anothers(names, contacts, &item) {
            return Ok(Some(Shown::Withheld));
        }
        let is_about_others = matches!(fate, Fate::Blanked | Fate::Left(_));
        let mut record = if is_about_others { only_named(names, item) } else { with_dates(item) };
        record.insert("key".to_owned(), json!({"pk": self.key.pk, "sk": self.key.sk}));
        if let Some(key) = keys::read_attempt(&self.key.pk, &self.key.sk) {
            record.insert("campaign".to_owned(), json!(key.campaign));
            record.insert("recipient".to_owned(), json!(key.seq.0));
        }
        if let Some(account) = keys::account_of_event(&self.key.pk) {
            record.insert("account".to_owned(), json!(account));
        }
        Ok(Some(Shown::Record(Value::Object(record))))
    }

    /// Whether the row belongs to a contact that is not theirs, or says in another way that it is somebody else's.
    fn is_anothers(&self, names: &Names, contacts: &BTreeSet<ContactId>, item: &Map<String, Value>) -> bool {
        match self.contact(item) {
            Some(owner) => !contacts.contains(&owner),
            None if fate(&self.key).0 == "events" => whose(names, &Value::Object(item.clone())) == Whose::Anothers,
            None => false,
        }
    }

    /// The contact that the row is of.
    fn contact(&self, item: &Map<String, Value>) -> Option<ContactId> {
        let in_key = match self.key.pk.split('#').nth(2) {
            Some("CONTACT") => self.key.pk.split('#').nth(3),
            Some("CONTACTS_BY_NAME" | "CONTACTS_BY_TAG" | "CONTACTS_BY_PERSONA") => self.key.sk.rsplit('#').next(),
            _ => None,
        };
        let posted = |body: &str| {
            let body: Value = serde_json::from_str(body).ok()?;
            Some(body["data"]["contact"].as_str()?.to_owned())
        };
        let named = match in_key {
            Some(contact) => Some(contact.to_owned()),
            None if fate(&self.key).0 == "deliveries" => item.get("body").and_then(Value::as_str).and_then(posted),
            None => item.get("contact").and_then(Value::as_str).map(str::to_owned),
        };
        named?.parse().ok()
    }
}

/// Of a row about something else, the texts that name the person, each with where it is.
fn only_named(names: &Names, mut item: Map<String, Value>) -> Map<String, Value> {
    item.retain(|name, _| !OF_THE_TABLE.contains(&name.as_str()));
    let texts = named_texts(names, &Value::Object(item));
    let texts: Vec<Value> = texts.into_iter().map(|(at, text)| json!({"at": at, "text": text})).collect();
    Map::from_iter([("named_in".to_owned(), Value::Array(texts))])
}

/// The row as it is stored, with its times as the API shows them.
fn with_dates(item: Map<String, Value>) -> Map<String, Value> {
    let shown = item.into_iter().filter(|(name, _)| !OF_THE_TABLE.contains(&name.as_str()));
    shown.map(|(name, value)| dated(name, value)).collect()
}

fn dated(name: String, value: Value) -> (String, Value) {
    let value = match value {
        Value::Object(fields) => Value::Object(fields.into_iter().map(|(name, value)| dated(name, value)).collect()),
        Value::Array(values) => Value::Array(values.into_iter().map(|value| dated(name.clone(), value).1).collect()),
        Value::Number(number) if is_a_time(&name) => match number.as_i64().and_then(time) {
            Some(at) => Value::from(at.to_rfc3339()),
            None => Value::Number(number),
        },
        other => other,
    };
    (name, value)
}

/// Whether an attribute of this name is a time.
fn is_a_time(name: &str) -> bool {
    matches!(name, "at" | "seen" | "since" | "until" | "known_since")
        || name.ends_with("_at")
        || name.ends_with("_until")
}

/// Times are stored in milliseconds, but for those that DynamoDB reads, which are in seconds.
fn time(stored: i64) -> Option<UnixMillis> {
    match stored {
        100_000_000_000.. => Some(UnixMillis(stored)),
        100_000_000.. => Some(UnixMillis::from_seconds(stored)),
        _ => None,
    }
}

impl Core {
    /// Begins an export unless one of the same contact is under way, or complete and not given out yet: which it is now.
    /// `now` is compared with what DynamoDB may not have deleted yet.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn begin_export(&self, export: &Export, now: UnixMillis) -> Result<Export, StoreError> {
        let item = write("export", keys::export(export.workspace, export.contact), export)?;
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk) OR attribute_exists(given_at) OR expires_at < :now")
            .expression_attribute_values(":now", number(now.seconds()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match put {
            Ok(_) => Ok(export.clone()),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(refused)) => {
                    read("export", refused.item().cloned().unwrap_or_default())
                }
                _ => Err(unavailable("PutItem", &error)),
            },
        }
    }

    /// The export of this contact that was begun last.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn export(&self, workspace: WorkspaceId, contact: ContactId) -> Result<Option<Export>, StoreError> {
        self.get("export", keys::export(workspace, contact)).await
    }

    /// Writes how far an export is; `false` when it is not there any more, because another one was begun or the person was
    /// erased.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn advance_export(&self, export: &Export) -> Result<bool, StoreError> {
        let item = write("export", keys::export(export.workspace, export.contact), export)?;
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("id = :id")
            .expression_attribute_values(":id", text(&export.id.to_string()))
            .send()
            .await;
        match put {
            Ok(_) => Ok(true),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(_)) => Ok(false),
                _ => Err(unavailable("PutItem", &error)),
            },
        }
    }

    /// Notes that an export was given out: whoever asks next gets a new one. A repeat changes nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn give_export(
        &self,
        workspace: WorkspaceId,
        contact: ContactId,
        id: ExportId,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let mut update = Update::default();
        update.set_if_absent("given_at", number(now.0));
        update.only_if_equal("id", attribute("export", &id)?);
        self.update(keys::export(workspace, contact), update).await.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attempt::{AttemptKey, Seq, Shard};
    use crate::erasure::Person;

    const OTHER: &str = "ctc_01J00000000000000000000001";

    fn contacts() -> BTreeSet<ContactId> {
        ["ctc_01J00000000000000000000000".parse().unwrap()].into()
    }

    fn names() -> Names {
        let digits = ["60123456789".to_owned()].into();
        Names::of([&Person { contacts: contacts(), digits, ..Person::default() }]).unwrap()
    }

    fn shown(key: keys::Key, row: &Value) -> Option<Shown> {
        let item = write("row", key.clone(), row).unwrap();
        Row { key, item }.shown(&names(), &contacts()).unwrap()
    }

    fn attempt() -> keys::Key {
        let campaign = "cmp_01J00000000000000000000000".parse().unwrap();
        keys::attempt(&AttemptKey { workspace: WorkspaceId::FIRST, campaign, shard: Shard(0), seq: Seq(3) })
    }

    #[test]
    fn a_row_of_the_person_is_shown_with_its_times_and_its_campaign() {
        let row = json!({
            "phone": "+60123456789", "sent": {"at": 1_790_000_000_000_i64, "seen": 1_790_000_000_007_i64}, "number": 1,
            "expires_at": 1_790_000_000, "list": "x",
        });
        let moment = json!({"at": "2026-09-21T14:13:20.000Z", "seen": "2026-09-21T14:13:20.007Z"});
        let key = attempt();
        let expected = json!({
            "phone": "+60123456789", "sent": moment, "number": 1, "expires_at": "2026-09-21T14:13:20.000Z",
            "campaign": "cmp_01J00000000000000000000000", "recipient": 3, "key": {"pk": key.pk, "sk": key.sk},
        });
        assert_eq!(shown(key, &row), Some(Shown::Record(expected)));
    }

    #[test]
    fn a_row_of_somebody_else_is_withheld_and_one_about_nobody_is_not_shown() {
        let of_other = json!({"contact": OTHER, "phone": "+60123456789"});
        assert_eq!(shown(attempt(), &of_other), Some(Shown::Withheld), "the number was theirs before");
        let contact = keys::contact(WorkspaceId::FIRST, OTHER.parse().unwrap());
        assert_eq!(shown(contact, &json!({"name": "mother of 60123456789"})), Some(Shown::Withheld));
        let body = json!({"data": {"contact": OTHER, "data": {"text": "60123456789"}}}).to_string();
        let delivery = keys::delivery(WorkspaceId::FIRST, "dlv_01J00000000000000000000000".parse().unwrap());
        assert_eq!(shown(delivery, &json!({"body": body})), Some(Shown::Withheld));
        assert_eq!(shown(attempt(), &json!({"phone": "+60123456780"})), None);
    }

    #[test]
    fn of_a_row_about_something_else_only_what_names_the_person_is_shown() {
        let import = keys::import(WorkspaceId::FIRST, "imp_01J00000000000000000000000".parse().unwrap());
        let row = json!({"errors": [{"reason": "of 60123456789"}, {"reason": "of 60123456780"}]});
        let expected = json!({
            "named_in": [{"at": "/errors/0/reason", "text": "of 60123456789"}],
            "key": {"pk": import.pk, "sk": import.sk},
        });
        assert_eq!(shown(import, &row), Some(Shown::Record(expected)));
        let campaign = keys::campaign(WorkspaceId::FIRST, "cmp_01J00000000000000000000000".parse().unwrap());
        let row = json!({"name": "x", "links": [{"url": "https://wa.me/60123456789"}]});
        let expected = json!({
            "named_in": [{"at": "/links/0/url", "text": "https://wa.me/60123456789"}],
            "key": {"pk": campaign.pk, "sk": campaign.sk},
        });
        assert_eq!(shown(campaign, &row), Some(Shown::Record(expected)), "also what an erasure leaves");
    }

    #[test]
    fn what_was_done_to_the_person_is_shown_and_an_export_is_not() {
        let row = json!({"targets": {"id": "ctc_01J00000000000000000000000"}});
        let audit = keys::audit(WorkspaceId::FIRST, "aud_01J00000000000000000000000".parse().unwrap());
        assert!(matches!(shown(audit, &row), Some(Shown::Record(_))));
        let contact = "ctc_01J00000000000000000000000".parse().unwrap();
        assert_eq!(shown(keys::export(WorkspaceId::FIRST, contact), &row), None);
        assert_eq!(shown(keys::job(format_args!("EXPORT#{contact}")), &row), None);
    }
}
