//! The watchdog: parcels whose time has come and that no queue message brings. Some wait for longer than a queue can hold
//! them, and a message may be lost; their rows are not.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use lambda_runtime::Error;
use shared::queue::DeliverCommand;
use shared::subscription::parcel::Parcel;
use shared::time::UnixMillis;

use crate::Deliver;

/// Parcels of each partition that one tick asks for; the next tick goes on.
const MOST: usize = 2_000;

/// Parcels that are asked for at once.
const AT_ONCE: usize = 16;

pub(crate) async fn tick(deliver: &Deliver) -> Result<(), Error> {
    let now = UnixMillis::now();
    let before = now.0.saturating_sub(i64::try_from(deliver.forgotten_after.as_millis()).unwrap_or(i64::MAX));
    let parcels = deliver.core.forgotten_parcels(UnixMillis(before), MOST, now).await?;
    futures::stream::iter(parcels)
        .map(|parcel| ask(deliver, parcel, now))
        .buffer_unordered(AT_ONCE)
        .try_collect::<()>()
        .await
}

async fn ask(deliver: &Deliver, parcel: Parcel, now: UnixMillis) -> Result<(), Error> {
    let key = parcel.key();
    // Noted first: of several watchdogs one asks, and should it die just then, the parcel is found again later.
    if deliver.core.ask_for_parcel(key, parcel.asked_at, now).await? {
        if parcel.asked_at.is_some() {
            tracing::warn!(parcel = %key.id, webhook = %parcel.webhook, "nothing was heard of a parcel, and it is asked for again");
        }
        deliver.parcels.send(&DeliverCommand::Parcel { parcel: key }, Duration::ZERO).await?;
    }
    Ok(())
}
