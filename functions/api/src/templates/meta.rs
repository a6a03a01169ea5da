//! Reading templates from Meta into our copy, and Meta's refusals as problems.

use std::time::Duration;

use shared::account::Account;
use shared::http::problem::Problem;
use shared::meta::management::NotManaged;
use shared::template::{FetchedTemplate, StoredTemplate};
use shared::time::UnixMillis;

use crate::Api;

/// More than a WABA can have (Meta: 6,000).
pub(super) const MOST_TEMPLATES: usize = 10_000;

/// How far Meta's clock may be behind ours; its notifications have whole seconds besides.
const CLOCKS_DIFFER_MS: i64 = 2_000;

/// The time that an answer of Meta's to a question asked now is good for: news that Meta dates later are newer.
pub(super) const fn read_at(asked_at: UnixMillis) -> UnixMillis {
    UnixMillis(asked_at.0 - CLOCKS_DIFFER_MS)
}

/// The time of a change that we have made ourselves just now, in Meta's whole seconds: whatever Meta told before it is older.
pub(super) const fn changed_at(now: UnixMillis) -> UnixMillis {
    UnixMillis(now.0 - now.0.rem_euclid(1_000))
}

/// The time of a deletion of ours. What Meta told shortly before it may still be on its way, and Meta's clock may be ahead;
/// none of that brings the template back, and its name cannot be used again for 30 days (Meta, "Message templates").
pub(super) const fn deleted_at(now: UnixMillis) -> UnixMillis {
    changed_at(UnixMillis(now.0 + 1_000 + CLOCKS_DIFFER_MS))
}

/// Reads all templates of the account's WABA. Cut off anywhere, it leaves rows that are right and a list that is read again.
pub(super) async fn refresh(api: &Api, account: &Account) -> Result<(), Problem> {
    let read_at = read_at(UnixMillis::now());
    let token = api.secrets.token(account.workspace, account.id).await?;
    let found = api.graph.templates(&account.waba_id, &token, None).await.map_err(problem)?;
    for template in &found {
        api.core.keep_template(account.workspace, &account.waba_id, template, read_at).await?;
    }
    api.core.templates_were_read(account.workspace, &account.waba_id, &found, read_at).await?;
    api.core.route_waba(account).await?;
    Ok(())
}

/// Reads the templates of one name; what Meta has. `read_at` is the time that the answer is good for.
pub(super) async fn read_name(
    api: &Api,
    account: &Account,
    name: &str,
    read_at: UnixMillis,
) -> Result<Result<Vec<FetchedTemplate>, NotManaged>, Problem> {
    let token = api.secrets.token(account.workspace, account.id).await?;
    let found = match api.graph.templates(&account.waba_id, &token, Some(name)).await {
        Ok(found) => found,
        Err(error) => return Ok(Err(error)),
    };
    for template in &found {
        api.core.keep_template(account.workspace, &account.waba_id, template, read_at).await?;
    }
    Ok(Ok(found))
}

/// The template as it is after a change.
pub(super) async fn read_again(
    api: &Api,
    account: &Account,
    changed: &StoredTemplate,
) -> Result<StoredTemplate, Problem> {
    if let Err(error) = read_name(api, account, &changed.name, changed_at(UnixMillis::now())).await? {
        // The change is made; the copy follows with the next reading or notification.
        tracing::warn!(account = %account.id, %error, "a template could not be read after its change");
    }
    let StoredTemplate { name, language, .. } = changed;
    let stored = api.core.template(account.workspace, &account.waba_id, name, language).await?;
    stored.ok_or_else(|| Problem::not_found("template"))
}

/// What Meta's refusal is to our caller.
pub(super) fn problem(error: NotManaged) -> Problem {
    let is_rate_limit = error.is_rate_limit();
    match error {
        NotManaged::Refused { error, retry_after, .. } if is_rate_limit => {
            let refused = Problem::refused_by_meta(&error);
            // Without a word from Meta: the windows of management calls are an hour long.
            let wait = retry_after.or(Some(Duration::from_secs(3_600)).filter(|_| error.code != 100));
            Problem { meta: refused.meta, ..Problem::too_many(refused.detail, "meta_management", wait) }
        }
        NotManaged::Refused { error, .. } => Problem::refused_by_meta(&error),
        NotManaged::NoAnswer => Problem::unavailable(&error),
    }
}
