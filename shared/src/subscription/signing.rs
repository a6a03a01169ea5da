//! Signatures by the Standard Webhooks specification: HMAC-SHA256 over `id.timestamp.body`, `v1,` and base64. While a secret
//! is being replaced both sign, so that a receiver may change over at any moment within a day.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use ulid::Ulid;

use crate::time::UnixMillis;

/// How long the old secret signs beside the new one.
pub const OVERLAP: Duration = Duration::from_secs(24 * 3_600);

/// Bytes of a secret; the specification asks for 24 to 64.
const SECRET_BYTES: usize = 32;

/// What a secret's text begins with.
const PREFIX: &str = "whsec_";

/// What deliveries are signed with. Its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SigningSecret(String);

impl std::fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningSecret(…)")
    }
}

impl SigningSecret {
    /// A fresh one.
    #[must_use]
    pub fn random() -> Self {
        Self(format!("{PREFIX}{}", BASE64_STANDARD.encode(rand::random::<[u8; SECRET_BYTES]>())))
    }

    /// `whsec_…`, for whoever receives the deliveries and nobody else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// `v1,…`; `None` when the secret is not one of ours.
    fn sign(&self, id: &str, timestamp: &str, body: &[u8]) -> Option<String> {
        let key = BASE64_STANDARD.decode(self.0.strip_prefix(PREFIX)?).ok()?;
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        Some(format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes())))
    }
}

/// The secrets of one subscription, as they are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningSecrets {
    /// The newest.
    pub current: SigningSecret,
    /// The request that has made it: the same request again makes no other.
    pub made_by: Ulid,
    /// The one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Replaced>,
}

/// A secret that was replaced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaced {
    /// It.
    pub secret: SigningSecret,
    /// Until when it signs.
    pub until: UnixMillis,
}

impl SigningSecrets {
    /// The first secret of a subscription.
    #[must_use]
    pub fn first(made_by: Ulid) -> Self {
        Self { current: SigningSecret::random(), made_by, previous: None }
    }

    /// A new secret beside this one. A third that may still sign is dropped.
    #[must_use]
    pub fn rotated(self, made_by: Ulid, now: UnixMillis) -> Self {
        if self.made_by == made_by {
            return self;
        }
        let previous = Some(Replaced { secret: self.current, until: now.plus(OVERLAP) });
        Self { current: SigningSecret::random(), made_by, previous }
    }

    /// The header `webhook-signature`: one signature for each secret that signs now, separated by spaces. `at` is whole
    /// seconds, as in the header `webhook-timestamp`.
    #[must_use]
    pub fn signature(&self, id: &str, at: UnixMillis, body: &[u8]) -> String {
        let timestamp = at.seconds().to_string();
        let old = self.previous.as_ref().filter(|previous| at < previous.until).map(|previous| &previous.secret);
        let secrets = std::iter::once(&self.current).chain(old);
        secrets.filter_map(|secret| secret.sign(id, &timestamp, body)).collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use standardwebhooks::Webhook;

    use super::*;

    const BODY: &[u8] = br#"{"type":"message.read","timestamp":"2026-11-21T01:23:45.678Z","data":{}}"#;

    fn headers(signature: &str, at: UnixMillis) -> HeaderMap {
        [("webhook-id", "dlv_1"), ("webhook-timestamp", &at.seconds().to_string()), ("webhook-signature", signature)]
            .into_iter()
            .map(|(name, value)| (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn the_reference_implementation_finds_the_signature_right_and_notices_a_change() {
        let (now, secrets) = (UnixMillis::now(), SigningSecrets::first(Ulid::from_parts(1, 1)));
        let receiver = Webhook::new(secrets.current.expose()).unwrap();
        let signed = headers(&secrets.signature("dlv_1", now, BODY), now);
        assert!(receiver.verify(BODY, &signed).is_ok());
        assert!(receiver.verify(b"{}", &signed).is_err());
        let other = Webhook::new(SigningSecret::random().expose()).unwrap();
        assert!(other.verify(BODY, &signed).is_err());
    }

    #[test]
    fn the_signature_is_that_of_the_specification() {
        // From the specification's own example.
        let secret = SigningSecret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned());
        let body = br#"{"test": 2432232314}"#;
        let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body).unwrap();
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn both_secrets_sign_for_a_day_and_then_the_new_one_alone() {
        let now = UnixMillis::now();
        let old = SigningSecrets::first(Ulid::from_parts(1, 1));
        let new = old.clone().rotated(Ulid::from_parts(2, 2), now);
        assert_eq!(new.clone().rotated(Ulid::from_parts(2, 2), now), new, "the same request again");
        let signed = headers(&new.signature("dlv_1", now, BODY), now);
        for secret in [&old.current, &new.current] {
            assert!(Webhook::new(secret.expose()).unwrap().verify(BODY, &signed).is_ok());
        }
        let later = new.signature("dlv_1", now.plus(OVERLAP), BODY);
        assert_eq!(later.split(' ').count(), 1);
        let third = new.clone().rotated(Ulid::from_parts(3, 3), now);
        assert_eq!(third.previous.unwrap().secret, new.current);
    }

    #[test]
    fn a_secret_has_the_form_of_the_specification_and_is_not_shown() {
        let secret = SigningSecret::random();
        let bytes = BASE64_STANDARD.decode(secret.expose().strip_prefix("whsec_").unwrap()).unwrap();
        assert!((24..=64).contains(&bytes.len()));
        assert_eq!(format!("{secret:?}"), "SigningSecret(…)");
    }
}
