//! Passwords of links, kept as Argon2id hashes (RFC 9106) in PHC form, which carries the parameters and the salt. A password
//! keeps passers-by out; who knows it is not who may act, so nothing else hangs on it.

use std::fmt;

use argon2::Argon2;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use serde::{Deserialize, Serialize};

/// Longest password, in bytes: what is hashed is bounded.
pub const MAX_PASSWORD_BYTES: usize = 128;

/// Shortest password, in characters (NIST SP 800-63B-3, 5.1.1): tries are bounded on each instance of `redirect`
/// and by the API before it, so a short one would fall to patience.
pub const MIN_PASSWORD_CHARS: usize = 8;

/// Whether a new link may have this password. One that was given before the rule became stricter goes on working.
#[must_use]
pub fn is_allowed(password: &str) -> bool {
    password.chars().count() >= MIN_PASSWORD_CHARS && password.len() <= MAX_PASSWORD_BYTES
}

/// The hash of a link's password. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordHash(String);

/// A password could not be hashed: the system gives no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("a password could not be hashed")]
pub struct NotHashed;

impl PasswordHash {
    /// Hashes a password with the crate's parameters, which are OWASP's (19 MiB, two passes): tens of milliseconds of work, so
    /// not for an asynchronous thread.
    ///
    /// # Errors
    /// [`NotHashed`].
    pub fn of(password: &str) -> Result<Self, NotHashed> {
        let hash = Argon2::default().hash_password(password.as_bytes()).map_err(|_| NotHashed)?;
        Ok(Self(hash.to_string()))
    }

    /// Whether it is this password; takes as long as hashing, whatever the answer.
    #[must_use]
    pub fn matches(&self, password: &str) -> bool {
        if password.len() > MAX_PASSWORD_BYTES {
            return false;
        }
        argon2::password_hash::phc::PasswordHash::new(&self.0)
            .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_password_has_eight_characters_at_least() {
        assert!(is_allowed("sesame-1") && is_allowed("ññññññññ"));
        assert!(!is_allowed("sesame1") && !is_allowed(&"a".repeat(129)));
        assert!(PasswordHash::of("1234").unwrap().matches("1234"), "an older one still opens");
    }

    #[test]
    fn a_password_is_kept_as_an_argon2id_hash() {
        let hash = PasswordHash::of("open sesame").unwrap();
        assert!(hash.matches("open sesame"));
        assert!(!hash.matches("open Sesame") && !hash.matches("") && !hash.matches(&"a".repeat(129)));
        let stored = serde_json::to_string(&hash).unwrap();
        assert!(stored.starts_with("\"$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
        assert!(!format!("{hash:?}").contains("argon2"));
        assert_ne!(hash, PasswordHash::of("open sesame").unwrap(), "each has its own salt");
        assert!(!PasswordHash("damaged".to_owned()).matches("damaged"));
    }
}
