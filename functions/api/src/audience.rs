//! The audience of a new campaign as it comes in: recipients in the request, a CSV in the request, or a CSV as a part of a
//! form.

use axum::body::Bytes;
use axum::extract::{FromRequest, Multipart, Request};
use serde::Deserialize;
use shared::campaign::audience::{Line, NumberedLine, read_csv};
use shared::http::problem::Problem;

/// Most recipients that a request may name one by one.
const MAX_INLINE: usize = 10_000;

/// The field `audience` of a request.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AudienceField {
    #[serde(default)]
    recipients: Option<Vec<Line>>,
    #[serde(default)]
    csv: Option<String>,
}

/// Where the audience comes from.
pub(crate) enum Audience<'a> {
    Recipients(&'a [Line]),
    Csv(std::borrow::Cow<'a, str>),
}

impl<'a> Audience<'a> {
    /// The one source that the request names.
    pub(crate) fn of(field: Option<&'a AudienceField>, part: Option<String>) -> Result<Self, Problem> {
        let recipients = field.and_then(|field| field.recipients.as_deref());
        let csv = field.and_then(|field| field.csv.as_deref());
        match (recipients, csv, part) {
            (Some(recipients), None, None) => Ok(Self::Recipients(recipients)),
            (None, Some(csv), None) => Ok(Self::Csv(csv.into())),
            (None, None, Some(part)) => Ok(Self::Csv(part.into())),
            (None, None, None) => Err(Problem::invalid("/audience", "name recipients, or give a csv")),
            _ => Err(Problem::invalid("/audience", "name one source only: recipients or csv")),
        }
    }

    /// Its lines.
    pub(crate) fn lines(self) -> Result<Vec<NumberedLine>, Problem> {
        match self {
            Self::Recipients(recipients) if recipients.len() > MAX_INLINE => Err(Problem::invalid(
                "/audience/recipients",
                format!("{} recipients are too many for one request: at most {MAX_INLINE}, or a CSV", recipients.len()),
            )),
            Self::Recipients(recipients) => Ok((1..).zip(recipients.iter().cloned().map(Ok)).collect()),
            Self::Csv(text) => read_csv(&text).map_err(|error| Problem::invalid("/audience/csv", error.to_string())),
        }
    }
}

/// Reads a form: the part `campaign` is the definition, the part `audience` a CSV.
pub(crate) async fn read_form(request: Request) -> Result<(Bytes, Option<String>), Problem> {
    let malformed = |_| Problem::malformed("the form cannot be read");
    let mut form = Multipart::from_request(request, &()).await.map_err(|_| Problem::malformed("this is not a form"))?;
    let (mut definition, mut csv) = (None, None);
    while let Some(part) = form.next_field().await.map_err(malformed)? {
        match part.name() {
            Some("campaign") => definition = Some(part.bytes().await.map_err(malformed)?),
            Some("audience") => {
                let bytes = part.bytes().await.map_err(malformed)?;
                let text = String::from_utf8(bytes.into())
                    .map_err(|_| Problem::invalid("/audience", "the CSV must be in UTF-8"))?;
                csv = Some(text);
            }
            Some(other) => {
                return Err(Problem::invalid(format!("/{other}"), "the form has the parts campaign and audience"));
            }
            None => {}
        }
    }
    let definition =
        definition.ok_or_else(|| Problem::invalid("/campaign", "the form needs this part: the definition as JSON"))?;
    Ok((definition, csv))
}
