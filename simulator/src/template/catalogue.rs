//! The templates of all accounts and the rules by which they come, change and go. Pure book-keeping: time comes in as an
//! argument; reviews are put on the agenda, journalled and reported by the caller.

use std::collections::{HashMap, VecDeque};

use serde_json::Value;

use crate::config::Config;
use crate::graph::error::GraphError;
use crate::identity;
use crate::template::content;
use crate::template::held::Held;
use crate::template::model::{ParameterFormat, Template, TemplateCategory, TemplatePolicy, TemplateStatus};
use crate::template::send::TemplateRefusal;

const HOUR_MS: u64 = 3_600_000;
const DAY_MS: u64 = 24 * HOUR_MS;
/// New templates per hour and account.
const CREATIONS_PER_HOUR: usize = 100;
/// Templates that an unverified portfolio's account may have; each language counts.
const MOST_TEMPLATES: usize = 250;
/// An approved template may be edited once in 24 hours and ten times in 30 days.
const EDITS_PER_DAY: usize = 1;
const EDITS_PER_MONTH: usize = 10;
/// How long the name and language of a deleted template stay taken if it had been approved.
const NAME_LOCK_MS: u64 = 30 * DAY_MS;
/// A template whose text contains this is rejected by the review.
pub(crate) const REJECTION_MARKER: &str = "[reject]";

const LIMIT_EXCEEDED: i64 = 2_388_019;
const EDIT_LIMIT: i64 = 2_388_039;
const NAME_LOCKED: i64 = 2_388_023;
const ALREADY_EXISTS: i64 = 2_388_024;

/// A template that somebody wants to have.
#[derive(Debug, Clone)]
pub(crate) struct NewTemplate {
    pub(crate) name: String,
    pub(crate) language: String,
    pub(crate) category: TemplateCategory,
    pub(crate) parameter_format: ParameterFormat,
    pub(crate) components: Vec<Value>,
    pub(crate) message_send_ttl_seconds: Option<i64>,
}

/// Which templates a list is about; `None` is any.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    /// Part of the name. Whether Meta matches whole names or parts is not documented; a client that is ready for parts is
    /// ready for both.
    pub(crate) name: Option<String>,
    pub(crate) language: Option<String>,
    pub(crate) status: Option<String>,
    pub(crate) category: Option<String>,
}

/// All templates, deleted ones included.
#[derive(Debug, Default)]
pub(crate) struct Catalogue {
    held: Vec<Held>,
    created_ms: HashMap<String, VecDeque<u64>>,
    /// A name that is not held exists in any shape.
    anything_else_exists: bool,
    seed: u64,
}

impl Catalogue {
    /// The catalogue of a configuration.
    pub(crate) fn new(config: &Config, now_ms: u64) -> Self {
        let anything_else_exists =
            config.templates.is_empty() && config.template_policy == TemplatePolicy::AnyUnlessListed;
        let mut catalogue = Self { anything_else_exists, seed: config.seed, ..Self::default() };
        for template in &config.templates {
            catalogue.add(None, template.clone(), now_ms);
        }
        catalogue
    }

    fn add(&mut self, waba_id: Option<String>, template: Template, now_ms: u64) -> usize {
        let owner = waba_id.as_deref().unwrap_or_default();
        // The time is in the id of what clients create: a name that comes back after its deletion is another template.
        let moment = waba_id.as_ref().map_or_else(String::new, |_| now_ms.to_string());
        let digest = identity::digest(self.seed, &["template", owner, &template.name, &template.language, &moment]);
        let number = digest.iter().take(7).fold(0_u64, |sum, byte| sum * 256 + u64::from(*byte));
        // Fifteen digits, as Meta's are, and exact in JavaScript.
        let id = 100_000_000_000_000 + number % 900_000_000_000_000;
        let was_approved = template.status == TemplateStatus::Approved;
        self.held.push(Held {
            id,
            waba_id,
            template,
            rejected_reason: None,
            message_send_ttl_seconds: None,
            edits_ms: Vec::new(),
            updated_ms: now_ms,
            revision: 0,
            under_review: false,
            was_approved,
        });
        self.held.len() - 1
    }

    /// Puts a template of an earlier run back, in place of what is known of it.
    pub(crate) fn restore(&mut self, held: Held) {
        match self.held.iter_mut().find(|known| known.id == held.id) {
            Some(known) => *known = held,
            None => self.held.push(held),
        }
    }

    /// Templates that wait for their review.
    pub(crate) fn unreviewed(&self) -> Vec<Held> {
        self.held.iter().filter(|held| held.under_review && !held.is_deleted()).cloned().collect()
    }

    /// A template by its node id.
    pub(crate) fn get(&self, id: &str) -> Option<&Held> {
        let id: u64 = id.parse().ok()?;
        self.held.iter().find(|held| held.id == id && !held.is_deleted())
    }

    fn get_mut(&mut self, id: u64) -> Option<&mut Held> {
        self.held.iter_mut().find(|held| held.id == id && !held.is_deleted())
    }

    /// Ids of the templates with this id or this name, in one language or in all.
    pub(crate) fn ids(&self, id_or_name: &str, language: Option<&str>) -> Vec<u64> {
        let meant = |held: &&Held| held.template.name == id_or_name || held.id.to_string() == id_or_name;
        let spoken = |held: &&Held| language.is_none_or(|language| held.template.language == language);
        self.held.iter().filter(|held| !held.is_deleted()).filter(meant).filter(spoken).map(|held| held.id).collect()
    }

    /// The template of a send. `Ok(None)` means that anything goes.
    pub(crate) fn find(&self, waba_id: &str, name: &str, language: &str) -> Result<Option<&Template>, TemplateRefusal> {
        let owned = || self.held.iter().filter(|held| held.belongs_to(waba_id) && held.template.name == name);
        let sendable =
            |status| matches!(status, TemplateStatus::Approved | TemplateStatus::Paused | TemplateStatus::Disabled);
        match owned().find(|held| held.template.language == language && sendable(held.template.status)) {
            Some(held) => Ok(Some(&held.template)),
            None if self.anything_else_exists && owned().next().is_none() => Ok(None),
            None => {
                let details = format!("template name ({name}) does not exist in {language}");
                Err(TemplateRefusal::new(132_001, details))
            }
        }
    }

    /// The templates of an account that pass a filter, newest first, with their places, from before place `before` on.
    pub(crate) fn list<'a>(
        &'a self,
        waba_id: &'a str,
        filter: &'a Filter,
        before: usize,
    ) -> impl Iterator<Item = (usize, &'a Held)> {
        let same = |wanted: &Option<String>, is: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted.split(',').any(|wanted| wanted.eq_ignore_ascii_case(is)))
        };
        let passes = move |held: &Held| {
            let template = &held.template;
            filter.name.as_deref().is_none_or(|part| template.name.contains(part))
                && same(&filter.language, &template.language)
                && same(&filter.status, template.status.as_str())
                && same(&filter.category, template.category.as_price())
        };
        let newest_first = self.held.iter().enumerate().take(before).rev();
        newest_first.filter(move |(_, held)| !held.is_deleted() && held.belongs_to(waba_id) && passes(held))
    }

    /// Takes in a new template, which then waits for its review.
    pub(crate) fn create(&mut self, waba_id: &str, new: NewTemplate, now_ms: u64) -> Result<Held, GraphError> {
        content::check(new.category, new.parameter_format, &new.components)?;
        let of_account = self.held.iter().filter(|held| held.belongs_to(waba_id));
        let namesakes =
            of_account.filter(|held| held.template.name == new.name && held.template.language == new.language);
        for namesake in namesakes {
            let language = &new.language;
            if !namesake.is_deleted() {
                let message = format!("There is already {language} content for this template.");
                let title = "Content in this language already exists";
                return Err(GraphError::management(ALREADY_EXISTS, title, message));
            }
            if namesake.was_approved && now_ms < namesake.updated_ms + NAME_LOCK_MS {
                let message = format!(
                    "New {language} content can't be added while the existing {language} content is being deleted."
                );
                let title = "Message template language is being deleted";
                return Err(GraphError::management(NAME_LOCKED, title, message));
            }
        }
        let recent = self.created_ms.entry(waba_id.to_owned()).or_default();
        while recent.front().is_some_and(|created| created + HOUR_MS <= now_ms) {
            recent.pop_front();
        }
        let present = self.held.iter().filter(|held| !held.is_deleted() && held.belongs_to(waba_id)).count();
        if recent.len() >= CREATIONS_PER_HOUR || present >= MOST_TEMPLATES {
            let message = format!(
                "An account may create {CREATIONS_PER_HOUR} templates per hour and have {MOST_TEMPLATES} of them."
            );
            return Err(GraphError::management(LIMIT_EXCEEDED, "Message template limit exceeded", message));
        }
        recent.push_back(now_ms);
        let mut template = Template::new(&new.name, &new.language, new.category, new.components);
        template.parameter_format = new.parameter_format;
        template.status = TemplateStatus::Pending;
        let place = self.add(Some(waba_id.to_owned()), template, now_ms);
        let held = &mut self.held[place];
        held.message_send_ttl_seconds = new.message_send_ttl_seconds;
        held.under_review = true;
        Ok(held.clone())
    }

    /// Replaces parts of a template. What was rejected is pending again; what was approved or paused stays so until the
    /// review, with its new content in force.
    pub(crate) fn edit(
        &mut self,
        id: u64,
        category: Option<TemplateCategory>,
        components: Option<Vec<Value>>,
        message_send_ttl_seconds: Option<i64>,
        now_ms: u64,
    ) -> Result<Held, GraphError> {
        let held = self.get_mut(id).ok_or_else(|| GraphError::missing_object("post", &id.to_string()))?;
        let template = &held.template;
        match template.status {
            TemplateStatus::Approved => {
                if category.is_some_and(|category| category != template.category) {
                    return Err(GraphError::invalid("The category of an approved template cannot be changed."));
                }
                let within = |ms: u64| held.edits_ms.iter().filter(|edit| **edit + ms > now_ms).count();
                if within(DAY_MS) >= EDITS_PER_DAY || within(30 * DAY_MS) >= EDITS_PER_MONTH {
                    let message = "An approved template can be edited once in 24 hours and ten times in 30 days.";
                    return Err(GraphError::management(EDIT_LIMIT, "Message template cannot be edited", message));
                }
                held.edits_ms.push(now_ms);
            }
            TemplateStatus::Rejected | TemplateStatus::Paused => {}
            other => {
                let reason = format!("A template that is {} cannot be edited.", other.as_str());
                return Err(GraphError::invalid(reason));
            }
        }
        let category = category.unwrap_or(held.template.category);
        if let Some(components) = components {
            content::check(category, held.template.parameter_format, &components)?;
            held.template.components = components;
        }
        held.template.category = category;
        held.message_send_ttl_seconds = message_send_ttl_seconds.or(held.message_send_ttl_seconds);
        if held.template.status == TemplateStatus::Rejected {
            held.template.status = TemplateStatus::Pending;
        }
        held.under_review = true;
        held.revision += 1;
        held.updated_ms = now_ms;
        Ok(held.clone())
    }

    /// Ends the review of a revision; `None` if there is nothing to review any more.
    pub(crate) fn review(&mut self, id: u64, revision: u64, now_ms: u64) -> Option<Held> {
        let held = self.get_mut(id).filter(|held| held.under_review && held.revision == revision)?;
        let rejected = held.template.components.iter().any(|part| part.to_string().contains(REJECTION_MARKER));
        held.under_review = false;
        held.rejected_reason = rejected.then(|| "INVALID_FORMAT".to_owned());
        let status = if rejected { TemplateStatus::Rejected } else { TemplateStatus::Approved };
        Some(held.enter_status(status, now_ms))
    }

    /// Puts a template into a state, whatever its state was.
    pub(crate) fn set_status(
        &mut self,
        id: u64,
        status: TemplateStatus,
        reason: Option<&str>,
        now_ms: u64,
    ) -> Option<Held> {
        let held = self.get_mut(id)?;
        held.rejected_reason = reason.map(str::to_owned);
        held.under_review = false;
        Some(held.enter_status(status, now_ms))
    }

    /// Holds a name that so far existed only because anything does; `None` if nothing does that is not held.
    pub(crate) fn adopt(&mut self, name: &str, language: &str, now_ms: u64) -> Option<u64> {
        let is_name = !name.is_empty() && !name.bytes().all(|byte| byte.is_ascii_digit());
        if !self.anything_else_exists || !is_name || !self.ids(name, None).is_empty() {
            return None;
        }
        let template = Template::new(name, language, TemplateCategory::Marketing, Vec::new());
        let place = self.add(None, template, now_ms);
        Some(self.held[place].id)
    }
}

impl Held {
    fn enter_status(&mut self, status: TemplateStatus, now_ms: u64) -> Self {
        self.template.status = status;
        self.was_approved |= status == TemplateStatus::Approved;
        self.updated_ms = now_ms;
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const T0: u64 = 1_790_000_000_000;

    fn new(name: &str) -> NewTemplate {
        NewTemplate {
            name: name.to_owned(),
            language: "en_US".to_owned(),
            category: TemplateCategory::Marketing,
            parameter_format: ParameterFormat::Positional,
            components: vec![json!({"type": "BODY", "text": "Hello there"})],
            message_send_ttl_seconds: None,
        }
    }

    fn approved(catalogue: &mut Catalogue, name: &str) -> u64 {
        let held = catalogue.create("1", new(name), T0).expect("created");
        catalogue.review(held.id, 0, T0).expect("reviewed").id
    }

    #[test]
    fn a_template_can_be_sent_only_after_its_review() {
        let mut catalogue = Catalogue::default();
        let held = catalogue.create("1", new("offer"), T0).expect("created");
        assert_eq!(catalogue.find("1", "offer", "en_US").map_err(|refusal| refusal.code), Err(132_001));
        let reviewed = catalogue.review(held.id, 0, T0 + 1).expect("reviewed");
        assert_eq!(reviewed.template.status, TemplateStatus::Approved);
        assert!(matches!(catalogue.find("1", "offer", "en_US"), Ok(Some(_))));
        assert!(catalogue.find("2", "offer", "en_US").is_err(), "another account does not have it");
        assert_eq!(catalogue.review(held.id, 0, T0 + 2), None, "it is reviewed once");
    }

    #[test]
    fn the_marker_fails_the_review_and_an_edit_submits_it_again() {
        let mut catalogue = Catalogue::default();
        let mut bad = new("offer");
        bad.components = vec![json!({"type": "BODY", "text": "Hello [reject] there"})];
        let held = catalogue.create("1", bad, T0).expect("created");
        assert_eq!(catalogue.review(held.id, 0, T0).map(|held| held.template.status), Some(TemplateStatus::Rejected));
        let edited = catalogue.edit(held.id, None, Some(new("offer").components), None, T0).expect("edited");
        assert_eq!((edited.template.status, edited.revision), (TemplateStatus::Pending, 1));
        assert_eq!(catalogue.review(held.id, 1, T0).map(|held| held.template.status), Some(TemplateStatus::Approved));
    }

    #[test]
    fn a_name_and_language_is_taken_once_and_locked_after_deletion() {
        let mut catalogue = Catalogue::default();
        let id = approved(&mut catalogue, "offer");
        let again = |catalogue: &mut Catalogue, at| catalogue.create("1", new("offer"), at).map_err(|e| e.subcode);
        assert_eq!(again(&mut catalogue, T0), Err(Some(ALREADY_EXISTS)));
        catalogue.set_status(id, TemplateStatus::Deleted, None, T0);
        assert_eq!(again(&mut catalogue, T0 + 29 * DAY_MS), Err(Some(NAME_LOCKED)));
        assert!(again(&mut catalogue, T0 + 30 * DAY_MS).is_ok());
    }

    #[test]
    fn the_101st_creation_within_an_hour_is_refused() {
        let mut catalogue = Catalogue::default();
        for n in 0..100 {
            catalogue.create("1", new(&format!("t{n}")), T0).expect("created");
        }
        let one_more = |catalogue: &mut Catalogue, at| catalogue.create("1", new("u"), at).map_err(|e| e.subcode);
        assert_eq!(one_more(&mut catalogue, T0 + HOUR_MS - 1).err(), Some(Some(LIMIT_EXCEEDED)));
        assert!(one_more(&mut catalogue, T0 + HOUR_MS).is_ok());
    }

    #[test]
    fn an_approved_template_is_edited_once_a_day_and_ten_times_a_month() {
        let mut catalogue = Catalogue::default();
        let id = approved(&mut catalogue, "offer");
        let mut edit = |at| catalogue.edit(id, None, Some(new("x").components), None, at).map_err(|e| e.subcode);
        assert!(edit(T0).is_ok());
        assert_eq!(edit(T0 + DAY_MS - 1).err(), Some(Some(EDIT_LIMIT)));
        for day in 1..10 {
            assert!(edit(T0 + day * DAY_MS).is_ok());
        }
        assert_eq!(edit(T0 + 10 * DAY_MS).err(), Some(Some(EDIT_LIMIT)));
        assert!(edit(T0 + 30 * DAY_MS).is_ok());
    }

    #[test]
    fn pending_and_disabled_templates_are_not_edited() {
        let mut catalogue = Catalogue::default();
        let held = catalogue.create("1", new("offer"), T0).expect("created");
        assert!(catalogue.edit(held.id, None, None, None, T0).is_err());
        catalogue.set_status(held.id, TemplateStatus::Disabled, None, T0);
        assert!(catalogue.edit(held.id, None, None, None, T0).is_err());
    }

    #[test]
    fn what_is_not_held_exists_only_where_anything_does() {
        let mut lenient = Catalogue { anything_else_exists: true, ..Catalogue::default() };
        assert_eq!(lenient.find("1", "whatever", "xx"), Ok(None));
        lenient.create("1", new("offer"), T0).expect("created");
        assert!(lenient.find("1", "offer", "en_US").is_err());
        assert!(Catalogue::default().find("1", "whatever", "xx").is_err());
    }
}
