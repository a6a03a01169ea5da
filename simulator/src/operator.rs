//! What Meta's side does to templates, numbers and accounts: reviews that fall due, and changes that a test asks for.
//! Each change is journalled where it must outlive the process and reported to the webhook.

use std::borrow::Cow;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::agenda::{Appointment, Job};
use crate::journal::Entry;
use crate::number::NumberPolicy;
use crate::standing::{NumberChange, Quality};
use crate::template::{Held, TemplateStatus};
use crate::webhook::notice;
use crate::world::World;

/// Language of a template that exists only because any does, if a change does not tell it.
const DEFAULT_LANGUAGE: &str = "en_US";

/// A change of a template's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplateChange {
    /// The new state; the webhook reports it as `event`.
    pub status: TemplateStatus,
    /// Which language of the name; all if absent.
    #[serde(default)]
    pub language: Option<String>,
    /// `other_info.title` of the webhook, as in `FIRST_PAUSE`; if absent, the one that fits the state.
    #[serde(default)]
    pub title: Option<String>,
    /// `reason` of the webhook, as in `SCAM`; `NONE` if absent.
    #[serde(default)]
    pub reason: Option<String>,
}

impl TemplateChange {
    /// A change to a state in all languages.
    #[must_use]
    pub fn to(status: TemplateStatus) -> Self {
        Self { status, language: None, title: None, reason: None }
    }
}

/// A change that cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// There is no such template.
    #[error("no template {0:?}")]
    NoTemplate(String),
    /// There is no such number.
    #[error("no phone number id {0:?}")]
    NoNumber(String),
    /// There is no such account.
    #[error("no account {0:?}")]
    NoAccount(String),
    /// A number must be able to send something.
    #[error("throughput must be at least 1")]
    NoThroughput,
    /// An account update needs to say what has happened.
    #[error("an account update needs an event")]
    NoEvent,
}

impl World {
    /// Accounts that exist.
    pub(crate) fn accounts(&self) -> Vec<String> {
        let mut accounts = vec![self.config.waba_id.clone()];
        if let NumberPolicy::Listed(profiles) = &self.config.numbers {
            let listed = profiles.iter().map(|profile| profile.waba_id.clone());
            accounts.extend(listed);
            // The default account owns a listed number or nothing.
            accounts.remove(0);
            accounts.sort();
            accounts.dedup();
        }
        accounts
    }

    pub(crate) fn journal_template(&self, held: &Held) {
        if let Some(journal) = &self.journal
            && let Err(error) = journal.append(&Entry::Template(Cow::Borrowed(held)))
        {
            tracing::error!(%error, "template not journalled");
        }
    }

    /// Puts the review of a template's current revision on the agenda.
    pub(crate) fn submit_for_review(&self, held: &Held) {
        let delay = Duration::try_from_secs_f64(self.config.template_review.as_secs_f64() / self.config.speed);
        let delay_ms = u64::try_from(delay.unwrap_or_default().as_millis()).unwrap_or(u64::MAX);
        let at_ms = self.clock.now_ms().saturating_add(delay_ms);
        self.outstanding.fetch_add(1, Ordering::SeqCst);
        let job = Job::Review { template: held.id, revision: held.revision };
        let _ = self.agenda.send(vec![Appointment { at_ms, job }]);
    }

    /// Ends a review.
    pub(crate) fn review(&self, template: u64, revision: u64) {
        let reviewed = {
            let mut catalogue = self.templates();
            let reviewed = catalogue.review(template, revision, self.clock.now_ms());
            reviewed.iter().for_each(|held| self.journal_template(held));
            reviewed
        };
        reviewed.iter().for_each(|held| self.announce_template(held, None));
        self.settle(1);
    }

    /// Puts a template into a state and reports it.
    pub(crate) fn set_template_status(
        &self,
        id: u64,
        status: TemplateStatus,
        title: Option<&str>,
        reason: Option<&str>,
    ) {
        let changed = {
            let mut catalogue = self.templates();
            let changed = catalogue.set_status(id, status, reason, self.clock.now_ms());
            changed.iter().for_each(|held| self.journal_template(held));
            changed
        };
        changed.iter().for_each(|held| self.announce_template(held, title));
    }

    fn announce_template(&self, held: &Held, title: Option<&str>) {
        let accounts = held.waba_id.clone().map_or_else(|| self.accounts(), |owner| vec![owner]);
        for account in accounts {
            self.announce(&account, "message_template_status_update", notice::template_status(held, title));
        }
    }

    /// Changes the templates with an id or a name; the ids of those that were changed.
    pub(crate) fn change_templates(
        &self,
        id_or_name: &str,
        change: &TemplateChange,
    ) -> Result<Vec<String>, ControlError> {
        let ids = {
            let mut catalogue = self.templates();
            let mut ids = catalogue.ids(id_or_name, change.language.as_deref());
            if ids.is_empty() {
                let language = change.language.as_deref().unwrap_or(DEFAULT_LANGUAGE);
                ids.extend(catalogue.adopt(id_or_name, language, self.clock.now_ms()));
            }
            ids
        };
        if ids.is_empty() {
            return Err(ControlError::NoTemplate(id_or_name.to_owned()));
        }
        for id in &ids {
            self.set_template_status(*id, change.status, change.title.as_deref(), change.reason.as_deref());
        }
        Ok(ids.iter().map(u64::to_string).collect())
    }

    /// Changes how a number is rated and reports what has changed.
    pub(crate) fn change_number(&self, phone_number_id: &str, change: &NumberChange) -> Result<(), ControlError> {
        let before = self.number(phone_number_id).ok_or_else(|| ControlError::NoNumber(phone_number_id.to_owned()))?;
        if change.throughput == Some(0) {
            return Err(ControlError::NoThroughput);
        }
        let waba_id = &before.waba_id;
        let quality_before = self.standings().quality(phone_number_id);
        let tier_before = self.tier(waba_id);
        self.standings().change(phone_number_id, waba_id, change);
        let tier = self.tier(waba_id);
        let report = |event: &str| {
            let value = notice::number_quality(&before.display_phone_number, event, tier);
            self.announce(waba_id, "phone_number_quality_update", value);
        };
        match change.quality {
            Some(Quality::Green) if quality_before != Quality::Green => report("UNFLAGGED"),
            Some(Quality::Red) if quality_before != Quality::Red => report("FLAGGED"),
            _ => {}
        }
        let per_second_before = before.messages_per_second.unwrap_or(self.config.messages_per_second);
        if change.throughput.is_some_and(|throughput| throughput > per_second_before) {
            report("THROUGHPUT_UPGRADE");
        }
        if tier != tier_before {
            self.announce(waba_id, "business_capability_update", notice::capability(tier));
        }
        Ok(())
    }

    /// Lets all uploaded files expire; how many these are.
    pub(crate) fn expire_media(&self) -> usize {
        let mut shelf = self.shelf();
        if let Some(journal) = &self.journal
            && let Err(error) = journal.append(&Entry::MediaExpired)
        {
            tracing::error!(%error, "expiry of media not journalled");
        }
        shelf.expire_all(self.clock.now_ms())
    }

    /// Reports an account update; its value is passed through.
    pub(crate) fn update_account(&self, waba_id: &str, value: Value) -> Result<(), ControlError> {
        if !self.accounts().iter().any(|account| account == waba_id) {
            return Err(ControlError::NoAccount(waba_id.to_owned()));
        }
        if !value["event"].is_string() {
            return Err(ControlError::NoEvent);
        }
        self.announce(waba_id, "account_update", value);
        Ok(())
    }
}
