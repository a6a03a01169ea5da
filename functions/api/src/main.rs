//! The Lambda `api`.

use api::{Api, Config, router};
use lambda_http::{Error, run};
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
    run(router(Api::new(config, &Clients::new(&sdk), secrets)?)).await
}
