//! The Lambda `publish`.

use std::sync::Arc;

use aws_lambda_events::event::dynamodb::Event;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use publish::{Config, Publish, handle};
use shared::aws::{Clients, sdk_config};
use shared::config::Settings;

#[tokio::main]
async fn main() -> Result<(), Error> {
    shared::telemetry::start();
    let config = Config::read(Settings::from_env())?;
    let publish = Arc::new(Publish::new(config, &Clients::new(&sdk_config().await)));
    run(service_fn(move |event: LambdaEvent<Event>| {
        let publish = Arc::clone(&publish);
        async move { handle(&publish, event.payload).await.map_err(Error::from) }
    }))
    .await
}
