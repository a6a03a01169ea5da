//! The scheduler: invokes a function at a fixed rate with the event that EventBridge Scheduler sends.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior};

use super::{Function, Running, function::invoke_within};
use crate::engines::{ACCOUNT, REGION};

/// A fixed rate. The first invocation comes at once; one that is due while another still runs is left out.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// The schedule's name, which ends the ARN among the event's `resources`.
    pub name: String,
    /// From one invocation to the next.
    pub every: Duration,
    /// What the event carries as its `detail`; EventBridge Scheduler sends the text `{}` unless told otherwise.
    pub detail: Value,
    /// How long an invocation may take.
    pub function_timeout: Duration,
    /// After an invocation so many times as long as it took passes before the next, at least. On AWS a function has a machine
    /// of its own; here its work takes the processor from those who must not wait.
    pub rest: u32,
}

impl Schedule {
    /// A schedule with the event that has no detail and a minute for each invocation.
    #[must_use]
    pub fn new(name: impl Into<String>, every: Duration) -> Self {
        let name = name.into();
        let function_timeout = Duration::from_secs(60);
        Self { name, every, detail: Value::String("{}".to_owned()), function_timeout, rest: 0 }
    }

    /// Starts the schedule.
    #[must_use]
    pub fn start(self, function: Arc<dyn Function>) -> Running {
        Running::spawn(|stop| async move {
            let mut ticks = tokio::time::interval(self.every.max(Duration::from_millis(1)));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            while stop.run_until_cancelled(ticks.tick()).await.is_some() {
                let (event, begun) = (self.event(Timestamp::now()), Instant::now());
                if let Err(error) = invoke_within(function.as_ref(), event, self.function_timeout).await {
                    tracing::warn!(schedule = self.name, %error, "a scheduled invocation failed");
                }
                let rest = begun.elapsed().saturating_mul(self.rest);
                if stop.run_until_cancelled(tokio::time::sleep(rest)).await.is_none() {
                    break;
                }
            }
        })
    }

    fn event(&self, now: Timestamp) -> Value {
        json!({
            "version": "0",
            "id": uuid::Uuid::new_v4().to_string(),
            "detail-type": "Scheduled Event",
            "source": "aws.scheduler",
            "account": ACCOUNT,
            "time": now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            "region": REGION,
            "resources": [format!("arn:aws:scheduler:{REGION}:{ACCOUNT}:schedule/default/{}", self.name)],
            "detail": self.detail,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_event_is_that_of_the_scheduler() {
        let now = Timestamp::from_second(1_795_000_000).unwrap();
        let mut event = Schedule::new("watchdog", Duration::from_secs(60)).event(now);
        event["id"] = json!("ID");
        let expected = json!({
            "version": "0",
            "id": "ID",
            "detail-type": "Scheduled Event",
            "source": "aws.scheduler",
            "account": "000000000000",
            "time": "2026-11-18T11:06:40Z",
            "region": "us-east-1",
            "resources": ["arn:aws:scheduler:us-east-1:000000000000:schedule/default/watchdog"],
            "detail": "{}",
        });
        assert_eq!(event, expected);
    }

    #[tokio::test]
    async fn whoever_works_long_rests_longer() {
        let (sent, mut received) = tokio::sync::mpsc::unbounded_channel();
        let function = super::super::from_fn(move |_: Value| {
            let sent = sent.clone();
            async move {
                tokio::time::sleep(Duration::from_millis(10)).await;
                sent.send(Instant::now()).map_err(|error| error.to_string())
            }
        });
        let running = Schedule { rest: 9, ..Schedule::new("s", Duration::from_millis(1)) }.start(function);
        let first = received.recv().await.unwrap();
        let second = received.recv().await.unwrap();
        assert!(second - first >= Duration::from_millis(100), "{:?}", second - first);
        running.drain().await;
    }

    #[tokio::test]
    async fn a_schedule_goes_on_after_failures_until_it_is_drained() {
        let (sent, mut received) = tokio::sync::mpsc::unbounded_channel();
        let function = super::super::from_fn(move |_: Value| {
            let sent = sent.send(Instant::now());
            async move { sent.map_err(|error| error.to_string()).and(Err::<(), _>("always".to_owned())) }
        });
        // However late the first comes, the third is not due before two spans have passed.
        let begun = Instant::now();
        let running = Schedule::new("s", Duration::from_millis(5)).start(function);
        let first = received.recv().await.unwrap();
        let third = (received.recv().await, received.recv().await).1.unwrap();
        assert!(first >= begun && third - begun >= Duration::from_millis(10));
        running.drain().await;
        while received.recv().await.is_some() {}
    }
}
