//! Outbound webhooks: who has subscribed to which events, and how each event reaches them. A subscription names an address and
//! what it wants; an event that fits becomes a [`delivery`], deliveries travel in [`parcel`]s, and the [`endpoint`]'s
//! state bounds what is sent to it at once. What goes over the wire follows the Standard Webhooks specification
//! (standardwebhooks.com): [`signing`].
//!
//! `publish` hands events to the [`outbox`]; the function `deliver` posts them.

pub mod delivery;
pub mod endpoint;
pub mod ladder;
pub mod outbox;
pub mod parcel;
pub mod pattern;
pub mod signing;

use serde::{Deserialize, Serialize};

use self::pattern::Pattern;
use crate::id::{AccountId, CampaignId, WebhookId, WorkspaceId};
use crate::published::Published;
use crate::time::UnixMillis;

/// Subscriptions of one workspace: each event is compared with all of them.
pub const MAX_WEBHOOKS: usize = 50;

/// A subscription as it is stored. Its secret is in [`crate::secrets`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    /// Version of the stored shape.
    pub v: u8,
    /// Counts the changes; a change is written only over the version that it was made from.
    pub revision: u64,
    /// Which.
    pub id: WebhookId,
    /// Whose.
    pub workspace: WorkspaceId,
    /// Where events are posted to. Its path is often a secret, so it is in no log.
    pub url: String,
    /// Which events; every one of them fits at least one pattern.
    pub events: Vec<Pattern>,
    /// Only events of these accounts; any when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<AccountId>,
    /// Only events of these campaigns; any when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub campaigns: Vec<CampaignId>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether events are recorded and posted.
    pub enabled: bool,
    /// Why it is not enabled, when we have switched it off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<Disabled>,
    /// When it was created.
    pub created_at: UnixMillis,
    /// When its secret was last replaced: copies that were read before are read anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_at: Option<UnixMillis>,
}

/// Why we have switched a subscription off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disabled {
    /// When.
    pub at: UnixMillis,
    /// For people.
    pub reason: String,
}

impl std::fmt::Debug for Webhook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Webhook({})", self.id)
    }
}

impl Webhook {
    /// Whether it wants the event.
    #[must_use]
    pub fn wants(&self, event: &Published) -> bool {
        self.enabled
            && self.workspace == event.workspace
            && self.events.iter().any(|pattern| pattern.fits(&event.kind))
            && (self.accounts.is_empty() || event.account.is_some_and(|account| self.accounts.contains(&account)))
            && (self.campaigns.is_empty() || event.campaign.is_some_and(|campaign| self.campaigns.contains(&campaign)))
    }

    /// Switches it off, unless it is off already; whether it was on.
    pub fn disable(&mut self, reason: &str, now: UnixMillis) -> bool {
        if !self.enabled {
            return false;
        }
        self.enabled = false;
        self.disabled = Some(Disabled { at: now, reason: reason.to_owned() });
        true
    }
}

/// What of these events goes to which of these subscriptions.
pub fn matching<'a>(
    webhooks: &'a [Webhook],
    events: &'a [Published],
) -> impl Iterator<Item = (&'a Webhook, &'a Published)> {
    webhooks
        .iter()
        .flat_map(|webhook| events.iter().filter(|event| webhook.wants(event)).map(move |event| (webhook, event)))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::activity::id_of;

    pub(crate) fn event(kind: &str) -> Published {
        let at = UnixMillis(1_790_000_000_000);
        Published {
            id: id_of(at, &[kind]),
            kind: kind.to_owned(),
            at,
            seen: at,
            workspace: WorkspaceId::FIRST,
            account: Some("acc_01J00000000000000000000000".parse().unwrap()),
            contact: None,
            campaign: Some("cmp_01J00000000000000000000000".parse().unwrap()),
            recipient: None,
            variant: None,
            data: serde_json::Map::new(),
        }
    }

    pub(crate) fn webhook(events: &[&str]) -> Webhook {
        Webhook {
            v: 1,
            revision: 0,
            id: "whk_01J00000000000000000000000".parse().unwrap(),
            workspace: WorkspaceId::FIRST,
            url: "https://crm.example/hooks".to_owned(),
            events: events.iter().map(|pattern| pattern.parse().unwrap()).collect(),
            accounts: Vec::new(),
            campaigns: Vec::new(),
            description: None,
            enabled: true,
            disabled: None,
            created_at: UnixMillis(1),
            secret_at: None,
        }
    }

    #[test]
    fn an_event_goes_to_those_who_want_its_kind_its_account_and_its_campaign() {
        let read = event("message.read");
        assert!(webhook(&["*"]).wants(&read));
        assert!(webhook(&["link.clicked", "message.*"]).wants(&read));
        assert!(!webhook(&["link.*"]).wants(&read));
        assert!(!webhook(&[]).wants(&read));

        let other: AccountId = "acc_01J00000000000000000000001".parse().unwrap();
        let of = |accounts: Vec<AccountId>| Webhook { accounts, ..webhook(&["*"]) };
        assert!(of(vec![other, read.account.unwrap()]).wants(&read));
        assert!(!of(vec![other]).wants(&read));
        assert!(!of(vec![other]).wants(&Published { account: None, ..read.clone() }), "an event of no account");

        let of = |campaigns: Vec<CampaignId>| Webhook { campaigns, ..webhook(&["*"]) };
        assert!(of(vec![read.campaign.unwrap()]).wants(&read));
        assert!(!of(vec!["cmp_01J00000000000000000000001".parse().unwrap()]).wants(&read));

        assert!(!Webhook { enabled: false, ..webhook(&["*"]) }.wants(&read));
        let elsewhere = WorkspaceId::from_ulid(ulid::Ulid::from_parts(1, 1));
        assert!(!webhook(&["*"]).wants(&Published { workspace: elsewhere, ..read }));
    }

    #[test]
    fn every_pair_that_fits_is_found_once() {
        let webhooks = [webhook(&["message.*", "message.read"]), webhook(&["link.clicked"])];
        let events = [event("message.read"), event("link.clicked"), event("chat.assigned")];
        let pairs: Vec<_> = matching(&webhooks, &events).map(|(_, event)| event.kind.as_str()).collect();
        assert_eq!(pairs, ["message.read", "link.clicked"]);
    }

    #[test]
    fn a_stored_webhook_keeps_its_shape() {
        let stored = serde_json::json!({
            "v": 1, "revision": 0, "id": "whk_01J00000000000000000000000", "workspace": WorkspaceId::FIRST,
            "url": "https://crm.example/hooks", "events": ["message.*"], "enabled": true, "created_at": 1,
        });
        assert_eq!(serde_json::to_value(webhook(&["message.*"])).unwrap(), stored);
        assert_eq!(serde_json::from_value::<Webhook>(stored).unwrap(), webhook(&["message.*"]));
    }
}
