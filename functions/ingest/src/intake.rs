//! Lines of the archive on their way to rows: the same for messages of the queue and for a replay.
//!
//! What each line changes is worked out on its own, and all of it is written together. An error that will come again with
//! every try, or a panic, concerns one item: it is quarantined with its reason, and its siblings are applied. Any other
//! error makes its message come back.

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;

use futures::{FutureExt, StreamExt};
use shared::activity::{self, Content, Event, Kept};
use shared::archive::{Line, Place};
use shared::id::{EventId, WorkspaceId};
use shared::queue::Inbound;

use crate::effects::{Effects, Needs};
use crate::{Ingest, NotIngested, WRITES_AT_ONCE, alone, click, collected, told, webhook};

/// What a line changes, once that is worked out.
pub(crate) struct WorkedOut {
    pub(crate) line: Line,
    pub(crate) place: Place,
    effects: Result<Effects, NotIngested>,
}

/// What became of lines.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// Messages that have to come back.
    pub(crate) failed: BTreeSet<String>,
    /// What is quarantined of the others.
    pub(crate) quarantined: BTreeSet<EventId>,
}

/// Works out what lines change. Nothing of it is written yet but what can be repeated.
pub(crate) async fn work_out(ingest: &Ingest, lines: Vec<(Line, Place)>) -> Vec<WorkedOut> {
    futures::stream::iter(lines)
        // Boxed, or the compiler cannot tell that the whole may move between threads.
        .map(|(line, place)| {
            let worked_out = async move {
                let effects = effects_of(ingest, &line).await;
                WorkedOut { line, place, effects }
            };
            worked_out.boxed()
        })
        .buffered(WRITES_AT_ONCE)
        .collect()
        .await
}

/// Writes what was worked out.
pub(crate) async fn write(ingest: &Ingest, worked_out: Vec<WorkedOut>) -> Taken {
    let mut taken = Taken::default();
    // Effects on one attempt are written together whichever message they came in; each message remembers what it needs.
    let mut whole = Effects::default();
    let mut needs: Vec<(Line, Place, Option<WorkspaceId>, Needs)> = Vec::with_capacity(worked_out.len());
    for WorkedOut { line, place, effects } in worked_out {
        match effects {
            Ok(mut effects) => {
                effects.made_of(&place);
                taken.quarantined.extend(effects.quarantined());
                needs.push((line, place, effects.workspace(), effects.needs()));
                whole.merge(effects);
            }
            Err(error) => {
                tracing::error!(message = line.message, %error, "a message could not be taken in");
                taken.failed.insert(line.message);
            }
        }
    }
    let outcome = whole.write(ingest).await;
    let mut quarantined = Effects::default();
    let mut their_needs = Vec::new();
    for (line, place, workspace, needs) in needs {
        if needs.meets(&outcome.again) {
            taken.failed.insert(line.message);
            continue;
        }
        let reasons = outcome.never.iter().filter(|(failed, _)| needs.meets(failed)).map(|(_, reason)| reason.as_str());
        let reasons: Vec<&str> = reasons.collect();
        if !reasons.is_empty() {
            let mut own = of_whole_message(&line, workspace, &reasons.join("; "));
            own.made_of(&place);
            taken.quarantined.extend(own.quarantined());
            their_needs.push((line.message, own.needs()));
            quarantined.merge(own);
        }
    }
    if !their_needs.is_empty() {
        let outcome = quarantined.write(ingest).await;
        for (message, needs) in their_needs {
            if needs.meets(&outcome.again) || outcome.never.iter().any(|(failed, _)| needs.meets(failed)) {
                taken.failed.insert(message);
            }
        }
    }
    taken
}

/// What a line changes; what of it will never be taken in is among that as quarantined.
async fn effects_of(ingest: &Ingest, line: &Line) -> Result<Effects, NotIngested> {
    match without_panic(plain_effects(ingest, line)).await {
        Err(error) if error.is_permanent() && line.is_of_meta() => alone::effects(ingest, line, &error).await,
        Err(error) if error.is_permanent() => Ok(of_whole_message(line, None, &error.to_string())),
        effects => effects,
    }
}

async fn plain_effects(ingest: &Ingest, line: &Line) -> Result<Effects, NotIngested> {
    if line.is_of_meta() {
        return webhook::effects(ingest, &line.body, line.received_at).await;
    }
    match serde_json::from_slice(&line.body).map_err(NotIngested::Unreadable)? {
        Inbound::Click(click) => Ok(click::effects(ingest, click::enriched(ingest, *click)).await?),
        Inbound::Collected(collected) => collected::effects(ingest, &collected::enriched(ingest, *collected)).await,
        Inbound::Told(told) => told::effects(ingest, &told).await,
        Inbound::MetaWebhook { .. }
        | Inbound::MetaWebhookObject { .. }
        | Inbound::Overflow { .. }
        | Inbound::Again(_) => Err(NotIngested::NotALine),
    }
}

/// A panic is an error like any other: it will come again, and it concerns this item only.
pub(crate) async fn without_panic<T>(work: impl Future<Output = Result<T, NotIngested>>) -> Result<T, NotIngested> {
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or(Err(NotIngested::Panicked))
}

/// The longest reason that is kept.
const MAX_REASON_CHARS: usize = 1_000;

/// A message of which something can never be written. The message is in the archive; taking it in again is safe.
fn of_whole_message(line: &Line, workspace: Option<WorkspaceId>, reason: &str) -> Effects {
    let reason: String = reason.chars().take(MAX_REASON_CHARS).collect();
    tracing::error!(message = line.message, reason, "something of a message was quarantined");
    let id = activity::id_of(line.received_at, &["quarantined", &line.message]);
    let content = Content::MetaQuarantined { field: line.kind.clone(), reason, raw: Kept::Inline(String::new()) };
    let (at, seen) = (line.received_at, line.received_at);
    let mut effects = Effects::default();
    effects.quarantine(workspace, Event { v: 1, id, at, seen, contact: None, variant: None, content });
    effects
}
