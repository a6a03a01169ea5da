//! What a file is, by its content, while it streams by: its SHA-256, its length, and whether it is one of the formats that
//! Meta takes. What the sender of the file says it is only decides between readings that the content allows.

use sha2::{Digest, Sha256};

use super::formats::{self, film_fault, iso_brand, jpeg_fault, opus_channels, png_fault, webp};
use super::office::{self, OldOffice, OldOfficeScan};
use super::{Format, LARGEST_BYTES, STILL_STICKER_BYTES, allowed, format_of, size};

/// So much of a file's beginning is kept: all of anything but a document (Meta, media: 16 MB).
const HEAD_BYTES: usize = 16 * 1_024 * 1_024 + 1;

/// So much of its end: the table of contents of an archive with some thousand files.
const TAIL_BYTES: usize = 1_024 * 1_024;

/// A file that is being looked at, piece by piece. Holds at most 18 MiB of it.
#[derive(Debug)]
pub struct Inspection {
    head: Vec<u8>,
    tail: Vec<u8>,
    bytes: u64,
    hash: Sha256,
    is_text: bool,
    old_office: OldOfficeScan,
}

impl Default for Inspection {
    fn default() -> Self {
        Self {
            head: Vec::new(),
            tail: Vec::new(),
            bytes: 0,
            hash: Sha256::new(),
            is_text: true,
            old_office: OldOfficeScan::default(),
        }
    }
}

/// What was found out about a file.
#[derive(Debug)]
pub struct Inspected {
    /// SHA-256 in hexadecimal digits.
    pub sha256: String,
    /// Its length.
    pub bytes: u64,
    content: Content,
}

#[derive(Debug)]
enum Content {
    /// One of Meta's formats; the fault keeps it from being taken nevertheless.
    One { format: &'static Format, fault: Option<String> },
    /// An old office file of one of these applications.
    OldOffice(Vec<&'static Format>),
    /// Anything else, in words.
    Other(String),
}

/// Why a file is not taken: what it is, and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAllowed {
    /// Nothing in it.
    #[error("the file is empty")]
    Empty,
    /// No format that Meta takes.
    #[error("this is {found}, which WhatsApp does not take; allowed are: {}", allowed())]
    Format {
        /// What it is.
        found: String,
    },
    /// The right format, but not the way Meta wants it.
    #[error("this is {mime_type}, but {fault}; WhatsApp wants {only}")]
    Fault {
        /// What it is.
        mime_type: &'static str,
        /// What is wrong with it.
        fault: String,
        /// What Meta wants.
        only: &'static str,
    },
    /// Too much of it.
    #[error("this is {mime_type} with {bytes} bytes; WhatsApp takes up to {}", size(*.limit))]
    TooLarge {
        /// What it is.
        mime_type: &'static str,
        /// Its length.
        bytes: u64,
        /// Meta's limit.
        limit: u64,
    },
    /// It was said to be something else.
    #[error("this is {found}, but was sent as {declared}; send it as what it is")]
    Mismatch {
        /// What it is.
        found: String,
        /// What it was said to be.
        declared: String,
    },
}

impl Inspection {
    /// Takes the next piece in.
    pub fn take(&mut self, piece: &[u8]) {
        self.bytes += u64::try_from(piece.len()).unwrap_or(u64::MAX);
        self.hash.update(piece);
        self.is_text = self.is_text && piece.iter().all(|byte| is_text_byte(*byte));
        self.old_office.take(piece);
        let room = HEAD_BYTES - self.head.len();
        self.head.extend_from_slice(&piece[..piece.len().min(room)]);
        self.tail.extend_from_slice(piece);
        if self.tail.len() > 2 * TAIL_BYTES {
            self.tail.drain(..self.tail.len() - TAIL_BYTES);
        }
    }

    /// Whether more of it cannot make it acceptable any more.
    #[must_use]
    pub const fn is_too_large(&self) -> bool {
        self.bytes > LARGEST_BYTES
    }

    /// What it is.
    #[must_use]
    pub fn finish(self) -> Inspected {
        let content = self.content();
        Inspected { sha256: hex::encode(self.hash.finalize()), bytes: self.bytes, content }
    }

    fn content(&self) -> Content {
        if let Some(brand) = iso_brand(&self.head) {
            return self.iso(brand);
        }
        // The compound files of old office versions and the archives of new ones look alike at their beginning.
        if self.head.starts_with(&[0xD0, 0xCF, 0x11, 0xE0, 0xA1, 0xB1, 0x1A, 0xE1]) {
            return old_office(self.old_office.found());
        }
        if self.head.starts_with(b"PK\x03\x04") {
            return match office::new_office(&self.tail) {
                Some(mime_type) => known(mime_type, None),
                None => Content::Other("an archive (application/zip)".to_owned()),
            };
        }
        match infer::get(&self.head).map(|found| found.mime_type()) {
            Some("image/png") => known("image/png", png_fault(&self.head)),
            Some("image/jpeg") => known("image/jpeg", jpeg_fault(&self.head)),
            Some("image/webp") => known("image/webp", self.sticker_fault()),
            Some("audio/ogg" | "audio/opus" | "video/ogg" | "application/ogg") => {
                let fault = match opus_channels(&self.head) {
                    Some(1) => None,
                    Some(channels) => Some(format!("it has {channels} channels")),
                    None => Some("it is not coded as Opus".to_owned()),
                };
                known("audio/ogg", fault)
            }
            Some("audio/x-aac" | "audio/aac") => known("audio/aac", None),
            Some("audio/amr") => known("audio/amr", None),
            Some("audio/mpeg") => known("audio/mpeg", None),
            Some("application/pdf") => known("application/pdf", None),
            Some(other) => Content::Other(other.to_owned()),
            None if self.is_text && self.bytes > 0 => known("text/plain", None),
            None => Content::Other("of no known format".to_owned()),
        }
    }

    fn iso(&self, brand: [u8; 4]) -> Content {
        let is_3gpp = brand.starts_with(b"3gp") || brand.starts_with(b"3g2");
        let is_mp4 = is_3gpp
            || matches!(&brand, b"M4A " | b"M4B " | b"M4V " | b"mp41" | b"mp42" | b"avc1" | b"dash" | b"MSNV")
            || brand.starts_with(b"iso");
        if !is_mp4 {
            let named = infer::get(&self.head).map(|found| found.mime_type().to_owned());
            return Content::Other(
                named
                    .unwrap_or_else(|| format!("a media file of the brand {}", String::from_utf8_lossy(&brand).trim())),
            );
        }
        let film = if is_3gpp { "video/3gpp" } else { "video/mp4" };
        match formats::tracks(&self.head) {
            None => known(film, Some("it has no index: it may have been cut off".to_owned())),
            Some(tracks) if !tracks.video.is_empty() => known(film, film_fault(&tracks)),
            Some(tracks) if tracks.audio.is_empty() => known(film, Some("it has no track".to_owned())),
            Some(_) if is_3gpp => Content::Other("audio/3gpp".to_owned()),
            Some(_) => known("audio/mp4", None),
        }
    }

    fn sticker_fault(&self) -> Option<String> {
        match webp(&self.head) {
            None => Some("its header is damaged".to_owned()),
            Some((512, 512, false)) if self.bytes > STILL_STICKER_BYTES => {
                Some(format!("it does not move and has {} bytes", self.bytes))
            }
            Some((512, 512, _)) => None,
            Some((width, height, _)) => Some(format!("it has {width} × {height} pixels")),
        }
    }
}

impl Inspected {
    /// The format to store it as. `declared` is the MIME type it was sent with, if it was.
    ///
    /// # Errors
    /// [`NotAllowed`]: what it is and what is allowed.
    pub fn accept(&self, declared: Option<&str>) -> Result<&'static Format, NotAllowed> {
        if self.bytes == 0 {
            return Err(NotAllowed::Empty);
        }
        let declared = declared.and_then(declared_type);
        let said = |format: &Format| declared.as_deref().is_none_or(|declared| declared == format.mime_type);
        let mismatch = |found: String| NotAllowed::Mismatch { found, declared: declared.clone().unwrap_or_default() };
        let (format, fault) = match &self.content {
            Content::Other(found) => return Err(NotAllowed::Format { found: found.clone() }),
            Content::One { format, fault } => (*format, fault.clone()),
            Content::OldOffice(candidates) => {
                let found = || candidates.iter().map(|format| format.mime_type).collect::<Vec<_>>().join(" or ");
                let mut fitting = candidates.iter().filter(|format| said(format));
                match (fitting.next(), fitting.next()) {
                    (Some(format), None) => (*format, None),
                    (Some(_), Some(_)) => {
                        return Err(NotAllowed::Format {
                            found: format!("{}: say which with its content type", found()),
                        });
                    }
                    (None, _) => return Err(mismatch(found())),
                }
            }
        };
        if !said(format) {
            return Err(mismatch(format.mime_type.to_owned()));
        }
        if self.bytes > format.max_bytes {
            let limit = format.max_bytes;
            return Err(NotAllowed::TooLarge { mime_type: format.mime_type, bytes: self.bytes, limit });
        }
        match fault {
            Some(fault) => Err(NotAllowed::Fault { mime_type: format.mime_type, fault, only: format.only }),
            None => Ok(format),
        }
    }
}

fn known(mime_type: &'static str, fault: Option<String>) -> Content {
    match format_of(mime_type) {
        Some(format) => Content::One { format, fault },
        None => Content::Other(mime_type.to_owned()),
    }
}

fn old_office(found: OldOffice) -> Content {
    let candidates: Vec<&'static Format> = [
        (found.word, "application/msword"),
        (found.excel, "application/vnd.ms-excel"),
        (found.powerpoint, "application/vnd.ms-powerpoint"),
    ]
    .into_iter()
    .filter(|(found, _)| *found)
    .filter_map(|(_, mime_type)| format_of(mime_type))
    .collect();
    if candidates.is_empty() {
        return Content::Other("a compound file of no known office application, or one with a password".to_owned());
    }
    Content::OldOffice(candidates)
}

/// Plain text in any encoding that extends ASCII: no control characters but those that lay text out.
const fn is_text_byte(byte: u8) -> bool {
    byte >= 0x20 && byte != 0x7F || matches!(byte, b'\t' | b'\n' | b'\r' | 0x0C)
}

/// A declared MIME type in Meta's spelling, without parameters; `None` for those that say nothing.
fn declared_type(declared: &str) -> Option<String> {
    let essence = declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    Some(match essence.as_str() {
        // What programs send when they do not know.
        "" | "application/octet-stream" | "binary/octet-stream" | "application/x-www-form-urlencoded" => return None,
        "audio/mp3" | "audio/x-mp3" => "audio/mpeg".to_owned(),
        "audio/m4a" | "audio/x-m4a" => "audio/mp4".to_owned(),
        "audio/x-aac" | "audio/aacp" => "audio/aac".to_owned(),
        "audio/opus" | "application/ogg" => "audio/ogg".to_owned(),
        "image/jpg" | "image/pjpeg" => "image/jpeg".to_owned(),
        "application/x-pdf" => "application/pdf".to_owned(),
        "video/3gp" => "video/3gpp".to_owned(),
        text if text.starts_with("text/") => "text/plain".to_owned(),
        _ => essence,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::formats::samples;
    use crate::media::office::tests::{archive, compound};

    fn inspect(file: &[u8]) -> Inspected {
        let mut inspection = Inspection::default();
        file.chunks(997).for_each(|piece| inspection.take(piece));
        inspection.finish()
    }

    fn accepted(file: &[u8], declared: Option<&str>) -> Result<&'static str, NotAllowed> {
        inspect(file).accept(declared).map(|format| format.mime_type)
    }

    #[test]
    fn every_format_is_told_by_its_content() {
        let new_office = |part| archive(&["[Content_Types].xml", part]);
        for (expected, file) in [
            ("audio/aac", b"\xFF\xF1\x50\x80\x02\x1F\xFC".to_vec()),
            ("audio/amr", b"#!AMR\n\x3C\0\0\0\0\0\0".to_vec()),
            ("audio/mpeg", b"ID3\x03\0\0\0\0\0\0".to_vec()),
            ("audio/mp4", samples::iso(b"M4A ", &[(b"soun", b"mp4a")])),
            ("audio/ogg", samples::ogg(b"OpusHead\x01\x01")),
            ("text/plain", "Grüße, 王芳\r\n".as_bytes().to_vec()),
            ("application/pdf", b"%PDF-1.7\n%\xE2\xE3\xCF\xD3".to_vec()),
            ("application/msword", compound(&["WordDocument"])),
            ("application/vnd.ms-excel", compound(&["Workbook"])),
            ("application/vnd.ms-powerpoint", compound(&["PowerPoint Document"])),
            (
                "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
                new_office("word/document.xml"),
            ),
            ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", new_office("xl/workbook.xml")),
            (
                "application/vnd.openxmlformats-officedocument.presentationml.presentation",
                new_office("ppt/presentation.xml"),
            ),
            ("image/jpeg", samples::jpeg(3)),
            ("image/png", samples::png(8, 6, b"x")),
            ("image/webp", samples::webp(512, 512, false, 100)),
            ("video/mp4", samples::iso(b"isom", &[(b"vide", b"avc1"), (b"soun", b"mp4a")])),
            ("video/3gpp", samples::iso(b"3gp5", &[(b"vide", b"avc1")])),
        ] {
            assert_eq!(accepted(&file, None), Ok(expected));
            assert_eq!(accepted(&file, Some(expected)), Ok(expected));
            assert_eq!(accepted(&file, Some("application/octet-stream")), Ok(expected));
        }
    }

    #[test]
    fn what_meta_does_not_take_is_named() {
        for (file, part) in [
            (&b"GIF89a\0\0"[..], "image/gif"),
            (&archive(&["a.txt"]), "an archive"),
            (&b"\0\0\0\x14ftypqt  \0\0\0\0"[..], "video/quicktime"),
            (&b"\x00\x01\x02\x03 nothing"[..], "of no known format"),
            (&compound(&["EncryptedPackage"]), "with a password"),
            (&samples::iso(b"3gp5", &[(b"soun", b"samr")]), "audio/3gpp"),
        ] {
            let refused = accepted(file, None).unwrap_err().to_string();
            assert!(refused.contains(part) && refused.contains("allowed are: audio/aac"), "{refused}");
        }
    }

    #[test]
    fn the_right_format_in_the_wrong_way_is_refused_with_what_is_wrong() {
        for (file, part) in [
            (samples::png(16, 2, b""), "16 bits"),
            (samples::jpeg(4), "4 channels"),
            (samples::webp(500, 512, false, 0), "500 × 512"),
            (samples::webp(512, 512, false, 102_401), "does not move and has 102401 bytes"),
            (samples::ogg(b"OpusHead\x01\x02"), "2 channels"),
            (samples::ogg(b"\x01vorbis"), "not coded as Opus"),
            (samples::iso(b"isom", &[(b"vide", b"hvc1")]), "hvc1"),
            (b"\0\0\0\x10ftypisom\0\0\0\0".to_vec(), "cut off"),
        ] {
            let refused = accepted(&file, None).unwrap_err().to_string();
            assert!(refused.contains(part) && refused.contains("WhatsApp wants"), "{refused}");
        }
        assert_eq!(
            accepted(&samples::webp(512, 512, true, 102_401), None),
            Ok("image/webp"),
            "animated ones are larger"
        );
    }

    #[test]
    fn sizes_are_exact() {
        for (mut file, limit) in
            [(samples::png(8, 2, b""), 5 * 1_024 * 1_024), (samples::webp(512, 512, true, 0), 500 * 1_024)]
        {
            file.resize(limit, 0x20);
            assert!(accepted(&file, None).is_ok());
            file.push(0x20);
            let Err(NotAllowed::TooLarge { bytes, limit: named, .. }) = accepted(&file, None) else {
                panic!("{limit}")
            };
            assert_eq!((bytes, named), (u64::try_from(limit).unwrap() + 1, u64::try_from(limit).unwrap()));
        }
        assert_eq!(accepted(b"", None), Err(NotAllowed::Empty));
    }

    #[test]
    fn what_it_is_said_to_be_must_fit_the_content() {
        let png = samples::png(8, 2, b"");
        let refused = accepted(&png, Some("image/jpeg")).unwrap_err();
        assert_eq!(refused.to_string(), "this is image/png, but was sent as image/jpeg; send it as what it is");
        assert_eq!(accepted(&samples::jpeg(3), Some("image/JPG; q=1")), Ok("image/jpeg"));
        assert_eq!(accepted(b"a,b\n1,2\n", Some("text/csv")), Ok("text/plain"));
        // A presentation with a table in it holds both streams: what it is said to be decides.
        let both = compound(&["PowerPoint Document", "Workbook"]);
        assert_eq!(accepted(&both, Some("application/vnd.ms-powerpoint")), Ok("application/vnd.ms-powerpoint"));
        assert!(accepted(&both, None).unwrap_err().to_string().contains("say which"));
        assert!(matches!(accepted(&both, Some("application/msword")), Err(NotAllowed::Mismatch { .. })));
    }

    #[test]
    fn the_hash_is_that_of_the_whole_file() {
        let inspected = inspect(&[b'a'; 2_000]);
        assert_eq!(inspected.bytes, 2_000);
        assert_eq!(inspected.sha256, hex::encode(Sha256::digest([b'a'; 2_000])));
    }
}
