//! `/v1/webhooks`: subscriptions to events. Making, changing and trying them is here; what became of their deliveries, and
//! sending those again, in [`deliveries`].

pub(crate) mod deliveries;

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use shared::activity::id_of;
use shared::http::auth::Caller;
use shared::http::body;
use shared::http::problem::{FieldError, Problem};
use shared::id::{AccountId, CampaignId, WebhookId};
use shared::published::Published;
use shared::subscription::delivery::Delivery;
use shared::subscription::endpoint::Endpoint;
use shared::subscription::pattern::Pattern;
use shared::subscription::signing::{SigningSecret, SigningSecrets};
use shared::subscription::{MAX_WEBHOOKS, Webhook};
use shared::time::{UnixMillis, rfc3339};

use crate::Api;
use crate::idempotency::{NewId, NotKept};

/// Longest description, in characters.
const MAX_DESCRIPTION_CHARS: usize = 512;

/// Most patterns, accounts or campaigns of a subscription.
const MAX_ENTRIES: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewWebhook {
    url: String,
    #[serde(default)]
    events: Option<Vec<Pattern>>,
    #[serde(default)]
    accounts: Option<Vec<AccountId>>,
    #[serde(default)]
    campaigns: Option<Vec<CampaignId>>,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    enabled: Option<bool>,
}

/// A subscription as the API shows it.
#[derive(Serialize)]
struct WebhookView<'a> {
    id: WebhookId,
    url: &'a str,
    events: &'a [Pattern],
    accounts: &'a [AccountId],
    campaigns: &'a [CampaignId],
    description: Option<&'a str>,
    enabled: bool,
    disabled_reason: Option<&'a str>,
    #[serde(with = "rfc3339::option")]
    disabled_at: Option<UnixMillis>,
    #[serde(with = "rfc3339")]
    created_at: UnixMillis,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<EndpointView>,
    /// Shown once.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
    #[serde(with = "rfc3339::option", skip_serializing_if = "Option::is_none")]
    previous_secret_signs_until: Option<UnixMillis>,
}

/// How an endpoint does.
#[derive(Serialize)]
struct EndpointView {
    failures_in_a_row: u32,
    #[serde(with = "rfc3339::option")]
    failing_since: Option<UnixMillis>,
    #[serde(with = "rfc3339::option")]
    left_alone_until: Option<UnixMillis>,
    #[serde(with = "rfc3339::option")]
    last_success_at: Option<UnixMillis>,
}

impl<'a> WebhookView<'a> {
    fn of(webhook: &'a Webhook, secrets: Option<&'a SigningSecrets>, endpoint: Option<&Endpoint>) -> Self {
        let now = UnixMillis::now();
        Self {
            id: webhook.id,
            url: &webhook.url,
            events: &webhook.events,
            accounts: &webhook.accounts,
            campaigns: &webhook.campaigns,
            description: webhook.description.as_deref(),
            enabled: webhook.enabled,
            disabled_reason: webhook.disabled.as_ref().map(|disabled| disabled.reason.as_str()),
            disabled_at: webhook.disabled.as_ref().map(|disabled| disabled.at),
            created_at: webhook.created_at,
            endpoint: endpoint.map(|endpoint| EndpointView {
                failures_in_a_row: endpoint.failures,
                failing_since: endpoint.failing_since,
                left_alone_until: endpoint.rests_until.filter(|until| *until > now),
                last_success_at: endpoint.succeeded_at,
            }),
            secret: secrets.map(|secrets| &secrets.current).map(SigningSecret::expose),
            previous_secret_signs_until: secrets.and_then(|secrets| secrets.previous.as_ref()).map(|old| old.until),
        }
    }

    /// An answer with the secret in it is not kept for repeats: it would lie in the table.
    fn with_secret(webhook: &'a Webhook, secrets: &'a SigningSecrets, status: StatusCode) -> Response {
        (status, Extension(NotKept), Json(Self::of(webhook, Some(secrets), None))).into_response()
    }
}

/// `POST /v1/webhooks`: 201 with the signing secret. The same request again, by its `Idempotency-Key`, answers the same.
pub(crate) async fn create(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Extension(NewId(request)): Extension<NewId>,
    payload: Bytes,
) -> Result<Response, Problem> {
    let new: NewWebhook = body::read(&payload)?;
    let webhook = Webhook {
        v: 1,
        revision: 0,
        id: WebhookId::from_ulid(request),
        workspace: caller.workspace,
        url: new.url.trim().to_owned(),
        events: new.events.unwrap_or_else(|| vec![Pattern::All]),
        accounts: new.accounts.unwrap_or_default(),
        campaigns: new.campaigns.unwrap_or_default(),
        description: new.description,
        enabled: new.enabled.unwrap_or(true),
        disabled: None,
        created_at: UnixMillis::now(),
        secret_at: None,
    };
    let mut errors = check(&webhook);
    check_url(&api, &webhook, &mut errors).await;
    if !errors.is_empty() {
        return Err(Problem::all_invalid(errors));
    }
    let there = api.core.webhooks(caller.workspace).await?;
    if there.len() >= MAX_WEBHOOKS && !there.iter().any(|known| known.id == webhook.id) {
        return Err(Problem::conflict(format!("a workspace has at most {MAX_WEBHOOKS} webhooks"), None));
    }
    // The secret first: a webhook without one could not sign, a secret without a webhook is read by nobody.
    let secrets = match api.secrets.signing(caller.workspace, webhook.id).await? {
        Some(secrets) => secrets,
        None => {
            let secrets = SigningSecrets::first(request);
            api.secrets.keep_signing(caller.workspace, webhook.id, &secrets).await?;
            secrets
        }
    };
    let webhook = match api.core.create_webhook(&webhook).await? {
        true => webhook,
        // A run that was cut off after its write.
        false => find(&api, caller, &webhook.id.to_string()).await?,
    };
    Ok(WebhookView::with_secret(&webhook, &secrets, StatusCode::CREATED))
}

fn wrong(pointer: impl Into<String>, reason: impl Into<String>) -> FieldError {
    FieldError { pointer: pointer.into(), reason: reason.into() }
}

/// What is wrong with what an operator may set, but for the URL.
fn check(webhook: &Webhook) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if webhook.events.is_empty() {
        errors.push(wrong("/events", "must name at least one type of event; absent means all"));
    }
    for (pointer, entries) in [
        ("/events", webhook.events.len()),
        ("/accounts", webhook.accounts.len()),
        ("/campaigns", webhook.campaigns.len()),
    ] {
        if entries > MAX_ENTRIES {
            errors.push(wrong(pointer, format!("must have at most {MAX_ENTRIES} entries")));
        }
    }
    if webhook.description.as_ref().is_some_and(|text| text.chars().count() > MAX_DESCRIPTION_CHARS) {
        errors.push(wrong("/description", format!("must have at most {MAX_DESCRIPTION_CHARS} characters")));
    }
    errors
}

/// Whether the address may be called, its name looked up: what is refused here would fail for days later on.
async fn check_url(api: &Api, webhook: &Webhook, errors: &mut Vec<FieldError>) {
    if let Err(error) = api.rules.check_with_addresses(&webhook.url).await {
        errors.push(wrong("/url", error.to_string()));
    }
}

/// The caller's webhook of this id.
async fn find(api: &Api, caller: Caller, id: &str) -> Result<Webhook, Problem> {
    let id = id.parse().map_err(|_| Problem::not_found("webhook"))?;
    api.core.webhook(caller.workspace, id).await?.ok_or_else(|| Problem::not_found("webhook"))
}

/// `GET /v1/webhooks`: all of them, newest first; there are at most 50.
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Value>, Problem> {
    let webhooks = api.core.webhooks(caller.workspace).await?;
    let shown: Vec<WebhookView<'_>> =
        webhooks.iter().rev().map(|webhook| WebhookView::of(webhook, None, None)).collect();
    Ok(Json(json!({"data": shown, "next_cursor": null})))
}

/// `GET /v1/webhooks/{id}`: with how its endpoint does.
pub(crate) async fn one(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let webhook = find(&api, caller, &id).await?;
    let endpoint = api.core.endpoint(caller.workspace, webhook.id).await?;
    Ok(Json(WebhookView::of(&webhook, None, Some(&endpoint))).into_response())
}

/// `PATCH /v1/webhooks/{id}`: what is absent stays, `null` is the default. `"enabled": true` also forgives its endpoint what
/// has failed, and so does another address.
pub(crate) async fn change(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    payload: Bytes,
) -> Result<Response, Problem> {
    let patch: Map<String, Value> = body::read(&payload)?;
    let before = find(&api, caller, &id).await?;
    let mut wanted = before.clone();
    let mut errors = apply(&patch, &mut wanted);
    if patch.contains_key("url") && !errors.iter().any(|error| error.pointer == "/url") {
        check_url(&api, &wanted, &mut errors).await;
    }
    if !errors.is_empty() {
        return Err(Problem::all_invalid(errors));
    }
    let changed = api.core.change_webhook(caller.workspace, before.id, |webhook| apply(&patch, webhook)).await?;
    let (webhook, errors) = changed.ok_or_else(|| Problem::not_found("webhook"))?;
    if !errors.is_empty() {
        return Err(Problem::all_invalid(errors));
    }
    if patch.contains_key("url") || patch.get("enabled") == Some(&Value::Bool(true)) {
        api.core.forgive_endpoint(caller.workspace, webhook.id).await?;
    }
    Ok(Json(WebhookView::of(&webhook, None, None)).into_response())
}

/// Puts the patch on the webhook, unless something is wrong with it.
fn apply(patch: &Map<String, Value>, webhook: &mut Webhook) -> Vec<FieldError> {
    let (mut errors, mut changed) = (Vec::new(), webhook.clone());
    for (field, value) in patch {
        let pointer = format!("/{}", field.replace('~', "~0").replace('/', "~1"));
        let applied = match field.as_str() {
            "url" => member(value).map(|url: String| url.trim().clone_into(&mut changed.url)),
            "events" => {
                member(value).map(|events: Option<_>| changed.events = events.unwrap_or_else(|| vec![Pattern::All]))
            }
            "accounts" => member(value).map(|accounts: Option<_>| changed.accounts = accounts.unwrap_or_default()),
            "campaigns" => member(value).map(|campaigns: Option<_>| changed.campaigns = campaigns.unwrap_or_default()),
            "description" => member(value).map(|description| changed.description = description),
            "enabled" => member(value).map(|enabled: Option<bool>| {
                changed.enabled = enabled.unwrap_or(true);
                if changed.enabled {
                    changed.disabled = None;
                }
            }),
            "secret" => Err("cannot be set: POST …/rotate-secret makes a new one".to_owned()),
            _ => Err("unknown field".to_owned()),
        };
        errors.extend(applied.err().map(|reason| wrong(pointer, reason)));
    }
    errors.extend(check(&changed));
    if errors.is_empty() {
        *webhook = changed;
    }
    errors
}

/// Reads one member as what it must be.
fn member<T: serde::de::DeserializeOwned>(value: &Value) -> Result<T, String> {
    let read = serde_json::to_vec(value).map_err(|error| error.to_string())?;
    body::read(&Bytes::from(read)).map_err(|problem| match problem.errors.into_iter().next() {
        Some(error) => error.reason,
        None => problem.detail,
    })
}

/// `DELETE /v1/webhooks/{id}`: 204. What waits to be posted to it is dropped.
pub(crate) async fn delete(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let id: WebhookId = id.parse().map_err(|_| Problem::not_found("webhook"))?;
    // The secret first: should this be cut off, the webhook is still there to be deleted again.
    if api.core.webhook(caller.workspace, id).await?.is_some() {
        api.secrets.forget_signing(caller.workspace, id).await?;
    }
    match api.core.delete_webhook(caller.workspace, id).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(Problem::not_found("webhook")),
    }
}

/// `POST /v1/webhooks/{id}/rotate-secret`: the new secret, shown once. The old one signs beside it for a day.
pub(crate) async fn rotate(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Extension(NewId(request)): Extension<NewId>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let webhook = find(&api, caller, &id).await?;
    let now = UnixMillis::now();
    let secrets = match api.secrets.signing(caller.workspace, webhook.id).await? {
        Some(secrets) => secrets.rotated(request, now),
        None => SigningSecrets::first(request),
    };
    // Before the row, which tells every process to read the secrets again.
    api.secrets.keep_signing(caller.workspace, webhook.id, &secrets).await?;
    let changed =
        api.core.change_webhook(caller.workspace, webhook.id, |webhook| webhook.secret_at = Some(now)).await?;
    let (webhook, ()) = changed.ok_or_else(|| Problem::not_found("webhook"))?;
    Ok(WebhookView::with_secret(&webhook, &secrets, StatusCode::OK))
}

/// `POST /v1/webhooks/{id}/test`: posts an event of the type `webhook.test`, whatever the webhook wants; 202 with its
/// delivery.
pub(crate) async fn test(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Extension(NewId(request)): Extension<NewId>,
    Path(id): Path<String>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let webhook = find(&api, caller, &id).await?;
    if !webhook.enabled {
        return Err(Problem::conflict("the webhook is disabled", Some("disabled")));
    }
    let now = UnixMillis(i64::try_from(request.timestamp_ms()).unwrap_or_default());
    let event = Published {
        id: id_of(now, &["webhook.test", &request.to_string()]),
        kind: "webhook.test".to_owned(),
        at: now,
        seen: now,
        workspace: caller.workspace,
        account: None,
        contact: None,
        campaign: None,
        recipient: None,
        variant: None,
        data: Map::from_iter([("webhook".to_owned(), json!(webhook.id))]),
    };
    let delivery = Delivery::new(&webhook, &event, now).map_err(|error| Problem::internal(&error))?;
    let view = deliveries::summary(&delivery);
    api.outbox.deliver(delivery, UnixMillis::now()).await.map_err(deliveries::not_taken)?;
    Ok((StatusCode::ACCEPTED, Json(view)))
}

#[cfg(test)]
mod tests {
    use shared::id::WorkspaceId;
    use shared::subscription::Disabled;

    use super::*;

    fn webhook() -> Webhook {
        Webhook {
            v: 1,
            revision: 3,
            id: "whk_01J00000000000000000000000".parse().unwrap(),
            workspace: WorkspaceId::FIRST,
            url: "https://crm.example/hooks".to_owned(),
            events: vec![Pattern::All],
            accounts: vec!["acc_01J00000000000000000000000".parse().unwrap()],
            campaigns: Vec::new(),
            description: Some("CRM".to_owned()),
            enabled: false,
            disabled: Some(Disabled { at: UnixMillis(1), reason: "gone".to_owned() }),
            created_at: UnixMillis(1),
            secret_at: None,
        }
    }

    fn patched(webhook: &mut Webhook, patch: Value) -> Vec<String> {
        let Value::Object(patch) = patch else { panic!("not an object") };
        apply(&patch, webhook).into_iter().map(|error| error.pointer).collect()
    }

    #[test]
    fn what_is_absent_stays_null_is_the_default_and_an_enabled_webhook_has_no_reason_to_be_off() {
        let mut changed = webhook();
        let patch = json!({"events": ["message.*"], "accounts": null, "description": null, "enabled": true});
        assert_eq!(patched(&mut changed, patch), [""; 0]);
        let expected = Webhook {
            events: vec!["message.*".parse().unwrap()],
            accounts: Vec::new(),
            description: None,
            enabled: true,
            disabled: None,
            ..webhook()
        };
        assert_eq!(changed, expected);
    }

    #[test]
    fn all_that_is_wrong_is_said_and_nothing_is_changed() {
        let mut changed = webhook();
        let patch =
            json!({"url": 7, "events": [], "accounts": ["x"], "enabled": "yes", "secret": "whsec_", "colour": 1});
        let mut found = patched(&mut changed, patch);
        found.sort_unstable();
        assert_eq!(found, ["/accounts", "/colour", "/enabled", "/events", "/secret", "/url"]);
        assert_eq!(changed, webhook());
    }
}
