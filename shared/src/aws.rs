//! The AWS clients, built once per process. Where they point comes from the environment (`AWS_REGION`, credentials, and
//! `AWS_ENDPOINT_URL_DYNAMODB`, `…_SQS`, `…_S3`, `…_SSM` for another engine), so a function cannot tell one engine from another.

use std::future::Future;
use std::time::Duration;

pub use aws_config::{BehaviorVersion, SdkConfig};

/// One client per AWS service the functions talk to. Cloning shares the connections.
#[derive(Clone, Debug)]
pub struct Clients {
    /// The two tables.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// The queues.
    pub sqs: aws_sdk_sqs::Client,
    /// The bucket.
    pub s3: aws_sdk_s3::Client,
}

/// The SDK's configuration from the environment.
pub async fn sdk_config() -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest()).load().await
}

impl Clients {
    /// Clients for this configuration. S3 is addressed by path when an endpoint of its own is set, as engines other
    /// than AWS want it.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        let path_style = std::env::var_os("AWS_ENDPOINT_URL_S3").is_some();
        let s3 = aws_sdk_s3::config::Builder::from(config).force_path_style(path_style).build();
        Self {
            dynamodb: aws_sdk_dynamodb::Client::new(config),
            sqs: aws_sdk_sqs::Client::new(config),
            s3: aws_sdk_s3::Client::from_conf(s3),
        }
    }
}

/// Does at a start what the first invocation would otherwise do with less of a processor (ADR 14): calls of no consequence,
/// for the connections that they open. A service that does not answer holds the start up for `longest`, and on demand whoever
/// called waits with it; then the first invocation tries again.
pub async fn warm_up(longest: Duration, calls: impl Future) {
    if tokio::time::timeout(longest, calls).await.is_err() {
        tracing::warn!("a service did not answer at the start");
    }
}
