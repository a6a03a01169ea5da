//! Creating a campaign: the definition is checked whole, the audience planned line by line, the links made, the pages laid
//! in the bucket, and the campaign's row written last. A run that is cut off before that leaves nothing that counts.

use futures::{StreamExt, TryStreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use shared::account::Account;
use shared::attempt::Money;
use shared::blob::key;
use shared::campaign::audience::{NumberedLine, Plan, Skipped, plan};
use shared::campaign::{
    Campaign, CampaignLink, Category, OnUnknown, PAGE_SIZE, PageNumber, Schedule, Status, Variant, shards_for,
};
use shared::http::problem::{FieldError, Problem};
use shared::id::{AccountId, CampaignId, WorkspaceId};
use shared::link::Link;
use shared::link::code::LinkId;
use shared::price::{estimate_regions, regions_of};
use shared::time::UnixMillis;

use crate::Api;
use crate::audience::AudienceField;
use crate::media;
use crate::terms::{self, NewSchedule};
use crate::view::CampaignView;

/// Skipped lines listed in the answer; all of them can be read from the campaign's recipients.
const SKIPPED_SHOWN: usize = 1_000;

/// Pages written at once.
const PAGES_AT_ONCE: usize = 8;

/// Longest name and tag, in characters.
const MAX_NAME_CHARS: usize = 256;

/// Largest message of a variant as JSON: all of a campaign has to fit into its row (DynamoDB: 400 KB an item).
const MAX_MESSAGE_BYTES: usize = 32 * 1024;

/// Most variants of a campaign.
const MAX_VARIANTS: usize = 10;

/// A campaign as requested.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewCampaign {
    name: String,
    #[serde(default)]
    tag: Option<String>,
    account_id: AccountId,
    #[serde(default)]
    category: Category,
    variants: Vec<Variant>,
    #[serde(default)]
    pub(crate) audience: Option<AudienceField>,
    #[serde(default)]
    schedule: Option<NewSchedule>,
    #[serde(default)]
    messages_per_second: Option<u32>,
    #[serde(default = "yes")]
    track_links: bool,
    #[serde(default)]
    holdout_percent: Option<u8>,
    #[serde(default)]
    on_unknown: OnUnknown,
    #[serde(default)]
    error_threshold: Option<u32>,
    #[serde(default)]
    budget: Option<Money>,
}

const fn yes() -> bool {
    true
}

/// Creates the campaign as a draft; the answer of the API.
pub(crate) async fn campaign(
    api: &Api,
    workspace: WorkspaceId,
    id: CampaignId,
    new: NewCampaign,
    lines: Vec<NumberedLine>,
) -> Result<Value, Problem> {
    let urls = check(&new)?;
    let account = api
        .core
        .account(workspace, new.account_id)
        .await?
        .ok_or_else(|| Problem::invalid("/account_id", "there is no such account"))?;
    let media = media::of_variants(api, workspace, &new.variants).await?;
    let audience = plan(id, &new.variants, lines);
    if audience.recipients.is_empty() {
        return Err(nobody(&audience));
    }
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let planned = count(audience.recipients.len());
    let shards = shards_for(planned);
    let links = if new.track_links { make_links(api, &account, id, &urls, planned, shards).await? } else { Vec::new() };
    write_audience(api, workspace, id, &audience).await?;
    media::note_use(api, workspace, id, &media).await?;

    let campaign = Campaign {
        v: 1,
        id,
        workspace,
        account: account.id,
        name: new.name.trim().to_owned(),
        tag: new.tag,
        category: new.category,
        variants: new.variants,
        schedule: new.schedule.map(Schedule::from).unwrap_or_default(),
        messages_per_second: new.messages_per_second,
        on_unknown: new.on_unknown,
        holdout_percent: 0,
        error_threshold: new.error_threshold,
        forgiven: 0,
        budget: new.budget,
        budget_renewals: 0,
        links,
        recipients: planned + count(audience.skipped.len()),
        skipped: count(audience.skipped.len()),
        holdout: 0,
        regions: regions_of(audience.recipients.iter().map(|recipient| &recipient.phone)),
        planning: None,
        pages: planned.div_ceil(PAGE_SIZE),
        shards,
        status: Status::Draft,
        status_reason: None,
        paused_by: None,
        round: 0,
        retry_before: None,
        next_page: 0,
        done_before: 0,
        created_at: UnixMillis::now(),
        started_at: None,
        finished_at: None,
    };
    let created = api.core.create_campaign(&campaign).await?;
    // If not, an earlier run of this very request has written it, and it may have been started since.
    let stored = if created { None } else { api.core.campaign(workspace, id).await? };
    answer(&stored.unwrap_or(campaign), &audience.skipped, account.messages_per_second)
}

fn answer(campaign: &Campaign, skipped: &[Skipped], account_rate: u32) -> Result<Value, Problem> {
    let mut shown = serde_json::to_value(CampaignView::from(campaign)).map_err(|error| Problem::internal(&error))?;
    shown["skipped_count"] = json!(skipped.len());
    shown["skipped"] = json!(&skipped[..skipped.len().min(SKIPPED_SHOWN)]);
    shown["estimate"] = json!({
        "duration_s": campaign.planned().div_ceil(campaign.rate(account_rate)),
        "messages": campaign.planned(),
        "cost": estimate_regions(campaign, &campaign.regions, campaign.schedule.start_at.unwrap_or(campaign.created_at)),
    });
    Ok(shown)
}

fn nobody(audience: &Plan) -> Problem {
    match audience.skipped.first() {
        Some(Skipped { line, reason, .. }) => Problem::invalid(
            "/audience",
            format!(
                "no line can be sent to; {} were skipped, the first (line {line}) because {reason}",
                audience.skipped.len()
            ),
        ),
        None => Problem::invalid("/audience", "the audience is empty"),
    }
}

/// Everything that is wrong with the definition, at once; else the destinations that can be tracked.
fn check(new: &NewCampaign) -> Result<Vec<String>, Problem> {
    let mut errors = Vec::new();
    let mut wrong = |pointer: String, reason: String| errors.push(FieldError { pointer, reason });
    if new.name.trim().is_empty() {
        wrong("/name".to_owned(), "must not be empty".to_owned());
    }
    for (pointer, text) in [("/name", Some(&new.name)), ("/tag", new.tag.as_ref())] {
        if text.is_some_and(|text| text.chars().count() > MAX_NAME_CHARS) {
            wrong(pointer.to_owned(), format!("must have at most {MAX_NAME_CHARS} characters"));
        }
    }
    if !(1..=MAX_VARIANTS).contains(&new.variants.len()) {
        wrong("/variants".to_owned(), format!("must be 1 to {MAX_VARIANTS}"));
    }
    if !new.variants.is_empty() && new.variants.iter().all(|variant| variant.weight == 0) {
        wrong("/variants".to_owned(), "at least one weight must be above 0".to_owned());
    }
    let mut urls: Vec<String> = Vec::new();
    for (index, variant) in new.variants.iter().enumerate() {
        if new.variants[..index].iter().any(|earlier| earlier.name == variant.name) {
            wrong(format!("/variants/{index}/name"), "is used by another variant".to_owned());
        }
        if variant.name.trim().is_empty() || variant.name.chars().count() > MAX_NAME_CHARS {
            wrong(format!("/variants/{index}/name"), format!("must have 1 to {MAX_NAME_CHARS} characters"));
        }
        if serde_json::to_vec(&variant.message).is_ok_and(|json| json.len() > MAX_MESSAGE_BYTES) {
            wrong(format!("/variants/{index}/message"), format!("must have at most {MAX_MESSAGE_BYTES} bytes as JSON"));
            continue;
        }
        match variant.message.links() {
            Ok(found) => urls.extend(found),
            Err(reason) => wrong(format!("/variants/{index}/message"), reason.to_string()),
        }
    }
    if new.messages_per_second == Some(0) {
        wrong("/messages_per_second".to_owned(), "must be at least 1".to_owned());
    }
    if new.holdout_percent.is_some_and(|percent| percent > 0) {
        wrong("/holdout_percent".to_owned(), "is not available in this version; leave it out".to_owned());
    }
    errors.extend(terms::wrong(new.schedule.as_ref(), new.error_threshold, new.budget.as_ref(), UnixMillis::now()));
    if !errors.is_empty() {
        return Err(Problem::all_invalid(errors));
    }
    urls.sort();
    urls.dedup();
    Ok(urls)
}

/// One row for each destination; the recipients' codes are computed from it. A run after a crash finds its own links.
async fn make_links(
    api: &Api,
    account: &Account,
    campaign: CampaignId,
    urls: &[String],
    recipients: u32,
    shards: u8,
) -> Result<Vec<CampaignLink>, Problem> {
    let mut links = Vec::new();
    for url in urls {
        let mut link = Link {
            v: 1,
            id: candidate(campaign, url, 0),
            workspace: account.workspace,
            account: account.id,
            campaign,
            url: url.clone(),
            kid: api.links.newest_kid(),
            recipients,
            shards,
            expires_at: None,
            revoked_at: None,
            created_at: UnixMillis::now(),
        };
        let mut tries = 0;
        while !api.core.create_link(&link).await? {
            let there = api.core.link(link.id).await?;
            if there.is_some_and(|there| there.campaign == campaign && there.url == *url) {
                break;
            }
            tries += 1;
            if tries > 100 {
                return Err(Problem::internal(&"no free link number was found in 100 tries"));
            }
            link.id = candidate(campaign, url, tries);
        }
        links.push(CampaignLink { id: link.id, url: url.clone() });
    }
    Ok(links)
}

/// A number for the link, spread over all 26 bits and the same for every run of the same request.
fn candidate(campaign: CampaignId, url: &str, tries: u32) -> LinkId {
    let mut hash = Sha256::new();
    hash.update(campaign.ulid().to_bytes());
    hash.update(tries.to_be_bytes());
    hash.update(url.as_bytes());
    let digest = hash.finalize();
    let bits = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]) & LinkId::MAX.get();
    LinkId::new(bits).unwrap_or(LinkId::MAX)
}

async fn write_audience(api: &Api, workspace: WorkspaceId, id: CampaignId, audience: &Plan) -> Result<(), Problem> {
    let json = |error: serde_json::Error| Problem::internal(&error);
    let skipped = serde_json::to_vec(&audience.skipped).map_err(json)?;
    api.bucket.put(&key::skipped(workspace, id), skipped, "application/json").await?;
    let mut pages = Vec::new();
    for (page, number) in audience.recipients.chunks(PAGE_SIZE as usize).zip(0_u32..) {
        pages.push((key::audience_page(workspace, id, PageNumber(number)), serde_json::to_vec(page).map_err(json)?));
    }
    futures::stream::iter(pages)
        .map(|(key, body)| async move { api.bucket.put(&key, body, "application/json").await })
        .buffer_unordered(PAGES_AT_ONCE)
        .try_collect::<()>()
        .await?;
    Ok(())
}
