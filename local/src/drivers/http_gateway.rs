//! An HTTP API in front of functions: a server that turns each request into an event, invokes the function of its route
//! and answers with what it returned, within the limits of API Gateway.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    body::{Body, to_bytes},
    extract::{ConnectInfo, Request},
    response::Response,
    serve::ListenerExt as _,
};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use jiff::Timestamp;
use tokio::{net::TcpListener, time::timeout};
use tower::service_fn;

use super::{
    InvokeError, Routes, Running,
    function::invoke_within,
    http_event::{self, Call},
};

/// How much a request may carry and how long it may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpLimits {
    /// The largest request body.
    pub body_bytes: usize,
    /// The longest invocation.
    pub timeout: Duration,
}

impl Default for HttpLimits {
    /// Those of an HTTP API: 10 MB and 30 seconds.
    fn default() -> Self {
        Self { body_bytes: 10 << 20, timeout: Duration::from_secs(30) }
    }
}

/// The server.
#[derive(Debug, Clone, Default)]
pub struct HttpGateway {
    /// Which function a request goes to.
    pub routes: Routes,
    /// What a request may cost.
    pub limits: HttpLimits,
}

impl HttpGateway {
    /// A server with the limits of API Gateway.
    #[must_use]
    pub fn new(routes: Routes) -> Self {
        Self { routes, limits: HttpLimits::default() }
    }

    /// Serves the listener until it is drained; requests that are running then are answered.
    #[must_use]
    pub fn start(self, listener: TcpListener) -> Running {
        let listener = listener.tap_io(|stream| {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "a connection stays without TCP_NODELAY");
            }
        });
        let longest = self.limits.timeout;
        let app = self.router().into_make_service_with_connect_info::<SocketAddr>();
        Running::spawn(|stop| async move {
            let server = axum::serve(listener, app).with_graceful_shutdown(stop.clone().cancelled_owned());
            let too_late = async {
                stop.cancelled().await;
                tokio::time::sleep(longest).await;
            };
            tokio::select! {
                served = server.into_future() => {
                    if let Err(error) = served {
                        tracing::error!(%error, "the HTTP server stopped");
                    }
                }
                // A client that has sent half a request would hold the process for ever.
                () = too_late => tracing::warn!("the HTTP server was stopped with connections still open"),
            }
        })
    }

    /// The gateway as the fallback of a router, for a server that also has other things to serve. Without
    /// [`ConnectInfo`] every caller is the loopback address.
    pub fn router(self) -> axum::Router {
        let gateway = Arc::new(self);
        let service = service_fn(move |request: Request| {
            let gateway = Arc::clone(&gateway);
            async move { Ok::<_, Infallible>(gateway.answer(request).await) }
        });
        axum::Router::new().fallback_service(service)
    }

    async fn answer(&self, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let request_id = uuid::Uuid::new_v4().to_string();
        let mut response = match self.routes.find(parts.method.as_str(), parts.uri.path()) {
            None => message(StatusCode::NOT_FOUND, "Not Found"),
            Some(route) => match timeout(self.limits.timeout, to_bytes(body, self.limits.body_bytes)).await {
                Err(_) => message(StatusCode::REQUEST_TIMEOUT, "Request Timeout"),
                Ok(Err(_)) => message(StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large"),
                Ok(Ok(body)) => {
                    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
                    let peer = peer.map_or(SocketAddr::from(([127, 0, 0, 1], 0)), |ConnectInfo(peer)| *peer);
                    let call = Call {
                        route_key: route.key,
                        parameters: &route.parameters,
                        request_id: &request_id,
                        peer,
                        now: Timestamp::now(),
                    };
                    let event = http_event::event(&parts, &body, &call);
                    let outcome = invoke_within(route.function.as_ref(), event, self.limits.timeout).await;
                    respond(route.key, outcome)
                }
            },
        };
        if let Ok(id) = HeaderValue::from_str(&request_id) {
            response.headers_mut().insert("apigw-requestid", id);
        }
        response
    }
}

fn respond(route: &str, outcome: Result<serde_json::Value, InvokeError>) -> Response {
    match outcome {
        Ok(value) => match http_event::response(&value) {
            Ok(response) => response.map(Body::from),
            Err(error) => {
                tracing::error!(route, %error, "a function's response is not an HTTP response");
                message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
            }
        },
        Err(error @ InvokeError::TimedOut(_)) => {
            tracing::warn!(route, %error, "a request was given up");
            message(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable")
        }
        Err(error) => {
            tracing::error!(route, %error, "an invocation failed");
            message(StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error")
        }
    }
}

/// What API Gateway itself answers.
fn message(status: StatusCode, text: &str) -> Response {
    let body = Bytes::from(format!(r#"{{"message":"{text}"}}"#));
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
