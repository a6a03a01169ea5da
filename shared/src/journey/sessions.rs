//! Sessions: stretches of time in which a person was busy with the business. Only an act of the person opens one. What
//! people do on either side keeps it open; receipts and what we send on our own are counted in it and do neither, or else
//! every campaign would make a session for every phone.

use std::time::Duration;

use serde::Serialize;

use super::trace::{Trace, in_order};
use crate::activity::id_of;
use crate::id::{ContactId, EventId, SessionId, WorkspaceId};
use crate::time::{UnixMillis, rfc3339};

/// When a session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// After so long without anything that keeps it open.
    pub gap: Duration,
    /// After so long in any case.
    pub longest: Duration,
}

/// The shortest gap that may be asked for.
pub const SHORTEST_GAP: Duration = Duration::from_secs(60);

/// The longest gap that may be asked for: as long as Google Analytics allows.
pub const LONGEST_GAP: Duration = Duration::from_secs(7 * 3_600 + 55 * 60);

impl Default for Rules {
    /// Half an hour and a day, as most products measure it.
    fn default() -> Self {
        Self { gap: Duration::from_secs(30 * 60), longest: Duration::from_secs(24 * 3_600) }
    }
}

/// A session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Session {
    /// Follows from the workspace, the person and the first event. An event that comes late may join two sessions, so an
    /// id holds once nothing of its time is on its way any more.
    pub id: SessionId,
    /// The act that opened it.
    pub first_event: EventId,
    /// When it was opened.
    #[serde(with = "rfc3339")]
    pub started_at: UnixMillis,
    /// When the last thing happened that kept it open.
    #[serde(with = "rfc3339")]
    pub ended_at: UnixMillis,
    /// What the person did.
    pub acts: u32,
    /// Everything in it.
    pub events: u32,
}

impl Session {
    /// How long it was, from its first to its last event.
    #[must_use]
    pub fn length(&self) -> Duration {
        self.ended_at.since(self.started_at)
    }
}

/// The sessions of one person, first to last. The order of the traces, and how often each comes, changes nothing.
#[must_use]
pub fn of(
    workspace: WorkspaceId,
    contact: ContactId,
    traces: impl IntoIterator<Item = Trace>,
    rules: Rules,
) -> Vec<Session> {
    let mut sessions: Vec<Session> = Vec::new();
    for trace in in_order(traces) {
        let open = sessions.last_mut().filter(|session| {
            trace.at.since(session.ended_at) <= rules.gap && trace.at.since(session.started_at) <= rules.longest
        });
        match open {
            Some(session) => {
                session.events += 1;
                session.acts += u32::from(trace.part.is_act());
                if trace.part.prolongs() {
                    session.ended_at = trace.at;
                }
            }
            None if trace.part.is_act() => sessions.push(Session {
                id: session_id(workspace, contact, trace.at, trace.id),
                first_event: trace.id,
                started_at: trace.at,
                ended_at: trace.at,
                acts: 1,
                events: 1,
            }),
            None => {}
        }
    }
    sessions
}

fn session_id(workspace: WorkspaceId, contact: ContactId, at: UnixMillis, first: EventId) -> SessionId {
    let identity = ["session", &workspace.to_string(), &contact.to_string(), &first.to_string()];
    SessionId::from_ulid(id_of(at, &identity).ulid())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::trace::Part;
    use super::super::trace::tests::trace;
    use super::*;

    fn contact() -> ContactId {
        "ctc_01J00000000000000000000000".parse().unwrap()
    }

    fn sessions(traces: impl IntoIterator<Item = Trace>) -> Vec<Session> {
        of(WorkspaceId::FIRST, contact(), traces, Rules::default())
    }

    /// First and last minute, acts and events of each session.
    fn shape(traces: &[(i64, Part)]) -> Vec<(i64, i64, u32, u32)> {
        let origin = trace(0, Part::Wrote, 0).at.0;
        let minute = |at: UnixMillis| (at.0 - origin) / 60_000;
        let traces = (0..).zip(traces).map(|(number, (minute, part))| trace(*minute, part.clone(), number));
        let found = sessions(traces);
        found.iter().map(|one| (minute(one.started_at), minute(one.ended_at), one.acts, one.events)).collect()
    }

    #[test]
    fn more_than_half_an_hour_without_an_event_ends_a_session() {
        let acts = [(0, Part::Wrote), (30, Part::Acted), (60, Part::Answered), (90, Part::Wrote), (121, Part::Wrote)];
        assert_eq!(shape(&acts), [(0, 90, 3, 4), (121, 121, 1, 1)]);
    }

    #[test]
    fn what_the_business_does_opens_none_and_a_receipt_keeps_none_open() {
        assert_eq!(shape(&[(0, Part::Answered), (1, Part::Aside), (2, Part::Resolved)]), []);
        let receipt = [(0, Part::Aside), (10, Part::Acted), (30, Part::Aside), (41, Part::Answered), (45, Part::Acted)];
        assert_eq!(shape(&receipt), [(10, 10, 1, 2), (45, 45, 1, 1)]);
    }

    #[test]
    fn a_session_is_cut_after_a_day_and_the_next_begins_with_an_act() {
        let day = 24 * 60;
        let mut chain: Vec<_> = (0..=day / 20).map(|n| (n * 20, Part::Acted)).collect();
        chain.extend([(day + 10, Part::Answered), (day + 20, Part::Acted)]);
        assert_eq!(shape(&chain), [(0, day, 73, 73), (day + 20, day + 20, 1, 1)]);
    }

    #[test]
    fn an_id_follows_from_workspace_person_and_first_event() {
        let traces = [trace(0, Part::Wrote, 1), trace(5, Part::Acted, 2)];
        let id = sessions(traces.clone())[0].id;
        assert_eq!(id, sessions(traces[..1].to_vec())[0].id, "what follows does not change it");
        assert_ne!(id, sessions([trace(0, Part::Wrote, 3)])[0].id);
        let other = of(WorkspaceId::FIRST, ContactId::new(UnixMillis(1)), traces, Rules::default());
        assert_ne!(id, other[0].id);
    }

    fn part() -> impl Strategy<Value = Part> {
        prop_oneof![
            3 => Just(Part::Wrote),
            2 => Just(Part::Acted),
            2 => Just(Part::Answered),
            1 => Just(Part::Resolved),
            3 => Just(Part::Aside),
        ]
    }

    /// Any day of a person, and the same with some of it told again, in another order.
    fn told_twice() -> impl Strategy<Value = (Vec<Trace>, Vec<Trace>)> {
        prop::collection::vec((0_i64..400, part()), 0..40).prop_flat_map(|parts| {
            let told: Vec<Trace> =
                (0..).zip(parts).map(|(number, (minute, part))| trace(minute, part, number)).collect();
            let twice: Vec<Trace> = told.iter().chain(told.iter().step_by(2)).cloned().collect();
            (Just(told), Just(twice).prop_shuffle())
        })
    }

    proptest! {
        #[test]
        fn in_any_order_and_any_number_of_times_the_sessions_are_the_same((told, mixed) in told_twice()) {
            prop_assert_eq!(sessions(told), sessions(mixed));
        }

        #[test]
        fn every_act_is_in_exactly_one_session((told, _) in told_twice()) {
            let found = sessions(told.clone());
            let acts = told.iter().filter(|trace| trace.part.is_act()).count();
            prop_assert_eq!(found.iter().map(|session| session.acts as usize).sum::<usize>(), acts);
            for session in &found {
                prop_assert!(session.length() <= Rules::default().longest);
                prop_assert!(told.iter().any(|trace| trace.id == session.first_event && trace.part.is_act()));
            }
            for pair in found.windows(2) {
                prop_assert!(pair[1].started_at > pair[0].ended_at);
            }
        }
    }
}
