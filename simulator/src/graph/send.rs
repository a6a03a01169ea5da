//! `POST /{phone number id}/messages`: from the request to the answer, in the order in which Meta checks things.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::agenda;
use crate::book::MessageRecord;
use crate::config::ForcedError;
use crate::graph::error::GraphError;
use crate::graph::request::{self, Outgoing, Request, Surroundings};
use crate::identity::Address;
use crate::number::NumberProfile;
use crate::server::{HangUp, ReceivedAt};
use crate::webhook::courier;
use crate::world::{EventKey, Refusal, World};

/// How long the answer waits for an early `sent` to be taken.
const EARLY_SENT_PATIENCE: Duration = Duration::from_millis(500);

/// Sends a message, or marks one as read.
pub(crate) async fn messages(
    State(world): State<Arc<World>>,
    Path((_version, node)): Path<(String, String)>,
    Extension(ReceivedAt(received_us)): Extension<ReceivedAt>,
    body: Bytes,
) -> Response {
    match respond(&world, &node, &body, received_us).await {
        Ok(response) => response,
        Err(error) => {
            let known = world.number(&node).is_some();
            let mut book = world.book();
            book.refuse(error.code);
            if known {
                book.turned_away(&node, received_us);
            }
            error.into_response()
        }
    }
}

async fn respond(world: &Arc<World>, node: &str, body: &[u8], received_us: u64) -> Result<Response, GraphError> {
    let number = world.number(node).ok_or_else(|| GraphError::missing_object("post", node))?;
    let media = |id: &str| world.shelf().presence(id, world.clock.now_ms());
    let request = {
        let templates = world.templates();
        let around = Surroundings { waba_id: &number.waba_id, templates: &templates, media: &media };
        request::parse(body, &around)?
    };
    let outgoing = match request {
        Request::MarkRead => return Ok(Json(json!({ "success": true })).into_response()),
        Request::Send(outgoing) => outgoing,
    };
    check_recipient(world, &number, &outgoing)?;

    let mishap = world.faults().draw();
    if mishap.drop_before_accept {
        world.book().turned_away(node, received_us);
        return Ok(hang_up());
    }
    if let Some(code) = mishap.error {
        return Err(GraphError::coded(code));
    }
    let is_template = outgoing.message_type == "template";
    let record = match world.accept(&number, *outgoing, received_us) {
        Ok(record) => record,
        Err(Refusal::Limit(exceeded)) => return Err(GraphError::coded(exceeded.code())),
        Err(Refusal::Stopped) => return Ok(hang_up()),
        Err(Refusal::Journal(error)) => {
            tracing::error!(%error, "message not journalled");
            return Err(GraphError::coded(131_000));
        }
    };
    if record.plan.early {
        deliver_early_sent(world, &record).await;
    }
    if mishap.delay_ms > 0 {
        tokio::time::sleep(Duration::from_millis(mishap.delay_ms)).await;
    }
    if mishap.drop_after_accept {
        return Ok(hang_up());
    }
    Ok(Json(accepted_body(&record, is_template)).into_response())
}

fn hang_up() -> Response {
    let mut response = Response::default();
    response.extensions_mut().insert(HangUp);
    response
}

/// Errors that depend on who the recipient is.
fn check_recipient(world: &World, number: &NumberProfile, outgoing: &Outgoing) -> Result<(), GraphError> {
    let Address::Phone(wa_id) = &outgoing.address else { return Ok(()) };
    if *wa_id == number.display_phone_number {
        return Err(GraphError::coded(131_021));
    }
    match world.config.forced.get(wa_id) {
        Some(ForcedError::Sync(code)) => Err(GraphError::coded(*code)),
        Some(ForcedError::Async(_)) | None => Ok(()),
    }
}

/// Delivers `sent` before the request is answered: a sender must be able to take a status of a message that it does not
/// know to be accepted yet.
async fn deliver_early_sent(world: &Arc<World>, record: &MessageRecord) {
    let key = EventKey { message: record.number, event: 0 };
    let Some(update) = agenda::happen(world, key).map(Arc::new) else { return };
    let _ = world.agenda.send(agenda::further_copies(world, &update));
    let (acknowledged, taken) = oneshot::channel();
    courier::dispatch(world, &[update], 0, Some(acknowledged));
    let _ = tokio::time::timeout(EARLY_SENT_PATIENCE, taken).await;
}

fn accepted_body(record: &MessageRecord, is_template: bool) -> Value {
    let contact = match &record.address {
        Address::Phone(wa_id) => json!({ "input": record.input, "wa_id": wa_id }),
        Address::UserId(id) => json!({ "input": record.input, "user_id": id }),
    };
    let mut message = json!({ "id": record.wamid });
    if is_template {
        message["message_status"] = json!("accepted");
    }
    json!({ "messaging_product": "whatsapp", "contacts": [contact], "messages": [message] })
}
