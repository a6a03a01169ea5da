//! Making a campaign of its definition and an audience: the audience is laid in the bucket, the links are made, and the
//! campaign's row is written last; a run that is cut off before that leaves nothing that counts. A large audience is left
//! to a job, and the row says how far it is.

use std::time::Duration;

use serde_json::{Value, json};
use shared::account::Account;
use shared::blob::audience::{Laid, Lines, NoLines, NotLaid, lay};
use shared::campaign::audience::{AudienceSource, Skipped};
use shared::campaign::planner::{Planner, Rules};
use shared::campaign::{Campaign, CampaignLink, PAGE_SIZE, Planning, Variant, shards_for};
use shared::http::problem::{FieldError, Problem};
use shared::id::MediaId;
use shared::link::code::RecipientSeq;
use shared::link::domain::DomainName;
use shared::link::targets::Targets;
use shared::link::{Link, candidate};
use shared::price::estimate_regions;
use shared::queue::DispatchCommand;
use shared::store::keys::time_of;
use shared::time::UnixMillis;

use crate::Api;
use crate::links::create::Judge;
use crate::media;
use crate::templates::fitting::{self, Fit};
use crate::view::CampaignView;

/// A campaign without an audience, and the destinations it tracks.
pub(crate) struct Draft {
    pub(crate) campaign: Campaign,
    pub(crate) urls: Vec<String>,
}

/// Where a draft's audience comes from.
pub(crate) enum Audience {
    /// Few enough lines to be planned within the request.
    Now(Lines),
    /// To be planned by a job.
    Later {
        source: AudienceSource,
        /// Whether messages may leave before the last line was read.
        start_early: bool,
    },
}

/// Whose a campaign is, and where its links are.
struct Place<'a> {
    account: &'a Account,
    /// `None` is the deployment's own domain.
    domain: Option<DomainName>,
}

/// Creates the campaign; the answer of the API.
pub(crate) async fn create(api: &Api, draft: Draft, audience: Audience) -> Result<Value, Problem> {
    let Campaign { workspace, account, .. } = draft.campaign;
    let account = api
        .core
        .account(workspace, account)
        .await?
        .ok_or_else(|| Problem::invalid("/account_id", "there is no such account"))?;
    let media = media::of_variants(api, workspace, &draft.campaign.variants).await?;
    media_are_allowed(&account, &draft.campaign.variants)?;
    links_are_allowed(api, &draft).await?;
    let Fit { warnings, domain } = fitting::check(api, &account, &draft.campaign.variants, &draft.urls).await?;
    let place = Place { account: &account, domain };
    let mut shown = match audience {
        Audience::Now(lines) => plan_now(api, draft, &place, &media, lines).await?,
        Audience::Later { source, start_early } => {
            let planning = Planning { source, lines: 0, start_early, failed: None };
            plan_later(api, draft, &place, &media, planning).await?
        }
    };
    shown["warnings"] = json!(warnings);
    Ok(shown)
}

/// A message whose file the account's safety rules forbid would be skipped for everybody.
fn media_are_allowed(account: &Account, variants: &[Variant]) -> Result<(), Problem> {
    let allowed = &account.safety.allowed_media_types;
    for (index, variant) in variants.iter().enumerate() {
        if let Some((_, kind)) = variant.message.media_of_kinds().into_iter().find(|(_, kind)| !allowed.contains(kind))
        {
            let reason = format!("the account's safety.allowed_media_types does not allow a file of type {kind}");
            return Err(Problem::invalid(format!("/variants/{index}/message"), reason));
        }
    }
    Ok(())
}

/// A link may lead to the public internet only.
async fn links_are_allowed(api: &Api, draft: &Draft) -> Result<(), Problem> {
    if draft.urls.is_empty() {
        return Ok(());
    }
    let judge = Judge::new(api, draft.campaign.workspace).await?;
    let mut errors = Vec::new();
    for (index, variant) in draft.campaign.variants.iter().enumerate() {
        for url in variant.message.links().unwrap_or_default() {
            if let Err(reason) = judge.destination(&url) {
                let pointer = format!("/variants/{index}/message");
                errors.push(FieldError { pointer, reason: format!("the link {url}: {reason}") });
            }
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Problem::all_invalid(errors)) }
}

async fn plan_now(
    api: &Api,
    draft: Draft,
    place: &Place<'_>,
    media: &[MediaId],
    lines: Lines,
) -> Result<Value, Problem> {
    let Draft { mut campaign, urls } = draft;
    let rules =
        Rules { campaign: campaign.id, variants: campaign.variants.clone(), holdout_percent: campaign.holdout_percent };
    let ids = (campaign.workspace, campaign.id);
    let laid = lay(&api.bucket, ids, Planner::new(rules), lines, &mut ()).await.map_err(problem)?;
    let Laid { progress, first_skipped, regions } = laid;
    if progress.planned == 0 {
        return Err(nobody(progress.skipped, progress.held_out, first_skipped.first()));
    }
    campaign.recipients = progress.planned + progress.skipped + progress.held_out;
    campaign.skipped = progress.skipped;
    campaign.holdout = progress.held_out;
    campaign.pages = progress.pages;
    campaign.regions = regions;
    campaign.shards = shards_for(progress.planned);
    campaign.links = make_links(api, place, &campaign, &urls, campaign.pages * PAGE_SIZE).await?;
    let stored = write(api, campaign, media).await?;
    answer(&stored, &first_skipped, place.account.effective_rate().0)
}

async fn plan_later(
    api: &Api,
    draft: Draft,
    place: &Place<'_>,
    media: &[MediaId],
    planning: Planning,
) -> Result<Value, Problem> {
    let Draft { mut campaign, urls } = draft;
    // How many there are is known at the end; both must stay as they are from the first message on.
    campaign.shards = shards_for(u32::MAX);
    campaign.links = make_links(api, place, &campaign, &urls, RecipientSeq::MAX.get()).await?;
    campaign.planning = Some(planning);
    let command = DispatchCommand::Plan { workspace: campaign.workspace, campaign: campaign.id };
    api.core.open_job(&command, UnixMillis::now()).await?;
    let stored = write(api, campaign, media).await?;
    if let Err(error) = api.dispatch.send(&command, Duration::ZERO).await {
        tracing::warn!(campaign = %stored.id, %error, "dispatch could not be woken; its schedule will do it");
    }
    answer(&stored, &[], place.account.effective_rate().0)
}

/// Writes the campaign, after its files know that they are carried by it; what is stored, if an earlier run of this very
/// request has written it: it may have been started since.
async fn write(api: &Api, campaign: Campaign, media: &[MediaId]) -> Result<Campaign, Problem> {
    media::note_use(api, campaign.workspace, campaign.id, media).await?;
    let created = api.core.create_campaign(&campaign).await?;
    let stored = if created { None } else { api.core.campaign(campaign.workspace, campaign.id).await? };
    Ok(stored.unwrap_or(campaign))
}

fn answer(campaign: &Campaign, skipped: &[Skipped], account_rate: u32) -> Result<Value, Problem> {
    let mut shown = serde_json::to_value(CampaignView::from(campaign)).map_err(|error| Problem::internal(&error))?;
    shown["skipped_count"] = json!(campaign.skipped);
    shown["skipped"] = json!(skipped);
    let starts_at = campaign.schedule.start_at.unwrap_or(campaign.created_at);
    shown["estimate"] = match campaign.planning {
        Some(_) => Value::Null,
        None => json!({
            "duration_s": campaign.planned().div_ceil(campaign.rate(account_rate)),
            "messages": campaign.planned(),
            "cost": estimate_regions(campaign, &campaign.regions, starts_at),
        }),
    };
    Ok(shown)
}

fn nobody(skipped: u32, held_out: u32, first: Option<&Skipped>) -> Problem {
    match first {
        Some(Skipped { line, reason, .. }) => Problem::invalid(
            "/audience",
            format!("no line can be sent to; {skipped} were skipped, the first (line {line}) because {reason}"),
        ),
        None if held_out > 0 => Problem::invalid("/audience", "everybody in the audience is held out"),
        None => Problem::invalid("/audience", "the audience is empty"),
    }
}

/// Why an audience could not be laid, as the API answers it.
pub(crate) fn problem(error: NotLaid) -> Problem {
    match error {
        NotLaid::Lines(error) => unreadable(&error),
        NotLaid::Blob(error) => error.into(),
        NotLaid::Store(error) => error.into(),
        NotLaid::Json(_) | NotLaid::Cut(_) | NotLaid::Stopped => Problem::internal(&error),
    }
}

/// Why an audience cannot be read, as the API answers it.
pub(crate) fn unreadable(error: &NoLines) -> Problem {
    match error {
        NoLines::Blob(_) | NoLines::Store(_) => Problem::unavailable(error),
        NoLines::Damaged(_) => Problem::internal(error),
        NoLines::Csv(_) | NoLines::Gone(_) | NoLines::Replaced | NoLines::TooLarge => {
            Problem::invalid("/audience", error.to_string())
        }
    }
}

/// Numbers that are tried for a new link. When half of all 67 million are taken, so many tries fail once in 10^30.
pub(crate) const MOST_TRIES: u32 = 100;

/// One row for each destination; the recipients' codes are computed from it. A run after a crash finds its own links.
async fn make_links(
    api: &Api,
    place: &Place<'_>,
    campaign: &Campaign,
    urls: &[String],
    recipients: u32,
) -> Result<Vec<CampaignLink>, Problem> {
    let mut links = Vec::new();
    let Place { account, domain } = place;
    for url in urls {
        let mut link = Link {
            v: 1,
            id: candidate(campaign.id.ulid(), url, 0),
            workspace: account.workspace,
            account: Some(account.id),
            campaign: Some(campaign.id),
            url: url.clone(),
            targets: Targets::default(),
            utm: campaign.utm.clone(),
            domain: domain.clone(),
            alias: None,
            kid: api.links.newest_kid(),
            recipients,
            shards: campaign.shards,
            append_click_id: campaign.append_click_id,
            password: None,
            valid_until: None,
            revoked_at: None,
            // The same for every run of the same request: it is a part of the link's id.
            created_at: time_of(campaign.id.ulid()),
        };
        let mut tries = 0;
        while !api.core.create_link(&link).await? {
            let there = api.core.link(link.id).await?;
            if there.is_some_and(|there| there.campaign == Some(campaign.id) && there.url == *url) {
                break;
            }
            tries += 1;
            if tries > MOST_TRIES {
                return Err(Problem::internal(&"no free link number was found"));
            }
            link.id = candidate(campaign.id.ulid(), url, tries);
        }
        links.push(CampaignLink { id: link.id, link_id: Some(link.public_id()), url: url.clone() });
    }
    Ok(links)
}
