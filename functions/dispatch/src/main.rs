//! The Lambda `dispatch`.

use std::sync::Arc;

use dispatch::{Config, Dispatch, handle};
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use shared::aws::{Clients, sdk_config};
use shared::config::Settings;

#[tokio::main]
async fn main() -> Result<(), Error> {
    shared::telemetry::start();
    let config = Config::read(Settings::from_env())?;
    let dispatch = Arc::new(Dispatch::new(config, &Clients::new(&sdk_config().await)));
    run(service_fn(move |event: LambdaEvent<serde_json::Value>| {
        let dispatch = Arc::clone(&dispatch);
        async move { handle(&dispatch, event.payload).await }
    }))
    .await
}
