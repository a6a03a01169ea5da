//! Messages of the events queue on their way to lines of the archive: read, put in an order that does not depend on the
//! queue, and cut into portions that fit in memory whatever is in them.

use aws_lambda_events::event::sqs::SqsMessage;
use shared::archive::{Line, ObjectName};
use shared::queue::{self, Inbound};

use crate::{Ingest, NotIngested, click, collected};

/// Bytes of bodies that are worked on at a time: some thousands of updates, which are done in a few seconds. A batch that
/// Lambda hands over has 6 MB, and may point to bodies in the bucket, each of which makes a portion of its own.
const PORTION_BYTES: usize = 2 * 1024 * 1024;

/// The largest body that lies in the bucket: the webhook takes no more than 4 MiB, and `POST /v1/events` 5 MiB.
const OBJECT_BYTES: usize = 5 * 1024 * 1024;

/// A message of the queue.
pub(crate) struct Message {
    /// The queue's id of it.
    pub(crate) id: String,
    pub(crate) inbound: Inbound,
    bytes: usize,
}

/// The messages of a batch that can be read, by the time they were taken in; and the ids of those that cannot.
pub(crate) fn read(records: Vec<SqsMessage>) -> (Vec<Message>, Vec<String>) {
    let mut messages = Vec::with_capacity(records.len());
    let mut unreadable = Vec::new();
    for record in records {
        let id = record.message_id.unwrap_or_default();
        let bytes = record.body.as_ref().map_or(0, String::len);
        match queue::read::<Inbound>(record.body.as_deref()) {
            Ok(inbound) => messages.push(Message { id, inbound, bytes }),
            Err(error) => {
                // Where it is wrong, and not what stands there.
                let (line, column) = (error.line(), error.column());
                tracing::error!(message = id, line, column, "not a message of the events queue");
                unreadable.push(id);
            }
        }
    }
    // Whatever order the queue hands them out in, a batch that comes again makes the same objects.
    messages.sort_by(|a, b| (a.inbound.received_at(), &a.id).cmp(&(b.inbound.received_at(), &b.id)));
    (messages, unreadable)
}

/// Cuts messages into portions of bounded size.
pub(crate) fn portions(messages: Vec<Message>) -> Vec<Vec<Message>> {
    let mut portions: Vec<Vec<Message>> = Vec::new();
    let mut filled = 0;
    for message in messages {
        let bytes = match message.inbound {
            Inbound::MetaWebhookObject { .. } | Inbound::Overflow { .. } => OBJECT_BYTES,
            _ => message.bytes,
        };
        match portions.last_mut() {
            Some(portion) if filled + bytes <= PORTION_BYTES => {
                filled += bytes;
                portion.push(message);
            }
            _ => {
                filled = bytes;
                portions.push(vec![message]);
            }
        }
    }
    portions
}

/// Cuts lines, which are ordered by time, into those of one object each: an object belongs to one hour.
pub(crate) fn objects(lines: Vec<Line>) -> Vec<(ObjectName, Vec<Line>)> {
    let mut hours: Vec<Vec<Line>> = Vec::new();
    for line in lines {
        let same_hour =
            |hour: &&mut Vec<Line>| ObjectName::of(&hour[..1]).is_some_and(|name| name.is_of_hour(line.received_at));
        match hours.last_mut().filter(same_hour) {
            Some(hour) => hour.push(line),
            None => hours.push(vec![line]),
        }
    }
    hours.into_iter().filter_map(|lines| Some((ObjectName::of(&lines)?, lines))).collect()
}

/// The message as a line of the archive: with its body if that lies in the bucket, without what is not to be kept.
pub(crate) async fn line(ingest: &Ingest, message: Message) -> Result<Line, NotIngested> {
    let Message { id, inbound, .. } = message;
    let received_at = inbound.received_at();
    // Whatever bears an address or the like is enriched here, and loses it.
    let inbound = match inbound {
        Inbound::MetaWebhook { body, .. } => return Ok(Line::of_meta(id, received_at, body)),
        Inbound::MetaWebhookObject { key, .. } => {
            return Ok(Line::of_meta(id, received_at, ingest.bucket.get(&key).await?));
        }
        Inbound::Overflow { key, .. } => {
            queue::read(str::from_utf8(&ingest.bucket.get(&key).await?).ok()).map_err(NotIngested::Unreadable)?
        }
        inbound => inbound,
    };
    let inbound = match inbound {
        Inbound::Click(click) => Inbound::Click(Box::new(click::enriched(ingest, *click))),
        Inbound::Collected(collected) => Inbound::Collected(Box::new(collected::enriched(ingest, *collected))),
        Inbound::Told(told) => Inbound::Told(told),
        Inbound::MetaWebhook { .. } | Inbound::MetaWebhookObject { .. } | Inbound::Overflow { .. } => {
            return Err(NotIngested::NotALine);
        }
        // It brings nothing from outside: what it names is in the archive.
        Inbound::Again(_) => return Err(NotIngested::NotALine),
    };
    Line::of(id, received_at, &inbound).map_err(NotIngested::Unreadable)
}

#[cfg(test)]
mod tests {
    use shared::time::UnixMillis;

    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    fn record(id: &str, inbound: &Inbound) -> SqsMessage {
        let mut record = SqsMessage::default();
        record.message_id = Some(id.to_owned());
        record.body = Some(serde_json::to_string(inbound).unwrap());
        record
    }

    fn large(n: usize) -> Message {
        let key = format!("overflow/2026-11-21/{n}");
        Message {
            id: n.to_string(),
            inbound: Inbound::MetaWebhookObject { received_at: UnixMillis(1), key },
            bytes: 100,
        }
    }

    #[test]
    fn large_bodies_are_worked_on_one_at_a_time_and_small_ones_together() {
        assert_eq!(portions((0..100).map(large).collect()).iter().map(Vec::len).collect::<Vec<_>>(), [1; 100]);
        let inline = (0..6).map(|n: usize| Message {
            id: n.to_string(),
            inbound: Inbound::MetaWebhook { received_at: UnixMillis(1), body: String::new() },
            bytes: 900 * 1024,
        });
        assert_eq!(portions(inline.collect()).iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 2]);
        assert!(portions(Vec::new()).is_empty());
    }

    #[test]
    fn the_order_of_a_batch_makes_no_difference() {
        let of = |at| Inbound::MetaWebhook { received_at: UnixMillis(at), body: "{}".to_owned() };
        let batch = [record("b", &of(5)), record("a", &of(5)), record("c", &of(4))];
        let ids = |records: Vec<SqsMessage>| read(records).0.into_iter().map(|m| m.id).collect::<Vec<_>>();
        assert_eq!(ids(batch.to_vec()), ["c", "a", "b"]);
        assert_eq!(ids(batch.iter().rev().cloned().collect()), ["c", "a", "b"]);
    }

    #[test]
    fn a_message_that_cannot_be_read_is_told_apart() {
        let mut broken = record("x", &Inbound::MetaWebhook { received_at: UnixMillis(1), body: String::new() });
        broken.body = Some("{}".to_owned());
        let (read, unreadable) = read(vec![broken]);
        assert!(read.is_empty());
        assert_eq!(unreadable, ["x"]);
    }

    #[test]
    fn an_object_is_of_one_hour() {
        let line = |at| Line::of_meta("m".to_owned(), UnixMillis(at), "{}");
        let objects = objects(vec![line(0), line(HOUR_MS - 1), line(HOUR_MS)]);
        assert_eq!(objects.iter().map(|(_, lines)| lines.len()).collect::<Vec<_>>(), [2, 1]);
    }
}
