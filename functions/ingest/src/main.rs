//! The Lambda `ingest`.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_lambda_events::event::sqs::SqsEvent;
use ingest::{Config, Ingest, handle};
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use shared::aws::{Clients, sdk_config};
use shared::config::Settings;

/// A portion of a batch is begun only if this much of the invocation's time is left: some thousands of updates.
const LONGEST_PORTION: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> Result<(), Error> {
    shared::telemetry::start();
    let config = Config::read(Settings::from_env())?;
    visitors::warm_up();
    let ingest = Arc::new(Ingest::new(config, &Clients::new(&sdk_config().await))?);
    run(service_fn(move |event: LambdaEvent<SqsEvent>| {
        let ingest = Arc::clone(&ingest);
        let deadline = event.context.deadline();
        async move {
            let has_time = || deadline.duration_since(SystemTime::now()).is_ok_and(|left| left > LONGEST_PORTION);
            Ok::<_, Error>(handle(&ingest, event.payload, has_time).await)
        }
    }))
    .await
}
