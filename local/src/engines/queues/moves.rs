//! Message move tasks: the replay of a dead-letter queue. A task is done when its start is answered; the queues here
//! are small enough for that.

use std::sync::PoisonError;

use rustack_sqs_model::{
    error::SqsError,
    input::{DeleteMessageInput, ListMessageMoveTasksInput, ReceiveMessageInput, StartMessageMoveTaskInput},
    output::{ListMessageMoveTasksOutput, StartMessageMoveTaskOutput},
    types::ListMessageMoveTasksResultEntry,
};

use super::{Entry, SharedQueues, local_url, no_queue, now_ms};

/// How long a message that is being moved is hidden from others.
const MOVE_VISIBILITY_S: i32 = 30;

impl SharedQueues {
    /// Moves what is visible in a dead-letter queue to the given queue, or back to where each message came from.
    pub(super) async fn start_move(
        &self,
        input: StartMessageMoveTaskInput,
    ) -> Result<StartMessageMoveTaskOutput, SqsError> {
        let source = known_queue(self, &input.source_arn)?;
        let destination = input.destination_arn.as_deref().map(|arn| known_queue(self, arn)).transpose()?;
        let started_ms = now_ms();
        let mut moved = 0;
        loop {
            let receive = ReceiveMessageInput {
                queue_url: local_url(&source),
                max_number_of_messages: Some(10),
                visibility_timeout: Some(MOVE_VISIBILITY_S),
                wait_time_seconds: Some(0),
                ..ReceiveMessageInput::default()
            };
            let received = self.engine.receive_message(receive).await?.messages;
            if received.is_empty() {
                break;
            }
            for message in received {
                let (Some(id), Some(handle)) = (message.body, message.receipt_handle) else { continue };
                let target = {
                    let mut book = self.book();
                    let target =
                        book.contents.messages.get(&id).filter(|stored| stored.queue == source).map(|stored| {
                            let origin = stored.moved_from.as_deref().and_then(|arn| arn.rsplit(':').next());
                            destination.clone().or_else(|| origin.map(ToOwned::to_owned))
                        });
                    match target {
                        // Deleted meanwhile: the engine may forget it too.
                        None => None,
                        Some(None) => continue,
                        Some(Some(target)) => {
                            book.record(Entry::Moved { id: id.clone(), queue: target.clone(), from: None })?;
                            Some(target)
                        }
                    }
                };
                if let Some(target) = target {
                    self.schedule(&target, &id, 0).await?;
                    moved += 1;
                }
                let gone = DeleteMessageInput { queue_url: local_url(&source), receipt_handle: handle };
                self.engine.delete_message(gone).await?;
            }
        }
        let task = uuid::Uuid::new_v4().to_string();
        let entry = ListMessageMoveTasksResultEntry {
            task_handle: Some(task.clone()),
            source_arn: Some(input.source_arn),
            destination_arn: input.destination_arn,
            approximate_number_of_messages_moved: Some(moved),
            approximate_number_of_messages_to_move: Some(moved),
            status: Some("COMPLETED".to_owned()),
            started_timestamp: i64::try_from(started_ms).ok(),
            ..ListMessageMoveTasksResultEntry::default()
        };
        self.move_tasks.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
        Ok(StartMessageMoveTaskOutput { task_handle: Some(task) })
    }

    /// The tasks of a queue, the latest first.
    pub(super) fn list_moves(&self, input: &ListMessageMoveTasksInput) -> ListMessageMoveTasksOutput {
        let limit = input.max_results.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(1);
        let tasks = self.move_tasks.lock().unwrap_or_else(PoisonError::into_inner);
        let of_queue = tasks.iter().rev().filter(|task| task.source_arn.as_deref() == Some(&input.source_arn));
        ListMessageMoveTasksOutput { results: of_queue.take(limit).cloned().collect() }
    }
}

fn known_queue(queues: &SharedQueues, arn: &str) -> Result<String, SqsError> {
    let name = arn.rsplit(':').next().ok_or_else(no_queue)?;
    queues.book().queue(name)?;
    Ok(name.to_owned())
}
