//! Posts webhooks and posts them again until they are answered with 200, with the same bytes and growing delays.

use std::sync::Arc;
use std::time::Duration;

use rand::Rng;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::Instant;

use crate::config::Config;
use crate::webhook::payload::{self, Update};
use crate::webhook::wire::{self, SignedBody};
use crate::world::{UpdateKey, World};

/// Seconds between attempts; the last one repeats. Meta says only "decreasing frequency".
const RETRY_LADDER_S: [f64; 10] = [1.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_200.0, 1_800.0, 3_600.0];
/// No compression makes a retry come faster than this.
const SHORTEST_RETRY: Duration = Duration::from_millis(200);
/// Meta gives up after seven days (WhatsApp webhooks overview).
const RETRY_HORIZON_S: f64 = 7.0 * 24.0 * 3_600.0;
/// However compressed, an outage of this length loses nothing.
const SHORTEST_HORIZON: Duration = Duration::from_secs(10 * 60);

/// Sends webhook POSTs.
#[derive(Debug)]
pub(crate) struct Courier {
    client: reqwest::Client,
    in_flight: Semaphore,
}

/// One POST on its way.
#[derive(Debug)]
struct Parcel {
    body: SignedBody,
    keys: Vec<UpdateKey>,
    copy: u32,
}

impl Courier {
    pub(crate) fn new(config: &Config) -> Result<Self, reqwest::Error> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .tcp_nodelay(true)
            .pool_max_idle_per_host(config.delivery.concurrency)
            .timeout(config.delivery.timeout)
            .build()?;
        Ok(Self { client, in_flight: Semaphore::new(config.delivery.concurrency) })
    }

    async fn post(&self, world: &World, body: &SignedBody) -> bool {
        let Ok(_permit) = self.in_flight.acquire().await else { return false };
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static("facebookexternalua"));
        for (name, signature) in [("x-hub-signature-256", &body.sha256), ("x-hub-signature", &body.sha1)] {
            if let Ok(value) = HeaderValue::from_str(signature) {
                headers.insert(name, value);
            }
        }
        let request = self.client.post(world.config.webhook_url.clone()).headers(headers).body(body.bytes.clone());
        match request.send().await {
            Ok(response) => {
                let status = response.status();
                // Reading the body to its end lets the connection be used again.
                let _ = response.bytes().await;
                status == http::StatusCode::OK
            }
            Err(error) => {
                tracing::debug!(%error, "webhook attempt failed");
                false
            }
        }
    }
}

/// Delivers updates in one POST, however long it takes. `acknowledged` is told when the webhook has answered 200.
pub(crate) fn dispatch(
    world: &Arc<World>,
    updates: &[Arc<Update>],
    copy: u32,
    acknowledged: Option<oneshot::Sender<()>>,
) {
    let keys = updates.iter().map(|update| update.key).collect();
    let body = match wire::sign(&world.config.app_secret, &payload::envelope(updates)) {
        Ok(body) => body,
        Err(error) => {
            tracing::error!(%error, "webhook body does not serialise");
            return;
        }
    };
    let world = Arc::clone(world);
    let tasks = world.tasks.clone();
    tasks.spawn(async move {
        let parcel = Parcel { body, keys, copy };
        tokio::select! {
            () = world.stop.cancelled() => {}
            () = deliver(&world, &parcel, acknowledged) => {}
        }
    });
}

async fn deliver(world: &World, parcel: &Parcel, acknowledged: Option<oneshot::Sender<()>>) {
    let speed = world.config.speed;
    let horizon = Duration::try_from_secs_f64(RETRY_HORIZON_S / speed).unwrap_or(Duration::MAX).max(SHORTEST_HORIZON);
    let started = Instant::now();
    let mut failures = 0;
    while !world.courier.post(world, &parcel.body).await {
        world.webhook_failed();
        if started.elapsed() > horizon {
            tracing::warn!(updates = parcel.keys.len(), "webhook given up");
            world.webhook_abandoned(&parcel.keys);
            return;
        }
        tokio::time::sleep(retry_delay(failures, speed)).await;
        failures += 1;
    }
    world.webhook_acknowledged(&parcel.keys, parcel.copy);
    if let Some(acknowledged) = acknowledged {
        // Nobody listens any more if the send request has run out of patience.
        let _ = acknowledged.send(());
    }
}

/// Time to wait after so many failures, spread by up to a tenth so that failed POSTs do not come back as one burst.
fn retry_delay(failures: usize, speed: f64) -> Duration {
    let seconds = RETRY_LADDER_S.get(failures).unwrap_or(&3_600.0);
    let spread = rand::rng().random_range(1.0..1.1);
    let compressed = Duration::try_from_secs_f64(seconds / speed).unwrap_or(SHORTEST_RETRY);
    compressed.max(SHORTEST_RETRY).mul_f64(spread)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_slow_down_and_never_come_faster_than_200_ms() {
        assert!(retry_delay(0, 1_000_000.0) >= SHORTEST_RETRY);
        let delays: Vec<_> = (0..12).map(|failures| retry_delay(failures, 1.0)).collect();
        assert!(delays.windows(2).all(|pair| pair[1] > pair[0].mul_f64(0.9)));
        assert!(delays[11] >= Duration::from_secs(3_600));
    }
}
