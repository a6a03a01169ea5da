//! Bearer keys. A key is known by its SHA-256 only, so no configuration and no table holds one.

use std::fmt;
use std::str::FromStr;

use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::Response;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::problem::Problem;
use crate::id::WorkspaceId;

/// SHA-256 of an API key.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyHash([u8; 32]);

/// A text that is not 64 hexadecimal digits.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("expected the SHA-256 of an API key as 64 hexadecimal digits")]
pub struct MalformedKeyHash;

impl KeyHash {
    /// The hash of a key.
    #[must_use]
    pub fn of(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }

    fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(…)")
    }
}

impl FromStr for KeyHash {
    type Err = MalformedKeyHash;

    fn from_str(text: &str) -> Result<Self, MalformedKeyHash> {
        let mut hash = [0_u8; 32];
        hex::decode_to_slice(text, &mut hash).map_err(|_| MalformedKeyHash)?;
        Ok(Self(hash))
    }
}

/// Who may call.
#[derive(Clone, Debug)]
pub struct ApiKeys {
    admin: KeyHash,
}

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The workspace the key belongs to.
    pub workspace: WorkspaceId,
}

impl ApiKeys {
    /// The admin key of the first workspace.
    #[must_use]
    pub const fn new(admin: KeyHash) -> Self {
        Self { admin }
    }

    /// Who presents this `Authorization` header.
    #[must_use]
    pub fn caller(&self, authorization: Option<&str>) -> Option<Caller> {
        let (scheme, key) = authorization?.split_once(' ')?;
        let known = scheme.eq_ignore_ascii_case("bearer") && self.admin.matches(&KeyHash::of(key.trim()));
        known.then_some(Caller { workspace: WorkspaceId::FIRST })
    }
}

/// Lets a request through with its [`Caller`], or answers 401.
///
/// # Errors
/// The problem that is the answer.
pub async fn require_key(State(keys): State<ApiKeys>, mut request: Request, next: Next) -> Result<Response, Problem> {
    let authorization = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let caller = keys.caller(authorization).ok_or_else(Problem::unauthorized)?;
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_key_opens() {
        let keys = ApiKeys::new(KeyHash::of("tt_right"));
        assert_eq!(keys.caller(Some("Bearer tt_right")), Some(Caller { workspace: WorkspaceId::FIRST }));
        assert!(keys.caller(Some("bearer  tt_right")).is_some());
        for wrong in [None, Some("Bearer tt_wrong"), Some("tt_right"), Some("Basic tt_right"), Some("Bearer ")] {
            assert_eq!(keys.caller(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_hash_survives_its_text_form() {
        let hash = KeyHash::of("tt_x");
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert_eq!("abc".parse::<KeyHash>(), Err(MalformedKeyHash));
    }
}
