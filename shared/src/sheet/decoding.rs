//! From a file's bytes to text, without knowing its encoding beforehand: a byte order mark decides, else what the first
//! letters beyond ASCII look like.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Decoder, Encoding, UTF_16BE, UTF_16LE};

/// So much is looked at from the first letter beyond ASCII on before the encoding is decided.
const LOOK_AT_BYTES: usize = 64 * 1024;

/// Longest byte order mark.
const MARK_BYTES: usize = 3;

/// Text whose encoding is being found out, or is known.
pub(super) enum Decoding {
    /// Nothing but ASCII so far, which means the same in all encodings but UTF-16; it was given out, but for `held`.
    Open { detector: Box<EncodingDetector>, held: Vec<u8>, begun: bool },
    /// Decided.
    Known(Decoder),
}

impl Decoding {
    pub(super) fn new() -> Self {
        let detector = Box::new(EncodingDetector::new(Iso2022JpDetection::Deny));
        Self::Open { detector, held: Vec::new(), begun: false }
    }

    /// The text of the next bytes, as far as it is decided.
    pub(super) fn push(&mut self, bytes: &[u8]) -> String {
        self.read(bytes, false)
    }

    /// The rest.
    pub(super) fn finish(&mut self) -> String {
        self.read(&[], true)
    }

    fn read(&mut self, bytes: &[u8], last: bool) -> String {
        let (encoding, held) = match self {
            Self::Known(decoder) => return decode(decoder, bytes, last),
            Self::Open { detector, held, begun } => {
                held.extend_from_slice(bytes);
                if !*begun {
                    if held.len() < MARK_BYTES && !last {
                        return String::new();
                    }
                    *begun = true;
                    if let Some(encoding) = marked(held) {
                        let held = std::mem::take(held);
                        return self.decided(encoding, &held, last);
                    }
                    detector.feed(held, last);
                } else {
                    detector.feed(bytes, last);
                }
                let ascii = held.iter().position(|byte| !byte.is_ascii()).unwrap_or(held.len());
                if !last && held.len() - ascii < LOOK_AT_BYTES {
                    // Given out as far as it cannot be the beginning of anything else.
                    let rest = held.split_off(ascii);
                    let text = std::mem::replace(held, rest);
                    return String::from_utf8(text).unwrap_or_default();
                }
                (detector.guess(None, Utf8Detection::Allow), std::mem::take(held))
            }
        };
        self.decided(encoding, &held, last)
    }

    fn decided(&mut self, encoding: &'static Encoding, held: &[u8], last: bool) -> String {
        let mut decoder = encoding.new_decoder_with_bom_removal();
        let text = decode(&mut decoder, held, last);
        *self = Self::Known(decoder);
        text
    }
}

/// The encoding that the first bytes tell: a byte order mark, or the zero byte of an ASCII letter in UTF-16.
fn marked(start: &[u8]) -> Option<&'static Encoding> {
    let marked = Encoding::for_bom(start).map(|(encoding, _)| encoding);
    marked.or(match start {
        [0, second, ..] if *second != 0 => Some(UTF_16BE),
        [first, 0, ..] if *first != 0 => Some(UTF_16LE),
        _ => None,
    })
}

/// What cannot be decoded becomes U+FFFD.
fn decode(decoder: &mut Decoder, bytes: &[u8], last: bool) -> String {
    let mut text = String::new();
    let mut rest = bytes;
    loop {
        text.reserve(decoder.max_utf8_buffer_length(rest.len()).unwrap_or(rest.len() * 3 + 16));
        let (result, read, _) = decoder.decode_to_string(rest, &mut text, last);
        rest = &rest[read..];
        if result == encoding_rs::CoderResult::InputEmpty {
            return text;
        }
    }
}
