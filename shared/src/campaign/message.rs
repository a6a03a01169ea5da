//! The message of a variant as the operator writes it, with `{{variables}}` and links to be filled per recipient.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::render::{self, Fields, Filled, Unfilled};
use crate::id::MediaId;
use crate::media::MediaKind;
use crate::template::language_code;

/// A message in the API's shape. Its `Debug` shows the type only, never the text.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Message {
    /// Free-form text; the recipient's service window must be open.
    Text {
        /// The text.
        text: Text,
    },
    /// An approved template.
    Template {
        /// Which, and its parameters.
        template: Template,
    },
    /// Buttons, lists and the like, in Meta's shape; the recipient's service window must be open.
    Interactive {
        /// Meta's `interactive` object with placeholders in its texts.
        interactive: Value,
    },
    /// A picture; the recipient's service window must be open, as for all of the following.
    Image(Attachment),
    /// A film.
    Video(Attachment),
    /// A file.
    Document(Attachment),
    /// Sound.
    Audio(Attachment),
    /// A sticker.
    Sticker(Attachment),
}

/// A file that is the message.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attachment {
    /// A stored file; this or `link`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_id: Option<MediaId>,
    /// Where Meta fetches the file itself, over https; Meta keeps it for 10 minutes (Meta, media messages).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// Stands below the file; at most 1,024 characters once filled; none for sound and stickers (Meta, media messages).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caption: Option<String>,
    /// What a document is called; its ending decides the icon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_name: Option<String>,
}

/// The body of a text message.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// At most 4,096 characters once filled (Meta, text messages).
    pub body: String,
    /// Whether WhatsApp shows a preview of the first link. Off by default: previews make machines follow it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub preview_url: bool,
}

/// A template and what fills it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// The template's name.
    pub name: String,
    /// Its language, such as `en_US`.
    pub language: String,
    /// Meta's components with placeholders; a parameter `{"type":"link","url":…}` becomes the recipient's short link.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<Value>,
}

/// Why a variant's message cannot be used at all; each names the place in the message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Nothing to send.
    #[error("the text is empty")]
    EmptyText,
    /// A placeholder is not closed or has no name.
    #[error("a placeholder is not well formed: write {{{{name}}}} or {{{{name|default}}}}")]
    MalformedPlaceholder,
    /// A link parameter without an http(s) address.
    #[error("a link parameter needs an http or https address without user name and password")]
    NotALink,
    /// A file is named twice or not at all.
    #[error("name the file by exactly one of media_id and link")]
    OneSource,
    /// What Meta fetches by itself must be on the web.
    #[error("the link of a file must be an https address without user name and password")]
    NotHttps,
    /// Sound and stickers stand alone.
    #[error("a message of this type has no caption")]
    NoCaption,
    /// Only documents are called something.
    #[error("only a document has a file_name")]
    NoFileName,
    /// Not an id of a stored file.
    #[error("media_id must be the id of a stored file: med_ followed by 26 characters")]
    MalformedMediaId,
}

/// Longest text body (Meta, text messages).
pub const MAX_TEXT_CHARS: usize = 4_096;

/// Longest caption (Meta, media messages).
pub const MAX_CAPTION_CHARS: usize = 1_024;

impl Message {
    /// A plain text message.
    #[must_use]
    pub fn text(body: &str) -> Self {
        Self::Text { text: Text { body: body.to_owned(), preview_url: false } }
    }

    /// Meta's name of the type.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Text { .. } => "text",
            Self::Template { .. } => "template",
            Self::Interactive { .. } => "interactive",
            Self::Image(_) => "image",
            Self::Video(_) => "video",
            Self::Document(_) => "document",
            Self::Audio(_) => "audio",
            Self::Sticker(_) => "sticker",
        }
    }

    /// The template that is the message, if it is one.
    #[must_use]
    pub const fn template(&self) -> Option<&Template> {
        match self {
            Self::Template { template } => Some(template),
            _ => None,
        }
    }

    /// The file that is the message, if it is one.
    #[must_use]
    pub const fn attachment(&self) -> Option<(MediaKind, &Attachment)> {
        match self {
            Self::Text { .. } | Self::Template { .. } | Self::Interactive { .. } => None,
            Self::Image(attachment) => Some((MediaKind::Image, attachment)),
            Self::Video(attachment) => Some((MediaKind::Video, attachment)),
            Self::Document(attachment) => Some((MediaKind::Document, attachment)),
            Self::Audio(attachment) => Some((MediaKind::Audio, attachment)),
            Self::Sticker(attachment) => Some((MediaKind::Sticker, attachment)),
        }
    }

    /// The stored files that it carries, each once, with the kind that each must be.
    #[must_use]
    pub fn media_of_kinds(&self) -> Vec<(MediaId, MediaKind)> {
        let mut found = Vec::new();
        match self {
            Self::Text { .. } => {}
            Self::Template { template } => template.components.iter().for_each(|c| collect_media(c, &mut found)),
            Self::Interactive { interactive } => collect_media(interactive, &mut found),
            Self::Image(_) | Self::Video(_) | Self::Document(_) | Self::Audio(_) | Self::Sticker(_) => {
                let named = self.attachment().and_then(|(kind, attachment)| Some((attachment.media_id?, kind)));
                found.extend(named);
            }
        }
        let mut unique: Vec<(MediaId, MediaKind)> = Vec::new();
        for one in found {
            if !unique.contains(&one) {
                unique.push(one);
            }
        }
        unique
    }

    /// The stored files that it carries, each once.
    #[must_use]
    pub fn media(&self) -> Vec<MediaId> {
        let mut media: Vec<MediaId> = self.media_of_kinds().into_iter().map(|(id, _)| id).collect();
        media.sort();
        media.dedup();
        media
    }

    /// The destinations that can be tracked, each once, in the order in which they stand in the message.
    ///
    /// # Errors
    /// [`Unusable`] when the message cannot be sent to anybody.
    pub fn links(&self) -> Result<Vec<String>, Unusable> {
        let mut found = Vec::new();
        match self {
            Self::Text { text } => {
                if text.body.trim().is_empty() {
                    return Err(Unusable::EmptyText);
                }
                collect_text(&text.body, &mut found)?;
            }
            Self::Template { template } => {
                for component in &template.components {
                    collect_template(component, &mut found)?;
                }
            }
            Self::Interactive { interactive } => collect_interactive(interactive, &mut found)?,
            Self::Image(one) | Self::Video(one) | Self::Document(one) | Self::Audio(one) | Self::Sticker(one) => {
                self.check_attachment(one)?;
                if let Some(caption) = &one.caption {
                    collect_text(caption, &mut found)?;
                }
            }
        }
        let mut unique: Vec<String> = Vec::new();
        for url in found {
            if !unique.contains(&url) {
                unique.push(url);
            }
        }
        Ok(unique)
    }

    fn check_attachment(&self, attachment: &Attachment) -> Result<(), Unusable> {
        let Attachment { media_id, link, caption, file_name } = attachment;
        if media_id.is_some() == link.is_some() {
            return Err(Unusable::OneSource);
        }
        if link.as_deref().is_some_and(|link| !link.starts_with("https://") || !render::is_trackable(link)) {
            return Err(Unusable::NotHttps);
        }
        if caption.is_some() && matches!(self, Self::Audio(_) | Self::Sticker(_)) {
            return Err(Unusable::NoCaption);
        }
        match file_name {
            Some(_) if !matches!(self, Self::Document(_)) => Err(Unusable::NoFileName),
            Some(name) => render::check(name).map_err(|_| Unusable::MalformedPlaceholder),
            None => Ok(()),
        }
    }

    /// The part of Meta's send body that carries the message, filled for one recipient: `{"type":…, <type>:{…}}`.
    ///
    /// # Errors
    /// [`Unfilled`]: this recipient must be skipped, with this reason.
    pub fn fill(&self, fields: &Fields<'_>) -> Result<Value, Unfilled> {
        Ok(match self {
            Self::Text { text } => {
                let body = render::fill(&text.body, fields)?;
                let length = body.chars().count();
                if length > MAX_TEXT_CHARS {
                    return Err(Unfilled::TooLong { length, limit: MAX_TEXT_CHARS });
                }
                serde_json::json!({"type": "text", "text": {"body": body, "preview_url": text.preview_url}})
            }
            Self::Template { template } => {
                let components = template.components.iter().map(|c| fill_template(c, fields, false)).collect::<Result<
                    Vec<_>,
                    _,
                >>(
                )?;
                let mut filled = serde_json::json!({
                    "name": template.name,
                    "language": {"code": language_code(&template.language)},
                });
                if !components.is_empty() {
                    filled["components"] = Value::Array(components);
                }
                serde_json::json!({"type": "template", "template": filled})
            }
            Self::Interactive { interactive } => {
                let filled = fill_strings(interactive, fields)?;
                serde_json::json!({"type": "interactive", "interactive": filled})
            }
            Self::Image(one) | Self::Video(one) | Self::Document(one) | Self::Audio(one) | Self::Sticker(one) => {
                let mut filled = serde_json::Map::from_iter([("type".to_owned(), self.kind().into())]);
                filled.insert(self.kind().to_owned(), fill_attachment(one, fields)?);
                Value::Object(filled)
            }
        })
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({})", self.kind())
    }
}

fn collect_text(text: &str, found: &mut Vec<String>) -> Result<(), Unusable> {
    found.extend(render::links(text).map_err(|_| Unusable::MalformedPlaceholder)?);
    Ok(())
}

/// Texts of an approved template cannot be changed, so only its `link` parameters are tracked.
fn collect_template(component: &Value, found: &mut Vec<String>) -> Result<(), Unusable> {
    match component {
        Value::Object(map) if map.get("type").and_then(Value::as_str) == Some("link") => {
            let url = map.get("url").and_then(Value::as_str).unwrap_or_default();
            if !render::is_trackable(url) {
                return Err(Unusable::NotALink);
            }
            found.push(url.to_owned());
            Ok(())
        }
        Value::Object(map) => {
            check_media_id(map)?;
            map.values().try_for_each(|value| collect_template(value, found))
        }
        Value::Array(list) => list.iter().try_for_each(|value| collect_template(value, found)),
        Value::String(text) => render::check(text).map_err(|_| Unusable::MalformedPlaceholder),
        _ => Ok(()),
    }
}

fn collect_interactive(value: &Value, found: &mut Vec<String>) -> Result<(), Unusable> {
    match value {
        Value::Object(map) => {
            check_media_id(map)?;
            map.values().try_for_each(|value| collect_interactive(value, found))
        }
        Value::Array(list) => list.iter().try_for_each(|value| collect_interactive(value, found)),
        Value::String(text) => collect_text(text, found),
        _ => Ok(()),
    }
}

/// `{"media_id": "med_…"}` stands wherever Meta's shape has `{"id": …}`.
fn check_media_id(map: &Map<String, Value>) -> Result<(), Unusable> {
    match map.get("media_id").map(|id| id.as_str().and_then(|id| id.parse::<MediaId>().ok())) {
        Some(None) => Err(Unusable::MalformedMediaId),
        Some(Some(_)) if map.contains_key("id") || map.contains_key("link") => Err(Unusable::OneSource),
        Some(Some(_)) | None => Ok(()),
    }
}

/// The kind is told by the key that the object stands under: `{"image": {"media_id": …}}`.
fn collect_media(value: &Value, found: &mut Vec<(MediaId, MediaKind)>) {
    use MediaKind::{Audio, Document, Image, Sticker, Video};
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let kind = [Image, Video, Document, Audio, Sticker].into_iter().find(|kind| kind.as_str() == key);
                let id = value.get("media_id").and_then(Value::as_str).and_then(|id| id.parse().ok());
                if let (Some(kind), Some(id)) = (kind, id) {
                    found.push((id, kind));
                }
                collect_media(value, found);
            }
        }
        Value::Array(list) => list.iter().for_each(|value| collect_media(value, found)),
        _ => {}
    }
}

fn fill_attachment(attachment: &Attachment, fields: &Fields<'_>) -> Result<Value, Unfilled> {
    let mut filled = Map::new();
    match (attachment.media_id, &attachment.link) {
        (Some(media), _) => {
            let id = (fields.media)(media).ok_or(Unfilled::NoMedia(media))?;
            filled.insert("id".to_owned(), id.into());
        }
        (None, link) => {
            filled.insert("link".to_owned(), link.clone().into());
        }
    }
    if let Some(caption) = &attachment.caption {
        let caption = render::fill(caption, fields)?;
        let length = caption.chars().count();
        if length > MAX_CAPTION_CHARS {
            return Err(Unfilled::TooLong { length, limit: MAX_CAPTION_CHARS });
        }
        filled.insert("caption".to_owned(), caption.into());
    }
    if let Some(name) = &attachment.file_name {
        filled.insert("filename".to_owned(), render::fill_without_links(name, fields)?.into());
    }
    Ok(Value::Object(filled))
}

/// A key of Meta's shape and its value, each filled by `fill`; a stored file becomes Meta's id of it.
fn fill_member(
    key: &str,
    value: &Value,
    fields: &Fields<'_>,
    fill: impl FnOnce(&Value) -> Result<Value, Unfilled>,
) -> Result<(String, Value), Unfilled> {
    match value.as_str().filter(|_| key == "media_id").and_then(|id| id.parse::<MediaId>().ok()) {
        Some(media) => {
            let id = (fields.media)(media).ok_or(Unfilled::NoMedia(media))?;
            Ok(("id".to_owned(), id.into()))
        }
        None => Ok((key.to_owned(), fill(value)?)),
    }
}

/// A URL button's variable is the suffix of an approved address, so inside such a button the code alone is filled in;
/// anywhere else it is the whole short link.
fn fill_template(value: &Value, fields: &Fields<'_>, inside_url_button: bool) -> Result<Value, Unfilled> {
    match value {
        Value::Object(map) if map.get("type").and_then(Value::as_str) == Some("link") => {
            let url = map.get("url").and_then(Value::as_str).unwrap_or_default();
            let text = match (fields.link)(url) {
                Some(Filled { code, .. }) if inside_url_button => code,
                Some(Filled { short_url, .. }) => short_url,
                None => url.to_owned(),
            };
            let mut parameter = serde_json::json!({"type": "text", "text": text});
            if let Some(name) = map.get("parameter_name") {
                parameter["parameter_name"] = name.clone();
            }
            Ok(parameter)
        }
        Value::Object(map) => {
            let sub_type = map.get("sub_type").and_then(Value::as_str);
            let inside_url_button = inside_url_button || sub_type.is_some_and(|s| s.eq_ignore_ascii_case("url"));
            map.iter()
                .map(|(key, value)| {
                    fill_member(key, value, fields, |value| fill_template(value, fields, inside_url_button))
                })
                .collect::<Result<Map<_, _>, Unfilled>>()
                .map(Value::Object)
        }
        Value::Array(list) => {
            let filled = list.iter().map(|value| fill_template(value, fields, inside_url_button));
            filled.collect::<Result<Vec<_>, _>>().map(Value::Array)
        }
        Value::String(text) => render::fill_without_links(text, fields).map(Value::String),
        other => Ok(other.clone()),
    }
}

fn fill_strings(value: &Value, fields: &Fields<'_>) -> Result<Value, Unfilled> {
    match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, value)| fill_member(key, value, fields, |value| fill_strings(value, fields)))
            .collect::<Result<Map<_, _>, Unfilled>>()
            .map(Value::Object),
        Value::Array(list) => {
            list.iter().map(|v| fill_strings(v, fields)).collect::<Result<Vec<_>, _>>().map(Value::Array)
        }
        Value::String(text) => render::fill(text, fields).map(Value::String),
        other => Ok(other.clone()),
    }
}

#[cfg(test)]
mod tests;
