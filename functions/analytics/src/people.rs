//! The recipients behind the figures, in the order of the audience: those who were not sent to yet as well.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::json;
use shared::attempt::{Attempt, AttemptKey, Seq, Stage, Standing};
use shared::blob::audience::UnreadableList;
use shared::blob::key;
use shared::campaign::audience::{HeldOut, Recipient};
use shared::campaign::{Campaign, PAGE_SIZE, PageNumber};
use shared::http::auth::Caller;
use shared::http::limit;
use shared::http::params::Params;
use shared::http::problem::Problem;
use shared::link::visits::Visits;
use shared::skipped;
use shared::store::Consistency;

use crate::person::{Person, as_csv, standing};
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
    cursor: Option<String>,
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

/// Where a list goes on; as text, a recipient's place alone is a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cursor {
    /// At this line, from 0, of those that planning has skipped.
    LeftOut(u32),
    /// At this recipient.
    Recipient(u32),
}

const LEFT_OUT: &str = "planning-";

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LeftOut(line) => write!(f, "{LEFT_OUT}{line}"),
            Self::Recipient(seq) => write!(f, "{seq}"),
        }
    }
}

impl Cursor {
    /// Where the list begins or goes on.
    fn read(given: Option<&str>, filter: &Filter) -> Result<Self, Problem> {
        let Some(given) = given else {
            // Lines that were left out have neither a stage nor a variant.
            let left_out = filter.status == Some(Wanted::Skipped) && filter.stage.is_none() && filter.variant.is_none();
            return Ok(if left_out { Self::LeftOut(0) } else { Self::Recipient(0) });
        };
        let read = match given.strip_prefix(LEFT_OUT) {
            Some(line) => line.parse().map(Self::LeftOut),
            None => given.parse().map(Self::Recipient),
        };
        read.map_err(|_| Problem::invalid("/cursor", "must be the next_cursor of an earlier answer"))
    }
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

    fn wants(&self, campaign: &Campaign, variant: usize, attempt: Option<&Attempt>) -> bool {
        let standing = standing(campaign, attempt);
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
            Wanted::Skipped => standing == Standing::Skipped,
            Wanted::HeldOut => false,
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
    let pages = if csv { PAGES_A_CSV } else { PAGES_A_REQUEST };
    let mut people = Vec::new();
    let mut cursor = Cursor::read(asked.cursor.as_deref(), &filter)?;
    if filter.status == Some(Wanted::HeldOut) {
        return held_out(&analytics, &campaign, cursor, most).await;
    }
    if let Cursor::LeftOut(from) = cursor {
        let lines = skipped::lines(&analytics.bucket, &campaign, from, most).await.map_err(unreadable)?;
        let read = from.saturating_add(u32::try_from(lines.len()).unwrap_or(u32::MAX));
        let more = !lines.is_empty() && read < campaign.skipped;
        cursor = if more { Cursor::LeftOut(read) } else { Cursor::Recipient(0) };
        people.extend(lines.into_iter().map(|line| Person::left_out(&campaign, line)));
    }
    let next = match cursor {
        Cursor::LeftOut(_) => Some(cursor),
        Cursor::Recipient(from) => {
            let (found, next) = walk(&analytics, &campaign, &filter, from, most - people.len(), pages).await?;
            people.extend(found);
            next.map(Cursor::Recipient)
        }
    };
    let next = next.map(|next| next.to_string());
    if csv { as_csv(&people, next) } else { Ok(Json(json!({"data": people, "next_cursor": next})).into_response()) }
}

/// Those who get no message on purpose.
async fn held_out(
    analytics: &Analytics,
    campaign: &Campaign,
    cursor: Cursor,
    most: usize,
) -> Result<Response, Problem> {
    let (Cursor::LeftOut(from) | Cursor::Recipient(from)) = cursor;
    let (workspace, id) = (campaign.workspace, campaign.id);
    let key = |part| key::held_out(workspace, id, part);
    let people: Vec<HeldOut> =
        analytics.bucket.rows_from(key, campaign.holdout, from, most).await.map_err(unreadable)?;
    let read = from.saturating_add(u32::try_from(people.len()).unwrap_or(u32::MAX));
    let next = (!people.is_empty() && read < campaign.holdout).then(|| read.to_string());
    Ok(Json(json!({"data": people, "next_cursor": next})).into_response())
}

fn unreadable(error: UnreadableList) -> Problem {
    match error {
        UnreadableList::Blob(error) => error.into(),
        UnreadableList::Damaged(error) => Problem::internal(&error),
    }
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
        let visits = link_clicks(analytics, campaign, &attempts).await?;
        for recipient in recipients.into_iter().filter(|recipient| recipient.seq.0 >= from) {
            let attempt = attempts.get(&recipient.seq);
            if !filter.wants(campaign, usize::from(recipient.variant.0), attempt) {
                continue;
            }
            if found.len() == most {
                return Ok((found, Some(recipient.seq.0)));
            }
            let clicks = visits.get(&recipient.seq).map_or(0, Visits::count);
            found.push(Person::new(campaign, &recipient, attempt, clicks));
        }
    }
    Ok((found, (end < campaign.pages).then_some(end * PAGE_SIZE)))
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
    let known = HashMap::from([(seq, attempt)]);
    let clicks = link_clicks(&analytics, &campaign, &known).await?.get(&seq).map_or(0, Visits::count);
    Ok(Json(Person::new(&campaign, &recipient, known.get(&seq), clicks)).into_response())
}

/// What those of them did with their links who did anything.
async fn link_clicks(
    analytics: &Analytics,
    campaign: &Campaign,
    attempts: &HashMap<Seq, Attempt>,
) -> Result<HashMap<Seq, Visits>, Problem> {
    let clicked = attempts.iter().filter(|(_, attempt)| attempt.clicked.is_some());
    let keys: Vec<AttemptKey> = clicked.map(|(seq, _)| campaign.attempt_key(*seq)).collect();
    Ok(analytics.core.visits(&keys, Consistency::Eventual).await?)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_and_skipped_lines_come_first() {
        let skipped = Filter { stage: None, stuck: false, status: Some(Wanted::Skipped), variant: None };
        for cursor in [Cursor::LeftOut(12), Cursor::Recipient(300)] {
            assert_eq!(Cursor::read(Some(&cursor.to_string()), &skipped).unwrap(), cursor);
        }
        assert_eq!(Cursor::read(None, &skipped).unwrap(), Cursor::LeftOut(0));
        assert_eq!(Cursor::read(None, &Filter { variant: Some(0), ..skipped }).unwrap(), Cursor::Recipient(0));
        let all = Filter { stage: None, stuck: false, status: None, variant: None };
        assert_eq!(Cursor::read(None, &all).unwrap(), Cursor::Recipient(0));
        assert!(Cursor::read(Some("x"), &all).is_err());
    }
}
