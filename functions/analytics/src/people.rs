//! The recipients behind the figures, in the order of the audience: those who were not sent to yet as well.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::attempt::{Attempt, AttemptKey, Flag, Seq, Stage, Standing};
use shared::blob::audience::UnreadableList;
use shared::blob::key;
use shared::campaign::audience::{HeldOut, Recipient, Skipped};
use shared::campaign::planner::PART_LINES;
use shared::campaign::{Campaign, PAGE_SIZE, PageNumber};
use shared::http::auth::Caller;
use shared::http::limit;
use shared::http::params::Params;
use shared::http::problem::Problem;
use shared::meta::error::ErrorClass;
use shared::store::Consistency;

use crate::{Analytics, find};

/// Pages of the audience looked through for one page of a list; a rare filter then goes on with the cursor.
const PAGES_A_REQUEST: u32 = 50;

/// The same for a CSV.
const PAGES_A_CSV: u32 = 300;

/// Rows of a CSV at most; the header `x-next-cursor` tells where to go on. About 4 MB, and Lambda answers with 6 MB.
const CSV_ROWS: usize = 20_000;

/// What a list is asked for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    stage: Option<String>,
    stuck: Option<bool>,
    status: Option<String>,
    variant: Option<String>,
    limit: Option<String>,
    cursor: Option<u32>,
    format: Option<String>,
}

/// Which recipients are wanted.
struct Filter {
    stage: Option<Stage>,
    stuck: bool,
    status: Option<Wanted>,
    variant: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Pending,
    Unknown,
    Failed,
    Reached,
    OptedOut,
    HeldOut,
    Skipped,
}

/// A recipient as the API shows them.
#[derive(Serialize)]
struct Person {
    phone: String,
    name: Option<String>,
    variant: String,
    status: &'static str,
    stage: Option<&'static str>,
    flags: Value,
    attempt: u16,
    wamid: Option<String>,
    error: Option<Value>,
    opted_out: bool,
}

impl Filter {
    fn read(asked: &Asked, campaign: &Campaign) -> Result<Self, Problem> {
        let stage = asked.stage.as_deref().map(|name| {
            let known = Stage::ALL.into_iter().find(|stage| stage.name() == name);
            known.ok_or_else(|| Problem::invalid("/stage", "must be sent, delivered, read, clicked, replied or closed"))
        });
        let status = asked.status.as_deref().map(|name| match name {
            "pending" => Ok(Wanted::Pending),
            "unknown" => Ok(Wanted::Unknown),
            "failed" => Ok(Wanted::Failed),
            "reached" => Ok(Wanted::Reached),
            "opted_out" => Ok(Wanted::OptedOut),
            "held_out" => Ok(Wanted::HeldOut),
            "skipped" => Ok(Wanted::Skipped),
            _ => Err(Problem::invalid(
                "/status",
                "must be pending, unknown, failed, reached, opted_out, held_out or skipped",
            )),
        });
        let variant = asked.variant.as_deref().map(|name| {
            let known = campaign.variants.iter().position(|variant| variant.name == name);
            known.ok_or_else(|| Problem::invalid("/variant", "the campaign has no variant of this name"))
        });
        Ok(Self {
            stage: stage.transpose()?,
            stuck: asked.stuck.unwrap_or(false),
            status: status.transpose()?,
            variant: variant.transpose()?,
        })
    }

    fn wants(&self, variant: usize, attempt: Option<&Attempt>) -> bool {
        let standing = attempt.map_or(Standing::Pending, Attempt::standing);
        let stage = self.stage.is_none_or(|stage| match (self.stuck, standing) {
            (true, Standing::Reached(furthest)) => furthest == stage,
            (true, _) => false,
            (false, _) => attempt.is_some_and(|attempt| attempt.reached(stage)),
        });
        let status = self.status.is_none_or(|wanted| match wanted {
            Wanted::Pending => standing == Standing::Pending,
            Wanted::Unknown => standing == Standing::Unknown,
            Wanted::Failed => standing == Standing::Failed,
            Wanted::Reached => matches!(standing, Standing::Reached(_)),
            Wanted::OptedOut => attempt.is_some_and(|attempt| attempt.opted_out.is_some()),
            Wanted::HeldOut | Wanted::Skipped => false,
        });
        stage && status && self.variant.is_none_or(|wanted| wanted == variant)
    }
}

/// `GET /v1/campaigns/{id}/recipients`.
pub(crate) async fn list(
    State(analytics): State<Arc<Analytics>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Params(asked): Params<Asked>,
) -> Result<Response, Problem> {
    let campaign = find(&analytics, caller, &id).await?;
    let filter = Filter::read(&asked, &campaign)?;
    let csv = match asked.format.as_deref() {
        None | Some("json") => false,
        Some("csv") => true,
        Some(_) => return Err(Problem::invalid("/format", "must be json or csv")),
    };
    let most = if csv { CSV_ROWS } else { limit(asked.limit.as_deref())? };
    let (workspace, id, from) = (campaign.workspace, campaign.id, asked.cursor.unwrap_or(0));
    match filter.status {
        Some(Wanted::Skipped) => {
            let key = |part| key::skipped(workspace, id, part);
            return listed::<Skipped>(&analytics, key, campaign.skipped, from, most).await;
        }
        Some(Wanted::HeldOut) => {
            let key = |part| key::held_out(workspace, id, part);
            return listed::<HeldOut>(&analytics, key, campaign.holdout, from, most).await;
        }
        _ => {}
    }
    let pages = if csv { PAGES_A_CSV } else { PAGES_A_REQUEST };
    let (people, next) = walk(&analytics, &campaign, &filter, from, most, pages).await?;
    if csv { as_csv(&people, next) } else { Ok(Json(json!({"data": people, "next_cursor": next})).into_response()) }
}

/// Walks the audience from `from` on until enough are found; where to go on, if there is more.
async fn walk(
    analytics: &Analytics,
    campaign: &Campaign,
    filter: &Filter,
    from: u32,
    most: usize,
    pages: u32,
) -> Result<(Vec<Person>, Option<u32>), Problem> {
    let mut found = Vec::new();
    let first = from / PAGE_SIZE;
    let end = campaign.pages.min(first.saturating_add(pages));
    for page in first..end {
        let body = analytics.bucket.get(&key::audience_page(campaign.workspace, campaign.id, PageNumber(page))).await?;
        let recipients: Vec<Recipient> = serde_json::from_slice(&body).map_err(|error| Problem::internal(&error))?;
        let keys: Vec<AttemptKey> = recipients.iter().map(|recipient| campaign.attempt_key(recipient.seq)).collect();
        let attempts = analytics.core.attempts(&keys, Consistency::Eventual).await?;
        for recipient in recipients.into_iter().filter(|recipient| recipient.seq.0 >= from) {
            let attempt = attempts.get(&recipient.seq);
            if !filter.wants(usize::from(recipient.variant.0), attempt) {
                continue;
            }
            if found.len() == most {
                return Ok((found, Some(recipient.seq.0)));
            }
            found.push(person(campaign, &recipient, attempt));
        }
    }
    Ok((found, (end < campaign.pages).then_some(end * PAGE_SIZE)))
}

fn person(campaign: &Campaign, recipient: &Recipient, attempt: Option<&Attempt>) -> Person {
    let variant = campaign.variants.get(usize::from(recipient.variant.0));
    let (status, stage) = match attempt.map_or(Standing::Pending, Attempt::standing) {
        Standing::Pending => ("pending", None),
        Standing::Skipped => ("skipped", None),
        Standing::Unknown => ("unknown", None),
        Standing::Failed => ("failed", None),
        Standing::Reached(stage) => ("reached", Some(stage.name())),
    };
    let flags = Flag::ALL.into_iter().filter_map(|flag| {
        let moment = attempt?.flag(flag)?;
        let times = json!({"at": moment.at.to_rfc3339(), "seen": moment.seen.to_rfc3339()});
        Some((flag.name().to_owned(), times))
    });
    let error = attempt.and_then(|attempt| attempt.failed.as_ref()).map(|failure| {
        json!({
            "code": failure.code,
            "title": failure.title,
            "details": failure.details,
            "at": failure.at.to_rfc3339(),
            "class": ErrorClass::of(failure.code, 400, false),
        })
    });
    Person {
        phone: recipient.phone.as_str().to_owned(),
        name: recipient.name.clone(),
        variant: variant.map(|variant| variant.name.clone()).unwrap_or_default(),
        status,
        stage,
        flags: Value::Object(flags.collect()),
        attempt: attempt.map_or(0, |attempt| attempt.number),
        wamid: attempt.and_then(|attempt| attempt.wamid.clone()),
        error,
        opted_out: attempt.is_some_and(|attempt| attempt.opted_out.is_some()),
    }
}

/// Rows of a list that lies in the bucket in parts, from one position on.
async fn listed<T: Serialize + DeserializeOwned>(
    analytics: &Analytics,
    key: impl Fn(u32) -> String,
    total: u32,
    from: u32,
    most: usize,
) -> Result<Response, Problem> {
    let part_lines = u32::try_from(PART_LINES).unwrap_or(u32::MAX);
    let mut rows: Vec<T> = Vec::new();
    for part in from / part_lines..total.div_ceil(part_lines) {
        let skip = if part == from / part_lines { from % part_lines } else { 0 };
        let found: Vec<T> = analytics.bucket.ndjson(&key(part)).await.map_err(|error| match error {
            UnreadableList::Blob(error) => Problem::from(error),
            UnreadableList::Damaged(error) => Problem::internal(&error),
        })?;
        rows.extend(found.into_iter().skip(skip as usize).take(most - rows.len()));
        if rows.len() >= most {
            break;
        }
    }
    let read = from.saturating_add(u32::try_from(rows.len()).unwrap_or(u32::MAX));
    let next = (!rows.is_empty() && read < total).then_some(read);
    Ok(Json(json!({"data": rows, "next_cursor": next})).into_response())
}

fn as_csv(people: &[Person], next: Option<u32>) -> Result<Response, Problem> {
    let failed = |error: csv::Error| Problem::internal(&error);
    let mut writer = csv::Writer::from_writer(Vec::new());
    let flags = Flag::ALL.map(Flag::name);
    let mut header = vec!["phone", "name", "variant", "status", "stage", "error_code", "wamid"];
    header.extend(flags);
    writer.write_record(&header).map_err(failed)?;
    for person in people {
        let code = person.error.as_ref().map(|error| error["code"].to_string()).unwrap_or_default();
        let mut row = vec![
            person.phone.clone(),
            harmless(person.name.as_deref().unwrap_or_default()),
            harmless(&person.variant),
            person.status.to_owned(),
            person.stage.unwrap_or_default().to_owned(),
            code,
            person.wamid.clone().unwrap_or_default(),
        ];
        row.extend(flags.map(|flag| person.flags[flag]["at"].as_str().unwrap_or_default().to_owned()));
        writer.write_record(&row).map_err(failed)?;
    }
    let body = writer.into_inner().map_err(|error| Problem::internal(&error))?;
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/csv; charset=utf-8"));
    if let Some(next) = next {
        headers.insert("x-next-cursor", header::HeaderValue::from(next));
    }
    Ok(response)
}

/// A spreadsheet takes a text that begins with one of these for a formula.
fn harmless(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() }
}

/// `GET /v1/campaigns/{id}/recipients/{phone}`.
pub(crate) async fn one(
    State(analytics): State<Arc<Analytics>>,
    Extension(caller): Extension<Caller>,
    Path((id, phone)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let campaign = find(&analytics, caller, &id).await?;
    let (seq, attempt) = sent_to(&analytics, &campaign, &phone).await?;
    let recipient = Recipient {
        seq,
        phone: attempt.phone.clone(),
        name: attempt.name.clone(),
        variant: attempt.variant,
        variables: std::collections::BTreeMap::new(),
    };
    Ok(Json(person(&campaign, &recipient, Some(&attempt))).into_response())
}

/// `GET /v1/campaigns/{id}/recipients/{phone}/send-response`: the exact JSON that Meta answered.
pub(crate) async fn send_response(
    State(analytics): State<Arc<Analytics>>,
    Extension(caller): Extension<Caller>,
    Path((id, phone)): Path<(String, String)>,
) -> Result<Response, Problem> {
    let campaign = find(&analytics, caller, &id).await?;
    let (_, attempt) = sent_to(&analytics, &campaign, &phone).await?;
    let response = attempt.response.ok_or_else(|| Problem::not_found("answer: Meta has not accepted this message"))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], response).into_response())
}

async fn sent_to(analytics: &Analytics, campaign: &Campaign, phone: &str) -> Result<(Seq, Attempt), Problem> {
    let missing = || Problem::not_found("recipient: this number is not in the campaign or was not sent to yet");
    let key = analytics.core.recipient_key(campaign, phone).await?.ok_or_else(missing)?;
    let attempt = analytics.core.attempt(&key).await?.ok_or_else(missing)?;
    Ok((key.seq, attempt))
}
