//! The Lambda `deliver`.

use std::sync::Arc;

use deliver::{Config, Deliver, handle};
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use shared::aws::{Clients, sdk_config};
use shared::config::Settings;
use shared::secrets::Secrets;

#[tokio::main]
async fn main() -> Result<(), Error> {
    shared::telemetry::start();
    let mut settings = Settings::from_env();
    let prefix: String = settings.or("SECRETS_PREFIX", "/thirdtick".to_owned());
    let config = Config::read(settings)?;
    let sdk = sdk_config().await;
    let secrets = Secrets::from_environment(&sdk, &prefix);
    let deliver = Arc::new(Deliver::new(config, &Clients::new(&sdk), secrets)?);
    run(service_fn(move |event: LambdaEvent<serde_json::Value>| {
        let deliver = Arc::clone(&deliver);
        async move { handle(&deliver, event.payload).await }
    }))
    .await
}
