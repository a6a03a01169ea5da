//! A click on a tracked link on its way from `redirect` to `ingest`, and who it was.

use serde::{Deserialize, Serialize};

use crate::attempt::{AttemptKey, Seq, Shard};
use crate::id::{AccountId, CampaignId, EventId, WorkspaceId};
use crate::link::code::{LinkId, LinkKey};
use crate::link::visits::VisitorMark;
use crate::time::UnixMillis;

/// A tracked link was followed, as `redirect` queues it. The IP address, the user agent and the hints are used for
/// enrichment by `ingest` and are not stored as they are.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Click {
    /// Made by `redirect`; the same on every delivery of this message.
    pub id: EventId,
    /// The link.
    pub link: LinkId,
    /// Whose it is.
    pub workspace: WorkspaceId,
    /// The account of the campaign, or the one that a free link was put to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// The campaign; a free link has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub campaign: Option<CampaignId>,
    /// Where the recipient's attempt lies; absent for the shared code of the link.
    pub recipient: Option<(Shard, Seq)>,
    /// When.
    pub at: UnixMillis,
    /// `GET` or `HEAD`: how the destination was asked for. Who has given a link's password has asked with `GET`.
    pub method: String,
    /// The user agent, at most 512 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<String>,
    /// The visitor's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// Country as a trusted edge tells it (ISO 3166 alpha-2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// Region as a trusted edge tells it: the part of ISO 3166-2 after the country.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// City as a trusted edge tells it, in English.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub city: Option<String>,
    /// Number of the network (autonomous system) that the visitor came from, as a trusted edge tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asn: Option<u32>,
    /// `Sec-CH-UA-Mobile`: whether the browser says that it runs on a phone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hints_mobile: Option<bool>,
    /// `Sec-CH-UA-Platform`: the system that the browser says it runs on, such as `Android`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hints_platform: Option<String>,
    /// `Sec-CH-UA`: the brands that the browser goes by, as the header holds them, at most 256 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hints_brands: Option<String>,
    /// The host of the page that led to the link. The rest of its address may tell what nobody means to tell us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub referrer: Option<String>,
    /// `Sec-Purpose`, `Purpose` or `X-Moz`: the browser says that nobody has clicked yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub prefetch: bool,
    /// Which of the day's visitors of a shared code it was, once that is worked out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<VisitorMark>,
    /// Who it was, once that is worked out; address, user agent and hints are gone then, and `country` is the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visitor: Option<Visitor>,
}

impl Click {
    /// The recipient's attempt, if the code was a recipient's own.
    #[must_use]
    pub fn attempt(&self) -> Option<AttemptKey> {
        let (shard, seq) = self.recipient?;
        Some(AttemptKey { workspace: self.workspace, campaign: self.campaign?, shard, seq })
    }

    /// Which of the day's visitors it was: of a shared code, while the address is there. A recipient's own tells whose it is.
    #[must_use]
    pub fn visitor_mark(&self, key: &LinkKey) -> Option<VisitorMark> {
        let address = self.ip.as_deref().filter(|_| self.recipient.is_none())?.parse().ok()?;
        Some(VisitorMark::of(key, self.at, address, self.user_agent.as_deref().unwrap_or_default()))
    }
}

impl std::fmt::Debug for Click {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Click({})", self.id)
    }
}

/// Who followed a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "visitor", rename_all = "snake_case")]
pub enum Visitor {
    /// A person, as far as can be told.
    Human {
        /// `mobile`, `tablet`, `desktop` or `other`.
        device: String,
        /// Operating system.
        os: String,
        /// Browser, or the app whose built-in browser it was.
        browser: String,
        /// Version of the system, as far as it tells one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        os_version: Option<String>,
        /// Version of the browser.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        browser_version: Option<String>,
        /// The app in whose built-in browser the page was shown; `unknown` for one that does not say its name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        in_app: Option<String>,
    },
    /// A machine: not counted as a person, but recorded.
    Machine {
        /// Which rule said so.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_click_that_was_queued_before_an_update_is_read() {
        let queued = r#"{"id":"evt_01J00000000000000000000000","link":7,"workspace":"wsp_00000000000000000000000001",
            "account":"acc_01J00000000000000000000000","campaign":"cmp_01J00000000000000000000000","recipient":[3,35],
            "at":1790000000000,"method":"GET","user_agent":"Mozilla/5.0","ip":"192.0.2.1","country":"MY"}"#;
        let click: Click = serde_json::from_str(queued).unwrap();
        assert_eq!(click.attempt().map(|key| key.seq), Some(Seq(35)));
        let same: serde_json::Value = serde_json::from_str(queued).unwrap();
        assert_eq!(serde_json::to_value(&click).unwrap(), same);
    }
}
