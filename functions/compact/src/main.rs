//! The Lambda `compact`.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use compact::{Compact, Config, handle};
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use serde_json::Value;
use shared::aws::{Clients, sdk_config};
use shared::config::Settings;
use shared::time::UnixMillis;

#[tokio::main]
async fn main() -> Result<(), Error> {
    shared::telemetry::start();
    let config = Config::read(Settings::from_env())?;
    let compact = Arc::new(Compact::new(config, &Clients::new(&sdk_config().await)));
    run(service_fn(move |event: LambdaEvent<Value>| {
        let compact = Arc::clone(&compact);
        let end = UNIX_EPOCH + Duration::from_millis(event.context.deadline);
        let left = end.duration_since(SystemTime::now()).unwrap_or_default();
        let now = UnixMillis::now();
        async move { handle(&compact, &event.payload, now, Some(left)).await.map_err(Error::from) }
    }))
    .await
}
