//! The Lambda `send`.

use std::sync::Arc;

use aws_lambda_events::event::sqs::SqsEvent;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use send::{Config, Send, handle};
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
    let send = Arc::new(Send::new(config, &Clients::new(&sdk), secrets)?);
    run(service_fn(move |event: LambdaEvent<SqsEvent>| {
        let send = Arc::clone(&send);
        async move { Ok::<_, Error>(handle(&send, event.payload).await) }
    }))
    .await
}
