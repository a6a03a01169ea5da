//! `/v1/accounts/{id}/templates`: the message templates of an account's WhatsApp Business Account. Lists are our stored copy,
//! which Meta's notifications keep in step; every change goes through Meta and is then read back from it.

pub(crate) mod fitting;
mod meta;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use shared::account::Account;
use shared::http::auth::Caller;
use shared::http::params::Params;
use shared::http::problem::{FieldError, Problem};
use shared::http::{MAX_LIMIT, body, limit};
use shared::template::limits::{Proposal, check_proposal, next_edit};
use shared::template::{
    FetchedTemplate, StoredTemplate, TemplateChange, TemplateProblem, TemplateStatus, language_code,
};
use shared::time::UnixMillis;

use crate::Api;

/// Our edits are remembered for as long as Meta counts them (Meta, editing templates: ten in 30 days).
const EDITS_COUNT_FOR: Duration = Duration::from_secs(30 * 24 * 3_600);

/// A template as the API shows it.
#[derive(Serialize)]
struct TemplateView<'a> {
    id: Option<&'a str>,
    name: &'a str,
    language: &'a str,
    status: &'a TemplateStatus,
    /// Why it stands there, in Meta's words.
    status_title: Option<&'a str>,
    status_description: Option<&'a str>,
    rejected_reason: Option<&'a str>,
    category: Option<&'a str>,
    next_category: Option<&'a str>,
    quality: Option<&'a str>,
    parameter_format: Option<&'a str>,
    components: Option<&'a [Value]>,
    #[serde(with = "shared::time::rfc3339::option")]
    read_at: Option<UnixMillis>,
}

impl<'a> From<&'a StoredTemplate> for TemplateView<'a> {
    fn from(stored: &'a StoredTemplate) -> Self {
        Self {
            id: stored.meta_id.as_deref(),
            name: &stored.name,
            language: &stored.language,
            status: &stored.status,
            status_title: stored.status_title.as_deref(),
            status_description: stored.status_description.as_deref(),
            rejected_reason: stored.rejected_reason.as_deref(),
            category: stored.category.as_deref(),
            next_category: stored.next_category.as_deref(),
            quality: stored.quality.as_deref(),
            parameter_format: stored.parameter_format.as_deref(),
            components: stored.components.as_deref(),
            read_at: stored.read_at,
        }
    }
}

/// Which templates, and whether Meta is asked first.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listing {
    limit: Option<String>,
    cursor: Option<String>,
    #[serde(default)]
    refresh: bool,
}

/// Which language of a name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Choice {
    language: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewTemplate {
    name: String,
    language: String,
    category: String,
    components: Vec<Value>,
    #[serde(default)]
    parameter_format: Option<String>,
    #[serde(default)]
    message_send_ttl_seconds: Option<i64>,
    #[serde(default)]
    cta_url_link_tracking_opted_out: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TemplateEdit {
    #[serde(default)]
    category: Option<String>,
    #[serde(default)]
    components: Option<Vec<Value>>,
    #[serde(default)]
    message_send_ttl_seconds: Option<i64>,
}

/// The caller's account of this id.
async fn account(api: &Api, caller: Caller, id: &str) -> Result<Account, Problem> {
    let id = id.parse().map_err(|_| Problem::not_found("account"))?;
    api.core.account(caller.workspace, id).await?.ok_or_else(|| Problem::not_found("account"))
}

/// `GET /v1/accounts/{id}/templates`: our copy by name and language; read from Meta first when asked to, or never read.
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Params(listing): Params<Listing>,
) -> Result<Json<Value>, Problem> {
    let limit = limit(listing.limit.as_deref())?;
    let after = match listing.cursor.as_deref().map(|cursor| cursor.rsplit_once(':')) {
        Some(None) => return Err(Problem::invalid("/cursor", "must be what next_cursor was")),
        Some(Some(after)) => Some(after),
        None => None,
    };
    let account = account(&api, caller, &id).await?;
    let (workspace, waba) = (account.workspace, account.waba_id.as_str());
    if listing.refresh || api.core.templates_read_at(workspace, waba).await?.is_none() {
        meta::refresh(&api, &account).await?;
    }
    let listed = api.core.templates(workspace, waba, None, after, limit).await?;
    let next = crate::view::next_cursor(&listed, |template| format!("{}:{}", template.name, template.language));
    let templates: Vec<TemplateView<'_>> = listed.rows.iter().map(TemplateView::from).collect();
    let read_at = api.core.templates_read_at(workspace, waba).await?.map(UnixMillis::to_rfc3339);
    Ok(Json(json!({"data": templates, "next_cursor": next, "read_at": read_at})))
}

/// `POST /v1/accounts/{id}/templates`.
pub(crate) async fn create(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    payload: Bytes,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let account = account(&api, caller, &id).await?;
    let new: NewTemplate = body::read(&payload)?;
    let (language, category) = (language_code(&new.language), new.category.to_uppercase());
    let parameter_format = new.parameter_format.as_deref().unwrap_or("POSITIONAL").to_uppercase();
    let mut problems = check_proposal(&Proposal {
        name: &new.name,
        language: &language,
        category: &category,
        named: parameter_format == "NAMED",
        components: &new.components,
        ttl_s: new.message_send_ttl_seconds,
    });
    if !matches!(parameter_format.as_str(), "NAMED" | "POSITIONAL") {
        let reason = "must be POSITIONAL or NAMED".to_owned();
        problems.push(TemplateProblem { pointer: "/parameter_format".to_owned(), reason });
    }
    refuse(problems)?;
    let mut written = json!({
        "name": new.name,
        "language": language,
        "category": category,
        "components": new.components,
        "parameter_format": parameter_format,
    });
    if let Some(ttl) = new.message_send_ttl_seconds {
        written["message_send_ttl_seconds"] = ttl.into();
    }
    if let Some(opted_out) = new.cta_url_link_tracking_opted_out {
        written["cta_url_link_tracking_opted_out"] = opted_out.into();
    }
    let read_at = meta::read_at(UnixMillis::now());
    let token = api.secrets.token(account.workspace, account.id).await?;
    let created = api.graph.create_template(&account.waba_id, &token, &written).await.map_err(meta::problem)?;
    // If the process dies here, the next reading of the list or Meta's notification brings the template.
    let fetched = FetchedTemplate {
        meta_id: created.id,
        name: new.name,
        language,
        status: created.status,
        category: created.category.or(Some(category)),
        quality: None,
        parameter_format: Some(parameter_format),
        components: new.components,
        rejected_reason: None,
    };
    api.core.keep_template(account.workspace, &account.waba_id, &fetched, read_at).await?;
    api.core.route_waba(&account).await?;
    let stored = api.core.template(account.workspace, &account.waba_id, &fetched.name, &fetched.language).await?;
    Ok((StatusCode::CREATED, shown(&stored.ok_or_else(|| Problem::not_found("template"))?)))
}

fn refuse(problems: Vec<TemplateProblem>) -> Result<(), Problem> {
    if problems.is_empty() {
        return Ok(());
    }
    let errors = problems.into_iter().map(|TemplateProblem { pointer, reason }| FieldError { pointer, reason });
    Err(Problem::all_invalid(errors.collect()))
}

fn shown(stored: &StoredTemplate) -> Json<Value> {
    Json(json!(TemplateView::from(stored)))
}

/// All languages of a name, or the one template with this id of Meta's, and not those that are deleted. Asks Meta when
/// nothing is stored.
async fn find(
    api: &Api,
    account: &Account,
    id_or_name: &str,
    language: Option<&str>,
) -> Result<Vec<StoredTemplate>, Problem> {
    let (workspace, waba) = (account.workspace, account.waba_id.as_str());
    let is_id = !id_or_name.is_empty() && id_or_name.bytes().all(|byte| byte.is_ascii_digit());
    for is_second_look in [false, true] {
        let mut found = api.core.templates(workspace, waba, Some(id_or_name), None, MAX_LIMIT).await?.rows;
        if found.is_empty() && is_id {
            let all = api.core.templates(workspace, waba, None, None, meta::MOST_TEMPLATES).await?.rows;
            found = all.into_iter().filter(|stored| stored.meta_id.as_deref() == Some(id_or_name)).collect();
        }
        let language = language.map(language_code);
        found.retain(|stored| language.as_ref().is_none_or(|language| *language == stored.language));
        found.retain(|stored| stored.status != TemplateStatus::Deleted && stored.components.is_some());
        if !found.is_empty() || is_second_look {
            return if found.is_empty() { Err(Problem::not_found("template")) } else { Ok(found) };
        }
        meta::refresh(api, account).await?;
    }
    Err(Problem::not_found("template"))
}

/// The one that is meant.
async fn find_one(api: &Api, account: &Account, id_or_name: &str, choice: &Choice) -> Result<StoredTemplate, Problem> {
    let mut found = find(api, account, id_or_name, choice.language.as_deref()).await?;
    if found.len() > 1 {
        let languages: Vec<&str> = found.iter().map(|stored| stored.language.as_str()).collect();
        let reason = format!("this template has several languages, name one: {}", languages.join(", "));
        return Err(Problem::invalid("/language", reason));
    }
    Ok(found.remove(0))
}

/// `GET /v1/accounts/{id}/templates/{template id or name}`.
pub(crate) async fn one(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path((id, template)): Path<(String, String)>,
    Params(choice): Params<Choice>,
) -> Result<Json<Value>, Problem> {
    let account = account(&api, caller, &id).await?;
    Ok(shown(&find_one(&api, &account, &template, &choice).await?))
}

/// `PATCH /v1/accounts/{id}/templates/{template id or name}`: Meta takes edits of approved, rejected and paused templates
/// only, and of approved ones one a day and ten a month.
pub(crate) async fn edit(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path((id, template)): Path<(String, String)>,
    Params(choice): Params<Choice>,
    payload: Bytes,
) -> Result<Json<Value>, Problem> {
    let account = account(&api, caller, &id).await?;
    let edit: TemplateEdit = body::read(&payload)?;
    let stored = find_one(&api, &account, &template, &choice).await?;
    let now = UnixMillis::now();
    let written = check_edit(&stored, edit, now)?;
    let (token, meta_id) = known_at_meta(&api, &account, &stored).await?;
    api.graph.edit_template(meta_id, &token, &written).await.map_err(meta::problem)?;
    let since = UnixMillis(now.0 - i64::try_from(EDITS_COUNT_FOR.as_millis()).unwrap_or(0));
    api.core.note_template_edit(account.workspace, &account.waba_id, &stored, now, since).await?;
    Ok(shown(&meta::read_again(&api, &account, &stored).await?))
}

/// Meta's body of an edit that is allowed now and within Meta's limits.
fn check_edit(stored: &StoredTemplate, edit: TemplateEdit, now: UnixMillis) -> Result<Value, Problem> {
    if edit.category.is_none() && edit.components.is_none() && edit.message_send_ttl_seconds.is_none() {
        return Err(Problem::invalid("/", "name what is to change: components, category or message_send_ttl_seconds"));
    }
    if !stored.status.is_editable() {
        let detail = "a template can be edited when it is APPROVED, REJECTED or PAUSED";
        return Err(Problem::conflict(detail, Some(stored.status.as_str())));
    }
    let is_approved = stored.status == TemplateStatus::Approved;
    if is_approved && edit.category.is_some() {
        return Err(Problem::invalid("/category", "the category of an approved template cannot be changed"));
    }
    if let Some((until, window)) = next_edit(&stored.edits, now).filter(|_| is_approved) {
        let detail =
            format!("Meta takes {window} of an approved template; the next is possible at {}", until.to_rfc3339());
        return Err(Problem::too_many(detail, window, Some(until.since(now))));
    }
    let category = edit.category.as_deref().or(stored.category.as_deref()).unwrap_or("MARKETING").to_uppercase();
    let components = edit.components.as_deref().or(stored.components.as_deref()).unwrap_or_default();
    let named = stored.parameter_format.as_deref().is_some_and(|format| format.eq_ignore_ascii_case("NAMED"));
    refuse(check_proposal(&Proposal {
        name: &stored.name,
        language: &stored.language,
        category: &category,
        named,
        components,
        ttl_s: edit.message_send_ttl_seconds,
    }))?;
    let mut written = Map::new();
    written.extend(edit.category.is_some().then(|| ("category".to_owned(), Value::String(category))));
    written.extend(edit.components.map(|components| ("components".to_owned(), Value::Array(components))));
    written.extend(edit.message_send_ttl_seconds.map(|ttl| ("message_send_ttl_seconds".to_owned(), ttl.into())));
    Ok(Value::Object(written))
}

/// What a call about this very template needs.
async fn known_at_meta<'a>(
    api: &Api,
    account: &Account,
    stored: &'a StoredTemplate,
) -> Result<(shared::secrets::AccessToken, &'a str), Problem> {
    let id = stored.meta_id.as_deref().ok_or_else(|| Problem::not_found("template"))?;
    Ok((api.secrets.token(account.workspace, account.id).await?, id))
}

/// `DELETE /v1/accounts/{id}/templates/{template id or name}`: all languages of a name, or one.
pub(crate) async fn delete(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path((id, template)): Path<(String, String)>,
    Params(choice): Params<Choice>,
) -> Result<StatusCode, Problem> {
    let account = account(&api, caller, &id).await?;
    let found = find(&api, &account, &template, choice.language.as_deref()).await?;
    if let Some(disabled) = found.iter().find(|stored| stored.status == TemplateStatus::Disabled) {
        let detail = format!("Meta does not delete a disabled template ({})", disabled.language);
        return Err(Problem::conflict(detail, Some(disabled.status.as_str())));
    }
    let token = api.secrets.token(account.workspace, account.id).await?;
    let name = found.first().map(|stored| stored.name.clone()).unwrap_or_default();
    let whole_name = choice.language.is_none() && name == template;
    if whole_name {
        api.graph.delete_template(&account.waba_id, &token, &name, None).await.map_err(meta::problem)?;
    }
    for stored in &found {
        if !whole_name {
            let meta_id = stored.meta_id.as_deref().ok_or_else(|| Problem::not_found("template"))?;
            let deleted = api.graph.delete_template(&account.waba_id, &token, &name, Some(meta_id)).await;
            deleted.map_err(meta::problem)?;
        }
        let at = meta::deleted_at(UnixMillis::now());
        api.core.template_was_deleted(account.workspace, &account.waba_id, stored, at).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /v1/accounts/{id}/templates/{template id or name}/unpause`: after a pause that Meta's pacing caused.
pub(crate) async fn unpause(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path((id, template)): Path<(String, String)>,
    Params(choice): Params<Choice>,
) -> Result<Json<Value>, Problem> {
    let account = account(&api, caller, &id).await?;
    let stored = find_one(&api, &account, &template, &choice).await?;
    if stored.status != TemplateStatus::Paused {
        let detail = "a template can be unpaused when it is PAUSED";
        return Err(Problem::conflict(detail, Some(stored.status.as_str())));
    }
    let (token, meta_id) = known_at_meta(&api, &account, &stored).await?;
    api.graph.unpause_template(meta_id, &token).await.map_err(meta::problem)?;
    let title = Some("UNPAUSE".to_owned());
    let approved =
        TemplateChange::Status { status: TemplateStatus::Approved, title, description: None, rejected_reason: None };
    let (workspace, waba, at) = (account.workspace, &account.waba_id, meta::changed_at(UnixMillis::now()));
    let named = (stored.name.as_str(), stored.language.as_str(), meta_id);
    api.core.change_template(workspace, waba, named, &approved, at).await?;
    let stored = api.core.template(workspace, waba, &stored.name, &stored.language).await?;
    Ok(shown(&stored.ok_or_else(|| Problem::not_found("template"))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(status: TemplateStatus) -> StoredTemplate {
        StoredTemplate {
            name: "offer".to_owned(),
            language: "en_US".to_owned(),
            status,
            category: Some("MARKETING".to_owned()),
            components: Some(vec![json!({"type": "BODY", "text": "Hi"})]),
            ..StoredTemplate::default()
        }
    }

    fn edit(json: Value) -> TemplateEdit {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn only_some_states_can_be_edited() {
        let change = || edit(json!({"components": [{"type": "BODY", "text": "Hello"}]}));
        let now = UnixMillis(1_790_000_000_000);
        let refused = check_edit(&stored(TemplateStatus::Pending), change(), now).unwrap_err();
        assert_eq!((refused.status, refused.current.as_deref()), (409, Some("PENDING")));
        for status in [TemplateStatus::Approved, TemplateStatus::Rejected, TemplateStatus::Paused] {
            let written = check_edit(&stored(status), change(), now).unwrap();
            assert_eq!(written, json!({"components": [{"type": "BODY", "text": "Hello"}]}));
        }
        let refused =
            check_edit(&stored(TemplateStatus::Approved), edit(json!({"category": "UTILITY"})), now).unwrap_err();
        assert_eq!((refused.status, refused.errors[0].pointer.as_str()), (422, "/category"));
        assert!(check_edit(&stored(TemplateStatus::Rejected), edit(json!({"category": "UTILITY"})), now).is_ok());
        assert_eq!(check_edit(&stored(TemplateStatus::Approved), edit(json!({})), now).unwrap_err().status, 422);
    }

    #[test]
    fn a_second_edit_within_a_day_says_when_it_is_possible() {
        let now = UnixMillis(1_790_000_000_000);
        let edited = StoredTemplate { edits: vec![UnixMillis(now.0 - 3_600_000)], ..stored(TemplateStatus::Approved) };
        let change = || edit(json!({"components": [{"type": "BODY", "text": "Hello"}]}));
        let refused = check_edit(&edited, change(), now).unwrap_err();
        assert_eq!((refused.status, refused.window.as_deref()), (429, Some("1 edit in 24 hours")));
        assert_eq!(refused.retry_after, Some(Duration::from_secs(23 * 3_600)));
        let rejected = StoredTemplate { status: TemplateStatus::Rejected, ..edited };
        assert!(check_edit(&rejected, change(), now).is_ok(), "the limit is that of approved templates");
    }
}
