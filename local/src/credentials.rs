//! The secrets of a stack on one machine: taken from the environment, else made at the first start and kept in the data
//! directory in a file that only its owner may read.

use std::path::Path;

use anyhow::Context;
use rand::Rng;
use serde::{Deserialize, Serialize};
use shared::secrets::write_private_file;

/// What the functions need to know and nobody else may.
#[derive(Clone, Serialize, Deserialize)]
pub struct Credentials {
    /// Meta's app secrets, comma-separated (`META_APP_SECRET`).
    pub app_secrets: String,
    /// The token of Meta's handshake (`META_VERIFY_TOKEN`).
    pub verify_token: String,
    /// Keys of the link codes, newest first (`LINK_KEYS`).
    pub link_keys: String,
    /// The admin API key (`THIRDTICK_API_KEY`).
    pub admin_key: String,
}

impl Credentials {
    /// Reads the file, makes what is missing, and lets the environment win.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn load(file: Option<&Path>) -> anyhow::Result<Self> {
        let kept = match file.map(std::fs::read) {
            Some(Ok(bytes)) => Some(serde_json::from_slice(&bytes).context("the file of credentials is damaged")?),
            Some(Err(error)) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).context("the file of credentials cannot be read");
            }
            Some(Err(_)) | None => None,
        };
        let mut credentials = kept.unwrap_or_else(Self::make);
        if let Some(file) = file {
            let contents = serde_json::to_vec_pretty(&credentials)?;
            write_private_file(file, &contents).context("the file of credentials cannot be written")?;
        }
        for (name, value) in [
            ("META_APP_SECRET", &mut credentials.app_secrets),
            ("META_VERIFY_TOKEN", &mut credentials.verify_token),
            ("LINK_KEYS", &mut credentials.link_keys),
            ("THIRDTICK_API_KEY", &mut credentials.admin_key),
        ] {
            if let Some(given) = std::env::var(name).ok().filter(|given| !given.trim().is_empty()) {
                *value = given;
            }
        }
        Ok(credentials)
    }

    fn make() -> Self {
        Self {
            app_secrets: random_hex(16),
            verify_token: random_hex(8),
            link_keys: format!("1:{}", random_hex(16)),
            admin_key: format!("tt_{}", random_hex(20)),
        }
    }

    /// The secret that the simulator signs with: the newest.
    #[must_use]
    pub fn newest_app_secret(&self) -> &str {
        self.app_secrets.split(',').next().unwrap_or_default().trim()
    }
}

/// So many random bytes in hexadecimal, from the thread's generator, which the operating system seeds and which is made
/// for cryptography.
fn random_hex(bytes: usize) -> String {
    let mut random = rand::rng();
    (0..bytes).map(|_| format!("{:02x}", random.random::<u8>())).collect()
}
