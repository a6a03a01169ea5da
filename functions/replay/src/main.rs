//! The Lambda `replay`.

use std::sync::Arc;
use std::time::Duration;

use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use replay::{Config, Job, Replay, handle};
use shared::aws::{Clients, sdk_config};
use shared::config::Settings;

/// A step is begun only if this much of the invocation's time is left: the longest takes in some megabytes of messages.
const LONGEST_STEP: Duration = Duration::from_secs(120);

#[tokio::main]
async fn main() -> Result<(), Error> {
    shared::telemetry::start();
    let config = Config::read(Settings::from_env())?;
    let replay = Arc::new(Replay::new(config, &Clients::new(&sdk_config().await)));
    run(service_fn(move |event: LambdaEvent<Job>| {
        let replay = Arc::clone(&replay);
        let deadline = event.context.deadline();
        async move {
            let has_time =
                || deadline.duration_since(std::time::SystemTime::now()).is_ok_and(|left| left > LONGEST_STEP);
            handle(&replay, event.payload, has_time).await.map_err(Error::from)
        }
    }))
    .await
}
