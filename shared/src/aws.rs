//! The AWS clients, built once per process. Where they point comes from the environment (`AWS_REGION`, credentials, and
//! `AWS_ENDPOINT_URL_DYNAMODB`, `…_SQS`, `…_S3`, `…_SSM` for another engine), so a function cannot tell one engine from another.

use std::future::Future;
use std::time::Duration;

pub use aws_config::{BehaviorVersion, SdkConfig};

/// Longest that a start waits for its connections; Lambda allows it ten seconds in all (AWS Lambda, "Lambda execution
/// environment", init phase).
const LONGEST_WARM_UP: Duration = Duration::from_secs(2);

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

/// Does at a start what the first request would otherwise wait for: calls of no consequence, for the connections that they
/// open. A start has more of a processor than an invocation, and reading the authorities and agreeing on keys is work for one
/// (ADR 14). A service that does not answer does not stop the start: whoever needs it tries again.
pub async fn warm_up(calls: impl Future) {
    if tokio::time::timeout(LONGEST_WARM_UP, calls).await.is_err() {
        tracing::warn!(seconds = LONGEST_WARM_UP.as_secs(), "a service did not answer at the start");
    }
}
