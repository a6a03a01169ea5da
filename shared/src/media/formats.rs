//! What the headers of pictures, sound and films tell: only as much as Meta's rules ask for. Each reader takes the whole
//! file and gives `None`, or a fault in words, when the file does not hold together.

/// What a film or sound file in an MP4 or 3GP container holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tracks {
    /// Codec names of the video tracks, such as `avc1`.
    pub video: Vec<String>,
    /// Codec names of the audio tracks, such as `mp4a`.
    pub audio: Vec<String>,
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_be_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes)
}

fn u24_le_at(bytes: &[u8], at: usize) -> Option<u32> {
    let three = bytes.get(at..at + 3)?;
    Some(u32::from(three[0]) | u32::from(three[1]) << 8 | u32::from(three[2]) << 16)
}

/// What keeps a PNG from being 8 bits, RGB or RGBA (PNG specification, IHDR); `None` when it is.
#[must_use]
pub fn png_fault(bytes: &[u8]) -> Option<String> {
    let (Some(b"IHDR"), Some(depth), Some(colour)) = (bytes.get(12..16), bytes.get(24), bytes.get(25)) else {
        return Some("its header is damaged".to_owned());
    };
    let colours = match colour {
        0 => "grey",
        2 => "RGB",
        3 => "a palette",
        4 => "grey with alpha",
        6 => "RGBA",
        _ => "an unknown colour type",
    };
    (*depth != 8 || !matches!(colour, 2 | 6)).then(|| format!("it has {depth} bits a channel and {colours}"))
}

/// What keeps a JPEG from being 8 bits, RGB (ITU T.81, frame header); `None` when it is.
#[must_use]
pub fn jpeg_fault(bytes: &[u8]) -> Option<String> {
    let damaged = || Some("its header is damaged".to_owned());
    let mut at = 2;
    loop {
        let (Some(0xFF), Some(&marker)) = (bytes.get(at), bytes.get(at + 1)) else {
            return damaged();
        };
        match marker {
            // Fill bytes, and markers without a length.
            0xFF => at += 1,
            0x01 | 0xD0..=0xD8 => at += 2,
            0xC0..=0xCF if !matches!(marker, 0xC4 | 0xC8 | 0xCC) => {
                let (Some(depth), Some(channels)) = (bytes.get(at + 4), bytes.get(at + 9)) else {
                    return damaged();
                };
                return ((*depth, *channels) != (8, 3))
                    .then(|| format!("it has {depth} bits a channel and {channels} channels"));
            }
            0xD9 | 0xDA => return damaged(),
            _ => match u16_at(bytes, at + 2) {
                Some(length) if length >= 2 => at += 2 + usize::from(length),
                _ => return damaged(),
            },
        }
    }
}

/// A WebP's width, height and whether it moves (WebP container specification).
#[must_use]
pub fn webp(bytes: &[u8]) -> Option<(u32, u32, bool)> {
    match bytes.get(12..16)? {
        b"VP8X" => {
            let moves = bytes.get(20)? & 0b10 != 0;
            Some((u24_le_at(bytes, 24)? + 1, u24_le_at(bytes, 27)? + 1, moves))
        }
        b"VP8L" => {
            if *bytes.get(20)? != 0x2F {
                return None;
            }
            let bits = u32::from_le_bytes(bytes.get(21..25)?.try_into().ok()?);
            Some(((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, false))
        }
        b"VP8 " => {
            if bytes.get(23..26)? != [0x9D, 0x01, 0x2A] {
                return None;
            }
            let side = |at| Some(u32::from(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?) & 0x3FFF));
            Some((side(26)?, side(28)?, false))
        }
        _ => None,
    }
}

/// Channels of an Ogg file whose first stream is Opus (RFC 7845, section 5.1); `None` when it is not.
#[must_use]
pub fn opus_channels(bytes: &[u8]) -> Option<u8> {
    // An Ogg page's header is 27 bytes and a table as long as byte 26 says (RFC 3533).
    let packet = 27 + usize::from(*bytes.get(26)?);
    (bytes.get(packet..packet + 8)? == b"OpusHead").then(|| bytes.get(packet + 9).copied()).flatten()
}

/// The brand of an ISO media file (ISO 14496-12, `ftyp`).
#[must_use]
pub fn iso_brand(bytes: &[u8]) -> Option<[u8; 4]> {
    (bytes.get(4..8)? == b"ftyp").then(|| bytes.get(8..12)?.try_into().ok()).flatten()
}

/// The tracks of an ISO media file; `None` when it has no index, as one that was cut off.
#[must_use]
pub fn tracks(bytes: &[u8]) -> Option<Tracks> {
    let movie = boxes(bytes).find(|(kind, _)| kind == b"moov")?.1;
    let mut tracks = Tracks::default();
    for (_, track) in boxes(movie).filter(|(kind, _)| kind == b"trak") {
        let Some(media) = child(track, b"mdia") else { continue };
        // `hdlr`: version and flags, a reserved field, then the kind of the track.
        let Some(handler) = child(media, b"hdlr").and_then(|handler| handler.get(8..12)) else { continue };
        let samples =
            child(media, b"minf").and_then(|info| child(info, b"stbl")).and_then(|table| child(table, b"stsd"));
        // `stsd`: version and flags, the number of entries, then the first entry's length and codec.
        let codec = samples.and_then(|samples| samples.get(12..16)).unwrap_or(b"????");
        let codec = String::from_utf8_lossy(codec).into_owned();
        match handler {
            b"vide" => tracks.video.push(codec),
            b"soun" => tracks.audio.push(codec),
            _ => {}
        }
    }
    Some(tracks)
}

fn child<'a>(parent: &'a [u8], kind: &[u8; 4]) -> Option<&'a [u8]> {
    boxes(parent).find(|(found, _)| found == kind).map(|(_, body)| body)
}

/// The boxes of one level: kind and body.
fn boxes(mut rest: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let kind: [u8; 4] = rest.get(4..8)?.try_into().ok()?;
        let (header, length) = match u32_at(rest, 0)? {
            0 => (8, rest.len()),
            1 => (16, usize::try_from(u64::from_be_bytes(rest.get(8..16)?.try_into().ok()?)).ok()?),
            length => (8, usize::try_from(length).ok()?),
        };
        let body = rest.get(header..length)?;
        rest = &rest[length..];
        Some((kind, body))
    })
}

/// What keeps a film from being H.264 with at most one AAC track; `None` when it is.
#[must_use]
pub fn film_fault(tracks: &Tracks) -> Option<String> {
    if let Some(codec) = tracks.video.iter().find(|codec| !matches!(codec.as_str(), "avc1" | "avc3")) {
        return Some(format!("its picture is coded as {codec}, not as H.264"));
    }
    if let Some(codec) = tracks.audio.iter().find(|codec| codec.as_str() != "mp4a") {
        return Some(format!("its sound is coded as {codec}, not as AAC"));
    }
    (tracks.audio.len() > 1).then(|| format!("it has {} audio tracks", tracks.audio.len()))
}

/// Small files of each format, as their specifications lay them out.
#[cfg(test)]
pub(super) mod samples {
    /// A box of an ISO media file.
    fn iso_box(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 8).unwrap_or(u32::MAX);
        [&length.to_be_bytes()[..], kind, body].concat()
    }

    /// An ISO media file of this brand with these tracks: handler and codec.
    pub(in crate::media) fn iso(brand: &[u8; 4], tracks: &[(&[u8; 4], &[u8; 4])]) -> Vec<u8> {
        let track = |(handler, codec): &(&[u8; 4], &[u8; 4])| {
            let entry = iso_box(codec, &[0; 8]);
            let samples = iso_box(b"stsd", &[&[0, 0, 0, 0, 0, 0, 0, 1][..], &entry].concat());
            let info = iso_box(b"minf", &iso_box(b"stbl", &samples));
            let handler = iso_box(b"hdlr", &[&[0; 8][..], *handler, &[0; 12]].concat());
            iso_box(b"trak", &iso_box(b"mdia", &[handler, info].concat()))
        };
        let tracks: Vec<u8> = tracks.iter().flat_map(track).collect();
        let file = iso_box(b"ftyp", &[brand, &[0, 0, 2, 0][..], brand].concat());
        [file, iso_box(b"mdat", &[7; 32]), iso_box(b"moov", &tracks)].concat()
    }

    /// The header of a PNG with this depth and colour type; `tail` makes files differ.
    pub(in crate::media) fn png(depth: u8, colour: u8, tail: &[u8]) -> Vec<u8> {
        let mut file = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x10\0\0\0\x10".to_vec();
        file.extend([depth, colour, 0, 0, 0, 1, 2, 3, 4]);
        file.extend(tail);
        file
    }

    /// The headers of a JPEG with so many channels of 8 bits.
    pub(in crate::media) fn jpeg(channels: u8) -> Vec<u8> {
        let mut file = b"\xFF\xD8\xFF\xE0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0\xFF\xC0\0\x11\x08\0\x10\0\x10".to_vec();
        file.extend([channels, 1, 0x11, 0, 2, 0x11, 1, 3, 0x11, 1, 0xFF, 0xD9]);
        file
    }

    /// The headers of an extended WebP.
    pub(in crate::media) fn webp(width: u32, height: u32, moves: bool, length: usize) -> Vec<u8> {
        let mut file = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0".to_vec();
        file.extend([if moves { 0b10 } else { 0 }, 0, 0, 0]);
        for side in [width - 1, height - 1] {
            file.extend(&side.to_le_bytes()[..3]);
        }
        file.resize(length.max(file.len()), 0);
        file
    }

    /// The first page of an Ogg file whose packet begins so.
    pub(in crate::media) fn ogg(packet: &[u8]) -> Vec<u8> {
        let mut file = b"OggS\0\x02".to_vec();
        file.resize(26, 0);
        file.extend([1, 19]);
        file.extend(packet);
        file.resize(64, 0);
        file
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_png_is_8_bits_and_rgb_or_rgba() {
        assert_eq!(png_fault(&samples::png(8, 2, b"")), None);
        assert_eq!(png_fault(&samples::png(8, 6, b"")), None);
        assert_eq!(png_fault(&samples::png(16, 6, b"")).unwrap(), "it has 16 bits a channel and RGBA");
        assert_eq!(png_fault(&samples::png(8, 3, b"")).unwrap(), "it has 8 bits a channel and a palette");
        assert!(png_fault(b"\x89PNG").is_some());
    }

    #[test]
    fn a_jpeg_in_cmyk_or_without_a_frame_is_found_out() {
        assert_eq!(jpeg_fault(&samples::jpeg(3)), None);
        assert_eq!(jpeg_fault(&samples::jpeg(4)).unwrap(), "it has 8 bits a channel and 4 channels");
        assert!(jpeg_fault(b"\xFF\xD8\xFF\xD9").is_some());
    }

    #[test]
    fn a_webp_tells_its_size_in_all_three_forms() {
        assert_eq!(webp(&samples::webp(512, 511, true, 0)), Some((512, 511, true)));
        let lossless = [&b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2F"[..], &(511_u32 | 511 << 14).to_le_bytes()].concat();
        assert_eq!(webp(&lossless), Some((512, 512, false)));
        let lossy = [&b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9D\x01\x2A"[..], &[0, 2, 0, 1]].concat();
        assert_eq!(webp(&lossy), Some((512, 256, false)));
    }

    #[test]
    fn only_opus_has_channels_here() {
        assert_eq!(opus_channels(&samples::ogg(b"OpusHead\x01\x02")), Some(2));
        assert_eq!(opus_channels(&samples::ogg(b"\x01vorbis")), None);
    }

    #[test]
    fn the_tracks_of_a_film_are_found_behind_its_data() {
        let film = samples::iso(b"isom", &[(b"vide", b"avc1"), (b"soun", b"mp4a")]);
        let found = tracks(&film).unwrap();
        assert_eq!(
            (found.video.as_slice(), found.audio.as_slice()),
            (&["avc1".to_owned()][..], &["mp4a".to_owned()][..])
        );
        assert_eq!(film_fault(&found), None);
        assert_eq!(tracks(&film[..60]), None, "cut off before its index");
        let two =
            tracks(&samples::iso(b"isom", &[(b"vide", b"avc1"), (b"soun", b"mp4a"), (b"soun", b"mp4a")])).unwrap();
        assert_eq!(film_fault(&two).unwrap(), "it has 2 audio tracks");
        let hevc = tracks(&samples::iso(b"isom", &[(b"vide", b"hvc1")])).unwrap();
        assert_eq!(film_fault(&hevc).unwrap(), "its picture is coded as hvc1, not as H.264");
    }

    #[test]
    fn a_box_that_claims_too_much_ends_the_reading() {
        assert_eq!(tracks(b"\xFF\xFF\xFF\xFFmoov"), None);
        assert_eq!(tracks(b"\0\0\0\x01moov\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"), None);
        assert_eq!(tracks(b"\0\0\0\x03moov"), None);
    }
}
