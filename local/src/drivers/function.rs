//! A Lambda function as its drivers see it: JSON in, JSON out or an error. The adapters make one from a typed handler
//! or from an HTTP service, in the way the Lambda runtime does.

use std::{any::Any, marker::PhantomData, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::{FutureExt as _, future::BoxFuture};
use lambda_http::{Adapter, IntoResponse, LambdaEvent, Request};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use thiserror::Error;
use tower::{Service, ServiceExt as _, service_fn};

/// Something that can be invoked with an event.
pub trait Function: Send + Sync {
    /// Runs the function on one event. Never panics: a panic in the handler is [`InvokeError::Panicked`].
    fn invoke(&self, event: Value) -> BoxFuture<'_, Result<Value, InvokeError>>;
}

/// Why an invocation has no response.
#[derive(Debug, Error)]
pub enum InvokeError {
    /// The event is not of the type that the handler takes.
    #[error("the event does not fit the handler: {0}")]
    Event(#[source] serde_json::Error),
    /// The handler's response cannot be written as JSON.
    #[error("the response is not JSON: {0}")]
    Response(#[source] serde_json::Error),
    /// The handler returned an error; its causes are in the text if its alternate format (`{:#}`) has them.
    #[error("the function failed: {0}")]
    Failed(String),
    /// The handler panicked.
    #[error("the function panicked: {0}")]
    Panicked(String),
    /// The handler took too long and was dropped where it was.
    #[error("the function did not finish within {0:?}")]
    TimedOut(Duration),
}

/// A function from a handler that takes one event type and returns one response type, as `lambda_runtime` runs it.
pub fn from_fn<E, R, Err, Fut>(handler: impl Fn(E) -> Fut + Send + Sync + 'static) -> Arc<dyn Function>
where
    E: DeserializeOwned + Send + 'static,
    R: Serialize + Send + 'static,
    Err: std::fmt::Display,
    Fut: Future<Output = Result<R, Err>> + Send + 'static,
{
    Arc::new(Typed { handler, types: PhantomData })
}

struct Typed<H, E> {
    handler: H,
    types: PhantomData<fn(E)>,
}

impl<H, E, R, Err, Fut> Function for Typed<H, E>
where
    H: Fn(E) -> Fut + Send + Sync,
    E: DeserializeOwned + Send + 'static,
    R: Serialize + Send + 'static,
    Err: std::fmt::Display,
    Fut: Future<Output = Result<R, Err>> + Send + 'static,
{
    fn invoke(&self, event: Value) -> BoxFuture<'_, Result<Value, InvokeError>> {
        guarded(async move {
            let event = serde_json::from_value(event).map_err(InvokeError::Event)?;
            let response = (self.handler)(event).await.map_err(|error| InvokeError::Failed(format!("{error:#}")))?;
            serde_json::to_value(response).map_err(InvokeError::Response)
        })
    }
}

/// A function from an HTTP service (an axum router, for one), as `lambda_http` runs it behind an HTTP API.
pub fn from_http<S, R>(service: S) -> Arc<dyn Function>
where
    S: Service<Request, Response = R> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    S::Error: std::fmt::Display + Send + 'static,
    R: IntoResponse + Send + 'static,
{
    Arc::new(Http { service })
}

struct Http<S> {
    service: S,
}

impl<S, R> Function for Http<S>
where
    S: Service<Request, Response = R> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    S::Error: std::fmt::Display + Send + 'static,
    R: IntoResponse + Send + 'static,
{
    fn invoke(&self, event: Value) -> BoxFuture<'_, Result<Value, InvokeError>> {
        let service = self.service.clone();
        guarded(async move {
            // The adapter can be sent to another thread only if the response type is `Sync`, which axum's is not.
            let adapter = Adapter::from(service_fn(move |request: Request| {
                let service = service.clone();
                async move { Ok::<_, S::Error>(service.oneshot(request).await?.into_response().await) }
            }));
            // lambda_http looks at the raw text of an event to tell its kind, which a `Value` does not have.
            let text = event.to_string();
            let request = serde_json::from_str(&text).map_err(InvokeError::Event)?;
            let response = adapter.oneshot(LambdaEvent::new(request, lambda_http::Context::default())).await;
            let response = response.map_err(|error| InvokeError::Failed(format!("{error:#}")))?;
            serde_json::to_value(response).map_err(InvokeError::Response)
        })
    }
}

/// Turns a panic into an error, where the Lambda runtime would end the process and start another.
fn guarded<'a>(
    invocation: impl Future<Output = Result<Value, InvokeError>> + Send + 'a,
) -> BoxFuture<'a, Result<Value, InvokeError>> {
    let caught = AssertUnwindSafe(invocation).catch_unwind();
    caught.map(|outcome| outcome.unwrap_or_else(|panic| Err(InvokeError::Panicked(panic_text(panic.as_ref()))))).boxed()
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

/// Invokes a function and gives up after its time, as Lambda does.
pub(super) async fn invoke_within(
    function: &dyn Function,
    event: Value,
    timeout: Duration,
) -> Result<Value, InvokeError> {
    tokio::time::timeout(timeout, function.invoke(event)).await.unwrap_or(Err(InvokeError::TimedOut(timeout)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn a_typed_handler_is_a_function() {
        let double = from_fn(|number: i64| async move { Ok::<_, String>(number * 2) });
        assert_eq!(double.invoke(json!(21)).await.unwrap(), json!(42));
        assert!(matches!(double.invoke(json!("x")).await, Err(InvokeError::Event(_))));
    }

    #[tokio::test]
    async fn an_error_a_panic_and_a_delay_are_errors_of_the_invocation() {
        let failing = from_fn(|_: Value| async { Err::<(), _>("no") });
        assert!(matches!(failing.invoke(json!({})).await, Err(InvokeError::Failed(text)) if text == "no"));
        let panicking = from_fn(|event: Value| async move {
            assert!(event.is_array(), "not a list");
            Ok::<_, String>(())
        });
        assert!(matches!(panicking.invoke(json!({})).await, Err(InvokeError::Panicked(text)) if text == "not a list"));
        let hanging = from_fn(|_: Value| std::future::pending::<Result<(), String>>());
        let timeout = Duration::from_millis(1);
        let outcome = invoke_within(hanging.as_ref(), json!({}), timeout).await;
        assert!(matches!(outcome, Err(InvokeError::TimedOut(_))));
    }
}
