//! Access tokens of business phone numbers and the secrets that webhooks are signed with: in SSM Parameter Store (SecureString) on AWS, in a file with mode 600 on one
//! machine, in memory for a stack that leaves nothing behind. Never in a table, never in a log, never given back by the API.

mod signing;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aws_sdk_ssm::error::DisplayErrorContext;
use aws_sdk_ssm::types::ParameterType;

use crate::account::Account;
use crate::id::{AccountId, WorkspaceId};
use crate::time::UnixMillis;

/// How long a token read from Parameter Store is used before it is read again.
const CACHED_FOR: Duration = Duration::from_secs(300);

/// The clocks of two processes differ by less than this; for so long after a token was replaced it is read anew each time.
const CLOCKS_DIFFER: Duration = Duration::from_secs(2);

/// A bearer token of Meta's. Its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessToken(String);

impl AccessToken {
    /// Takes the token as typed; white space around it is dropped.
    #[must_use]
    pub fn new(token: &str) -> Self {
        Self(token.trim().to_owned())
    }

    /// The secret itself, for the `Authorization` header only.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The text without the token: Meta repeats one that is malformed in its error.
    #[must_use]
    pub fn hidden_in(&self, text: &str) -> String {
        if self.0.is_empty() { text.to_owned() } else { text.replace(&self.0, "…") }
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken(…)")
    }
}

/// Why a secret could not be kept or read.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Nothing is kept under this name: the account has no token yet.
    #[error("no access token is kept for {0}")]
    Missing(AccountId),
    /// Parameter Store refused or could not be reached: retry.
    #[error("the parameter store is unavailable: {0}")]
    Unavailable(String),
    /// The file of secrets cannot be read or written.
    #[error("the file of secrets cannot be used")]
    File(#[from] std::io::Error),
    /// The file of secrets is not ours.
    #[error("the file of secrets is damaged")]
    Damaged(#[from] serde_json::Error),
}

/// Where the tokens are kept.
#[derive(Clone, Debug)]
pub struct Secrets {
    kept: Kept,
    cache: Arc<Mutex<HashMap<AccountId, Cached>>>,
    signing: signing::Cache,
}

#[derive(Clone, Debug)]
struct Cached {
    token: AccessToken,
    read: Instant,
    read_at: UnixMillis,
}

#[derive(Clone, Debug)]
enum Kept {
    Ssm { client: aws_sdk_ssm::Client, prefix: String },
    File(Arc<Mutex<PathBuf>>),
    Memory(Arc<Mutex<BTreeMap<String, String>>>),
}

impl Secrets {
    /// SSM Parameter Store, under `prefix` (such as `/thirdtick/prod`).
    #[must_use]
    pub fn in_ssm(client: aws_sdk_ssm::Client, prefix: impl Into<String>) -> Self {
        Self::kept_in(Kept::Ssm { client, prefix: prefix.into() })
    }

    /// Where a function on AWS keeps its secrets.
    #[must_use]
    pub fn from_environment(config: &aws_config::SdkConfig, prefix: &str) -> Self {
        Self::in_ssm(aws_sdk_ssm::Client::new(config), prefix)
    }

    /// A JSON file that only its owner may read; it is made when the first secret comes.
    #[must_use]
    pub fn in_file(path: impl Into<PathBuf>) -> Self {
        Self::kept_in(Kept::File(Arc::new(Mutex::new(path.into()))))
    }

    /// In this process only.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::kept_in(Kept::Memory(Arc::default()))
    }

    fn kept_in(kept: Kept) -> Self {
        Self { kept, cache: Arc::default(), signing: signing::Cache::default() }
    }

    /// Keeps the account's token, replacing the one before.
    ///
    /// # Errors
    /// When it cannot be kept; then the account must not be created.
    pub async fn keep_token(
        &self,
        workspace: WorkspaceId,
        account: AccountId,
        token: &AccessToken,
    ) -> Result<(), SecretError> {
        self.kept.put(token_name(workspace, account), token.expose().to_owned()).await?;
        self.remember(account, token.clone());
        Ok(())
    }

    /// The account's token as it is since the account says that it was replaced; a copy that was read before is read
    /// again. So a new token is used at once by every process, and not after five minutes of refusals.
    ///
    /// # Errors
    /// As [`Secrets::token`].
    pub async fn token_of(&self, account: &Account) -> Result<AccessToken, SecretError> {
        if let Some(replaced) = account.token_at {
            let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
            if cache.get(&account.id).is_some_and(|cached| cached.read_at <= replaced.plus(CLOCKS_DIFFER)) {
                cache.remove(&account.id);
            }
        }
        self.token(account.workspace, account.id).await
    }

    /// The account's token; read from Parameter Store at most once in five minutes.
    ///
    /// # Errors
    /// [`SecretError::Missing`] when none is kept; anything else may pass with a retry.
    pub async fn token(&self, workspace: WorkspaceId, account: AccountId) -> Result<AccessToken, SecretError> {
        if let Some(token) = self.remembered(account) {
            return Ok(token);
        }
        let token = self.kept.get(&token_name(workspace, account)).await?;
        let token = token.map(|token| AccessToken::new(&token)).ok_or(SecretError::Missing(account))?;
        self.remember(account, token.clone());
        Ok(token)
    }

    fn remember(&self, account: AccountId, token: AccessToken) {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.insert(account, Cached { token, read: Instant::now(), read_at: UnixMillis::now() });
    }

    fn remembered(&self, account: AccountId) -> Option<AccessToken> {
        let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.get(&account).filter(|cached| cached.read.elapsed() < CACHED_FOR).map(|cached| cached.token.clone())
    }
}

impl Kept {
    async fn put(&self, name: String, value: String) -> Result<(), SecretError> {
        match self {
            Self::Ssm { client, prefix } => {
                client
                    .put_parameter()
                    .name(format!("{prefix}/{name}"))
                    .value(value)
                    .r#type(ParameterType::SecureString)
                    .overwrite(true)
                    .send()
                    .await
                    .map_err(|error| SecretError::Unavailable(DisplayErrorContext(&error).to_string()))?;
            }
            Self::File(path) => {
                let path = path.lock().unwrap_or_else(PoisonError::into_inner);
                let mut secrets = read_file(&path)?;
                secrets.insert(name, value);
                write_private_file(&path, &serde_json::to_vec_pretty(&secrets)?)?;
            }
            Self::Memory(secrets) => {
                secrets.lock().unwrap_or_else(PoisonError::into_inner).insert(name, value);
            }
        }
        Ok(())
    }

    async fn get(&self, name: &str) -> Result<Option<String>, SecretError> {
        match self {
            Self::Ssm { client, prefix } => {
                let found = client.get_parameter().name(format!("{prefix}/{name}")).with_decryption(true).send().await;
                match found {
                    Ok(found) => Ok(found.parameter.and_then(|parameter| parameter.value)),
                    Err(error) if error.as_service_error().is_some_and(|e| e.is_parameter_not_found()) => Ok(None),
                    Err(error) => Err(SecretError::Unavailable(DisplayErrorContext(&error).to_string())),
                }
            }
            Self::File(path) => {
                let path = path.lock().unwrap_or_else(PoisonError::into_inner);
                Ok(read_file(&path)?.remove(name))
            }
            Self::Memory(secrets) => Ok(secrets.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()),
        }
    }

    /// A repeat changes nothing.
    async fn forget(&self, name: &str) -> Result<(), SecretError> {
        match self {
            Self::Ssm { client, prefix } => {
                match client.delete_parameter().name(format!("{prefix}/{name}")).send().await {
                    Ok(_) => {}
                    Err(error) if error.as_service_error().is_some_and(|e| e.is_parameter_not_found()) => {}
                    Err(error) => return Err(SecretError::Unavailable(DisplayErrorContext(&error).to_string())),
                }
            }
            Self::File(path) => {
                let path = path.lock().unwrap_or_else(PoisonError::into_inner);
                let mut secrets = read_file(&path)?;
                if secrets.remove(name).is_some() {
                    write_private_file(&path, &serde_json::to_vec_pretty(&secrets)?)?;
                }
            }
            Self::Memory(secrets) => {
                secrets.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
            }
        }
        Ok(())
    }
}

fn token_name(workspace: WorkspaceId, account: AccountId) -> String {
    format!("{workspace}/{account}/access-token")
}

fn read_file(path: &Path) -> Result<BTreeMap<String, String>, SecretError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(error.into()),
    }
}

/// Writes a file that only its owner may read (mode 600). It is written beside and renamed, so that a crash leaves the old
/// file or the new one, never half of one.
///
/// # Errors
/// When the folder cannot be written.
pub fn write_private_file(path: &Path, contents: &[u8]) -> std::io::Result<()> {
    let beside = path.with_extension("new");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(&beside)?.write_all(contents)?;
    std::fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::NumberIdentity;

    #[tokio::test]
    async fn a_token_that_another_process_has_replaced_is_used_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets.json");
        let number = NumberIdentity {
            phone_number_id: "1".to_owned(),
            waba_id: "2".to_owned(),
            display_phone_number: "3".to_owned(),
        };
        let id = AccountId::new(UnixMillis(1));
        let mut account = Account::new(id, WorkspaceId::FIRST, number, UnixMillis(1));
        let (api, sender) = (Secrets::in_file(&path), Secrets::in_file(&path));
        api.keep_token(account.workspace, account.id, &AccessToken::new("old")).await.unwrap();
        assert_eq!(sender.token_of(&account).await.unwrap().expose(), "old");

        api.keep_token(account.workspace, account.id, &AccessToken::new("new")).await.unwrap();
        assert_eq!(sender.token_of(&account).await.unwrap().expose(), "old", "the account says nothing of a new one");
        account.token_at = Some(UnixMillis::now());
        assert_eq!(sender.token_of(&account).await.unwrap().expose(), "new");
    }

    #[test]
    fn a_token_is_never_shown() {
        let token = AccessToken::new("EAAG123");
        assert_eq!(format!("{token:?}"), "AccessToken(…)");
        assert_eq!(token.hidden_in("Malformed access token EAAG123"), "Malformed access token …");
        assert_eq!(AccessToken::new(" ").hidden_in("text"), "text");
    }

    #[tokio::test]
    async fn a_file_of_secrets_is_readable_by_its_owner_only_and_survives_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets.json");
        let (workspace, account) = (WorkspaceId::FIRST, AccountId::new(UnixMillis(1)));
        let token = AccessToken::new(" EAAG123\n");
        Secrets::in_file(&path).keep_token(workspace, account, &token).await.unwrap();

        assert_eq!(Secrets::in_file(&path).token(workspace, account).await.unwrap().expose(), "EAAG123");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[tokio::test]
    async fn an_account_without_a_token_is_told_apart_from_a_failing_store() {
        let account = AccountId::new(UnixMillis(1));
        let missing = Secrets::in_memory().token(WorkspaceId::FIRST, account).await;
        assert!(matches!(missing, Err(SecretError::Missing(id)) if id == account));
    }
}
