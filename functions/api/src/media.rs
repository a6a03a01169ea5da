//! `/v1/media`: files that messages carry. A file comes in the request, as its body or as a part of a form, or it is put
//! into the bucket beforehand by a presigned request when it is too large for one. Either way its content is checked, and
//! the same bytes are stored once.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{FromRequest, Multipart, Path, Request, State};
use axum::http::{StatusCode, header};
use axum::{Extension, Json};
use futures::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::blob::key;
use shared::campaign::Variant;
use shared::http::auth::Caller;
use shared::http::params::Params;
use shared::http::problem::{FieldError, Problem};
use shared::http::{body, limit};
use shared::id::{AccountId, CampaignId, MediaId, UploadId, WorkspaceId};
use shared::media::{ExpectedUpload, Format, Inspection, Media, MediaKind, allowed, format_of, size};
use shared::store::{Deletion, Registered};
use shared::time::{UnixMillis, rfc3339};

use crate::idempotency::NewId;
use crate::{Api, MAX_BODY_BYTES, view};

/// How long a presigned request works.
const UPLOAD_WITHIN: Duration = Duration::from_secs(3_600);

/// How long an upload can be registered after it was asked for; the bucket's lifecycle rule removes what is left behind.
const REGISTER_WITHIN: Duration = Duration::from_secs(24 * 3_600);

/// Longest file name, in characters.
const MAX_FILE_NAME_CHARS: usize = 240;

/// Files whose rows are read at once.
const READS_AT_ONCE: usize = 16;

/// A file as the API shows it.
#[derive(Serialize)]
struct MediaView {
    id: MediaId,
    kind: MediaKind,
    mime_type: String,
    bytes: u64,
    sha256: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    file_name: Option<String>,
    #[serde(with = "rfc3339")]
    created_at: UnixMillis,
    used: Used,
    uploads: Vec<UploadView>,
}

#[derive(Serialize)]
struct Used {
    campaigns: u32,
}

/// The file at Meta, for one account.
#[derive(Serialize)]
struct UploadView {
    account_id: AccountId,
    #[serde(with = "rfc3339")]
    expires_at: UnixMillis,
}

/// What can be said about a file that is the body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Naming {
    file_name: Option<String>,
}

/// Where a list goes on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Paging {
    limit: Option<String>,
    cursor: Option<MediaId>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RegisterUpload {
    upload_id: UploadId,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewUpload {
    #[serde(default)]
    file_name: Option<String>,
    mime_type: String,
    bytes: u64,
}

/// `POST /v1/media`: the file itself with its content type, a form with the part `file`, or `{"upload_id": …}`. 201, or 200
/// with the file that has the same bytes.
pub(crate) async fn create(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Extension(NewId(id)): Extension<NewId>,
    Params(naming): Params<Naming>,
    request: Request,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let id = MediaId::from_ulid(id);
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type.map(str::to_owned);
    let essence = content_type.as_deref().and_then(|kind| kind.split(';').next()).unwrap_or_default().trim().to_owned();
    let file = match essence.as_str() {
        "application/json" => {
            let RegisterUpload { upload_id } = body::read(&whole(request).await?)?;
            return register_upload(&api, caller.workspace, id, upload_id).await;
        }
        "multipart/form-data" => read_form(request).await?,
        _ => File { bytes: whole(request).await?, declared: content_type, name: None },
    };
    let mut inspection = Inspection::default();
    inspection.take(&file.bytes);
    let inspected = inspection.finish();
    let format =
        inspected.accept(file.declared.as_deref()).map_err(|reason| Problem::invalid("/", reason.to_string()))?;
    let name = file_name(naming.file_name.or(file.name));
    let media = new_media(caller.workspace, id, format, inspected.bytes, inspected.sha256, name);
    if let Some(there) = api.core.media_by_hash(caller.workspace, &media.sha256).await? {
        return answer(&api, &there, if there.id == id { StatusCode::CREATED } else { StatusCode::OK }).await;
    }
    api.bucket.put(&object(&media), file.bytes, &media.mime_type).await?;
    register(&api, media).await
}

struct File {
    bytes: Bytes,
    declared: Option<String>,
    name: Option<String>,
}

async fn whole(request: Request) -> Result<Bytes, Problem> {
    Bytes::from_request(request, &()).await.map_err(|_| too_large())
}

fn too_large() -> Problem {
    Problem::too_large(format!(
        "a request has at most {} (and at most 6 MB on AWS Lambda, base-64 included): ask POST /v1/media/uploads for a place \
         to put a larger file",
        size(u64::try_from(MAX_BODY_BYTES).unwrap_or(u64::MAX))
    ))
}

async fn read_form(request: Request) -> Result<File, Problem> {
    let mut form = Multipart::from_request(request, &()).await.map_err(|_| Problem::malformed("this is not a form"))?;
    let mut file = None;
    while let Some(part) = form.next_field().await.map_err(|_| Problem::malformed("the form cannot be read"))? {
        match part.name() {
            Some("file") => {
                let (declared, name) = (part.content_type().map(str::to_owned), part.file_name().map(str::to_owned));
                let bytes = part.bytes().await.map_err(|_| too_large())?;
                file = Some(File { bytes, declared, name });
            }
            other => {
                let pointer = format!("/{}", other.unwrap_or_default());
                return Err(Problem::invalid(pointer, "the form has one part: file"));
            }
        }
    }
    file.ok_or_else(|| Problem::invalid("/file", "the form needs this part: the file with its content type"))
}

/// A name without a path, of a bearable length.
fn file_name(given: Option<String>) -> Option<String> {
    let given = given?;
    let name = given.rsplit(['/', '\\']).next().unwrap_or_default().trim();
    let name: String = name.chars().filter(|c| !c.is_control()).take(MAX_FILE_NAME_CHARS).collect();
    (!name.is_empty()).then_some(name)
}

fn new_media(
    workspace: WorkspaceId,
    id: MediaId,
    format: &Format,
    bytes: u64,
    sha256: String,
    file_name: Option<String>,
) -> Media {
    Media {
        v: 1,
        id,
        workspace,
        kind: format.kind,
        mime_type: format.mime_type.to_owned(),
        bytes,
        sha256,
        file_name,
        campaigns: 0,
        created_at: UnixMillis::now(),
    }
}

fn object(media: &Media) -> String {
    key::media(media.workspace, &media.sha256, media.id)
}

/// Writes the row of a file whose object is there. Of two requests with the same bytes one wins, and the other's object is
/// removed; a crash in between leaves an object that nothing refers to.
async fn register(api: &Api, media: Media) -> Result<(StatusCode, Json<Value>), Problem> {
    match api.core.register_media(&media).await? {
        Registered::New => answer(api, &media, StatusCode::CREATED).await,
        Registered::There(there) if there.id == media.id => answer(api, &there, StatusCode::CREATED).await,
        Registered::There(there) => {
            if let Err(error) = api.bucket.delete(&object(&media)).await {
                tracing::warn!(media = %media.id, %error, "an object that nothing refers to is left");
            }
            answer(api, &there, StatusCode::OK).await
        }
    }
}

async fn answer(api: &Api, media: &Media, status: StatusCode) -> Result<(StatusCode, Json<Value>), Problem> {
    let shown = serde_json::to_value(show(api, media).await?).map_err(|error| Problem::internal(&error))?;
    Ok((status, Json(shown)))
}

async fn show(api: &Api, media: &Media) -> Result<MediaView, Problem> {
    let uploads = api.core.meta_uploads(media.workspace, media.id).await?;
    let now = UnixMillis::now();
    Ok(MediaView {
        id: media.id,
        kind: media.kind,
        mime_type: media.mime_type.clone(),
        bytes: media.bytes,
        sha256: media.sha256.clone(),
        file_name: media.file_name.clone(),
        created_at: media.created_at,
        used: Used { campaigns: media.campaigns },
        uploads: uploads
            .into_iter()
            .filter(|(_, upload)| upload.meta_id.is_some())
            .filter_map(|(account_id, upload)| Some(UploadView { account_id, expires_at: upload.meta_until? }))
            .filter(|upload| upload.expires_at > now)
            .collect(),
    })
}

/// `POST /v1/media/uploads`: a request by which the client itself puts a large file into the bucket.
pub(crate) async fn expect_upload(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Extension(NewId(id)): Extension<NewId>,
    payload: Bytes,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let new: NewUpload = body::read(&payload)?;
    let format = format_of(&new.mime_type).ok_or_else(|| {
        Problem::invalid("/mime_type", format!("WhatsApp does not take it; allowed are: {}", allowed()))
    })?;
    if !(1..=format.max_bytes).contains(&new.bytes) {
        let reason = format!("{} has 1 byte to {}", format.mime_type, size(format.max_bytes));
        return Err(Problem::invalid("/bytes", reason));
    }
    let now = UnixMillis::now();
    let upload = ExpectedUpload {
        v: 1,
        id: UploadId::from_ulid(id),
        workspace: caller.workspace,
        file_name: file_name(new.file_name),
        mime_type: new.mime_type,
        bytes: new.bytes,
        media: None,
        created_at: now,
        expires_at: now.plus(REGISTER_WITHIN).seconds(),
    };
    let object = key::upload(caller.workspace, upload.id);
    let request = api.bucket.presigned_put(&object, &upload.mime_type, upload.bytes, UPLOAD_WITHIN).await?;
    api.core.expect_upload(&upload).await?;
    let headers: BTreeMap<&str, &str> = request
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .chain([("content-type", upload.mime_type.as_str())])
        .collect();
    let shown = json!({
        "upload_id": upload.id,
        "url": request.url,
        "method": request.method,
        "headers": headers,
        "expires_at": now.plus(UPLOAD_WITHIN).to_rfc3339(),
    });
    Ok((StatusCode::CREATED, Json(shown)))
}

/// Checks what was put into the bucket and makes a file of it. The object streams by, so its size does not matter here.
async fn register_upload(
    api: &Api,
    workspace: WorkspaceId,
    id: MediaId,
    upload_id: UploadId,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let invalid = |reason: String| Problem::invalid("/upload_id", reason);
    let upload = api.core.expected_upload(workspace, upload_id).await?;
    let upload = upload.ok_or_else(|| invalid("there is no such upload, or it is more than a day old".to_owned()))?;
    if let Some(media) = upload.media {
        let media = api.core.media(workspace, media).await?;
        let media = media.ok_or_else(|| invalid("the file that it has become was deleted".to_owned()))?;
        return answer(api, &media, StatusCode::OK).await;
    }
    let from = key::upload(workspace, upload_id);
    let mut opened = match api.bucket.open(&from).await {
        Ok(opened) => opened,
        Err(shared::blob::BlobError::NotFound { .. }) => {
            return Err(Problem::conflict(
                "the file is not there yet: put it to the upload's url first",
                Some("expected"),
            ));
        }
        Err(error) => return Err(error.into()),
    };
    let etag = opened.etag.clone();
    let mut inspection = Inspection::default();
    while let Some(piece) = opened.next().await.map_err(|error| Problem::unavailable(&error))? {
        inspection.take(&piece);
        if inspection.is_too_large() {
            break;
        }
    }
    let inspected = inspection.finish();
    if inspected.bytes != upload.bytes {
        return Err(invalid(format!("the file has {} bytes, not {}", inspected.bytes, upload.bytes)));
    }
    let format = inspected.accept(Some(&upload.mime_type)).map_err(|reason| invalid(reason.to_string()))?;
    let media = new_media(workspace, id, format, inspected.bytes, inspected.sha256, upload.file_name);
    let (status, shown) = match api.core.media_by_hash(workspace, &media.sha256).await? {
        Some(there) => answer(api, &there, StatusCode::OK).await?,
        None => {
            api.bucket.copy(&from, etag, &object(&media), &media.mime_type).await?;
            register(api, media).await?
        }
    };
    let became: Option<MediaId> = shown["id"].as_str().and_then(|id| id.parse().ok());
    if let Some(became) = became {
        api.core.upload_became(workspace, upload_id, became).await?;
    }
    if let Err(error) = api.bucket.delete(&from).await {
        tracing::warn!(upload = %upload_id, %error, "an upload is left to the bucket's lifecycle rule");
    }
    Ok((status, shown))
}

/// `GET /v1/media`.
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Params(paging): Params<Paging>,
) -> Result<Json<Value>, Problem> {
    let limit = limit(paging.limit.as_deref())?;
    let listed = api.core.media_list(caller.workspace, paging.cursor, limit).await?;
    let next = view::next_cursor(&listed, |media| media.id.to_string());
    let api = &*api;
    let media: Vec<MediaView> = futures::stream::iter(listed.rows)
        .map(|media| async move { show(api, &media).await })
        .buffered(READS_AT_ONCE)
        .try_collect()
        .await?;
    Ok(Json(json!({"data": media, "next_cursor": next})))
}

/// `GET /v1/media/{id}`.
pub(crate) async fn one(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let id = id.parse().map_err(|_| Problem::not_found("media"))?;
    let media = api.core.media(caller.workspace, id).await?.ok_or_else(|| Problem::not_found("media"))?;
    answer(&api, &media, StatusCode::OK).await.map(|(_, shown)| shown)
}

/// `DELETE /v1/media/{id}`: 409 while a campaign that is not over carries it. Copies at Meta run out by themselves.
pub(crate) async fn delete(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let id = id.parse().map_err(|_| Problem::not_found("media"))?;
    match api.core.delete_media(caller.workspace, id, UnixMillis::now()).await? {
        Deletion::Done(media) => {
            api.bucket.delete(&object(&media)).await?;
            Ok(StatusCode::NO_CONTENT)
        }
        Deletion::InUse(campaign) => {
            let detail = format!("{campaign} carries this file and is not over: cancel it, or wait for its end");
            Err(Problem::conflict(detail, Some("in_use")))
        }
        Deletion::NoSuchMedia => Err(Problem::not_found("media")),
    }
}

/// The files that the variants carry; a problem that points to each one that is not there or of another kind.
pub(crate) async fn of_variants(
    api: &Api,
    workspace: WorkspaceId,
    variants: &[Variant],
) -> Result<Vec<MediaId>, Problem> {
    let mut errors = Vec::new();
    let mut found: BTreeMap<MediaId, Option<Media>> = BTreeMap::new();
    for (index, variant) in variants.iter().enumerate() {
        for (id, kind) in variant.message.media_of_kinds() {
            if let Entry::Vacant(unknown) = found.entry(id) {
                unknown.insert(api.core.media(workspace, id).await?);
            }
            let reason = match found.get(&id).and_then(Option::as_ref) {
                None => format!("there is no file {id}"),
                Some(media) if media.kind != kind => {
                    format!("{id} is {}, which a message of type {} carries, not {}", media.mime_type, media.kind, kind)
                }
                Some(_) => continue,
            };
            let place = if variant.message.attachment().is_some() { "/media_id" } else { "" };
            errors.push(FieldError { pointer: format!("/variants/{index}/message{place}"), reason });
        }
    }
    if errors.is_empty() { Ok(found.into_keys().collect()) } else { Err(Problem::all_invalid(errors)) }
}

/// Notes that a campaign that is being created carries these files.
pub(crate) async fn note_use(
    api: &Api,
    workspace: WorkspaceId,
    campaign: CampaignId,
    media: &[MediaId],
) -> Result<(), Problem> {
    let now = UnixMillis::now();
    for id in media {
        if !api.core.use_media(workspace, *id, campaign, now).await? {
            return Err(Problem::invalid("/variants", format!("the file {id} was deleted a moment ago")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_has_no_path_and_a_bearable_length() {
        let name = |given: &str| file_name(Some(given.to_owned()));
        assert_eq!(name("C:\\Users\\me\\offer.pdf").as_deref(), Some("offer.pdf"));
        assert_eq!(name("../../etc/passwd").as_deref(), Some("passwd"));
        assert_eq!(name(" 王芳.png\n").as_deref(), Some("王芳.png"));
        assert_eq!(name("a/"), None);
        assert_eq!(name(&"x".repeat(1_000)).unwrap().chars().count(), 240);
    }
}
