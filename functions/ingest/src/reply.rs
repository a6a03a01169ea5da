//! Which message a person answers: the one they quote, else the last one we sent them in the last three days.

use std::time::Duration;

use futures::StreamExt;
use shared::attempt::AttemptKey;
use shared::id::{AccountId, ContactId, WorkspaceId};
use shared::meta::webhook::{InboundMessage, MessageContent};
use shared::phone::wa_id_variants;
use shared::store::{StoreError, Touch};
use shared::time::UnixMillis;

use crate::people::{self, Person};
use crate::{Ingest, NotIngested};

/// A message without a quote answers what we sent at most this long before.
const WINDOW: Duration = Duration::from_secs(72 * 3_600);

/// So many of the latest campaigns that wrote to a person are looked at.
const LATEST: usize = 25;

/// A quoted message whose id we do not know yet is waited for this long: its own status will bring the id.
const ID_COMES_WITHIN: Duration = Duration::from_secs(120);

/// Attempts that are looked at together for the message that a reply quotes.
const LOOK_AT_ONCE: usize = 8;

/// The attempt that the message answers, if one can be told. Without a quote that depends on when messages left and when
/// this one was written, not on what has been learned in between, so that no order of events changes the answer.
pub(crate) async fn attempt(
    ingest: &Ingest,
    (workspace, account): (WorkspaceId, AccountId),
    person: &Person<'_>,
    contact: Option<ContactId>,
    message: &InboundMessage,
) -> Result<Option<AttemptKey>, NotIngested> {
    let at = UnixMillis::from_seconds(message.timestamp_s);
    let touches = touches(ingest, workspace, account, person, contact).await?;
    if let Some(quoted) = message.context.as_ref().and_then(|context| context.id.as_ref()) {
        let mut id_may_come = false;
        // Keys and not references to touches, whose lifetimes the compiler cannot follow into an invocation of `local`.
        let keys = touches.iter().map(|touch| (touch.at, touch.attempt(workspace))).collect::<Vec<_>>();
        let mut attempts = futures::stream::iter(keys)
            .map(|(at, key)| async move { (at, key, ingest.core.attempt(&key).await) })
            .buffered(LOOK_AT_ONCE);
        while let Some((left_at, key, attempt)) = attempts.next().await {
            let Some(attempt) = attempt? else {
                continue;
            };
            if attempt.wamid.as_deref() == Some(quoted.as_str()) {
                return Ok(Some(key));
            }
            let is_young = !ingest.is_replay() && UnixMillis::now().since(left_at) < ID_COMES_WITHIN;
            id_may_come |= attempt.wamid.is_none() && is_young;
        }
        if id_may_come {
            return Err(NotIngested::TooEarly);
        }
    }
    Ok(last_before(&touches, at).map(|touch| touch.attempt(workspace)))
}

/// The last message we sent to this person before `at`.
pub(crate) async fn last_message_to(
    ingest: &Ingest,
    (workspace, account): (WorkspaceId, AccountId),
    person: &Person<'_>,
    contact: Option<ContactId>,
    at: UnixMillis,
) -> Result<Option<AttemptKey>, NotIngested> {
    let touches = touches(ingest, workspace, account, person, contact).await?;
    Ok(last_before(&touches, at).map(|touch| touch.attempt(workspace)))
}

async fn touches(
    ingest: &Ingest,
    workspace: WorkspaceId,
    account: AccountId,
    person: &Person<'_>,
    contact: Option<ContactId>,
) -> Result<Vec<Touch>, NotIngested> {
    let numbers = people::numbers_of(ingest, workspace, person, contact).await?;
    let mut found = Vec::new();
    for digits in numbers.iter().flat_map(|digits| wa_id_variants(digits)) {
        found.push(touches_of(ingest, workspace, digits));
    }
    let mut touches = futures::future::try_join_all(found).await?.concat();
    touches.retain(|touch| touch.account == account);
    Ok(touches)
}

async fn touches_of(ingest: &Ingest, workspace: WorkspaceId, digits: String) -> Result<Vec<Touch>, StoreError> {
    ingest.core.touches(workspace, &digits, LATEST).await
}

/// Meta's times are whole seconds, so the reply's second counts as a whole.
fn last_before(touches: &[Touch], at: UnixMillis) -> Option<&Touch> {
    let end = UnixMillis(at.0 + 999);
    touches
        .iter()
        .filter(|touch| touch.at <= end && at.since(touch.at) <= WINDOW)
        .max_by_key(|touch| (touch.at, touch.campaign))
}

/// Whether the message is a person's answer to us: a system notice, an edit, a deletion, a reaction that is taken back
/// and a message to a group are none.
pub(crate) const fn is_a_reply(message: &InboundMessage) -> bool {
    let is_none = matches!(
        message.content,
        MessageContent::System(_)
            | MessageContent::Edit { .. }
            | MessageContent::Revoke { .. }
            | MessageContent::Reaction { emoji: None, .. }
    );
    !is_none && message.group_id.is_none()
}

#[cfg(test)]
mod tests {
    use shared::attempt::{Seq, Shard};
    use shared::id::CampaignId;

    use super::*;

    fn touch(campaign_ms: i64, at: i64) -> Touch {
        Touch {
            v: 1,
            campaign: CampaignId::new(UnixMillis(campaign_ms)),
            account: AccountId::new(UnixMillis(1)),
            shard: Shard(0),
            seq: Seq(0),
            at: UnixMillis(at),
            content: None,
        }
    }

    #[test]
    fn a_reply_answers_the_last_message_before_it() {
        let touches = [touch(1, 10_000), touch(2, 50_000), touch(3, 90_500)];
        assert_eq!(last_before(&touches, UnixMillis(60_000)), Some(&touches[1]));
        assert_eq!(last_before(&touches, UnixMillis(90_000)), Some(&touches[2]), "within the reply's second");
        assert_eq!(last_before(&touches, UnixMillis(5_000)), None);
    }

    #[test]
    fn after_three_days_it_answers_nothing() {
        let touches = [touch(1, 0)];
        assert!(last_before(&touches, UnixMillis(72 * 3_600_000)).is_some());
        assert_eq!(last_before(&touches, UnixMillis(72 * 3_600_000 + 1_000)), None);
    }
}
