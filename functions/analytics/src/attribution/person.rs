//! The touchpoints of a person: what they clicked and answered, from their events, and what became of the messages to them,
//! from the attempts.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use futures::{StreamExt, TryStreamExt};
use shared::activity::{Content, Event, Visitor};
use shared::attempt::{Attempt, Flag, Seq};
use shared::attribution::{TouchKind, Touchpoint};
use shared::campaign::VariantIndex;
use shared::id::{AccountId, CampaignId, ContactId, WorkspaceId};
use shared::store::{Core, StoreError};
use shared::time::UnixMillis;

use crate::way::Way;

/// People who are looked up at once.
const AT_ONCE: usize = 16;

/// Events of a person that are read in a span.
const MOST_EVENTS: usize = 5_000;

/// A person who has bought something, as far as that matters here.
pub(super) struct Person {
    /// The contact that stands for them.
    pub(super) contact: ContactId,
    /// What passed between them and campaigns.
    pub(super) touchpoints: Vec<Touchpoint>,
    /// Every form of every number that is or was theirs, digits only.
    pub(super) numbers: BTreeSet<String>,
    /// The campaigns that have sent to them, or tried to.
    pub(super) campaigns: BTreeSet<CampaignId>,
    /// Whether all that is theirs was read.
    pub(super) complete: bool,
}

/// Looks these people up, by the contact that each was known as.
pub(super) async fn people(
    core: &Core,
    workspace: WorkspaceId,
    account: Option<AccountId>,
    contacts: BTreeSet<ContactId>,
    span: &Range<UnixMillis>,
) -> Result<Vec<(ContactId, Person)>, StoreError> {
    let found: Vec<_> = futures::stream::iter(contacts)
        .map(|contact| async move {
            let person = of_contact(core, workspace, account, contact, span).await?;
            Ok::<_, StoreError>(person.map(|person| (contact, person)))
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    Ok(found.into_iter().flatten().collect())
}

async fn of_contact(
    core: &Core,
    workspace: WorkspaceId,
    account: Option<AccountId>,
    contact: ContactId,
    span: &Range<UnixMillis>,
) -> Result<Option<Person>, StoreError> {
    let Some(way) = Way::of_contact(core, workspace, contact).await? else { return Ok(None) };
    let ours = |other: AccountId| account.is_none_or(|account| account == other);
    let attempts = way.attempts.iter().filter(|(_, attempt)| ours(attempt.account));
    let mut touchpoints: Vec<Touchpoint> =
        attempts.clone().flat_map(|(key, attempt)| of_attempt(key.campaign, key.seq, attempt)).collect();
    let variants: BTreeMap<(CampaignId, Seq), VariantIndex> =
        attempts.map(|(key, attempt)| ((key.campaign, key.seq), attempt.variant)).collect();
    let mut places: Vec<_> = way.places.iter().filter(|place| span.contains(&place.at)).collect();
    let complete = way.complete && places.len() <= MOST_EVENTS;
    places.truncate(MOST_EVENTS);
    for some in places.chunks(1_000) {
        let events = core.events_at(some.iter().map(|place| place.key.clone()).collect()).await?;
        let events = events.iter().filter(|(_, of, _)| of.is_some_and(ours));
        touchpoints.extend(events.filter_map(|(.., event)| of_event(event, &variants)));
    }
    touchpoints.retain(|touchpoint| span.contains(&touchpoint.at));
    let campaigns = way.attempts.iter().map(|(key, _)| key.campaign).collect();
    Ok(Some(Person { contact: way.contact, touchpoints, numbers: way.numbers, campaigns, complete }))
}

/// The first of each kind: an attempt keeps no more.
pub(super) fn of_attempt(
    campaign: CampaignId,
    seq: Seq,
    attempt: &Attempt,
) -> impl Iterator<Item = Touchpoint> + use<> {
    let flags = [
        (Flag::Delivered, TouchKind::Delivered),
        (Flag::Read, TouchKind::Read),
        (Flag::Replied, TouchKind::Reply),
        (Flag::Clicked, TouchKind::Click),
    ];
    let moments = flags.map(|(flag, kind)| (attempt.flag(flag), kind));
    let (recipient, variant) = (Some(seq), Some(attempt.variant));
    moments
        .into_iter()
        .filter_map(move |(moment, kind)| Some(Touchpoint { at: moment?.at, kind, campaign, recipient, variant }))
}

/// A person's click or reply, each time that there was one.
fn of_event(event: &Event, variants: &BTreeMap<(CampaignId, Seq), VariantIndex>) -> Option<Touchpoint> {
    let (kind, campaign, recipient) = match &event.content {
        Content::LinkClicked { campaign: Some(campaign), recipient, visitor: Visitor::Human { .. }, .. } => {
            (TouchKind::Click, *campaign, *recipient)
        }
        Content::MessageReceived { campaign: Some(campaign), recipient, .. } => {
            (TouchKind::Reply, *campaign, *recipient)
        }
        _ => return None,
    };
    let known = recipient.and_then(|seq| variants.get(&(campaign, seq)).copied());
    Some(Touchpoint { at: event.at, kind, campaign, recipient, variant: known.or(event.variant) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_attempt_has_a_touchpoint_for_each_thing_that_became_of_it() {
        let attempt: Attempt = serde_json::from_value(json!({
            "v": 1, "phone": "+60123456789", "account": "acc_01J00000000000000000000000", "variant": 1, "page": 0, "number": 1,
            "accepted": {"at": 1, "seen": 1}, "delivered": {"at": 2, "seen": 2}, "clicked": {"at": 4, "seen": 4},
            "closed": {"at": 5, "seen": 5},
        }))
        .unwrap();
        let campaign = "cmp_01J00000000000000000000000".parse().unwrap();
        let found: Vec<_> = of_attempt(campaign, Seq(3), &attempt).collect();
        let kinds: Vec<_> = found.iter().map(|touchpoint| (touchpoint.kind, touchpoint.at.0)).collect();
        assert_eq!(kinds, [(TouchKind::Delivered, 2), (TouchKind::Click, 4)]);
        assert!(found.iter().all(|touchpoint| touchpoint.variant == Some(VariantIndex(1))));
    }

    #[test]
    fn a_machines_click_and_a_message_to_nobodys_campaign_are_no_touchpoints() {
        let event = |content: serde_json::Value| Event {
            v: 1,
            id: shared::activity::id_of(UnixMillis(5), &["x"]),
            at: UnixMillis(5),
            seen: UnixMillis(6),
            contact: None,
            variant: None,
            content: serde_json::from_value(content).unwrap(),
        };
        let campaign: CampaignId = "cmp_01J00000000000000000000000".parse().unwrap();
        let machine = json!({"type": "link.clicked", "link": 7, "campaign": campaign, "recipient": 3,
            "visitor": "machine", "reason": "preview"});
        let unasked = json!({"type": "message.received", "wamid": "wamid.A", "kind": "text", "raw": {"inline": "{}"}});
        let mut reply = unasked.clone();
        (reply["campaign"], reply["recipient"]) = (json!(campaign), json!(3));
        let variants = BTreeMap::from([((campaign, Seq(3)), VariantIndex(1))]);
        assert_eq!(of_event(&event(machine), &variants), None);
        assert_eq!(of_event(&event(unasked), &variants), None);
        let reply = of_event(&event(reply), &variants).unwrap();
        assert_eq!((reply.kind, reply.variant), (TouchKind::Reply, Some(VariantIndex(1))));
    }
}
