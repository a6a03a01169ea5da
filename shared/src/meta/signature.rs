//! `X-Hub-Signature-256`: proof that a webhook body comes from Meta.
//!
//! The signature is HMAC-SHA256 under the app secret over the exact bytes received, escapes included; a body that was
//! parsed and written again has another signature. Nothing here parses a body, and nothing of it may be trusted
//! before [`verify`] has accepted it. Source: Meta, *Graph API webhooks, validating payloads*.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// The request header that carries the signature, in the lower case that HTTP libraries use.
pub const SIGNATURE_HEADER: &str = "x-hub-signature-256";

const PREFIX: &[u8] = b"sha256=";
const DIGEST_BYTES: usize = 32;

/// The secret of a Meta app, ready to sign: the key of its webhook signatures. `Debug` does not show it.
#[derive(Clone)]
pub struct AppSecret(Hmac<Sha256>);

/// An app secret is empty, so anyone could sign; the deployment must not start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the app secret is empty")]
pub struct EmptySecret;

impl AppSecret {
    /// Takes the secret as shown in the app's dashboard (32 hexadecimal digits, used as text); surrounding blanks are
    /// dropped.
    pub fn new(secret: &str) -> Result<Self, EmptySecret> {
        let secret = secret.trim();
        if secret.is_empty() {
            return Err(EmptySecret);
        }
        // HMAC takes keys of any length; were it to refuse one, the deployment must not start either.
        Hmac::new_from_slice(secret.as_bytes()).map(Self).map_err(|_| EmptySecret)
    }

    fn digest(&self, body: &[u8]) -> [u8; DIGEST_BYTES] {
        self.0.clone().chain_update(body).finalize().into_bytes().into()
    }
}

impl fmt::Debug for AppSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AppSecret([redacted])")
    }
}

/// Why a request is not accepted as Meta's. Answer 401 and count it: a sudden rate usually means that the app secret
/// was rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// The header is absent.
    #[error("the request carries no signature")]
    Missing,
    /// The header is not `sha256=` and 64 hexadecimal digits.
    #[error("the signature header is malformed")]
    Malformed,
    /// None of the app secrets gives this signature for this body.
    #[error("the signature matches no app secret")]
    Mismatch,
}

/// Checks the value of the signature header against the body as received, and returns which of the secrets (by index)
/// signed it.
///
/// Several secrets serve a rotation, or several apps behind one address. Digests are compared in constant time. Meta
/// writes small hexadecimal letters; capitals are accepted too, since they stand for the same bytes. The prefix must
/// be exactly `sha256=`.
pub fn verify(body: &[u8], header: Option<&[u8]>, secrets: &[AppSecret]) -> Result<usize, SignatureError> {
    let digits = header.ok_or(SignatureError::Missing)?.strip_prefix(PREFIX).ok_or(SignatureError::Malformed)?;
    let mut claimed = [0; DIGEST_BYTES];
    hex::decode_to_slice(digits, &mut claimed).map_err(|_| SignatureError::Malformed)?;
    let matches = |secret: &AppSecret| bool::from(secret.digest(body).ct_eq(&claimed));
    secrets.iter().position(matches).ok_or(SignatureError::Mismatch)
}

/// The header value Meta would send with this body; for the simulator, tools and tests.
pub fn sign(body: &[u8], secret: &AppSecret) -> String {
    format!("sha256={}", hex::encode(secret.digest(body)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[derive(serde::Deserialize)]
    struct Vector {
        note: String,
        app_secret: String,
        body: String,
        x_hub_signature_256: String,
    }

    fn vectors() -> Vec<Vector> {
        serde_json::from_str(include_str!("../../tests/webhooks/signature-vectors.json")).unwrap()
    }

    fn secret(text: &str) -> AppSecret {
        AppSecret::new(text).unwrap()
    }

    #[test]
    fn known_signatures_hold() {
        for vector in vectors() {
            let secret = secret(&vector.app_secret);
            let header = vector.x_hub_signature_256.as_bytes();
            assert_eq!(sign(vector.body.as_bytes(), &secret), vector.x_hub_signature_256, "{}", vector.note);
            assert_eq!(verify(vector.body.as_bytes(), Some(header), &[secret]), Ok(0), "{}", vector.note);
        }
    }

    #[test]
    fn each_vector_fails_for_every_other_body_or_secret() {
        let vectors = vectors();
        for (i, signed) in vectors.iter().enumerate() {
            for (j, other) in vectors.iter().enumerate().filter(|(j, _)| i != *j) {
                let result = verify(
                    other.body.as_bytes(),
                    Some(signed.x_hub_signature_256.as_bytes()),
                    &[secret(&signed.app_secret)],
                );
                assert_eq!(result, Err(SignatureError::Mismatch), "signature {i} on body {j}");
            }
            let result = verify(
                signed.body.as_bytes(),
                Some(signed.x_hub_signature_256.as_bytes()),
                &[secret("another secret")],
            );
            assert_eq!(result, Err(SignatureError::Mismatch));
        }
    }

    #[test]
    fn a_body_written_again_after_parsing_fails() {
        let secret = secret("test_app_secret");
        let on_the_wire = r#"{"t":"caf\u00e9 a\u0040b.example https:\/\/example.org"}"#;
        let parsed: serde_json::Value = serde_json::from_str(on_the_wire).unwrap();
        let header = sign(on_the_wire.as_bytes(), &secret);
        assert_eq!(
            verify(parsed.to_string().as_bytes(), Some(header.as_bytes()), &[secret]),
            Err(SignatureError::Mismatch)
        );
    }

    #[test]
    fn any_of_several_secrets_counts() {
        let secrets = [secret("new"), secret("old")];
        let header = sign(b"{}", &secrets[1]);
        assert_eq!(verify(b"{}", Some(header.as_bytes()), &secrets), Ok(1));
        assert_eq!(verify(b"{}", Some(header.as_bytes()), &[]), Err(SignatureError::Mismatch));
    }

    #[test]
    fn a_header_of_another_shape_is_malformed() {
        let secret = [secret("s")];
        let good = sign(b"{}", &secret[0]);
        let digits = good.strip_prefix("sha256=").unwrap();
        let long = format!("{good}00");
        let sha1 = format!("sha1={digits}");
        let capital_prefix = format!("SHA256={digits}");
        let blank = format!(" {good}");
        let letters = format!("sha256={}", "g".repeat(64));
        for bad in [
            digits,
            "",
            "sha256=",
            &good[..good.len() - 1],
            &good[..good.len() - 2],
            &long,
            &sha1,
            &capital_prefix,
            &blank,
            &letters,
        ] {
            assert_eq!(verify(b"{}", Some(bad.as_bytes()), &secret), Err(SignatureError::Malformed), "{bad:?}");
        }
        assert_eq!(verify(b"{}", Some(&[0xff; 71]), &secret), Err(SignatureError::Malformed));
        assert_eq!(verify(b"{}", None, &secret), Err(SignatureError::Missing));
    }

    #[test]
    fn capital_digits_mean_the_same_bytes() {
        let secret = [secret("s")];
        let header = sign(b"{}", &secret[0]);
        let capitals = format!("sha256={}", header.strip_prefix("sha256=").unwrap().to_uppercase());
        assert_eq!(verify(b"{}", Some(capitals.as_bytes()), &secret), Ok(0));
    }

    #[test]
    fn an_empty_secret_is_refused_and_none_is_shown() {
        assert_eq!(AppSecret::new(" ").unwrap_err(), EmptySecret);
        assert_eq!(format!("{:?}", secret("hush")), "AppSecret([redacted])");
    }
}
