//! Accepts connections and serves the Graph API on them, one task each. It differs from an ordinary server in one thing:
//! a response can ask that the connection be closed in its place, which is how a lost answer is simulated.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

use crate::world::World;

/// How long a request in flight may take when the simulator stops.
const GRACE: Duration = Duration::from_secs(1);
/// Pause after a failure to accept, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Response extension: close the connection instead of sending this response.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HangUp;

/// Request extension: when the request came in, in Unix microseconds. It is taken when the head of the request has been
/// read and before its body has, so that neither the body's size nor what others are doing delays it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReceivedAt(pub(crate) u64);

#[derive(Debug, thiserror::Error)]
enum Unanswered {
    #[error("connection closed on purpose")]
    HungUp,
    #[error("no response")]
    NoResponse,
}

/// Accepts connections until the world stops.
pub(crate) async fn serve(listener: TcpListener, router: Router, world: Arc<World>) {
    loop {
        let accepted = tokio::select! {
            () = world.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                world.tasks.spawn(serve_connection(stream, router.clone(), Arc::clone(&world)));
            }
            Err(error) => {
                tracing::warn!(%error, "connection not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve_connection(stream: TcpStream, router: Router, world: Arc<World>) {
    // Without it each answer to a client that keeps its connection open waits for a delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    let clock = world.clock;
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ReceivedAt(clock.now_us()));
        answer(router.clone(), request)
    });
    let connection = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        _ = connection.as_mut() => {}
        () = world.stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(GRACE, connection).await;
        }
    }
}

async fn answer(router: Router, request: Request<Incoming>) -> Result<Response<Body>, Unanswered> {
    let response = router.oneshot(request).await.map_err(|_| Unanswered::NoResponse)?;
    match response.extensions().get::<HangUp>() {
        Some(HangUp) => Err(Unanswered::HungUp),
        None => Ok(response),
    }
}
