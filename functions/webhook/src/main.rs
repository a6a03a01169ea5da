//! The Lambda `webhook`.

use std::sync::Arc;

use lambda_http::{Error, run, service_fn};
use shared::aws::{Clients, sdk_config};
use shared::config::Settings;
use webhook::{Config, Webhook, handle};

#[tokio::main]
async fn main() -> Result<(), Error> {
    shared::telemetry::start();
    let config = Config::read(Settings::from_env())?;
    let webhook = Arc::new(Webhook::new(config, &Clients::new(&sdk_config().await)));
    webhook.warm_up().await;
    run(service_fn(move |request| {
        let webhook = Arc::clone(&webhook);
        async move { Ok::<_, Error>(handle(&webhook, request).await) }
    }))
    .await
}
