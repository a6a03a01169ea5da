//! Whether the templates of a new campaign exist, may be sent, and get what they expect. Found here, it costs a correction;
//! found by Meta, it costs the campaign.

use serde::Serialize;
use shared::account::Account;
use shared::campaign::Variant;
use shared::campaign::message::Template;
use shared::http::problem::{FieldError, Problem};
use shared::link::domain::DomainName;
use shared::template::{
    ButtonLink, Definition, StoredTemplate, Tracking, button_links, check_parameters, language_code, trackable_links,
};
use shared::time::UnixMillis;
use url::Url;

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

/// What the templates of a campaign ask for.
pub(crate) struct Fit {
    /// What the operator should know.
    pub(crate) warnings: Vec<Warning>,
    /// The domain of the campaign's links; `None` is the deployment's own.
    pub(crate) domain: Option<DomainName>,
}

/// Checks the variants' templates: all that is wrong at once, else what they ask for. `tracked` are the destinations that
/// become short links.
pub(crate) async fn check(
    api: &Api,
    account: &Account,
    variants: &[Variant],
    tracked: &[String],
) -> Result<Fit, Problem> {
    let (mut errors, mut warnings) = (Vec::new(), Vec::new());
    let (mut known, mut buttons) = (Vec::new(), Vec::new());
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
                if !tracked.is_empty() {
                    let links = button_links(&definition, template).into_iter();
                    buttons.extend(links.map(|link| ButtonLink { pointer: format!("{base}{}", link.pointer), ..link }));
                }
                known.push((definition, template, base));
            }
        }
    }
    let mut domain = api.core.default_link_domain(account.workspace).await?;
    if !buttons.is_empty() {
        let own = api.core.link_domains(account.workspace).await?.into_iter().map(|own| own.domain).collect();
        let sites = Sites { default: domain.take(), shared: api.link_host.clone(), own };
        match sites.of_buttons(&buttons) {
            Ok(asked) => domain = asked,
            Err(wrong) => errors.extend(wrong),
        }
    }
    if !errors.is_empty() {
        return Err(Problem::all_invalid(errors));
    }
    let link_base = api.links.base_url(domain.as_ref());
    for (definition, template, base) in known {
        warnings.extend(untracked(&definition, template, &link_base, &base));
    }
    Ok(Fit { warnings, domain })
}

/// Where a workspace's links may be.
struct Sites {
    /// Where they are when no template asks for another place; `None` is the deployment's own domain.
    default: Option<DomainName>,
    /// The host of the deployment's own domain.
    shared: Option<String>,
    /// The workspace's domains.
    own: Vec<DomainName>,
}

impl Sites {
    /// The one domain on which all these buttons are: a campaign has one link for each destination, and its codes mean
    /// something on one domain only. Without a button it is the default.
    fn of_buttons(&self, buttons: &[ButtonLink]) -> Result<Option<DomainName>, Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut asked: Option<(String, Option<DomainName>)> = None;
        for button in buttons {
            let error = |reason| FieldError { pointer: button.pointer.clone(), reason };
            let url = Url::parse(&button.before).ok();
            let host = url.as_ref().and_then(Url::host_str).unwrap_or_default().to_owned();
            let own = self.own.iter().find(|own| own.as_str() == host);
            if own.is_none() && self.shared.as_deref() != Some(host.as_str()) {
                errors.push(error(self.elsewhere(&host)));
                continue;
            }
            match &asked {
                None => asked = Some((host, own.cloned())),
                Some((first, _)) if *first != host => errors.push(error(format!(
                    "the button's approved address is on {host}, another's of this campaign is on {first}, and a campaign's \
                     links are on one domain: make a campaign of each, or give this suffix as a text"
                ))),
                Some(_) => {}
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(asked.map_or_else(|| self.default.clone(), |(_, domain)| domain))
    }

    fn elsewhere(&self, host: &str) -> String {
        let here = self.default.as_ref().map(DomainName::as_str).or(self.shared.as_deref()).unwrap_or_default();
        format!(
            "the button's approved address is on {host}, where no short link is answered, and this campaign's links would be \
             on {here}: add {host} under /v1/link-domains if it leads here, use a template whose button is on {here}, or give \
             the suffix as a text"
        )
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn sites() -> Sites {
        let name = |text: &str| DomainName::parse(text).unwrap();
        Sites {
            default: Some(name("go.brand.example")),
            shared: Some("links.example".to_owned()),
            own: vec![name("go.brand.example"), name("go.other.example")],
        }
    }

    fn of(before: &[&str]) -> Result<Option<String>, Vec<(String, String)>> {
        let buttons = before.iter().enumerate();
        let buttons: Vec<ButtonLink> =
            buttons.map(|(n, before)| ButtonLink { pointer: format!("/{n}"), before: (*before).to_owned() }).collect();
        let found = sites().of_buttons(&buttons);
        found
            .map(|domain| domain.map(String::from))
            .map_err(|errors| errors.into_iter().map(|error| (error.pointer, error.reason)).collect())
    }

    #[test]
    fn links_are_made_for_the_domain_that_the_button_was_approved_with() {
        assert_eq!(of(&[]), Ok(Some("go.brand.example".to_owned())));
        assert_eq!(of(&["https://links.example/"]), Ok(None));
        assert_eq!(
            of(&["https://GO.other.example/", "https://go.other.example/x/"]),
            Ok(Some("go.other.example".into()))
        );
    }

    #[test]
    fn a_button_on_a_strange_host_or_on_two_is_refused_with_its_place() {
        let strange = of(&["https://links.example/", "https://shop.example/"]).unwrap_err();
        assert_eq!(strange.len(), 1);
        assert!(strange[0].0 == "/1" && strange[0].1.contains("shop.example"), "{strange:?}");
        assert!(strange[0].1.contains("/v1/link-domains"), "{strange:?}");
        let two = of(&["https://links.example/", "https://go.brand.example/"]).unwrap_err();
        assert!(two[0].0 == "/1" && two[0].1.contains("links.example"), "{two:?}");
        assert!(two[0].1.contains("go.brand.example"), "{two:?}");
    }
}
