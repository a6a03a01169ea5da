//! The queues: rustack's engine schedules (delays, visibility, long polls), this module keeps what the messages are.
//! The engine is given only a message's id; body, attributes, receive count and redrive are ours, so that a message is
//! in the journal before it is acknowledged, may be 1 MiB long (the engine stops at 256 KiB), keeps its id and its
//! receive count over a restart, and may carry a message group in a standard queue. FIFO queues are not offered.

mod messages;
mod moves;
mod settings;

use std::{
    collections::HashMap,
    path::Path,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use rustack_sqs_core::{handler::RustackSqsHandler, provider::RustackSqs};
use rustack_sqs_http::{body::SqsResponseBody, dispatch::SqsHandler, response::json_response};
use rustack_sqs_model::{
    error::{SqsError, SqsErrorCode},
    input::{
        CreateQueueInput, DeleteQueueInput, GetQueueAttributesInput, GetQueueUrlInput, ListDeadLetterSourceQueuesInput,
        PurgeQueueInput, SendMessageInput, SetQueueAttributesInput, TagQueueInput, UntagQueueInput,
    },
    operations::SqsOperation,
    output::{
        CreateQueueOutput, DeleteQueueOutput, GetQueueAttributesOutput, ListDeadLetterSourceQueuesOutput,
        PurgeQueueOutput, SetQueueAttributesOutput, TagQueueOutput, UntagQueueOutput,
    },
    types::ListMessageMoveTasksResultEntry,
};
use serde::{Serialize, de::DeserializeOwned};

use self::settings::{Redrive, split};
use super::{
    ACCOUNT, REGION,
    journal::{Contents, Entry, Journal, StoredQueue},
};

type Answer = Result<http::Response<SqsResponseBody>, SqsError>;

/// The handler of every SQS request.
#[derive(Debug, Clone)]
pub(super) struct Queues {
    shared: Arc<SharedQueues>,
}

#[derive(Debug)]
struct SharedQueues {
    engine: Arc<RustackSqs>,
    /// Serves what needs nothing from us: queue URLs and lists, tags as they are, permissions.
    plain: RustackSqsHandler,
    book: Mutex<Book>,
    move_tasks: Mutex<Vec<ListMessageMoveTasksResultEntry>>,
}

/// What the queues hold, and the journal of it. Changes go through [`Book::record`].
#[derive(Debug, Default)]
struct Book {
    contents: Contents,
    journal: Option<Journal>,
}

impl Book {
    fn record(&mut self, entry: Entry) -> Result<(), SqsError> {
        if let Some(journal) = &mut self.journal {
            journal
                .append(&entry)
                .map_err(|error| SqsError::internal_error(format!("the queue journal cannot be written: {error}")))?;
        }
        self.contents.apply(entry);
        if let Some(journal) = &mut self.journal {
            journal.compact_if_due(&self.contents);
        }
        Ok(())
    }

    fn queue(&self, name: &str) -> Result<&StoredQueue, SqsError> {
        self.contents.queues.get(name).ok_or_else(no_queue)
    }
}

impl Queues {
    /// Takes over the queues and the messages in the journal.
    pub(super) async fn restore(engine: RustackSqs, journal: Option<&Path>) -> anyhow::Result<Self> {
        let (journal, contents) = match journal {
            Some(path) => {
                let (journal, contents) = Journal::open(path)?;
                (Some(journal), contents)
            }
            None => (None, Contents::default()),
        };
        let engine = Arc::new(engine);
        for (name, queue) in &contents.queues {
            let (theirs, _) = split(&queue.attributes);
            let tags = queue.tags.clone().into_iter().collect();
            let created = engine.create_queue(CreateQueueInput { queue_name: name.clone(), attributes: theirs, tags });
            created.await.map_err(|error| anyhow::anyhow!("queue {name}: {}", error.message))?;
        }
        let now = now_ms();
        for message in contents.in_order() {
            // A message that was being processed is free again: whoever had it is gone.
            let hidden_s = message.hidden_until_ms.saturating_sub(now).div_ceil(1000);
            let input = SendMessageInput {
                queue_url: local_url(&message.queue),
                message_body: message.id.clone(),
                delay_seconds: Some(i32::try_from(hidden_s).unwrap_or(i32::MAX)),
                ..SendMessageInput::default()
            };
            let sent = engine.send_message(input).await;
            sent.map_err(|error| anyhow::anyhow!("message {}: {}", message.id, error.message))?;
        }
        let shared = SharedQueues {
            plain: RustackSqsHandler::new(Arc::clone(&engine)),
            engine,
            book: Mutex::new(Book { contents, journal }),
            move_tasks: Mutex::default(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }
}

impl SqsHandler for Queues {
    fn handle_operation(&self, operation: SqsOperation, body: Bytes) -> Pin<Box<dyn Future<Output = Answer> + Send>> {
        let queues = Arc::clone(&self.shared);
        Box::pin(async move {
            match operation {
                SqsOperation::CreateQueue => answer(&queues.create(parse(&body)?).await?),
                SqsOperation::DeleteQueue => answer(&queues.delete(parse(&body)?).await?),
                SqsOperation::PurgeQueue => answer(&queues.purge(parse(&body)?).await?),
                SqsOperation::GetQueueAttributes => answer(&queues.attributes(parse(&body)?).await?),
                SqsOperation::SetQueueAttributes => answer(&queues.set_attributes(parse(&body)?).await?),
                SqsOperation::TagQueue => answer(&queues.tag(parse(&body)?).await?),
                SqsOperation::UntagQueue => answer(&queues.untag(parse(&body)?).await?),
                SqsOperation::ListDeadLetterSourceQueues => answer(&queues.dead_letter_sources(parse(&body)?).await?),
                SqsOperation::SendMessage => answer(&queues.send(parse(&body)?).await?),
                SqsOperation::SendMessageBatch => answer(&queues.send_batch(parse(&body)?).await?),
                SqsOperation::ReceiveMessage => answer(&queues.receive(parse(&body)?).await?),
                SqsOperation::DeleteMessage => answer(&queues.delete_message(parse(&body)?).await?),
                SqsOperation::DeleteMessageBatch => answer(&queues.delete_batch(parse(&body)?).await?),
                SqsOperation::ChangeMessageVisibility => answer(&queues.change_visibility(parse(&body)?).await?),
                SqsOperation::ChangeMessageVisibilityBatch => {
                    answer(&queues.change_visibility_batch(parse(&body)?).await?)
                }
                SqsOperation::StartMessageMoveTask => answer(&queues.start_move(parse(&body)?).await?),
                SqsOperation::ListMessageMoveTasks => answer(&queues.list_moves(&parse(&body)?)),
                other => queues.plain.handle_operation(other, body).await,
            }
        })
    }
}

impl SharedQueues {
    fn book(&self) -> MutexGuard<'_, Book> {
        // The book is changed in single steps, so what a panicking thread leaves is whole.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn create(&self, input: CreateQueueInput) -> Result<CreateQueueOutput, SqsError> {
        if input.queue_name.ends_with(".fifo") {
            return Err(SqsError::new(SqsErrorCode::UnsupportedOperation, "FIFO queues are not offered locally"));
        }
        let wanted = settings::checked(&input.attributes)?;
        let existing = self.book().contents.queues.get(&input.queue_name).cloned();
        if let Some(existing) = existing {
            let mut different =
                wanted.iter().filter(|(name, value)| settings::current(&existing, name) != Some(value.as_str()));
            if let Some((name, _)) = different.next() {
                return Err(SqsError::queue_already_exists(format!(
                    "A queue already exists with the same name and a different value for attribute {name}"
                )));
            }
            let found = GetQueueUrlInput { queue_name: input.queue_name, queue_owner_aws_account_id: None };
            let found = self.engine.get_queue_url(found).await?;
            return Ok(CreateQueueOutput { queue_url: found.queue_url });
        }
        let (theirs, _) = split(&wanted);
        let settings = StoredQueue { attributes: wanted, tags: input.tags.clone().into_iter().collect() };
        let created = CreateQueueInput { queue_name: input.queue_name.clone(), attributes: theirs, tags: input.tags };
        let created = self.engine.create_queue(created).await?;
        self.book().record(Entry::Queue { name: input.queue_name, settings })?;
        Ok(created)
    }

    async fn delete(&self, input: DeleteQueueInput) -> Result<DeleteQueueOutput, SqsError> {
        let name = queue_name(&input.queue_url)?;
        self.book().record(Entry::DropQueue(name))?;
        self.engine.delete_queue(input).await
    }

    async fn purge(&self, input: PurgeQueueInput) -> Result<PurgeQueueOutput, SqsError> {
        let name = queue_name(&input.queue_url)?;
        let purged = self.engine.purge_queue(input).await?;
        self.book().record(Entry::Purge(name))?;
        Ok(purged)
    }

    async fn attributes(&self, input: GetQueueAttributesInput) -> Result<GetQueueAttributesOutput, SqsError> {
        let wanted = input.attribute_names;
        let all = GetQueueAttributesInput { queue_url: input.queue_url, attribute_names: vec!["All".to_owned()] };
        let name = queue_name(&all.queue_url)?;
        let mut attributes = self.engine.get_queue_attributes(all).await?.attributes;
        attributes.extend(settings::ours(self.book().queue(&name)?));
        if !wanted.iter().any(|name| name == "All") {
            attributes.retain(|name, _| wanted.contains(name));
        }
        Ok(GetQueueAttributesOutput { attributes })
    }

    async fn set_attributes(&self, input: SetQueueAttributesInput) -> Result<SetQueueAttributesOutput, SqsError> {
        let name = queue_name(&input.queue_url)?;
        let changes = settings::checked(&input.attributes)?;
        let mut settings = self.book().queue(&name)?.clone();
        let (theirs, _) = split(&changes);
        if !theirs.is_empty() {
            let input = SetQueueAttributesInput { queue_url: input.queue_url, attributes: theirs };
            self.engine.set_queue_attributes(input).await?;
        }
        settings.attributes.extend(changes);
        settings.attributes.retain(|_, value| !value.is_empty());
        self.book().record(Entry::Queue { name, settings })?;
        Ok(SetQueueAttributesOutput {})
    }

    async fn tag(&self, input: TagQueueInput) -> Result<TagQueueOutput, SqsError> {
        let name = queue_name(&input.queue_url)?;
        let mut settings = self.book().queue(&name)?.clone();
        settings.tags.extend(input.tags.clone());
        let tagged = self.engine.tag_queue(input).await?;
        self.book().record(Entry::Queue { name, settings })?;
        Ok(tagged)
    }

    async fn untag(&self, input: UntagQueueInput) -> Result<UntagQueueOutput, SqsError> {
        let name = queue_name(&input.queue_url)?;
        let mut settings = self.book().queue(&name)?.clone();
        settings.tags.retain(|tag, _| !input.tag_keys.contains(tag));
        let untagged = self.engine.untag_queue(input).await?;
        self.book().record(Entry::Queue { name, settings })?;
        Ok(untagged)
    }

    async fn dead_letter_sources(
        &self,
        input: ListDeadLetterSourceQueuesInput,
    ) -> Result<ListDeadLetterSourceQueuesOutput, SqsError> {
        let name = queue_name(&input.queue_url)?;
        let sources: Vec<String> = {
            let book = self.book();
            book.queue(&name)?;
            let queues = book.contents.queues.iter();
            queues
                .filter(|(_, queue)| Redrive::of(queue).is_some_and(|redrive| redrive.queue == name))
                .map(|(source, _)| source.clone())
                .collect()
        };
        let mut queue_urls = Vec::with_capacity(sources.len());
        for queue_name in sources {
            let found = GetQueueUrlInput { queue_name, queue_owner_aws_account_id: None };
            queue_urls.extend(self.engine.get_queue_url(found).await?.queue_url);
        }
        Ok(ListDeadLetterSourceQueuesOutput { queue_urls, next_token: None })
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, SqsError> {
    serde_json::from_slice(body).map_err(|error| SqsError::invalid_parameter_value(format!("invalid request: {error}")))
}

fn answer<T: Serialize>(output: &T) -> Answer {
    let json = serde_json::to_vec(output).map_err(|error| SqsError::internal_error(error.to_string()))?;
    Ok(json_response(json, &uuid::Uuid::new_v4().to_string()))
}

fn no_queue() -> SqsError {
    SqsError::non_existent_queue("The specified queue does not exist.")
}

/// The name in `http://host/account/name`.
fn queue_name(url: &str) -> Result<String, SqsError> {
    let name = url.rsplit('/').next().filter(|name| !name.is_empty());
    name.map(ToOwned::to_owned).ok_or_else(no_queue)
}

/// A URL that the engine understands; it looks only at the last part.
fn local_url(queue: &str) -> String {
    format!("http://localhost/{ACCOUNT}/{queue}")
}

fn arn(queue: &str) -> String {
    format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}")
}

fn now_ms() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}

/// Attributes by name, as the wire has them.
type Attributes = HashMap<String, String>;
