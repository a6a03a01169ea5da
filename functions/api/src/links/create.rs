//! `POST /v1/links`: a free link, and everything that is wrong with what was asked for at once.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::Value;
use shared::http::auth::Caller;
use shared::http::body;
use shared::http::problem::{FieldError, Problem};
use shared::id::{AccountId, WorkspaceId};
use shared::link::alias::LinkAlias;
use shared::link::destination::NotADestination;
use shared::link::domain::DomainName;
use shared::link::password::{self, MAX_PASSWORD_BYTES, MIN_PASSWORD_CHARS, PasswordHash};
use shared::link::targets::Targets;
use shared::link::utm::{MAX_UTM_CHARS, Utm};
use shared::link::{Link, candidate};
use shared::store::Made;
use shared::store::keys::time_of;
use shared::time::UnixMillis;

use crate::Api;
use crate::draft::MOST_TRIES;
use crate::idempotency::NewId;
use crate::links::view_of;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewLink {
    url: String,
    #[serde(default)]
    account_id: Option<AccountId>,
    #[serde(default, with = "shared::time::rfc3339::option")]
    expires_at: Option<UnixMillis>,
    #[serde(default)]
    targets: Targets,
    #[serde(default)]
    password: Option<String>,
    #[serde(default)]
    alias: Option<String>,
    #[serde(default)]
    utm: Utm,
    #[serde(default)]
    domain: Option<String>,
    #[serde(default)]
    append_click_id: bool,
}

/// Makes a free link.
pub(crate) async fn create(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Extension(NewId(id)): Extension<NewId>,
    payload: Bytes,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let new: NewLink = body::read(&payload)?;
    let mut link = checked(&api, caller.workspace, new, time_of(id)).await?;
    let url = link.url.clone();
    for tries in 0..=MOST_TRIES {
        link.id = candidate(id, &url, tries);
        match api.core.create_free_link(&link).await? {
            Made::There(stored) => return Ok((StatusCode::CREATED, Json(view_of(&api, &stored)))),
            Made::NumberTaken => {}
            Made::AliasTaken => return Err(Problem::invalid("/alias", "is taken on this domain")),
        }
    }
    Err(Problem::internal(&"no free link number was found"))
}

/// The link that was asked for, without its number.
async fn checked(api: &Api, workspace: WorkspaceId, new: NewLink, created_at: UnixMillis) -> Result<Link, Problem> {
    let mut errors = Vec::new();
    let mut wrong = |pointer: String, reason: String| errors.push(FieldError { pointer, reason });
    let judge = Judge::new(api, workspace).await?;
    let urls = std::iter::once(("/url".to_owned(), new.url.as_str()));
    let targets = new.targets.all().map(|(name, url)| (format!("/targets/{name}"), url));
    for (pointer, url) in urls.chain(targets) {
        if let Err(reason) = judge.destination(url) {
            wrong(pointer, reason.to_string());
        }
    }
    for name in new.utm.faults() {
        wrong(format!("/utm/{name}"), format!("must have 1 to {MAX_UTM_CHARS} characters"));
    }
    if new.expires_at.is_some_and(|end| end <= UnixMillis::now()) {
        wrong("/expires_at".to_owned(), "must lie in the future".to_owned());
    }
    if new.password.as_deref().is_some_and(|text| !password::is_allowed(text)) {
        let reason =
            format!("must have at least {MIN_PASSWORD_CHARS} characters and at most {MAX_PASSWORD_BYTES} bytes");
        wrong("/password".to_owned(), reason);
    }
    let alias = new.alias.map(LinkAlias::try_from).transpose();
    let alias = alias.unwrap_or_else(|reason| {
        wrong("/alias".to_owned(), reason.to_string());
        None
    });
    let domain = judge.domain(new.domain.as_deref()).unwrap_or_else(|reason| {
        wrong("/domain".to_owned(), reason);
        None
    });
    if let Some(account) = new.account_id
        && api.core.account(workspace, account).await?.is_none()
    {
        wrong("/account_id".to_owned(), "there is no such account".to_owned());
    }
    if !errors.is_empty() {
        return Err(Problem::all_invalid(errors));
    }
    Ok(Link {
        v: 1,
        id: candidate(ulid::Ulid::nil(), &new.url, 0),
        workspace,
        account: new.account_id,
        campaign: None,
        url: new.url,
        targets: new.targets,
        utm: new.utm,
        domain,
        alias,
        kid: api.links.newest_kid(),
        recipients: 0,
        shards: 1,
        append_click_id: new.append_click_id,
        password: hash(new.password).await?,
        valid_until: new.expires_at,
        revoked_at: None,
        created_at,
    })
}

/// Hashing takes tens of milliseconds of work.
async fn hash(password: Option<String>) -> Result<Option<PasswordHash>, Problem> {
    let Some(password) = password else { return Ok(None) };
    let hashed = tokio::task::spawn_blocking(move || PasswordHash::of(&password)).await;
    let hashed = hashed.map_err(|error| Problem::internal(&error))?;
    hashed.map(Some).map_err(|error| Problem::internal(&error))
}

/// Judges where links of a workspace may lead and on which domain they may be.
pub(crate) struct Judge<'a> {
    api: &'a Api,
    own: Vec<DomainName>,
    default: Option<DomainName>,
}

impl<'a> Judge<'a> {
    /// Reads the workspace's domains.
    pub(crate) async fn new(api: &'a Api, workspace: WorkspaceId) -> Result<Self, Problem> {
        let own = api.core.link_domains(workspace).await?.into_iter().map(|row| row.domain).collect();
        Ok(Self { api, own, default: api.core.default_link_domain(workspace).await? })
    }

    /// Whether a link may lead there.
    pub(crate) fn destination(&self, url: &str) -> Result<(), NotADestination> {
        let own = self.own.iter().map(DomainName::as_str);
        let hosts: Vec<&str> = own.chain(self.api.link_host.as_deref()).collect();
        self.api.networks.check(url, &hosts)
    }

    /// The domain that was asked for, or the default; `None` is the deployment's own.
    fn domain(&self, asked: Option<&str>) -> Result<Option<DomainName>, String> {
        let Some(asked) = asked else { return Ok(self.default.clone()) };
        if self.api.link_host.as_deref() == Some(asked) {
            return Ok(None);
        }
        let name = DomainName::parse(asked).map_err(|reason| reason.to_string())?;
        let is_own = self.own.contains(&name);
        is_own.then_some(Some(name)).ok_or_else(|| "is none of the workspace's link domains".to_owned())
    }
}
