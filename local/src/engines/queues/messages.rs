//! Messages on their way through a queue: accepted, handed out, hidden, given up or deleted.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use rustack_sqs_core::message::{md5_of_body, md5_of_message_attributes};
use rustack_sqs_model::{
    error::{SqsError, SqsErrorCode},
    input::{
        ChangeMessageVisibilityBatchInput, ChangeMessageVisibilityInput, DeleteMessageBatchInput, DeleteMessageInput,
        ReceiveMessageInput, SendMessageBatchInput, SendMessageInput,
    },
    output::{
        ChangeMessageVisibilityBatchOutput, ChangeMessageVisibilityOutput, DeleteMessageBatchOutput,
        DeleteMessageOutput, ReceiveMessageOutput, SendMessageBatchOutput, SendMessageOutput,
    },
    types::{
        BatchResultErrorEntry, ChangeMessageVisibilityBatchResultEntry, DeleteMessageBatchResultEntry, Message,
        MessageAttributeValue, SendMessageBatchResultEntry,
    },
};
use tokio::time::Instant;

use super::{
    ACCOUNT, Entry, Redrive, SharedQueues, arn, local_url, now_ms, queue_name,
    settings::{MAX_BATCH_BYTES, max_message_bytes, seconds},
};
use crate::engines::journal::StoredMessage;

/// SQS hides a new message for at most 15 minutes.
const MAX_DELAY_S: i32 = 900;

/// SQS hides a received message for at most 12 hours.
const MAX_VISIBILITY_S: i32 = 43_200;

/// What becomes of a message that the engine handed out.
enum Fate {
    Deliver(Message),
    Move {
        id: String,
        queue: String,
    },
    /// It was deleted after its visibility timeout: only the engine still has it.
    Forget,
}

impl SharedQueues {
    pub(super) async fn send(&self, input: SendMessageInput) -> Result<SendMessageOutput, SqsError> {
        let name = queue_name(&input.queue_url)?;
        if input.message_body.is_empty() {
            return Err(SqsError::missing_parameter("The request must contain the parameter MessageBody."));
        }
        if input.message_attributes.len() > 10 {
            return Err(SqsError::invalid_parameter_value("a message has at most 10 attributes"));
        }
        if input.delay_seconds.is_some_and(|delay| !(0..=MAX_DELAY_S).contains(&delay)) {
            return Err(SqsError::invalid_parameter_value("DelaySeconds must be between 0 and 900"));
        }
        let (id, delay_s) = (uuid::Uuid::new_v4().to_string(), input.delay_seconds);
        let output = SendMessageOutput {
            message_id: Some(id.clone()),
            md5_of_message_body: Some(md5_of_body(&input.message_body)),
            md5_of_message_attributes: md5_of_message_attributes(&input.message_attributes),
            ..SendMessageOutput::default()
        };
        let delay_s = {
            let mut book = self.book();
            let queue = book.queue(&name)?;
            let limit = max_message_bytes(queue);
            if size(&input.message_body, &input.message_attributes) > limit {
                return Err(SqsError::invalid_parameter_value(format!(
                    "One or more parameters are invalid. Reason: Message must be shorter than {limit} bytes."
                )));
            }
            let delay_s = delay_s.and_then(|delay| u64::try_from(delay).ok());
            let delay_s = delay_s.unwrap_or_else(|| seconds(queue, "DelaySeconds"));
            let sent_ms = now_ms();
            book.record(Entry::Sent(StoredMessage {
                id: id.clone(),
                queue: name.clone(),
                body: input.message_body,
                attributes: input.message_attributes,
                group: input.message_group_id,
                sent_ms,
                hidden_until_ms: sent_ms + delay_s * 1000,
                receives: 0,
                first_received_ms: None,
                moved_from: None,
                order: 0,
            }))?;
            delay_s
        };
        if let Err(error) = self.schedule(&name, &id, delay_s).await {
            self.book().record(Entry::Deleted(vec![id]))?;
            return Err(error);
        }
        Ok(output)
    }

    /// Gives the engine a message that the book already has.
    pub(super) async fn schedule(&self, queue: &str, id: &str, delay_s: u64) -> Result<(), SqsError> {
        let input = SendMessageInput {
            queue_url: local_url(queue),
            message_body: id.to_owned(),
            delay_seconds: Some(i32::try_from(delay_s).unwrap_or(MAX_DELAY_S)),
            ..SendMessageInput::default()
        };
        self.engine.send_message(input).await.map(|_| ())
    }

    pub(super) async fn send_batch(&self, input: SendMessageBatchInput) -> Result<SendMessageBatchOutput, SqsError> {
        check_batch(input.entries.iter().map(|entry| entry.id.as_str()))?;
        let total: usize = input.entries.iter().map(|entry| size(&entry.message_body, &entry.message_attributes)).sum();
        if total > MAX_BATCH_BYTES {
            return Err(SqsError::new(
                SqsErrorCode::BatchRequestTooLong,
                format!("Batch requests cannot be longer than {MAX_BATCH_BYTES} bytes. You have sent {total} bytes."),
            ));
        }
        let mut output = SendMessageBatchOutput::default();
        for entry in input.entries {
            let message = SendMessageInput {
                queue_url: input.queue_url.clone(),
                message_body: entry.message_body,
                delay_seconds: entry.delay_seconds,
                message_group_id: entry.message_group_id,
                message_attributes: entry.message_attributes,
                ..SendMessageInput::default()
            };
            match self.send(message).await {
                Ok(sent) => output.successful.push(SendMessageBatchResultEntry {
                    id: entry.id,
                    message_id: sent.message_id.unwrap_or_default(),
                    md5_of_message_body: sent.md5_of_message_body.unwrap_or_default(),
                    md5_of_message_attributes: sent.md5_of_message_attributes,
                    sequence_number: None,
                }),
                Err(error) if error.code == SqsErrorCode::NonExistentQueue => return Err(error),
                Err(error) => output.failed.push(failure(entry.id, error)),
            }
        }
        Ok(output)
    }

    pub(super) async fn receive(&self, input: ReceiveMessageInput) -> Result<ReceiveMessageOutput, SqsError> {
        let name = queue_name(&input.queue_url)?;
        let wait_s = match input.wait_time_seconds {
            Some(wait) => u64::try_from(wait.clamp(0, 20)).unwrap_or(0),
            None => seconds(self.book().queue(&name)?, "ReceiveMessageWaitTimeSeconds"),
        };
        let deadline = Instant::now() + Duration::from_secs(wait_s);
        loop {
            let left_s = deadline.saturating_duration_since(Instant::now()).as_secs_f64().round();
            let engine_input = ReceiveMessageInput {
                queue_url: input.queue_url.clone(),
                max_number_of_messages: input.max_number_of_messages,
                visibility_timeout: input.visibility_timeout,
                // At most 20: fits.
                #[expect(clippy::cast_possible_truncation)]
                wait_time_seconds: Some(left_s as i32),
                ..ReceiveMessageInput::default()
            };
            let received = self.engine.receive_message(engine_input).await?.messages;
            if received.is_empty() {
                return Ok(ReceiveMessageOutput::default());
            }
            let messages = self.sort_out(&name, &input, received).await?;
            if !messages.is_empty() || Instant::now() >= deadline {
                return Ok(ReceiveMessageOutput { messages });
            }
        }
    }

    /// Turns what the engine handed out into messages; those received too often go to the dead-letter queue instead.
    async fn sort_out(
        &self,
        queue: &str,
        input: &ReceiveMessageInput,
        received: Vec<Message>,
    ) -> Result<Vec<Message>, SqsError> {
        let mut fates = Vec::with_capacity(received.len());
        {
            let mut book = self.book();
            let redrive = Redrive::of(book.queue(queue)?)
                .filter(|redrive| redrive.queue != queue && book.contents.queues.contains_key(&redrive.queue));
            let mut ids = Vec::with_capacity(received.len());
            for message in received {
                let (Some(id), Some(handle)) = (message.body, message.receipt_handle) else { continue };
                let stored = book.contents.messages.get(&id).filter(|stored| stored.queue == queue);
                let fate = match (stored, &redrive) {
                    (None, _) => Fate::Forget,
                    (Some(stored), Some(redrive)) if stored.receives >= redrive.max_receives => {
                        Fate::Move { id, queue: redrive.queue.clone() }
                    }
                    (Some(_), _) => {
                        ids.push(id.clone());
                        Fate::Deliver(Message { message_id: Some(id), ..Message::default() })
                    }
                };
                fates.push((handle, fate));
            }
            if !ids.is_empty() {
                book.record(Entry::Received { ids, at_ms: now_ms() })?;
            }
            for (handle, fate) in &mut fates {
                match fate {
                    Fate::Deliver(message) => {
                        let stored = message.message_id.as_ref().and_then(|id| book.contents.messages.get(id));
                        if let Some(stored) = stored {
                            *message = wire_message(stored, handle, input);
                        }
                    }
                    Fate::Move { id, queue: target } => {
                        book.record(Entry::Moved { id: id.clone(), queue: target.clone(), from: Some(arn(queue)) })?;
                    }
                    Fate::Forget => {}
                }
            }
        }
        let mut messages = Vec::with_capacity(fates.len());
        for (handle, fate) in fates {
            match fate {
                Fate::Deliver(message) => {
                    messages.push(message);
                    continue;
                }
                Fate::Move { id, queue: target } => self.schedule(&target, &id, 0).await?,
                Fate::Forget => {}
            }
            let gone = DeleteMessageInput { queue_url: local_url(queue), receipt_handle: handle };
            self.engine.delete_message(gone).await?;
        }
        Ok(messages)
    }

    pub(super) async fn delete_message(&self, input: DeleteMessageInput) -> Result<DeleteMessageOutput, SqsError> {
        let name = queue_name(&input.queue_url)?;
        let handle = Handle::parse(&input.receipt_handle)?;
        self.delete_held(&name, &[handle]).await?;
        Ok(DeleteMessageOutput {})
    }

    pub(super) async fn delete_batch(
        &self,
        input: DeleteMessageBatchInput,
    ) -> Result<DeleteMessageBatchOutput, SqsError> {
        check_batch(input.entries.iter().map(|entry| entry.id.as_str()))?;
        let name = queue_name(&input.queue_url)?;
        let mut output = DeleteMessageBatchOutput::default();
        let mut handles = Vec::with_capacity(input.entries.len());
        for entry in &input.entries {
            match Handle::parse(&entry.receipt_handle) {
                Ok(handle) => {
                    handles.push(handle);
                    output.successful.push(DeleteMessageBatchResultEntry { id: entry.id.clone() });
                }
                Err(error) => output.failed.push(failure(entry.id.clone(), error)),
            }
        }
        self.delete_held(&name, &handles).await?;
        Ok(output)
    }

    /// Deletes the messages whose latest receipt handle this is; an older handle deletes nothing, as on AWS.
    async fn delete_held(&self, queue: &str, handles: &[Handle<'_>]) -> Result<(), SqsError> {
        {
            let mut book = self.book();
            book.queue(queue)?;
            let held = handles.iter().filter(|handle| {
                let stored = book.contents.messages.get(handle.id);
                stored.is_some_and(|stored| stored.queue == queue && stored.receives == handle.receive)
            });
            let ids: Vec<String> = held.map(|handle| handle.id.to_owned()).collect();
            if !ids.is_empty() {
                book.record(Entry::Deleted(ids))?;
            }
        }
        for handle in handles {
            let gone = DeleteMessageInput { queue_url: local_url(queue), receipt_handle: handle.engine.to_owned() };
            self.engine.delete_message(gone).await?;
        }
        Ok(())
    }

    pub(super) async fn change_visibility(
        &self,
        input: ChangeMessageVisibilityInput,
    ) -> Result<ChangeMessageVisibilityOutput, SqsError> {
        let name = queue_name(&input.queue_url)?;
        self.hide(&name, &input.receipt_handle, input.visibility_timeout).await?;
        Ok(ChangeMessageVisibilityOutput {})
    }

    pub(super) async fn change_visibility_batch(
        &self,
        input: ChangeMessageVisibilityBatchInput,
    ) -> Result<ChangeMessageVisibilityBatchOutput, SqsError> {
        check_batch(input.entries.iter().map(|entry| entry.id.as_str()))?;
        let name = queue_name(&input.queue_url)?;
        let mut output = ChangeMessageVisibilityBatchOutput::default();
        for entry in input.entries {
            match self.hide(&name, &entry.receipt_handle, entry.visibility_timeout).await {
                Ok(()) => output.successful.push(ChangeMessageVisibilityBatchResultEntry { id: entry.id }),
                Err(error) => output.failed.push(failure(entry.id, error)),
            }
        }
        Ok(output)
    }

    async fn hide(&self, queue: &str, receipt_handle: &str, timeout_s: i32) -> Result<(), SqsError> {
        if !(0..=MAX_VISIBILITY_S).contains(&timeout_s) {
            return Err(SqsError::invalid_parameter_value("VisibilityTimeout must be between 0 and 43200"));
        }
        let handle = Handle::parse(receipt_handle)?;
        let until_ms = now_ms() + u64::try_from(timeout_s).unwrap_or(0) * 1000;
        let input = ChangeMessageVisibilityInput {
            queue_url: local_url(queue),
            receipt_handle: handle.engine.to_owned(),
            visibility_timeout: timeout_s,
        };
        self.engine.change_message_visibility(input).await?;
        self.book().record(Entry::Hidden { id: handle.id.to_owned(), until_ms })
    }
}

/// A receipt handle of ours: `message id . number of the receive . handle of the engine`.
struct Handle<'a> {
    id: &'a str,
    receive: u32,
    engine: &'a str,
}

impl<'a> Handle<'a> {
    fn parse(text: &'a str) -> Result<Self, SqsError> {
        let mut parts = text.splitn(3, '.');
        let (id, receive, engine) = (parts.next(), parts.next(), parts.next());
        let receive = receive.and_then(|receive| receive.parse().ok());
        match (id, receive, engine) {
            (Some(id), Some(receive), Some(engine)) => Ok(Self { id, receive, engine }),
            _ => Err(SqsError::receipt_handle_is_invalid()),
        }
    }
}

/// What counts against the size limit: the body, and names, types and values of the attributes.
fn size(body: &str, attributes: &HashMap<String, MessageAttributeValue>) -> usize {
    let attributes = attributes.iter().map(|(name, attribute)| {
        let text = attribute.string_value.as_ref().map_or(0, String::len);
        let binary = attribute.binary_value.as_ref().map_or(0, Vec::len);
        name.len() + attribute.data_type.len() + text + binary
    });
    body.len() + attributes.sum::<usize>()
}

/// A message as the receiver asked to see it.
fn wire_message(stored: &StoredMessage, engine_handle: &str, input: &ReceiveMessageInput) -> Message {
    let message_attributes: HashMap<_, _> = stored
        .attributes
        .iter()
        .filter(|(name, _)| input.message_attribute_names.iter().any(|wanted| attribute_matches(wanted, name)))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let wanted = |name: &str| {
        let names = input.attribute_names.iter().chain(&input.message_system_attribute_names);
        names.into_iter().any(|wanted| wanted == "All" || wanted == name)
    };
    let system = [
        ("SenderId", Some(ACCOUNT.to_owned())),
        ("SentTimestamp", Some(stored.sent_ms.to_string())),
        ("ApproximateReceiveCount", Some(stored.receives.to_string())),
        ("ApproximateFirstReceiveTimestamp", stored.first_received_ms.map(|time| time.to_string())),
        ("MessageGroupId", stored.group.clone()),
        ("DeadLetterQueueSourceArn", stored.moved_from.clone()),
    ];
    let attributes = system.into_iter().filter(|(name, _)| wanted(name));
    Message {
        message_id: Some(stored.id.clone()),
        receipt_handle: Some(format!("{}.{}.{engine_handle}", stored.id, stored.receives)),
        body: Some(stored.body.clone()),
        md5_of_body: Some(md5_of_body(&stored.body)),
        md5_of_message_attributes: md5_of_message_attributes(&message_attributes),
        message_attributes,
        attributes: attributes.filter_map(|(name, value)| Some((name.to_owned(), value?))).collect(),
    }
}

/// Whether a receiver's pattern (`All`, `.*`, `prefix.*` or a name) selects the attribute.
fn attribute_matches(wanted: &str, name: &str) -> bool {
    wanted == "All" || wanted == name || wanted.strip_suffix(".*").is_some_and(|prefix| name.starts_with(prefix))
}

fn check_batch<'a>(ids: impl ExactSizeIterator<Item = &'a str>) -> Result<(), SqsError> {
    match ids.len() {
        0 => return Err(SqsError::empty_batch_request()),
        1..=10 => {}
        _ => return Err(SqsError::too_many_entries_in_batch()),
    }
    let mut seen = HashSet::new();
    for id in ids {
        if !seen.insert(id) {
            return Err(SqsError::batch_entry_ids_not_distinct());
        }
    }
    Ok(())
}

fn failure(id: String, error: SqsError) -> BatchResultErrorEntry {
    BatchResultErrorEntry {
        id,
        sender_fault: error.code.is_sender_fault(),
        code: error.code.error_type().to_owned(),
        message: Some(error.message),
    }
}
