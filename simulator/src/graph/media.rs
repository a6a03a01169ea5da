//! Media: upload, look-up, download with a token, deletion. Files live in memory and in the journal.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

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
use crate::world::World;

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
}

#[derive(Debug, Clone)]
pub(crate) struct Media {
    mime_type: String,
    content: Bytes,
}

/// All uploaded files.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    files: HashMap<String, Media>,
    uploads: u64,
}

impl Shelf {
    pub(crate) fn get(&self, id: &str) -> Option<&Media> {
        self.files.get(id)
    }

    pub(crate) fn remove(&mut self, id: &str) -> Option<Media> {
        self.files.remove(id)
    }

    /// Puts a file of an earlier run back.
    pub(crate) fn put(&mut self, record: MediaRecord) {
        let content = STANDARD.decode(record.content_base64).unwrap_or_default().into();
        self.files.insert(record.id, Media { mime_type: record.mime_type, content });
        self.uploads += 1;
    }
}

/// `POST /{phone number id}/media`
pub(crate) async fn upload(
    State(world): State<Arc<World>>,
    Path((_version, node)): Path<(String, String)>,
    form: Multipart,
) -> Result<Json<Value>, GraphError> {
    world.number(&node).ok_or_else(|| GraphError::missing_object("post", &node))?;
    let Media { mime_type, content } = read_form(form).await?;
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
        let now_ms = world.clock.now_ms().to_string();
        let mut shelf = world.shelf();
        let digest = identity::digest(world.config.seed, &["media", &shelf.uploads.to_string(), &now_ms]);
        let id: String = digest.iter().take(16).map(|byte| char::from(b'1' + byte % 9)).collect();
        if let Some(journal) = &world.journal {
            let content_base64 = STANDARD.encode(&content);
            let record = MediaRecord { id: id.clone(), mime_type: mime_type.clone(), content_base64 };
            journal.append(&Entry::Media(Cow::Owned(record))).map_err(|error| {
                tracing::error!(%error, "media not journalled");
                GraphError::coded(131_000)
            })?;
        }
        shelf.uploads += 1;
        shelf.files.insert(id.clone(), Media { mime_type, content });
        id
    };
    Ok(Json(json!({ "id": id })))
}

async fn read_form(mut form: Multipart) -> Result<Media, GraphError> {
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
    Ok(Media { mime_type, content })
}

/// `GET /{media id}`: where the file can be fetched from for the next five minutes.
pub(crate) fn describe(world: &World, id: &str) -> Option<Value> {
    let shelf = world.shelf();
    let media = shelf.get(id)?;
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
    let media = world.shelf().get(&url.mid).filter(|_| is_current).cloned();
    match media {
        Some(media) => ([(CONTENT_TYPE, media.mime_type)], media.content).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// `DELETE /{media id}`
pub(crate) async fn delete(
    State(world): State<Arc<World>>,
    Path((_version, node)): Path<(String, String)>,
) -> Result<Json<Value>, GraphError> {
    let removed = world.shelf().remove(&node);
    if removed.is_none() {
        return Err(GraphError::missing_object("delete", &node));
    }
    if let Some(journal) = &world.journal
        && let Err(error) = journal.append(&Entry::MediaDeleted(node))
    {
        tracing::error!(%error, "deletion of media not journalled");
    }
    Ok(Json(json!({ "success": true })))
}
