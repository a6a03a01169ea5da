//! A recipient as the API shows them, in JSON and as a line of a CSV.

use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};
use shared::attempt::{Attempt, Flag, Skip, Standing};
use shared::campaign::Campaign;
use shared::campaign::audience::{Recipient, Skipped};
use shared::http::problem::Problem;
use shared::meta::error::ErrorClass;
use shared::rollup::unsent::PLANNING;
use shared::safety::Refusal;

/// A recipient, or a line of the audience that none became of.
#[derive(Debug, Serialize)]
pub(crate) struct Person {
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
    /// Times that a person followed a link of theirs, repeats within 30 seconds left out.
    link_clicks: i64,
    skip: Option<Value>,
    /// Of a line that planning has skipped: which.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
}

/// Where a recipient stands: whoever was left when the campaign's time was over is skipped.
pub(crate) fn standing(campaign: &Campaign, attempt: Option<&Attempt>) -> Standing {
    match attempt.map_or(Standing::Pending, Attempt::standing) {
        Standing::Pending if campaign.ended_by_its_time() => Standing::Skipped,
        standing => standing,
    }
}

/// Why a recipient gets no message, if that is so.
fn skip(campaign: &Campaign, attempt: Option<&Attempt>) -> Option<Skip> {
    if standing(campaign, attempt) != Standing::Skipped {
        return None;
    }
    attempt.and_then(|attempt| attempt.skipped.clone()).or_else(|| {
        let at = campaign.schedule.expires_at?;
        Some(Skip { at, code: Refusal::Expired.code().to_owned(), reason: Refusal::Expired.to_string() })
    })
}

impl Person {
    /// A recipient and what is known of their attempt.
    pub(crate) fn new(campaign: &Campaign, recipient: &Recipient, attempt: Option<&Attempt>, link_clicks: i64) -> Self {
        let variant = campaign.variants.get(usize::from(recipient.variant.0));
        let (status, stage) = match standing(campaign, attempt) {
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
        Self {
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
            link_clicks,
            skip: skip(campaign, attempt).map(|skip| shown(&skip)),
            line: None,
        }
    }

    /// A line that planning has left out; it has no variant.
    pub(crate) fn left_out(campaign: &Campaign, line: Skipped) -> Self {
        let skip = Skip { at: campaign.created_at, code: PLANNING.to_owned(), reason: line.reason };
        Self {
            phone: line.phone,
            name: None,
            variant: String::new(),
            status: "skipped",
            stage: None,
            flags: json!({}),
            attempt: 0,
            wamid: None,
            error: None,
            opted_out: false,
            link_clicks: 0,
            skip: Some(shown(&skip)),
            line: Some(line.line),
        }
    }
}

fn shown(skip: &Skip) -> Value {
    json!({"code": skip.code, "reason": skip.reason, "at": skip.at.to_rfc3339()})
}

/// The list as a CSV; the header `x-next-cursor` tells where it goes on.
pub(crate) fn as_csv(people: &[Person], next: Option<String>) -> Result<Response, Problem> {
    let failed = |error: csv::Error| Problem::internal(&error);
    let mut writer = csv::Writer::from_writer(Vec::new());
    let flags = Flag::ALL.map(Flag::name);
    let mut header = vec!["phone", "name", "variant", "status", "stage", "error_code", "wamid"];
    header.extend(flags);
    header.extend(["link_clicks", "skip_code", "skip_reason", "line"]);
    writer.write_record(&header).map_err(failed)?;
    for person in people {
        let code = person.error.as_ref().map(|error| error["code"].to_string()).unwrap_or_default();
        // A number is safe; what was typed in its place may be anything.
        let phone = if person.line.is_some() { harmless(&person.phone) } else { person.phone.clone() };
        let mut row = vec![
            phone,
            harmless(person.name.as_deref().unwrap_or_default()),
            harmless(&person.variant),
            person.status.to_owned(),
            person.stage.unwrap_or_default().to_owned(),
            code,
            person.wamid.clone().unwrap_or_default(),
        ];
        row.extend(flags.map(|flag| person.flags[flag]["at"].as_str().unwrap_or_default().to_owned()));
        row.push(person.link_clicks.to_string());
        let of_skip = |part: &str| person.skip.as_ref().and_then(|skip| skip[part].as_str()).unwrap_or_default();
        row.extend([of_skip("code").to_owned(), harmless(of_skip("reason"))]);
        row.push(person.line.map(|line| line.to_string()).unwrap_or_default());
        writer.write_record(&row).map_err(failed)?;
    }
    let body = writer.into_inner().map_err(|error| Problem::internal(&error))?;
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/csv; charset=utf-8"));
    if let Some(next) = next.and_then(|next| header::HeaderValue::try_from(next).ok()) {
        headers.insert("x-next-cursor", next);
    }
    Ok(response)
}

/// A spreadsheet takes a text that begins with one of these for a formula.
fn harmless(text: &str) -> String {
    let is_number = text.starts_with('+') && text[1..].bytes().all(|byte| byte.is_ascii_digit());
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) && !is_number { format!("'{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_a_spreadsheet_would_compute_is_made_harmless() {
        for (text, shown) in
            [("=1+1", "'=1+1"), ("+60123", "+60123"), ("+1+cmd", "'+1+cmd"), ("Aisha", "Aisha"), ("", "")]
        {
            assert_eq!(harmless(text), shown);
        }
    }
}
