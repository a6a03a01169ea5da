//! Erasing people from the table: reading all of it, and what becomes of each kind of row that names one of them.

use aws_sdk_dynamodb::types::AttributeValue;

use super::expression::{Update, Updated};
use super::{Core, Item, Listed, StoreError, attribute, keys, read, read_or_skip, text, unavailable, write};
use crate::attempt::{Attempt, Erased};
use crate::contact::alias::Kind;
use crate::erasure::{ERASED, Erasure, Names, PassUnderWay, Person, Status};
use crate::id::{ContactId, ErasureId, WorkspaceId};
use crate::phone::PhoneNumber;
use crate::time::UnixMillis;

/// Erasures that are read at a time.
const ERASURES_AT_ONCE: usize = 500;

/// Rows of the whole table that are read at a time; DynamoDB reads no more than 1 MB of them. Without a number, the embedded
/// engine reads all rows that are left, for each page again.
const ROWS_AT_ONCE: i32 = 4_000;

/// A row as it was read from the whole table.
#[derive(Clone)]
pub struct Row {
    pub(super) key: keys::Key,
    pub(super) item: Item,
}

impl Row {
    /// Its kind: what a report counts it under.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        fate(&self.key).0
    }

    /// Its partition and sort key.
    #[must_use]
    pub fn place(&self) -> (String, String) {
        (self.key.pk.clone(), self.key.sk.clone())
    }

    /// Whether it is of this workspace, or of none that is known.
    #[must_use]
    pub fn concerns(&self, workspace: WorkspaceId) -> bool {
        let owner = match self.key.pk.strip_prefix("WS#") {
            Some(rest) => rest.split('#').next().filter(|owner| *owner != keys::UNROUTED),
            // The link's own row has the alias as well, and says whose it is.
            None if self.key.sk == keys::LINK_ALIAS => return false,
            None => self.item.get("workspace").and_then(|owner| owner.as_s().ok()).map(String::as_str),
        };
        owner.is_none_or(|owner| owner == workspace.to_string())
    }

    /// Whether it names one of them and is not to do so once they are erased.
    #[must_use]
    pub fn names(&self, names: &Names) -> bool {
        !matches!(fate(&self.key).1, Fate::Stays | Fate::Left(_)) && self.mentions(names)
    }

    /// What it defines, if it names one of them and an erasure leaves it as it is.
    #[must_use]
    pub fn left(&self, names: &Names) -> Option<&'static str> {
        match fate(&self.key).1 {
            Fate::Left(what) if self.mentions(names) => Some(what),
            _ => None,
        }
    }

    /// Whether it names one of them, also where an erasure leaves it: an export shows that as well.
    #[must_use]
    pub fn mentions(&self, names: &Names) -> bool {
        self.item.iter().any(|(name, value)| named_in(names, name, value))
    }
}

/// What becomes of a row that names somebody who is erased.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It names people by our ids only, and says what was done: it stays.
    Stays,
    /// The operator's own, which everybody gets or is led by, such as a message or the address of a link: it is of no
    /// single person, so it stays, and a report counts it under this name.
    Left(&'static str),
    /// It is removed.
    Goes,
    /// The flags and times stay, for the counters rest on them.
    Attempt,
    /// The click stays, and is nobody's.
    Click,
    /// It is about something else; the texts in it that name somebody are blanked.
    Blanked,
}

/// A row's kind, what a report counts it under, and what becomes of it. A kind that is not in the list is removed when it names
/// somebody: a new kind of row is thus never forgotten, and has to say so here if it is to stay.
pub(super) fn fate(keys::Key { pk, sk }: &keys::Key) -> (&'static str, Fate) {
    let mut parts = pk.split('#');
    // Of a workspace the kind stands behind its id.
    match (parts.next(), parts.nth(1)) {
        (Some("WS"), Some(kind)) => in_workspace(kind, sk),
        (Some(keys::DUE_PK), _) if sk.starts_with(keys::JOB_PREFIX) => ("jobs", Fate::Goes),
        (Some("LINK"), _) => ("definitions", Fate::Left("links")),
        (Some("ROUTE"), _) => ("definitions", Fate::Left("accounts")),
        (Some("WRITE_KEY"), _) => ("definitions", Fate::Left("write_keys")),
        _ => ("definitions", Fate::Left("others")),
    }
}

fn in_workspace(kind: &str, sk: &str) -> (&'static str, Fate) {
    match kind {
        "ATTEMPTS" => ("attempts", Fate::Attempt),
        "ACTIVITY" => ("events", Fate::Click),
        "ALIAS" if sk.starts_with(keys::TOUCH_PREFIX) => ("touches", Fate::Goes),
        "ALIAS" => ("aliases", Fate::Goes),
        "CONTACT" if sk.starts_with(keys::CONVERSATION_PREFIX) => ("conversations", Fate::Goes),
        // The identifiers among them, and that a word for or against messages was answered.
        "CONTACT" => ("contacts", Fate::Goes),
        "CONTACTS_BY_NAME" | "CONTACTS_BY_TAG" | "CONTACTS_BY_PERSONA" => ("found_by", Fate::Goes),
        // What is posted to others names the person by our id; a parcel that finds no delivery posts none.
        "DELIVERY" => ("deliveries", Fate::Goes),
        // The replies to requests that may be repeated.
        "IDEMPOTENCY" => ("replies", Fate::Goes),
        "EXPORT" => ("exports", Fate::Goes),
        // Hashes and times; they name somebody only by accident.
        "EVENT_ID" | "SEEN" => ("first_sights", Fate::Goes),
        "AUDIT" => ("audit", Fate::Stays),
        "ERASURES" => ("erasures", Fate::Stays),
        "CAMPAIGN" if sk.starts_with(keys::PAGE_PREFIX) => ("definitions", Fate::Blanked),
        "IMPORT" => ("definitions", Fate::Blanked),
        "CAMPAIGN" => ("definitions", Fate::Left("campaigns")),
        "ACCOUNT" | "PORTFOLIO" => ("definitions", Fate::Left("accounts")),
        "LINKS" | "LINK_DOMAINS" | "REMOVED_LINK_DOMAINS" => ("definitions", Fate::Left("links")),
        "MEDIA" | "MEDIA_SHA256" => ("definitions", Fate::Left("media")),
        "SETTINGS" => ("definitions", Fate::Left("settings")),
        "WABA" => ("definitions", Fate::Left("templates")),
        "WEBHOOKS" => ("definitions", Fate::Left("webhooks")),
        _ => ("others", Fate::Goes),
    }
}

fn named_in(names: &Names, field: &str, value: &AttributeValue) -> bool {
    match value {
        AttributeValue::S(text) => names.are_in_value(field, text),
        AttributeValue::L(values) => values.iter().any(|value| named_in(names, field, value)),
        AttributeValue::Ss(texts) => texts.iter().any(|text| names.are_in_value(field, text)),
        AttributeValue::M(parts) => parts.iter().any(|(name, part)| names.are_in(name) || named_in(names, name, part)),
        _ => false,
    }
}

/// The value with every text that names somebody blanked.
fn blanked(names: &Names, field: &str, value: &AttributeValue) -> AttributeValue {
    match value {
        AttributeValue::S(whole) if names.are_in_value(field, whole) => text(ERASED),
        AttributeValue::L(values) => {
            AttributeValue::L(values.iter().map(|value| blanked(names, field, value)).collect())
        }
        AttributeValue::Ss(texts) => {
            AttributeValue::Ss(texts.iter().filter(|one| !names.are_in_value(field, one)).cloned().collect())
        }
        AttributeValue::M(parts) => {
            let kept = parts.iter().filter(|(name, _)| !names.are_in(name));
            AttributeValue::M(kept.map(|(name, part)| (name.clone(), blanked(names, name, part))).collect())
        }
        other => other.clone(),
    }
}

impl Core {
    /// By what the person of this contact is known: all contacts that are theirs, and every identifier that is theirs or
    /// nobody's. `None` when there is no such contact.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn person_of(&self, workspace: WorkspaceId, contact: ContactId) -> Result<Option<Person>, StoreError> {
        let Some(family) = self.family_of(workspace, contact).await? else { return Ok(None) };
        let mut person = Person { contacts: family.ids().collect(), ..Person::default() };
        for known in self.aliases_of(workspace, &family).await? {
            // A number that is somebody else's now names them, and not this person.
            let owner = self.owner_of(workspace, std::slice::from_ref(&known.alias)).await?;
            if owner.is_none_or(|owner| person.contacts.contains(&owner)) {
                let value = known.alias.value().to_owned();
                _ = if known.alias.kind() == Kind::Phone {
                    person.digits.insert(value)
                } else {
                    person.others.insert(value)
                };
            }
        }
        for member in family.members() {
            person.digits.extend(member.phone.iter().map(|phone| phone.digits().to_owned()));
        }
        Ok(Some(person))
    }

    /// Notes an erasure that was asked for; a repeat changes nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn ask_erasure(&self, erasure: &Erasure) -> Result<(), StoreError> {
        let key = keys::erasure(erasure.workspace, erasure.id);
        self.put_new("erasure", key, erasure, Item::new()).await.map(|_| ())
    }

    /// An erasure.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn erasure(&self, workspace: WorkspaceId, id: ErasureId) -> Result<Option<Erasure>, StoreError> {
        self.get("erasure", keys::erasure(workspace, id)).await
    }

    /// A workspace's erasures, newest first, those older than `before` if given.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn erasures(
        &self,
        workspace: WorkspaceId,
        before: Option<ErasureId>,
        limit: usize,
    ) -> Result<Listed<Erasure>, StoreError> {
        let before = before.map(|id| id.to_string());
        let pk = keys::erasures_pk(workspace);
        let items = self.query(&pk, ErasureId::PREFIX, before.as_deref(), Some(limit + 1), false).await?;
        let mut rows = items.into_iter().map(|item| read("erasure", item)).collect::<Result<Vec<_>, _>>()?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        Ok(Listed { rows, more })
    }

    /// A workspace's erasures that are not complete, oldest first, at most `most`, however many there are that are. One that
    /// cannot be read is left out.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn erasures_under_way(&self, workspace: WorkspaceId, most: usize) -> Result<Vec<Erasure>, StoreError> {
        let pk = keys::erasures_pk(workspace);
        let (mut found, mut behind) = (Vec::new(), None::<String>);
        loop {
            let items = self.query(&pk, ErasureId::PREFIX, behind.as_deref(), Some(ERASURES_AT_ONCE), true).await?;
            behind = items.last().and_then(|item| item.get("sk")?.as_s().ok().cloned());
            let is_last = items.len() < ERASURES_AT_ONCE || behind.is_none();
            let read = items.into_iter().filter_map(|item| read_or_skip::<Erasure>("erasure", item));
            found.extend(read.filter(|erasure| erasure.status != Status::Complete));
            if is_last || found.len() >= most {
                found.truncate(most);
                return Ok(found);
            }
        }
    }

    /// Writes how far an erasure is, unless it is complete: `false` then. Only the runner of the job does, but one that has
    /// lost it may not know yet, and must not bring back the names of somebody who is erased.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_erasure(&self, erasure: &Erasure) -> Result<bool, StoreError> {
        let item = write("erasure", keys::erasure(erasure.workspace, erasure.id), erasure)?;
        let mut conditions = Update::default();
        let (status, complete) =
            (conditions.name("status"), conditions.value(attribute("erasure", &Status::Complete)?));
        conditions.only_if(format!("attribute_not_exists({status}) OR {status} <> {complete}"));
        Ok(self.put_if(item, conditions).await?.is_none())
    }

    /// The pass that is under way.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn erasure_pass(&self, workspace: WorkspaceId) -> Result<Option<PassUnderWay>, StoreError> {
        self.get("pass", keys::erasure_pass(workspace)).await
    }

    /// Writes how far the pass is. Only the runner of the job does.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_erasure_pass(&self, workspace: WorkspaceId, pass: &PassUnderWay) -> Result<(), StoreError> {
        self.overwrite(write("pass", keys::erasure_pass(workspace), pass)?).await
    }

    /// The pass has ended.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn end_erasure_pass(&self, workspace: WorkspaceId) -> Result<(), StoreError> {
        self.remove_row(keys::erasure_pass(workspace)).await
    }

    async fn overwrite(&self, item: Item) -> Result<(), StoreError> {
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item)).send().await;
        put.map(|_| ()).map_err(|error| unavailable("PutItem", &error))
    }

    async fn remove_row(&self, key: keys::Key) -> Result<(), StoreError> {
        let deleted = self.client.delete_item().table_name(&self.table).set_key(Some(key.item())).send().await;
        deleted.map(|_| ()).map_err(|error| unavailable("DeleteItem", &error))
    }

    /// Some rows of the whole table behind a place (from [`Row::place`]), or from its beginning; none at its end.
    /// Strongly consistent.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn rows_behind(&self, place: Option<(String, String)>) -> Result<Vec<Row>, StoreError> {
        let mut start = place.map(|(pk, sk)| keys::Key::new(pk, sk).item());
        loop {
            let scanned = self
                .client
                .scan()
                .table_name(&self.table)
                .consistent_read(true)
                .set_exclusive_start_key(start.take())
                .limit(ROWS_AT_ONCE)
                .send()
                .await
                .map_err(|error| unavailable("Scan", &error))?;
            let rows: Vec<Row> = scanned.items.unwrap_or_default().into_iter().filter_map(row).collect();
            start = scanned.last_evaluated_key;
            // A page may be empty and not the last.
            if !rows.is_empty() || start.is_none() {
                return Ok(rows);
            }
        }
    }

    /// Takes the people out of a row that names them. Whoever changes it at the same time is not overwritten: what they
    /// wrote is found by the next pass.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn erase_row(&self, names: &Names, row: &Row, now: UnixMillis) -> Result<(), StoreError> {
        let key_names = names.are_in_key(&row.key.pk) || names.are_in_key(&row.key.sk);
        let update = match fate(&row.key).1 {
            Fate::Stays | Fate::Left(_) => return Ok(()),
            Fate::Goes => return self.remove_row(row.key.clone()).await,
            Fate::Click => match row.item.get("type").and_then(|kind| kind.as_s().ok()).map(String::as_str) {
                Some("link.clicked") => click(),
                _ => return self.remove_row(row.key.clone()).await,
            },
            Fate::Blanked if key_names => return self.remove_row(row.key.clone()).await,
            Fate::Blanked => blanking(names, &row.item),
            Fate::Attempt => attempt(names, &row.item, now)?,
        };
        // Changed meanwhile, or removed.
        let (Updated::Done(_) | Updated::Refused(_)) = self.update(row.key.clone(), update).await?;
        Ok(())
    }
}

fn row(item: Item) -> Option<Row> {
    let part = |name: &str| item.get(name)?.as_s().ok().cloned();
    Some(Row { key: keys::Key::new(part("pk")?, part("sk")?), item })
}

fn click() -> Update {
    let mut update = Update::default();
    for name in ["contact", "recipient", "list"] {
        update.remove(name);
    }
    update.only_if_present("pk");
    update
}

/// Blanks every attribute that names somebody, if it is still what was read.
fn blanking(names: &Names, item: &Item) -> Update {
    let mut update = Update::default();
    update.only_if_present("pk");
    for (name, value) in
        item.iter().filter(|(name, value)| *name != "pk" && *name != "sk" && named_in(names, name, value))
    {
        update.set(name, blanked(names, name, value));
        update.only_if_equal(name, value.clone());
    }
    update
}

/// What is left of an attempt: where it stands and when it got there. The message id stays taken, so that no late status
/// brings it back.
fn attempt(names: &Names, item: &Item, now: UnixMillis) -> Result<Update, StoreError> {
    let stored: Attempt = read("attempt", item.clone())?;
    let mut update = Update::default();
    update.only_if_present("pk");
    let region = stored.region().map(str::to_owned);
    update.set("phone", text(PhoneNumber::ERASED));
    update.set_if_absent("erased", attribute("attempt", &Erased { at: now, region })?);
    for name in ["name", "contact", "response"] {
        update.remove(name);
    }
    update.set("wamid", text(ERASED));
    let special = ["pk", "sk", "phone", "erased", "name", "contact", "response", "wamid"];
    let named = |name: &str, value: &AttributeValue| !special.contains(&name) && named_in(names, name, value);
    for (name, value) in item.iter().filter(|(name, value)| named(name, value)) {
        update.set(name, blanked(names, name, value));
        update.only_if_equal(name, value.clone());
    }
    Ok(update)
}

#[cfg(test)]
mod tests;
