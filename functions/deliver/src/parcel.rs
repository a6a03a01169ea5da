//! One parcel: asks for a place at its endpoint, posts its deliveries side by side, notes each as soon as it is known, and
//! leaves what did not arrive in parcels of a later time. Wherever it is cut off, the parcel is still there: what has arrived
//! is not posted again, and what may have arrived is.

use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use shared::activity::{Content, Event, id_of};
use shared::outbound::Target;
use shared::queue::{DeliverCommand, MAX_DELAY, QueueUnavailable};
use shared::secrets::SecretError;
use shared::store::{StoreError, Verdict};
use shared::subscription::Webhook;
use shared::subscription::delivery::{Delivery, Failure, Status};
use shared::subscription::endpoint::{Admission, OPENS_AFTER, Seen};
use shared::subscription::ladder::{Next, Tries, is_too_old};
use shared::subscription::parcel::{Parcel, ParcelKey};
use shared::subscription::signing::SigningSecrets;
use shared::time::UnixMillis;

use crate::Deliver;
use crate::post::{Posted, post};

/// Posts to one endpoint at a time, by one parcel.
const POSTS_AT_ONCE: usize = 8;

/// After so long no further post is begun: with the last one's time-out it is well within the function's time.
const WORK_FOR: Duration = Duration::from_secs(60);

/// When a parcel that found no place comes back: at random between these, in milliseconds.
const BUSY_WAIT_MS: std::ops::Range<u64> = 2_000..15_000;

/// Why a parcel has to come back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotPosted {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Queue(#[from] QueueUnavailable),
}

/// Posts a parcel, or puts it off.
pub(crate) async fn run(deliver: &Deliver, key: ParcelKey) -> Result<(), NotPosted> {
    let now = UnixMillis::now();
    // Gone: it is done, or others have taken its place.
    let Some(parcel) = deliver.core.parcel(key).await? else { return Ok(()) };
    let Some(webhook) = deliver.core.webhook(parcel.workspace, parcel.webhook).await? else {
        // Nobody can see its deliveries any more.
        deliver.core.replace_parcel(key, &[]).await?;
        return Ok(());
    };
    if !webhook.enabled {
        return switched_off(deliver, &webhook, &parcel, now).await;
    }
    match deliver.core.admit_parcel(parcel.workspace, parcel.webhook, parcel.id, now).await? {
        Admission::Busy => come_back(deliver, &parcel, now).await,
        Admission::Rests(until) => {
            let rest = Parcel { deliveries: parcel.deliveries.clone(), ..later(&parcel, Vec::new(), until, now) };
            replace(deliver, key, vec![rest], now).await
        }
        Admission::Go => work(deliver, &webhook, &parcel, false).await,
        Admission::Probe => work(deliver, &webhook, &parcel, true).await,
    }
}

/// The subscription is off: what waits for it is given up, and can be replayed.
async fn switched_off(deliver: &Deliver, webhook: &Webhook, parcel: &Parcel, now: UnixMillis) -> Result<(), NotPosted> {
    // Perhaps whoever has switched it off died before the event.
    record_disabled(deliver, webhook).await?;
    for delivery in deliver.core.deliveries(parcel.workspace, &parcel.deliveries).await? {
        if delivery.status == Status::Pending {
            deliver.core.give_up_delivery(&delivery, Status::Failed, "the webhook is disabled", now).await?;
        }
    }
    deliver.core.replace_parcel(parcel.key(), &[]).await?;
    Ok(())
}

/// There is no place at the endpoint: the message comes back soon, unless another one is on its way.
async fn come_back(deliver: &Deliver, parcel: &Parcel, now: UnixMillis) -> Result<(), NotPosted> {
    let wait = Duration::from_millis(rand::random_range(BUSY_WAIT_MS));
    if deliver.core.ask_for_parcel(parcel.key(), parcel.asked_at, now.plus(wait)).await? {
        deliver.parcels.send(&DeliverCommand::Parcel { parcel: parcel.key() }, wait).await?;
    }
    Ok(())
}

/// What the deliveries of a parcel have come to.
#[derive(Default)]
struct Outcome {
    seen: Seen,
    /// Tried again then.
    again: Vec<(UnixMillis, Delivery)>,
    /// Not tried: there was no time, or the endpoint is to be left alone.
    untried: Vec<Delivery>,
    /// The endpoint wants nothing any more.
    gone: bool,
    /// The first try that could not be noted.
    error: Option<StoreError>,
}

async fn work(deliver: &Deliver, webhook: &Webhook, parcel: &Parcel, probing: bool) -> Result<(), NotPosted> {
    let posted = post_all(deliver, webhook, parcel, probing).await;
    // The place is given back whatever has happened.
    let (seen, outcome) = match posted {
        Ok(outcome) => (outcome.seen, Ok(outcome)),
        Err(error) => (Seen::default(), Err(error)),
    };
    let now = UnixMillis::now();
    let endpoint = deliver.core.leave_endpoint(parcel.workspace, parcel.webhook, parcel.id, seen, now).await?;
    let outcome = outcome?;
    if outcome.gone {
        disable(deliver, webhook, "the endpoint answered 410 Gone", now).await?;
    } else if endpoint.is_dead(now) {
        disable(deliver, webhook, "nothing has arrived for five days", now).await?;
    }
    if let Some(error) = outcome.error {
        return Err(error.into());
    }
    let mut parcels = Vec::new();
    if let Some(at) = outcome.again.iter().map(|(at, _)| *at).max() {
        parcels.push(later(parcel, outcome.again.into_iter().map(|(_, delivery)| delivery).collect(), at, now));
    }
    if !outcome.untried.is_empty() {
        let at = endpoint.rests_until.filter(|until| *until > now).unwrap_or(now);
        parcels.push(later(parcel, outcome.untried, at, now));
    }
    replace(deliver, parcel.key(), parcels, now).await
}

/// Posts what is ready. Stops early when the endpoint fails, and a probe goes alone.
async fn post_all(deliver: &Deliver, webhook: &Webhook, parcel: &Parcel, probing: bool) -> Result<Outcome, NotPosted> {
    let target = deliver.rules.check(&webhook.url).ok();
    let secrets = deliver.secrets.signing_of(webhook).await?;
    let mut outcome = Outcome::default();
    let mut ready = Vec::new();
    let now = UnixMillis::now();
    for delivery in deliver.core.deliveries(parcel.workspace, &parcel.deliveries).await? {
        if delivery.status != Status::Pending {
            continue;
        }
        if is_too_old(delivery.since, now) {
            let reason = "it has waited for its endpoint for five days";
            deliver.core.give_up_delivery(&delivery, Status::Exhausted, reason, now).await?;
        } else if let Some(at) = delivery.next_at.filter(|at| *at > now) {
            // Of a parcel that was cut off after this one had failed.
            outcome.again.push((at, delivery));
        } else {
            ready.push(delivery);
        }
    }
    let begun = Instant::now();
    let mut ready = ready.into_iter();
    let mut running = FuturesUnordered::new();
    loop {
        let (at_once, failures) =
            if probing && !outcome.seen.succeeded { (1, 1) } else { (POSTS_AT_ONCE, OPENS_AFTER) };
        let goes_on = outcome.seen.failures < failures && !outcome.gone && outcome.error.is_none();
        while goes_on && running.len() < at_once && begun.elapsed() < WORK_FOR {
            let Some(delivery) = ready.next() else { break };
            running.push(one(deliver, target.as_ref(), secrets.as_ref(), delivery));
        }
        let Some((delivery, posted, noted)) = running.next().await else { break };
        outcome.seen.note(posted.arrived());
        outcome.gone |= posted.gone;
        match noted {
            Ok(Some(at)) => outcome.again.push((at, delivery)),
            Ok(None) => {}
            Err(error) => outcome.error = Some(error),
        }
    }
    drop(running);
    outcome.untried = ready.collect();
    Ok(outcome)
}

/// Posts and notes one; when it is tried again.
async fn one(
    deliver: &Deliver,
    target: Option<&Target>,
    secrets: Option<&SigningSecrets>,
    delivery: Delivery,
) -> (Delivery, Posted, Result<Option<UnixMillis>, StoreError>) {
    let posted = match (target, secrets) {
        (Some(target), Some(secrets)) => post(&deliver.http, target, secrets, &delivery).await,
        (None, _) => Posted::not_made(Failure::AddressNotAllowed, UnixMillis::now()),
        (_, None) => Posted::not_made(Failure::NoSecret, UnixMillis::now()),
    };
    let now = UnixMillis::now();
    let verdict = verdict(deliver, &delivery, &posted, now);
    tracing::info!(
        delivery = %delivery.id, webhook = %delivery.webhook, status = posted.attempt.status,
        error = ?posted.attempt.error, duration_ms = posted.attempt.duration_ms, "an event was posted"
    );
    let noted = deliver.core.note_attempt(&delivery, &posted.attempt, verdict, now).await;
    let again = noted.map(|is_open| match verdict {
        Verdict::Again(at) if is_open => Some(at),
        _ => None,
    });
    (delivery, posted, again)
}

fn verdict(deliver: &Deliver, delivery: &Delivery, posted: &Posted, now: UnixMillis) -> Verdict {
    if posted.arrived() {
        return Verdict::Arrived;
    }
    if posted.gone {
        return Verdict::Exhausted;
    }
    let tries = Tries { made: delivery.tries.saturating_add(1), ..delivery.tries() };
    match deliver.ladder.after(tries, posted.asked, rand::random(), now) {
        Next::Try(at) => Verdict::Again(at),
        Next::Exhausted => Verdict::Exhausted,
    }
}

/// A parcel of these deliveries for later, with the queue message that brings it in mind.
fn later(parcel: &Parcel, deliveries: Vec<Delivery>, due_at: UnixMillis, now: UnixMillis) -> Parcel {
    let ids = deliveries.into_iter().map(|delivery| delivery.id).collect();
    let mut later = Parcel::later(parcel.workspace, parcel.webhook, ids, due_at, now);
    later.asked_at = (due_at.since(now) <= MAX_DELAY).then_some(due_at.max(now));
    later
}

/// Puts these parcels in the place of one. Those that a queue can hold go there; the watchdog finds the others in time, and
/// these as well should the queue fail.
async fn replace(deliver: &Deliver, old: ParcelKey, new: Vec<Parcel>, now: UnixMillis) -> Result<(), NotPosted> {
    if !deliver.core.replace_parcel(old, &new).await? {
        return Ok(());
    }
    for parcel in new.iter().filter(|parcel| parcel.asked_at.is_some()) {
        let command = DeliverCommand::Parcel { parcel: parcel.key() };
        if let Err(error) = deliver.parcels.send(&command, parcel.due_at.since(now)).await {
            tracing::warn!(parcel = %parcel.id, %error, "a parcel waits for the watchdog");
        }
    }
    Ok(())
}

/// Switches the subscription off and says so in the feed.
async fn disable(deliver: &Deliver, webhook: &Webhook, reason: &str, now: UnixMillis) -> Result<(), NotPosted> {
    let changed = deliver.core.change_webhook(webhook.workspace, webhook.id, |webhook| webhook.disable(reason, now));
    if let Some((webhook, was_on)) = changed.await? {
        if was_on {
            tracing::warn!(webhook = %webhook.id, reason, "a webhook was disabled");
        }
        record_disabled(deliver, &webhook).await?;
    }
    Ok(())
}

/// The event of it; a repeat changes nothing.
async fn record_disabled(deliver: &Deliver, webhook: &Webhook) -> Result<(), StoreError> {
    let Some(disabled) = webhook.disabled.as_ref().filter(|_| !webhook.enabled) else {
        return Ok(());
    };
    let event = Event {
        v: 1,
        id: id_of(disabled.at, &["webhook.disabled", &webhook.id.to_string()]),
        at: disabled.at,
        seen: disabled.at,
        contact: None,
        variant: None,
        content: Content::WebhookDisabled { webhook: webhook.id, reason: disabled.reason.clone() },
    };
    deliver.core.record_workspace_event(webhook.workspace, &event).await
}
