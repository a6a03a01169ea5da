//! Campaigns made of campaigns: a duplicate with the same audience, and a test on a few people.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::Value;
use shared::blob::audience::{from_memory, lines_of};
use shared::campaign::audience::{AudienceSource, Line, NumberedLine};
use shared::campaign::lifecycle::Action;
use shared::campaign::{Campaign, Schedule, Status};
use shared::http::auth::Caller;
use shared::http::body;
use shared::http::problem::Problem;
use shared::id::CampaignId;
use shared::price::Regions;
use shared::time::UnixMillis;

use crate::Api;
use crate::audience::PLANNED_AT_ONCE;
use crate::campaigns::{find, shown};
use crate::create::MAX_NAME_CHARS;
use crate::draft::{self, Audience, Draft, unreadable};
use crate::idempotency::NewId;
use crate::lifecycle;

/// Most people of a test.
const MAX_TESTERS: usize = 10;

type Answer = Result<(StatusCode, Json<Value>), Problem>;

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Duplicate {
    #[serde(default)]
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Test {
    recipients: Vec<Line>,
    #[serde(default)]
    variant: Option<String>,
}

/// `POST /v1/campaigns/{id}/duplicate`: the same definition and the same people. Who gets which variant and who is held
/// out is drawn anew.
pub(crate) async fn duplicate(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Extension(NewId(id)): Extension<NewId>,
    Path(of): Path<String>,
    payload: Bytes,
) -> Answer {
    let asked = if payload.is_empty() { Duplicate::default() } else { body::read(&payload)? };
    let original = find(&api, caller, &of).await?;
    if original.planning.is_some() {
        let detail = "the campaign's own audience is still being read; duplicate it when that is done";
        return Err(Problem::conflict(detail, Some(original.status.name())));
    }
    let name = asked.name.map_or_else(|| copy_of(&original.name), |name| name.trim().to_owned());
    if name.is_empty() || name.chars().count() > MAX_NAME_CHARS {
        return Err(Problem::invalid("/name", format!("must have 1 to {MAX_NAME_CHARS} characters")));
    }
    let now = UnixMillis::now();
    // Times that have passed would start the copy at once, or end it.
    let ahead = |time: Option<UnixMillis>| time.filter(|time| *time > now);
    let Schedule { start_at, expires_at, .. } = original.schedule;
    let schedule = Schedule { start_at: ahead(start_at), expires_at: ahead(expires_at), ..original.schedule };
    let campaign = Campaign { name, schedule, ..fresh(&original, CampaignId::from_ulid(id), now) };
    let source = AudienceSource::Campaign { workspace: original.workspace, campaign: original.id };
    let audience = if u64::from(original.planned()) + u64::from(original.holdout) <= PLANNED_AT_ONCE {
        let lines = lines_of(&api.core, &api.bucket, original.workspace, &source).await;
        Audience::Now(lines.map_err(|error| unreadable(&error))?)
    } else {
        Audience::Later { source, start_early: false }
    };
    let created = draft::create(&api, Draft { campaign, urls: urls(&original) }, audience).await?;
    Ok((StatusCode::CREATED, Json(created)))
}

/// `POST /v1/campaigns/{id}/test`: the same messages to a few people, at once. It is a campaign of its own.
pub(crate) async fn test(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Extension(NewId(id)): Extension<NewId>,
    Path(of): Path<String>,
    payload: Bytes,
) -> Answer {
    let asked: Test = body::read(&payload)?;
    if !(1..=MAX_TESTERS).contains(&asked.recipients.len()) {
        return Err(Problem::invalid("/recipients", format!("must be 1 to {MAX_TESTERS}")));
    }
    let original = find(&api, caller, &of).await?;
    let mut campaign = Campaign {
        name: test_of(&original.name),
        tag: Some(format!("test:{}", original.id)),
        test_of: Some(original.id),
        holdout_percent: 0,
        schedule: Schedule::default(),
        ..fresh(&original, CampaignId::from_ulid(id), UnixMillis::now())
    };
    if let Some(name) = asked.variant {
        campaign.variants.retain(|variant| variant.name == name);
        if campaign.variants.is_empty() {
            return Err(Problem::invalid("/variant", "the campaign has no variant of this name"));
        }
    }
    let lines: Vec<NumberedLine> = (1..).zip(asked.recipients.into_iter().map(Ok)).collect();
    let draft = Draft { campaign, urls: urls(&original) };
    let mut created = draft::create(&api, draft, Audience::Now(from_memory(lines))).await?;
    let id = CampaignId::from_ulid(id);
    let stored = find(&api, caller, &id.to_string()).await?;
    let now = match stored.status {
        Status::Draft => lifecycle::act(&api, caller, &id.to_string(), Action::Start).await?.0,
        // An earlier run of this very request has started it.
        _ => shown(&api, &stored).await?,
    };
    if let (Some(created), Value::Object(now)) = (created.as_object_mut(), now) {
        // The list of those who were skipped stays, and is not hidden behind their number.
        created.extend(now.into_iter().filter(|(name, _)| name != "skipped"));
    }
    Ok((StatusCode::CREATED, Json(created)))
}

/// The campaign as a draft of its own, before anything has happened to it.
fn fresh(original: &Campaign, id: CampaignId, now: UnixMillis) -> Campaign {
    Campaign {
        id,
        created_at: now,
        test_of: None,
        links: Vec::new(),
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
        forgiven: 0,
        budget_renewals: 0,
        round: 0,
        retry_before: None,
        next_page: 0,
        done_before: 0,
        started_at: None,
        finished_at: None,
        ..original.clone()
    }
}

fn urls(original: &Campaign) -> Vec<String> {
    original.links.iter().map(|link| link.url.clone()).collect()
}

fn copy_of(name: &str) -> String {
    shortened(name, " (copy)")
}

fn test_of(name: &str) -> String {
    shortened(name, " (test)")
}

fn shortened(name: &str, suffix: &str) -> String {
    let room = MAX_NAME_CHARS - suffix.chars().count();
    name.chars().take(room).collect::<String>() + suffix
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copys_name_is_never_too_long() {
        assert_eq!(copy_of("Offer"), "Offer (copy)");
        assert_eq!(test_of(&"x".repeat(256)).chars().count(), MAX_NAME_CHARS);
    }
}
