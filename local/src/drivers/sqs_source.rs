//! The event source mapping of a queue: polls it, makes batches, invokes the function and deletes what succeeded. What
//! failed reappears after the queue's visibility timeout, and the queue's own policy gives it up in the end.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use aws_sdk_sqs::{
    Client,
    types::{
        ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message, MessageSystemAttributeName,
        QueueAttributeName,
    },
};
use futures::{StreamExt as _, stream};
use tokio::{sync::Semaphore, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    FailureReport, Function, Mischief, Running,
    function::invoke_within,
    mischief::Dice,
    sqs_event::{self, BatchOutcome},
};

/// SQS hands out at most ten messages per call.
const PER_CALL: usize = 10;

/// How long a poll waits for a message.
const LONG_POLL_SECONDS: i32 = 20;

/// How many calls are made at the same time for a large batch.
const PARALLEL_CALLS: usize = 4;

/// The most that one invocation is handed, in bytes of message bodies (AWS, Lambda quotas: 6 MB of payload; a batch is full
/// when it has that much). A batch that was gathered beyond it is delivered in parts.
const LARGEST_BATCH_BYTES: usize = 6 << 20;

/// How often an empty queue is asked again while a batch is being filled.
const FILL_PAUSE: Duration = Duration::from_millis(25);

/// After an error of the queue itself.
const ERROR_PAUSE: Duration = Duration::from_millis(500);

/// A queue and how its messages reach the function.
#[derive(Debug, Clone)]
pub struct SqsSource {
    /// The queue's URL.
    pub queue_url: String,
    /// The largest batch: 1 to 10,000. More than ten take several calls.
    pub batch_size: usize,
    /// How long to wait for a full batch after its first message; zero delivers what one look at the queue finds.
    pub window: Duration,
    /// How many invocations run at the same time. AWS takes 2 to 1,000.
    pub max_concurrency: usize,
    /// What the function's response means.
    pub failure_report: FailureReport,
    /// How long an invocation may take; AWS wants the queue's visibility timeout to be six times as long.
    pub function_timeout: Duration,
    /// How long invocations that are running are waited for when the source is drained; what is cut off then comes back
    /// from the queue.
    pub drain_within: Duration,
    /// Trouble on purpose.
    pub mischief: Mischief,
}

impl SqsSource {
    /// Batches of up to ten, no window, five invocations at a time, partial responses, 30 seconds each.
    pub fn new(queue_url: impl Into<String>) -> Self {
        Self {
            queue_url: queue_url.into(),
            batch_size: PER_CALL,
            window: Duration::ZERO,
            max_concurrency: 5,
            failure_report: FailureReport::Items,
            function_timeout: Duration::from_secs(30),
            drain_within: Duration::MAX,
            mischief: Mischief::default(),
        }
    }

    /// Starts polling.
    ///
    /// # Errors
    ///
    /// The queue does not exist.
    pub async fn start(self, client: Client, function: Arc<dyn Function>) -> anyhow::Result<Running> {
        let attributes = client.get_queue_attributes().queue_url(&self.queue_url);
        let attributes = attributes.attribute_names(QueueAttributeName::QueueArn).send().await;
        let attributes = attributes.with_context(|| format!("cannot read the queue {}", self.queue_url))?.attributes;
        let queue_arn = attributes.and_then(|mut all| all.remove(&QueueAttributeName::QueueArn));
        let mapping = Arc::new(Mapping {
            queue_arn: queue_arn.context("the queue has no ARN")?,
            dice: Dice::new(self.mischief.clone()),
            source: self,
            client,
            function,
        });
        Ok(Running::spawn(|stop| mapping.run(stop)))
    }
}

struct Mapping {
    source: SqsSource,
    queue_arn: String,
    client: Client,
    function: Arc<dyn Function>,
    dice: Dice,
}

impl Mapping {
    async fn run(self: Arc<Self>, stop: CancellationToken) {
        let slots = Arc::new(Semaphore::new(self.source.max_concurrency.max(1)));
        let invocations = TaskTracker::new();
        let cut = CancellationToken::new();
        loop {
            // The slot comes first: a message that is received is already on its visibility timeout.
            let slot = stop.run_until_cancelled(Arc::clone(&slots).acquire_owned()).await;
            let Some(Ok(slot)) = slot else { break };
            let mut messages = match self.batch(&stop).await {
                Ok(messages) => messages,
                Err(error) => {
                    tracing::warn!(queue = self.queue_arn, error = format!("{error:#}"), "polling failed");
                    if stop.run_until_cancelled(tokio::time::sleep(ERROR_PAUSE)).await.is_none() {
                        break;
                    }
                    continue;
                }
            };
            if messages.is_empty() {
                continue;
            }
            let mapping = Arc::clone(&self);
            invocations.spawn(cut.clone().run_until_cancelled_owned(async move {
                mapping.dice.reorder(&mut messages);
                for mut part in parts(messages) {
                    if let Some(at) = mapping.dice.cut(part.len()) {
                        let rest = part.split_off(at);
                        mapping.deliver(part).await;
                        part = rest;
                    }
                    mapping.deliver(part).await;
                }
                drop(slot);
            }));
        }
        invocations.close();
        if tokio::time::timeout(self.source.drain_within, invocations.wait()).await.is_err() {
            cut.cancel();
            invocations.wait().await;
        }
    }

    /// Waits for messages and gathers a batch; empty when nothing came or the source stops.
    async fn batch(&self, stop: &CancellationToken) -> anyhow::Result<Vec<Message>> {
        let size = self.source.batch_size.max(1);
        let Some(first) = stop.run_until_cancelled(self.receive(size.min(PER_CALL), LONG_POLL_SECONDS)).await else {
            return Ok(Vec::new());
        };
        let mut messages = first?;
        if messages.is_empty() {
            return Ok(messages);
        }
        let deadline = Instant::now() + self.source.window;
        while messages.len() < size && bytes(&messages) < LARGEST_BATCH_BYTES {
            let missing = (size - messages.len()).div_ceil(PER_CALL).min(PARALLEL_CALLS);
            let room = size - messages.len();
            let calls = (0..missing).map(|call| self.receive((room - call * PER_CALL).min(PER_CALL), 0));
            let found = futures::future::join_all(calls).await;
            let before = messages.len();
            for received in found {
                // What was received is delivered whatever became of the next call.
                match received {
                    Ok(received) => messages.extend(received),
                    Err(error) => {
                        tracing::warn!(queue = self.queue_arn, error = format!("{error:#}"), "polling failed");
                    }
                }
            }
            if messages.len() > before {
                continue;
            }
            let pause = FILL_PAUSE.min(deadline.saturating_duration_since(Instant::now()));
            if pause.is_zero() || stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                break;
            }
        }
        Ok(messages)
    }

    async fn receive(&self, limit: usize, wait_seconds: i32) -> anyhow::Result<Vec<Message>> {
        let receive = self
            .client
            .receive_message()
            .queue_url(&self.source.queue_url)
            .max_number_of_messages(i32::try_from(limit).unwrap_or(1))
            .wait_time_seconds(wait_seconds)
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .message_attribute_names("All");
        Ok(receive.send().await?.messages.unwrap_or_default())
    }

    async fn deliver(&self, messages: Vec<Message>) {
        self.dice.delay().await;
        let event = sqs_event::event(&self.queue_arn, &messages);
        let repeat = self.dice.redeliver().then(|| event.clone());
        let response = invoke_within(self.function.as_ref(), event, self.source.function_timeout).await;
        if self.dice.crash() {
            self.release(&messages).await;
            return;
        }
        let outcome = match response {
            Err(error) => {
                tracing::warn!(queue = self.queue_arn, %error, "an invocation failed");
                return;
            }
            Ok(_) if self.source.failure_report == FailureReport::WholeBatch => BatchOutcome::Success,
            Ok(response) => {
                sqs_event::outcome(&response, |id| messages.iter().any(|message| message.message_id() == Some(id)))
            }
        };
        let done: Vec<&Message> = match &outcome {
            BatchOutcome::Success => messages.iter().collect(),
            BatchOutcome::Failed(failed) => {
                messages.iter().filter(|message| !message.message_id().is_some_and(|id| failed.contains(id))).collect()
            }
            BatchOutcome::Invalid(reason) => {
                tracing::warn!(queue = self.queue_arn, reason, "the response fails the whole batch");
                return;
            }
        };
        self.delete(&done).await;
        if let Some(event) = repeat {
            self.dice.delay().await;
            // Whatever it answers: these messages are gone from the queue.
            let again = invoke_within(self.function.as_ref(), event, self.source.function_timeout).await;
            if let Err(error) = again {
                tracing::debug!(queue = self.queue_arn, %error, "a repeated delivery failed");
            }
        }
    }

    /// Deletes messages. Those that cannot be deleted will be delivered again, which is what at-least-once means.
    async fn delete(&self, messages: &[&Message]) {
        let calls = messages.chunks(PER_CALL).map(|chunk| {
            let entries = chunk.iter().enumerate().filter_map(|(index, message)| {
                let entry = DeleteMessageBatchRequestEntry::builder().id(index.to_string());
                entry.receipt_handle(message.receipt_handle()?).build().ok()
            });
            let delete = self.client.delete_message_batch().queue_url(&self.source.queue_url);
            delete.set_entries(Some(entries.collect())).send()
        });
        let mut calls = stream::iter(calls.collect::<Vec<_>>()).buffer_unordered(PARALLEL_CALLS);
        while let Some(deleted) = calls.next().await {
            if let Err(error) = deleted {
                tracing::warn!(queue = self.queue_arn, %error, "processed messages were not deleted");
            }
        }
    }

    /// Makes messages visible again at once, so that a test need not wait for their visibility timeout.
    async fn release(&self, messages: &[Message]) {
        for chunk in messages.chunks(PER_CALL) {
            let entries = chunk.iter().enumerate().filter_map(|(index, message)| {
                let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(index.to_string());
                entry.receipt_handle(message.receipt_handle()?).visibility_timeout(0).build().ok()
            });
            let release = self.client.change_message_visibility_batch().queue_url(&self.source.queue_url);
            if let Err(error) = release.set_entries(Some(entries.collect())).send().await {
                tracing::warn!(queue = self.queue_arn, %error, "messages were not released");
            }
        }
    }
}

/// What the bodies of these messages take.
fn bytes(messages: &[Message]) -> usize {
    messages.iter().map(size).sum()
}

fn size(message: &Message) -> usize {
    message.body().map_or(0, str::len)
}

/// The messages in parts that an invocation can be handed, in their order; each has at least one.
fn parts(messages: Vec<Message>) -> Vec<Vec<Message>> {
    let mut parts: Vec<Vec<Message>> = Vec::new();
    let mut room = 0;
    for message in messages {
        let size = size(&message);
        match parts.last_mut().filter(|_| size <= room) {
            Some(part) => {
                room -= size;
                part.push(message);
            }
            None => {
                room = LARGEST_BATCH_BYTES.saturating_sub(size);
                parts.push(vec![message]);
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_too_large_for_one_invocation_is_delivered_in_parts() {
        let message = |megabytes: usize| Message::builder().body("x".repeat(megabytes << 20)).build();
        let sizes = |megabytes: &[usize]| -> Vec<usize> {
            parts(megabytes.iter().copied().map(message).collect()).iter().map(Vec::len).collect()
        };
        assert_eq!(sizes(&[1; 10]), [6, 4]);
        assert_eq!(sizes(&[1, 1, 5, 1]), [2, 2]);
        assert_eq!(sizes(&[9, 1]), [1, 1], "a message that is too large by itself is not held back");
        assert_eq!(sizes(&[]), [0; 0]);
    }
}
