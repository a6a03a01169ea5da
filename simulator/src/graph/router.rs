//! Paths of the simulated Graph API, plus the simulator's own under `/simulator`.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};

use crate::graph::error::GraphError;
use crate::graph::{control, history, media, nodes, send, templates};
use crate::world::World;

/// Room for a document of 100 MB and its multipart frame.
const MEDIA_BODY_LIMIT_BYTES: usize = 101 * 1024 * 1024;

/// All routes.
pub(crate) fn router(world: &Arc<World>) -> Router {
    let graph = Router::new()
        .route("/{version}/{node}", get(nodes::read).post(nodes::edit).delete(media::delete))
        .route("/{version}/{node}/messages", post(send::messages))
        .route("/{version}/{node}/media", post(media::upload).layer(DefaultBodyLimit::max(MEDIA_BODY_LIMIT_BYTES)))
        .route("/{version}/{node}/message_history", get(history::read))
        .route(
            "/{version}/{node}/message_templates",
            get(templates::list).post(templates::create).delete(templates::delete),
        )
        .route("/{version}/{node}/unpause", post(templates::unpause))
        .route("/{version}/{node}/events", get(history::events))
        .route("/{version}/{node}/phone_numbers", get(nodes::phone_numbers))
        .route(
            "/{version}/{node}/subscribed_apps",
            get(nodes::subscribed_apps).post(nodes::subscribe).delete(nodes::subscribe),
        )
        .route("/{version}/{node}/register", post(nodes::change))
        .route("/{version}/{node}/deregister", post(nodes::change))
        .fallback(unknown_path)
        .layer(middleware::from_fn_with_state(Arc::clone(world), authenticate));
    Router::new()
        .route("/simulator/ledger", get(control::ledger))
        .route("/simulator/totals", get(control::totals))
        .route("/simulator/rate", get(control::rate))
        .route("/simulator/pending", get(control::pending))
        .route("/simulator/templates/{template}", post(control::change_templates))
        .route("/simulator/numbers/{number}", post(control::change_number))
        .route("/simulator/account/{account}", post(control::update_account))
        .route("/simulator/media/expire", post(control::expire_media))
        .route("/simulator/faults", post(control::set_faults))
        .route("/whatsapp_business/attachments/", get(media::download))
        .merge(graph)
        .with_state(Arc::clone(world))
}

async fn unknown_path(request: Request) -> GraphError {
    GraphError::unknown_path(request.uri().path())
}

/// Checks version and token before anything else, and adds Graph's own headers.
async fn authenticate(State(world): State<Arc<World>>, request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let version = path.split('/').nth(1).unwrap_or_default().to_owned();
    if !is_version(&version) {
        return GraphError::unknown_path(path).into_response();
    }
    let mut response = match check_token(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) => {
            world.book().refuse(error.code);
            error.into_response()
        }
    };
    if let Ok(version) = HeaderValue::from_str(&version) {
        response.headers_mut().insert(HeaderName::from_static("facebook-api-version"), version);
    }
    response
}

fn is_version(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    text.strip_prefix('v').and_then(|rest| rest.split_once('.')).is_some_and(|(a, b)| digits(a) && digits(b))
}

/// Any bearer token will do, except the literal `expired`.
pub(crate) fn check_token(headers: &HeaderMap) -> Result<(), GraphError> {
    let header = headers.get(AUTHORIZATION).ok_or_else(GraphError::no_token)?;
    let token = header
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    match token.map(|(_, token)| token.trim()) {
        None | Some("") => Err(GraphError::malformed_token()),
        Some("expired") => Err(GraphError::expired_token()),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_from_other_paths() {
        assert!(is_version("v24.0"));
        assert!(!is_version("24.0") && !is_version("v24") && !is_version("simulator"));
    }

    #[test]
    fn tokens_are_required_and_may_be_expired() {
        let code = |value: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            if let Some(value) = value {
                headers.insert(AUTHORIZATION, HeaderValue::from_static(value));
            }
            check_token(&headers).map_err(|error| error.code)
        };
        assert_eq!(code(None), Err(104));
        assert_eq!(code(Some("Bearer ")), Err(190));
        assert_eq!(code(Some("Bearer expired")), Err(190));
        assert_eq!(code(Some("Bearer EAAG")), Ok(()));
    }
}
