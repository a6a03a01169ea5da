//! The audience of a new campaign as a request names it: recipients one by one, a CSV in the request or as a part of a
//! form, a file that was uploaded, or an import of contacts. What is small is planned within the request.

use axum::body::Bytes;
use axum::extract::{FromRequest, Multipart, Request};
use serde::Deserialize;
use shared::blob::audience::{from_memory, lines_of};
use shared::blob::{BlobError, key};
use shared::campaign::audience::{AudienceSource, Columns, Line, LineReader, NumberedLine, UnreadableCsv};
use shared::http::problem::Problem;
use shared::id::{ImportId, UploadId, WorkspaceId};
use shared::import::ImportStatus;
use ulid::Ulid;

use crate::Api;
use crate::draft::{Audience, unreadable};

/// Most recipients that a request may name one by one.
const MAX_INLINE: usize = 10_000;

/// More lines than these are left to a job: planning them takes longer than somebody who waits likes (some 5 s on
/// Lambda), and API Gateway gives up after 30 s.
pub(crate) const PLANNED_AT_ONCE: u64 = 20_000;

/// The field `audience` of a request.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AudienceField {
    #[serde(default)]
    recipients: Option<Vec<Line>>,
    #[serde(default)]
    csv: Option<String>,
    #[serde(default)]
    upload_id: Option<UploadId>,
    #[serde(default)]
    import_id: Option<ImportId>,
    /// Which column of a CSV means what.
    #[serde(default)]
    columns: Columns,
    /// Whether messages may leave before the last line was read.
    #[serde(default)]
    start_early: bool,
}

/// The audience that the request names. `new` is the id of what the request creates.
pub(crate) async fn of(
    api: &Api,
    workspace: WorkspaceId,
    new: Ulid,
    field: Option<AudienceField>,
    part: Option<Bytes>,
) -> Result<Audience, Problem> {
    let AudienceField { recipients, csv, upload_id, import_id, columns, start_early } = field.unwrap_or_default();
    let sources = [recipients.is_some(), csv.is_some(), upload_id.is_some(), import_id.is_some(), part.is_some()];
    if sources.into_iter().filter(|named| *named).count() > 1 {
        let reason = "name one source only: recipients, csv, upload_id or import_id";
        return Err(Problem::invalid("/audience", reason));
    }
    if !columns.is_empty() && (recipients.is_some() || import_id.is_some()) {
        return Err(Problem::invalid("/audience/columns", "only a CSV has columns"));
    }
    if let Some(recipients) = recipients {
        return listed(recipients);
    }
    if let Some(import) = import_id {
        return imported(api, workspace, import, start_early).await;
    }
    if let Some(upload) = upload_id {
        let source = uploaded(api, key::upload(workspace, upload), columns).await?;
        return Ok(Audience::Later { source, start_early });
    }
    let csv = csv.map(Bytes::from).or(part);
    let csv = csv.ok_or_else(|| Problem::invalid("/audience", "name recipients, or give a csv"))?;
    if line_breaks(&csv) <= PLANNED_AT_ONCE {
        let lines = read(&csv, columns).map_err(|error| Problem::invalid(place(&error), error.to_string()))?;
        return Ok(Audience::Now(from_memory(lines)));
    }
    let key = key::upload(workspace, UploadId::from_ulid(new));
    api.bucket.put(&key, csv, "text/csv").await?;
    Ok(Audience::Later { source: uploaded(api, key, columns).await?, start_early })
}

fn listed(recipients: Vec<Line>) -> Result<Audience, Problem> {
    if recipients.len() > MAX_INLINE {
        return Err(Problem::invalid(
            "/audience/recipients",
            format!("{} recipients are too many for one request: at most {MAX_INLINE}, or a CSV", recipients.len()),
        ));
    }
    let lines: Vec<NumberedLine> = (1..).zip(recipients.into_iter().map(Ok)).collect();
    Ok(Audience::Now(from_memory(lines)))
}

/// A file in the bucket, in the version that it has now.
async fn uploaded(api: &Api, key: String, columns: Columns) -> Result<AudienceSource, Problem> {
    match api.bucket.head(&key).await {
        Ok(stored) => Ok(AudienceSource::Csv { key, etag: stored.etag, columns }),
        Err(BlobError::NotFound { .. }) => {
            Err(Problem::invalid("/audience/upload_id", "nothing was uploaded under this id yet"))
        }
        Err(error) => Err(error.into()),
    }
}

async fn imported(api: &Api, workspace: WorkspaceId, id: ImportId, start_early: bool) -> Result<Audience, Problem> {
    let wrong = |reason: &str| Problem::invalid("/audience/import_id", reason);
    let import = api.core.import(workspace, id).await?.ok_or_else(|| wrong("there is no such import"))?;
    match import.status {
        ImportStatus::Completed => {}
        ImportStatus::Running => return Err(wrong("the import is not complete yet")),
        ImportStatus::Failed => return Err(wrong("the import has failed")),
    }
    let source = AudienceSource::Import { import: id };
    if import.lines > PLANNED_AT_ONCE {
        return Ok(Audience::Later { source, start_early });
    }
    let lines = lines_of(&api.core, &api.bucket, workspace, &source).await;
    Ok(Audience::Now(lines.map_err(|error| unreadable(&error))?))
}

/// The lines of a CSV that is held whole.
pub(crate) fn read(csv: &[u8], columns: Columns) -> Result<Vec<NumberedLine>, UnreadableCsv> {
    let mut reader = LineReader::new(columns);
    let mut lines = reader.push(csv)?;
    lines.extend(reader.finish()?);
    Ok(lines)
}

/// Where in the request the mistake is.
fn place(error: &UnreadableCsv) -> String {
    match error {
        UnreadableCsv::NoSuchColumn(field) => format!("/audience/columns/{field}"),
        _ => "/audience/csv".to_owned(),
    }
}

/// At least as many as there are lines, less the last one.
pub(crate) fn line_breaks(csv: &[u8]) -> u64 {
    let breaks = csv.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count();
    u64::try_from(breaks).unwrap_or(u64::MAX)
}

/// The parts of a form by their names, each at most once.
pub(crate) async fn read_form<const N: usize>(
    request: Request,
    names: [&str; N],
) -> Result<[Option<Bytes>; N], Problem> {
    let malformed = |_| Problem::malformed("the form cannot be read");
    let mut form = Multipart::from_request(request, &()).await.map_err(|_| Problem::malformed("this is not a form"))?;
    let mut parts = [const { None }; N];
    while let Some(part) = form.next_field().await.map_err(malformed)? {
        let Some(name) = part.name().map(str::to_owned) else {
            continue;
        };
        let place = names.iter().position(|known| *known == name);
        let place = place
            .ok_or_else(|| Problem::invalid(format!("/{name}"), format!("the form has {}", names.join(" and "))))?;
        parts[place] = Some(part.bytes().await.map_err(malformed)?);
    }
    Ok(parts)
}
