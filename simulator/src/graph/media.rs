//! Media: upload, look-up, download with a token, deletion, expiry. Files live in memory and in the journal.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Multipart, Path, Query, State};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::graph::error::GraphError;
use crate::graph::router::check_token;
use crate::identity;
use crate::journal::Entry;
use crate::ledger::MediaUpload;
use crate::world::World;

/// An uploaded file can be sent for 30 days ("Media" of the Cloud API), compressed like everything that people wait for.
const MEDIA_LIFE_S: f64 = 30.0 * 24.0 * 3_600.0;
/// However compressed, a file lives as long as a campaign that was started with it may take.
const SHORTEST_MEDIA_LIFE_MS: u64 = 10 * 60 * 1_000;
/// A media URL works for five minutes.
const URL_LIFE_S: u64 = 300;
const MB: usize = 1024 * 1024;
/// MIME types with the largest file of each class, in bytes.
const KINDS: [(&str, usize); 21] = [
    ("audio/aac", 16 * MB),
    ("audio/amr", 16 * MB),
    ("audio/mpeg", 16 * MB),
    ("audio/mp4", 16 * MB),
    ("audio/ogg", 16 * MB),
    ("image/jpeg", 5 * MB),
    ("image/png", 5 * MB),
    ("image/webp", 500 * 1024),
    ("video/mp4", 16 * MB),
    ("video/3gpp", 16 * MB),
    ("text/plain", 100 * MB),
    ("text/csv", 100 * MB),
    ("application/pdf", 100 * MB),
    ("application/vnd.ms-powerpoint", 100 * MB),
    ("application/msword", 100 * MB),
    ("application/vnd.ms-excel", 100 * MB),
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", 100 * MB),
    ("application/vnd.openxmlformats-officedocument.presentationml.presentation", 100 * MB),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", 100 * MB),
    ("application/rtf", 100 * MB),
    ("application/json", 100 * MB),
];

/// An uploaded file, as it is journalled.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct MediaRecord {
    pub(crate) id: String,
    pub(crate) mime_type: String,
    pub(crate) content_base64: String,
    /// Number that uploaded it; empty in journals that are older than this field.
    #[serde(default)]
    pub(crate) phone_number_id: String,
    /// Unix milliseconds; 0 in journals that are older than this field.
    #[serde(default)]
    pub(crate) uploaded_ms: u64,
}

#[derive(Debug, Clone)]
pub(crate) struct Media {
    mime_type: String,
    content: Bytes,
    phone_number_id: String,
    /// Unix milliseconds.
    expires_ms: u64,
}

/// Whether a media id can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// It can.
    Present,
    /// It could, but its time is over.
    Expired,
    /// There is no such file, or it has been deleted.
    Unknown,
}

/// All uploaded files.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    files: HashMap<String, Media>,
    uploads: Vec<MediaUpload>,
}

impl Shelf {
    /// A file that has not expired.
    pub(crate) fn get(&self, id: &str, now_ms: u64) -> Option<&Media> {
        self.files.get(id).filter(|media| now_ms < media.expires_ms)
    }

    pub(crate) fn presence(&self, id: &str, now_ms: u64) -> Presence {
        match self.files.get(id) {
            Some(media) if now_ms < media.expires_ms => Presence::Present,
            Some(_) => Presence::Expired,
            None => Presence::Unknown,
        }
    }

    pub(crate) fn remove(&mut self, id: &str) -> Option<Media> {
        self.files.remove(id)
    }

    /// Lets all files expire that have not yet; how many these are.
    pub(crate) fn expire_all(&mut self, now_ms: u64) -> usize {
        let current = self.files.values_mut().filter(|media| now_ms < media.expires_ms);
        current.map(|media| media.expires_ms = now_ms).count()
    }

    /// Every upload, whatever has become of the file.
    pub(crate) fn uploads(&self) -> &[MediaUpload] {
        &self.uploads
    }

    /// Puts a file on the shelf.
    fn put(&mut self, id: String, media: Media, uploaded_ms: u64) {
        self.uploads.push(MediaUpload {
            id: id.clone(),
            phone_number_id: media.phone_number_id.clone(),
            mime_type: media.mime_type.clone(),
            sha256: hex::encode(Sha256::digest(&media.content)),
            bytes: media.content.len() as u64,
            uploaded_at_ms: uploaded_ms,
        });
        self.files.insert(id, media);
    }

    /// Puts a file of an earlier run back.
    pub(crate) fn restore(&mut self, record: MediaRecord, speed: f64, now_ms: u64) {
        let content = STANDARD.decode(record.content_base64).unwrap_or_default().into();
        let uploaded_ms = if record.uploaded_ms == 0 { now_ms } else { record.uploaded_ms };
        let expires_ms = uploaded_ms + life_ms(speed);
        let media = Media { mime_type: record.mime_type, content, phone_number_id: record.phone_number_id, expires_ms };
        self.put(record.id, media, uploaded_ms);
    }
}

/// How long a file can be sent.
fn life_ms(speed: f64) -> u64 {
    let life = Duration::try_from_secs_f64(MEDIA_LIFE_S / speed).unwrap_or_default();
    u64::try_from(life.as_millis()).unwrap_or(u64::MAX).max(SHORTEST_MEDIA_LIFE_MS)
}

/// `POST /{phone number id}/media`
pub(crate) async fn upload(
    State(world): State<Arc<World>>,
    Path((_version, node)): Path<(String, String)>,
    form: Multipart,
) -> Result<Json<Value>, GraphError> {
    world.number(&node).ok_or_else(|| GraphError::missing_object("post", &node))?;
    let (mime_type, content) = read_form(form).await?;
    let kind = mime_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let Some((_, max_bytes)) = KINDS.iter().find(|(name, _)| *name == kind) else {
        let known = KINDS.map(|(name, _)| name).join(", ");
        let reason = format!(
            "Param file must be a file with one of the following types: {known}. Received file of type '{kind}'."
        );
        return Err(GraphError::invalid(reason));
    };
    if content.is_empty() || content.len() > *max_bytes {
        return Err(GraphError::detailed(131_053, format!("File size must be from 1 to {max_bytes} bytes")));
    }
    let id = {
        let now_ms = world.clock.now_ms();
        let mut shelf = world.shelf();
        let parts = ["media", &shelf.uploads.len().to_string(), &now_ms.to_string()];
        let digest = identity::digest(world.config.seed, &parts);
        let id: String = digest.iter().take(16).map(|byte| char::from(b'1' + byte % 9)).collect();
        if let Some(journal) = &world.journal {
            let content_base64 = STANDARD.encode(&content);
            let record = MediaRecord {
                id: id.clone(),
                mime_type: mime_type.clone(),
                content_base64,
                phone_number_id: node.clone(),
                uploaded_ms: now_ms,
            };
            journal.append(&Entry::Media(Cow::Owned(record))).map_err(|error| {
                tracing::error!(%error, "media not journalled");
                GraphError::coded(131_000)
            })?;
        }
        let expires_ms = now_ms.saturating_add(life_ms(world.config.speed));
        shelf.put(id.clone(), Media { mime_type, content, phone_number_id: node, expires_ms }, now_ms);
        id
    };
    Ok(Json(json!({ "id": id })))
}

async fn read_form(mut form: Multipart) -> Result<(String, Bytes), GraphError> {
    let unreadable = |_| GraphError::detailed(131_053, "The upload could not be read");
    let (mut product, mut declared, mut file) = (None, None, None);
    while let Some(field) = form.next_field().await.map_err(unreadable)? {
        match field.name() {
            Some("messaging_product") => product = Some(field.text().await.map_err(unreadable)?),
            Some("type") => declared = Some(field.text().await.map_err(unreadable)?),
            Some("file") => {
                let mime_type = field.content_type().map(str::to_owned);
                file = Some((mime_type, field.bytes().await.map_err(unreadable)?));
            }
            _ => {}
        }
    }
    if product.as_deref() != Some("whatsapp") {
        return Err(GraphError::invalid("The parameter messaging_product is required."));
    }
    let (mime_type, content) = file.ok_or_else(|| GraphError::invalid("The parameter file is required."))?;
    let mime_type = mime_type.or(declared).unwrap_or_else(|| "application/octet-stream".to_owned());
    Ok((mime_type, content))
}

/// `GET /{media id}`: where the file can be fetched from for the next five minutes. A `phone_number_id` other than that of
/// the upload finds nothing.
pub(crate) fn describe(world: &World, id: &str, phone_number_id: Option<&str>) -> Option<Value> {
    let shelf = world.shelf();
    let media = shelf.get(id, world.clock.now_ms()).filter(|media| media.is_of(phone_number_id))?;
    let expires_s = world.clock.now_ms() / 1_000 + URL_LIFE_S;
    let hash = url_hash(world, id, expires_s);
    let url = format!("{}whatsapp_business/attachments/?mid={id}&ext={expires_s}&hash={hash}", world.graph_url);
    Some(json!({
        "messaging_product": "whatsapp",
        "url": url,
        "mime_type": media.mime_type,
        "sha256": hex::encode(Sha256::digest(&media.content)),
        "file_size": media.content.len().to_string(),
        "id": id,
    }))
}

impl Media {
    fn is_of(&self, phone_number_id: Option<&str>) -> bool {
        phone_number_id.is_none_or(|asked| asked == self.phone_number_id)
    }
}

fn url_hash(world: &World, id: &str, expires_s: u64) -> String {
    hex::encode(&identity::digest(world.config.seed, &["media url", id, &expires_s.to_string()])[..12])
}

/// Query of a media URL.
#[derive(Debug, Deserialize)]
pub(crate) struct MediaUrl {
    mid: String,
    ext: u64,
    hash: String,
}

/// The file itself. A wrong or old URL is a 404, a missing token a 401.
pub(crate) async fn download(
    State(world): State<Arc<World>>,
    Query(url): Query<MediaUrl>,
    headers: HeaderMap,
) -> Response {
    if let Err(error) = check_token(&headers) {
        return error.into_response();
    }
    let is_current = url.ext >= world.clock.now_ms() / 1_000 && url.hash == url_hash(&world, &url.mid, url.ext);
    let media = world.shelf().get(&url.mid, world.clock.now_ms()).filter(|_| is_current).cloned();
    match media {
        Some(media) => ([(CONTENT_TYPE, media.mime_type)], media.content).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// `?phone_number_id=`
#[derive(Debug, Default, Deserialize)]
pub(crate) struct OfNumber {
    phone_number_id: Option<String>,
}

/// `DELETE /{media id}`
pub(crate) async fn delete(
    State(world): State<Arc<World>>,
    Path((_version, node)): Path<(String, String)>,
    Query(of): Query<OfNumber>,
) -> Result<Json<Value>, GraphError> {
    {
        let mut shelf = world.shelf();
        let found =
            shelf.get(&node, world.clock.now_ms()).is_some_and(|media| media.is_of(of.phone_number_id.as_deref()));
        if !found {
            return Err(GraphError::missing_object("delete", &node));
        }
        shelf.remove(&node);
    }
    if let Some(journal) = &world.journal
        && let Err(error) = journal.append(&Entry::MediaDeleted(node))
    {
        tracing::error!(%error, "deletion of media not journalled");
    }
    Ok(Json(json!({ "success": true })))
}
