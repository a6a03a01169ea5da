//! What an event is for sessions and conversations: who did something, and whether it asks for an answer or is one.

use crate::activity::custom::Source;
use crate::activity::reported::MessageDetail;
use crate::activity::{Content, Event, Visitor};
use crate::attempt::{Attempt, AttemptKey};
use crate::id::{AccountId, EventId};
use crate::published;
use crate::time::UnixMillis;

/// An event, as far as sessions and conversations look at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// When it happened.
    pub at: UnixMillis,
    /// The event.
    pub id: EventId,
    /// The business number it concerns; none for what happens on a web page.
    pub account: Option<AccountId>,
    /// What it is.
    pub part: Part,
}

/// What an event is. The order is that of what happens within one second of Meta's: first people speak, then they are
/// answered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The person wrote, and it asks for an answer.
    Wrote,
    /// The person did something that asks for none: followed a link, opened a page, put a heart on a message.
    Acted,
    /// Somebody of the business wrote: a person, not a campaign, a bot or a confirmation.
    Answered,
    /// The conversation was given to somebody.
    Assigned {
        /// Whom, in the operator's words.
        to: String,
    },
    /// The conversation was declared to be over.
    Resolved,
    /// All else: receipts, what we send on our own, notices.
    Aside,
}

impl Part {
    /// Whether the person did it: that opens a session.
    #[must_use]
    pub const fn is_act(&self) -> bool {
        matches!(self, Self::Wrote | Self::Acted)
    }

    /// Whether it keeps a session open: everything that people do, on either side.
    #[must_use]
    pub const fn prolongs(&self) -> bool {
        !matches!(self, Self::Aside)
    }

    /// What an event is.
    #[must_use]
    pub fn of(content: &Content) -> Self {
        match content {
            Content::MessageReceived { kind, detail, .. } => of_message(kind, detail),
            // A colleague wrote in the app. What another sender of the number writes may be a bot's, and is not counted.
            Content::MessageEchoed(echo) if echo.via == APP => Self::Answered,
            Content::MessageSent(sent) if !sent.bot => Self::Answered,
            Content::ChatAssigned(assigned) => Self::Assigned { to: assigned.agent.clone() },
            Content::ChatResolved(_) => Self::Resolved,
            Content::LinkClicked { visitor: Visitor::Human { .. }, .. } | Content::MetaLinkClicked(_) => Self::Acted,
            Content::CallConnected(call) if call.direction.as_deref() == Some("inbound") => Self::Acted,
            Content::CallAccepted(_) | Content::CallRejected(_) | Content::ContactPreferred(_) => Self::Acted,
            Content::Custom(custom) => match (&custom.source, &custom.visitor) {
                (Source::Web, None | Some(Visitor::Human { .. })) => Self::Acted,
                _ => Self::Aside,
            },
            _ => Self::Aside,
        }
    }
}

/// How an echo from the WhatsApp Business app came.
const APP: &str = "app";

/// What a message that came in is, by Meta's type. An edit, a deletion and a notice of the system say nothing new, a
/// reaction asks for no answer, and what was written to a group or to another sender is not ours to answer.
fn of_message(kind: &str, detail: &MessageDetail) -> Part {
    match kind {
        "system" | "media_placeholder" => Part::Aside,
        "reaction" | "edit" | "revoke" | "request_welcome" | "call_permission_reply" => Part::Acted,
        _ if detail.standby || detail.group.is_some() => Part::Acted,
        _ => Part::Wrote,
    }
}

impl Trace {
    /// The event that lies in this account's feed.
    #[must_use]
    pub fn of(account: Option<AccountId>, event: &Event) -> Self {
        Self { at: event.at, id: event.id, account, part: Part::of(&event.content) }
    }

    /// What became of a message of ours: none of it is an act, and none of it keeps a session open.
    pub fn of_attempt(key: &AttemptKey, attempt: &Attempt) -> impl Iterator<Item = Self> + use<> {
        let account = Some(attempt.account);
        let events = published::of_attempt(key, attempt).into_iter();
        // The person's click and reply are events of the feed.
        let receipts = events.filter(|event| !matches!(event.kind.as_str(), "message.clicked" | "message.replied"));
        receipts.map(move |event| Self { at: event.at, id: event.id, account, part: Part::Aside })
    }
}

/// In the order in which it happened, each event once. Of equal times people's words come before their answers.
#[must_use]
pub fn in_order(traces: impl IntoIterator<Item = Trace>) -> Vec<Trace> {
    let mut traces: Vec<Trace> = traces.into_iter().collect();
    traces.sort_by(|a, b| (a.at, &a.part, a.id).cmp(&(b.at, &b.part, b.id)));
    traces.dedup_by(|a, b| a.id == b.id);
    traces
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::activity::id_of;

    /// A trace of the account at so many minutes; `number` tells traces apart.
    pub(crate) fn trace(minute: i64, part: Part, number: u32) -> Trace {
        let at = UnixMillis(1_790_000_000_000 + minute * 60_000);
        let account = Some(AccountId::from_ulid(ulid::Ulid::from_parts(1, 1)));
        Trace { at, id: id_of(at, &["trace", &number.to_string()]), account, part }
    }

    #[test]
    fn what_machines_and_the_system_do_is_no_act_of_a_person() {
        for (kind, part) in [
            ("text", Part::Wrote),
            ("button", Part::Wrote),
            ("flow_reply", Part::Wrote),
            ("a_type_of_next_year", Part::Wrote),
            ("reaction", Part::Acted),
            ("edit", Part::Acted),
            ("system", Part::Aside),
        ] {
            assert_eq!(of_message(kind, &MessageDetail::default()), part, "{kind}");
        }
        let to_another = MessageDetail { standby: true, ..MessageDetail::default() };
        assert_eq!(of_message("text", &to_another), Part::Acted);
    }

    #[test]
    fn at_the_same_time_a_word_comes_before_its_answer_and_a_repeat_is_one() {
        let (wrote, answered, resolved) =
            (trace(0, Part::Wrote, 1), trace(0, Part::Answered, 2), trace(0, Part::Resolved, 3));
        let shuffled = [resolved.clone(), wrote.clone(), answered.clone(), wrote.clone(), resolved.clone()];
        assert_eq!(in_order(shuffled), [wrote, answered, resolved]);
    }
}
