//! What AWS does around a function: event source mappings, the HTTP API and the scheduler. Each driver builds the very
//! JSON that Lambda would hand to the function and acts on what comes back as Lambda would, so that the handlers that
//! run here are the ones that run there.

mod checkpoint;
mod function;
mod http_event;
mod http_gateway;
mod mischief;
mod routes;
mod schedule;
mod sqs_event;
mod sqs_source;
mod stream_event;
mod stream_source;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use self::{
    checkpoint::Checkpoint,
    function::{Function, InvokeError, from_fn, from_http},
    http_gateway::{HttpGateway, HttpLimits},
    mischief::Mischief,
    routes::Routes,
    schedule::Schedule,
    sqs_source::SqsSource,
    stream_source::{OnError, OnFailure, StartingPosition, StreamSource},
};

/// How much of a batch fails when the function reports failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FailureReport {
    /// `ReportBatchItemFailures`: what the response names.
    #[default]
    Items,
    /// The response is ignored; only an error fails, and then the whole batch.
    WholeBatch,
}

/// A driver that is running. It goes on when this is dropped.
#[derive(Debug)]
pub struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    fn spawn<F>(body: impl FnOnce(CancellationToken) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stop = CancellationToken::new();
        Self { task: tokio::spawn(body(stop.clone())), stop }
    }

    /// Tells the driver to begin nothing new; it ends when what it has begun is done.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Stops the driver and waits for the invocations that are running.
    pub async fn drain(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "a driver broke off");
        }
    }
}
