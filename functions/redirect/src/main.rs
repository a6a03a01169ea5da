//! The Lambda `redirect`.

use std::sync::Arc;

use lambda_http::{Error, run, service_fn};
use redirect::{Config, Redirect, handle};
use shared::aws::{Clients, sdk_config};
use shared::config::Settings;

#[tokio::main]
async fn main() -> Result<(), Error> {
    shared::telemetry::start();
    let config = Config::read(Settings::from_env())?;
    let redirect = Arc::new(Redirect::new(config, &Clients::new(&sdk_config().await)));
    run(service_fn(move |request| {
        let redirect = Arc::clone(&redirect);
        async move { Ok::<_, Error>(handle(&redirect, request).await) }
    }))
    .await
}
