//! The event source mapping of a table's stream: one batch at a time in the order of the stream, repeated until it
//! succeeds or is given up, with a checkpoint after each. The embedded engine has one shard per table, which equals a
//! parallelization factor of one.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use anyhow::Context as _;
use aws_sdk_dynamodbstreams::{
    Client,
    types::{Record, ShardIteratorType},
};
use jiff::Timestamp;
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    Checkpoint, FailureReport, Function, InvokeError, Mischief, Running,
    checkpoint::Position,
    function::invoke_within,
    mischief::Dice,
    stream_event::{self, changes_nothing, sequence_number},
};
use crate::engines::REGION;

/// The most records that one call returns.
const PER_CALL: usize = 1_000;

/// Pauses between looks at a stream that has nothing new: short while it is in use, longer when it rests. AWS looks
/// four times a second; here somebody is watching the screen.
const BUSY_PAUSE: Duration = Duration::from_millis(20);
const IDLE_PAUSE: Duration = Duration::from_millis(50);
const BUSY_FOR: Duration = Duration::from_secs(5);

/// Pauses before a failed batch is tried again: doubled each time.
const FIRST_RETRY: Duration = Duration::from_millis(50);
const LAST_RETRY: Duration = Duration::from_secs(5);

/// Where a stream without a checkpoint begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StartingPosition {
    /// With the oldest record there is.
    #[default]
    TrimHorizon,
    /// With the first record after the start.
    Latest,
}

/// What happens to a batch when the function fails on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnError {
    /// It is tried again as it is.
    #[default]
    Retry,
    /// `BisectBatchOnFunctionError`: its halves are tried on their own, so that one bad record stops only itself.
    Bisect,
}

/// Where the description of a batch that was given up is sent.
#[derive(Debug, Clone)]
pub struct OnFailure {
    /// A client for the queue.
    pub client: aws_sdk_sqs::Client,
    /// The queue's URL.
    pub queue_url: String,
}

/// A stream and how its records reach the function.
#[derive(Debug, Clone)]
pub struct StreamSource {
    /// The stream's ARN, as the table's description has it.
    pub stream_arn: String,
    /// The largest batch: 1 to 10,000.
    pub batch_size: usize,
    /// How long to wait for a full batch after its first record.
    pub window: Duration,
    /// Where to begin without a checkpoint.
    pub starting_position: StartingPosition,
    /// How often a failed batch is tried again before it is given up; `None` means for ever, AWS's default.
    pub max_retries: Option<u32>,
    /// What a failure does to the batch.
    pub on_error: OnError,
    /// Where batches that were given up are described; without it they are only logged.
    pub on_failure: Option<OnFailure>,
    /// What the function's response means.
    pub failure_report: FailureReport,
    /// How long an invocation may take.
    pub function_timeout: Duration,
    /// How far the stream was processed.
    pub checkpoint: Checkpoint,
    /// Trouble on purpose; a stream is never reordered.
    pub mischief: Mischief,
}

impl StreamSource {
    /// Batches of up to 100 from the oldest record on, no window, endless retries, partial responses, a minute each.
    pub fn new(stream_arn: impl Into<String>, checkpoint: Checkpoint) -> Self {
        Self {
            stream_arn: stream_arn.into(),
            batch_size: 100,
            window: Duration::ZERO,
            starting_position: StartingPosition::TrimHorizon,
            max_retries: None,
            on_error: OnError::Retry,
            on_failure: None,
            failure_report: FailureReport::Items,
            function_timeout: Duration::from_secs(60),
            checkpoint,
            mischief: Mischief::default(),
        }
    }

    /// Starts polling.
    ///
    /// # Errors
    ///
    /// The stream does not exist.
    pub async fn start(self, client: Client, function: Arc<dyn Function>) -> anyhow::Result<Running> {
        let described = client.describe_stream().stream_arn(&self.stream_arn).send().await;
        let described = described.with_context(|| format!("cannot read the stream {}", self.stream_arn))?;
        let shard = described.stream_description.and_then(|stream| stream.shards?.into_iter().next()?.shard_id);
        let mut mapping = Mapping {
            // The engine names itself as the region.
            event_arn: self.stream_arn.replacen(":dynoxide:", &format!(":{REGION}:"), 1),
            shard: shard.context("the stream has no shard")?,
            dice: Dice::new(self.mischief.clone()),
            source: self,
            client,
            function,
            iterator: None,
            waiting: VecDeque::new(),
            last_news: Instant::now(),
        };
        // Before this returns: "the first record after the start" must not depend on who is quicker.
        mapping.iterator = Some(mapping.first_iterator().await?);
        Ok(Running::spawn(|stop| mapping.run(stop)))
    }
}

/// A batch, or a part of one, and how often it failed.
struct Batch {
    records: Vec<Record>,
    failures: u32,
}

struct Mapping {
    source: StreamSource,
    event_arn: String,
    shard: String,
    client: Client,
    function: Arc<dyn Function>,
    dice: Dice,
    iterator: Option<String>,
    /// Records that were read and not yet delivered.
    waiting: VecDeque<Record>,
    last_news: Instant,
}

impl Mapping {
    async fn run(mut self, stop: CancellationToken) {
        loop {
            let batch = match stop.run_until_cancelled(self.batch()).await {
                None => return,
                Some(Ok(batch)) => batch,
                Some(Err(error)) => {
                    tracing::warn!(stream = self.event_arn, error = format!("{error:#}"), "polling failed");
                    if stop.run_until_cancelled(tokio::time::sleep(LAST_RETRY / 10)).await.is_none() {
                        return;
                    }
                    continue;
                }
            };
            if self.process(batch, &stop).await.is_none() {
                return;
            }
        }
    }

    /// Waits for records and gathers a batch of them.
    async fn batch(&mut self) -> anyhow::Result<Vec<Record>> {
        let size = self.source.batch_size.max(1);
        let mut deadline = None;
        loop {
            if self.waiting.len() < size {
                self.read(size).await?;
            }
            let full = self.waiting.len() >= size;
            if !self.waiting.is_empty() {
                let deadline = *deadline.get_or_insert_with(|| Instant::now() + self.source.window);
                if full || Instant::now() >= deadline {
                    let count = self.waiting.len().min(size);
                    return Ok(self.waiting.drain(..count).collect());
                }
            }
            let pause = if self.last_news.elapsed() < BUSY_FOR { BUSY_PAUSE } else { IDLE_PAUSE };
            tokio::time::sleep(pause).await;
        }
    }

    /// Reads what is new, up to what a batch lacks.
    async fn read(&mut self, size: usize) -> anyhow::Result<()> {
        while self.waiting.len() < size {
            let iterator = match &self.iterator {
                Some(iterator) => iterator.clone(),
                None => self.first_iterator().await?,
            };
            let limit = (size - self.waiting.len()).min(PER_CALL);
            let read = self.client.get_records().shard_iterator(&iterator);
            let read = read.limit(i32::try_from(limit).unwrap_or(1)).send().await?;
            self.iterator = read.next_shard_iterator;
            let records = read.records.unwrap_or_default();
            let found = records.len();
            self.waiting.extend(records.into_iter().filter(|record| !changes_nothing(record)));
            if found > 0 {
                self.last_news = Instant::now();
            }
            if found < limit {
                break;
            }
        }
        Ok(())
    }

    async fn first_iterator(&self) -> anyhow::Result<String> {
        let iterator = self.client.get_shard_iterator().stream_arn(&self.source.stream_arn).shard_id(&self.shard);
        let checkpoint = self
            .source
            .checkpoint
            .get()
            .filter(|position| position.stream_arn == self.source.stream_arn && position.shard == self.shard);
        let iterator = match (checkpoint, self.source.starting_position) {
            (Some(position), _) => iterator
                .shard_iterator_type(ShardIteratorType::AfterSequenceNumber)
                .sequence_number(position.sequence_number),
            (None, StartingPosition::TrimHorizon) => iterator.shard_iterator_type(ShardIteratorType::TrimHorizon),
            (None, StartingPosition::Latest) => iterator.shard_iterator_type(ShardIteratorType::Latest),
        };
        iterator.send().await?.shard_iterator.context("the shard has no iterator")
    }

    /// Delivers a batch until all of it succeeded or was given up; `None` when the source stops before that.
    async fn process(&self, records: Vec<Record>, stop: &CancellationToken) -> Option<()> {
        let mut parts = VecDeque::from([Batch { records, failures: 0 }]);
        if let Some(at) = self.dice.cut(parts[0].records.len()) {
            let rest = parts[0].records.split_off(at);
            parts.push_back(Batch { records: rest, failures: 0 });
        }
        while let Some(mut part) = parts.pop_front() {
            if stop.is_cancelled() {
                return None;
            }
            let problem = match self.deliver(&part.records).await {
                Ok(done) => {
                    let rest = part.records.split_off(done);
                    self.advance(&part.records);
                    if rest.is_empty() {
                        continue;
                    }
                    // Progress starts the count anew, but what failed first waits as after a failure.
                    let failures = if done == 0 { part.failures + 1 } else { 1 };
                    part = Batch { records: rest, failures };
                    "the response names failures".to_owned()
                }
                Err(error) => {
                    part.failures += 1;
                    error.to_string()
                }
            };
            tracing::warn!(stream = self.event_arn, problem, failures = part.failures, "a batch failed");
            if self.source.max_retries.is_some_and(|max| part.failures > max) {
                self.give_up(&part).await;
                self.advance(&part.records);
                continue;
            }
            let pause = FIRST_RETRY.saturating_mul(1 << part.failures.saturating_sub(1).min(10)).min(LAST_RETRY);
            if self.source.on_error == OnError::Bisect && part.records.len() > 1 {
                // Splitting is not a retry: the halves have the failures of the whole, less this one.
                let failures = part.failures.saturating_sub(1);
                let rest = part.records.split_off(part.records.len() / 2);
                parts.push_front(Batch { records: rest, failures });
                part.failures = failures;
            }
            parts.push_front(part);
            stop.run_until_cancelled(tokio::time::sleep(pause)).await?;
        }
        Some(())
    }

    /// Invokes the function; says how many records from the front are done with.
    async fn deliver(&self, records: &[Record]) -> Result<usize, InvokeError> {
        self.dice.delay().await;
        let event = stream_event::event(&self.event_arn, records);
        let repeat = self.dice.redeliver().then(|| event.clone());
        let response = invoke_within(self.function.as_ref(), event, self.source.function_timeout).await?;
        if self.dice.crash() {
            return Err(InvokeError::Failed("lost on purpose after the function ran".to_owned()));
        }
        let done = match self.source.failure_report {
            FailureReport::WholeBatch => records.len(),
            FailureReport::Items => stream_event::done_count(&response, records)
                .map_err(|reason| InvokeError::Failed(format!("invalid response: {reason}")))?,
        };
        if let Some(event) = repeat {
            let again = invoke_within(self.function.as_ref(), event, self.source.function_timeout).await;
            if let Err(error) = again {
                tracing::debug!(stream = self.event_arn, %error, "a repeated delivery failed");
            }
        }
        Ok(done)
    }

    /// Moves the checkpoint behind these records.
    fn advance(&self, records: &[Record]) {
        let Some(last) = records.last() else { return };
        let position = Position {
            stream_arn: self.source.stream_arn.clone(),
            shard: self.shard.clone(),
            sequence_number: sequence_number(last).to_owned(),
        };
        if let Err(error) = self.source.checkpoint.set(position) {
            // The records will come again after a restart; the function must bear that anyway.
            tracing::warn!(stream = self.event_arn, %error, "the checkpoint was not written");
        }
    }

    /// Describes a batch that is given up in the failure queue, in the words of Lambda.
    async fn give_up(&self, batch: &Batch) {
        let (Some(first), Some(last)) = (batch.records.first(), batch.records.last()) else { return };
        let (start, end) = (sequence_number(first), sequence_number(last));
        tracing::error!(stream = self.event_arn, start, end, "a batch is given up");
        let Some(failure) = &self.source.on_failure else { return };
        let arrived = |record: &Record| {
            let time = record.dynamodb().and_then(|change| change.approximate_creation_date_time());
            time.and_then(|time| Timestamp::from_second(time.secs()).ok()).map(|time| time.to_string())
        };
        let body = json!({
            "requestContext": {
                "requestId": uuid::Uuid::new_v4().to_string(),
                "condition": "RetryAttemptsExhausted",
                "approximateInvokeCount": batch.failures,
            },
            "responseContext": { "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled" },
            "version": "1.0",
            "timestamp": Timestamp::now().to_string(),
            "DDBStreamBatchInfo": {
                "shardId": self.shard,
                "startSequenceNumber": start,
                "endSequenceNumber": end,
                "approximateArrivalOfFirstRecord": arrived(first),
                "approximateArrivalOfLastRecord": arrived(last),
                "batchSize": batch.records.len(),
                "streamArn": self.event_arn,
            },
        });
        let sent = failure.client.send_message().queue_url(&failure.queue_url).message_body(body.to_string()).send();
        if let Err(error) = sent.await {
            tracing::error!(stream = self.event_arn, start, end, %error, "a batch that was given up is not described");
        }
    }
}
