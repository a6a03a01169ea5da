//! `/v1/contacts/import`: contacts from a CSV in the request or from an uploaded file. A small file is imported within the
//! request, a large one by a job.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, Path, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};
use shared::blob::audience::{CsvFile, UnreadableList, from_memory};
use shared::blob::{BlobError, key};
use shared::campaign::audience::{Columns, Skipped, UnreadableCsv};
use shared::http::auth::Caller;
use shared::http::params::Params;
use shared::http::problem::Problem;
use shared::http::{body, limit};
use shared::id::{ImportId, UploadId};
use shared::import::run::{NotImported, run};
use shared::import::{Import, ImportFile};
use shared::phone::Region;
use shared::queue::DispatchCommand;
use shared::time::UnixMillis;

use crate::Api;
use crate::audience::{line_breaks, read, read_form};
use crate::draft::unreadable;
use crate::idempotency::NewId;

/// More lines than these are left to a job: each is some four writes.
const IMPORTED_AT_ONCE: u64 = 2_000;

/// Rows of a CSV of rejects at most; the header `x-next-cursor` tells where to go on.
const CSV_ROWS: usize = 20_000;

/// Batches that are looked through for one page of rejects.
const BATCHES_A_REQUEST: u32 = 100;

/// How a file is to be read, besides the file.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    #[serde(default)]
    upload_id: Option<UploadId>,
    #[serde(default)]
    columns: Columns,
    #[serde(default)]
    default_region: Option<Region>,
}

/// The same as query parameters, for a request whose body is the file.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Query {
    /// JSON.
    columns: Option<String>,
    default_region: Option<Region>,
}

/// What is asked for of a list of rejects.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    limit: Option<String>,
    cursor: Option<String>,
    format: Option<String>,
}

/// Where the file is.
enum Source {
    Body(Bytes),
    Uploaded(ImportFile),
}

/// `POST /v1/contacts/import`.
pub(crate) async fn create(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Extension(NewId(id)): Extension<NewId>,
    Params(query): Params<Query>,
    request: Request,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let (file, options) = read_request(request, query).await?;
    let id = ImportId::from_ulid(id);
    let workspace = caller.workspace;
    // A run after a crash goes on with its own import.
    let import = api.core.import(workspace, id).await?.unwrap_or_else(|| Import {
        columns: options.columns,
        default_region: options.default_region,
        ..Import::new(id, workspace, UnixMillis::now())
    });
    let source = match (file, options.upload_id) {
        (Some(csv), None) if line_breaks(&csv) <= IMPORTED_AT_ONCE => Source::Body(csv),
        (Some(csv), None) => {
            let key = key::upload(workspace, UploadId::from_ulid(id.ulid()));
            api.bucket.put(&key, csv, "text/csv").await?;
            Source::Uploaded(uploaded(&api, key).await?)
        }
        (None, Some(upload)) => Source::Uploaded(uploaded(&api, key::upload(workspace, upload)).await?),
        (None, None) => return Err(Problem::invalid("/", "send a CSV, or name an upload_id")),
        (Some(_), Some(_)) => return Err(Problem::invalid("/upload_id", "send a CSV or name an upload_id, not both")),
    };
    match source {
        Source::Body(csv) => import_now(&api, import, &csv).await,
        Source::Uploaded(file) => import_later(&api, Import { file: Some(file), ..import }).await,
    }
}

async fn read_request(request: Request, query: Query) -> Result<(Option<Bytes>, Options), Problem> {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_owned();
    let columns = query.columns.map(|columns| {
        serde_json::from_str(&columns).map_err(|_| Problem::invalid("/columns", "must be a JSON object of texts"))
    });
    let asked = Options {
        upload_id: None,
        columns: columns.transpose()?.unwrap_or_default(),
        default_region: query.default_region,
    };
    if kind == "multipart/form-data" {
        let [file, options] = read_form(request, ["file", "options"]).await?;
        let options = options.map(|json| body::read(&json)).transpose()?;
        return Ok((file, options.unwrap_or(asked)));
    }
    let bytes = Bytes::from_request(request, &()).await;
    let bytes = bytes.map_err(|_| Problem::too_large("a body has at most 10 MiB: upload a larger file"))?;
    match kind.as_str() {
        "text/csv" => Ok((Some(bytes), asked)),
        "application/json" => Ok((None, body::read(&bytes)?)),
        _ => Err(Problem::unsupported_media_type(
            "send text/csv, multipart/form-data with the parts file and options, or application/json with an upload_id",
        )),
    }
}

/// A file in the bucket, in the version that it has now.
async fn uploaded(api: &Api, key: String) -> Result<ImportFile, Problem> {
    match api.bucket.head(&key).await {
        Ok(stored) => Ok(ImportFile { key, etag: stored.etag }),
        Err(BlobError::NotFound { .. }) => {
            Err(Problem::invalid("/upload_id", "nothing was uploaded under this id yet"))
        }
        Err(error) => Err(error.into()),
    }
}

async fn import_now(api: &Api, import: Import, csv: &[u8]) -> Result<(StatusCode, Json<Value>), Problem> {
    let lines = read(csv, import.columns.clone()).map_err(|error| match &error {
        UnreadableCsv::NoSuchColumn(field) => Problem::invalid(format!("/columns/{field}"), error.to_string()),
        _ => Problem::invalid("/", error.to_string()),
    })?;
    let bytes = u64::try_from(csv.len()).unwrap_or(u64::MAX);
    let file = CsvFile { lines: from_memory(lines), bytes, read: Arc::new(AtomicU64::new(bytes)) };
    api.core.create_import(&import).await?;
    let done = match run(&api.core, &api.bucket, import.clone(), file, &mut ()).await {
        Ok(import) => import,
        // An earlier run of this very request has done it.
        Err(NotImported::Stopped) => api.core.import(import.workspace, import.id).await?.unwrap_or(import),
        Err(NotImported::Lines(error)) => return Err(unreadable(&error)),
        Err(NotImported::Store(error)) => return Err(error.into()),
        Err(NotImported::Blob(error)) => return Err(error.into()),
        Err(error @ NotImported::Json(_)) => return Err(Problem::internal(&error)),
    };
    Ok((StatusCode::CREATED, Json(view_of(&done))))
}

async fn import_later(api: &Api, import: Import) -> Result<(StatusCode, Json<Value>), Problem> {
    let command = DispatchCommand::Import { workspace: import.workspace, import: import.id };
    api.core.open_job(&command, UnixMillis::now()).await?;
    let created = api.core.create_import(&import).await?;
    let stored = if created { None } else { api.core.import(import.workspace, import.id).await? };
    if let Err(error) = api.dispatch.send(&command, Duration::ZERO).await {
        tracing::warn!(import = %import.id, %error, "dispatch could not be woken; its schedule will do it");
    }
    Ok((StatusCode::ACCEPTED, Json(view_of(&stored.unwrap_or(import)))))
}

/// `GET /v1/contacts/imports/{id}`.
pub(crate) async fn one(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    Ok(Json(view_of(&find(&api, caller, &id).await?)))
}

/// `GET /v1/contacts/imports/{id}/rejects`: every line that was not taken, with its reason.
pub(crate) async fn rejects(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Params(asked): Params<Asked>,
) -> Result<Response, Problem> {
    let import = find(&api, caller, &id).await?;
    let csv = match asked.format.as_deref() {
        None | Some("json") => false,
        Some("csv") => true,
        Some(_) => return Err(Problem::invalid("/format", "must be json or csv")),
    };
    let most = if csv { CSV_ROWS } else { limit(asked.limit.as_deref())? };
    let from = asked.cursor.as_deref().map_or(Some(Cursor::default()), Cursor::read);
    let from = from.ok_or_else(|| Problem::invalid("/cursor", "must be the next_cursor of an earlier page"))?;
    let (rows, next) = rejects_from(&api, &import, from, most).await?;
    let next = next.map(|cursor| format!("{}-{}", cursor.batch, cursor.offset));
    if !csv {
        return Ok(Json(json!({"data": rows, "next_cursor": next})).into_response());
    }
    let mut response = as_csv(&rows)?.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/csv; charset=utf-8"));
    if let Some(next) = next.and_then(|next| next.parse().ok()) {
        headers.insert("x-next-cursor", next);
    }
    Ok(response)
}

/// A place in the lists of rejects, which lie batch by batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cursor {
    batch: u32,
    offset: usize,
}

impl Cursor {
    fn read(text: &str) -> Option<Self> {
        let (batch, offset) = text.split_once('-')?;
        Some(Self { batch: batch.parse().ok()?, offset: offset.parse().ok()? })
    }
}

async fn rejects_from(
    api: &Api,
    import: &Import,
    from: Cursor,
    most: usize,
) -> Result<(Vec<Skipped>, Option<Cursor>), Problem> {
    let (mut rows, mut offset) = (Vec::new(), from.offset);
    let end = import.batches.min(from.batch.saturating_add(BATCHES_A_REQUEST));
    for batch in from.batch..end {
        let key = key::import_rejected(import.workspace, import.id, batch);
        let found: Vec<Skipped> = api.bucket.ndjson(&key).await.map_err(|error| match error {
            UnreadableList::Blob(error) => Problem::from(error),
            UnreadableList::Damaged(error) => Problem::internal(&error),
        })?;
        let room = most - rows.len();
        let left = found.len().saturating_sub(offset);
        rows.extend(found.into_iter().skip(offset).take(room));
        if left > room {
            return Ok((rows, Some(Cursor { batch, offset: offset + room })));
        }
        offset = 0;
    }
    Ok((rows, (end < import.batches).then_some(Cursor { batch: end, offset: 0 })))
}

fn as_csv(rows: &[Skipped]) -> Result<Vec<u8>, Problem> {
    let failed = |error: csv::Error| Problem::internal(&error);
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["line", "phone", "reason"]).map_err(failed)?;
    for row in rows {
        writer.write_record([&row.line.to_string(), &harmless(&row.phone), &row.reason]).map_err(failed)?;
    }
    writer.into_inner().map_err(|error| Problem::internal(&error))
}

/// A spreadsheet takes a text that begins with one of these for a formula; a number as people write it is none.
fn harmless(text: &str) -> String {
    let number = text.strip_prefix('+').unwrap_or(text);
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b' ');
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if formula && !is_number { format!("'{text}") } else { text.to_owned() }
}

async fn find(api: &Api, caller: Caller, id: &str) -> Result<Import, Problem> {
    let id = id.parse().map_err(|_| Problem::not_found("import"))?;
    api.core.import(caller.workspace, id).await?.ok_or_else(|| Problem::not_found("import"))
}

fn view_of(import: &Import) -> Value {
    json!({
        "id": import.id,
        "status": import.status,
        "failed": import.failed,
        "lines": import.lines,
        "created": import.created,
        "updated": import.updated,
        "duplicates": import.duplicates,
        "rejected": import.rejected,
        "progress": import.progress(),
        "errors": import.errors,
        "rejects_url": format!("/v1/contacts/imports/{}/rejects?format=csv", import.id),
        "created_at": import.created_at.to_rfc3339(),
        "finished_at": import.finished_at.map(UnixMillis::to_rfc3339),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_spreadsheet_would_run_is_quoted() {
        for (text, expected) in [
            ("+60 12 345", "+60 12 345"),
            ("=1+1", "'=1+1"),
            ("+1+cmd|'/c calc'!A0", "'+1+cmd|'/c calc'!A0"),
            ("@x", "'@x"),
            ("12", "12"),
            ("", ""),
        ] {
            assert_eq!(harmless(text), expected);
        }
    }

    #[test]
    fn a_cursor_is_read_back() {
        assert_eq!(Cursor::read("12-250"), Some(Cursor { batch: 12, offset: 250 }));
        assert_eq!((Cursor::read("12"), Cursor::read("-1-2"), Cursor::read("")), (None, None, None));
    }
}
