//! `GET /v1/campaigns/{id}/preflight`: what would become of a campaign if it started now. Reads only: pages of the audience,
//! people's consents and what they got lately, judged by the rules that hold when the messages leave.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::{Extension, Json};
use futures::{StreamExt, TryStreamExt};
use serde::Serialize;
use serde_json::{Value, json};
use shared::account::Account;
use shared::blob::audience::UnreadableList;
use shared::blob::key;
use shared::campaign::audience::Recipient;
use shared::campaign::render::{Fields, Filled};
use shared::campaign::{Campaign, PAGE_SIZE, PageNumber};
use shared::contact::Consent;
use shared::http::auth::Caller;
use shared::http::problem::Problem;
use shared::link::Link;
use shared::link::code::LinkId;
use shared::preflight::eta::{Eta, Outset, eta};
use shared::preflight::findings::{Facts, Finding, TemplateFacts, blockers, warnings};
use shared::preflight::waterfall::{Faults, Verdicts, Waterfall, scaled, waterfall};
use shared::price::{Estimate, Regions, estimate_regions, newest_card};
use shared::safety::{Outgoing, Person, Safety, decide, readable};
use shared::secrets::SecretError;
use shared::skipped;
use shared::template::{StoredTemplate, Tracking, language_code, templates_of, trackable_links};
use shared::throttle::window::Kind;
use shared::throttle::{self, portfolio};
use shared::time::{UnixMillis, rfc3339};

use crate::campaigns::find;
use crate::{Api, link_domains};

/// Recipients that are looked at, at most; of a larger audience pages are taken that lie evenly apart.
const MOST_PEOPLE: u32 = 20_000;

/// The same when the account's rules ask what people got lately, which takes a read for each of them.
const MOST_PEOPLE_WITH_HISTORY: u32 = 3_000;

/// Skipped lines that are looked at, at most.
const MOST_SKIPPED: usize = 20_000;

/// Pages read at once.
const PAGES_AT_ONCE: usize = 8;

/// People whose history is read at once, of one page.
const PEOPLE_AT_ONCE: usize = 4;

/// What would become of a campaign.
#[derive(Serialize)]
pub(crate) struct Preflight {
    campaign_id: shared::id::CampaignId,
    #[serde(with = "rfc3339")]
    as_of: UnixMillis,
    /// Not everybody was looked at: the figures are scaled up.
    sampled: bool,
    /// Recipients that were looked at.
    based_on: u32,
    reachability: Waterfall,
    missing_variables: Vec<Value>,
    quota: Option<Quota>,
    eta: Option<Eta>,
    cost: Cost,
    links: Value,
    blockers: Vec<Finding>,
    warnings: Vec<Finding>,
}

/// What the account may still send, and what the campaign needs of it.
#[derive(Serialize)]
struct Quota {
    needs: u32,
    minute: Window,
    hour: Window,
    day: Window,
    people_24h: People,
}

#[derive(Serialize)]
struct Window {
    limit: Option<u32>,
    used: u32,
    remaining: Option<u32>,
    #[serde(with = "rfc3339")]
    resets_at: UnixMillis,
}

/// The messaging limit, which all numbers of the portfolio share.
#[derive(Serialize)]
struct People {
    limit: Option<u32>,
    used: u32,
    remaining: Option<u32>,
}

#[derive(Serialize)]
struct Cost {
    #[serde(flatten)]
    estimate: Estimate,
    #[serde(with = "rfc3339::option")]
    card_effective_from: Option<UnixMillis>,
    source: Option<&'static str>,
}

/// `GET /v1/campaigns/{id}/preflight`.
pub(crate) async fn show(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Preflight>, Problem> {
    let campaign = find(&api, caller, &id).await?;
    let now = UnixMillis::now();
    let account = api.core.account(campaign.workspace, campaign.account).await?;
    let state = api.core.throttle_state(campaign.workspace, campaign.account).await?;
    let portfolio = match &account {
        Some(account) => api.core.portfolio_state(account.workspace, account.portfolio_name()).await?,
        None => portfolio::State::default(),
    };
    let faults = faults(&api, &campaign).await?;
    let (verdicts, sampled) = verdicts(&api, &campaign, account.as_ref(), now).await?;
    let people = waterfall(&campaign, &faults, &verdicts);
    let reachable = share_of_regions(&campaign.regions, people.reachable);
    let eta = account.as_ref().map(|account| {
        let outset = Outset { campaign: &campaign, account, state: &state, people: &portfolio, reachable: &reachable };
        eta(&outset, now)
    });
    let when = eta.as_ref().and_then(|eta| eta.starts_at).unwrap_or(now);
    let estimate = estimate_regions(&campaign, &reachable, when);
    let card = newest_card(&campaign, &reachable, when);
    let has_token = has_token(&api, account.as_ref()).await?;
    let templates = templates(&api, &campaign, account.as_ref()).await?;
    let template_facts = facts_of(&templates);
    let removed_domain = link_domains::removed_under(&api, &campaign).await?;
    let quota =
        account.as_ref().map(|account| Quota::of(&campaign, account, &state, &portfolio, people.reachable, now));
    let facts = Facts {
        campaign: &campaign,
        account: account.as_ref(),
        has_token,
        templates: &template_facts,
        removed_domain: removed_domain.as_ref(),
        people: &people,
        eta: eta.as_ref(),
        cost: &estimate,
        people_left: quota.as_ref().and_then(|quota| quota.people_24h.remaining),
    };
    let (blockers, warnings) = (blockers(&facts, now), warnings(&facts));
    let lacking = faults.missing().iter();
    Ok(Json(Preflight {
        campaign_id: campaign.id,
        as_of: now,
        sampled,
        based_on: verdicts.people(),
        missing_variables: lacking
            .map(|(name, missing)| json!({"variable": name, "recipients": missing.recipients, "lines": missing.lines}))
            .collect(),
        quota,
        cost: Cost {
            estimate,
            card_effective_from: card.map(|(from, _)| from),
            source: card.map(|(_, source)| source),
        },
        links: links(&campaign, &templates, &link_base(&api, &campaign).await?),
        eta,
        blockers,
        warnings,
        reachability: people,
    }))
}

/// The faults of the lines that planning has left out.
async fn faults(api: &Api, campaign: &Campaign) -> Result<Faults, Problem> {
    let lines = skipped::lines(&api.bucket, campaign, 0, MOST_SKIPPED).await.map_err(|error| match error {
        UnreadableList::Blob(error) => Problem::from(error),
        UnreadableList::Damaged(error) => Problem::internal(&error),
    })?;
    let mut faults = Faults::default();
    lines.iter().for_each(|line| faults.count(line.line, &line.reason));
    Ok(faults)
}

/// What the rules say of the recipients, and whether only some were asked about.
async fn verdicts(
    api: &Api,
    campaign: &Campaign,
    account: Option<&Account>,
    now: UnixMillis,
) -> Result<(Verdicts, bool), Problem> {
    let rules = account.map(|account| account.safety.clone()).unwrap_or_default();
    let most = if rules.looks_back().is_zero() { MOST_PEOPLE } else { MOST_PEOPLE_WITH_HISTORY };
    let pages = evenly_spread(campaign.pages, most / PAGE_SIZE);
    let sampled = u32::try_from(pages.len()).unwrap_or(u32::MAX) < campaign.pages;
    let mut links = HashMap::new();
    for link in &campaign.links {
        if let Some(stored) = api.core.link(link.id).await? {
            links.insert(link.id, stored);
        }
    }
    let judge = Judge { api, campaign, rules: &rules, links: &links, now };
    let mut judged = futures::stream::iter(pages).map(|page| judge.page(page)).buffer_unordered(PAGES_AT_ONCE);
    let mut verdicts = Verdicts::default();
    while let Some(page) = judged.try_next().await? {
        page.into_iter().for_each(|verdict| verdicts.count(verdict));
    }
    drop(judged);
    Ok((verdicts, sampled))
}

/// At most `most` pages of so many, as far apart from each other as can be.
fn evenly_spread(pages: u32, most: u32) -> Vec<PageNumber> {
    let taken = pages.min(most.max(1));
    let at = |n: u32| u64::from(n) * u64::from(pages) / u64::from(taken.max(1));
    (0..taken).filter_map(|n| u32::try_from(at(n)).ok()).map(PageNumber).collect()
}

type Verdict = Result<(), shared::safety::Refusal>;

/// Judges recipients as the sender does.
#[derive(Clone, Copy)]
struct Judge<'a> {
    api: &'a Api,
    campaign: &'a Campaign,
    rules: &'a Safety,
    links: &'a HashMap<LinkId, Link>,
    now: UnixMillis,
}

impl Judge<'_> {
    async fn page(self, page: PageNumber) -> Result<Vec<Verdict>, Problem> {
        let Campaign { workspace, id, .. } = *self.campaign;
        let body = self.api.bucket.get(&key::audience_page(workspace, id, page)).await?;
        let recipients: Vec<Recipient> = serde_json::from_slice(&body).map_err(|error| Problem::internal(&error))?;
        let digits: Vec<&str> = recipients.iter().map(|recipient| recipient.phone.digits()).collect();
        let consents = self.api.core.consents(workspace, &digits).await?;
        let people = recipients.iter().map(|one| self.recipient(one, consents.get(one.phone.digits())));
        let people: Vec<_> = people.collect();
        futures::stream::iter(people).buffered(PEOPLE_AT_ONCE).try_collect().await
    }

    async fn recipient(self, recipient: &Recipient, consent: Option<&Consent>) -> Result<Verdict, Problem> {
        let Campaign { workspace, id, account, .. } = *self.campaign;
        let look_back: Duration = self.rules.looks_back();
        let core = &self.api.core;
        let digits = recipient.phone.digits();
        let recent = core.earlier_messages(workspace, account, id, digits, look_back, self.now).await?;
        let Some(content) = self.content(recipient) else {
            // Planning has filled every message once, so this is none that can be sent; the send will tell.
            return Ok(Ok(()));
        };
        let text = readable(&content);
        let outgoing = Outgoing::new(&content, &text, self.campaign.category);
        Ok(decide(self.rules, &Person::of(consent, &recent), &outgoing, self.now))
    }

    /// The message as it will be sent, but for the ids that Meta gives to files.
    fn content(self, recipient: &Recipient) -> Option<Value> {
        let variant = self.campaign.variants.get(usize::from(recipient.variant.0))?;
        let link = |url: &str| -> Option<Filled> {
            let link = self.campaign.links.iter().find(|link| link.url == url)?;
            self.api.links.of_recipient(self.links.get(&link.id)?, recipient.seq)
        };
        let media = |id: shared::id::MediaId| Some(id.to_string());
        let name = recipient.name.as_deref();
        let fields = Fields { variables: &recipient.variables, name, link: &link, media: &media };
        variant.message.fill(&fields).ok()
    }
}

/// The regions of those who would get a message: everybody's, in the same proportions.
fn share_of_regions(regions: &Regions, people: u32) -> Regions {
    let counts: Vec<u32> = regions.values().copied().collect();
    regions.keys().cloned().zip(scaled(&counts, people)).filter(|(_, people)| *people > 0).collect()
}

async fn has_token(api: &Api, account: Option<&Account>) -> Result<bool, Problem> {
    let Some(account) = account else { return Ok(false) };
    match api.secrets.token(account.workspace, account.id).await {
        Ok(_) => Ok(true),
        Err(SecretError::Missing(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Our copies of the campaign's templates; `None` for one that was never read from Meta.
type Templates = BTreeMap<(String, String), Option<StoredTemplate>>;

async fn templates(api: &Api, campaign: &Campaign, account: Option<&Account>) -> Result<Templates, Problem> {
    let mut templates = Templates::new();
    let Some(account) = account else { return Ok(templates) };
    for (name, language) in templates_of(campaign) {
        let stored = api.core.template(campaign.workspace, &account.waba_id, &name, &language).await?;
        templates.insert((name, language), stored);
    }
    Ok(templates)
}

fn facts_of(templates: &Templates) -> Vec<TemplateFacts> {
    let facts = templates.iter().map(|((name, language), stored)| TemplateFacts {
        name: format!("{name} ({language})"),
        may_be_sent: stored.as_ref().map(StoredTemplate::may_be_sent),
    });
    facts.collect()
}

/// Where the campaign's short links begin.
async fn link_base(api: &Api, campaign: &Campaign) -> Result<String, Problem> {
    let domain = if campaign.links.is_empty() {
        api.core.default_link_domain(campaign.workspace).await?
    } else {
        // The workspace may have another default since the campaign's links were made.
        link_domains::of_campaign(api, campaign).await?
    };
    Ok(api.links.base_url(domain.as_ref()))
}

/// Which addresses become each recipient's own, and which do not.
fn links(campaign: &Campaign, templates: &Templates, link_base: &str) -> Value {
    let tracked: Vec<&str> = campaign.links.iter().map(|link| link.url.as_str()).collect();
    let mut untracked: Vec<Value> = Vec::new();
    let mut add = |url: &str, reason: &str| {
        let shown = json!({"url": url, "reason": reason});
        if !untracked.contains(&shown) {
            untracked.push(shown);
        }
    };
    for variant in &campaign.variants {
        for url in variant.message.links().unwrap_or_default() {
            if !tracked.contains(&url.as_str()) {
                add(&url, "track_links is off");
            }
        }
        let Some(template) = variant.message.template() else { continue };
        let key = (template.name.clone(), language_code(&template.language));
        let definition = templates.get(&key).and_then(Option::as_ref).and_then(StoredTemplate::definition);
        for link in definition.iter().flat_map(|definition| trackable_links(definition, template, link_base)) {
            if let Tracking::NotTracked(why) = link.tracking {
                add(&link.url, &why);
            }
        }
    }
    json!({"tracked": tracked, "untracked": untracked})
}

impl Quota {
    fn of(
        campaign: &Campaign,
        account: &Account,
        state: &throttle::State,
        people: &portfolio::State,
        needs: u32,
        now: UnixMillis,
    ) -> Self {
        let limits = account.window_limits(now);
        let window = |kind: Kind| {
            let (limit, used) = (limits.of(kind), state.windows.used(&limits, kind, now));
            let remaining = limit.map(|limit| limit.saturating_sub(used));
            Window { limit, used, remaining, resets_at: limits.window(kind, now).1 }
        };
        let limit = account.people_per_day();
        // What the campaign has reserved is its own.
        let own = people.reserved.get(&campaign.id).copied().unwrap_or(0);
        let remaining = limit.map(|limit| people.free(limit, now).saturating_add(own));
        Self {
            needs,
            minute: window(Kind::Minute),
            hour: window(Kind::Hour),
            day: window(Kind::Day),
            people_24h: People { limit, used: people.used(now), remaining },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_spread_over_all_pages() {
        let numbers = |pages, most| evenly_spread(pages, most).iter().map(|page| page.0).collect::<Vec<_>>();
        assert_eq!(numbers(3, 200), [0, 1, 2]);
        assert_eq!(numbers(10, 4), [0, 2, 5, 7]);
        assert_eq!(numbers(0, 4), [0; 0]);
        let large = numbers(10_000, 200);
        assert_eq!((large.len(), large[0], large[199]), (200, 0, 9_950));
    }

    #[test]
    fn regions_keep_their_proportions() {
        let regions = Regions::from([("MY".to_owned(), 900), ("SG".to_owned(), 100)]);
        assert_eq!(share_of_regions(&regions, 100), [("MY".to_owned(), 90), ("SG".to_owned(), 10)].into());
        assert_eq!(share_of_regions(&regions, 0), Regions::new());
    }
}
