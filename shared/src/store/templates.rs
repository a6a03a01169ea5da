//! Rows of templates: our copy of what Meta holds, per workspace and WhatsApp Business Account. News arrive late, twice and
//! out of order, so each part of a row carries the time of what made it, and a write of older news is refused.

use serde::{Deserialize, Serialize};

use super::expression::{Update, Updated};
use super::{Core, Listed, StoreError, attribute, keys, number, read, read_or_skip, text, unavailable, write};
use crate::campaign::Campaign;
use crate::id::WorkspaceId;
use crate::template::{
    FetchedTemplate, StoredTemplate, TemplateChange, TemplateObstacle, TemplateStatus, edited_components,
    language_code, templates_of,
};
use crate::time::UnixMillis;

/// How often a change of components is tried when the row changes meanwhile.
const CONTENDERS: usize = 16;

#[derive(Serialize, Deserialize)]
struct ListRead {
    v: u8,
    read_at: UnixMillis,
}

/// Attributes of one part of a row, written together or not at all.
type Part = Vec<(&'static str, Option<aws_sdk_dynamodb::types::AttributeValue>)>;

impl Core {
    /// A template; the language in either spelling.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn template(
        &self,
        workspace: WorkspaceId,
        waba_id: &str,
        name: &str,
        language: &str,
    ) -> Result<Option<StoredTemplate>, StoreError> {
        self.get("template", keys::template(workspace, waba_id, name, &language_code(language))).await
    }

    /// The templates of a WABA by name and language, those after `after` if given; of one name if given.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn templates(
        &self,
        workspace: WorkspaceId,
        waba_id: &str,
        name: Option<&str>,
        after: Option<(&str, &str)>,
        limit: usize,
    ) -> Result<Listed<StoredTemplate>, StoreError> {
        let pk = keys::waba_pk(workspace, waba_id);
        let prefix = name.map_or(keys::TEMPLATE_PREFIX.to_owned(), |name| format!("{}{name}#", keys::TEMPLATE_PREFIX));
        let after = after.map(|(name, language)| keys::template(workspace, waba_id, name, language).sk);
        let mut items = self.query(&pk, &prefix, after.as_deref(), Some(limit + 1), true).await?;
        let more = items.len() > limit;
        items.truncate(limit);
        Ok(Listed { rows: items.into_iter().filter_map(|item| read_or_skip("template", item)).collect(), more })
    }

    /// When all templates of the WABA were last read from Meta.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn templates_read_at(
        &self,
        workspace: WorkspaceId,
        waba_id: &str,
    ) -> Result<Option<UnixMillis>, StoreError> {
        let read: Option<ListRead> = self.get("template list", keys::template_list(workspace, waba_id)).await?;
        Ok(read.map(|read| read.read_at))
    }

    /// Why the campaign's messages do not get through for now: the first of its templates that Meta has stopped.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn template_obstacle(
        &self,
        campaign: &Campaign,
        waba_id: &str,
    ) -> Result<Option<TemplateObstacle>, StoreError> {
        for (name, language) in templates_of(campaign) {
            let Some(stored) = self.template(campaign.workspace, waba_id, &name, &language).await? else { continue };
            if let Some(reason) = stored.obstacle() {
                return Ok(Some(TemplateObstacle { name, language, status: stored.status, reason }));
            }
        }
        Ok(None)
    }

    /// Writes what Meta says of a template when it is asked. `read_at` is from before the question. News that came in since
    /// then stay.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn keep_template(
        &self,
        workspace: WorkspaceId,
        waba_id: &str,
        fetched: &FetchedTemplate,
        read_at: UnixMillis,
    ) -> Result<(), StoreError> {
        let key = keys::template(workspace, waba_id, &fetched.name, &fetched.language);
        let parts: [(&'static str, Part); 4] = [
            ("status_at", status_part(&fetched.status, None, None, fetched.rejected_reason.as_deref())),
            ("category_at", vec![("category", fetched.category.as_deref().map(text))]),
            ("quality_at", vec![("quality", fetched.quality.as_deref().map(text))]),
            ("components_at", vec![("components", Some(attribute("template", &fetched.components)?))]),
        ];
        let whole = parts.iter().flat_map(|(_, part)| part.clone()).collect();
        let whole =
            self.write_parts(&key, fetched, parts.each_ref().map(|(at, _)| *at).as_slice(), whole, read_at).await?;
        if !whole {
            // News on some part are newer: the others are written one by one.
            for (at, part) in parts {
                self.write_parts(&key, fetched, &[at], part, read_at).await?;
            }
        }
        Ok(())
    }

    async fn write_parts(
        &self,
        key: &keys::Key,
        fetched: &FetchedTemplate,
        times: &[&'static str],
        part: Part,
        read_at: UnixMillis,
    ) -> Result<bool, StoreError> {
        let mut update = identity(&fetched.name, &fetched.language);
        update.set("meta_id", text(&fetched.meta_id));
        update.set("read_at", number(read_at.0));
        match &fetched.parameter_format {
            Some(format) => update.set("parameter_format", text(format)),
            None => update.remove("parameter_format"),
        }
        set_part(&mut update, part);
        for at in times {
            unless_told(&mut update, at, read_at);
        }
        Ok(matches!(self.update(key.clone(), update).await?, Updated::Done(_)))
    }

    /// Notes that all templates of a WABA were read: those that Meta did not name do not exist any more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn templates_were_read(
        &self,
        workspace: WorkspaceId,
        waba_id: &str,
        found: &[FetchedTemplate],
        read_at: UnixMillis,
    ) -> Result<(), StoreError> {
        let pk = keys::waba_pk(workspace, waba_id);
        let items = self.query(&pk, keys::TEMPLATE_PREFIX, None, None, true).await?;
        for stored in items.into_iter().filter_map(|item| read_or_skip::<StoredTemplate>("template", item)) {
            let is = |one: &&FetchedTemplate| one.name == stored.name && one.language == stored.language;
            if stored.status != TemplateStatus::Deleted && !found.iter().any(|one| is(&one)) {
                let key = keys::template(workspace, waba_id, &stored.name, &stored.language);
                let mut gone = identity(&stored.name, &stored.language);
                set_part(&mut gone, status_part(&TemplateStatus::Deleted, None, None, None));
                unless_told(&mut gone, "status_at", read_at);
                self.update(key, gone).await?;
            }
        }
        let row = write("template list", keys::template_list(workspace, waba_id), &ListRead { v: 1, read_at })?;
        let put = self.client.put_item().table_name(&self.table).set_item(Some(row)).send().await;
        put.map(|_| ()).map_err(|error| unavailable("PutItem", &error))
    }

    /// Takes in news of a template; `false` when newer ones were here before. A repeat changes nothing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn change_template(
        &self,
        workspace: WorkspaceId,
        waba_id: &str,
        (name, language, meta_id): (&str, &str, &str),
        change: &TemplateChange,
        at: UnixMillis,
    ) -> Result<bool, StoreError> {
        let key = keys::template(workspace, waba_id, name, language);
        let (part, time) = match change {
            TemplateChange::Status { status, title, description, rejected_reason } => {
                let part = status_part(status, title.as_deref(), description.as_deref(), rejected_reason.as_deref());
                (part, "status_at")
            }
            TemplateChange::Quality(quality) => (vec![("quality", Some(text(quality)))], "quality_at"),
            TemplateChange::Category { current, next } => {
                let mut part: Part = vec![("next_category", next.as_deref().map(text))];
                if let Some(current) = current {
                    part.push(("category", Some(text(current))));
                }
                (part, "category_at")
            }
            TemplateChange::Components(update) => {
                return self.edit_components(workspace, waba_id, &key, update, at).await;
            }
        };
        let mut update = identity(name, language);
        update.set("meta_id", text(meta_id));
        set_part(&mut update, part);
        unless_newer(&mut update, time, at);
        Ok(matches!(self.update(key, update).await?, Updated::Done(_)))
    }

    /// Edits the stored components; without any they stay absent until they are read from Meta.
    async fn edit_components(
        &self,
        workspace: WorkspaceId,
        waba_id: &str,
        key: &keys::Key,
        change: &crate::meta::webhook::TemplateComponentsUpdate,
        at: UnixMillis,
    ) -> Result<bool, StoreError> {
        let (Some(name), Some(language)) = (&change.template.name, &change.template.language) else {
            return Ok(false);
        };
        for _ in 0..CONTENDERS {
            let Some(stored) = self.template(workspace, waba_id, name, language).await? else { return Ok(false) };
            let Some(before) = &stored.components else { return Ok(false) };
            let mut update = identity(name, language);
            let after = edited_components(before, change);
            set_part(&mut update, vec![("components", Some(attribute("template", &after)?))]);
            unless_newer(&mut update, "components_at", at);
            update.only_if_equal("components", attribute("template", before)?);
            match self.update(key.clone(), update).await? {
                Updated::Done(_) => return Ok(true),
                Updated::Refused(item) => {
                    let now: StoredTemplate = read("template", item)?;
                    if now.components_at.is_some_and(|newer| newer > at) {
                        return Ok(false);
                    }
                }
            }
        }
        Err(StoreError::Unavailable { operation: "UpdateItem", message: "too many writers on a template".to_owned() })
    }

    /// Notes that we have edited a template, for Meta's limit of edits; edits of before `since` are dropped.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn note_template_edit(
        &self,
        workspace: WorkspaceId,
        waba_id: &str,
        stored: &StoredTemplate,
        now: UnixMillis,
        since: UnixMillis,
    ) -> Result<(), StoreError> {
        let mut edits: Vec<UnixMillis> = stored.edits.iter().copied().filter(|edit| *edit >= since).collect();
        edits.push(now);
        let mut update = Update::default();
        update.set("edits", attribute("template", &edits)?);
        update.only_if_present("pk");
        self.update(keys::template(workspace, waba_id, &stored.name, &stored.language), update).await.map(|_| ())
    }

    /// Notes that a template is deleted at Meta.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn template_was_deleted(
        &self,
        workspace: WorkspaceId,
        waba_id: &str,
        stored: &StoredTemplate,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let mut gone = identity(&stored.name, &stored.language);
        set_part(&mut gone, status_part(&TemplateStatus::Deleted, None, None, None));
        unless_newer(&mut gone, "status_at", now);
        self.update(keys::template(workspace, waba_id, &stored.name, &stored.language), gone).await.map(|_| ())
    }
}

/// An update of a row that may not be there yet.
fn identity(name: &str, language: &str) -> Update {
    let mut update = Update::default();
    update.set("v", number(1));
    update.set("name", text(name));
    update.set("language", text(language));
    update
}

fn status_part(
    status: &TemplateStatus,
    title: Option<&str>,
    description: Option<&str>,
    rejected_reason: Option<&str>,
) -> Part {
    vec![
        ("status", Some(text(status.as_str()))),
        ("status_title", title.map(text)),
        ("status_description", description.map(text)),
        ("rejected_reason", rejected_reason.map(text)),
    ]
}

fn set_part(update: &mut Update, part: Part) {
    for (name, value) in part {
        match value {
            Some(value) => update.set(name, value),
            None => update.remove(name),
        }
    }
}

/// Of two pieces of news the newer one stays. Meta's times are whole seconds, so of two in one second the later one to
/// arrive does.
fn unless_newer(update: &mut Update, time: &str, at: UnixMillis) {
    only_after(update, time, "<=", at);
}

/// An answer of Meta's does not replace what Meta has told by itself in the same second: the answer may be from before it.
fn unless_told(update: &mut Update, time: &str, read_at: UnixMillis) {
    only_after(update, time, "<", read_at);
}

fn only_after(update: &mut Update, time: &str, before: &str, at: UnixMillis) {
    update.set(time, number(at.0));
    let (name, at) = (update.name(time), update.value(number(at.0)));
    update.only_if(format!("attribute_not_exists({name}) OR {name} {before} {at}"));
}
