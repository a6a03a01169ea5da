//! What we sent a person, told from the flags of the attempts: each flag that is on is a step of their way.

use serde_json::{Map, Value, json};

use super::trace::{Part, Trace};
use crate::activity::id_of;
use crate::attempt::{Attempt, AttemptKey, Flag, Moment};
use crate::id::EventId;
use crate::time::UnixMillis;

/// One thing that happened to a message of ours.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The same however often the attempt is read.
    pub id: EventId,
    /// Such as `message.delivered`.
    pub kind: &'static str,
    /// When it happened.
    pub at: UnixMillis,
    /// When we learned of it.
    pub seen: UnixMillis,
    /// The attempt.
    pub attempt: AttemptKey,
    /// What else is known: why it failed, what the deal was worth.
    pub data: Map<String, Value>,
}

/// The flags that are steps of their own. A click and a reply are events of the feed.
const STEPS: [(Flag, &str); 5] = [
    (Flag::Delivered, "message.delivered"),
    (Flag::Read, "message.read"),
    (Flag::Closed, "message.closed"),
    (Flag::OptedOut, "message.opted_out"),
    (Flag::Accepted, SENT),
];

/// The step with which a message begins.
pub const SENT: &str = "message.sent";

/// The steps of an attempt, in no order.
#[must_use]
pub fn steps(key: &AttemptKey, attempt: &Attempt) -> Vec<Step> {
    let step = |kind: &'static str, Moment { at, seen }: Moment, data: Map<String, Value>| Step {
        id: step_id(key, kind, attempt.number, at),
        kind,
        at,
        seen,
        attempt: *key,
        data,
    };
    let mut steps: Vec<Step> = STEPS
        .into_iter()
        .filter_map(|(flag, kind)| {
            // The answer to a send may be lost; then Meta's report is the first word of it.
            let moment = match flag {
                Flag::Accepted => [attempt.accepted, attempt.sent].into_iter().flatten().min_by_key(|moment| moment.at),
                flag => attempt.flag(flag),
            };
            let value = attempt.closed_value.as_ref().filter(|_| flag == Flag::Closed);
            Some(step(kind, moment?, value.map(|value| data([("value", json!(value))])).unwrap_or_default()))
        })
        .collect();
    let failures = attempt.failed.iter().chain(attempt.earlier.iter().map(|earlier| &earlier.failed));
    steps.extend(failures.map(|failure| {
        let moment = Moment { at: failure.at, seen: failure.seen };
        step("message.failed", moment, data([("code", json!(failure.code)), ("title", json!(failure.title))]))
    }));
    steps.extend(attempt.skipped.as_ref().filter(|_| attempt.standing() == crate::attempt::Standing::Skipped).map(
        |skip| {
            let moment = Moment { at: skip.at, seen: skip.at };
            step("message.skipped", moment, data([("code", json!(skip.code)), ("reason", json!(skip.reason))]))
        },
    ));
    steps
}

/// What the steps are for sessions: none of them is an act, and none keeps a session open.
pub fn traces(key: &AttemptKey, attempt: &Attempt) -> impl Iterator<Item = Trace> + use<> {
    let account = attempt.account;
    let steps = steps(key, attempt).into_iter();
    steps.map(move |step| Trace { at: step.at, id: step.id, account: Some(account), part: Part::Aside })
}

fn data<const N: usize>(members: [(&str, Value); N]) -> Map<String, Value> {
    members.into_iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.to_owned(), value)).collect()
}

fn step_id(key: &AttemptKey, kind: &str, number: u16, at: UnixMillis) -> EventId {
    let (campaign, seq, number) = (key.campaign.to_string(), key.seq.0.to_string(), number.to_string());
    id_of(at, &["step", &campaign, &seq, kind, &number])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attempt::tests::{at, claimed};
    use crate::attempt::{Evidence, Failure, Seq, Shard};
    use crate::id::WorkspaceId;

    fn key() -> AttemptKey {
        AttemptKey {
            workspace: WorkspaceId::FIRST,
            campaign: "cmp_01J00000000000000000000000".parse().unwrap(),
            shard: Shard(3),
            seq: Seq(35),
        }
    }

    fn kinds(attempt: &Attempt) -> Vec<&'static str> {
        let mut steps = steps(&key(), attempt);
        steps.sort_by_key(|step| step.at);
        steps.into_iter().map(|step| step.kind).collect()
    }

    #[test]
    fn each_flag_is_a_step_and_a_click_is_none() {
        let mut attempt = claimed();
        assert_eq!(kinds(&attempt), [] as [&str; 0]);
        for (flag, second) in [
            (Flag::Accepted, 10),
            (Flag::Sent, 11),
            (Flag::Delivered, 12),
            (Flag::Read, 13),
            (Flag::Clicked, 14),
            (Flag::Replied, 15),
            (Flag::Closed, 16),
        ] {
            attempt.learn(&Evidence::Flag(flag, at(second)));
        }
        assert_eq!(kinds(&attempt), [SENT, "message.delivered", "message.read", "message.closed"]);
        let twice = [steps(&key(), &attempt), steps(&key(), &attempt)];
        assert_eq!(twice[0], twice[1]);
    }

    #[test]
    fn a_message_whose_answer_was_lost_was_sent_when_meta_says_so() {
        let mut attempt = claimed();
        attempt.learn(&Evidence::Flag(Flag::Sent, at(11)));
        assert_eq!(kinds(&attempt), [SENT]);
    }

    #[test]
    fn a_failure_tells_its_code_and_those_of_earlier_tries_are_kept() {
        let mut attempt = claimed();
        let failure = |second: i64, code| {
            Failure { at: at(second).at, seen: at(second).seen, code, title: None, details: None }
        };
        attempt.learn(&Evidence::Failed(failure(20, 131_026)));
        let earlier = crate::attempt::earlier::EarlierTry { number: 1, wamid: None, failed: failure(5, 131_049) };
        attempt.earlier.push(earlier);
        let mut steps = steps(&key(), &attempt);
        steps.sort_by_key(|step| step.at);
        let codes: Vec<_> = steps.iter().map(|step| step.data["code"].as_i64().unwrap()).collect();
        assert_eq!(codes, [131_049, 131_026]);
    }
}
