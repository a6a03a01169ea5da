//! Whether the templates of a new campaign exist, may be sent, and get what they expect. Found here, it costs a correction;
//! found by Meta, it costs the campaign.

use serde::Serialize;
use shared::account::Account;
use shared::campaign::Variant;
use shared::campaign::message::Template;
use shared::http::problem::{FieldError, Problem};
use shared::template::{Definition, StoredTemplate, Tracking, check_parameters, language_code, trackable_links};
use shared::time::UnixMillis;

use super::meta;
use crate::Api;

/// Something that the operator may want to know and that forbids nothing.
#[derive(Debug, Serialize)]
pub(crate) struct Warning {
    /// JSON pointer into the request.
    pub(crate) pointer: String,
    /// What it is.
    pub(crate) reason: String,
}

/// What is known of a template.
enum Known {
    Stored(Box<StoredTemplate>),
    /// Meta says that there is none.
    Missing,
    /// Meta could not be asked.
    NotAsked(String),
}

/// Checks the variants' templates: all that is wrong at once, else what the operator should know.
pub(crate) async fn check(api: &Api, account: &Account, variants: &[Variant]) -> Result<Vec<Warning>, Problem> {
    let (mut errors, mut warnings) = (Vec::new(), Vec::new());
    let link_base = api.links.base_url(api.core.default_link_domain(account.workspace).await?.as_ref());
    for (index, variant) in variants.iter().enumerate() {
        let Some(template) = variant.message.template() else { continue };
        let base = format!("/variants/{index}/message/template");
        match look_up(api, account, template).await? {
            Known::NotAsked(why) => warnings.push(Warning { pointer: base, reason: why }),
            Known::Missing => {
                let reason = format!("there is no template {} in {}", template.name, language_code(&template.language));
                errors.push(FieldError { pointer: format!("{base}/name"), reason });
            }
            Known::Stored(stored) if !stored.may_be_sent() => {
                let reason = stored.obstacle().unwrap_or_else(|| {
                    format!(
                        "the template {} ({}) is {}, not APPROVED",
                        stored.name,
                        stored.language,
                        stored.status.as_str()
                    )
                });
                errors.push(FieldError { pointer: format!("{base}/name"), reason });
            }
            Known::Stored(stored) => {
                let Some(definition) = stored.definition() else { continue };
                let problems = check_parameters(&definition, template).into_iter();
                errors.extend(problems.map(|problem| FieldError {
                    pointer: format!("{base}{}", problem.pointer),
                    reason: problem.reason,
                }));
                warnings.extend(untracked(&definition, template, &link_base, &base));
            }
        }
    }
    if errors.is_empty() { Ok(warnings) } else { Err(Problem::all_invalid(errors)) }
}

/// Our copy, else Meta's answer. A copy that does not let the campaign through is read again first: a notification may have
/// been missed.
async fn look_up(api: &Api, account: &Account, template: &Template) -> Result<Known, Problem> {
    let read = || api.core.template(account.workspace, &account.waba_id, &template.name, &template.language);
    let stored = read().await?;
    if let Some(stored) = stored.as_ref().filter(|stored| stored.components.is_some() && stored.may_be_sent()) {
        return Ok(Known::Stored(Box::new(stored.clone())));
    }
    let language = language_code(&template.language);
    match meta::read_name(api, account, &template.name, meta::read_at(UnixMillis::now())).await? {
        Ok(found) if !found.iter().any(|found| found.language == language) => Ok(Known::Missing),
        Ok(_) => Ok(read().await?.map_or(Known::Missing, |stored| Known::Stored(Box::new(stored)))),
        // What is stored is better than nothing.
        Err(_) if stored.as_ref().is_some_and(|stored| stored.components.is_some()) => {
            Ok(stored.map_or(Known::Missing, |stored| Known::Stored(Box::new(stored))))
        }
        Err(error) => Ok(Known::NotAsked(format!("the template could not be checked: {error}"))),
    }
}

/// Links that the operator has asked to be tracked and that cannot be.
fn untracked(definition: &Definition, template: &Template, link_base: &str, base: &str) -> Vec<Warning> {
    let links = trackable_links(definition, template, link_base).into_iter();
    links
        .filter_map(|link| match link.tracking {
            Tracking::Tracked => None,
            Tracking::NotTracked(why) => {
                let reason = format!("the link {} ({}) is not tracked: {why}", link.url, link.place);
                Some(Warning { pointer: base.to_owned(), reason })
            }
        })
        .collect()
}
