//! Files that are too large for a request: whoever has one asks for an address and puts it into the bucket.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde_json::{Value, json};
use shared::blob::key;
use shared::http::auth::Caller;
use shared::http::problem::Problem;
use shared::id::UploadId;
use shared::time::UnixMillis;

use crate::Api;
use crate::idempotency::NewId;

/// How long an address can be used. On Lambda also no longer than the function's own credentials, some hours.
const VALID_FOR: Duration = Duration::from_secs(3_600);

/// `POST /v1/audiences/uploads`.
pub(crate) async fn create(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Extension(NewId(id)): Extension<NewId>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let upload = UploadId::from_ulid(id);
    let expires_at = UnixMillis::now().plus(VALID_FOR);
    let url = api.bucket.upload_url(&key::upload(caller.workspace, upload), VALID_FOR).await?;
    let address = json!({"upload_id": upload, "url": url, "method": "PUT", "expires_at": expires_at.to_rfc3339()});
    Ok((StatusCode::CREATED, Json(address)))
}
