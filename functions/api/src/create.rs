//! The definition of a new campaign: what may be asked for, and everything that is wrong with it at once. What is made of
//! it is in [`draft`](crate::draft).

use serde::Deserialize;
use shared::attempt::Money;
use shared::campaign::{Campaign, Category, OnUnknown, Schedule, Status, Variant};
use shared::http::problem::{FieldError, Problem};
use shared::id::{AccountId, CampaignId, WorkspaceId};
use shared::link::utm::{MAX_UTM_CHARS, Utm};
use shared::price::Regions;
use shared::time::UnixMillis;

use crate::audience::AudienceField;
use crate::draft::Draft;
use crate::terms::{self, NewSchedule};

/// Longest name and tag, in characters.
pub(crate) const MAX_NAME_CHARS: usize = 256;

/// Largest message of a variant as JSON: all of a campaign has to fit into its row (DynamoDB: 400 KB an item).
const MAX_MESSAGE_BYTES: usize = 32 * 1024;

/// Most variants of a campaign.
const MAX_VARIANTS: usize = 10;

/// Largest share of the audience that may be held out, in percent.
const MAX_HOLDOUT_PERCENT: u8 = 50;

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
    append_click_id: bool,
    #[serde(default)]
    utm: Utm,
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

/// The campaign that the request defines, as a draft without an audience.
///
/// # Errors
/// With everything that is wrong with it.
pub(crate) fn draft(workspace: WorkspaceId, id: CampaignId, new: NewCampaign) -> Result<Draft, Problem> {
    let urls = check(&new)?;
    let campaign = Campaign {
        v: 1,
        id,
        workspace,
        account: new.account_id,
        name: new.name.trim().to_owned(),
        tag: new.tag,
        category: new.category,
        variants: new.variants,
        schedule: new.schedule.map(Schedule::from).unwrap_or_default(),
        messages_per_second: new.messages_per_second,
        on_unknown: new.on_unknown,
        holdout_percent: new.holdout_percent.unwrap_or(0),
        error_threshold: new.error_threshold,
        forgiven: 0,
        budget: new.budget,
        budget_renewals: 0,
        test_of: None,
        links: Vec::new(),
        append_click_id: new.append_click_id,
        utm: new.utm,
        recipients: 0,
        skipped: 0,
        holdout: 0,
        regions: Regions::new(),
        planning: None,
        pages: 0,
        shards: 1,
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
    Ok(Draft { campaign, urls: if new.track_links { urls } else { Vec::new() } })
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
    for name in new.utm.faults() {
        wrong(format!("/utm/{name}"), format!("must have 1 to {MAX_UTM_CHARS} characters"));
    }
    if new.messages_per_second == Some(0) {
        wrong("/messages_per_second".to_owned(), "must be at least 1".to_owned());
    }
    if new.holdout_percent.is_some_and(|percent| percent > MAX_HOLDOUT_PERCENT) {
        wrong("/holdout_percent".to_owned(), format!("must be from 0 to {MAX_HOLDOUT_PERCENT}"));
    }
    errors.extend(terms::wrong(new.schedule.as_ref(), new.error_threshold, new.budget.as_ref(), UnixMillis::now()));
    if !errors.is_empty() {
        return Err(Problem::all_invalid(errors));
    }
    urls.sort();
    urls.dedup();
    Ok(urls)
}
