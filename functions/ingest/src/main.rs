//! The Lambda `ingest`.

use std::sync::Arc;

use aws_lambda_events::event::sqs::SqsEvent;
use ingest::{Config, Ingest, handle};
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use shared::aws::{Clients, sdk_config};
use shared::config::Settings;

#[tokio::main]
async fn main() -> Result<(), Error> {
    shared::telemetry::start();
    let config = Config::read(Settings::from_env())?;
    visitors::warm_up();
    let ingest = Arc::new(Ingest::new(config, &Clients::new(&sdk_config().await))?);
    run(service_fn(move |event: LambdaEvent<SqsEvent>| {
        let ingest = Arc::clone(&ingest);
        async move { Ok::<_, Error>(handle(&ingest, event.payload).await) }
    }))
    .await
}
