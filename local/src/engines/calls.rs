//! The clients of the engines: the ordinary AWS SDKs, pointed at the loopback; also such that see the engines fail.

use std::time::Duration;

use aws_sdk_dynamodb::config::{
    BehaviorVersion, Credentials, Region, SharedCredentialsProvider, StalledStreamProtectionConfig, retry::RetryConfig,
    timeout::TimeoutConfig,
};
use aws_smithy_http_client::Builder as HttpClientBuilder;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use shared::aws::Clients;

use super::faults::{Faults, Service, faulty};
use super::{CREDENTIAL, REGION};

/// The first pause of a client that retries; the SDK's second would only make a test wait.
const FIRST_BACKOFF: Duration = Duration::from_millis(10);

/// The way to the engines.
#[derive(Debug, Clone)]
pub struct Calls {
    pub(super) dynamodb_url: String,
    pub(super) sqs_url: String,
    pub(super) s3_url: String,
    http: SharedHttpClient,
    faults: Option<Faults>,
}

/// The clients of all services are configured alike; only the names of the crates differ.
macro_rules! client {
    ($calls:expr, $sdk:ident, $url:expr, $service:expr, $($more:tt)*) => {{
        let (http, retries) = $calls.transport($service);
        let config = $sdk::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::from_static(REGION))
            .credentials_provider(credentials())
            .endpoint_url($url)
            .http_client(http)
            .retry_config(retries)
            .timeout_config(TimeoutConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            $($more)*;
        $sdk::Client::from_conf(config.build())
    }};
}

impl Calls {
    pub(super) fn new(dynamodb_url: String, sqs_url: String, s3_url: String) -> Self {
        let http = HttpClientBuilder::new().pool_idle_timeout(Duration::from_secs(60)).build_http();
        Self { dynamodb_url, sqs_url, s3_url, http, faults: None }
    }

    pub(super) fn with_faults(&self, faults: &Faults) -> Self {
        Self { faults: Some(faults.clone()), ..self.clone() }
    }

    /// A client of DynamoDB.
    #[must_use]
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        client!(self, aws_sdk_dynamodb, &self.dynamodb_url, Service::DynamoDb,)
    }

    /// A client of DynamoDB Streams.
    #[must_use]
    pub fn streams(&self) -> aws_sdk_dynamodbstreams::Client {
        client!(self, aws_sdk_dynamodbstreams, &self.dynamodb_url, Service::DynamoDb,)
    }

    /// A client of SQS.
    #[must_use]
    pub fn sqs(&self) -> aws_sdk_sqs::Client {
        client!(self, aws_sdk_sqs, &self.sqs_url, Service::Sqs,)
    }

    /// A client of S3 with path-style addresses.
    #[must_use]
    pub fn s3(&self) -> aws_sdk_s3::Client {
        client!(self, aws_sdk_s3, &self.s3_url, Service::S3, .force_path_style(true))
    }

    /// The clients that a function works with.
    #[must_use]
    pub fn clients(&self) -> Clients {
        Clients { dynamodb: self.dynamodb(), sqs: self.sqs(), s3: self.s3() }
    }

    fn transport(&self, service: Service) -> (SharedHttpClient, RetryConfig) {
        match &self.faults {
            None => (self.http.clone(), RetryConfig::disabled()),
            Some(faults) => (
                faulty(self.http.clone(), service, faults),
                RetryConfig::standard().with_initial_backoff(FIRST_BACKOFF),
            ),
        }
    }
}

fn credentials() -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(Credentials::new(CREDENTIAL, CREDENTIAL, None, None, "local"))
}
