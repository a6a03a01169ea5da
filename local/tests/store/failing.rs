//! A table whose calls fail so and so often before they are served.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

/// How many calls of each operation are still to fail.
#[derive(Debug, Clone, Default)]
pub(crate) struct Failures(Arc<Mutex<BTreeMap<&'static str, usize>>>);

impl Failures {
    pub(crate) fn of(operations: &[(&'static str, usize)]) -> Self {
        Self(Arc::new(Mutex::new(operations.iter().copied().collect())))
    }

    /// What has not failed yet.
    pub(crate) fn left(&self) -> usize {
        self.0.lock().unwrap().values().sum()
    }

    /// A client like this one that fails, and that tries nothing twice.
    pub(crate) fn client(&self, like: &aws_sdk_dynamodb::Client) -> aws_sdk_dynamodb::Client {
        let inner = aws_smithy_http_client::Builder::new().build_http();
        let http = SharedHttpClient::new(Failing { failures: self.clone(), inner });
        let config = like.config().to_builder().http_client(http).retry_config(RetryConfig::disabled());
        aws_sdk_dynamodb::Client::from_conf(config.build())
    }

    fn next(&self, request: &HttpRequest) -> bool {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default();
        match self.0.lock().unwrap().get_mut(operation) {
            Some(left) if *left > 0 => {
                *left -= 1;
                true
            }
            _ => false,
        }
    }
}

#[derive(Debug, Clone)]
struct Failing<T> {
    failures: Failures,
    inner: T,
}

impl HttpClient for Failing<SharedHttpClient> {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(Failing { failures: self.failures.clone(), inner })
    }
}

impl HttpConnector for Failing<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if self.failures.next(&request) {
            return HttpConnectorFuture::ready(Ok(HttpResponse::new(503.try_into().unwrap(), SdkBody::from(""))));
        }
        self.inner.call(request)
    }
}
