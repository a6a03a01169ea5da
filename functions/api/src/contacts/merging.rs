//! `POST /v1/contacts/{id}/merge` and `/unmerge`: an operator says that two contacts are one person, or are not.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::Value;
use shared::http::auth::Caller;
use shared::http::body;
use shared::http::problem::Problem;
use shared::id::ContactId;
use shared::store::{Merged, Unmerged};
use shared::time::UnixMillis;

use super::{find, read_id, shown};
use crate::Api;

/// Who merges, as the event says.
const OPERATOR: &str = "operator";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Other {
    contact_id: ContactId,
}

/// `POST /v1/contacts/{id}/merge`: the other contact is the same person as this one, which stays.
pub(crate) async fn merge(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    payload: Bytes,
) -> Result<Json<Value>, Problem> {
    let (id, other): (ContactId, Other) = (read_id(&id)?, body::read(&payload)?);
    find(&api, caller, id).await?;
    let (workspace, now) = (caller.workspace, UnixMillis::now());
    match api.core.merge(workspace, other.contact_id, id, OPERATOR, "an operator says so", now).await? {
        Merged::Done { .. } | Merged::Already { .. } => shown(&api, caller, id).await,
        Merged::Missing => Err(Problem::invalid("/contact_id", "there is no such contact")),
        Merged::Undone => Err(Problem::conflict("this merge was undone at the same time", None)),
    }
}

/// `POST /v1/contacts/{id}/unmerge`: the other contact, which was merged into this one, is another person. What was merged
/// into it before goes with it.
pub(crate) async fn unmerge(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    payload: Bytes,
) -> Result<Json<Value>, Problem> {
    let (id, other): (ContactId, Other) = (read_id(&id)?, body::read(&payload)?);
    let (family, _) = find(&api, caller, id).await?;
    if other.contact_id == family.root.id {
        return Err(Problem::invalid(
            "/contact_id",
            "this contact is the one that stays; name the one to be taken out",
        ));
    }
    if !family.absorbed.iter().any(|contact| contact.id == other.contact_id) {
        // A repeat finds it done; a contact that was never there is a mistake.
        find(&api, caller, other.contact_id).await?;
        return shown(&api, caller, id).await;
    }
    let (workspace, now) = (caller.workspace, UnixMillis::now());
    match api.core.unmerge(workspace, other.contact_id, OPERATOR, "an operator says so", now).await? {
        Unmerged::Done | Unmerged::NotMerged => shown(&api, caller, id).await,
        Unmerged::Redone => Err(Problem::conflict("they were merged at the same time", None)),
    }
}
