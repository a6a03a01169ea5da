//! The reply to a word for or against messages: one text, within the service window that the word has opened, claimed before
//! Meta is called. Whatever dies, it is not sent again; it is a courtesy, and silence is better than twice.

use std::time::Duration;

use serde_json::{Value, json};
use shared::account::{Account, AccountStatus};
use shared::activity::reported::{ConfirmationReport, ConsentReport};
use shared::activity::{self, Content, Event};
use shared::consent::Wish;
use shared::conversation::SERVICE_WINDOW;
use shared::id::{AccountId, ContactId, EventId, WorkspaceId};
use shared::meta::client::SendOutcome;
use shared::secrets::SecretError;
use shared::store::{ONE_CONFIRMATION_IN, Outcome, StoreError};
use shared::throttle::{Answer, Ask, REPLIES, UnixMicros};
use shared::time::UnixMillis;

use crate::Send;

/// All replies share the account's rate with its campaigns as one of them would that sends at most so many a second.
const CEILING: u32 = 5;

/// A slot later than this is waited for in the queue.
const WAITED_FOR: Duration = Duration::from_secs(2);

/// When Meta cannot be reached.
const TRIED_AGAIN_AFTER: Duration = Duration::from_secs(30);

/// More messages a second than the number may send (Meta, error codes).
const TOO_FAST: i64 = 130_429;

/// Why a reply could not be worked on; it comes back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotConfirmed {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Secret(#[from] SecretError),
}

/// What became of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Confirmed {
    /// There is nothing left to do.
    Done,
    /// The account's rate has no room before that.
    Later(UnixMillis),
}

/// A word that is to be answered.
struct Heard {
    contact: ContactId,
    wish: Wish,
    report: ConsentReport,
    at: UnixMillis,
}

impl Heard {
    /// `None` for any other event.
    fn of(event: Event) -> Option<Self> {
        let (wish, report) = match event.content {
            Content::ContactOptedOut(report) => (Wish::NoMessages, report),
            Content::ContactOptedIn(report) => (Wish::Messages, report),
            _ => return None,
        };
        Some(Self { contact: event.contact?, wish, report, at: event.at })
    }

    /// Meta's send body. A person whose number is hidden is written to under their user id.
    fn message(&self, text: &str) -> Option<Value> {
        let mut body = json!({
            "messaging_product": "whatsapp",
            "recipient_type": "individual",
            "type": "text",
            "text": {"body": text, "preview_url": false},
        });
        let (name, address) = match (&self.report.from, &self.report.from_user_id) {
            (Some(digits), _) => ("to", format!("+{digits}")),
            (None, Some(user_id)) => ("recipient", user_id.clone()),
            (None, None) => return None,
        };
        body[name] = Value::String(address);
        Some(body)
    }
}

/// Answers a word, unless it was answered, or nobody wants that any more.
pub(crate) async fn send(
    send: &Send,
    workspace: WorkspaceId,
    account: AccountId,
    word: EventId,
) -> Result<Confirmed, NotConfirmed> {
    let Some(heard) = send.core.event(workspace, Some(account), word).await?.and_then(Heard::of) else {
        tracing::warn!(%word, "a reply was asked for to what is no word of a person");
        return Ok(Confirmed::Done);
    };
    let now = UnixMillis::now();
    let account = send.core.account(workspace, account).await?;
    let settings = send.core.consent_settings(workspace).await?.confirmation;
    let language = heard.report.language.as_deref().unwrap_or_default();
    let text = settings.reply(heard.wish, language).filter(|_| settings.enabled);
    let (Some(account), Some(body)) = (account, text.and_then(|text| heard.message(text))) else {
        return Ok(Confirmed::Done);
    };
    // What the operator or Meta has stopped is not answered later: by then the person has forgotten what they wrote.
    let is_too_late = heard.at.plus(SERVICE_WINDOW) <= now;
    if is_too_late || account.status == AccountStatus::Paused {
        return Ok(Confirmed::Done);
    }
    let known = send.core.confirmation(workspace, heard.contact, heard.wish).await?;
    // The claim decides; this only spares a slot of the rate.
    if known.is_some_and(|known| known.word == word || known.at.plus(ONE_CONFIRMATION_IN) > now) {
        return Ok(Confirmed::Done);
    }
    let token = send.secrets.token_of(&account).await?;
    let slot = match slot(send, &account).await? {
        Answer::Granted(slots) => slots.iter().next().unwrap_or_else(UnixMicros::now),
        Answer::Wait(wait) => return Ok(Confirmed::Later(wait.until)),
    };
    if !send.core.claim_confirmation(workspace, heard.contact, heard.wish, word, now).await? {
        return Ok(Confirmed::Done);
    }
    tokio::time::sleep(slot.to_millis().since(UnixMillis::now()).min(WAITED_FOR)).await;
    let outcome = send.graph.send(&account.phone_number_id, &token, &body, || {}).await;
    settle(send, &account, &heard, word, outcome).await.map_err(NotConfirmed::from)
}

/// One slot of the account's rate, so that its windows count the reply.
async fn slot(send: &Send, account: &Account) -> Result<Answer, StoreError> {
    let now = UnixMicros::now();
    let limits = account.window_limits(now.floor_millis());
    let ask = Ask {
        campaign: REPLIES,
        messages: 1,
        ceiling: Some(CEILING),
        rate: account.effective_rate().0,
        limits: &limits,
    };
    send.core.reserve_slots(account.workspace, account.id, &ask, now).await
}

async fn settle(
    send: &Send,
    account: &Account,
    heard: &Heard,
    word: EventId,
    outcome: SendOutcome,
) -> Result<Confirmed, StoreError> {
    let Heard { contact, wish, .. } = *heard;
    let workspace = account.workspace;
    match outcome {
        SendOutcome::Accepted(accepted) => {
            // The event is named by the word, so a reply has one however often this is tried.
            let now = UnixMillis::now();
            let id = activity::id_of(now, &["confirmed", &word.to_string()]);
            let direction = wish.name().to_owned();
            let content = Content::ConsentConfirmed(ConfirmationReport { direction, wamid: accepted.wamid });
            let event = Event { v: 1, id, at: now, seen: now, contact: Some(contact), variant: None, content };
            send.core.record_event(Some((workspace, account.id)), &event).await?;
            send.core.settle_confirmation(workspace, contact, wish, word, Outcome::Accepted).await?;
        }
        SendOutcome::Refused(error) => {
            tracing::warn!(%contact, code = error.code, "Meta has refused the reply to a word");
            if error.code == TOO_FAST {
                send.core.slow_down(workspace, account.id, account.effective_rate().0, UnixMicros::now()).await?;
            }
            send.core.settle_confirmation(workspace, contact, wish, word, Outcome::Refused).await?;
        }
        // No byte has left: the one outcome after which trying again is safe.
        SendOutcome::NotSent => {
            send.core.unclaim_confirmation(workspace, contact, wish, word).await?;
            return Ok(Confirmed::Later(UnixMillis::now().plus(TRIED_AGAIN_AFTER)));
        }
        SendOutcome::Lost => {}
    }
    Ok(Confirmed::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(from: Option<&str>, user_id: Option<&str>) -> Heard {
        let text = |text: Option<&str>| text.map(str::to_owned);
        Heard {
            contact: ContactId::new(UnixMillis(1)),
            wish: Wish::NoMessages,
            report: ConsentReport {
                source: "reply".to_owned(),
                from: text(from),
                from_user_id: text(user_id),
                wamid: None,
                language: None,
            },
            at: UnixMillis(1),
        }
    }

    #[test]
    fn somebody_is_written_to_under_their_number_or_their_user_id() {
        let to = heard(Some("60123456789"), Some("MY.1")).message("done").unwrap();
        assert_eq!(
            (&to["to"], &to["recipient"], &to["text"]["body"]),
            (&json!("+60123456789"), &Value::Null, &json!("done"))
        );
        let to = heard(None, Some("MY.1")).message("done").unwrap();
        assert_eq!((&to["to"], &to["recipient"]), (&Value::Null, &json!("MY.1")));
        assert_eq!(heard(None, None).message("done"), None);
    }
}
