//! The Lambda `collect`.

use collect::{Collect, Config, router};
use lambda_http::{Error, run};
use shared::aws::{Clients, sdk_config};
use shared::config::Settings;

#[tokio::main]
async fn main() -> Result<(), Error> {
    shared::telemetry::start();
    let config = Config::read(Settings::from_env())?;
    run(router(Collect::new(config, &Clients::new(&sdk_config().await)))).await
}
