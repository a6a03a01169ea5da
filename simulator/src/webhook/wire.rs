//! The exact bytes of a webhook: JSON escaped as Meta escapes it, and the two signatures over those bytes.
//! A receiver that parses and re-serialises before it verifies will fail on them, as it would with Meta.

use std::io;

use hmac::{Hmac, KeyInit, Mac};
use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};
use sha1::Sha1;
use sha2::Sha256;

/// A webhook body with its signature headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SignedBody {
    /// ASCII only.
    pub(crate) bytes: Vec<u8>,
    /// Value of `X-Hub-Signature-256`.
    pub(crate) sha256: String,
    /// Value of the legacy `X-Hub-Signature`.
    pub(crate) sha1: String,
}

/// Serialises and signs.
pub(crate) fn sign(secret: &str, body: &impl Serialize) -> Result<SignedBody, serde_json::Error> {
    let bytes = to_meta_json(body)?;
    let sha256 = format!("sha256={}", hex::encode(hmac_sha256(secret.as_bytes(), &bytes)));
    let sha1 = format!("sha1={}", hex::encode(hmac_sha1(secret.as_bytes(), &bytes)));
    Ok(SignedBody { bytes, sha256, sha1 })
}

fn hmac_sha256(key: &[u8], message: &[u8]) -> Vec<u8> {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

fn hmac_sha1(key: &[u8], message: &[u8]) -> Vec<u8> {
    #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
    let mut mac = Hmac::<Sha1>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

/// Compact JSON in which everything outside ASCII and `/ < % @` is escaped.
pub(crate) fn to_meta_json(value: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    let mut bytes = Vec::with_capacity(1_024);
    value.serialize(&mut Serializer::with_formatter(&mut bytes, MetaEscapes))?;
    Ok(bytes)
}

struct MetaEscapes;

impl Formatter for MetaEscapes {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let needs_escape = |c: char| !c.is_ascii() || matches!(c, '/' | '<' | '%' | '@');
        let mut rest = fragment;
        while let Some(at) = rest.find(needs_escape) {
            let (plain, special) = rest.split_at(at);
            writer.write_all(plain.as_bytes())?;
            let Some(character) = special.chars().next() else { break };
            match character {
                '/' => writer.write_all(b"\\/")?,
                '<' => writer.write_all(b"\\u003C")?,
                '%' => writer.write_all(b"\\u0025")?,
                '@' => writer.write_all(b"\\u0040")?,
                other => {
                    for unit in other.encode_utf16(&mut [0; 2]) {
                        write!(writer, "\\u{unit:04x}")?;
                    }
                }
            }
            rest = special.get(character.len_utf8()..).unwrap_or_default();
        }
        writer.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn escapes_are_metas_and_parse_back_to_the_same_text() {
        let text = "café 👍 a@b.example https://example.org/x 5% <b> \"q\" \\ \n";
        let bytes = to_meta_json(&json!({ "t": text })).expect("serialises");
        assert!(bytes.is_ascii());
        let wire = String::from_utf8(bytes).expect("ASCII");
        assert_eq!(
            wire,
            r#"{"t":"caf\u00e9 \ud83d\udc4d a\u0040b.example https:\/\/example.org\/x 5\u0025 \u003Cb> \"q\" \\ \n"}"#
        );
        let back: serde_json::Value = serde_json::from_str(&wire).expect("parses");
        assert_eq!(back["t"], text);
    }

    #[test]
    fn signatures_cover_the_escaped_bytes() {
        #[derive(Serialize)]
        struct Body {
            object: &'static str,
            entry: [u8; 0],
            t: &'static str,
        }
        let body =
            Body { object: "whatsapp_business_account", entry: [], t: "café 👍 a@b.example https://example.org/x" };
        let signed = sign("test_app_secret", &body).expect("serialises");
        assert_eq!(signed.sha256, "sha256=eb03a87617251f1bf65e2894e08f1034d8c15413c1887e6b63ba07bce087b922");
        assert_eq!(signed.sha1, "sha1=48e845fcb1d117faa37269d23cf119a119dad151");
    }
}
