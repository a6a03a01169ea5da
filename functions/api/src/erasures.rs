//! Erasing a person, and the proof that it was done.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};
use shared::erasure::{Erasure, Status};
use shared::http::auth::Caller;
use shared::http::limit;
use shared::http::params::Params;
use shared::http::problem::Problem;
use shared::id::{ContactId, ErasureId};
use shared::queue::DispatchCommand;
use shared::time::UnixMillis;

use crate::Api;
use crate::idempotency::NewId;

/// Where a list goes on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Paging {
    limit: Option<String>,
    cursor: Option<ErasureId>,
}

/// `POST /v1/contacts/{id}/erase`: the person under all their names, those merged with the contact included. 202: it takes
/// minutes, and `GET /v1/erasures/{id}` tells how far it is.
pub(crate) async fn create(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Extension(NewId(ulid)): Extension<NewId>,
    Path(contact): Path<String>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let missing = || Problem::not_found("contact");
    let contact: ContactId = contact.parse().map_err(|_| missing())?;
    let workspace = caller.workspace;
    let id = ErasureId::from_ulid(ulid);
    // Run again after a crash, the contact may be gone already.
    let erasure = match api.core.erasure(workspace, id).await? {
        Some(erasure) => erasure,
        None => {
            let person = api.core.person_of(workspace, contact).await?.ok_or_else(missing)?;
            let contacts = person.contacts.clone();
            Erasure {
                v: 1,
                id,
                workspace,
                contacts,
                person: Some(person),
                status: Status::Pending,
                asked_at: UnixMillis::now(),
                completed_at: None,
                passes: Vec::new(),
                between: None,
            }
        }
    };
    api.core.ask_erasure(&erasure).await?;
    let command = DispatchCommand::Erase { workspace };
    api.core.open_job(&command, UnixMillis::now()).await?;
    if let Err(error) = api.dispatch.send(&command, Duration::ZERO).await {
        tracing::warn!(%error, "an erasure waits for the watchdog");
    }
    Ok((StatusCode::ACCEPTED, Json(shown(&erasure))))
}

/// `GET /v1/erasures/{id}`.
pub(crate) async fn one(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Problem> {
    let missing = || Problem::not_found("erasure");
    let id: ErasureId = id.parse().map_err(|_| missing())?;
    let erasure = api.core.erasure(caller.workspace, id).await?.ok_or_else(missing)?;
    Ok(Json(shown(&erasure)))
}

/// `GET /v1/erasures`, newest first.
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Params(paging): Params<Paging>,
) -> Result<Json<Value>, Problem> {
    let most = limit(paging.limit.as_deref())?;
    let listed = api.core.erasures(caller.workspace, paging.cursor, most).await?;
    let next = listed.rows.last().filter(|_| listed.more).map(|erasure| erasure.id);
    let data: Vec<Value> = listed.rows.iter().map(shown).collect();
    Ok(Json(json!({"data": data, "next_cursor": next})))
}

/// Names nobody but by our own ids: it is what is left as the proof.
fn shown(erasure: &Erasure) -> Value {
    let erased = {
        let mut sum: BTreeMap<&str, u64> = BTreeMap::new();
        let between = erasure.between.iter().flat_map(|between| &between.erased);
        for (kind, n) in erasure.passes.iter().flat_map(|pass| &pass.erased).chain(between) {
            *sum.entry(kind).or_default() += n;
        }
        json!(sum)
    };
    let passes: Vec<Value> = erasure
        .passes
        .iter()
        .map(|pass| {
            json!({
                "began_at": pass.began_at.to_rfc3339(),
                "ended_at": pass.ended_at.map(UnixMillis::to_rfc3339),
                "interrupted": pass.interrupted,
                "looked_at": pass.looked_at,
                "erased": pass.erased,
                "unreadable": pass.unreadable,
                "left": pass.left,
            })
        })
        .collect();
    json!({
        "id": erasure.id,
        "status": erasure.status,
        "contacts": erasure.contacts,
        "asked_at": erasure.asked_at.to_rfc3339(),
        "completed_at": erasure.completed_at.map(UnixMillis::to_rfc3339),
        "erased": erased,
        // Each pass meets them again.
        "unreadable": erasure.passes.last().map(|pass| &pass.unreadable),
        "left": erasure.passes.last().map(|pass| &pass.left),
        "passes": passes,
        "passes_between": erasure.between,
    })
}
