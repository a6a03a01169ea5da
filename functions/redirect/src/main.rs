//! The Lambda `redirect`.

use std::sync::Arc;

use lambda_http::{Error, run, service_fn};
use redirect::{Config, Redirect, handle};
use shared::aws::sdk_config;
use shared::config::Settings;

#[tokio::main]
async fn main() -> Result<(), Error> {
    shared::telemetry::start();
    let config = Config::read(Settings::from_env())?;
    let sdk = sdk_config().await;
    // Not `Clients`: what only S3 needs is a part of the binary then.
    let (dynamodb, sqs) = (aws_sdk_dynamodb::Client::new(&sdk), aws_sdk_sqs::Client::new(&sdk));
    let redirect = Arc::new(Redirect::new(config, dynamodb, sqs));
    redirect.warm_up().await;
    run(service_fn(move |request| {
        let redirect = Arc::clone(&redirect);
        async move { Ok::<_, Error>(handle(&redirect, request).await) }
    }))
    .await
}
